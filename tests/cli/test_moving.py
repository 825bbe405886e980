"""Going to another server, and coming by new cards there; requests before and after joining."""

import subprocess

import pytest

from cn_helper import exchange
from ctl_helper import BUILD, Ctl, armor, unarmor


@pytest.fixture
def elsewhere(tmp_path, ann, bob):
    """Another server's operator, with fingerprints for both."""
    (tmp_path / "elsewhere").mkdir()
    other = Ctl(tmp_path / "elsewhere").init()
    for name in ("ann", "bob"):
        other.ok("invite", name, "-o", f"{name}.fp")
    return other


def move(who):
    who.ok("join", f"elsewhere/{who.name}.fp", "--replace")


def test_cards_of_the_server_that_was_left_make_no_call(ann, bob, elsewhere):
    exchange(ann, bob)
    move(ann)
    said = ann.bad(1, "pipe", "bob", "--wait", "1")
    assert "bob" in said and "another server" in said


def test_a_card_of_the_server_that_was_left_is_refused(ann, bob, elsewhere):
    old = bob.offer("ann")
    move(ann)
    assert "another server" in ann.bad(1, "contact", "accept", "bob", input=old)


def test_after_moving_an_offer_is_a_new_card(ann, bob, elsewhere):
    exchange(ann, bob)
    bob.ok("contact", "verify", "ann", "--yes")
    ann.ok("contact", "verify", "bob", "--yes")
    old = ann.offer("bob")
    move(ann)
    new = ann.offer("bob")
    assert new != old and ann.offer("bob") == new
    assert ann.state("bob") == "offered"  # the old card of bob's is gone with the server
    assert "another server" in bob.bad(1, "contact", "accept", "ann", "--replace", input=new)
    move(bob)
    assert "--replace" in bob.bad(1, "contact", "accept", "ann", input=new)
    bob.accept("ann", new, "--replace")
    ann.accept("bob", bob.offer("ann"))
    assert ann.safety("bob") == bob.safety("ann")
    assert ann.state("bob") == bob.state("ann") == "unverified"


def test_after_moving_accepting_makes_a_new_card_too(ann, bob, elsewhere):
    ann.offer("bob")
    move(ann)
    move(bob)
    ann.accept("bob", bob.offer("ann"))
    bob.accept("ann", ann.offer("bob"))
    assert ann.safety("bob") == bob.safety("ann")


def test_staying_where_one_is_asks_for_no_replace(ann, bob, elsewhere):
    """A renewed fingerprint is taken whatever the contacts are, and how they are."""
    ann.offer("bob")
    move(ann)
    ann.ok("join", "elsewhere/ann.fp")
    (ann.home / "contacts/bob").write_text("damaged")
    ann.ok("join", "elsewhere/ann.fp")
    assert str(ann.home / "contacts/bob") in ann.bad(1, "join", "ann.fp")  # it may be of the one or the other


def test_the_card_held_is_taken_again_whatever_it_answers(ann, bob):
    exchange(ann, bob)
    held = bob.offer("ann")
    ann.offer("bob", "--new")
    before = ann.files()
    ann.accept("bob", held)
    assert ann.files() == before


def test_a_request_is_the_same_until_it_is_answered(server, stranger):
    first = stranger.ok("request").stdout
    assert stranger.ok("request").stdout == first
    server.ok("admit", "-", "--name", "ann", "-o", "ann.fp", input=first)
    stranger.ok("join", "ann.fp")
    assert not (stranger.home / "admission.key").exists()
    stranger.ok("join", "ann.fp")  # again: its key is the fingerprint's now
    stranger.offer("bob")
    assert stranger.ok("request").stdout != first


def test_an_invitation_does_not_use_up_a_request(server, stranger):
    first = stranger.ok("request").stdout
    server.ok("invite", "ann", "-o", "ann.fp")
    stranger.ok("join", "ann.fp")
    assert stranger.ok("request").stdout == first


@pytest.mark.parametrize("kind, words", [("CARD", ["contact", "accept", "bob"]), ("FINGERPRINT", ["join"])])
def test_a_body_longer_than_any_is_malformed(ann, kind, words):
    for size in (4097, 16384):
        assert "malformed" in ann.bad(1, *words, input=armor(kind, bytes([1]) * size))


def test_files_longer_than_any_are_malformed(ann):
    ann.offer("bob")
    for name, kind in (("identity", "IDENTITY"), ("fingerprint", "FINGERPRINT"), ("contacts/bob", "CONTACT")):
        path = ann.home / name
        good = path.read_text()
        body = unarmor(kind, good)
        path.write_text(armor(kind, body + bytes(16384 - len(body))))
        said = ann.bad(1, "contact", "offer", "carol" if name != "contacts/bob" else "bob")
        assert "malformed" in said and str(path) in said
        path.write_text(good)


def test_memory_that_cannot_be_locked_is_a_warning(stranger, tmp_path):
    if b"__asan_init" in (BUILD / "cyphernet").read_bytes():
        pytest.skip("the sanitizer locks no memory")
    script = tmp_path / "unlocked"
    script.write_text(f'ulimit -l 0; exec setpriv --bounding-set -ipc_lock "{BUILD}/cyphernet" "$@"\n')

    def run(*words):
        return subprocess.run(["sh", str(script), *words], capture_output=True, text=True, timeout=60,
                              env={"CYPHERNET_HOME": str(stranger.home), "PATH": "/usr/bin:/bin"})

    done = run("init")
    if "setpriv" in done.stderr:
        pytest.skip("not allowed to drop a capability")
    assert done.returncode == 0 and done.stderr.count("warning: keys cannot be locked") == 1
