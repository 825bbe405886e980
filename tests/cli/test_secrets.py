"""What is secret is gone from memory when it has been used."""

import pytest

from ctl_helper import SANITIZED, preload

pytestmark = pytest.mark.skipif(SANITIZED, reason="the sanitizers let nothing be preloaded")


def left(person, text, *words, **options):
    """In how many places of its memory the command had a line of the text when it ended."""
    seen = person.tmp / "seen"
    env = {"SECRET_WATCH": str(seen), "SECRET_REVERSED": text.splitlines()[3][::-1]}
    env |= preload("secret_watch.so", person.tmp)
    person.run(*words, env=env, **options)
    return int(seen.read_text())


def test_the_watch_finds_what_is_there(ann):
    assert left(ann, "\n" * 3 + "as it is an argument", "version", "as it is an argument") > 0


@pytest.mark.parametrize("words", [["-"], ["card"], ["-", "-o", "reply"], ["-", "--json", "-o", "-"]])
def test_a_card_that_is_taken(ann, bob, words):
    card = ann.offer("bob")
    (bob.tmp / "card").write_text(card)
    assert left(bob, card, "contact", "accept", "ann", *words, input=card) == 0
    assert bob.state("ann") == "unverified"


def test_a_card_that_is_refused(ann):
    card = ann.offer("bob")
    assert left(ann, card, "contact", "accept", "bob", input=card) == 0


@pytest.mark.parametrize("words", [[], ["-o", "card"], ["--json"]])
def test_a_card_that_is_offered(ann, words):
    card = ann.offer("bob")
    assert left(ann, card, "contact", "offer", "bob", *words) == 0


@pytest.mark.parametrize("words", [["-"], ["ann.fp"]])
def test_a_fingerprint(stranger, server, words):
    server.ok("invite", "ann", "-o", "ann.fp")
    fingerprint = (server.tmp / "ann.fp").read_text()
    assert left(stranger, fingerprint, "join", *words, input=fingerprint) == 0
    assert (stranger.home / "fingerprint").exists()


WORD = "a passphrase that is long enough to be found"


@pytest.mark.parametrize("words", [["passphrase"], ["init", "--passphrase"], ["contact", "list"], ["backup"],
                                   ["restore", "copy", "--replace"]])
def test_a_passphrase(stranger, words):
    given = {"input": f"{WORD}\n{WORD}\n"}
    if words[0] != "init":
        stranger.ok("init")
    if words[0] == "restore":
        stranger.ok("backup", "-o", "copy", "--passphrase-fd", "0", **given)
    elif words[0] != "init":
        stranger.ok("passphrase", "--passphrase-fd", "0", **given)
    assert left(stranger, "\n" * 3 + WORD, *words, "--passphrase-fd", "0", **given) == 0
    stranger.ok("contact", "list", "--passphrase-fd", "0", **given)


@pytest.mark.parametrize("words", [["contact", "offer", "bob", "-o", "card"], ["backup", "-o", "copy"],
                                   ["contact", "offer", "bob", "--qr", "-o", "card.png"]])
def test_what_was_sealed(ann, words):
    ann.ok("passphrase", "--passphrase-fd", "0", input=f"{WORD}\n")
    card = ann.ok("contact", "offer", "bob", "--passphrase-fd", "0", input=f"{WORD}\n").stdout
    assert left(ann, card, *words, "--passphrase-fd", "0", input=f"{WORD}\n{WORD}\n") == 0
