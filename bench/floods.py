"""./run bench floods [--only KIND] [--seconds N] [--quick]: how long two subscribers wait who call each other again and
again while the server is attacked, and how much of its rate a call keeps that goes on meanwhile. Attacks of
tests/support/flood.c, all on this machine: where the attacker takes the processors, the figures are his too. Written to
build/bench-floods.json. Fails if a goal is not reached."""
import argparse
import json
import os
import resource
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

from machine import BUILD

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))
os.environ["CYPHERNET_BUILD"] = str(BUILD)

from floods import Crowd, Flood, pss  # noqa: E402 (after the path is known)
from lines import OTHER, call_of, status  # noqa: E402
from live import World, until  # noqa: E402

RATE = 20_000_000  # octets a second of the call that goes on
CONFIG = f"[waiting]\nlines_max = 32000\n[calls]\nrate_per_subscriber = {RATE}\n"
P99_MS = 500
KEPT = 0.9
DESCRIPTORS = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
CROWD = min(20000, DESCRIPTORS - 1000)  # the server has others open, too

# What it is called, kind, addresses, lines, new ones a second; see flood.c.
ATTACKS = [
    ("slow hellos", "slow", 1000, 1000, 2000),
    ("bad hellos, one address", "bad", 1, 8000, 5000),
    ("bad hellos", "bad", 1000, 8000, 5000),
    ("replayed hellos", "replay", 1000, 8000, 2000),
    ("silent connections", "silent", 1000, CROWD, 5000),
    ("a crowd comes back", "return", CROWD, CROWD, 1500),
    ("one who hoards", "hoard", 1000, 1000, 1000),
    ("no prologues", "mute", 1000, 2000, 1000),
    ("an octet a second", "trickle", 1000, 2000, 1000),
]


def percentile(values, part):
    values = sorted(values)
    return values[min(len(values) - 1, int(part * len(values)))]


class Watch:
    """What is measured for a while."""

    def __init__(self, world, callers):
        self.world, self.callers = world, callers

    def during(self, goes_on):
        calls = []
        began, bytes_before = time.monotonic(), status(self.world)["bytes"]
        while goes_on():
            calls.append(self.callers.call())
            time.sleep(0.005)
        seconds = time.monotonic() - began
        return {
            "calls": len(calls),
            "seconds": seconds,
            "lost": sum(call[3] for call in calls),
            "bytes_per_s": (status(self.world)["bytes"] - bytes_before) / seconds,
            # admission: until WAITING; joining: from dialling until both prologues have passed
            "admission_ms": [call[0] / 1000 for call in calls],
            "joining_ms": [(call[1] + call[2]) / 1000 for call in calls],
        }

    def seconds(self, seconds):
        end = time.monotonic() + seconds
        return self.during(lambda: time.monotonic() < end)


def come_back(world, watch, flood, limit_s=120):
    """All of a crowd wait; their gate is killed."""
    lines = flood.lines
    until(lambda: status(world)["waiting"] >= lines, "all wait", limit_s)
    os.kill(world.gate(), signal.SIGKILL)
    until(lambda: status(world)["gate_restarts"] == 1, "there is another gate")
    end = time.monotonic() + limit_s
    return watch.during(lambda: status(world)["waiting"] < lines and time.monotonic() < end)


def measured(attack, seconds):
    name, kind, addresses, lines, rate = attack
    with tempfile.TemporaryDirectory() as place:
        world = World(Path(place) / "world")
        world.serve(CONFIG)
        try:
            one, other = call_of(world, tag=OTHER)
            one.tell("flow", 10**12)
            other.tell("check", 10**12, 60000)
            flood = Flood(world, kind, addresses, lines, rate)
            flood.lines = lines
            watch = Watch(world, Crowd(world))
            watch.seconds(1)
            before = watch.seconds(seconds)
            memory = pss(world)
            flood.begin()
            if kind == "return":
                under = come_back(world, watch, flood)
            else:
                under = watch.seconds(seconds)
            memory = pss(world) - memory
            did = flood.over()
            counted = {key: value for key, value in status(world).items()
                       if key.startswith(("dropped", "bad_", "refused"))}
        finally:
            world.close()
    under.update(did=did, counted=counted, kept=under["bytes_per_s"] / before["bytes_per_s"], memory_mib=memory / 2**20)
    for key in ("admission_ms", "joining_ms"):
        under[key] = {"before_p50": statistics.median(before[key]), "p50": percentile(under[key], 0.5),
                      "p99": percentile(under[key], 0.99), "max": max(under[key])}
    return under


def reached(fine):
    return "reached" if fine else "NOT REACHED"


def tell(name, found):
    """Whether all goals are reached."""
    did = found["did"]
    a, j = found["admission_ms"], found["joining_ms"]
    slowest = max(a["p99"], j["p99"])
    print(f"{name}: {did['connected']} connections in {did['seconds']:.1f} s, "
          f"{did['connected'] / did['seconds']:.0f} a second")
    for what, times in (("admission", a), ("joining", j)):
        print(f"  {what:9} p50 {times['p50']:7.1f} ms (before {times['before_p50']:5.1f})   p99 {times['p99']:7.1f} ms"
              f"   longest {times['max']:7.1f} ms")
    print(f"  of {found['calls']} calls in {found['seconds']:.1f} s; {found['lost']} lines were lost before they were joined")
    fast, kept = slowest < P99_MS, found["kept"] >= KEPT
    print(f"  p99 under {P99_MS} ms: {reached(fast)}")
    print(f"  the call that goes on keeps {found['kept']:.0%} of its rate; {KEPT:.0%}: {reached(kept)}")
    print(f"  the server grew by {found['memory_mib']:.1f} MiB", flush=True)
    return fast and kept


def main():
    parser = argparse.ArgumentParser(prog="./run bench floods")
    parser.add_argument("--only", help="attacks of this kind: " + ", ".join(dict.fromkeys(a[1] for a in ATTACKS)))
    parser.add_argument("--seconds", type=float, default=10, help="of each attack; as long before it")
    parser.add_argument("--quick", action="store_true", help="a second of each; no figure fails it")
    options = parser.parse_args()
    options.seconds = min(options.seconds, 1) if options.quick else options.seconds
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {DESCRIPTORS} descriptors for each process")
    result, missed = {}, False
    for attack in ATTACKS:
        if options.only in (None, attack[1]):
            result[attack[0]] = measured(attack, options.seconds)
            missed |= not tell(attack[0], result[attack[0]])
    (BUILD / "bench-floods.json").write_text(json.dumps(result, indent=1), encoding="ascii")
    return missed and not options.quick


if __name__ == "__main__":
    sys.exit(main())
