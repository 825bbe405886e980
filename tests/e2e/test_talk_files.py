"""Files in the call of a talk: /send, and what the other end makes of it, beside what is said."""

import json
import os
import re
import signal
import subprocess

import pytest

from ctl_helper import preload
from live import until
from screen import END, ENTER, INTERRUPT, Screen
from test_liars import BEGIN, begin, end, entry, item, lie, message, offer, plain, told

PIPE = subprocess.PIPE
LINE, LEFT_TALK = 1, 4
CONTROL, DATA = 2, 3


@pytest.fixture
def screens():
    """Start somebody at a terminal; all are closed at the end."""
    opened = []

    def start(world, person, *words, **options):
        opened.append(Screen(world, person, "talk", *words, "--wait", "30", "--resume-for", "0", **options))
        return opened[-1]

    yield start
    for screen in opened:
        screen.close()


@pytest.fixture
def two(world, screens, target):
    """Both at terminals; bob's files go to target."""
    one = screens(world, world.ann, "bob")
    other = screens(world, world.bob, "ann", "-d", target)
    one.shows("Ctrl-D ends the call")
    other.shows("Ctrl-D ends the call")
    return one, other


def leave(one, other):
    one.type(END)
    one.end(0)
    other.end(0)


def files(source):
    """A file, and a directory with two."""
    (source / "a b.txt").write_bytes(b"first\n")
    (source / "dir").mkdir()
    (source / "dir" / "one").write_bytes(b"1" * 1000)
    (source / "dir" / "two").write_bytes(os.urandom(70000))


def same(source, target, *names):
    return all((target / name).read_bytes() == (source / name).read_bytes() for name in names)


def big(path, size=30_000_000):
    path.write_bytes(os.urandom(1 << 16) * (size >> 16))


# --- at terminals


def test_what_is_offered_is_shown_and_comes_when_it_is_accepted(two, source, target):
    one, other = two
    files(source)
    one.type(f"/send '{source}/a b.txt' {source}/dir" + ENTER)
    other.shows("ann offers 3 files, 71.0 kB")
    other.shows("1  a b.txt  6 B")
    other.shows("2  dir/  2 files, 71.0 kB")
    other.shows("/accept takes it, into")
    other.asks("offered | >")
    assert list(target.iterdir()) == []
    one.type("hello" + ENTER)
    other.shows("ann: hello")
    other.type("/accept" + ENTER)
    one.shows("sent 4 of 4")
    other.shows("received 4 of 4")
    one.asks("read >")
    assert same(source, target, "a b.txt", "dir/one", "dir/two")
    leave(one, other)


def test_what_is_refused_does_not_come_and_the_talk_goes_on(two, source, target):
    one, other = two
    files(source)
    one.type(f"/send {source}/dir" + ENTER)
    other.shows("/accept takes it, into")
    other.type("/refuse" + ENTER)
    one.shows("bob does not want it")
    other.type("later" + ENTER)
    one.shows("bob: later")
    assert list(target.iterdir()) == []
    one.type(f"/send {source}/dir" + ENTER)
    until(lambda: other.text().count("/accept takes it, into") == 2, "offered again")
    other.type("/accept" + ENTER)
    one.shows("sent 3 of 3")
    assert same(source, target, "dir/one")
    leave(one, other)


def test_some_of_it(two, source, target):
    one, other = two
    files(source)
    one.type(f"/send {source}/dir '{source}/a b.txt'" + ENTER)
    other.shows("/accept takes it, into")
    other.type("/accept 3" + ENTER)
    other.shows("/accept 3: wants numbers of what is offered")
    other.type("/accept 2" + ENTER)
    one.shows("the receiver does not want it")
    until(lambda: (target / "a b.txt").exists(), "the second")
    assert not (target / "dir").exists()
    leave(one, other)


def test_several_one_after_the_other(two, source, target):
    one, other = two
    for name in "abc":
        (source / name).write_text(name)
    for name in "abc":
        one.type(f"/send {source}/{name}" + ENTER)
    one.says(f"{source}/c: goes after what is under way")
    for count in (1, 2, 3):
        until(lambda: other.text().count("/accept takes it, into") == count, "offered")
        other.type("/accept" + ENTER)
    one.shows("sent c")
    assert same(source, target, "a", "b", "c")
    leave(one, other)


@pytest.mark.parametrize("goes_on", [True, False])
def test_the_talk_goes_on_while_a_tree_is_listed(world, screens, source, target, tmp_path, goes_on):
    """One that takes long: here for as long as a file is there."""
    held = tmp_path / "held"
    held.touch()
    one = screens(world, world.ann, "bob", env={**preload("slow_disk.so", tmp_path), "SLOW_LIST_FILE": str(held)})
    other = screens(world, world.bob, "ann", "-d", target, "--yes")
    one.shows("Ctrl-D ends the call")
    files(source)
    one.type(f"/send {source}/dir" + ENTER)
    one.asks("sending | >")
    one.type("word" + ENTER)
    other.shows("ann: word")
    if goes_on:
        one.type("/quit" + ENTER)
        one.shows("the call ends when the files that are under way have arrived")
    else:
        one.type("/cancel" + ENTER)
    held.unlink()
    if goes_on:
        one.end(0)
        other.end(0)
        assert same(source, target, "dir/one", "dir/two")
    else:
        one.shows("given up; what has come is kept")
        assert "offers" not in other.text() and "given it up" not in other.text()
        leave(one, other)


def test_both_send_at_once(two, source, target, tmp_path):
    one, other = two
    big(source / "there")
    big(tmp_path / "back")
    one.type(f"/send {source}/there" + ENTER)
    other.type(f"/send {tmp_path}/back" + ENTER)
    other.shows("/accept takes it, into")
    one.shows("/accept takes it, into")
    one.type("/accept" + ENTER)
    other.type("/accept" + ENTER)
    one.shows("sent there")
    one.shows("received back")
    other.shows("received there")
    assert same(source, target, "there")
    leave(one, other)


@pytest.mark.parametrize("line, said", [
    ("/send", "/send wants a path"),
    ("/send /no/such", "/no/such: No such file or directory"),
    ("/send -", "standard input is what you say"),
    ("/send 'a", "not understood"),
    ("/send $(reboot)", "not understood"),
    ("/send /dev/null", "no file, directory or link"),
    ("/accept", "nothing is offered"),
    ("/refuse", "nothing is offered"),
    ("/cancel", "no files are under way"),
    ("/sender x", "there is no command /sender x"),
])
def test_misuse_is_told_and_the_talk_goes_on(two, line, said):
    one, other = two
    one.type(line + ENTER)
    one.shows(said)
    one.type("hello" + ENTER)
    other.shows("ann: hello")
    assert "offers" not in other.text()
    leave(one, other)


def test_typing_is_not_mixed_with_files(two, source, target):
    one, other = two
    for number in range(30):
        (source / f"file-{number}").write_bytes(b"x" * number)
    other.type("typed meanwhile")
    one.type(f"/send {source}/file-*" + ENTER)
    other.shows("/accept takes it, into")
    other.asks("offered | > typed meanwhile")
    other.type("\x15/accept" + ENTER + "more")
    one.shows("sent 30 of 30")
    other.shows("received 30 of 30")
    other.asks("> more")
    assert len(list(target.iterdir())) == 30
    one.type("/quit" + ENTER)
    one.end(0)
    other.end(0)


def test_words_go_on_beside_a_large_file(slow, screens, source, target):
    one = screens(slow, slow.ann, "bob")
    other = screens(slow, slow.bob, "ann", "-d", target, "--yes")
    one.shows("Ctrl-D ends")
    big(source / "big", 100_000_000)
    one.type(f"/send {source}/big" + ENTER)
    other.shows("ann offers 1 file,")
    until(lambda: re.search(r"sending \d+%", one.line()), "how far it is")
    other.type("word" + ENTER)
    one.shows("bob: word")
    one.type("back" + ENTER)
    other.shows("ann: back")
    one.shows("sent big")
    assert one.text().index("bob: word") < one.text().index("sent big")
    assert same(source, target, "big")
    leave(one, other)


def test_leaving_waits_for_what_is_under_way(slow, screens, source, target):
    one = screens(slow, slow.ann, "bob")
    other = screens(slow, slow.bob, "ann", "-d", target, "--yes")
    one.shows("Ctrl-D ends")
    big(source / "big")
    one.type(f"/send {source}/big" + ENTER)
    other.shows("ann offers 1 file,")
    until(lambda: re.search(r"sending \d+%", one.line()), "how far it is")
    one.type("/quit" + ENTER)
    one.says("the call ends when the files that are under way have arrived")
    one.end(0)
    other.end(0)
    assert same(source, target, "big")


def test_what_is_given_up_goes_on_where_it_was(slow, screens, source, target):
    one = screens(slow, slow.ann, "bob")
    other = screens(slow, slow.bob, "ann", "-d", target, "--yes")
    one.shows("Ctrl-D ends")
    big(source / "big", 100_000_000)
    for who, told_other in ((one, other), (other, one)):
        one.type(f"/send {source}/big" + ENTER)
        until(lambda: re.search(r"receiving [1-9]\d%", other.line()), "some of it has come")
        who.type("/cancel" + ENTER)
        who.shows("given up; what has come is kept")
        told_other.says("has given it up; what has come is kept, and goes on another time")
        until(lambda: "ing " not in one.line() + other.line(), "it is over at both ends")
    one.type(f"/send {source}/big" + ENTER)
    other.shows("big: goes on after")
    one.shows("sent big")
    assert same(source, target, "big")
    leave(one, other)


def test_what_was_interrupted_goes_on_in_another_call(slow, screens, source, target):
    one = screens(slow, slow.ann, "bob")
    other = screens(slow, slow.bob, "ann", "-d", target, "--yes")
    one.shows("Ctrl-D ends")
    big(source / "big", 100_000_000)
    one.type(f"/send {source}/big" + ENTER)
    until(lambda: re.search(r"receiving [1-9]\d%", other.line()), "some of it has come")
    one.signal(signal.SIGKILL)
    other.end(5)
    sender = slow.start(slow.ann, "send", "bob", source / "big")
    receiver = slow.start(slow.bob, "receive", "ann", "-d", target)
    sender.end(0)
    receiver.end(0)
    assert "big: goes on after" in receiver.said()
    assert same(source, target, "big")


def test_interrupted_by_a_key(slow, screens, source, target):
    one = screens(slow, slow.ann, "bob")
    other = screens(slow, slow.bob, "ann", "-d", target, "--yes")
    one.shows("Ctrl-D ends")
    big(source / "big")
    one.type(f"/send {source}/big" + ENTER)
    until(lambda: re.search(r"sending \d+%", one.line()), "how far it is")
    one.type(INTERRUPT)
    one.end(130)
    other.end(5)


def test_who_leaves_refuses_what_is_offered(two, source, target):
    one, other = two
    files(source)
    one.type(f"/send {source}/dir" + ENTER)
    other.shows("/accept takes it, into")
    other.type("/quit" + ENTER)
    one.shows("bob does not want it")
    one.end(0)
    other.end(0)
    assert list(target.iterdir()) == []


def test_nobody_can_answer_behind_the_end_of_a_plain_terminal(world, screens, source, target):
    one = screens(world, world.ann, "bob")
    other = screens(world, world.bob, "ann", "-d", target, name="dumb")
    one.shows("Ctrl-D ends the call")
    files(source)
    for number, answer in enumerate(["/accept\n", "\x04"]):
        one.type(f"/send {source}/dir" + ENTER)
        until(lambda: other.running.said().count("/accept takes it, into") == number + 1, "it is offered")
        other.type(answer)
        one.says(["sent 3 of 3", "bob does not want it"][number])
    one.type(f"/send {source}/dir" + ENTER)
    until(lambda: one.text().count("bob does not want it") == 2, "nor later")
    assert same(source, target, "dir/one", "dir/two")
    leave(one, other)


def test_conflicts(world, screens, source, target):
    one = screens(world, world.ann, "bob")
    other = screens(world, world.bob, "ann", "-d", target, "--yes", "--on-conflict", "rename")
    one.shows("Ctrl-D ends")
    (source / "file").write_text("new")
    (target / "file").write_text("old")
    one.type(f"/send {source}/file" + ENTER)
    one.shows("sent file")
    assert (target / "file").read_text() == "old"
    assert sorted(path.read_text() for path in target.iterdir()) == ["new", "old"]
    leave(one, other)


def test_a_directory_that_cannot_be_written(world, source, target):
    done = world.bob.run("talk", "ann", "-d", target / "none")
    assert done.returncode == 1
    assert "No such file or directory" in done.stderr and "-d must name a directory" in done.stderr


# --- programs


def test_programs_send_and_take(world, source, target):
    files(source)
    said = f"before\n/send {source}/dir\n//text\nafter\n".encode()
    one = world.start(world.ann, "talk", "bob", "--commands", stdin=said)
    other = world.start(world.bob, "talk", "ann", "--yes", "-d", target)
    one.end(0)
    other.end(0)
    assert same(source, target, "dir/one", "dir/two")
    assert [line.split(": ")[1] for line in other.got().decode().splitlines()] == ["before", "/text", "after"]
    assert "sent 3 of 3" in one.said() and "received 3 of 3" in other.said()


def test_programs_take_nothing_unless_they_are_told(world, source, target):
    files(source)
    one = world.start(world.ann, "talk", "bob", "--commands", stdin=f"/send {source}/dir\n".encode())
    other = world.start(world.bob, "talk", "ann", "-d", target)
    one.end(8)
    other.end(0)
    assert "ann offers 2 files" in other.said() and "refused: with --yes it would have been taken" in other.said()
    assert "bob does not want it" in one.said()
    assert list(target.iterdir()) == []


def test_lines_of_a_program_are_no_commands_unless_it_says_so(world, source, target):
    """What comes from a log, say, sends no file."""
    files(source)
    one = world.start(world.ann, "talk", "bob", stdin=f"/send {source}/dir\n/quit\n".encode())
    other = world.start(world.bob, "talk", "ann", "--yes", "-d", target)
    one.end(0)
    other.end(0)
    assert other.got().decode().count("ann: /") == 2
    assert list(target.iterdir()) == []


def test_what_cannot_be_sent_is_an_error_of_a_program(world):
    one = world.start(world.ann, "talk", "bob", "--commands", stdin=b"/send /no/such\nhello\n")
    other = world.start(world.bob, "talk", "ann")
    one.end(1)
    other.end(0)
    assert "/no/such: No such file or directory" in one.said()
    assert b"ann: hello" in other.got()


def test_json(world, source, target):
    files(source)
    one = world.start(world.ann, "talk", "bob", "--commands", "--json", stdin=f"/send {source}/dir\n".encode())
    other = world.start(world.bob, "talk", "ann", "--yes", "--json", "-d", target)
    one.end(0)
    other.end(0)
    for side in (one, other):
        events = [json.loads(line) for line in side.got().splitlines()]
        assert all(event["v"] == 1 for event in events)
        outcomes = {event["name"]: event["outcome"] for event in events if event["event"] == "file"}
        assert outcomes == {"dir": "stored", "dir/one": "stored", "dir/two": "stored"}
    offers = [event for event in events if event["event"] == "offer"]
    assert [(event["files"], event["directories"]) for event in offers] == [(2, 1)]


# --- what a partner could try


def liar_says(world, *streams, lines=1):
    said = b"".join(message(LINE, b"hello") for _ in range(lines))
    return lie(world, "talk", said + message(LEFT_TALK, b"\0"), *streams, polite=True)


def screened(world, screens, target, *words):
    one = screens(world, world.bob, "ann", "-d", target, *words)
    return one


def ends(one, liar):
    """The talk has lived through it. Who promises files and does not send them is given up."""
    one.shows("ann has left; Ctrl-D ends the call")
    one.type(END)
    until(lambda: one.running.process.poll() is not None or "Ctrl-C gives it up" in one.text(), "the end")
    if one.running.process.poll() is None:
        one.type(INTERRUPT)
    one.running.end()
    assert one.is_as_before()
    liar.end()


def test_who_promises_files_and_does_not_send_them_is_not_waited_for_without_end(world, target):
    liar = liar_says(world, (CONTROL, told(entry(b"x", 4), items=[item(b"x", size=4)])))
    one = world.start(world.bob, "talk", "ann", "--yes", "-d", target)
    one.end(1, limit=90)
    assert "ann has sent nothing of its files for 30 seconds: they are given up" in one.said()
    liar.end()


def test_names_that_are_offered_drive_nothing(world, screens, target):
    one = screened(world, screens, target)
    name = b"\x1b[2J\rx\n[00:00:00] ann: forged" + b" [00:00:00] ann: forged" * 8
    liar = liar_says(world, (CONTROL, offer(items=[item(name, size=0)])))
    one.shows("ann offers 0 files")
    one.shows("\\x1b[2J\\x0dx\\x0a[00:00:00] ann: forged")
    assert not re.search(r"^ *\[00:00:00\]", one.text(), re.M), "no row looks like a text"
    ends(one, liar)


@pytest.mark.parametrize("streams", [
    [(CONTROL, message(9, b"x"))],
    [(CONTROL, b"\xff" * 100)],
    [(CONTROL, told(entry(b"x", 4))), (CONTROL, told(entry(b"y", 4)))],
    [(DATA, begin() + plain(b"data"))],
    [(DATA, begin()), (CONTROL, told(entry(b"x", 4)))],
    [(CONTROL, offer(entry(b"x", 4)) + entry(b"../x", 4) + end(1)), (DATA, begin() + plain(b"data"))],
    [(CONTROL, offer(entry(b"x", 4)) + entry(b"x", 4) + entry(b"y", 4, index=1) + end(2)), (DATA, b"")],
    [(CONTROL, b"")],
    [(CONTROL, told(entry(b"x", 4))[:20])],
    [(4, b"of a version to come"), (254, b"x")],
], ids=range(10))
@pytest.mark.parametrize("yes", [[], ["--yes"]])
def test_whatever_comes_instead_of_files_the_talk_goes_on(world, screens, target, streams, yes):
    one = screened(world, screens, target, *yes)
    liar = liar_says(world, *streams)
    one.shows("ann: hello")
    ends(one, liar)
    assert list(target.iterdir()) == []
    assert list(target.parent.glob("x")) == []
