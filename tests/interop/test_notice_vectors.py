"""tests/vectors/notice.txt, made again from PROTOCOL.md 2.3, 2.12 and 2.13 alone, with other cryptography than ours.
As a program it writes the file: python3 tests/interop/test_notice_vectors.py >tests/vectors/notice.txt"""

import hashlib
import struct
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

FILE = Path(__file__).parents[1] / "vectors" / "notice.txt"
HEAD = """\
# Notices and a list of revocations, PROTOCOL.md 2.12 and 2.13. One `name = octets in hex` a line; revocations is the
# body inside the armour. Made by tests/interop/test_notice_vectors.py.

"""


def item(kind, octets):
    return bytes([kind]) + struct.pack(">I", len(octets)) + octets


def label(name):
    return item(1, b"cyphernet/1 " + name)


def text(address):
    return bytes([len(address)]) + address


OPERATOR = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(0x30, 0x50)))
OPERATOR_PUBLIC = OPERATOR.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
SERVER = bytes(range(0x60, 0x80))
NEW_SERVER = bytes(range(0xA0, 0xC0))
SUBSCRIBER = bytes(range(0x80, 0xA0))
EVERYBODY = bytes(32)
ADDRESSES = [b"new.example:7473", b"[2001:db8::1]:443"]


def certificate(key):
    fields = struct.pack(">BQ32sQQB", 1, 0x0102030405060708, key, 1700000000, 1731536000, 7)
    return fields + OPERATOR.sign(label(b"certificate") + item(11, fields))


def notice(number, key, parts, body):
    fields = struct.pack(">BQ32s32sB", 1, number, SERVER, key, parts) + body
    return fields + OPERATOR.sign(label(b"notice") + item(11, fields))


def revocations(number, blocked, notices):
    fields = struct.pack(">BQ32s32sI", 1, number, OPERATOR_PUBLIC, SERVER, len(blocked))
    fields += b"".join(struct.pack(">Q32sB", *each) for each in blocked)
    fields += struct.pack(">I", len(notices)) + b"".join(struct.pack(">H", len(each)) + each for each in notices)
    hashed = hashlib.sha256(label(b"revocations") + item(11, fields)).digest()
    return fields + OPERATOR.sign(label(b"revocations") + item(2, hashed))


def vector():
    addresses = bytes([len(ADDRESSES)]) + b"".join(map(text, ADDRESSES))
    renewal = notice(1731000000, SUBSCRIBER, 1, certificate(SUBSCRIBER))
    move = notice(1731000001, EVERYBODY, 2, addresses)
    return {
        "operator_seed": bytes(range(0x30, 0x50)),
        "operator_public": OPERATOR_PUBLIC,
        "server": SERVER,
        "new_server_key": NEW_SERVER,
        "admission_key": SUBSCRIBER,
        "address_0": ADDRESSES[0],
        "address_1": ADDRESSES[1],
        "certificate": certificate(SUBSCRIBER),
        "renewal": renewal,
        "move": move,
        "rekey": notice(1731000002, EVERYBODY, 4, NEW_SERVER),
        "all": notice(1731000003, SUBSCRIBER, 7, certificate(SUBSCRIBER) + addresses + NEW_SERVER),
        "revocations": revocations(1731000004, [(5, SUBSCRIBER, 3), (6, SERVER, 4)], [move, renewal]),
    }


def lines():
    return HEAD + "".join(f"{name} = {octets.hex()}\n" for name, octets in vector().items())


def test_the_vectors_are_what_the_protocol_says():
    assert FILE.read_text() == lines()


if __name__ == "__main__":
    print(lines(), end="")
