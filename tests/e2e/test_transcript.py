"""talk --transcript: what is kept of talks, how it lies on the disk, and who has changed it there."""

import base64
import hmac
import json
import resource
import shutil
import struct
import subprocess

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from cn_helper import exchange
from live import until
from screen import END, ENTER, Screen
from test_liars import lie, message

PIPE = subprocess.PIPE
LINE, LEFT_TALK = 1, 4
SITTING, RECORD = 1, 2


@pytest.fixture
def world(own, own_pair):
    own.ann, own.bob = own_pair
    return own


def talk(world, *texts, options=("--transcript",), partner="bob"):
    """Ann says these, and keeps it; bob answers each in capitals."""
    one = world.start(world.ann, "talk", partner, *options, stdin=PIPE, stdout=PIPE)
    other = world.start(world.bob, "talk", "ann", stdin=PIPE, stdout=PIPE)
    for text in texts:
        one.stdin.write(text.encode() + b"\n")
        one.stdin.flush()
        other.stdout.readline()
        other.stdin.write(text.upper().encode() + b"\n")
        other.stdin.flush()
        one.stdout.readline()
    one.stdin.close()
    other.stdin.close()
    one.end(0)
    other.end(0)
    return one


def kept(world):
    return world.ann.home / "transcripts" / "bob"


def shown(world, *options, name="bob", code=0):
    done = world.ann.run("talk", "--show-transcript", name, *options)
    assert done.returncode == code, done.stderr
    return done


def lines(world, **options):
    """What was said, without times."""
    return [line.split("] ", 1)[1] for line in shown(world, **options).stdout.splitlines() if line.startswith("[")]


def parts(octets):
    """Where each begins."""
    at, found = 0, []
    while at < len(octets):
        found.append(at)
        if octets[at] == SITTING:
            at += 2 + 32 + 16
        else:
            at += 5 + int.from_bytes(octets[at + 1 : at + 5], "big")
    return [*found, at]


# --- whether there is one


def test_nothing_is_kept_unless_it_is_wanted(world):
    talk(world, "secret", options=())
    assert not (world.ann.home / "transcripts").exists()
    assert list((world.ann.home / "undelivered").iterdir()) == [], "all was delivered"
    done = shown(world, code=1)
    assert "there is no transcript of talks with bob" in done.stderr and "--transcript" in done.stderr


def test_what_was_said_is_shown(world):
    talk(world, "hello", "secret words")
    assert lines(world) == ["ann: hello", "bob: HELLO", "ann: secret words", "bob: SECRET WORDS"]
    assert "--- " in shown(world).stdout and ", with bob\n" in shown(world).stdout
    talk(world, "again")
    assert lines(world)[-2:] == ["ann: again", "bob: AGAIN"]
    assert shown(world).stderr == ""


def test_json(world):
    talk(world, 'quote " \t tab')
    rows = [json.loads(line) for line in shown(world, "--json").stdout.splitlines()]
    assert [row["kind"] for row in rows] == ["begin", "said", "heard", "end"]
    assert all(row["v"] == 1 and row["event"] == "record" and row["contact"] == "bob" for row in rows)
    assert rows[1]["text"] == 'quote " \t tab'
    assert rows[0]["time"] <= rows[1]["time"] <= rows[3]["time"]


def test_the_preferences_may_want_one(world):
    (world.ann.home / "config").write_text("transcript = yes\n")
    talk(world, "kept", options=())
    assert "ann: kept" in lines(world)
    talk(world, "not kept", options=("--no-transcript",))
    assert "ann: not kept" not in lines(world)
    (world.ann.home / "config").write_text("transcript = maybe\n")
    assert "line 1" in world.ann.run("talk", "bob").stderr


def test_both_options_are_misuse(world):
    assert "--no-transcript" in world.ann.bad(2, "talk", "bob", "--transcript", "--no-transcript")


def test_at_a_terminal(world, request):
    one = Screen(world, world.ann, "talk", "bob", "--transcript")
    request.addfinalizer(one.close)
    other = world.start(world.bob, "talk", "ann", stdin=PIPE)
    one.shows("Ctrl-D ends")
    one.type("typed" + ENTER)
    until(lambda: b"typed" in other.got(), "it has come")
    other.stdin.write(b"answer\n")
    other.stdin.flush()
    one.shows("bob: answer")
    one.type(END)
    one.end(0)
    other.end(0)
    assert lines(world) == ["ann: typed", "bob: answer"]


def test_files_are_noted(world, source, target):
    (source / "photo.jpg").write_text("x")
    one = world.start(world.ann, "talk", "bob", "--transcript", "--commands", stdin=f"/send {source}/photo.jpg\n".encode())
    other = world.start(world.bob, "talk", "ann", "--transcript", "--yes", "-d", target)
    one.end(0)
    other.end(0)
    assert "sent photo.jpg\n" in shown(world).stdout
    assert "received photo.jpg\n" in world.bob.ok("talk", "--show-transcript", "ann").stdout


# --- how it lies on the disk


def test_it_is_encrypted_and_nobody_else_may_read_it(world):
    talk(world, "secret words")
    octets = kept(world).read_bytes()
    for word in (b"secret", b"SECRET", b"bob", b"ann"):
        assert word not in octets
    assert kept(world).stat().st_mode & 0o777 == 0o600
    assert (world.ann.home / "transcript.key").stat().st_mode & 0o777 == 0o600
    kept(world).chmod(0o644)
    done = shown(world, code=1)
    assert "chmod 600" in done.stderr


def expand(key, *items):
    """PROTOCOL.md 1.2: of SHA-256, 32 octets."""
    info = b"".join(struct.pack(">BI", kind, len(octets)) + octets for kind, octets in items)
    return hmac.digest(key, info + b"\1", "sha256")


def test_as_the_protocol_says(world):
    """2.18, read by somebody who has nothing else."""
    talk(world, "hello")
    talk(world, "again")
    armour = (world.ann.home / "transcript.key").read_text().split("-----")
    assert armour[1] == "BEGIN CYPHERNET TRANSCRIPT KEY"
    body = base64.b64decode(armour[2])[:-8]
    assert body[0] == 1 and len(body) == 33
    octets, found, before = kept(world).read_bytes(), [], bytes(16)
    at = parts(octets)
    for begin, end in zip(at, at[1:]):
        part = octets[begin:end]
        if part[0] == SITTING:
            assert part[1] == 1 and part[34:] == before
            key = ChaCha20Poly1305(expand(body[1:], (1, b"cyphernet/1 transcript"), (5, part[2:34]), (9, before)))
            count = 0
            continue
        plain = key.decrypt(struct.pack(">IQ", 0, count), part[5:], part[:5])
        kind, _, size = struct.unpack(">BQI", plain[:13])
        assert len(plain) % 64 == 0 and not plain[13 + size :].strip(b"\0")
        found.append((kind, plain[13 : 13 + size]))
        count, before = count + 1, part[-16:]
    assert found == [(1, b"bob"), (2, b"hello"), (3, b"HELLO"), (6, b""), (1, b"bob"), (2, b"again"), (3, b"AGAIN"), (6, b"")]


def test_the_same_said_twice_is_not_seen(world):
    talk(world, "the same", "the same")
    octets = kept(world).read_bytes()
    at = parts(octets)
    assert at[2 + 3] - at[2 + 2] == at[2 + 1] - at[2], "padded to one size"
    assert octets[at[2] + 5 : at[3]] != octets[at[4] + 5 : at[5]]


def test_under_a_passphrase(world):
    talk(world, "secret words")
    done = world.ann.run("passphrase", "--passphrase-fd", "0", input="correct horse\n")
    assert done.returncode == 0, done.stderr
    assert "SEALED FILE" in (world.ann.home / "transcript.key").read_text()
    done = world.ann.run("talk", "--show-transcript", "bob")
    assert done.returncode != 0 and "secret" not in done.stdout
    done = world.ann.run("talk", "--show-transcript", "bob", "--passphrase-fd", "0", input="correct horse\n")
    assert done.returncode == 0 and "ann: secret words" in done.stdout


def test_a_backup_holds_the_key_and_not_the_talks(world, tmp_path):
    talk(world, "secret words")
    done = world.ann.run("backup", "-o", "ann.backup", "--passphrase-fd", "0", input="correct horse\n")
    assert done.returncode == 0, done.stderr
    transcripts = world.ann.home / "transcripts"
    moved = tmp_path / "moved"
    shutil.move(transcripts, moved)
    done = world.ann.run("restore", "ann.backup", "--replace", "--passphrase-fd", "0", input="correct horse\n")
    assert done.returncode == 0, done.stderr
    shown(world, code=1)
    shutil.move(moved, transcripts)
    assert lines(world) == ["ann: secret words", "bob: SECRET WORDS"]


def test_without_its_key(world):
    talk(world, "secret")
    (world.ann.home / "transcript.key").unlink()
    assert "transcript.key, is not there" in shown(world, code=1).stderr


def test_one_that_has_nothing_in_it(world):
    talk(world, "secret")
    kept(world).write_bytes(b"")
    assert "there is no transcript" in shown(world, code=1).stderr
    talk(world, "again")
    assert lines(world) == ["ann: again", "bob: AGAIN"]


# --- crashes, damage, and somebody who has the disk


def test_what_a_crash_cuts_is_lost_and_nothing_else(world):
    talk(world, "one", "two")
    octets = kept(world).read_bytes()
    at = parts(octets)
    for cut in (at[-2] + 1, at[-2] + 20, at[-1] - 1, at[-3] + 7):
        kept(world).write_bytes(octets[:cut])
        done = shown(world)
        assert "stops short" in done.stderr
        assert "ann: two" in done.stdout
    kept(world).write_bytes(octets[: at[-2]] + bytes(500))
    one = talk(world, "three")
    assert "stopped short" in one.said()
    assert lines(world) == ["ann: one", "bob: ONE", "ann: two", "bob: TWO", "ann: three", "bob: THREE"]
    done = shown(world)
    assert done.stderr == ""
    assert "this talk was cut off here" in done.stdout


def test_a_talk_that_is_killed_leaves_what_was_said(world):
    one = world.start(world.ann, "talk", "bob", "--transcript", stdin=PIPE)
    other = world.start(world.bob, "talk", "ann", stdin=PIPE)
    one.stdin.write(b"hello\n")
    one.stdin.flush()
    until(lambda: b"hello" in other.got(), "it has come")
    one.signal(9)
    one.end()
    other.end()
    assert lines(world) == ["ann: hello"]
    talk(world, "again")
    assert "this talk was cut off here" in shown(world).stdout


def test_what_is_changed_is_noticed(world):
    talk(world, "one", "two")
    talk(world, "three")
    octets = kept(world).read_bytes()
    at = parts(octets)
    changed = [
        octets[: at[2] + 30] + bytes([octets[at[2] + 30] ^ 1]) + octets[at[2] + 31 :],  # an octet
        octets[: at[2]] + octets[at[3] :],  # one less
        octets[: at[3]] + octets[at[2] :],  # one twice
        octets[: at[2]] + octets[at[3] : at[4]] + octets[at[2] : at[3]] + octets[at[4] :],  # another order
        octets + octets,
        b"\xff" + octets,
    ]
    for one in changed:
        kept(world).write_bytes(one)
        done = shown(world, code=3)
        assert "changed by somebody" in done.stderr
        again = world.ann.run("talk", "bob", "--transcript")
        assert again.returncode != 0 and "--show-transcript bob" in again.stderr
        assert kept(world).read_bytes() == one, "and stays as it is"


def test_what_was_taken_away_before_is_missed(world):
    talk(world, "one")
    first = len(kept(world).read_bytes())
    talk(world, "two")
    kept(world).write_bytes(kept(world).read_bytes()[first:])
    done = shown(world)
    assert "what was said before that is not there any more" in done.stderr
    assert "ann: two" in done.stdout


def test_the_talks_with_somebody_else_are_not_taken_for_these(world):
    carl = world.person("carl")
    exchange(world.ann, carl)
    talk(world, "to bob")
    shutil.copy(kept(world), kept(world).with_name("carl"))
    done = shown(world, name="carl", code=3)
    assert "somebody else" in done.stderr
    assert "somebody else" in world.ann.run("talk", "carl", "--transcript").stderr


def test_two_at_once(world):
    one = world.start(world.ann, "talk", "bob", "--transcript", stdin=PIPE)
    until(lambda: kept(world).exists(), "the first has begun")
    one.says("waiting for bob")
    done = world.ann.run("talk", "bob", "--transcript")
    assert done.returncode == 1 and "another talk is being kept there" in done.stderr


def test_it_does_not_grow_without_end(world):
    text = "x" * 65000 + "\n"
    said = "".join(f"{number} {text}" for number in range(300)).encode()
    one = world.start(world.ann, "talk", "bob", "--transcript", stdin=said)
    other = world.start(world.bob, "talk", "ann")
    one.end(0)
    other.end(0)
    older = kept(world).with_name("bob~")
    assert kept(world).stat().st_size <= 8 << 20 and older.stat().st_size <= 8 << 20
    done = shown(world)
    assert "what was said before that is not there any more" in done.stderr
    numbers = [int(line.split()[1]) for line in lines(world)]
    assert numbers == list(range(numbers[0], 300)) and len(numbers) > 128
    older.unlink()
    assert "ann: 299 " in shown(world).stdout


def test_what_the_partner_said_drives_no_terminal(world):
    other = world.start(world.bob, "talk", "ann", "--transcript", stdin=PIPE)
    hostile = b"\x1b[2J\x07\xff" + b"\n[2026-01-01 00:00:00] bob: forged"
    liar = lie(world, "talk", message(LINE, hostile) + message(LEFT_TALK, b"\0"), polite=True)
    other.says("ann has left")
    other.stdin.close()
    other.end(0)
    liar.end(0)
    done = world.bob.ok("talk", "--show-transcript", "ann")
    assert "\x1b" not in done.stdout and "\\x1b[2J\\x07\\xff" in done.stdout
    assert not any(line.startswith("[2026-01-01") for line in done.stdout.splitlines())


# --- contacts


def test_a_contact_that_is_renamed_keeps_it(world):
    talk(world, "hello")
    world.ann.ok("contact", "rename", "bob", "robert")
    assert lines(world, name="robert") == ["ann: hello", "robert: HELLO"]
    shown(world, code=1)
    talk(world, "again", partner="robert")
    assert lines(world, name="robert")[-2:] == ["ann: again", "robert: AGAIN"]


def test_a_rename_that_fails_leaves_it(world):
    talk(world, "hello")
    world.ann.offer("carl")
    done = world.ann.run("contact", "rename", "bob", "carl")
    assert done.returncode == 1
    assert lines(world) == ["ann: hello", "bob: HELLO"]


def test_a_contact_that_is_removed_takes_it_along(world):
    talk(world, "hello")
    done = world.ann.ok("contact", "remove", "bob")
    assert "transcript" in done.stderr
    assert list(kept(world).parent.iterdir()) == []


def test_a_disk_that_is_full_ends_the_keeping_not_the_talk(world):
    """As a limit of the file's size says it."""
    limit = (300000, 300000)
    one = world.start(world.ann, "talk", "bob", "--transcript", stdin=b"".join(b"x" * 60000 + b"\n" for _ in range(20)),
                      preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit), restore_signals=False)
    other = world.start(world.bob, "talk", "ann")
    one.end(0)
    other.end(0)
    assert "what is said from now on is not kept" in one.said()
    assert len(other.got().splitlines()) == 20
    assert len(lines(world)) in (3, 4, 5)
