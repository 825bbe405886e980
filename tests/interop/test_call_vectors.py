"""tests/vectors/call.txt made again from PROTOCOL.md alone: ML-KEM decapsulation and all else is this file's own."""

import hashlib
import hmac
import struct
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SUITES = {1: ("sha256", AESGCM), 2: ("sha256", ChaCha20Poly1305), 3: ("sha512", AESGCM), 4: ("blake2b", ChaCha20Poly1305)}
KEY_SIZES = {1: 32, 2: 256, 3: 384, 4: 512, 5: 1024}
LABEL, HASH, PUBLIC, SECRET, NONCE, CARD, ROLE, NAME, TAG, NUMBER, MESSAGE = range(1, 12)


def vectors():
    text = (Path(__file__).parents[1] / "vectors/call.txt").read_text()
    blocks = [[line.split(" = ") for line in block.splitlines()] for block in text.split("\n\n")[1:]]
    return [{name: bytes.fromhex(octets) for name, octets in block} for block in blocks]


CARDS = vectors()
CALLS = [v for v in CARDS if "h0" in v]


# --- 1.2


def encoded(items):
    return b"".join(struct.pack(">BI", kind, len(octets)) + octets for kind, octets in items)


def label(text):
    return LABEL, b"cyphernet/1 " + text


class Hash:
    def __init__(self, name):
        self.name = name
        self.size = hashlib.new(name).digest_size

    def __call__(self, *items):
        return hashlib.new(self.name, encoded(items)).digest()

    def mac(self, key, octets):
        return hmac.new(key, octets, self.name).digest()

    def extract(self, salt, *items):
        return self.mac(salt, encoded(items))

    def expand(self, key, items, size):
        out, last = b"", b""
        for number in range(1, 256):
            if len(out) >= size:
                break
            last = self.mac(key, last + encoded(items) + bytes([number]))
            out += last
        return out[:size]


sha256 = Hash("sha256")


def x25519(secret, public):
    return X25519PrivateKey.from_private_bytes(secret).exchange(X25519PublicKey.from_public_bytes(public))


def x25519_public(secret):
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


# --- ML-KEM-768, FIPS 203: keys from a seed, decapsulation of what is well formed

Q = 3329
ZETAS = [pow(17, int(f"{i:07b}"[::-1], 2), Q) for i in range(128)]
GAMMAS = [pow(17, 2 * int(f"{i:07b}"[::-1], 2) + 1, Q) for i in range(128)]


def ntt(f):
    f, i, length = list(f), 1, 128
    while length >= 2:
        for start in range(0, 256, 2 * length):
            for j in range(start, start + length):
                t = ZETAS[i] * f[j + length] % Q
                f[j + length], f[j] = (f[j] - t) % Q, (f[j] + t) % Q
            i += 1
        length //= 2
    return f


def ntt_inverse(f):
    f, i, length = list(f), 127, 2
    while length <= 128:
        for start in range(0, 256, 2 * length):
            for j in range(start, start + length):
                t = f[j]
                f[j], f[j + length] = (t + f[j + length]) % Q, ZETAS[i] * (f[j + length] - t) % Q
            i -= 1
        length *= 2
    return [x * 3303 % Q for x in f]


def multiply(f, g):
    out = []
    for i in range(128):
        a0, a1, b0, b1 = f[2 * i], f[2 * i + 1], g[2 * i], g[2 * i + 1]
        out += [(a0 * b0 + a1 * b1 * GAMMAS[i]) % Q, (a0 * b1 + a1 * b0) % Q]
    return out


def add(f, g):
    return [(x + y) % Q for x, y in zip(f, g, strict=True)]


def sample_ntt(octets):
    stream = hashlib.shake_128(octets).digest(168 * 6)
    out = []
    for c0, c1, c2 in zip(stream[0::3], stream[1::3], stream[2::3], strict=True):
        out += [d for d in (c0 + 256 * (c1 % 16), c1 // 16 + 16 * c2) if d < Q]
    assert len(out) >= 256
    return out[:256]


def bits(octets):
    return [octets[i // 8] >> i % 8 & 1 for i in range(8 * len(octets))]


def sample_cbd(seed, number):
    b = bits(hashlib.shake_256(seed + bytes([number])).digest(128))
    return [(b[4 * i] + b[4 * i + 1] - b[4 * i + 2] - b[4 * i + 3]) % Q for i in range(256)]


def unpack(octets, width):
    b = bits(octets)
    return [sum(b[width * i + j] << j for j in range(width)) for i in range(len(b) // width)]


def pack12(f):
    return b"".join((f[i] | f[i + 1] << 12).to_bytes(3, "little") for i in range(0, 256, 2))


def decompressed(octets, width):
    return [(x * Q + (1 << width - 1)) >> width for x in unpack(octets, width)]


def kem_keys(seed):
    """The encapsulation key, and the secret polynomials."""
    both = hashlib.sha3_512(seed[:32] + bytes([3])).digest()
    rho, sigma = both[:32], both[32:]
    s = [ntt(sample_cbd(sigma, i)) for i in range(3)]
    t = []
    for i in range(3):
        row = ntt(sample_cbd(sigma, 3 + i))
        for j in range(3):
            row = add(row, multiply(sample_ntt(rho + bytes([j, i])), s[j]))
        t.append(row)
    return b"".join(map(pack12, t)) + rho, s


def decapsulated(seed, ciphertext):
    public, s = kem_keys(seed)
    u = [decompressed(ciphertext[320 * i : 320 * i + 320], 10) for i in range(3)]
    inner = [0] * 256
    for i in range(3):
        inner = add(inner, multiply(s[i], ntt(u[i])))
    w = [(v - x) % Q for v, x in zip(decompressed(ciphertext[960:], 4), ntt_inverse(inner), strict=True)]
    message = sum(((2 * x + Q // 2) // Q % 2) << i for i, x in enumerate(w)).to_bytes(32, "little")
    return hashlib.sha3_512(message + hashlib.sha3_256(public).digest()).digest()[:32]


# --- 2.9, 2.10, 4


class Card:
    def __init__(self, body):
        at = 2 + body[1]
        at += 1 + 2 * body[at]
        self.kind = body[at : at + 1]
        size = KEY_SIZES[body[at]]
        self.public = body[at + 1 : at + 1 + size]
        self.pq_public = body[at + 1 + size : at + 1 + size + 1184]
        self.nonce = body[at + 1185 + size : at + 1217 + size]
        self.hash = sha256(label(b"card"), (CARD, body))
        self.id = sha256(label(b"id"), (NUMBER, self.kind), (PUBLIC, self.public), (PUBLIC, self.pq_public))


def pair_secret(v, a, b):
    """S; the static keys are known of those who call."""
    shared = x25519(v["a_static_secret"], b.public) if "h0" in v else b""
    salt = sha256.extract(b"cyphernet/1 pair", (NONCE, a.nonce), (NONCE, b.nonce))
    return sha256.extract(salt, (CARD, a.hash), (CARD, b.hash), (SECRET, shared))


@pytest.mark.parametrize("v", CARDS)
def test_cards(v):
    a, b = Card(v["a_card"]), Card(v["b_card"])
    assert a.id < b.id and a.public != b.public
    for name, card in (("a", a), ("b", b)):
        assert (v[f"{name}_kind"], v[f"{name}_id"], v[f"{name}_card_hash"]) == (card.kind, card.id, card.hash)
    salt = sha256.extract(b"cyphernet/1 safety", (CARD, a.hash), (CARD, b.hash))
    groups = [int.from_bytes(sha256.expand(salt, [], 60)[5 * i : 5 * i + 5], "big") % 100000 for i in range(12)]
    assert v["safety"].decode() == " ".join(f"{group:05}" for group in groups)
    s = pair_secret(v, a, b)
    assert v["prologue_key"] == sha256.expand(s, [label(b"prologue key")], 32)
    assert v["chain_key"] == sha256.expand(s, [label(b"chain key")], 32)
    key = sha256.expand(s, [label(b"tag key")], 32)
    for service in (b"talk", b"pipe", b"file", b"forward"):
        items = [label(b"tag"), (NAME, service), (NUMBER, struct.pack(">Q", 490000))]
        assert v[f"tag_{service.decode()}_490000"] == sha256.expand(key, items, 32)


# --- 5, 6.1


@pytest.mark.parametrize("v", CALLS)
def test_a_call(v):
    name, aead = SUITES[v["suite"][1]]
    h = Hash(name)
    cards = {"a": Card(v["a_card"]), "b": Card(v["b_card"])}
    ends = (("a", "b", b"A"), ("b", "a", b"B"))
    h0 = h(label(b"call"), (NUMBER, v["suite"]), (CARD, cards["a"].hash), (CARD, cards["b"].hash), (ROLE, b"A"),
           (NAME, b"file"), (TAG, v["tag_file_490000"]))
    assert v["h0"] == h0
    t, q, m, ephemeral = {}, {}, {}, {}
    for me, peer, role in ends:
        assert x25519_public(v[f"{me}_static_secret"]) == cards[me].public
        assert kem_keys(v[f"{me}_pq_static_seed"])[0] == cards[me].pq_public
        f1 = v[f"{me}_f1"]
        key = h.expand(v["prologue_key"], [label(b"prologue"), (ROLE, role), (NONCE, f1[:32]), (HASH, h0)], 32)
        plain = aead(key).decrypt(bytes(12), f1[32:], h0 + role)
        assert plain[:5] == b"\1" + bytes(4) and len(f1) == 4096
        ephemeral[me] = plain[5:37]
        assert ephemeral[me] == x25519_public(v[f"{me}_ephemeral_secret"])
        assert plain[37:1221] == kem_keys(v[f"{me}_pq_ephemeral_seed"])[0]
        assert plain[1221:1223] == bytes(2) and not any(plain[2311:])
        t[me] = x25519(v[f"{peer}_static_secret"], ephemeral[me])
        q[me] = decapsulated(v[f"{peer}_pq_static_seed"], plain[1223:2311])
        assert (v[f"{me}_t"], v[f"{me}_q"]) == (t[me], q[me])
    h1 = h((HASH, h0), (MESSAGE, v["a_f1"]), (MESSAGE, v["b_f1"]))
    both = x25519(v["a_ephemeral_secret"], ephemeral["b"])
    ck1 = h.extract(v["chain_key"], *((SECRET, s) for s in (both, t["a"], t["b"], q["a"], q["b"])))
    assert (v["h1"], v["ck1"]) == (h1, ck1)
    for me, peer, role in ends:
        key = h.expand(ck1, [label(b"answer"), (ROLE, role), (HASH, h1)], 32)
        plain = aead(key).decrypt(bytes(12), v[f"{me}_f2"], h1)
        assert plain[1088:1104] == struct.pack(">IQI", 4096, 1 << 20, 3600) and not any(plain[1104:])
        m[me] = decapsulated(v[f"{peer}_pq_ephemeral_seed"], plain[:1088])
        assert v[f"{me}_m"] == m[me] and len(plain) == 1264
    h2 = h((HASH, h1), (MESSAGE, v["a_f2"]), (MESSAGE, v["b_f2"]))
    ck2 = h.extract(ck1, (SECRET, m["a"]), (SECRET, m["b"]))

    def derived(text, role=b"", size=h.size):
        return h.expand(ck2, [label(text), (ROLE, role), (HASH, h2)], size)

    for text in ("chain", "resume", "exporter"):
        assert v[text] == derived(text.encode())
    assert v["call_id"] == derived(b"call id", size=32)
    for text, secret in (("resumed", "resume"), ("rehandshake", "chain")):  # 6.5, 6.7
        s = sha256.extract(pair_secret(v, cards["a"], cards["b"]), (SECRET, v[secret]))
        assert v[f"{text}_prologue_key"] == sha256.expand(s, [label(b"prologue key")], 32)
        assert v[f"{text}_chain_key"] == sha256.expand(s, [label(b"chain key")], 32)
        items = [label(b"tag"), (NAME, b"resume"), (NUMBER, struct.pack(">Q", 490000))]
        assert v[f"{text}_tag_490000"] == sha256.expand(sha256.expand(s, [label(b"tag key")], 32), items, 32)
    for me, _, role in ends:
        traffic = derived(b"traffic", role)
        assert v[f"{me}_traffic"] == traffic
        assert v[f"{me}_finish"] == h.mac(derived(b"finish", role), h2)[:32]
        key, iv = h.expand(traffic, [label(b"key")], 32), h.expand(traffic, [label(b"iv")], 12)
        ping = struct.pack(">BBHIQ", 8, 0, 8, 0, 0x0102030405060708)
        for counter, content in enumerate((v[f"{me}_finish"], ping)):
            record = v[f"{me}_record_{counter}"]
            nonce = iv[:4] + bytes(x ^ y for x, y in zip(iv[4:], struct.pack(">Q", counter), strict=True))
            plain = aead(key).decrypt(nonce, record[2:], record[:2] + bytes(4) + role)
            assert plain == content.ljust(256 - 18, b"\0") and record[:2] == struct.pack(">H", 254)
