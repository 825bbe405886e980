"""Contacts: what is refused, with nothing written or lost; then what works."""

import fcntl
import json
import os
import random
import subprocess
from pathlib import Path

import pytest

from cn_helper import Person, exchange
from ctl_helper import BUILD, Ctl, armor, unarmor
from live import until

LONG = "a" * 65


def card_of(body):
    return armor("CARD", body)


# --- texts that are no card


def mangled(card):
    """What is wrong with it, the text, and what is said."""
    body = unarmor("CARD", card)
    lines = card.splitlines(keepends=True)
    digit = "A" if lines[1][0] != "A" else "B"
    return {
        "nothing": ("", "empty"),
        "no armour": ("hello\n", "not a Cypher Net file"),
        "no end": ("".join(lines[:-1]), "the end is missing"),
        "half": (card[: len(card) // 2], "the end is missing"),
        "text before": ("x\n" + card, "not a Cypher Net file"),
        "text behind": (card + "x\n", "not a Cypher Net file"),
        "two": (card + card, "not a Cypher Net file"),
        "flipped digit": (lines[0] + digit + "".join(lines)[len(lines[0]) + 1 :], "checksum"),
        "line lost": ("".join(lines[:2] + lines[3:]), "checksum"),
        "huge": (card + "\n" * 70000, "far too long"),
        "empty body": (card_of(b""), "malformed"),
        "other version": (card_of(b"\x02" + body[1:]), "version"),
        "version 0": (card_of(b"\x00" + body[1:]), "version"),
        "cut body": (card_of(body[:-1]), "malformed"),
        "long body": (card_of(body + b"\x00"), "malformed"),
        "other kind": (armor("REQUEST", b"\x01" + bytes([9]) + bytes(31)), "another kind"),
        "identity": (armor("IDENTITY", body), "another kind"),
    }


@pytest.mark.parametrize("wrong", sorted(mangled(armor("CARD", bytes(99)))))
def test_what_is_no_card(ann, bob, wrong):
    text, said = mangled(ann.offer("bob"))[wrong]
    assert said in bob.bad(3 if said == "checksum" else 1, "contact", "accept", "ann", "-", input=text)
    (bob.tmp / "card").write_text(text)
    bob.bad(3 if said == "checksum" else 1, "contact", "accept", "ann", "card", "-o", "reply")
    assert bob.state("ann") is None


def test_every_cut_of_a_card_is_refused(ann, bob):
    card = ann.offer("bob")
    for size in random.Random(1).sample(range(1, len(card) - 1), 25):
        bob.bad(1, "contact", "accept", "ann", input=card[:size])


def test_every_cut_of_a_card_body_is_refused(ann, bob):
    body = unarmor("CARD", ann.offer("bob"))
    for size in [*range(1, 16), *random.Random(2).sample(range(16, len(body)), 15)]:
        bob.bad(1, "contact", "accept", "ann", input=card_of(body[:size]))


def test_no_file_and_no_readable_file(bob):
    assert "No such file" in bob.bad(1, "contact", "accept", "ann", "nowhere")
    assert "directory" in bob.bad(1, "contact", "accept", "ann", ".")


# --- names


@pytest.mark.parametrize("name", ["", "-a", ".a", "a b", "a/b", "../a", LONG, "a\n", "\x1b[1m", "bö", ".", ".."])
def test_what_is_no_name(ann, name):
    card = armor("CARD", bytes(99))
    for verb in ("offer", "accept", "verify", "show", "remove"):
        ann.bad(2, "contact", verb, "--", name, input=card)
    ann.offer("bob")
    ann.bad(2, "contact", "rename", "--", "bob", name)
    ann.bad(2, "contact", "rename", "--", name, "bob")


def test_names_at_the_limits(ann):
    for name in ("a", "0", "a" * 64, "a.-_", "x.tmp", "123"):
        ann.offer(name)
        assert ann.state(name) == "offered"


def test_an_unknown_contact(ann):
    for verb in ("verify", "show", "remove"):
        said = ann.bad(1, "contact", verb, "nobody")
        assert "nobody" in said and "contact list" in said
    assert "nobody" in ann.bad(1, "contact", "rename", "nobody", "bob")


def test_nothing_without_joining(stranger, ann):
    stranger.bad(1, "contact", "offer", "bob")
    stranger.bad(1, "contact", "accept", "ann", input=ann.offer("bob"))
    assert not stranger.home.exists()


# --- cards that are good, but not here


def test_my_own_card(ann):
    card = ann.offer("bob")
    for name in ("bob", "me"):
        assert "your own card" in ann.bad(1, "contact", "accept", name, input=card)


@pytest.mark.parametrize("again", ["the same card", "another card"])
def test_one_identity_under_a_second_name(ann, bob, again):
    first = ann.offer("bob")
    bob.accept("ann", first)
    card = first if again == "the same card" else ann.offer("robert")
    for options in ([], ["--replace"], ["-o", "reply"]):
        said = bob.bad(1, "contact", "accept", "anna", *options, input=card)
        assert "ann:" in said and "another name" in said and "contact rename ann NEW" in said


def test_one_identity_under_a_second_name_that_looks_like_a_temporary_file(ann, bob):
    bob.accept("x.tmp", ann.offer("bob"))
    assert "x.tmp" in bob.bad(1, "contact", "accept", "ann", input=ann.offer("robert"))


def test_a_second_card_only_with_replace(ann, bob):
    exchange(ann, bob)
    bob.ok("contact", "verify", "ann", "--yes")
    fresh = ann.offer("bob", "--new")
    assert "--replace" in bob.bad(1, "contact", "accept", "ann", input=fresh)
    assert bob.state("ann") == "verified"


def test_another_persons_card_needs_replace(ann, bob, person):
    exchange(ann, bob)
    eve = person("eve")
    assert "already there" in bob.bad(1, "contact", "accept", "ann", input=eve.offer("bob"))


def test_replace_ends_verification(ann, bob):
    exchange(ann, bob)
    before = bob.safety("ann")
    bob.ok("contact", "verify", "ann", "--yes")
    ann.ok("contact", "verify", "bob", "--yes")
    fresh = ann.offer("bob", "--new")
    assert ann.state("bob") == "unverified"
    bob.accept("ann", fresh, "--replace")
    assert bob.state("ann") == "unverified"
    assert bob.safety("ann") == ann.safety("bob") != before


def test_a_card_that_answers_a_card_for_another(ann, bob):
    bob.accept("ann", ann.offer("bob"))
    ann.offer("carol")
    said = ann.bad(2, "contact", "accept", "carol", input=bob.offer("ann"))
    assert "bob" in said


def test_a_card_that_answers_an_older_card(ann, bob):
    bob.accept("ann", ann.offer("bob"))
    reply = bob.offer("ann")
    ann.offer("bob", "--new")
    assert "another card" in ann.bad(2, "contact", "accept", "bob", input=reply)


def test_a_card_of_another_server(tmp_path, ann):
    (tmp_path / "elsewhere").mkdir()
    other = Ctl(tmp_path / "elsewhere").init()
    other.ok("invite", "zoe", "-o", "zoe.fp")
    zoe = Person(tmp_path, "zoe")
    zoe.ok("join", "elsewhere/zoe.fp")
    assert "another server" in ann.bad(1, "contact", "accept", "zoe", input=zoe.offer("ann"))


# --- files


@pytest.mark.parametrize("what", ["file", "directory", "dangling link"])
def test_the_output_is_there_already(ann, bob, what):
    card = ann.offer("bob")
    out = bob.tmp / "out"
    if what == "file":
        out.write_text("precious")
    elif what == "directory":
        out.mkdir()
    else:
        out.symlink_to("nowhere")
    assert "another name" in bob.bad(1, "contact", "accept", "ann", "-o", "out", input=card)
    bob.bad(1, "contact", "offer", "ann", "-o", "out")
    bob.bad(1, "contact", "offer", "ann", "--new", "-o", "out")
    assert bob.state("ann") is None


def test_an_output_that_cannot_be_made_changes_nothing(ann, bob, stranger):
    card = ann.offer("bob")
    assert "No such file" in bob.bad(1, "contact", "accept", "ann", "-o", "no/where", input=card)
    assert "No such file" in bob.bad(1, "contact", "offer", "ann", "-o", "no/where")
    assert bob.state("ann") is None
    stranger.bad(1, "request", "-o", "no/where")
    assert not stranger.home.exists()


def test_a_reply_that_is_lost_hides_no_safety_number(ann, bob):
    card = ann.offer("bob")
    with open("/dev/full", "w") as full:
        done = bob.run("contact", "accept", "ann", "-o", "-", input=card, capture_output=False, stdout=full, stderr=-1)
    assert done.returncode == 1 and "No space left" in done.stderr
    assert bob.safety("ann") in done.stderr


def test_a_card_file_is_for_its_owner_alone(ann):
    ann.ok("contact", "offer", "bob", "-o", "bob.card")
    assert (ann.tmp / "bob.card").stat().st_mode & 0o777 == 0o600
    assert (ann.home / "contacts").stat().st_mode & 0o777 == 0o700
    assert (ann.home / "contacts/bob").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o666, 0o700 | 0o010])
def test_a_contact_that_others_may_use(ann, mode):
    ann.offer("bob")
    (ann.home / "contacts/bob").chmod(mode)
    for words in (["show", "bob"], ["offer", "bob"], ["list"], ["verify", "bob"]):
        said = ann.bad(1, "contact", *words)
        assert f"chmod 600 '{ann.home / 'contacts/bob'}'" in said
        assert "No such file" not in said


def test_a_contact_file_that_is_damaged(ann, bob):
    exchange(ann, bob)
    path = ann.home / "contacts/bob"
    good = path.read_text()
    body = unarmor("CONTACT", good)
    bad = [good[:-40], good.replace("CONTACT", "CARD"), armor("CONTACT", b"\x02" + body[1:])]
    bad += [armor("CONTACT", body[:1] + b"\x02" + body[2:]), armor("CONTACT", body + b"\x00")]
    bad += [armor("CONTACT", body[:size]) for size in (0, 1, 2, 3, 4, 100, len(body) - 1)]
    bad += ["", "x" * 40000, good[:80] + ("A" if good[80] != "A" else "B") + good[81:]]
    for text in bad:
        path.write_text(text)
        for words in (["show", "bob"], ["offer", "bob"], ["list"], ["verify", "bob", "--yes"]):
            done = ann.run("contact", *words)
            assert done.returncode in (1, 3) and done.stdout == "" and str(path) in done.stderr
            assert "hint: restore it from a copy" in done.stderr or "hint: made by a newer" in done.stderr
        assert path.read_text() == text
    path.write_text(good)
    assert ann.state("bob") == "unverified"


@pytest.mark.parametrize("wrong", ["open to others", "damaged", "a directory", "of another identity"])
def test_one_bad_contact_hides_no_other(ann, bob, person, wrong):
    exchange(ann, bob)
    ann.offer("adam")
    ann.offer("zoe")
    path = ann.home / "contacts/bob"
    if wrong == "open to others":
        path.chmod(0o640)
    elif wrong == "damaged":
        path.write_text(path.read_text()[:-60])
    elif wrong == "a directory":
        path.unlink()
        path.mkdir()
    else:
        (ann.home / "identity").unlink()
        ann.ok("init")
    for words in (["list"], ["list", "--json"]):
        done = ann.run("contact", *words)
        assert done.returncode == 1
        assert ["adam" in line for line in done.stdout.splitlines()] == [True, False]
        assert "bob" not in done.stdout and done.stdout.count("zoe") == 1
        assert "contacts/bob" in done.stderr or "listing: bob: " in done.stderr
        assert "adam" not in done.stderr and "zoe" not in done.stderr
        assert "cyphernet: hint: " in done.stderr or wrong == "a directory"


def test_without_an_identity_that_is_told_once(ann):
    ann.offer("bob")
    ann.offer("carol")
    (ann.home / "identity").write_text("")
    said = ann.bad(1, "contact", "list")
    assert said.count("error: ") == 1 and str(ann.home / "identity") in said


def test_cards_made_with_an_identity_that_is_gone(ann, bob):
    exchange(ann, bob)
    (ann.home / "identity").unlink()
    ann.ok("init")
    assert "hint: the cards were made with another identity" in ann.bad(3, "contact", "show", "bob")


def test_a_contact_file_that_is_a_link(ann):
    ann.offer("bob")
    (ann.home / "contacts/bob").rename(ann.tmp / "elsewhere")
    (ann.home / "contacts/bob").symlink_to(ann.tmp / "elsewhere")
    ann.bad(1, "contact", "show", "bob")


def test_a_full_disk_is_told(ann):
    with open("/dev/full", "w") as full:
        done = ann.run("contact", "offer", "bob", capture_output=False, stdout=full, stderr=-1)
    assert done.returncode == 1 and "No space left" in done.stderr and "hint: make room" in done.stderr


def test_an_identity_that_is_a_link(ann):
    (ann.home / "identity").rename(ann.tmp / "elsewhere")
    (ann.home / "identity").symlink_to(ann.tmp / "elsewhere")
    assert "hint: a file with secrets must be there itself" in ann.bad(1, "contact", "offer", "bob")


@pytest.mark.parametrize("missing", ["identity", "fingerprint"])
def test_a_file_that_is_missing(ann, bob, missing):
    exchange(ann, bob)
    (ann.home / missing).unlink()
    for words in (["contact", "offer", "bob", "--new"], ["contact", "accept", "zoe", "card"], ["pipe", "bob"]):
        (ann.tmp / "card").write_text(bob.offer("zoe"))
        said = ann.bad(1, *words)
        assert str(ann.home / missing) in said and "hint: `cyphernet join FILE`" in said
        assert "contact list" not in said


@pytest.mark.parametrize("words", [["verify", "bob"], ["verify", "bob", "--yes"], ["verify", "bob", "--json"],
                                   ["show", "bob"], ["list"], ["list", "--json"]])
def test_an_answer_that_is_lost_is_told(ann, bob, words):
    exchange(ann, bob)
    with open("/dev/full", "w") as full:
        done = ann.run("contact", *words, capture_output=False, stdout=full, stderr=-1)
    assert done.returncode == 1 and "error: standard output: " in done.stderr
    assert ann.state("bob") == "unverified"


def test_offers_at_the_same_time_are_one_card(ann):
    env = {**os.environ, "CYPHERNET_HOME": str(ann.home)}
    command = [BUILD / "cyphernet", "contact", "offer", "bob"]
    running = [subprocess.Popen(command, env=env, stdout=-1, stderr=-1, text=True) for _ in range(12)]
    cards = {process.communicate(timeout=60)[0] for process in running}
    assert len(cards) == 1 and ann.offer("bob") in cards
    assert [path.name for path in (ann.home / "contacts").iterdir()] == ["bob"]


@pytest.mark.parametrize("words", [["rename", "bob", "carl"], ["remove", "bob"], ["offer", "bob"]])
def test_another_process_is_waited_for(ann, words):
    """One that has read the contact and will write it back."""
    ann.offer("bob")
    lock = os.open(ann.home, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    env = {**os.environ, "CYPHERNET_HOME": str(ann.home)}
    running = subprocess.Popen([BUILD / "cyphernet", "contact", *words], env=env, stdout=subprocess.DEVNULL)
    waits = f"-> FLOCK  ADVISORY  WRITE {running.pid} "
    until(lambda: waits in Path("/proc/locks").read_text() or running.poll() is not None, "it waits")
    assert running.poll() is None and (ann.home / "contacts/bob").exists()
    os.close(lock)
    assert running.wait(60) == 0


# --- verifying


def test_verifying_needs_both_cards(ann, bob):
    ann.offer("bob")
    assert "not exchanged" in ann.bad(1, "contact", "verify", "bob", "--yes")
    assert ann.state("bob") == "offered"


def test_without_a_terminal_nothing_is_verified_by_itself(ann, bob):
    exchange(ann, bob)
    done = ann.ok("contact", "verify", "bob", input="y\n")
    assert done.stdout == ann.compared("bob")
    assert ann.state("bob") == "unverified"
    ann.ok("contact", "verify", "bob", "--yes")
    assert ann.state("bob") == "verified"


# --- renaming and removing


def test_a_name_that_is_taken(ann):
    ann.offer("bob")
    ann.offer("carol")
    said = ann.bad(1, "contact", "rename", "bob", "carol")
    assert "carol" in said and "another name" in said and "--replace" not in said
    assert ann.state("bob") == ann.state("carol") == "offered"


def test_renaming_keeps_everything(ann, bob):
    exchange(ann, bob)
    ann.ok("contact", "verify", "bob", "--yes")
    number, card = ann.safety("bob"), ann.offer("bob")
    ann.ok("contact", "rename", "bob", "robert")
    assert ann.state("bob") is None and ann.state("robert") == "verified"
    assert ann.safety("robert") == number and ann.offer("robert") == card


def test_removing(ann, bob):
    exchange(ann, bob)
    ann.ok("contact", "remove", "bob")
    assert ann.state("bob") is None
    ann.bad(1, "contact", "remove", "bob")


# --- the way it goes


def test_both_see_one_safety_number(ann, bob):
    exchange(ann, bob)
    number = ann.safety("bob")
    assert number == bob.safety("ann")
    assert [len(group) for group in number.split()] == [5] * 12


def test_accept_with_a_card_in_reply(ann, bob):
    ann.ok("contact", "offer", "bob", "-o", "for-bob")
    done = bob.ok("contact", "accept", "ann", "for-bob", "-o", "for-ann")
    assert done.stdout == bob.compared("ann") and "contact verify ann" in done.stderr
    assert (bob.tmp / "for-ann").stat().st_mode & 0o777 == 0o600
    ann.ok("contact", "accept", "bob", "for-ann")
    assert ann.safety("bob") == bob.safety("ann")


@pytest.mark.parametrize("again", [False, True])
def test_accept_prints_the_safety_number_even_if_quiet(ann, bob, again):
    card = ann.offer("bob")
    if again:
        bob.accept("ann", card)
    done = bob.accept("ann", card, "-q")
    assert done.stdout == bob.compared("ann") and done.stderr == ""


def test_a_reply_to_standard_output_has_it_for_itself(ann, bob):
    done = bob.accept("ann", ann.offer("bob"), "-o", "-")
    assert done.stdout == bob.offer("ann") and bob.safety("ann") in done.stderr


def test_accept_and_verify_as_json(ann, bob):
    row = json.loads(bob.accept("ann", ann.offer("bob"), "--json").stdout)
    assert row == {"v": 1, "event": "safety", "name": "ann", "safety": bob.safety("ann"), "words": bob.words("ann")}
    for options, state in (([], "unverified"), (["--yes"], "verified"), ([], "verified")):
        number, outcome = map(json.loads, bob.ok("contact", "verify", "ann", "--json", *options).stdout.splitlines())
        assert number == row
        assert (outcome["event"], outcome["name"], outcome["state"]) == ("contact", "ann", state)
        assert outcome["verified"] == (state == "verified")


def test_cards_as_json(ann, bob, stranger):
    row = json.loads(ann.ok("contact", "offer", "bob", "--json").stdout)
    assert row == {"v": 1, "event": "card", "text": ann.offer("bob")}
    safety, reply = map(json.loads, bob.accept("ann", row["text"], "--json", "-o", "-").stdout.splitlines())
    assert reply == {"v": 1, "event": "card", "text": bob.offer("ann")}
    assert safety == {"v": 1, "event": "safety", "name": "ann", "safety": bob.safety("ann"), "words": bob.words("ann")}
    row = json.loads(stranger.ok("request", "--json").stdout)
    assert row == {"v": 1, "event": "request", "text": stranger.ok("request").stdout}
    ann.ok("contact", "offer", "bob", "--json", "-o", "file")
    assert (ann.tmp / "file").read_text() == ann.offer("bob")


def test_an_offer_is_the_same_until_new(ann):
    first = ann.offer("bob")
    assert ann.offer("bob") == first
    assert ann.offer("bob", "--new") != first


def test_the_same_card_again_changes_nothing(ann, bob):
    exchange(ann, bob)
    bob.ok("contact", "verify", "ann", "--yes")
    before = bob.files()
    bob.accept("ann", ann.offer("bob"))
    assert bob.files() == before


def test_windows_line_ends_and_blank_lines_are_taken(ann, bob):
    bob.accept("ann", "\n" + ann.offer("bob").replace("\n", "\r\n") + "\n")


def test_list_and_show_as_json(ann, bob):
    exchange(ann, bob)
    ann.offer("carol")
    rows = [json.loads(line) for line in ann.ok("contact", "list", "--json").stdout.splitlines()]
    assert [row["name"] for row in rows] == ["bob", "carol"]
    assert rows[0]["v"] == 1 and rows[0]["safety"] == ann.safety("bob") and rows[0]["made_for"] == "ann"
    assert rows[1]["accepted"] is False and rows[1]["safety"] == ""
    assert json.loads(ann.ok("contact", "show", "bob", "--json").stdout) == rows[0]


# --- preferences


@pytest.mark.parametrize(
    "text",
    ["suites = NONE\n", "suites =\n", "suite = SHA256-AES256GCM\n", "[x]\nsuites = SHA256-AES256GCM\n", "nonsense\n",
     "suites = SHA256-AES256GCM\nsuites = SHA256-AES256GCM\n", "x" * 20000, "suites = SHA256-AES256GCM\0\n"],
)
def test_preferences_that_are_not_understood(ann, text):
    (ann.home / "config").write_text(text)
    said = ann.bad(1, "contact", "offer", "bob")
    assert str(ann.home / "config") in said and "not understood" in said and "hint: cyphernet(1)" in said


def test_preferred_suites_are_offered_in_order(ann, bob):
    (ann.home / "config").write_text("# mine\nsuites = SHA512-AES256GCM, SHA256-CHACHA20POLY1305\n")
    exchange(ann, bob)
    row = json.loads(ann.ok("contact", "show", "bob", "--json").stdout)
    assert row["suite"] in ("SHA512-AES256GCM", "SHA256-CHACHA20POLY1305")
    assert json.loads(bob.ok("contact", "show", "ann", "--json").stdout)["suite"] == row["suite"]
