"""What is asked and pasted at a terminal."""

import contextlib
import os
import subprocess

import pytest

from cn_helper import exchange
from ctl_helper import BUILD
from live import until


class Terminal:
    """`cyphernet` of a person, its standard input and error a terminal."""

    def __init__(self, person, *words):
        self.ours, theirs = os.openpty()
        os.set_blocking(self.ours, False)
        self.shown = b""
        self.process = subprocess.Popen(
            [str(word) for word in (BUILD / "cyphernet", *words)], stdin=theirs, stdout=subprocess.PIPE, stderr=theirs,
            cwd=person.tmp, env={**os.environ, "CYPHERNET_HOME": str(person.home)})
        os.close(theirs)

    def look(self):
        with contextlib.suppress(OSError):  # nothing there for now, or the other side is closed
            while more := os.read(self.ours, 65536):
                self.shown += more
        return self.shown.decode()

    def shows(self, text):
        until(lambda: text in self.look(), text)

    def type(self, text):
        for line in text.splitlines(keepends=True):
            os.write(self.ours, line.encode())
            self.look()  # the echo: a terminal that nobody reads takes no more

    def end(self, code):
        output = self.process.communicate(timeout=60)[0]
        self.look()
        os.close(self.ours)
        assert self.process.returncode == code, self.shown
        return output.decode()


@pytest.mark.parametrize("answer, code, state", [("n\n", 3, "unverified"), ("\n", 3, "unverified"),
                                                 ("\x04", 3, "unverified"), ("x\n", 3, "unverified"),
                                                 ("y\n", 0, "verified"), ("Yes\n", 0, "verified")])
def test_verifying_asks(ann, bob, answer, code, state):
    exchange(ann, bob)
    terminal = Terminal(ann, "contact", "verify", "bob")
    terminal.shows("[y/N]")
    terminal.type(answer)
    assert terminal.end(code) == ann.compared("bob")
    assert ann.state("bob") == state
    assert code == 0 or "exchange new ones" in terminal.shown.decode()


def test_a_card_taken_while_digits_are_compared(ann, bob):
    exchange(ann, bob)
    terminal = Terminal(ann, "contact", "verify", "bob")
    terminal.shows("[y/N]")
    ann.accept("bob", bob.offer("ann", "--new"), "--replace")
    terminal.type("y\n")
    terminal.end(1)
    assert "changed meanwhile" in terminal.shown.decode()
    assert ann.state("bob") == "unverified"


def test_yes_asks_nothing(ann, bob):
    exchange(ann, bob)
    terminal = Terminal(ann, "contact", "verify", "bob", "--yes")
    terminal.end(0)
    assert "[y/N]" not in terminal.shown.decode()


def test_a_card_may_be_pasted(ann, bob):
    terminal = Terminal(bob, "contact", "accept", "ann")
    terminal.shows("Ctrl-D")
    terminal.type(ann.offer("bob") + "\x04")
    assert terminal.end(0) == bob.compared("ann")
    assert "contact verify ann" in terminal.shown.decode()


def test_nothing_pasted_is_told(bob):
    terminal = Terminal(bob, "contact", "accept", "ann")
    terminal.shows("Ctrl-D")
    terminal.type("\x04")
    terminal.end(1)
    assert "empty" in terminal.shown.decode() and bob.state("ann") is None
