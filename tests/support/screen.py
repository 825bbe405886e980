"""A terminal with somebody before it: what a program shows there, cell by cell, and keys for it."""

import contextlib
import fcntl
import os
import signal
import struct
import termios

import pyte

from ctl_helper import BUILD
from live import until

ENTER, END, INTERRUPT, QUIT, SUSPEND, DISCARD = "\r", "\x04", "\x03", "\x1c", "\x1a", "\x15"
UP, DOWN, LEFT, RIGHT = "\x1b[A", "\x1b[B", "\x1b[D", "\x1b[C"


def paste(text):
    """As terminals send what is pasted, if they are asked to mark it."""
    return f"\x1b[200~{text}\x1b[201~"


class Screen:
    """One program on a terminal of its own, which it controls."""

    def __init__(self, world, person, *words, columns=80, rows=24, name="xterm", env=None, under=()):
        self.ours, self.theirs = os.openpty()
        self.screen = pyte.HistoryScreen(columns, rows, history=10000, ratio=1)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.size(columns, rows)
        self.before = termios.tcgetattr(self.theirs)
        self.running = world.run_program(
            [*under, BUILD / "cyphernet", *words], stdin=self.theirs, stdout=self.theirs, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0), cwd=world.tmp,
            env={"CYPHERNET_HOME": str(person.home), "TERM": name, "NO_COLOR": "1", **(env or {})})
        os.set_blocking(self.ours, False)

    def size(self, columns, rows):
        self.screen.resize(rows, columns)
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def look(self):
        """The lines that there are, also those that have gone over the top."""
        with contextlib.suppress(OSError):
            while more := os.read(self.ours, 65536):
                self.raw += more
                self.stream.feed(more)
        over = ["".join(row[column].data for column in range(self.screen.columns)).rstrip()
                for row in self.screen.history.top]
        return over + [line.rstrip() for line in self.screen.display]

    def text(self):
        return "\n".join(self.look()).rstrip()

    def line(self):
        """The one that the cursor is in."""
        self.look()
        return self.screen.display[self.screen.cursor.y].rstrip()

    def shows(self, text):
        until(lambda: text in self.text(), f"{text!r} on\n{self.text()}")

    def says(self, text):
        """The same, into however many rows it is broken."""
        wanted = "".join(text.split())
        until(lambda: wanted in "".join(self.text().replace("         | ", "").split()), f"{text!r} on\n{self.text()}")

    def asks(self, line):
        """Wait until this is what stands in the line that is edited."""
        until(lambda: self.line() == line, f"{line!r}, not {self.line()!r}")

    def type(self, text):
        """A terminal that nobody reads takes no more: in pieces."""
        octets = text if isinstance(text, bytes) else text.encode()
        while octets:
            with contextlib.suppress(BlockingIOError):
                octets = octets[os.write(self.ours, octets[:256]):]
            self.look()

    def is_as_before(self):
        """Whether its settings are those that it had."""
        return termios.tcgetattr(self.theirs) == self.before

    def end(self, code):
        """Wait for the program's end, and leave the terminal as it should be."""
        until(lambda: self.look() and self.running.process.poll() is not None, "the end")
        self.running.end(code)
        self.look()
        assert self.is_as_before()
        assert self.raw.rfind(b"\x1b[?2004l") >= self.raw.rfind(b"\x1b[?2004h"), "pastes are not marked any more"

    def signal(self, number):
        os.kill(self.running.process.pid, number)

    def close_terminal(self):
        """Nobody is there any more."""
        os.close(self.theirs)
        os.close(self.ours)

    def close(self):
        with contextlib.suppress(OSError):
            os.close(self.ours)
        with contextlib.suppress(OSError):
            os.close(self.theirs)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.running.process.pid, signal.SIGKILL)
