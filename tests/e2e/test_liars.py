"""A partner who holds the right keys, and says what no partner of this program would."""

import hashlib
import os
import struct
import subprocess

import pytest

from ctl_helper import BUILD

FILE, END, SUM, ACCEPT, RESULT = range(1, 6)
STORED, EXISTS, BAD_NAME, DISK_FULL, MISMATCH, FAILED, WITHDRAWN = range(7)


def message(kind, body):
    return struct.pack(">BI", kind, len(body)) + body


def offer(name, size, index=0, mode=0o644, nanoseconds=0):
    return message(FILE, struct.pack(">IQIQI", index, size, mode, 1, nanoseconds) + name)


def end(count=1):
    return message(END, struct.pack(">I", count))


def digest(content, index=0):
    return message(SUM, struct.pack(">I", index) + hashlib.sha256(content).digest())


def lie(world, service, control, *data, kind=2, polite=False):
    """Ann lies; data: of file 0, 1 and so on, in streams of this kind. polite: a talk she ends when bob has left."""
    return world.run_program(
        [BUILD / "tests" / "support" / "liar", "bob", service, polite * "polite:" + control.hex(),
         *[f"{kind}:{one.hex()}" for one in data]],
        env={"CYPHERNET_HOME": str(world.ann.home)},
    )


def outcomes(liar):
    """What the receiver said of each file."""
    text = bytes.fromhex(liar.got().decode())
    found = {}
    while text:
        kind, size = struct.unpack(">BI", text[:5])
        if kind == RESULT:
            index, outcome = struct.unpack(">IB", text[5:10])
            assert index not in found, "one result for each file"
            found[index] = outcome
        text = text[5 + size :]
    return found


@pytest.fixture
def inner(tmp_path):
    """The directory to receive into, well inside one that is looked over."""
    (tmp_path / "outer" / "inner").mkdir(parents=True)
    return tmp_path / "outer" / "inner"


def everything(inner):
    return sorted(str(path.relative_to(inner.parent)) for path in inner.parent.rglob("*"))


def received(world, inner, control, data=None, words=()):
    taking = world.start(world.bob, "receive", "ann", "-d", inner, *words)
    liar = lie(world, "send", control, *([] if data is None else [data]))
    code = taking.end()
    liar.end()
    return code, taking, liar


def test_the_control(world, inner):
    """One who says nothing but the truth with it is believed."""
    code, _, liar = received(world, inner, offer(b"name", 4) + end() + digest(b"text"), b"text")
    assert code == 0
    assert outcomes(liar) == {0: STORED}
    assert (inner / "name").read_bytes() == b"text"


NAMES = [b"../x", b"/etc/x", b"a/b", b"..", b".", b"", b"/", b"x/", b"./x", b"..\x2f..\x2fx"]


@pytest.mark.parametrize("words", [[], ["--overwrite"]])
@pytest.mark.parametrize("name", NAMES)
def test_names_that_lead_elsewhere(world, inner, name, words):
    code, taking, liar = received(world, inner, offer(name, 4) + end() + digest(b"text"), b"text", words)
    assert code == 1
    assert outcomes(liar) == {0: BAD_NAME}
    assert "not a name for a file" in taking.said()
    assert everything(inner) == ["inner"]


@pytest.mark.parametrize("name", [b"a\0b", b"\0", b"x" * 256, b"x" * 400])
def test_names_that_make_no_sense(world, inner, name):
    code, taking, _ = received(world, inner, offer(name, 4) + end() + digest(b"text"), b"text")
    assert code == 1
    assert "ann said something that makes no sense" in taking.said()
    assert everything(inner) == ["inner"]


def test_a_name_cannot_drive_the_terminal(world, inner):
    name = b"\x1b[2J\x1b]0;t\x07\ncyphernet: error: gotcha"
    _, taking, _ = received(world, inner, offer(name, 4) + end() + digest(b"text"), b"text")
    assert "\x1b" not in taking.said() and "\x07" not in taking.said()
    assert "\ncyphernet: error: gotcha" not in taking.said()
    assert os.listdir(os.fsencode(inner)) == [name]


@pytest.mark.parametrize("name", [b"x", b"deep"])
def test_a_link_in_the_directory_leads_nowhere(world, inner, name):
    (inner / "x").symlink_to("../outside")
    (inner / "deep").symlink_to("..")
    _, _, liar = received(world, inner, offer(name, 4) + end() + digest(b"text"), b"text", ["--overwrite"])
    assert outcomes(liar) == {0: STORED}
    assert not (inner / name.decode()).is_symlink()
    assert everything(inner) == ["inner", "inner/deep", "inner/x"]


LIES = {
    "shorter than said": (offer(b"x", 5) + end() + digest(b"text"), b"text", MISMATCH),
    "longer than said": (offer(b"x", 3) + end() + digest(b"text"), b"text", MISMATCH),
    "another sum": (offer(b"x", 4) + end() + digest(b"tExt"), b"text", MISMATCH),
    "empty, but said to be more": (offer(b"x", 1) + end() + digest(b""), b"", MISMATCH),
    "not empty, but said to be": (offer(b"x", 0) + end() + digest(b"text"), b"text", MISMATCH),
    "larger than any disk": (offer(b"x", (1 << 63) - 1) + end(), b"text", DISK_FULL),
}


@pytest.mark.parametrize("lie", sorted(LIES))
def test_content_that_is_not_what_was_said(world, inner, lie):
    control, data, outcome = LIES[lie]
    code, taking, liar = received(world, inner, control, data)
    assert code == 1
    assert outcomes(liar) == {0: outcome}
    assert "cyphernet: error: x: " in taking.said()
    assert everything(inner) == ["inner"]


def test_set_uid_is_not_granted(world, inner):
    received(world, inner, offer(b"x", 4, mode=0o107777) + end() + digest(b"text"), b"text")
    assert (inner / "x").stat().st_mode & 0o7777 == 0o777


def test_two_of_one_name(world, inner):
    control = offer(b"x", 4) + offer(b"x", 4, index=1) + end(2) + digest(b"text")
    taking = world.start(world.bob, "receive", "ann", "-d", inner)
    liar = lie(world, "send", control, b"text")
    assert taking.end() != 0
    liar.end()
    assert all((inner / name).read_bytes() == b"text" for name in os.listdir(inner)), "whole or not there"


def test_two_of_one_name_overwrite_each_other_never(world, inner):
    """--overwrite is for what was there before the call."""
    (inner / "x").write_bytes(b"old")
    control = offer(b"x", 4) + offer(b"x", 5, index=1) + end(2) + digest(b"text") + digest(b"other", 1)
    taking = world.start(world.bob, "receive", "ann", "-d", inner, "--overwrite")
    liar = lie(world, "send", control, b"text", b"other")
    taking.end(1)
    liar.end()
    stored, refused = sorted(outcomes(liar).items(), key=lambda told: told[1])
    assert (stored[1], refused[1]) == (STORED, EXISTS)
    assert (inner / "x").read_bytes() == [b"text", b"other"][stored[0]]
    assert everything(inner) == ["inner", "inner/x"]


NONSENSE = {
    "nothing": b"",
    "half a head": b"\x01\x00",
    "half a message": offer(b"x", 4)[:-3],
    "no such type": message(0, b""),
    "type to come": message(99, b"abcd"),
    "too large": struct.pack(">BI", FILE, 0xFFFFFFFF),
    "an answer": message(ACCEPT, struct.pack(">I", 0)),
    "a result": message(RESULT, struct.pack(">IB", 0, 0)),
    "index out of order": offer(b"x", 4, index=1) + end(),
    "index far off": offer(b"x", 4, index=0xFFFFFFFF) + end(),
    "wrong count": offer(b"x", 4) + end(2),
    "end twice": offer(b"x", 4) + end() + end(),
    "file after the end": end(0) + offer(b"x", 4),
    "sum of no file": end(0) + digest(b"text"),
    "sum twice": offer(b"x", 4) + digest(b"text") + digest(b"text") + end(),
    "short body": message(FILE, b"abc"),
    "long body": message(END, b"\0" * 5),
    "size beyond all": offer(b"x", 1 << 63) + end(),
    "too many files at once": b"".join(offer(b"%d" % index, 4, index) for index in range(1025)),
    "nanoseconds beyond a second": offer(b"x", 4, nanoseconds=1_000_000_000) + end(),
}


@pytest.mark.parametrize("nonsense", sorted(NONSENSE))
def test_messages_that_make_no_sense(world, inner, nonsense):
    """It ends, it does not succeed, and nothing is left."""
    code, taking, _ = received(world, inner, NONSENSE[nonsense])
    assert code not in (0, None), taking.said()
    assert "cyphernet: error: " in taking.said()
    assert everything(inner) == ["inner"]


def test_as_many_files_at_once_as_may_be(world, inner):
    (inner / "x").write_bytes(b"old")
    code, _, liar = received(world, inner, b"".join(offer(b"x", 4, index) for index in range(1024)) + end(1024))
    assert code == 1
    assert outcomes(liar) == {index: EXISTS for index in range(1024)}


def test_data_for_a_file_that_was_not_offered(world, inner):
    code, taking, _ = received(world, inner, end(0), b"text")
    assert code != 0
    assert everything(inner) == ["inner"]


def test_a_stream_of_a_kind_to_come_harms_nothing(world, inner):
    """Later versions may open others: PROTOCOL.md 7.1."""
    taking = world.start(world.bob, "receive", "ann", "-d", inner)
    liar = lie(world, "send", end(0), b"whatever", kind=3)
    taking.end(0)
    liar.end(0)
    assert everything(inner) == ["inner"]


ANSWERS = {
    "nothing": b"",
    "stored at once": message(RESULT, struct.pack(">IB", 0, STORED)),
    "result of no file": message(RESULT, struct.pack(">IB", 7, STORED)),
    "no such outcome": message(RESULT, struct.pack(">IB", 0, 99)),
    "accepted twice": 2 * message(ACCEPT, struct.pack(">I", 0)),
    "an offer": offer(b"x", 4),
    "nonsense": b"\xff" * 100,
}


@pytest.mark.parametrize("answer", sorted(ANSWERS))
def test_a_receiver_who_lies(world, tmp_path, answer):
    """The sender never takes it for done."""
    path = tmp_path / "file"
    path.write_bytes(b"text" * 1000)
    giving = world.start(world.bob, "send", "ann", path)
    liar = lie(world, "receive", ANSWERS[answer])
    assert giving.end() != 0
    assert "cyphernet: error: " in giving.said()
    liar.end()


LINE, DELIVERED, READ, LEFT = range(1, 5)
TALK = {
    "no such type": b"\x05\x00\x00\x00\x01x",
    "too long": b"\x01\x00\x01\x00\x01" + b"x",
    "far too long": b"\x01\xff\xff\xff\xff",
    "delivered, but never said": message(DELIVERED, struct.pack(">Q", 1)),
    "read, but never said": message(READ, struct.pack(">Q", 1)),
    "a short mark": message(DELIVERED, b"\0\0\0\1"),
    "left in an unknown way": message(LEFT, b"\2"),
    "left twice": 2 * message(LEFT, b"\0"),
    "a line after leaving": message(LEFT, b"\0") + message(LINE, b"x"),
}


@pytest.mark.parametrize("nonsense", sorted(TALK))
def test_talk_that_makes_no_sense(world, nonsense):
    other = world.start(world.bob, "talk", "ann", stdin=subprocess.PIPE)
    lie(world, "talk", TALK[nonsense])
    assert other.end() == 1
    assert "ann said something that makes no sense" in other.said()


@pytest.mark.parametrize("cut", [b"", b"\x01\x00\x00", b"\x01\x00\x00\x00\x05hell"])
def test_talk_that_is_cut_off(world, cut):
    """Half a line is not a line, and an end without leaving is not a good end."""
    other = world.start(world.bob, "talk", "ann", stdin=subprocess.PIPE)
    lie(world, "talk", cut)
    assert other.end() != 0
    assert other.got() == b""


def test_talk_that_ends_without_taking_what_was_said(world):
    """An end is good only if the partner's program has every line."""
    other = world.start(world.bob, "talk", "ann", stdin=b"important\n")
    lie(world, "talk", message(LEFT, b"\0"))
    assert other.end() == 1


@pytest.mark.parametrize("attempt", range(10))
def test_a_call_refused_at_once_is_told_as_refused(world, tmp_path, attempt):
    """The call may be over before the caller has opened its stream."""
    (tmp_path / "f").write_bytes(b"x")
    liar = world.run_program([BUILD / "tests" / "support" / "liar", "bob", "receive", "refuse"],
                             env={"CYPHERNET_HOME": str(world.ann.home)})
    sending = world.start(world.bob, "send", "ann", tmp_path / "f")
    assert sending.end() == 8, sending.said()
    assert "ann refused" in sending.said()
    liar.end()
