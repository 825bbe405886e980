"""Crowds and floods on a server: tests/support/crowd.c and flood.c."""

import json
import subprocess
from pathlib import Path

from ctl_helper import BUILD


class Driver:
    """A program that answers line by line."""

    def __init__(self, world, *command):
        self.process = subprocess.Popen(
            [BUILD / "tests/support" / command[0], *map(str, command[1:])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        world.under_way.append(self)

    def tell(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def said(self, what):
        line = self.process.stdout.readline().strip()
        assert line.startswith(what), line
        return line

    def stop(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.kill()
        self.process.wait()


class Crowd(Driver):
    """So many who wait, in one process."""

    def __init__(self, world, lines=0, tags=1):
        super().__init__(world, "crowd", world.ctl.dir, world.port, lines, tags)
        self.said(f"waiting {lines}")

    def join(self, number):
        """Somebody comes for that one; microseconds until it is joined."""
        self.tell(f"join {number}")
        return int(self.said("joined ").split()[1])

    def call(self):
        """Two meet: microseconds until the one waits, until the other is joined, until both have the prologues; and
        how many lines were lost before."""
        self.tell("call")
        return [int(word) for word in self.said("called ").split()[1:]]


class Flood(Driver):
    """An attack, which goes on until over()."""

    def __init__(self, world, kind, addresses, lines, rate):
        super().__init__(world, "flood", kind, world.ctl.dir, world.port, addresses, lines, rate)
        self.said("ready")

    def begin(self):
        self.tell("")
        return self

    def over(self):
        """What it did."""
        self.process.stdin.close()
        return json.loads(self.said("{"))


def pss(world):
    """The proportional set size of the server's processes, octets; without programs and libraries, of which others' use
    changes our share."""
    rollups = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in sum(world.processes().values(), [])]
    lines = [line.split() for rollup in rollups for line in rollup.splitlines()]
    return sum(1024 * int(line[1]) for line in lines if line[0] in ("Pss_Anon:", "Pss_Shmem:"))
