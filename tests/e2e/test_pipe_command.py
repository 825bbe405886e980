"""cyphernet pipe NAME -- COMMAND: a command in place of our own ends, and its failure as the call's."""

import os
import signal
import subprocess
import sys

import pytest

from ctl_helper import BUILD
from live import children_of, has_gone, until
from screen import INTERRUPT, Screen
from test_pipe import noise

PIPE = subprocess.PIPE
NOT_COMPLETE = "ann ran a command that failed; what arrived here is not complete"


def command(world, person, name, *words, wait=30, options=(), **others):
    """`cyphernet pipe NAME -- WORDS...`"""
    return world.run_program([BUILD / "cyphernet", "pipe", name, "--wait", wait, "--resume-for", 0, *options, "--", *words],
                             env={"CYPHERNET_HOME": str(person.home), **others.pop("env", {})}, cwd=world.tmp, **others)


def script(world, text):
    path = world.tmp / "script.py"
    path.write_text(f"#!{sys.executable}\nimport os, signal, sys, time\n{text}\n")
    path.chmod(0o755)
    return path


# --- what works


@pytest.mark.parametrize("size", [0, 1, 65536, 5 << 20])
def test_its_output_arrives(world, size):
    source = world.tmp / "source"
    source.write_bytes(noise(size))
    one = command(world, world.ann, "bob", "cat", source)
    other = world.start(world.bob, "pipe", "ann")
    other.end(0)
    one.end(0)
    assert other.got() == noise(size) and one.got() == b""


@pytest.mark.parametrize("size", [0, 1, 65536, 5 << 20])
def test_its_input_comes_from_the_partner(world, size):
    sink = world.tmp / "sink"
    one = command(world, world.ann, "bob", "sh", "-c", f"cat > '{sink}'")
    other = world.start(world.bob, "pipe", "ann", stdin=noise(size))
    other.end(0)
    one.end(0)
    assert sink.read_bytes() == noise(size)


def test_both_ways_and_both_ends(world):
    one = command(world, world.ann, "bob", "tr", "a-z", "A-Z")
    other = world.start(world.bob, "pipe", "ann", stdin=b"hello " * 100000)
    other.end(0)
    one.end(0)
    assert other.got() == b"HELLO " * 100000
    sink = world.tmp / "sink"
    one = command(world, world.ann, "bob", "seq", "100000")
    other = command(world, world.bob, "ann", "sh", "-c", f"wc -l > '{sink}'")
    other.end(0)
    one.end(0)
    assert sink.read_text() == "100000\n"


def test_what_it_says_of_errors_is_ours(world):
    one = command(world, world.ann, "bob", "sh", "-c", "echo complaint >&2", options=["-q"])
    world.start(world.bob, "pipe", "ann").end(0)
    one.end(0)
    assert one.said() == "complaint\n"


def test_its_words_are_its_own(world):
    """Options, dashes, empty and odd ones; none of them is ours."""
    words = ["--wait", "-n", "--", "", "a b", "*", "--help", b"\xff"]
    one = command(world, world.ann, "bob", sys.executable, "-c", "import os, sys; print(list(map(os.fsencode, sys.argv[1:])))",
                  *words)
    other = world.start(world.bob, "pipe", "ann")
    other.end(0)
    one.end(0)
    assert other.got().decode() == f"{[word if isinstance(word, bytes) else word.encode() for word in words]}\n"


def test_one_that_reads_nothing_of_nothing(world):
    one = command(world, world.ann, "bob", "sh", "-c", "exec <&-; echo there")
    other = world.start(world.bob, "pipe", "ann", "-n")
    other.end(0)
    one.end(0)
    assert other.got() == b"there\n"


def test_it_is_run_when_the_partner_is_there(world):
    mark = world.tmp / "mark"
    one = command(world, world.ann, "bob", "touch", mark)
    one.says("waiting for bob")
    assert not mark.exists()
    world.start(world.bob, "pipe", "ann").end(0)
    one.end(0)
    assert mark.exists()


def test_it_gets_nothing_of_ours(world):
    """No descriptor but its three and what the user passes on, and no signal is blocked or ignored."""
    path = world.tmp / "script.sh"
    path.write_text("#!/bin/sh\nls /proc/$$/fd\nexec grep -E 'SigBlk|SigIgn' /proc/self/status\n")
    path.chmod(0o755)
    read, write = os.pipe()
    kept_read, kept_write = os.pipe()
    one = command(world, world.ann, "bob", path, options=["--events", write], pass_fds=[write, kept_read])
    other = world.start(world.bob, "pipe", "ann")
    other.end(0)
    one.end(0)
    for fd in (read, write, kept_read, kept_write):
        os.close(fd)
    *fds, blocked, ignored = other.got().decode().split("\n")[:-1]
    open_ones = {int(fd) for fd in fds}
    assert {0, 1, 2, kept_read} <= open_ones and write not in open_ones
    assert open_ones <= {0, 1, 2, kept_read, 10, 255}  # where shells keep their script
    assert int(blocked.split()[1], 16) == 0
    assert int(ignored.split()[1], 16) & 1 << signal.SIGPIPE - 1 == 0


def test_one_that_takes_nothing_and_one_whose_output_stays(world):
    """As `pg_dump` and `psql`, which prints what it has done."""
    one = command(world, world.ann, "bob", "seq", "100000")
    other = command(world, world.bob, "ann", "sh", "-c", "wc -l; seq 100000", options=["-n"])
    other.end(0)
    one.end(0)
    assert other.got() == b"100000\n" + b"".join(b"%d\n" % n for n in range(1, 100001)) and one.got() == b""


def test_whose_output_stays_may_fail_all_the_same(world):
    one = world.start(world.ann, "pipe", "bob", stdin=b"INSERT")
    other = command(world, world.bob, "ann", "sh", "-c", "cat; exit 3", options=["-n"])
    assert (one.end(), other.end()) == (5, 1)
    assert other.got() == b"INSERT" and "bob ran a command that failed" in one.said()


def test_what_it_has_started_may_outlast_it(world):
    """Who ends well is done, as in a shell."""
    one = command(world, world.ann, "bob", "sh", "-c", "sleep 1000 >&- 2>&- <&- & echo $!")
    other = world.start(world.bob, "pipe", "ann")
    other.end(0)
    one.end(0)
    pid = int(other.got())
    assert not has_gone(pid)
    os.kill(pid, signal.SIGKILL)


# --- what fails


@pytest.mark.parametrize("words", [["no-such-command"], ["/no/such"], [""], ["/"], ["/etc/passwd"], ["."]])
def test_one_that_is_not_there_is_said_before_the_call(world, words):
    one = command(world, world.ann, "bob", *words)
    one.end(1)
    assert "waiting" not in one.said() and "connected" not in one.said()
    assert f"error: {words[0]}: " in one.said() and "hint: " in one.said()


def test_one_that_cannot_be_run_after_all(world):
    path = script(world, "")
    path.write_text("#!/no/such/interpreter\n")
    one = command(world, world.ann, "bob", path)
    other = world.start(world.bob, "pipe", "ann")
    assert (one.end(), other.end()) == (1, 5)
    assert f"error: {path}: No such file" in one.said()


@pytest.mark.parametrize("before", [0, 10, 1 << 20])
@pytest.mark.parametrize("who", ["ann", "bob"])
def test_its_failure_is_the_partners(world, before, who):
    """Whoever of the two is the caller."""
    one, other = (world.ann, world.bob) if who == "ann" else (world.bob, world.ann)
    first = command(world, one, other.name, "sh", "-c", f"head -c {before} /dev/zero; exit 3")
    second = world.start(other, "pipe", one.name)
    assert (first.end(), second.end()) == (1, 5)
    assert "error: sh: failed, with exit code 3" in first.said()
    assert f"{one.name} ran a command that failed; what arrived here is not complete" in second.said()


def test_it_has_closed_its_output_before_it_fails(world):
    """The end of its output alone says nothing."""
    fifo = world.tmp / "fifo"
    os.mkfifo(fifo)
    write = os.open(fifo, os.O_RDWR)
    one = command(world, world.ann, "bob", "sh", "-c", f"echo all; exec >&-; read end < '{fifo}'; exit 1")
    other = world.start(world.bob, "pipe", "ann", stdout=PIPE)
    assert other.stdout.readline() == b"all\n"
    assert other.process.poll() is None
    os.write(write, b"end\n")
    assert (one.end(), other.end()) == (1, 5)
    os.close(write)
    fifo.unlink()
    assert NOT_COMPLETE in other.said()


def test_what_is_not_complete_has_no_end_for_the_partners_command(world):
    """It is ended before it could take the end of what came for the end of all."""
    mark = world.tmp / "mark"
    mark.unlink(missing_ok=True)
    one = command(world, world.ann, "bob", "sh", "-c", "echo a beginning; exit 1")
    other = command(world, world.bob, "ann", script(world, f"sys.stdin.read()\nopen({str(mark)!r}, 'w').close()"))
    assert (one.end(), other.end()) == (1, 5)
    assert NOT_COMPLETE in other.said() and not mark.exists()


def test_it_ends_by_a_signal(world):
    one = command(world, world.ann, "bob", "sh", "-c", "kill -9 $$")
    other = world.start(world.bob, "pipe", "ann")
    assert (one.end(), other.end()) == (1, 5)
    assert "error: sh: ended by signal 9" in one.said() and NOT_COMPLETE in other.said()


def test_it_does_not_take_all(world):
    one = command(world, world.ann, "bob", "head", "-c", "10")
    other = world.start(world.bob, "pipe", "ann", stdin=noise(8 << 20))
    assert (one.end(), other.end()) == (1, 5)
    assert "head: it ended without taking all that came" in one.said() and "hint: if bob has nothing" in one.said()
    assert "ann could not write what you sent" in other.said() and "hint: if nothing is to be sent: -n" in other.said()


def test_failing_says_more_than_not_taking(world):
    one = command(world, world.ann, "bob", "sh", "-c", "exec <&-; sleep 0.2; exit 7")
    other = world.start(world.bob, "pipe", "ann", stdin=noise(8 << 20))
    assert (one.end(), other.end()) == (1, 5)
    assert "sh: failed, with exit code 7" in one.said() and NOT_COMPLETE in other.said()


@pytest.mark.parametrize("words", [["bob", "--"], ["bob", "-n", "--"], ["--wait", "1", "bob", "--"]])
def test_no_command_behind_two_dashes(world, words):
    assert "there is no command behind --" in world.ann.bad(2, "pipe", *words)


# --- somebody goes away


def waiting(world):
    """A command that has its pid told, and waits for the end of its input; ours, it, and where it would say so."""
    mark = world.tmp / "mark"
    mark.unlink(missing_ok=True)
    path = script(world, f"print(os.getpid(), flush=True)\nsys.stdin.read()\nopen({str(mark)!r}, 'w').close()")
    one = command(world, world.ann, "bob", path)
    other = world.start(world.bob, "pipe", "ann", stdin=PIPE, stdout=PIPE)
    return one, other, int(other.stdout.readline()), mark


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_us_ends_it(world, number):
    one, other, pid, mark = waiting(world)
    one.signal(number)
    assert one.end() == 128 + number
    assert other.end() == 5
    assert has_gone(pid) and not mark.exists(), "it has seen no end of its input"


def test_a_kill_ends_it(world):
    one, other, pid, _ = waiting(world)
    one.signal(signal.SIGKILL)
    one.end(-signal.SIGKILL)
    assert other.end() == 5
    until(lambda: has_gone(pid), "the command has gone")


def test_a_kill_ends_what_it_has_started_and_nothing_sees_an_end(world):
    """Though it is nobody any more who could have sent the rest."""
    mark = world.tmp / "mark"
    mark.unlink(missing_ok=True)
    path = script(world, f"print(os.getpid(), flush=True)\nsys.stdin.read()\nopen({str(mark)!r}, 'w').close()")
    one = command(world, world.ann, "bob", "sh", "-c", f"trap '' TERM; cat | '{path}'", options=["-q"])
    other = world.start(world.bob, "pipe", "ann", stdin=PIPE, stdout=PIPE)
    pid = int(other.stdout.readline())
    one.signal(signal.SIGKILL)
    assert other.end() == 5
    until(lambda: has_gone(pid), "it has gone, too")
    assert not mark.exists()


def test_the_partner_goes(world):
    one, other, pid, mark = waiting(world)
    other.signal(signal.SIGKILL)
    assert one.end() == 5
    assert has_gone(pid) and not mark.exists()


@pytest.mark.parametrize("deaf", ["", "signal.signal(signal.SIGTERM, signal.SIG_IGN)"])
def test_what_it_has_started_goes_with_it(world, deaf):
    """And sees no end of its input before, though who started it has gone at once."""
    mark = world.tmp / "mark"
    mark.unlink(missing_ok=True)
    path = script(world, f"{deaf}\nprint(os.getpid(), flush=True)\nsys.stdin.read()\nopen({str(mark)!r}, 'w').close()")
    one = command(world, world.ann, "bob", "sh", "-c", f"exec 3<&0; '{path}' <&3 3<&- & exec 3<&- <&-; wait", options=["-q"])
    other = world.start(world.bob, "pipe", "ann", stdin=PIPE, stdout=PIPE)
    pid = int(other.stdout.readline())
    other.signal(signal.SIGKILL)
    assert one.end() == 5
    until(lambda: has_gone(pid), "it has gone, too")
    assert not mark.exists()


# --- a terminal


def asking(world):
    """A command that asks for a password at the terminal, as `pg_dump` does, and then says it; and the partner."""
    path = script(world, "tty = os.open('/dev/tty', os.O_RDWR)\nos.write(tty, b'Password:')\n"
                         "os.write(1, os.read(tty, 100))\nsys.stdin.read()")
    screen = Screen(world, world.ann, "pipe", "bob", "--wait", "30", "--", path)
    other = world.start(world.bob, "pipe", "ann", stdin=PIPE, stdout=PIPE)
    screen.shows("Password:")
    return screen, other


def test_it_may_ask_for_a_password(world):
    screen, other = asking(world)
    screen.type("secret\n")
    assert other.stdout.readline() == b"secret\n"
    other.stdin.close()
    other.end(0)
    screen.end(0)


@pytest.mark.parametrize("typed", ["", "secret\n"])
def test_ctrl_c_ends_both(world, typed):
    screen, other = asking(world)
    screen.type(typed)
    if typed:
        assert other.stdout.readline() == b"secret\n"
    screen.type(INTERRUPT)
    screen.end(128 + signal.SIGINT)
    other.end(5)


def test_ctrl_c_ends_one_that_asks_nothing(world):
    screen = Screen(world, world.ann, "pipe", "bob", "--wait", "30", "--", "sh", "-c", "trap '' INT; echo $$; cat")
    other = world.start(world.bob, "pipe", "ann", stdin=PIPE, stdout=PIPE)
    pid = int(other.stdout.readline())
    screen.type(INTERRUPT)
    screen.end(128 + signal.SIGINT)
    other.end(5)
    assert has_gone(pid)


def test_one_that_does_not_go_is_killed(world):
    path = script(world, "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint(os.getpid(), flush=True)\nsignal.pause()")
    one = command(world, world.ann, "bob", path)
    other = world.start(world.bob, "pipe", "ann", stdin=PIPE, stdout=PIPE)
    pid = int(other.stdout.readline())
    other.signal(signal.SIGKILL)
    assert one.end() == 5
    assert has_gone(pid)


def test_it_has_ended_and_the_call_goes_on(world):
    one = command(world, world.ann, "bob", "true")
    other = world.start(world.bob, "pipe", "ann", stdin=PIPE)
    until(lambda: "connected" in one.said() and not children_of(one.process.pid), "it has ended, and is no zombie")
    assert one.process.poll() is None
    other.stdin.close()
    other.end(0)
    one.end(0)
