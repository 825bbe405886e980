"""ML-KEM-768 as our programs have it and the one of the subscriber in JavaScript: whatever they are given, they say the
same. As a program, for as many cases as you like: python3 tests/interop/test_mlkem.py COUNT"""

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILD = ROOT / os.environ.get("CYPHERNET_BUILD", "build")
CASE_SIZE = 64 + 32 + 1088
COEFFICIENT_AT = 64 + 32 + 4  # of a case, its value
MODULUS = 3329
ANSWER_SIZE = 1184 + 1088 + 3 * 32  # and 1088 + 32 more, unless that was refused


def one_case(source):
    """Every other one has a coefficient about as large as the modulus."""
    octets = bytearray(source.randbytes(CASE_SIZE))
    if source.getrandbits(1):
        octets[COEFFICIENT_AT : COEFFICIENT_AT + 2] = source.randrange(MODULUS - 2, MODULUS + 2).to_bytes(2, "big")
    return bytes(octets)


def cases(seed, count):
    """The same for a seed. Some are octets that random ones seldom are: all zeros, all ones."""
    source = random.Random(seed)
    plain = [bytes(CASE_SIZE), b"\xff" * CASE_SIZE]
    return plain + [one_case(source) for _ in range(count - len(plain))]


def answers(command, made):
    done = subprocess.run(command, input=b"".join(made), stdout=subprocess.PIPE, check=True)
    return done.stdout.decode().splitlines()


def compare(seed, count):
    made = cases(seed, count)
    ours = answers([BUILD / "tests/support/mlkem_driver"], made)
    theirs = answers([shutil.which("node"), ROOT / "tests/interop/mlkem.mjs"], made)
    assert len(ours) == len(theirs) == count
    for at, (one, other) in enumerate(zip(ours, theirs)):
        assert one == other, f"seed {seed}, case {at} of {count}: {made[at].hex()}"
    return ours


def test_both_say_the_same():
    ours = compare(random.SystemRandom().getrandbits(64), 150)
    refused = sum(len(line) == 2 * ANSWER_SIZE for line in ours)
    assert 0 < refused < len(ours), "keys of both kinds were among them"


if __name__ == "__main__":
    COUNT = int(sys.argv[1])
    compare(random.SystemRandom().getrandbits(64), COUNT)
    print(f"{COUNT} passed, 0 failed")
