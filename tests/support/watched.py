"""Calls with cyphernet_watched (tests/secrets), which tells at its end what is left in its memory of its secrets."""

import random
import re
import subprocess

from ctl_helper import BUILD

PROGRAMS = BUILD / "tests/secrets"

# Contacts, files and what is said have names and words that are long enough to be found.
ONE, OTHER = "ann-whose-name-the-server-is-not-told", "bob-whose-name-the-server-is-not-told"
FILE = "a-file-of-which-the-server-learns-nothing.txt"
TEXT = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz ", k=512))


def told(left):
    """In a file that cyphernet_watched wrote: pieces that are left, of how many, and all it said."""
    said = left.read_text()
    found, pieces = re.search(r"^(\d+) of (\d+)$", said, re.M).groups()
    return int(found), int(pieces), said


class Watched:
    """Two subscribers of a world's server, and their calls."""

    def __init__(self, world, identity=None, name="subscriber"):
        self.world = world
        self.kept = world.tmp / "kept"
        self.source, self.came = world.tmp / f"source-{name}", world.tmp / f"came-{name}"
        for place in (self.source, self.came):
            place.mkdir()
        self.ann, self.bob = world.person(f"{name}-1", identity=identity), world.person(f"{name}-2")
        for one, name in ((self.ann, OTHER), (self.bob, ONE)):
            one.card = one.offer(name)
        for one, name, other in ((self.ann, OTHER, self.bob), (self.bob, ONE, self.ann)):
            one.accept(name, other.card)
            one.ok("contact", "verify", name, "--yes")
        (self.source / FILE).write_text(TEXT)

    def run(self, person, *words, env=None, **options):
        """One command, and the file in which it tells."""
        left = self.world.tmp / f"left-{next(self.numbers)}"
        env = {"CYPHERNET_HOME": str(person.home), "WATCH_LEFT": str(left), **(env or {})}
        if words[0] == "pipe":  # a file's content lies on the disks of both
            env["WATCH_REVERSED"] = TEXT[::-1]
        command = [PROGRAMS / "cyphernet_watched", *words, "--wait", "30", "--resume-for", "0"]
        return self.world.run_program(command, env=env, cwd=self.world.tmp, **options), left

    numbers = iter(range(1 << 30))

    def call(self, service, env=None):
        """One of both, to its end. What each tells: pieces that are left, of how many, and all it said."""
        if service == "pipe":
            two = [self.run(self.ann, "pipe", OTHER, env=env, stdin=TEXT.encode()),
                   self.run(self.bob, "pipe", ONE, env=env, stdin=TEXT[::-1].encode())]
        else:
            (self.came / FILE).unlink(missing_ok=True)
            two = [self.run(self.bob, "receive", ONE, "-d", self.came, env=env),
                   self.run(self.ann, "send", OTHER, self.source / FILE, env=env)]
        for running, _ in two:
            running.end(0)
        if service == "pipe":
            assert two[1][0].got() == TEXT.encode()
        else:
            assert (self.came / FILE).read_text() == TEXT
        return [told(left) for _, left in two]


def pieces(what, text):
    """As cyphernet_watched writes them."""
    octets = text.encode()
    return "".join(f"{what}\t{at}\t{octets[at : at + 16].hex()}\n" for at in range(0, len(octets) - 15, 16))


def in_server(world, kept):
    """How many of the pieces in that file are in the memory of the server's processes, of how many; and what was said."""
    pids = [str(pid) for pid in sum(world.processes().values(), [])]
    done = subprocess.run([PROGRAMS / "left_in_process", kept, *pids], capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode in (0, 1), "as root alone can another's memory be looked at"
    found, count = re.search(r"^(\d+) of (\d+)$", done.stdout, re.M).groups()
    return int(found), int(count), done.stdout
