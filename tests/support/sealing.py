"""Sealing under a passphrase, by PROTOCOL.md 2.15 to 2.17 alone, and with the least work that is read: what a program makes
takes 128 MiB and a third of a second each time it is opened, which tests need not wait for again and again."""

import hashlib
import os

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from ctl_helper import armor, unarmor

HEAD_SIZE = 35
MADE, LEAST = (17, 8, 1), (14, 8, 1)  # log N, r, p
STORAGE_KEY_AT = 50  # of what is sealed, in the body of a STORAGE KEY


def given(*passphrases):
    """What a command with `--passphrase-fd 0` asks for."""
    return {"input": "".join(f"{line}\n" for line in passphrases)}


def cipher(head, passphrase):
    log_n, r, p = head[:3]
    return ChaCha20Poly1305(hashlib.scrypt(passphrase.encode(), salt=head[3:], n=1 << log_n, r=r, p=p, maxmem=1 << 28, dklen=32))


def opened(sealed, label, passphrase):
    head = sealed[:HEAD_SIZE]
    return cipher(head, passphrase).decrypt(bytes(12), sealed[HEAD_SIZE:], b"cyphernet/1 " + label + head)


def closed(plain, label, passphrase):
    head = bytes(LEAST) + os.urandom(32)
    return head + cipher(head, passphrase).encrypt(bytes(12), plain, b"cyphernet/1 " + label + head)


def cheapened(person, passphrase):
    """Seal the key of a home anew, with the same passphrase and less work."""
    path = person.home / "storage.key"
    body = unarmor("STORAGE KEY", path.read_text())
    assert tuple(body[STORAGE_KEY_AT : STORAGE_KEY_AT + 3]) == MADE
    key = opened(body[STORAGE_KEY_AT:], b"storage key", passphrase)
    path.write_text(armor("STORAGE KEY", body[:STORAGE_KEY_AT] + closed(key, b"storage key", passphrase)))


def backup_opened(text, passphrase):
    body = unarmor("BACKUP", text)
    assert body[0] == 1
    return opened(body[1:], b"backup", passphrase)


def backup_closed(plain, passphrase, version=1):
    return armor("BACKUP", bytes([version]) + closed(plain, b"backup", passphrase))
