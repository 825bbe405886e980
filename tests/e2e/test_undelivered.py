"""talk: what the partner has not got is kept, encrypted, and said again in the next talk, once. PROTOCOL.md 2.19, 7.3"""

import base64
import hmac
import itertools
import json
import os
import resource
import signal
import struct
import subprocess

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from cn_helper import exchange
from live import until
from screen import END, ENTER, INTERRUPT, Screen

PIPE = subprocess.PIPE
SITTING = 1
KEPT = "not known to have arrived: kept, encrypted, and sent in the next talk with bob"


@pytest.fixture
def world(own, own_pair):
    own.ann, own.bob = own_pair
    return own


def kept(world, one=None):
    one = one or world.ann
    return one.home / "undelivered" / ("bob" if one is world.ann else "ann")


def heard(*ends):
    """The texts that were shown, by one after the other; a last line that a kill has cut does not count."""
    return [line.split(": ", 1)[1] for end in ends for line in end.got().decode().split("\n")[:-1]]


def say(end, *texts):
    for text in texts:
        end.stdin.write(text.encode() + b"\n")
        end.stdin.flush()


def talk(world, *words, **options):
    return (world.start(world.ann, "talk", "bob", *words, stdin=PIPE, **options),
            world.start(world.bob, "talk", "ann", stdin=PIPE, **options))


def leave(*ends):
    for end in ends:
        end.stdin.close()
    for end in ends:
        end.end(0)


def leave_undelivered(world, *texts, words=(), **options):
    """Ann says `first`, which comes; then these, which do not: bob stands still, and is killed. Both ends."""
    one, other = talk(world, *words, **options)
    say(one, "first")
    until(lambda: heard(other) == ["first"], "the first has come")
    say(other, "answer")
    until(lambda: b"answer" in one.got(), "that has come, and before it that the first had")
    other.signal(signal.SIGSTOP)
    before = kept(world).stat().st_size if kept(world).exists() else 0
    say(one, *texts)
    until(lambda: not kept(world).exists() or kept(world).stat().st_size >= before + 85 * len(texts), "they are kept")
    other.stop()
    one.end(5)
    return one, other


# --- what it is for


def test_what_did_not_arrive_goes_in_the_next_talk(world):
    one, other = leave_undelivered(world, "second", "third")
    assert f"2 of your texts are {KEPT}" in one.said()
    assert heard(other) == ["first"]
    one, other = talk(world)
    one.says("2 texts of an earlier talk, which bob did not get, are sent now")
    say(one, "fourth")
    until(lambda: heard(other) == ["second", "third", "fourth"], "all have come, in order")
    leave(one, other)
    assert "kept" not in one.said()
    assert not kept(world).exists() and not kept(world, world.bob).exists(), "nothing is left of it"


def test_an_interrupted_talk_with_nothing_under_way_leaves_no_text(world):
    one, other = talk(world)
    say(one, "first")
    until(lambda: heard(other) == ["first"], "it has come")
    say(other, "answer")
    until(lambda: heard(one) == ["answer"], "it has come, and before it that the first had")
    other.stop()
    one.end(5)
    assert KEPT not in one.said()
    assert kinds(world) == [(1, b"bob"), (3,)], "how far bob was heard, and nothing of ours"


def test_again_and_again(world):
    """Three talks that break, before one that does not."""
    others = []
    for number in range(3):
        one, other = talk(world)
        say(other, f"answer {number}")
        until(lambda: b"answer" in one.got(), "they talk")
        other.signal(signal.SIGSTOP)
        size = kept(world).stat().st_size
        say(one, f"later {number}")
        until(lambda: kept(world).stat().st_size > size, "it is kept")
        other.stop()
        others.append(other)
        one.end(5)
        assert KEPT in one.said()
    one, other = talk(world)
    until(lambda: heard(*others, other) == ["later 0", "later 1", "later 2"], "all have come, in order")
    leave(one, other)


def test_who_leaves_at_once_still_sends_them(world):
    leave_undelivered(world, "second", "third")
    one = world.start(world.ann, "talk", "bob", stdin=b"")
    other = world.start(world.bob, "talk", "ann", stdin=b"")
    one.end(0)
    other.end(0)
    assert heard(other) == ["second", "third"]


def test_events(world):
    one, _ = leave_undelivered(world, "second", words=("--json",))
    rows = [json.loads(line) for line in one.got().splitlines()]
    assert {"v": 1, "event": "kept", "contact": "bob", "number": 1} in rows
    one, other = talk(world, "--json")
    until(lambda: heard(other) == ["second"], "it has come")
    leave(one, other)
    rows = [json.loads(line) for line in one.got().splitlines()]
    assert rows[:1] != [] and {"v": 1, "event": "again", "contact": "bob", "number": 1} in rows
    assert {"v": 1, "event": "delivered", "contact": "bob", "number": 1} in rows


def test_at_a_terminal(world, request):
    one = Screen(world, world.ann, "talk", "bob", "--resume-for", "30")
    request.addfinalizer(one.close)
    other = world.start(world.bob, "talk", "ann", stdin=PIPE)
    one.shows("Ctrl-D ends")
    one.type("first" + ENTER)
    until(lambda: heard(other) == ["first"], "it has come")
    one.shows("delivered >")
    say(other, "answer")
    one.shows("bob: answer")
    other.signal(signal.SIGSTOP)
    one.type("second" + ENTER)
    one.shows("sent >")
    one.type(INTERRUPT)
    one.type(INTERRUPT)
    one.end(130)
    assert "1 of your texts is not known to have arrived: kept" in one.running.said()
    other.stop()
    again = Screen(world, world.ann, "talk", "bob")
    request.addfinalizer(again.close)
    other = world.start(world.bob, "talk", "ann", stdin=b"")
    again.running.says("1 text of an earlier talk, which bob did not get, is sent now")
    until(lambda: heard(other) == ["second"], "it has come")
    again.type(END)
    again.end(0)
    other.end(0)


# --- killed, whoever it is, at any point


COUNT = 3000
LINES = [f"{number} of {COUNT}" for number in range(COUNT)]


def stream_of_lines(world, tmp_path):
    one = world.start(world.ann, "talk", "bob", stdin="".join(f"{line}\n" for line in LINES).encode())
    other = world.start(world.bob, "talk", "ann", stdin=PIPE)
    return one, other


@pytest.mark.parametrize("who", ["sender", "receiver", "both"])
@pytest.mark.parametrize("after", [1, 40, 700])
def test_a_kill_loses_nothing_and_repeats_nothing(world, tmp_path, who, after):
    """Of the lines that were said. A receiver that is killed between showing a line and noting that shows it again."""
    one, other = stream_of_lines(world, tmp_path)
    until(lambda: len(heard(other)) >= after, "some have come")
    for end in {"sender": (one,), "receiver": (other,), "both": (one, other)}[who]:
        end.signal(signal.SIGKILL)
    one.end()
    other.end()
    first = heard(other)
    assert first == LINES[: len(first)]
    again = world.start(world.ann, "talk", "bob", stdin=b"and more\n")
    takes = world.start(world.bob, "talk", "ann", stdin=b"")
    again.end(0)
    takes.end(0)
    second = heard(takes)
    assert second[-1] == "and more"
    second = second[:-1]
    if who != "sender" and second and second[0] == first[-1]:
        second = second[1:]  # the one that it was about to note
    everything = first + second
    assert everything == LINES[: len(everything)]
    assert not kept(world).exists() and not kept(world, world.bob).exists()


def test_a_sender_that_is_killed_has_kept_what_it_said(world):
    one, other = talk(world)
    say(one, "first")
    until(lambda: heard(other) == ["first"], "it has come")
    other.signal(signal.SIGSTOP)
    size = kept(world).stat().st_size
    say(one, "second")
    until(lambda: kept(world).stat().st_size > size, "it is kept")
    one.signal(signal.SIGKILL)
    one.end()
    other.signal(signal.SIGCONT)
    other.end(5)
    again, takes = talk(world)
    say(again, "third")
    until(lambda: "third" in heard(takes), "what is new has come")
    leave(again, takes)
    assert heard(other, takes) == ["first", "second", "third"], "once, whether the first process got it or not"


# --- how it lies on the disk


def parts(octets):
    at = 0
    while at < len(octets):
        size = 2 + 32 + 16 if octets[at] == SITTING else 5 + int.from_bytes(octets[at + 1 : at + 5], "big")
        yield octets[at : at + size]
        at += size


def expand(key, *items):
    info = b"".join(struct.pack(">BI", kind, len(octets)) + octets for kind, octets in items)
    return hmac.digest(key, info + b"\1", "sha256")


def records(world):
    """PROTOCOL.md 2.19, read by somebody who has nothing else."""
    armour = (world.ann.home / "transcript.key").read_text().split("-----")
    root = expand(base64.b64decode(armour[2])[1:33], (1, b"cyphernet/1 undelivered"))
    key, count = None, 0
    for part in parts(kept(world).read_bytes()):
        if part[0] == SITTING:
            assert part[1] == 1
            key = ChaCha20Poly1305(expand(root, (1, b"cyphernet/1 transcript"), (5, part[2:34]), (9, part[34:])))
            count = 0
            continue
        plain = key.decrypt(struct.pack(">IQ", 0, count), part[5:], part[:5])
        count += 1
        kind, _, size = struct.unpack(">BQI", plain[:13])
        yield kind, plain[13 : 13 + size]


def kinds(world):
    return [(kind, body) if kind in (1, 2) else (kind,) for kind, body in records(world)]


def test_as_the_protocol_says(world):
    leave_undelivered(world, "second", "third")
    found = list(records(world))
    assert [kind for kind, _ in found] == [1, 3, 4, 2, 2] and found[0][1] == b"bob"
    assert len(found[2][1]) == 24 and found[2][1][16:] == (2).to_bytes(8, "big"), "the first was delivered"
    assert [body for kind, body in found if kind == 2] == [b"second", b"third"]


def test_it_is_encrypted_and_nobody_else_may_read_it(world):
    leave_undelivered(world, "secret words")
    for path in itertools.chain(world.ann.home.rglob("*"), world.bob.home.rglob("*")):
        if path.is_file():
            assert b"secret" not in path.read_bytes()
    assert kept(world).stat().st_mode & 0o777 == 0o600
    assert kept(world).parent.stat().st_mode & 0o777 == 0o700
    kept(world).chmod(0o644)
    done = world.ann.run("talk", "bob")
    assert done.returncode == 1 and "chmod 600" in done.stderr


def test_under_a_passphrase(world):
    leave_undelivered(world, "second")
    assert world.ann.run("passphrase", "--passphrase-fd", "0", input="correct horse\n").returncode == 0
    assert "SEALED FILE" in (world.ann.home / "transcript.key").read_text()
    reader, writer = os.pipe()
    os.write(writer, b"correct horse\n")
    os.close(writer)
    one = world.start(world.ann, "talk", "bob", "--passphrase-fd", reader, stdin=b"", pass_fds=[reader])
    os.close(reader)
    other = world.start(world.bob, "talk", "ann", stdin=b"")
    one.end(0)
    other.end(0)
    assert heard(other) == ["second"]


def test_what_a_crash_cuts_is_lost_and_nothing_else(world):
    leave_undelivered(world, "second", "third")
    kept(world).write_bytes(kept(world).read_bytes()[:-1])
    one = world.start(world.ann, "talk", "bob", stdin=b"")
    other = world.start(world.bob, "talk", "ann", stdin=b"")
    one.end(0)
    other.end(0)
    assert heard(other) == ["second"]


def test_what_is_changed_is_noticed(world):
    leave_undelivered(world, "second")
    octets = kept(world).read_bytes()
    for at in (3, 60, len(octets) - 3):
        changed = octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1 :]
        kept(world).write_bytes(changed)
        done = world.ann.run("talk", "bob")
        assert done.returncode in (1, 3) and "undelivered/bob" in done.stderr and "--no-transcript" in done.stderr
        assert kept(world).read_bytes() == changed, "and stays as it is"
    assert world.ann.run("talk", "bob", "--no-transcript", "--wait", "0").returncode == 6


def test_the_texts_for_somebody_else_are_not_taken_for_these(world):
    exchange(world.ann, world.person("carl"))
    leave_undelivered(world, "to bob")
    kept(world).rename(kept(world).with_name("carl"))
    done = world.ann.run("talk", "carl")
    assert done.returncode == 3 and "somebody else" in done.stderr


def test_a_transcript_is_not_taken_for_it(world):
    one, other = talk(world, "--transcript")
    say(one, "said once")
    until(lambda: heard(other) == ["said once"], "it has come")
    leave(one, other)
    kept(world).parent.mkdir(exist_ok=True)
    (world.ann.home / "transcripts" / "bob").rename(kept(world))
    assert world.ann.run("talk", "bob").returncode == 3


def test_without_its_key(world):
    leave_undelivered(world, "second")
    (world.ann.home / "transcript.key").unlink()
    done = world.ann.run("talk", "bob")
    assert done.returncode == 1 and "transcript.key, is not there" in done.stderr and "backup" in done.stderr


def test_two_at_once(world):
    leave_undelivered(world, "second")
    waits = world.start(world.ann, "talk", "bob", stdin=PIPE)
    waits.says("waiting for bob")
    done = world.ann.run("talk", "bob", "--wait", "0")
    assert done.returncode == 6 and "another talk with bob is under way" in done.stderr
    assert kinds(world)[-1] == (2, b"second")


def test_a_disk_that_is_full_ends_the_keeping_not_the_talk(world):
    """As a limit of the file's size says it."""
    limit = (20000, 20000)
    said = b"".join(b"%d " % number + b"x" * 6000 + b"\n" for number in range(20))
    one = world.start(world.ann, "talk", "bob", stdin=said, restore_signals=False,
                      preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
    other = world.start(world.bob, "talk", "ann", stdin=b"")
    one.end(0)
    other.end(0)
    assert "what bob does not get from now on is not kept for another talk" in one.said()
    assert [line.split(" ")[0] for line in heard(other)] == [str(number) for number in range(20)]


def test_it_does_not_grow_without_end(world):
    text = "x" * 60000
    one, other = talk(world)
    for number in range(60):
        say(one, f"{number} {text}")
        until(lambda: len(heard(other)) > number, "it has come")
        assert kept(world).stat().st_size < 3 << 20
    leave(one, other)


# --- who does not want it


@pytest.mark.parametrize("how", ["option", "preference"])
def test_it_can_be_turned_off(world, how):
    if how == "preference":
        (world.ann.home / "config").write_text("undelivered = no\n")
    words = ("--no-transcript",) if how == "option" else ()
    one, _ = leave_undelivered(world, "second", words=words)
    assert "kept" not in one.said()
    assert not (world.ann.home / "undelivered").exists() and not (world.ann.home / "transcript.key").exists()


def test_the_preference_is_yes_or_no(world):
    (world.ann.home / "config").write_text("undelivered = maybe\n")
    assert "line 1" in world.ann.run("talk", "bob").stderr


# --- contacts


def test_a_contact_that_is_renamed_keeps_it(world):
    leave_undelivered(world, "second")
    world.ann.ok("contact", "rename", "bob", "robert")
    assert not kept(world).exists()
    one = world.start(world.ann, "talk", "robert", stdin=b"")
    other = world.start(world.bob, "talk", "ann", stdin=b"")
    one.end(0)
    other.end(0)
    assert heard(other) == ["second"]


def test_a_rename_that_fails_leaves_it(world):
    leave_undelivered(world, "second")
    world.ann.offer("carl")
    assert world.ann.run("contact", "rename", "bob", "carl").returncode == 1
    assert kinds(world) == [(1, b"bob"), (3,), (4,), (2, b"second")]
    assert not kept(world).with_name("carl").exists()


def test_a_contact_that_is_removed_takes_it_along(world):
    leave_undelivered(world, "second")
    done = world.ann.ok("contact", "remove", "bob")
    assert "what bob did not get of earlier talks is removed" in done.stderr
    assert list(kept(world).parent.iterdir()) == []
