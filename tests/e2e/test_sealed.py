"""Calls of one whose keys are under a passphrase, and of one whose home came from a backup."""

import os

from cn_helper import Person
from live import piped

WORD = "correct horse"


def given(tmp, *words):
    """A descriptor with these, a line each."""
    path = tmp / f"words-{os.urandom(4).hex()}"
    path.write_text("".join(f"{word}\n" for word in words))
    return os.open(path, os.O_RDONLY)


def test_a_call_needs_the_passphrase_and_is_as_any_other(own_pair, own):
    ann, bob = own_pair
    ann.ok("passphrase", "--passphrase-fd", "0", input=f"{WORD}\n")
    bad = given(own.tmp, "incorrect horse")
    running = own.start(ann, "pipe", "bob", "--passphrase-fd", bad, pass_fds=[bad])
    running.end(1)
    assert "the passphrase is wrong" in running.said()
    good = given(own.tmp, WORD)
    first = own.start(ann, "pipe", "bob", "--passphrase-fd", good, stdin=b"there" * 1000, pass_fds=[good])
    second = own.start(bob, "pipe", "ann", stdin=b"back" * 1000)
    first.end(0)
    second.end(0)
    assert (second.got(), first.got()) == (b"there" * 1000, b"back" * 1000)


def test_a_home_from_a_backup_calls_as_the_one_it_was(own_pair, own):
    ann, bob = own_pair
    ann.ok("backup", "-o", "backup", "--passphrase-fd", "0", input=f"{WORD}\n")
    again = Person(own.tmp, "again")
    again.ok("restore", "backup", "--passphrase-fd", "0", input=f"{WORD}\n")
    again.name = ann.name
    assert piped(own, again, bob, b"there", b"back") == (b"there", b"back")


def test_a_fingerprint_is_renewed_under_a_passphrase(own_pair, own):
    """What the server says is stored sealed, too."""
    ann, _ = own_pair
    ann.ok("passphrase", "--passphrase-fd", "0", input=f"{WORD}\n")
    before = (ann.home / "fingerprint").read_text()
    own.ctl.ok("renew", "ann", "--days", "300")
    fd = given(own.tmp, WORD)
    running = own.start(ann, "talk", "bob", "--passphrase-fd", fd, pass_fds=[fd])
    running.says("renewed")
    running.stop()
    after = (ann.home / "fingerprint").read_text()
    assert after != before and "SEALED FILE" in after
    fd = given(own.tmp, WORD)
    assert ann.run("doctor", "--passphrase-fd", str(fd), pass_fds=[fd]).stdout.count("BAD") == 0
