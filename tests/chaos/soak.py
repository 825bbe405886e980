"""./run soak [--minutes N]: rounds of calls with an agent, whose lines are cut, whose callers are killed, and to whom the
server's processes are, at first. Between rounds, at rest, memory and descriptors of the server's processes and of the agent are
sampled. Fails unless each is flat: over the second half it grows, by the median of the slopes between all pairs of samples,
by no more than a twentieth of what it is, or 1 MiB, and by no more than two descriptors."""
import argparse
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "support"))

from agents import waiting
from ctl_helper import BUILD
from lines import status
from live import World, children_of, descriptor_count, resident_kib, until
from processes import gate_killed, upgraded
from proxy import Cutter, Line, Proxy
from tunnels import Server, echo

MEMORY_FLOOR_KIB = 1024
MEMORY_SHARE = 0.05
DESCRIPTOR_FLOOR = 2
RESUME = 60
CUTS = 4  # a round
FEW, MANY = 200_000, 3_000_000  # octets


def slope(times, values):
    """The median of those between all pairs of points: what a few odd ones do not change."""
    found = [(values[j] - values[i]) / (times[j] - times[i]) for j in range(len(times)) for i in range(j)]
    return statistics.median(found)


def grown(times, values):
    """By how much, over the second half of the time."""
    half = (times[0] + times[-1]) / 2
    late = [(at, value) for at, value in zip(times, values) if at >= half]
    if len(late) < 3:
        raise ValueError("too short a time to tell")
    at, value = zip(*late)
    return slope(at, value) * (at[-1] - at[0])


def is_flat(kind, times, values):
    floor = DESCRIPTOR_FLOOR if kind == "descriptors" else max(MEMORY_FLOOR_KIB, MEMORY_SHARE * statistics.median(values))
    return grown(times, values) <= floor


class Soak:
    def __init__(self, place, seed=1):
        self.place = place
        self.world = World(place).serve("[calls]\nworkers = 2\n[waiting]\nspread = 1\n")
        self.proxy = Proxy(self.world.port, keep=False)
        self.ann, self.bob = (self.proxy.before(one) for one in self.world.pair())
        self.dice = random.Random(seed)
        self.echo = Server(echo)
        self.target = place / "target"
        self.target.mkdir()
        rules = f"[ann]\nreceive = {self.target}\non_conflict = overwrite\npipe = cat\nallow = 127.0.0.1:{self.echo.port}\n"
        self.agent = waiting(self.world, self.bob, rules)
        self.contents = {size: self.dice.randbytes(size) for size in (FEW, MANY)}
        (place / "file").write_bytes(self.contents[MANY])
        self.times, self.samples = [], {}
        self.calls = self.killed = self.cuts = 0

    def start(self, *words, **options):
        """One at a time: of two that wait for the same the newer takes the place of the other."""
        self.calls += 1
        one = self.world.start(self.ann, *words, resume=options.pop("resume", RESUME), **options)
        one.says("connected with bob")
        return one

    def kill_one(self):
        """A caller that dies in the middle."""
        reader, writer = os.pipe()
        one = self.start("pipe", "bob", stdin=reader, resume=2)
        os.close(reader)
        os.write(writer, b"here\n")
        until(lambda: one.got() == b"here\n", f"it is answered: {one.said()} {self.agent.said()[-500:]}")
        one.stop()
        os.close(writer)
        self.killed += 1

    def round(self):
        """Calls of each kind at once, and what befalls them."""
        pipes = [self.start("pipe", "bob", stdin=self.contents[size]) for size in (FEW, MANY)]
        files = self.start("send", "bob", self.place / "file")
        tunnel = self.start("connect", "bob", f"127.0.0.1:{self.echo.port}", stdin=self.contents[FEW])
        cutter = Cutter(CUTS, MANY, self.dice.random(), early=8)
        self.proxy.cut, self.proxy.change = Line.reset, cutter
        self.kill_one()
        stopped = pipes[self.dice.randrange(2)]
        stopped.signal(signal.SIGSTOP)
        files.end(0)
        stopped.signal(signal.SIGCONT)
        for one in (*pipes, tunnel):
            one.end(0)
        self.proxy.change = None
        self.cuts += CUTS - cutter.left
        for one, size in zip((*pipes, tunnel), (FEW, MANY, FEW)):
            assert one.got() == self.contents[size], "it is not what was sent"
        assert (self.target / "file").read_bytes() == self.contents[MANY], "it is not what was sent"
        self.rest()

    def rest(self):
        """Until the calls of this round have gone, and only the agent waits."""
        def rests():
            now = status(self.world)
            return now["calls"] == now["joining"] == now["pending"] == 0 and now["waiting"] == 1 and not children_of(
                self.agent.process.pid)

        until(rests, f"all is at rest: {status(self.world)}")
        for one in self.world.under_way:
            if one not in (self.world.server, self.agent):
                one.output.unlink()
                one.errors.unlink()
        self.world.under_way = [self.world.server, self.agent]
        self.echo.connections.clear()

    def disturb(self, number):
        """What only the first rounds see, since who is replaced shows no leak."""
        if number == 1:
            gate_killed(self.world)
        elif number == 2:
            os.kill(self.world.processes()["cyphernetd-switch"][0], signal.SIGKILL)
            until(lambda: status(self.world)["workers"] == 2, "there is another")
        elif number == 3:
            upgraded(self.world)
            until(lambda: all(len(pids) == 1 for name, pids in self.world.processes().items() if name != "cyphernetd-switch"),
                  "those that leave have gone")

    def sample(self):
        self.times.append(time.monotonic())
        for name, pids in {**self.world.processes(), "agent": [self.agent.process.pid]}.items():
            for kind, value in (("memory", sum(map(resident_kib, pids))), ("descriptors", sum(map(descriptor_count, pids)))):
                self.samples.setdefault((name, kind), []).append(value)

    def run(self, seconds, rounds=0, tell=lambda text: None):
        """For so long, or so many rounds."""
        end = time.monotonic() + seconds
        number = 0
        while number < rounds or time.monotonic() < end:
            number += 1
            self.round()
            self.disturb(number)
            self.sample()
            if number % 20 == 1:
                now = " ".join(f"{name} {values[-1]}" for (name, kind), values in self.samples.items() if kind == "memory")
                tell(f"round {number}: {self.calls} calls, {self.cuts} cuts, {self.killed} killed; KiB: {now}")

    def verdict(self):
        """Rows of what was sampled; whether each is flat."""
        for (name, kind), values in self.samples.items():
            yield {
                "process": name, "of": kind, "first": values[0], "middle": values[len(values) // 2], "last": values[-1],
                "grown": round(grown(self.times, values), 1), "flat": is_flat(kind, self.times, values),
            }

    def close(self):
        self.world.close()
        self.proxy.close()
        self.echo.close()


def main():
    parser = argparse.ArgumentParser(prog="./run soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, metavar="N")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cyphernet-soak-") as place:
        soak = Soak(Path(place))
        try:
            soak.run(options.minutes * 60, 12, lambda text: print(text, flush=True))
        finally:
            soak.close()
    rows = list(soak.verdict())
    (BUILD / "soak.json").write_text(json.dumps({"rows": rows, "samples": {" ".join(key): values for key, values in
                                                                           soak.samples.items()}}, indent=1))
    print(f"{soak.calls} calls, lines cut {soak.cuts} times, {soak.killed} callers killed; load {os.getloadavg()[0]:.1f}")
    print(f"{'':20} {'':12} {'first':>8} {'middle':>8} {'last':>8}   grown over the second half")
    for row in rows:
        unit = "KiB" if row["of"] == "memory" else ""
        print(f"{row['process']:20} {row['of']:12} {row['first']:8} {row['middle']:8} {row['last']:8} {row['grown']:8} {unit:4}"
              f"{'flat' if row['flat'] else 'NOT FLAT'}")
    sys.exit(0 if all(row["flat"] for row in rows) else 1)


if __name__ == "__main__":
    main()
