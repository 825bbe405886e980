"""Thousands of subscribers who wait at once: what they take of the server's memory, and of others' time."""

import statistics
import subprocess
from pathlib import Path

import pytest

from ctl_helper import BUILD
from lines import counts

LINES = 4000
TAGS = 4
CONFIG = "[waiting]\nlines_max = 8000\ntags_max = 100000\n"

# The sanitizers have a memory of their own, and take their time.
sanitized = not (BUILD / "tests/support/key_watch.so").exists()


class Crowd:
    """So many who wait, in one process."""

    def __init__(self, world, lines, tags):
        self.process = subprocess.Popen(
            [BUILD / "tests/support/crowd", world.ctl.dir, str(world.port), str(lines), str(tags)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        world.under_way.append(self)
        self.said(f"waiting {lines}")

    def said(self, what):
        line = self.process.stdout.readline().strip()
        assert line.startswith(what), line
        return line

    def join(self, number):
        """Somebody comes for that one; microseconds until it is joined."""
        self.process.stdin.write(f"join {number}\n")
        self.process.stdin.flush()
        return int(self.said("joined ").split()[1])

    def stop(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.kill()
        self.process.wait()


def pss(world):
    """The proportional set size of the server's processes, octets."""
    pid = world.server.process.pid
    pids = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    rollups = [Path(f"/proc/{one}/smaps_rollup").read_text() for one in pids]
    return sum(1024 * int(rollup.split("\nPss:")[1].split()[0]) for rollup in rollups)


def joining_us(crowd, numbers):
    """Of the faster ones: what else this machine does is no matter here."""
    return statistics.quantiles((crowd.join(number) for number in numbers), n=5)[0]


def test_the_last_of_a_crowd_is_joined_as_fast_as_the_first(own):
    own.serve(CONFIG)
    few = Crowd(own, 100, TAGS)
    before = joining_us(few, range(50))
    crowd = Crowd(own, 500 if sanitized else LINES, TAGS)
    after = joining_us(few, range(50, 100))
    last = joining_us(crowd, range(0, 500, 10))
    if not sanitized:
        assert max(after, last) < 2 * before + 200, (before, after, last)


@pytest.mark.skipif(sanitized, reason="the sanitizers have a memory of their own")
def test_a_waiting_line_takes_1_kib_with_four_tags_and_64_octets_for_each_more(own):
    own.serve(CONFIG)
    Crowd(own, 100, TAGS).stop()  # what the first lines touch, all others find
    counts(own, waiting=0)
    before = pss(own)
    narrow = Crowd(own, LINES, TAGS)
    four = pss(own)
    assert four - before <= 1024 * LINES, (four - before) / LINES
    narrow.stop()
    counts(own, waiting=0)
    before = pss(own)
    Crowd(own, LINES, TAGS + 16)
    assert pss(own) - before <= 16 * 64 * LINES * 1.02 + 65536, (pss(own) - before) / LINES / 16
