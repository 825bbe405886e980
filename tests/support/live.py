"""A running server and calls through it. Nothing here sleeps: what is waited for is a condition, with a limit."""

import contextlib
import fcntl
import itertools
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import termios
import time
from pathlib import Path

from cn_helper import Person, exchange
from ctl_helper import BUILD, Ctl

KEYS = Path(__file__).parents[1] / "keys"
LIMIT = 60  # seconds: sanitizers on a busy machine may need a good part of it
SUITES = ["SHA256-AES256GCM", "SHA256-CHACHA20POLY1305", "SHA512-AES256GCM", "BLAKE2B-CHACHA20POLY1305"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(condition, what, limit=LIMIT):
    """Wait until the condition holds; its value."""
    end = time.monotonic() + limit
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {limit} s: {what}"
        select.select([], [], [], 0.005)
    return value


def held(pipe):
    """Octets in it, or to be read from a terminal."""
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4))[0]


def children_of(pid):
    """Of its main thread; none if it has gone."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def has_gone(pid):
    """Or only waits to be asked how it ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def status_kib(pid, field):
    """Of proc(5), /proc/pid/status; 0 once it has gone."""
    try:
        found = re.search(rf"^{field}:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.M)
    except OSError:
        return 0
    return int(found[1]) if found else 0


def resident_kib(pid):
    return status_kib(pid, "VmRSS")


def peak_kib(pid):
    """The most that it has had resident so far."""
    return status_kib(pid, "VmHWM")


def descriptor_count(pid):
    """0 once it has gone."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


class Running:
    """A program under way. What it says goes to files, so that it never waits for us."""

    numbers = itertools.count()

    def __init__(self, tmp, command, stdin=None, stdout=None, env=None, **options):
        number = next(Running.numbers)
        self.errors = tmp / f"stderr-{number}"
        self.output = tmp / f"stdout-{number}"
        if isinstance(stdin, bytes):
            given = tmp / f"stdin-{number}"
            given.write_bytes(stdin)
            stdin = given
        with contextlib.ExitStack() as files:
            if isinstance(stdin, Path):
                stdin = files.enter_context(stdin.open("rb"))
            if stdout is None:
                stdout = files.enter_context(self.output.open("wb"))
            elif isinstance(stdout, Path):
                stdout = files.enter_context(stdout.open("wb"))
            self.process = subprocess.Popen(
                [str(word) if not isinstance(word, bytes) else word for word in command],
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                stdout=stdout,
                stderr=files.enter_context(self.errors.open("wb")),
                env={**os.environ, **(env or {})},
                **options,
            )
        self.stdin = self.process.stdin
        self.stdout = self.process.stdout

    def said(self):
        return self.errors.read_text(errors="backslashreplace")

    def says(self, text, limit=LIMIT):
        """Wait until it has said so."""

        def seen():
            if text in self.said():
                return True
            assert self.process.poll() is None, f"ended with {self.process.poll()}: {self.said()}"
            return False

        until(seen, f"{text!r}, it says {self.said()!r}", limit)

    def end(self, code=None, limit=LIMIT):
        """Wait until it has ended; with that code if one is given."""
        try:
            got = self.process.wait(limit)
        except subprocess.TimeoutExpired:
            self.stop()
            raise AssertionError(f"not ended within {limit} s: {self.said()}") from None
        assert code is None or got == code, (got, self.said())
        assert "Sanitizer" not in self.said() and "runtime error" not in self.said(), self.said()
        return got

    def got(self):
        """The octets on its standard output."""
        return self.output.read_bytes()

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        """Gone, whatever it was doing, and those that it had started, which end with it, too."""
        children = []
        if self.process.poll() is None:
            children = children_of(self.process.pid)
            self.process.kill()
        self.process.wait()
        until(lambda: all(map(has_gone, children)), "its processes have gone")
        for end in (self.process.stdin, self.process.stdout):
            if end:
                with contextlib.suppress(OSError):
                    end.close()


class World:
    """An operator's directory, a server on it, subscribers, and what they run."""

    def __init__(self, tmp, host="127.0.0.1"):
        self.tmp = tmp
        tmp.mkdir(exist_ok=True)
        self.ctl = Ctl(tmp)
        self.port = free_port()
        self.ctl.ok("init", "--listen", f"{host}:{self.port}", "--public", f"{host}:{self.public_port()}")
        self.server = None
        self.under_way = []

    def public_port(self):
        return self.port

    def serve(self, config="", under=()):
        """Start the server, under another program if wanted, and wait until it is ready."""
        if config:
            (self.ctl.dir / "cyphernetd.conf").write_text(config)
        self.server = self.run_program([*under, BUILD / "cyphernetd", "--dir", self.ctl.dir])
        until(lambda: b"ready" in self.server.got() or self.server.process.poll() is not None, "the server is ready")
        assert self.server.process.poll() is None, self.server.said()
        return self

    def processes(self):
        """Those of the server: pids, by program; the first is the supervisor."""
        pid = self.server.process.pid
        pids = [pid, *children_of(pid)]
        found = {}
        for one in pids:
            with contextlib.suppress(OSError):
                comm = Path(f"/proc/{one}/comm").read_text().strip()  # cut after 15 characters
                found.setdefault({"cyphernetd-swit": "cyphernetd-switch"}.get(comm, comm), []).append(one)
        return found

    def gate(self):
        """The pid of the gate."""
        return self.processes()["cyphernetd-gate"][0]

    def cpu_s(self):
        """Processor time that the server's processes have taken."""
        ticks = 0
        for pid in sum(self.processes().values(), []):
            words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(words[11]) + int(words[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def resident_kib(self):
        """What they have in memory."""
        return sum(map(resident_kib, sum(self.processes().values(), [])))

    def run_program(self, command, **options):
        running = Running(self.tmp, command, **options)
        self.under_way.append(running)
        return running

    def start(self, person, *words, wait=30, resume=0, under=(), **options):
        """`cyphernet WORDS...` of that person, in the background, under another program if wanted. resume: for so long,
        if its line is lost."""
        calls = words[0] in ("pipe", "talk", "send", "receive", "forward", "connect", "serve")
        if calls and "--" not in words and "--help" not in words:
            words = (*words, *(("--wait", wait) if wait and words[0] != "serve" else ()), "--resume-for", resume)
        env = {"CYPHERNET_HOME": str(person.home), **options.pop("env", {})}
        options.setdefault("cwd", self.tmp)
        return self.run_program([*under, BUILD / "cyphernet", *words], env=env, **options)

    def person(self, name, identity=None, suites=None):
        """A subscriber who has joined, if wanted with an identity of tests/keys or preferred suites."""
        one = Person(self.tmp, name)
        if identity:
            one.home.mkdir(mode=0o700)
            shutil.copy(KEYS / f"{identity}.identity", one.home / "identity")
            (one.home / "identity").chmod(0o600)
        self.ctl.ok("invite", name, "-o", f"{name}.fp")
        one.ok("join", f"{name}.fp")
        if suites:
            (one.home / "config").write_text(f"suites = {suites}\n")
        return one

    def pair(self, first="ann", second="bob", **options):
        """Two subscribers who have exchanged cards and compared the numbers."""
        one, other = self.person(first, **options), self.person(second, **options)
        exchange(one, other)
        one.ok("contact", "verify", other.name, "--yes")
        other.ok("contact", "verify", one.name, "--yes")
        return one, other

    def clear(self):
        """End what is left of the programs of a test, but not the server."""
        for running in self.under_way:
            if running is not self.server:
                running.stop()
        self.under_way = [self.server] if self.server else []
        for left in self.tmp.glob("home-*/undelivered/*"):  # what a talk of that test left for the next
            left.unlink()

    def close(self):
        self.clear()
        if self.server and self.server.process.poll() is None:
            self.server.signal(signal.SIGTERM)
            try:
                self.server.process.wait(2)
            except subprocess.TimeoutExpired:
                self.server.stop()
        if self.server:
            assert "Sanitizer" not in self.server.said(), self.server.said()


def piped(world, one, other, there=b"", back=b"", *words, **options):
    """Both pipe to each other; what they got. Both must end well."""
    first = world.start(one, "pipe", other.name, *words, stdin=there, **options)
    second = world.start(other, "pipe", one.name, *words, stdin=back, **options)
    first.end(0)
    second.end(0)
    return second.got(), first.got()
