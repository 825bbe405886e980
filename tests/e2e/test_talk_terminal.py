"""cyphernet talk at a terminal: what somebody sees who types while lines arrive, and what is left when it ends."""

import re
import signal
import subprocess

import pytest

from live import held, until
from screen import DISCARD, DOWN, END, ENTER, INTERRUPT, LEFT, QUIT, RIGHT, SUSPEND, UP, Screen, paste
from test_liars import lie, message

PIPE = subprocess.PIPE
LINE, LEFT_TALK = 1, 4
OURS = re.compile(rb"\x1b\[(?:\?2004[hl]|[0-9]*[ABCDGHJKLMP@]|[0-9]+;[0-9]+H|[02]?m)")


@pytest.fixture
def screens(world):
    """Start somebody at a terminal; all are closed at the end."""
    opened = []

    def start(person, *words, **options):
        opened.append(Screen(world, person, "talk", *words, "--wait", "30", "--resume-for", "0", **options))
        return opened[-1]

    yield start
    for screen in opened:
        screen.close()


@pytest.fixture
def two(world, screens):
    """Ann at a terminal, and Bob's lines."""
    one = screens(world.ann, "bob")
    other = world.start(world.bob, "talk", "ann", stdin=PIPE)
    one.shows("Ctrl-D ends the call")
    return one, other


def says(other, text):
    other.stdin.write(text if isinstance(text, bytes) else text.encode())
    other.stdin.flush()


def got(other):
    """What Bob was told, without the times."""
    return re.sub(r"^\[..:..:..\] ", "", other.got().decode(), flags=re.M)


def hears(other, text):
    until(lambda: text in got(other), text)


def leave(one, other):
    one.type(END)
    one.end(0)
    other.end(0)


# --- typing while lines arrive


def test_a_line_that_is_typed_stays_while_others_arrive(two):
    one, other = two
    for turn in range(10):
        one.type(f"w{turn} ")
        says(other, f"line {turn}\n")
        one.shows(f"bob: line {turn}\n")
        one.asks("> " + " ".join(f"w{n}" for n in range(turn + 1)))
    one.type(ENTER)
    hears(other, "ann: w0 w1 w2 w3 w4 w5 w6 w7 w8 w9 \n")
    assert [row[11:] for row in one.look() if row.startswith("[")] == [f"bob: line {n}" for n in range(10)] + [
        "ann: w0 w1 w2 w3 w4 w5 w6 w7 w8 w9"]
    leave(one, other)


@pytest.mark.parametrize("size", [77, 78, 79, 157, 158, 159, 500])
def test_a_line_of_many_rows(two, size):
    one, other = two
    typed = ("0123456789" * 60)[:size]
    one.type(typed)
    for turn in range(5):
        says(other, f"line {turn}\n")
        one.shows(f"bob: line {turn}\n")
    until(lambda: "".join(one.look()).count(typed) == 1, "the typed line, once")
    assert one.text().count("> ") == 1
    one.type(ENTER)
    hears(other, f"ann: {typed}\n")
    leave(one, other)


def test_lines_arrive_while_the_cursor_is_within(two):
    one, other = two
    one.type("0123456789" * 20 + 150 * LEFT)
    says(other, "here\n")
    one.shows("bob: here")
    one.type("X")
    one.type(ENTER)
    hears(other, "ann: " + "0123456789" * 5 + "X" + "0123456789" * 15 + "\n")
    leave(one, other)


def test_characters_of_two_columns(two):
    one, other = two
    typed = "世界🙂ü" * 30
    one.type(typed)
    for turn in range(3):
        says(other, f"line {turn}\n")
        one.shows(f"bob: line {turn}\n")
    assert one.text().count("> ") == 1
    one.type(ENTER)
    hears(other, f"ann: {typed}\n")
    leave(one, other)


@pytest.mark.parametrize("columns", [20, 40, 79, 81, 120, 200])
def test_another_size_of_the_window(two, columns):
    one, other = two
    says(other, "old\n")
    one.shows("bob: old")
    one.type("0123456789" * 12)
    one.size(columns, 30)
    says(other, "new\n")
    one.shows("bob: new")
    one.type("X" + ENTER)
    hears(other, "ann: " + "0123456789" * 12 + "X\n")
    assert "bob: old" in one.text(), "nothing above is lost"
    leave(one, other)


def test_many_lines_at_once(two):
    one, other = two
    one.type("typed")
    says(other, "".join(f"line {n}\n" for n in range(3000)))
    one.shows("bob: line 2999\n")
    one.asks("> typed")
    assert [row.split()[-1] for row in one.look() if "bob: " in row] == [str(n) for n in range(3000)]
    leave_with(one, other)


def leave_with(one, other):
    """Although something is typed."""
    one.type(DISCARD)
    leave(one, other)


def test_a_terminal_that_nobody_reads_for_a_while(world, screens):
    """What comes waits at the partner; the call lives, and all of it is there when somebody looks."""
    one = screens(world.ann, "bob")
    other = world.start(world.bob, "talk", "ann", stdin=b"".join(b"line %d\n" % n for n in range(10000)))
    one.running.says("connected with bob")
    until(lambda: held(one.ours) > 1000, "something is to be read")
    one.shows("line 9999\n")
    one.shows("bob has left")
    leave(one, other)


# --- editing


def test_editing(two):
    one, other = two
    one.type("one two three" + "\x01" + "zero " + "\x05" + "\x17" + "four" + 4 * LEFT + "\x7f\x7f" + RIGHT)
    one.asks("> zero one twfour")
    one.type("\x0b" + ENTER)
    hears(other, "ann: zero one twf\n")
    leave(one, other)


def test_what_was_said_before_comes_back(two):
    one, other = two
    for text in ("first", "second", "ünd 世"):
        one.type(text + ENTER)
        hears(other, f"ann: {text}\n")
    one.type("draft" + UP)
    one.asks("delivered > ünd 世")
    one.type(UP + UP + UP)
    one.asks("delivered > first")
    one.type(DOWN + DOWN + DOWN)
    one.asks("delivered > draft")
    one.type(DISCARD + UP + UP + ENTER)
    until(lambda: got(other).count("ann: second\n") == 2, "again")
    leave(one, other)


def test_keys_that_mean_nothing_do_nothing(two):
    one, other = two
    one.type("a\x16\x12\x1b[15~\x1b[Z\t\x1bxb\x1b[1;2Q\x00c")
    one.asks("> axbc")
    leave_with(one, other)


@pytest.mark.parametrize("locale", ["C", "POSIX", "C.UTF-8", "xx_YY.ISO-8859-1"])
def test_whatever_the_locale_it_is_utf8(world, screens, locale):
    one = screens(world.ann, "bob", env={"LC_ALL": locale})
    other = world.start(world.bob, "talk", "ann", stdin=PIPE)
    one.shows("Ctrl-D ends")
    one.type("Grüße, 世界")
    one.asks("> Grüße, 世界")
    one.type(ENTER)
    hears(other, "ann: Grüße, 世界\n")
    leave(one, other)


def test_what_is_typed_and_is_not_utf8_is_refused(two):
    one, other = two
    one.type(b"gr\xfc\xdfe")
    one.shows("not UTF-8")
    one.asks("> gre")
    assert one.text().count("not UTF-8") == 1
    one.type(ENTER)
    hears(other, "ann: gre\n")
    leave(one, other)


# --- pasting


def test_several_lines_are_shown_and_go_as_one(two):
    one, other = two
    one.type(paste("one\r\n\ttwo\rthree"))
    one.asks("3 lines pasted; Enter sends, Ctrl-U drops them > three")
    assert "         | one\n         |     two\n" in one.text()
    assert other.got() == b""
    says(other, "meanwhile\n")
    one.shows("bob: meanwhile")
    assert other.got() == b""
    one.type("!" + ENTER)
    hears(other, "ann: one\nann: \\x09two\nann: three!\n")
    one.asks("delivered >")
    leave(one, other)


def test_one_line_is_only_put_in(two):
    one, other = two
    one.type("ad" + LEFT + paste("bc"))
    one.asks("> abcd")
    assert other.got() == b""
    leave_with(one, other)


def test_what_stands_around_the_cursor_stays_around_the_paste(two):
    one, other = two
    one.type("beginend" + 3 * LEFT + paste("1\n2\n3"))
    one.asks("3 lines pasted; Enter sends, Ctrl-U drops them > 3end")
    one.type(paste("4\n5") + ENTER)
    hears(other, "ann: begin1\nann: 2\nann: 3end4\nann: 5\n")
    leave(one, other)


def test_a_paste_may_be_dropped(two):
    one, other = two
    one.type(paste("secret\nlines\n"))
    one.shows("3 lines pasted")
    one.type(DISCARD)
    one.asks(">")
    one.type(ENTER + "other" + ENTER)
    hears(other, "ann: other\n")
    assert got(other) == "ann: other\n"
    leave(one, other)


def test_commands_are_not_obeyed_in_a_paste(two):
    one, other = two
    one.type(paste("/quit\n/quit") + ENTER)
    hears(other, "ann: /quit\nann: /quit\n")
    leave(one, other)


@pytest.mark.parametrize("text, why", [("x" * 70000, "too long"), ("x\n" * 35000, "too long"), (b"good\n\xff\n", "not UTF-8")])
def test_a_paste_that_is_refused_is_refused_whole(two, text, why):
    one, other = two
    one.type("typed")
    one.type(b"\x1b[200~" + (text if isinstance(text, bytes) else text.encode()) + b"\x1b[201~")
    one.shows(why)
    one.asks("> typed")
    one.type(ENTER)
    hears(other, "ann: typed\n")
    assert got(other) == "ann: typed\n"
    leave(one, other)


def test_escapes_in_a_paste_drive_nothing(two):
    one, other = two
    one.type(paste("\x1b[2Jred\x07\x03\x04\n\x1b]0;t\x07end"))
    one.asks("2 lines pasted; Enter sends, Ctrl-U drops them > ]0;tend")
    assert OURS.sub(b"", one.raw).count(b"\x1b") == 0
    leave_with(one, other)


# --- marks


def test_marks(world, screens):
    """Sent while nobody takes it; delivered to a program; read when somebody pressed a key."""
    one = screens(world.ann, "bob")
    other = screens(world.bob, "ann")
    one.shows("Ctrl-D ends the call")
    other.shows("Ctrl-D ends the call")
    other.signal(signal.SIGSTOP)
    one.type("are you there?" + ENTER)
    one.asks("sent >")
    other.signal(signal.SIGCONT)
    one.asks("delivered >")
    other.shows("ann: are you there?")
    assert "read" not in one.line()
    other.type("y")
    one.asks("read >")
    other.type("es" + ENTER)
    one.shows("bob: yes")
    one.type("good" + ENTER)
    one.asks("delivered >")
    other.asks("read >")
    one.type("/quit" + ENTER)
    one.end(0)
    other.end(0)


def test_a_program_reads_nothing(world, screens):
    one = screens(world.ann, "bob")
    other = world.start(world.bob, "talk", "ann", "--json", stdin=PIPE)
    one.shows("Ctrl-D ends")
    one.type("hello" + ENTER)
    one.asks("delivered >")
    says(other, "answer\n")
    one.shows("bob: answer")
    one.asks("delivered >")
    one.type("x")
    until(lambda: b'"event":"read"' in other.got(), "read")
    assert b'"event":"delivered","contact":"ann","number":1}' in other.got()
    leave_with(one, other)
    assert b'"event":"left"' in other.got()


# --- commands


def test_help(two):
    one, other = two
    one.type("/help" + ENTER)
    for text in ("/quit", "/send PATH", "delivered >"):
        one.shows(text)
    assert all(len(row) < 80 for row in one.look())
    leave(one, other)
    assert got(other) == ""


def test_a_command_that_is_none_is_not_said(two):
    one, other = two
    one.type("/etc/passwd" + ENTER)
    one.shows("there is no command /etc/passwd")
    one.type("//etc/passwd" + ENTER)
    hears(other, "ann: /etc/passwd\n")
    assert got(other) == "ann: /etc/passwd\n"
    leave(one, other)


def test_nothing_typed_is_nothing_said(two):
    one, other = two
    one.type(3 * ENTER + "x" + ENTER)
    hears(other, "ann: x\n")
    assert got(other) == "ann: x\n"
    leave(one, other)


# --- what a partner could try


@pytest.mark.parametrize("text", [
    b"\x1b[2J\x1b[1;1Hcleared", b"\x1b]0;title\x07", b"\x1b[200~typed\r\x1b[201~", b"over\rwritten", b"\xff\xfe",
    b"\x9b2J", b"\xc2\x9b2J", "\u202egnp.exe".encode(), "\u200b\u2066\U000e0041".encode(), bytes(range(256)),
    b"two\n[00:00:00] ann: lines", b"many" + 500 * b"\n" + b"lines", 20000 * b"\x1b[A"],
    ids=range(13))
def test_a_hostile_partner_never_drives_the_terminal(world, screens, text):
    one = screens(world.bob, "ann")
    liar = lie(world, "talk", message(LINE, text) + message(LINE, b"next") + message(LEFT_TALK, b"\0"), polite=True)
    one.shows("ann: next")
    one.shows("ann has left; Ctrl-D ends the call")
    one.asks(">")
    shown = OURS.sub(b"", one.raw)
    assert set(shown) & set(b"\x1b\x07\x08\x7f\x00\x0e\x0f\x05") <= {8}, "only moving back, which the editor does"
    for sign in shown.decode():
        assert not 0x7F <= ord(sign) <= 0x9F and sign not in "\u202e\u2066\u200b\U000e0041", repr(sign)
    assert not re.search(r"^\[00:00:00\]", one.text(), re.M), "no line looks like another's"
    one.type(END)
    one.end(0)
    liar.end(0)


@pytest.mark.parametrize("columns", [20, 40, 80, 81, 200])
@pytest.mark.parametrize("sign", ["x", "世", "ü", "🙂", "e\u0301"])
def test_no_row_of_a_long_text_looks_like_another_text(world, screens, columns, sign):
    """Wherever the terminal's edge is, what stands behind it begins with a margin."""
    one = screens(world.bob, "ann", columns=columns)
    forged = "[00:00:00] carl: forged "
    texts = [(sign * size + forged * 3).encode() for size in range(columns)]
    liar = lie(world, "talk", b"".join(message(LINE, text) for text in texts) + message(LEFT_TALK, b"\0"), polite=True)
    one.says("ann has left; Ctrl-D ends the call")
    until(lambda: one.line() == ">", "all is shown")
    rows = [row for row in one.look() if row]
    assert sum("ann: " in row for row in rows) >= columns
    for row in rows:
        assert not row.startswith("[00:00:00]") and not row.startswith("carl")
        assert row.startswith(("[", "cyphernet: ", "         | ", ">")) or columns == 20, row
    one.type(END)
    one.end(0)
    liar.end(0)


def test_a_partner_who_makes_no_sense(world, screens):
    one = screens(world.bob, "ann")
    lie(world, "talk", b"\x09\0\0\0\0")
    one.end(1)
    assert "ann said something that makes no sense" in one.running.said()


# --- ends


@pytest.mark.parametrize("word", [END, "/quit" + ENTER])
def test_leaving_ends_the_call_for_both(world, screens, word):
    one = screens(world.ann, "bob")
    other = screens(world.bob, "ann")
    one.shows("Ctrl-D ends")
    other.type("not sent yet")
    other.asks("> not sent yet")
    one.type("bye" + ENTER + word)
    one.end(0)
    other.end(0)
    assert "ann: bye" in other.text() and "ann has left" in other.text()
    assert "what you typed was not sent:\n         | not sent yet\n" in other.text() + "\n"
    assert ">" not in one.line() + other.line()


def test_the_partner_has_no_more_to_say(two):
    one, other = two
    other.stdin.close()
    one.shows("bob has left; Ctrl-D ends the call")
    one.type("still here" + ENTER)
    hears(other, "ann: still here\n")
    leave(one, other)


def test_what_was_said_and_not_delivered_is_told(world, screens):
    one = screens(world.ann, "bob")
    other = world.start(world.bob, "talk", "ann", stdin=PIPE)
    one.shows("Ctrl-D ends")
    other.signal(signal.SIGSTOP)
    one.type("first" + ENTER + "second" + ENTER)
    one.asks("sent >")
    other.signal(signal.SIGKILL)
    one.end(5)
    assert "2 of your texts are not known to have arrived: kept" in one.running.said()


@pytest.mark.parametrize("key, number", [(INTERRUPT, signal.SIGINT), (QUIT, signal.SIGQUIT)])
def test_interrupted_by_a_key(two, key, number):
    one, other = two
    one.type("typed" + key)
    one.end(128 + number)
    assert other.end() == 5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ended_by_a_signal(two, number):
    one, other = two
    one.type("typed")
    one.asks("> typed")
    one.signal(number)
    one.end(128 + number)
    assert other.end() == 5


def test_interrupted_twice_while_the_server_does_not_answer(own, own_pair, request):
    world = own
    one = Screen(world, own_pair[0], "talk", "bob")
    request.addfinalizer(one.close)
    other = world.start(own_pair[1], "talk", "ann", stdin=PIPE)
    one.shows("Ctrl-D ends")
    for pids in world.processes().values():
        for pid in pids:
            subprocess.run(["kill", "-STOP", str(pid)], check=True)
    try:
        one.type(INTERRUPT)
        one.type(INTERRUPT)
        one.end(130)
    finally:
        for pids in world.processes().values():
            for pid in pids:
                subprocess.run(["kill", "-CONT", str(pid)], check=True)
    other.stop()


def test_the_terminal_goes_away(two):
    one, other = two
    one.close_terminal()
    one.running.end()
    assert other.end() in (0, 5)


def test_the_partner_is_killed(two):
    """What was being typed is there to be copied."""
    one, other = two
    one.type(paste("pasted\nlines\n") + "typed")
    one.asks("3 lines pasted; Enter sends, Ctrl-U drops them > typed")
    other.signal(signal.SIGKILL)
    one.end(5)
    assert one.text().endswith("cyphernet: what you typed was not sent:\n         | pasted\n         | lines\n         | typed")
    assert "interrupted" in one.running.said()


def test_stopped_and_continued(world, screens):
    """The shell has its terminal while it is stopped; what was typed is there when it comes back."""
    one = screens(world.ann, "bob", under=["sh", "-mc", '"$0" "$@"; stty -a; echo stopped; read line; fg'])
    other = world.start(world.bob, "talk", "ann", stdin=PIPE)
    one.shows("Ctrl-D ends")
    one.type("typed")
    one.asks("> typed")
    one.type(SUSPEND)
    one.shows("stopped")
    assert re.search(r"[^-]icanon", one.text()) and re.search(r"[^-]echo ", one.text())
    assert one.raw.rfind(b"\x1b[?2004l") > one.raw.rfind(b"\x1b[?2004h")
    one.type("\n")
    one.asks("> typed")
    says(other, "welcome back\n")
    one.shows("bob: welcome back")
    one.type(ENTER)
    hears(other, "ann: typed\n")
    leave(one, other)


# --- other terminals


@pytest.mark.parametrize("name", ["dumb", "", "emacs", "no-such-terminal"])
def test_a_terminal_that_cannot_edit_gets_plain_lines(world, screens, name):
    one = screens(world.ann, "bob", name=name)
    other = world.start(world.bob, "talk", "ann", stdin=PIPE)
    one.running.says("Ctrl-D ends the call")
    one.type("plain\n")
    hears(other, "ann: plain\n")
    says(other, "\x1b[2Jlines\n")
    one.shows("bob: \\x1b[2Jlines")
    assert b"\x1b" not in one.raw
    other.stdin.close()
    one.running.says("bob has left")
    one.type("\x04")
    one.end(0)
    other.end(0)


def test_rows_of_plain_lines(world, screens):
    one = screens(world.bob, "ann", name="dumb", columns=50)
    forged = ("x" * 33 + "[00:00:00] carl: forged " * 3).encode()
    liar = lie(world, "talk", message(LINE, forged) + message(LEFT_TALK, b"\0"), polite=True)
    one.running.says("ann has left")
    one.shows("         | [00:00:00] carl: forged")
    assert [row[:11] for row in one.look() if row][1:] == 2 * ["         | "]
    one.type("\x04")
    one.end(0)
    liar.end(0)


@pytest.mark.parametrize("name", ["xterm", "xterm-256color", "screen", "tmux", "linux", "vt100", "ansi", "rxvt"])
def test_terminals(world, screens, name):
    one = screens(world.ann, "bob", name=name)
    other = world.start(world.bob, "talk", "ann", stdin=PIPE)
    one.shows("Ctrl-D ends")
    one.type("typed " * 20)
    says(other, "line\n")
    one.shows("bob: line")
    one.type(ENTER)
    hears(other, "ann: " + "typed " * 20)
    assert one.text().count("> ") <= 1
    leave(one, other)


@pytest.mark.parametrize("plain, dims", [("1", False), ("", True)])
def test_colour(world, screens, plain, dims):
    one = screens(world.ann, "bob", env={"NO_COLOR": plain})
    other = world.start(world.bob, "talk", "ann", stdin=PIPE)
    one.shows("Ctrl-D ends")
    one.type("typed" + ENTER)
    one.asks("delivered >")
    says(other, "line\n")
    one.shows("bob: line")
    one.type("more")
    one.asks("delivered > more")
    assert (b"\x1b[2m" in one.raw) == dims
    leave_with(one, other)


def test_quiet(world, screens):
    one = screens(world.ann, "bob", "-q")
    other = world.start(world.bob, "talk", "ann", stdin=PIPE)
    one.asks(">")
    other.stdin.close()
    one.type("x" + ENTER)
    hears(other, "ann: x\n")
    assert "cyphernet" not in one.text()
    leave(one, other)
