#!/usr/bin/env python3
"""wycheproof.py DIRECTORY COMMIT: write the wycheproof_*.txt beside this file anew from Wycheproof's testvectors_v1, as it
was at COMMIT of github.com/C2SP/wycheproof.

Taken is what fits the arguments of our own functions; each file says at its head what was left, and why. An empty or
absent result is one that must be refused. Long results that are only compared are kept as their SHA-256."""
import json
import sys
from hashlib import sha256
from pathlib import Path

HERE = Path(__file__).resolve().parent
HEAD = """# {title}: figures of Project Wycheproof (github.com/C2SP/wycheproof at {commit},
# Apache License 2.0), by wycheproof.py. number: upstream's, u16; after it upstream's flags.
"""


class Figures:
    """One file of ours, from some of theirs."""

    def __init__(self, name, title, explained):
        self.name, self.title, self.explained = name, title, explained
        self.lines = []
        self.counts = []  # of each upstream file: its name, how many taken, how many left by reason

    def read(self, source, judge):
        """judge(group, test): the fields of one of ours, or the reason why it is left."""
        taken, left = 0, {}
        for group in json.loads((DIRECTORY / f"{source}_test.json").read_text())["testGroups"]:
            for test in group["tests"]:
                made = judge(group, test)
                if isinstance(made, str):
                    left[made] = left.get(made, 0) + 1
                    continue
                taken += 1
                self.lines.append(" ".join([f"\n# {source}", *test.get("flags", [])]))
                self.lines.append(f"number = {test['tcId']:04x}")
                self.lines += [f"{name} = {value}" for name, value in made.items() if value is not None]
        self.counts.append((source, taken, left))

    def write(self):
        head = [HEAD.format(title=self.title, commit=COMMIT[:12]).rstrip()]
        head += [f"# {line}" for line in self.explained]
        for source, taken, left in self.counts:
            head.append(f"# {source}: {taken} taken; left: " +
                        ("; ".join(f"{count} {reason}" for reason, count in left.items()) or "none"))
        (HERE / f"wycheproof_{self.name}.txt").write_text("\n".join(head + self.lines) + "\n")


def digest(octets):
    return sha256(bytes.fromhex(octets)).hexdigest()


def only_if_valid(test, value):
    return value if test["result"] == "valid" else None


def x25519(group, test):
    return {"secret": test["private"], "public": test["public"],
            "shared": None if "ZeroSharedSecret" in test["flags"] else test["shared"]}


def ed25519(group, test):
    if len(test["sig"]) != 128:
        return "whose signature is not of 64 octets"
    return {"public": group["publicKey"]["pk"], "message": test["msg"], "signature": test["sig"],
            "valid": only_if_valid(test, "01")}


def aead(group, test):
    if group["keySize"] != 256:
        return "whose key is not of 32 octets"
    if group["ivSize"] != 96:
        return "whose nonce is not of 12 octets"
    return {"key": test["key"], "nonce": test["iv"], "aad": test["aad"], "ciphertext": test["ct"] + test["tag"],
            "message": only_if_valid(test, test["msg"])}


def hkdf(hash_number):
    def judge(group, test):
        if test["info"]:
            return "with an info, which ours is not given but makes of items"
        if test["size"] > 256:
            return "of more than 256 octets"
        return {"hash": hash_number, "salt": test["salt"], "secret": test["ikm"], "made": test["okm"]}
    return judge


def hmac(hash_number, tag_size):
    def judge(group, test):
        if group["tagSize"] != 8 * tag_size:
            return "with a tag cut short, which ours never is"
        return {"hash": hash_number, "key": test["key"], "message": test["msg"], "tag": test["tag"],
                "valid": only_if_valid(test, "01")}
    return judge


class Oaep:
    """The key stands only where it changes."""

    def __init__(self):
        self.key = None

    def __call__(self, group, test):
        if (group["sha"], group["mgfSha"]) != ("SHA-256", "SHA-256"):
            return "of other hashes"
        if group["keySize"] not in (2048, 3072, 4096, 8192):
            return "of other sizes of keys"
        made = {"key": None, "bits": f"{group['keySize']:04x}", "label": test["label"], "ciphertext": test["ct"]}
        if group["privateKeyPkcs8"] != self.key:
            self.key = made["key"] = group["privateKeyPkcs8"]
        if test["result"] == "valid":
            made["shared" if len(test["msg"]) == 64 else "message"] = test["msg"]
        return made


def mlkem_keygen(group, test):
    return {"seed": test["seed"], "public_sha256": digest(test["ek"])}


def mlkem_decapsulate(group, test):
    return {"seed": test["seed"], "public_sha256": digest(test["ek"]) if "ek" in test else None,
            "ciphertext": test["c"], "shared": only_if_valid(test, test["K"])}


def mlkem_encapsulate(group, test):
    return {"public": test["ek"], "coins": test["m"],
            "ciphertext_sha256": only_if_valid(test, digest(test["c"])), "shared": only_if_valid(test, test["K"])}


def main():
    figures = Figures("x25519", "X25519", ["shared is absent where it would be zero."])
    figures.read("x25519", x25519)
    figures.write()

    figures = Figures("ed25519", "Ed25519", ["valid is absent where the signature must be refused."])
    figures.read("ed25519", ed25519)
    figures.write()

    for name, title in ("aes_gcm", "AES-256-GCM"), ("chacha20_poly1305", "ChaCha20-Poly1305"):
        figures = Figures(name, title, ["ciphertext: and tag. message is absent where it must be refused."])
        figures.read(name, aead)
        figures.write()

    figures = Figures("hkdf", "HKDF", ["hash: 0 is SHA-256, 1 is SHA-512."])
    figures.read("hkdf_sha256", hkdf("00"))
    figures.read("hkdf_sha512", hkdf("01"))
    figures.write()

    figures = Figures("hmac", "HMAC", ["hash: 0 is SHA-256, 1 is SHA-512. valid is absent where the tag must be refused."])
    figures.read("hmac_sha256", hmac("00", 32))
    figures.read("hmac_sha512", hmac("01", 64))
    figures.write()

    figures = Figures("rsa_oaep", "RSA-OAEP", [
        "key: PKCS #8, of this one and the following; bits: of it, u16. shared: the message where it has the",
        "32 octets that ours have; message: where it has not, which ours must refuse; neither: to be refused."])
    judge = Oaep()
    for source in ("rsa_oaep_2048_sha256_mgf1sha256", "rsa_oaep_3072_sha256_mgf1sha256",
                   "rsa_oaep_4096_sha256_mgf1sha256", "rsa_oaep_misc"):
        figures.read(source, judge)
    figures.write()

    figures = Figures("mlkem768", "ML-KEM-768", [
        "seed: d and z. public_sha256: of the key that comes of it. With public and coins: encapsulation.",
        "shared is absent where it must be refused. mlkem_768_semi_expanded_decaps was left: ours keeps the seed."])
    figures.read("mlkem_768_keygen_seed", mlkem_keygen)
    figures.read("mlkem_768", mlkem_decapsulate)
    figures.read("mlkem_768_encaps", mlkem_encapsulate)
    figures.write()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    DIRECTORY, COMMIT = Path(sys.argv[1]), sys.argv[2]
    main()
