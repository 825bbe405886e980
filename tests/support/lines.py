"""Subscribers played octet by octet, through tests/support/line_driver.c."""

import itertools
import json
import os
import socket
import subprocess
import time

from ctl_helper import BUILD
from live import until

TAG = "07" + 31 * "00"
OTHER = "08" + 31 * "00"
counter = itertools.count()


class Line:
    """One connection to the server of a world. Every call waits for its answer."""

    def __init__(self, world, fingerprint=None, connect=True, buffer=0):
        self.world = world
        self.fingerprint = fingerprint
        self.process = subprocess.Popen(
            [BUILD / "tests/support/line_driver"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        world.under_way.append(self)
        self.sent = None
        if buffer:
            self.ok("buffer", buffer)
        if connect:
            self.ok("connect", "127.0.0.1", world.port)

    def tell(self, *words):
        """A command whose answer comes later, by answer()."""
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()

    def answer(self):
        said = self.process.stdout.readline().rstrip("\n")
        assert said, "the driver has ended"
        return said

    def ask(self, *words):
        self.tell(*words)
        return self.answer()

    def ok(self, *words):
        said = self.ask(*words)
        assert said.split()[0] == "ok", (words[0], said)
        return said[3:]

    def hello(self):
        """Send the hello, and keep it."""
        self.sent = bytes.fromhex(self.ok("hello", self.fingerprint))
        return self

    def admit(self):
        self.hello()
        said = self.ask("verdict")
        assert said.startswith("admitted "), said
        return self

    def register(self, *entries):
        """Entries are MODE TAG MODE TAG ...; the answer."""
        self.ok("register", *entries)
        return self.ask("expect")

    def wait(self, *entries):
        """Admitted and registered; nobody is there yet."""
        said = self.admit().register(*(entries or ("input", TAG)))
        assert said == "waiting", said
        return self

    def expect(self, what, *limit_ms):
        said = self.ask("expect", *limit_ms)
        assert said == what, said
        return self

    def joined(self, mode, tag=TAG):
        return self.expect(f"joined {mode} {tag}")

    def quiet(self, ms=200):
        """Nothing comes for a while."""
        return self.expect("nothing", ms)

    def ready(self, size=100, octet=ord("p")):
        self.ok("ready")
        assert self.ok("prologue", size, octet) == str(size + 2)
        return self

    def recv(self, size, *limit_ms):
        """What has come, and why it is no more: whole, eof, reset, nothing."""
        words = self.ask("recv", size, *limit_ms).split()
        assert words[0] == "got", words
        return (bytes.fromhex(words[1]), words[2]) if len(words) == 3 else (b"", words[1])

    def gets(self, octets):
        """Exactly these come next."""
        got = self.recv(len(octets))
        assert got == (octets, "whole"), (got[0][:40], len(got[0]), got[1])
        return self

    def send(self, octets):
        assert self.ok("raw", octets.hex()) == str(len(octets))
        return self

    def ended(self, limit_ms=10000):
        """It is closed, and nothing came before."""
        got, how = self.recv(1, limit_ms)
        assert got == b"", "an octet came"
        assert how in ("eof", "reset"), how

    def is_open(self):
        return self.recv(1, 0) == (b"", "nothing")

    def stop(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.kill()
        self.process.wait()


def prologue(size=100, octet=ord("p")):
    return size.to_bytes(2, "big") + bytes([octet]) * size


def invited(world, name=None):
    """The fingerprint of a new subscriber."""
    name = name or f"subscriber-{next(counter)}"
    world.ctl.ok("invite", name, "-o", f"{name}.fp")
    return world.tmp / f"{name}.fp"


def forged(world, not_before, not_after):
    """A fingerprint that the operator's key signed, valid between two times from now."""
    path = world.tmp / f"forged-{next(counter)}.fp"
    now = int(time.time())
    done = subprocess.run(
        [BUILD / "tests/support/forge", world.ctl.dir, "forged", str(now + not_before), str(now + not_after)],
        check=True, capture_output=True,
    )
    path.write_bytes(done.stdout)
    return path


def pair_of(world, first="input", second="output", tag=TAG, fingerprints=None, buffer=0):
    """Two lines that were joined; READY has not been sent."""
    a, b = fingerprints or (invited(world), invited(world))
    one = Line(world, a, buffer=buffer).wait(first, tag)
    other = Line(world, b, buffer=buffer).admit()
    other.ok("register", second, tag)
    one.joined(first, tag)
    other.joined(second, tag)
    return one, other


def call_of(world, **options):
    """Two lines whose prologues have passed."""
    one, other = pair_of(world, **options)
    one.ready(octet=ord("a"))
    other.ready(octet=ord("b"))
    one.gets(prologue(octet=ord("b")))
    other.gets(prologue(octet=ord("a")))
    return one, other


def works(one, other):
    """A joined call passes on what either end says."""
    one.send(b"from one")
    other.send(b"from the other")
    other.gets(b"from one")
    one.gets(b"from the other")


def status(world):
    """What the server counts, asked over its control socket."""
    with socket.socket(socket.AF_UNIX) as control:
        control.settimeout(20)
        where = os.open(world.ctl.dir, os.O_PATH)
        try:
            control.connect(f"/proc/self/fd/{where}/control")
        finally:
            os.close(where)
        control.sendall(b"status\n")
        reply = b""
        while part := control.recv(65536):
            reply += part
    return json.loads(reply)


def counts(world, **expected):
    """Wait until the server counts so."""
    until(lambda: expected.items() <= status(world).items(), f"{expected}, it says {status(world)}", 10)


class Change:
    """What counters have grown by since a moment, on a server that other tests use too."""

    def __init__(self, world, waiting=0):
        """Once the lines of earlier tests have gone, and so many of this one wait."""
        self.world = world
        counts(world, pending=0, waiting=waiting, joining=0, calls=0)
        self.before = self.settled()

    def settled(self):
        """What the server counts, once that has come to rest."""
        last = None
        for _ in range(20):
            now = self.resting(status(self.world))
            if now == last:
                break
            last = now
        return now

    @staticmethod
    def resting(counted):
        return {key: value for key, value in counted.items() if key != "uptime_s" and not key.endswith("_per_s")}

    def since(self):
        now = self.settled()
        return {
            key: now[key] - value
            for key, value in self.before.items()
            if isinstance(value, int) and not isinstance(value, bool) and key in now and key != "v" and now[key] != value
        }

    def becomes(self, **expected):
        until(lambda: self.since() == expected, f"{expected}, it says {self.since()}", 10)
