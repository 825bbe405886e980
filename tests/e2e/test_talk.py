"""cyphernet talk: a conversation, and what a partner could try on a terminal."""

import json
import os
import re
import signal
import subprocess
import pty
import tty

import pytest

from live import held, until
from test_liars import lie, message

LINE_KIND, DELIVERED, READ, LEFT = range(1, 5)

PIPE = subprocess.PIPE
LINE = re.compile(r"\[\d\d:\d\d:\d\d\] ann: (.*)\n")


def talked(world, text, *words):
    """What bob is shown of ann's text."""
    one = world.start(world.ann, "talk", "bob", stdin=text)
    other = world.start(world.bob, "talk", "ann", *words)
    one.end(0)
    other.end(0)
    assert one.got() == b""
    return other.got()


def told(world, *texts):
    """What bob is shown of texts that are anything: of a partner who sends what this program would not."""
    other = world.start(world.bob, "talk", "ann", stdin=PIPE)
    said = b"".join(message(LINE_KIND, text) for text in texts) + message(LEFT, b"\0")
    liar = lie(world, "talk", said, polite=True)
    other.says("ann has left")
    other.stdin.close()
    other.end(0)
    liar.end(0)
    return other.got()


def shown(output):
    """The lines, without their heads."""
    text = output.decode()
    assert LINE.sub("", text) == ""
    return LINE.findall(text)


def test_a_conversation(world):
    one = world.start(world.ann, "talk", "bob", stdin=PIPE, stdout=PIPE)
    other = world.start(world.bob, "talk", "ann", stdin=PIPE, stdout=PIPE)
    for turn in range(10):
        for asking, answering, name in ((one, other, b"ann"), (other, one, b"bob")):
            asking.stdin.write(b"turn %d\n" % turn)
            asking.stdin.flush()
            assert re.fullmatch(rb"\[..:..:..\] %s: turn %d\n" % (name, turn), answering.stdout.readline())
    one.stdin.close()
    other.says("ann has left")
    other.stdin.write(b"last word\n")
    other.stdin.flush()
    assert b"last word" in one.stdout.readline()
    other.stdin.close()
    one.end(0)
    other.end(0)


def test_nothing_is_said(world):
    assert talked(world, b"") == b""


def test_lines(world):
    assert shown(talked(world, b"one\n\ntwo\nthree without an end")) == ["one", "", "two", "three without an end"]


def test_many_lines(world):
    lines = [f"line {number}" for number in range(20000)]
    assert shown(talked(world, "\n".join(lines).encode())) == lines


def test_utf8(world):
    text = "Grüße, 世界, 🙂, שלום, Ελλάδα"
    assert shown(talked(world, text.encode() + b"\n")) == [text]


@pytest.mark.parametrize(
    "said",
    [
        b"\x1b[2J\x1b[1;1Hcleared",
        b"\x1b]0;title\x07",
        b"\x1b]52;c;ZXZpbA==\x07",
        b"over\rwritten",
        b"back\x08\x08\x08\x08space",
        b"null\x00in it",
        b"delete\x7f",
        b"\xc2\x9b2J one octet CSI in UTF-8",
        b"\x9b2J one octet CSI",
        b"\xff\xfe no UTF-8",
        b"\xc0\x9b overlong",
        b"\xed\xa0\x80 surrogate",
        b"\xf4\x90\x80\x80 too high",
        b"cut off \xe4\xb8",
        "\u202egnp.exe".encode(),
        "left\u061cright".encode(),
        "\u2066isolate".encode(),
        "\u2028line separator".encode(),
        "soft\u00adhyphen".encode(),
        "zero\u200bwidth".encode(),
        "filler\u3164".encode(),
        "tag\U000e0041".encode(),
        b"\x0e\x0f\x11\x13\x05",
    ],
)
def test_what_cannot_drive_the_terminal(world, said):
    output = told(world, said, b"next")
    text = output.decode()
    assert len(shown(output)) == 2, "one line stays one line"
    assert not set(text) & set("\u00ad\u200b\u3164\U000e0041"), repr(text)
    for sign in text.replace("\n", ""):
        assert sign >= " " and not 0x7F <= ord(sign) <= 0x9F, repr(text)
        assert sign not in "\u061c\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069", repr(text)
    assert shown(output)[1] == "next"


@pytest.mark.parametrize("mark", ["\u0301", "\u0489", "\u20dd", "\ufe0f", "\ufe20"])
def test_marks_climb_over_no_other_line(world, mark):
    (line,) = shown(talked(world, ("e" + 2000 * mark + " ü" + 4 * mark + "\n").encode()))
    assert mark in line and 5 * mark not in line
    assert line.endswith(" ü" + 4 * mark)


def test_every_octet(world):
    """Whatever is said, the terminal gets text, and the line after it is whole."""
    every = bytes(octet for octet in range(256) if octet != 10)
    lines = shown(told(world, every, b"next"))
    assert len(lines) == 2
    assert lines[1] == "next"
    assert "\\x1B" in lines[0] or "\\x1b" in lines[0]


@pytest.mark.parametrize("size", [65535, 65536, 65537, 200000])
def test_long_lines_come_in_pieces(world, size):
    text = ("0123456789" * (size // 10 + 1))[:size]
    lines = shown(talked(world, text.encode() + b"\nnext\n"))
    assert lines.pop() == "next"
    assert "".join(lines) == text
    assert all(len(line) <= 65536 for line in lines)


def test_long_lines_are_cut_between_characters(world):
    text = "a" + "ü世🙂" * 20000
    lines = shown(talked(world, text.encode() + b"\nnext\n"))
    assert lines.pop() == "next"
    assert "".join(lines) == text


def test_json_of_a_long_line(world):
    text = "0123456789" * 6000 + "\x01" * 20000
    output = talked(world, text.encode() + b"\nnext\n", "--json")
    events = [json.loads(line) for line in output.splitlines()]
    lines = [event["text"] for event in events if event["event"] == "line"]
    assert lines.pop() == "next"
    assert "".join(lines) == text.replace("\x01", "\\x01")


def test_json(world):
    text = 'quote " backslash \\ tab \t escape \x1b[1m ümlaut'
    output = talked(world, text.encode() + b"\nnext\n", "--json")
    events = [json.loads(line) for line in output.splitlines()]
    assert all(event["v"] == 1 for event in events)
    assert [event["event"] for event in events if event["event"] == "line"] == ["line", "line"]
    assert events[-1]["event"] == "done"
    lines = [event for event in events if event["event"] == "line"]
    assert lines[0]["contact"] == "ann"
    assert lines[0]["text"].startswith('quote " backslash \\')
    assert "\x1b" not in lines[0]["text"]
    assert "ümlaut" in lines[0]["text"]
    assert lines[1]["text"] == "next"


def test_partner_killed(world):
    one = world.start(world.ann, "talk", "bob", stdin=PIPE)
    other = world.start(world.bob, "talk", "ann", stdin=PIPE)
    one.stdin.write(b"hello\n")
    one.stdin.flush()
    until(lambda: b"hello" in other.got(), "the line has arrived")
    one.signal(signal.SIGKILL)
    one.end()
    assert other.end() == 5


def test_output_cannot_be_written(world):
    one = world.start(world.ann, "talk", "bob", stdin=b"hello\n")
    with open("/dev/full", "wb") as full:
        other = world.start(world.bob, "talk", "ann", stdout=full)
    assert other.end() == 1
    assert "standard output" in other.said()
    assert one.end() != 0


def test_nobody_comes(world):
    one = world.start(world.ann, "talk", "bob", wait=1)
    assert one.end() == 6
    assert "cyphernet: hint: bob must run: cyphernet talk ann" in one.said()


def test_on_a_terminal(world):
    """It tells how to end; Ctrl-D ends."""
    master, slave = pty.openpty()
    try:
        one = world.start(world.ann, "talk", "bob", stdin=slave)
        other = world.start(world.bob, "talk", "ann", stdin=PIPE)
        one.says("Ctrl-D ends the call")
        os.write(master, b"typed\n")
        until(lambda: b"typed" in other.got(), "the line has arrived")
        os.write(master, b"\x04")
        other.says("ann has left")
        other.stdin.close()
        one.end(0)
        other.end(0)
    finally:
        os.close(master)
        os.close(slave)


def test_shown_on_a_terminal(world):
    """What a terminal gets holds no escape but our own."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    one = world.start(world.ann, "talk", "bob", stdin=b"\x1b[31mred\x1b]0;t\x07\n")
    other = world.start(world.bob, "talk", "ann", stdout=slave)
    os.close(slave)
    one.end(0)
    other.end(0)
    got = os.read(master, 65536)
    os.close(master)
    assert b"red" in got
    assert b"\x1b" not in got and b"\x07" not in got


def test_an_output_that_nobody_reads_does_not_stop_what_is_typed(world):
    one = world.start(world.ann, "talk", "bob", stdin=b"much\n" * 100000, stdout=PIPE)
    other = world.start(world.bob, "talk", "ann", stdin=PIPE, stdout=PIPE)
    until(lambda: held(other.stdout) > 60000, "full")
    other.stdin.write(b"still here\n")
    other.stdin.flush()
    assert b"still here" in one.stdout.readline()
    other.stdin.close()
    assert len(other.stdout.read().splitlines()) == 100000
    one.end(0)
    other.end(0)
