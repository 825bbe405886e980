"""Attacks on a server, while two subscribers call each other again and again, and two more have a call that goes on. How
fast all that is, `./run bench floods` measures; here nobody waits for long, and nothing grows or is left behind."""

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from ctl_helper import SANITIZED
from floods import Crowd, Flood, pss
from lines import OTHER, Line, call_of, counts, status
from live import until

LONG_US = 10_000_000
BULK = 20_000_000  # octets of the call that goes on; at its rate 4 seconds
CONFIG = "[calls]\nrate_per_subscriber = 5000000\n"
MANY = 3000 if SANITIZED else 15000  # connections of an attack
RATE = 1000 if SANITIZED else 5000

# cyphernetd(8), MEMORY
PENDING_MAX = 1024
PENDING_KIB = 3
WAITING_KIB = 1
JOINING_KIB = 16 + 6
CALL_KIB = 1


def descriptors(world):
    """What the server's processes have open, pipes left out, which are kept."""
    opened = []
    for pid in sum(world.processes().values(), []):
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                opened.append(os.readlink(fd).split(":")[0])
    return sorted(kind for kind in opened if kind != "pipe")


def settled(world):
    """The same, once nothing more is closed: a gate keeps its copy of what it handed over for a moment."""
    before = None
    while before != (now := descriptors(world)):
        before = now
        time.sleep(0.2)
    return now


class Siege:
    """A server, and those whom it serves whatever happens."""

    def __init__(self, world, config="", under=()):
        self.world = world
        world.serve(CONFIG + config, under)
        self.callers = Crowd(world)
        self.calls = 0
        self.bulk = one, other = call_of(world, tag=OTHER)
        one.tell("flow", BULK)
        other.tell("check", BULK, 60000)
        self.call()
        counts(world, pending=0, waiting=0, joining=0, calls=1)
        self.descriptors = settled(world)
        self.pss = pss(world)

    def call(self):
        times = self.callers.call()
        self.calls += 1
        assert max(times[:3]) < LONG_US, times

    def call_until(self, condition, what, limit=150):
        """What the server counts when it counts so."""
        end = time.monotonic() + limit
        while not condition(now := status(self.world)):
            assert time.monotonic() < end, (what, now)
            self.call()
        return now

    def under(self, flood, condition, what):
        """Until the attack has come so far: what the server counts then, and what the attacker did."""
        flood.begin()
        counted = self.call_until(condition, what)
        self.call()
        return counted, flood.over()

    def grew_at_most(self, kib):
        """The server's processes, beside some pages of each of their tables."""
        grown = (pss(self.world) - self.pss) // 1024
        assert SANITIZED or grown <= kib + 1024, grown

    def nothing_is_left(self, **expected):
        """But the call that goes on, to its last octet."""
        one, other = self.bulk
        assert other.answer() == f"got {BULK} whole"
        assert one.answer() == f"ok {BULK}"
        counts(self.world, **{"pending": 0, "waiting": 0, "joining": 0, "calls": 1, **expected})
        with contextlib.suppress(AssertionError):
            until(lambda: descriptors(self.world) == self.descriptors, "no descriptor more", 10)
        assert descriptors(self.world) == self.descriptors
        self.call()
        assert status(self.world)["worker_restarts"] == 0


def test_slow_hellos_from_a_thousand_addresses(own):
    siege = Siege(own, "[admission]\nhello_timeout = 2\n")
    flood = Flood(own, "slow", 1000, 1000, 2000)
    counted, did = siege.under(flood, lambda now: now["hello_timeout"] >= 1500, "they time out")
    assert counted["pending"] > 100
    assert did["said"] > did["connected"] >= 1500
    siege.grew_at_most(2 * PENDING_MAX * PENDING_KIB)
    siege.nothing_is_left()


@pytest.mark.parametrize("addresses", [1, 1000])
def test_bad_hellos_half_of_them_with_a_valid_mac1(own, addresses):
    siege = Siege(own)
    flood = Flood(own, "bad", addresses, 8000, RATE)
    counted, did = siege.under(flood, lambda now: now["accepted"] >= MANY, "so many have come")
    assert did["connected"] >= MANY - 2 * siege.calls - 2
    assert counted["pending"] <= 2 * PENDING_MAX  # strangers, and suspects
    assert counted["bad_hello"] >= 64
    assert counted["dropped_address" if addresses == 1 else "bad_hello"] >= MANY / 4
    assert did["verdicts"] == 0
    siege.grew_at_most(2 * PENDING_MAX * PENDING_KIB)
    siege.nothing_is_left(admitted=2 * siege.calls + 2)


def test_replayed_hellos(own):
    siege = Siege(own)
    flood = Flood(own, "replay", 1000, 8000, RATE / 2)
    counted, did = siege.under(flood, lambda now: now["accepted"] >= MANY / 2, "so many have come")
    assert did["verdicts"] >= MANY / 20
    assert counted["pending"] <= 2 * PENDING_MAX
    siege.grew_at_most(2 * PENDING_MAX * PENDING_KIB + 64)
    siege.nothing_is_left(admitted=2 * siege.calls + 2)


def test_connections_that_say_nothing_up_to_the_limit_of_descriptors(own):
    """628 descriptors, 64 of them reserved, 4 for two pipes: 560 lines."""
    siege = Siege(own, "pipes_max = 2\nworkers = 2\n", under=["prlimit", "--nofile=628:628"])
    flood = Flood(own, "silent", 1000, 5000, RATE)
    counted, did = siege.under(flood, lambda now: now["accepted"] >= MANY, "so many have come")
    assert did["connected"] >= MANY / 2
    assert counted["pending"] <= 560
    assert counted["dropped_pending"] >= 560  # others end by themselves, on a slow machine most
    assert "accepting_paused" not in own.server.said()  # nobody has to wait for them
    siege.grew_at_most(560 * PENDING_KIB)
    siege.nothing_is_left()


def test_subscribers_up_to_the_limit_of_descriptors(own):
    """Then nobody else gets in, until some go; the call goes on."""
    siege = Siege(own, "pipes_max = 2\nworkers = 2\n", under=["prlimit", "--nofile=228:228"])
    flood = Flood(own, "return", 300, 300, 1000).begin()
    until(lambda: "accepting_paused" in own.server.said(), "the server is full")
    until(lambda: status(own)["waiting"] == 158, "of subscribers who wait")
    late = Line(own, siege.bulk[0].fingerprint).hello()
    assert late.ask("verdict", 300) == "nothing"
    siege.grew_at_most(160 * WAITING_KIB)
    late.stop()
    assert flood.over()["waiting"] >= 158
    flood.stop()
    siege.call()
    own.server.says("accepting_resumed")
    siege.nothing_is_left()


def test_thousands_come_back_at_once(own):
    """Their gate is killed, and nothing spreads them."""
    siege = Siege(own, "[waiting]\nlines_max = 10000\n")
    lines = 500 if SANITIZED else 2500
    flood = Flood(own, "return", lines, lines, 1500).begin()
    siege.call_until(lambda now: now["waiting"] >= lines, "all wait")
    os.kill(own.gate(), signal.SIGKILL)
    until(lambda: status(own)["gate_restarts"] == 1, "there is another gate")
    siege.call_until(lambda now: now["waiting"] >= lines, "all wait again")
    assert flood.over()["waiting"] >= 2 * lines
    siege.grew_at_most(lines * WAITING_KIB + PENDING_MAX * PENDING_KIB)
    flood.stop()
    siege.nothing_is_left()


def test_waiting_lines_hoarded_by_one_subscriber(own):
    siege = Siege(own)
    flood = Flood(own, "hoard", 1000, 1000, RATE / 5)
    counted, did = siege.under(flood, lambda now: now["refused_over_limit"] >= MANY / 15, "he is refused")
    assert counted["waiting"] <= 32 + 1
    assert did["waiting"] == 32
    assert did["refused"] >= MANY / 20
    siege.grew_at_most(32 * 3 + 2 * PENDING_MAX * PENDING_KIB)
    siege.nothing_is_left()


def test_refused_lines_that_stay_make_room(own):
    """Up to the limit of descriptors, 560 lines: nobody has to wait for those who are leaving."""
    siege = Siege(own, "pipes_max = 2\nworkers = 2\n", under=["prlimit", "--nofile=628:628"])
    flood = Flood(own, "linger", 1000, 2500, RATE / 5)
    counted, did = siege.under(flood, lambda now: now["refused_over_limit"] >= 1500, "he is refused")
    assert did["waiting"] == 32
    assert did["open"] > 560  # he lets go of none before the server does
    assert "accepting_paused" not in own.server.said()
    assert counted["lost"] == 0
    siege.grew_at_most(560 * PENDING_KIB)
    flood.stop()
    siege.nothing_is_left()


def test_prologues_never_sent(own):
    siege = Siege(own, "[joining]\nprologue_timeout = 2\n")
    lines = 200 if SANITIZED else 1000
    flood = Flood(own, "mute", 1000, lines, 1000)
    counted, did = siege.under(flood, lambda now: now["prologue_timeout"] >= lines, "they time out")
    assert counted["joining"] <= lines + 2
    assert did["joined"] >= lines
    siege.grew_at_most(lines * JOINING_KIB)
    siege.nothing_is_left(ended_done=siege.calls)


def test_calls_of_an_octet_a_second(own):
    siege = Siege(own, "idle_timeout = 5\npipes_max = 8\n")
    lines = 100 if SANITIZED else 400
    flood = Flood(own, "trickle", 1000, lines, 1000)
    flood.begin()
    siege.call_until(lambda now: now["calls"] >= lines / 2, "they have begun")
    before = status(own)
    counted = siege.call_until(lambda now: now["bytes"] >= before["bytes"] + BULK / 2, "a while has passed")
    assert counted["calls"] >= lines / 2  # they are not idle
    assert counted["pipes"] <= 8
    assert flood.over()["said"] > lines
    siege.grew_at_most(lines / 2 * CALL_KIB + lines * JOINING_KIB)
    flood.stop()
    siege.nothing_is_left()


def test_a_partner_that_never_reads(own):
    """A victim that would write without end; ours has windows, and would not."""
    siege = Siege(own, "stall_timeout = 2\n")
    one, _ = call_of(own, buffer=65536)
    one.tell("flow", 10 * BULK)
    siege.call_until(lambda now: now["ended_stalled"] == 1, "its call is ended")
    siege.grew_at_most(CALL_KIB)
    said, octets = one.answer().split()
    assert said == "ok" and int(octets) < BULK
    siege.nothing_is_left()
