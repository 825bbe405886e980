"""Changing the identity: what is told, refused and kept. Calls that move contacts are in tests/e2e/test_moving_on.py."""

import json

import pytest

from cn_helper import exchange


@pytest.fixture
def friends(ann, bob):
    exchange(ann, bob)
    ann.ok("contact", "verify", "bob", "--yes")
    return ann, bob


def test_without_an_identity_there_is_none_to_change(stranger):
    said = stranger.bad(1, "rotate")
    assert "identity" in said and "cyphernet init" in said
    assert "identity" in stranger.bad(1, "rotate", "--status")
    assert "identity" in stranger.bad(1, "rotate", "--finish", "--yes")


def test_without_contacts_it_is_changed_at_once(ann):
    before = (ann.home / "identity").read_bytes()
    done = ann.ok("rotate", "--rsa", "2048")
    assert "RSA-2048" in done.stderr and done.stdout == ""
    assert (ann.home / "identity").read_bytes() != before
    assert (ann.home / "identity").stat().st_mode & 0o777 == 0o600
    assert not (ann.home / "identity.next").exists()


def test_with_contacts_it_stays_until_all_have_moved(friends):
    ann, _ = friends
    ann.offer("carol")
    card = ann.offer("bob")
    before = (ann.home / "identity").read_bytes()
    done = ann.ok("rotate")
    assert done.stdout.splitlines() == [
        f"{'bob':24} the next call hands over your new card",
        f"{'carol':24} has not answered your card: offer a new one",
    ]
    assert "2 more have moved" in done.stderr
    assert (ann.home / "identity").read_bytes() == before
    assert (ann.home / "identity.next").stat().st_mode & 0o777 == 0o600
    assert ann.ok("rotate", "--status").stdout == done.stdout
    assert ann.offer("bob") == card
    assert ann.state("bob") == "verified"
    assert "identity.next" in ann.bad(1, "rotate")
    assert ann.shown("bob", "moving") == "the next call hands over your new card"


def test_json(friends):
    ann, _ = friends
    rows = [json.loads(line) for line in ann.ok("rotate", "--json").stdout.splitlines()]
    assert rows == [
        {"v": 1, "event": "rotation", "under_way": True, "identity": "X25519"},
        {"v": 1, "event": "moving", "name": "bob", "moving": "call"},
    ]
    assert [json.loads(line) for line in ann.ok("rotate", "--status", "--json").stdout.splitlines()] == rows
    assert json.loads(ann.ok("contact", "show", "bob", "--json").stdout)["moving"] == "call"
    checks = [json.loads(line) for line in ann.run("doctor", "--json").stdout.splitlines()]
    assert "not moved: 1" in next(row["text"] for row in checks if row["check"] == "rotation")


def test_who_is_not_verified_is_told(ann, bob):
    exchange(ann, bob)
    assert "is not verified" in ann.ok("rotate").stdout


def test_finishing_asks_and_leaves_behind(friends):
    ann, bob = friends
    assert "rotate" in ann.bad(1, "rotate", "--finish", "--yes")
    ann.ok("rotate")
    before = ann.files()
    done = ann.run("rotate", "--finish")
    assert done.returncode == 2 and "--yes" in done.stderr
    assert "bob" in done.stdout and ann.files() == before
    done = ann.ok("rotate", "--finish", "--yes")
    assert "the old one is gone" in done.stderr and done.stdout.startswith("bob ")
    assert not (ann.home / "identity.next").exists()
    assert ann.state("bob") == "accepted"
    bob.accept("ann", ann.offer("bob"), "--replace")
    ann.accept("bob", bob.offer("ann"))
    assert ann.safety("bob") == bob.safety("ann")


def test_a_new_identity_that_is_damaged_is_named(friends):
    ann, _ = friends
    ann.ok("rotate")
    (ann.home / "identity.next").write_text("no identity\n")
    assert "identity.next" in ann.bad(1, "rotate", "--status")
    assert "identity.next" in ann.bad(1, "rotate", "--finish", "--yes")


def test_backup_and_passphrase_hold_both(friends, stranger):
    ann, _ = friends
    ann.ok("rotate")
    with (ann.tmp / "pass").open("w") as file:
        file.write("a passphrase\n")
    kept = {name: (ann.home / name).read_bytes() for name in ("identity", "identity.next", "contacts/bob")}

    def given(person, *words):
        with (ann.tmp / "pass").open() as file:
            return person.ok("--passphrase-fd", file.fileno(), *words, pass_fds=[file.fileno()])

    given(ann, "backup", "-o", "all")
    given(stranger, "restore", ann.tmp / "all")
    assert {name: (stranger.home / name).read_bytes() for name in kept} == kept
    given(ann, "passphrase")
    assert b"SEALED FILE" in (ann.home / "identity.next").read_bytes()
    assert "bob" in given(ann, "rotate", "--status").stdout
    given(ann, "rotate", "--finish", "--yes")
    assert b"SEALED FILE" in (ann.home / "identity").read_bytes()
    assert not (ann.home / "identity.next").exists()
