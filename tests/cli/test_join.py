"""Joining a server: what is refused, with nothing written or lost; then what works."""

import random
import re

import pytest

from cn_helper import Person, exchange
from ctl_helper import Ctl, armor, fingerprint, unarmor


@pytest.fixture
def invitation(server):
    server.ok("invite", "ann", "-o", "ann.fp")
    return (server.tmp / "ann.fp").read_text()


@pytest.fixture
def elsewhere(tmp_path):
    """Another server's operator."""
    (tmp_path / "elsewhere").mkdir()
    return Ctl(tmp_path / "elsewhere").init()


def mangled(text):
    body = unarmor("FINGERPRINT", text)
    lines = text.splitlines(keepends=True)
    signature = bytearray(body)
    signature[100] ^= 1
    secret = bytearray(body)
    secret[130] ^= 2
    return {
        "nothing": ("", "empty", 1),
        "no armour": ("hello\n", "not a Cypher Net file", 1),
        "no end": ("".join(lines[:-1]), "the end is missing", 1),
        "line lost": ("".join(lines[:1] + lines[2:]), "checksum", 3),
        "huge": (text + "\n" * 70000, "far too long", 1),
        "a card": (armor("CARD", body), "another kind", 1),
        "empty body": (armor("FINGERPRINT", b""), "malformed", 1),
        "other version": (armor("FINGERPRINT", b"\x03" + body[1:]), "version", 1),
        "long body": (armor("FINGERPRINT", body + b"\x00"), "malformed", 1),
        "not signed so": (armor("FINGERPRINT", bytes(signature)), "not authentic", 3),
        "other secret": (armor("FINGERPRINT", bytes(secret)), "key is not valid", 3),
    }


WRONG = ["nothing", "no armour", "no end", "line lost", "huge", "a card", "empty body", "other version", "long body",
         "not signed so", "other secret"]


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_fingerprint(stranger, invitation, wrong):
    text, said, code = mangled(invitation)[wrong]
    assert said in stranger.bad(code, "join", "-", input=text)
    assert not stranger.home.exists()


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_fingerprint_does_not_harm_the_one_held(ann, wrong):
    text, said, code = mangled((ann.tmp / "ann.fp").read_text())[wrong]
    assert said in ann.bad(code, "join", input=text)
    ann.offer("bob")


def test_every_cut_body_is_refused(stranger, invitation):
    body = unarmor("FINGERPRINT", invitation)
    for size in random.Random(3).sample(range(len(body)), 30):
        assert stranger.run("join", input=armor("FINGERPRINT", body[:size])).returncode in (1, 3)
    assert not stranger.home.exists()


def test_an_invitation_without_its_secret(stranger, invitation):
    body = unarmor("FINGERPRINT", invitation)
    text = armor("FINGERPRINT", body[:123] + b"\x00" + body[156:])
    assert fingerprint(text)["secret"] is None
    assert "request" in stranger.bad(1, "join", input=text)
    assert not stranger.home.exists()


def test_the_answer_to_anothers_request(server, stranger, tmp_path):
    other = Person(tmp_path, "other")
    server.ok("admit", "-", "--name", "other", "-o", "other.fp", input=other.ok("request").stdout)
    stranger.ok("request", "-o", "mine")
    assert "another request" in stranger.bad(3, "join", "other.fp")
    other.ok("join", "other.fp")


def test_a_request_file_is_not_replaced(stranger):
    (stranger.tmp / "out").write_text("precious")
    assert "another name" in stranger.bad(1, "request", "-o", "out")
    assert not stranger.home.exists()


@pytest.mark.parametrize("name", ["fingerprint", "admission.key"])
def test_secrets_that_others_may_use(server, stranger, name):
    stranger.ok("request", "-o", "request")
    server.ok("admit", "request", "--name", "stranger", "-o", "stranger.fp")
    if name == "fingerprint":
        stranger.ok("join", "stranger.fp")
    path = stranger.home / name
    path.chmod(0o640)
    words = ["contact", "offer", "bob"] if name == "fingerprint" else ["request"]
    said = stranger.bad(1, *words)
    assert f"chmod 600 '{path}'" in said


def test_an_admission_key_that_is_damaged(stranger):
    stranger.ok("request")
    path = stranger.home / "admission.key"
    body = unarmor("ADMISSION KEY", path.read_text())
    for text in ("", "x", armor("ADMISSION KEY", b"\x02" + body[1:]), armor("ADMISSION KEY", body[:-1]),
                 armor("ADMISSION KEY", body + b"\x00"), armor("SERVER KEY", body)):
        path.write_text(text)
        assert str(path) in stranger.bad(1, "request")


def test_a_held_fingerprint_that_is_damaged(ann):
    path = ann.home / "fingerprint"
    good = path.read_text()
    for wrong, (text, _, _) in mangled(good).items():
        path.write_text(text)
        done = ann.run("contact", "offer", "bob")
        assert done.returncode in (1, 3) and done.stdout == "" and str(path) in done.stderr, wrong
        assert path.read_text() == text
    path.write_text(good)
    ann.offer("bob")


def test_another_server_only_with_replace(ann, bob, elsewhere):
    exchange(ann, bob)
    elsewhere.ok("invite", "ann", "-o", "ann.fp")
    assert "--replace" in ann.bad(1, "join", "elsewhere/ann.fp")
    ann.ok("join", "elsewhere/ann.fp", "--replace")
    assert "another server" in ann.bad(1, "contact", "accept", "carol", input=bob.offer("carol"))


def test_another_server_before_there_are_contacts(ann, elsewhere):
    elsewhere.ok("invite", "ann", "-o", "ann.fp")
    ann.ok("join", "elsewhere/ann.fp")


def test_joining_says_where_as_whom_and_until_when(stranger, invitation):
    done = stranger.ok("join", "ann.fp")
    assert done.stdout == ""
    for word in ("127.0.0.1:7473", "as ann", "until 20"):
        assert word in done.stderr
    assert "expires" not in done.stderr
    for name in ("identity", "fingerprint"):
        assert (stranger.home / name).stat().st_mode & 0o777 == 0o600


def test_joining_keeps_an_identity_that_is_there(stranger, invitation):
    stranger.ok("init")
    before = (stranger.home / "identity").read_bytes()
    stranger.ok("join", input=invitation)
    assert (stranger.home / "identity").read_bytes() == before


@pytest.mark.parametrize("days, told", [("13", True), ("14", True), ("16", False)])
def test_an_end_within_fourteen_days_is_announced(server, stranger, days, told):
    server.ok("invite", "ann", "--days", days, "-o", "ann.fp")
    assert ("expires in" in stranger.ok("join", "ann.fp").stderr) is told
    assert ("expires in" in stranger.ok("contact", "offer", "bob").stderr) is told


@pytest.mark.parametrize("days, said", [("1", "in 2[34] hours;"), ("2", "in (2 days|47 hours);"), ("14", "in 1[34] days;")])
def test_an_end_is_announced_in_words(server, stranger, days, said):
    server.ok("invite", "ann", "--days", days, "-o", "ann.fp")
    assert re.search(f"expires {said}", stranger.ok("join", "ann.fp").stderr)


def test_with_a_request_the_secret_never_leaves(server, stranger):
    stranger.ok("request", "-o", "request")
    text = (stranger.tmp / "request").read_text()
    assert stranger.ok("request").stdout == text
    server.ok("admit", "request", "--name", "stranger", "-o", "stranger.fp")
    assert fingerprint((stranger.tmp / "stranger.fp").read_text())["secret"] is None
    stranger.ok("join", "stranger.fp")
    held = fingerprint((stranger.home / "fingerprint").read_text())
    assert held["secret"] and held["secret"] not in unarmor("REQUEST", text)


def test_a_renewal_without_the_secret_is_taken(server, stranger):
    server.ok("admit", "-", "--name", "ann", "-o", "ann.fp", input=stranger.ok("request").stdout)
    stranger.ok("join", "ann.fp")
    server.ok("renew", "ann", "--days", "700", "-o", "new.fp")
    stranger.ok("join", "new.fp")
    stranger.offer("bob")
