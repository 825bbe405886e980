"""A disk that is full: told, and nothing half there, nothing lost. On a tiny file system of the test's own."""

import os
import shutil
import subprocess

import pytest

from cn_helper import exchange
from ctl_helper import BUILD

# $1: where it is mounted, $2: what to copy there, $3: size; then the command.
SCRIPT = """
set -e
mount -t tmpfs -o "size=$3" none "$1" 2>/dev/null || exit 99
cp -a "$2/." "$1/"
cat /dev/zero >"$1/.filler" 2>/dev/null || true
cd "$1"
shift 3
code=0
"$@" >/dev/null || code=$?
rm .filler
tar c .
exit $code
"""


@pytest.fixture
def full(tmp_path):
    """Runs a command where the disk is full: its exit code, what it said, and where to find what it left."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    count = 0

    def run(home, *words, **options):
        nonlocal count
        count += 1
        place, before, after = (tmp_path / f"{what}-{count}" for what in ("full", "before", "after"))
        for path in (place, before, after):
            path.mkdir()
        if home.exists():
            shutil.copytree(home, before / "home")
        command = ["unshare", "-m", "sh", "-c", SCRIPT, "sh", place, before, "256k", BUILD / "cyphernet", *words]
        env = {**os.environ, "CYPHERNET_HOME": str(place / "home")}
        done = subprocess.run([str(word) for word in command], env=env, capture_output=True, timeout=60, check=False,
                              **options)
        if done.returncode == 99 or b"unshare" in done.stderr:
            pytest.skip("not allowed to mount")
        subprocess.run(["tar", "x", "-C", after], input=done.stdout, check=True)
        return done.returncode, done.stderr.decode(), after

    return run


def files(directory):
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_no_identity(full, stranger):
    code, said, left = full(stranger.home, "init")
    assert code == 1 and "No space left" in said and files(left) == {}


def test_no_fingerprint(full, stranger, server):
    server.ok("invite", "ann", "-o", "ann.fp")
    code, said, left = full(stranger.home, "join", server.tmp / "ann.fp")
    assert code == 1 and "No space left" in said and files(left) == {}


def test_no_request(full, stranger):
    code, said, left = full(stranger.home, "request", "-o", "request")
    assert code == 1 and "No space left" in said and files(left) == {}


def test_no_card_and_none_lost(full, ann, bob):
    exchange(ann, bob)
    before = {f"home/{name}": text for name, text in files(ann.home).items()}
    for words in (["contact", "offer", "bob", "--new"], ["contact", "offer", "carol", "-o", "card"],
                  ["contact", "offer", "bob", "-o", "card"], ["contact", "verify", "bob", "--yes"]):
        code, said, left = full(ann.home, *words)
        assert code == 1 and "No space left" in said
        assert files(left) == before


def test_no_contact_and_none_lost(full, ann, bob):
    card = ann.offer("bob")
    bob.offer("carol")
    before = {f"home/{name}": text for name, text in files(bob.home).items()}
    code, said, left = full(bob.home, "contact", "accept", "ann", "-", input=card.encode())
    assert code == 1 and "No space left" in said
    assert files(left) == before
