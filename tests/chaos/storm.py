"""./run chaos [--size MIB] [--cuts N] [--kills N] [--seed N]: one pipe, both ways, through lines that are cut again and again,
some before the call is open again, and a server that is killed and started anew. What arrives is what was sent, and both
ends say so. A sixteenth of the octets goes the other way."""
import argparse
import hashlib
import os
import random
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "support"))

from live import World, peak_kib, until
from proxy import Cutter, Line, Proxy

MIB = 1 << 20
RESUME = 120
LIMIT = 1800


class Flow:
    """Octets of one direction: written to a pipe by a thread, read from another by a second one, both hashed."""

    def __init__(self, size, seed):
        self.size = size
        self.seed = seed
        self.received = 0
        self.sums = [hashlib.sha256(), hashlib.sha256()]
        self.source, self.into = os.pipe()
        self.outof, self.sink = os.pipe()
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self.feed, self.drain)]

    def feed(self):
        dice = random.Random(self.seed)
        left = self.size
        with open(self.into, "wb", buffering=0) as to:
            while left:
                block = dice.randbytes(min(left, MIB))
                self.sums[0].update(block)
                left -= len(block)
                view = memoryview(block)
                while view:
                    view = view[to.write(view) :]

    def drain(self):
        with open(self.outof, "rb", buffering=0) as of:
            while data := of.read(MIB):
                self.sums[1].update(data)
                self.received += len(data)

    def begin(self):
        """The programs have their ends."""
        os.close(self.source)
        os.close(self.sink)
        for thread in self.threads:
            thread.start()

    def check(self):
        for thread in self.threads:
            thread.join(30)
        assert self.received == self.size, f"{self.received} of {self.size} octets have come"
        assert self.sums[0].digest() == self.sums[1].digest(), "it is not what was sent"


class Storm:
    def __init__(self, place, size, cuts, kills, seed):
        self.world = World(place).serve()
        self.proxy = Proxy(self.world.port, keep=False)
        self.ann, self.bob = (self.proxy.before(one) for one in self.world.pair())
        self.size, self.cuts, self.kills = size, cuts, kills
        self.cutter = Cutter(cuts, max(1, size // max(cuts, 1)), seed, early=6)
        self.proxy.cut = Line.reset
        self.flows = Flow(size, seed), Flow(size // 16, seed + 1)
        self.peaks = [0, 0]

    def start(self):
        there, back = self.flows
        self.ends = [
            self.world.start(self.ann, "pipe", "bob", stdin=there.source, stdout=back.sink, resume=RESUME),
            self.world.start(self.bob, "pipe", "ann", stdin=back.source, stdout=there.sink, resume=RESUME),
        ]
        for flow in self.flows:
            flow.begin()
        until(lambda: there.received > 0, "the call is open")
        self.proxy.change = self.change

    def change(self, line, way, data):
        """As the cutter says, but never more cuts than there is progress, so that they are not all at the beginning."""
        ahead = self.cuts - self.cutter.left > self.cuts * 1.1 * self.flows[0].received / self.size
        return data if ahead else self.cutter(line, way, data)

    def has_come(self, octets):
        """Whether so many have, or none will any more."""
        for number, end in enumerate(self.ends):
            self.peaks[number] = max(self.peaks[number], peak_kib(end.process.pid))
        return self.flows[0].received >= octets or any(end.process.poll() is not None for end in self.ends)

    def blow(self, tell=lambda text: None):
        began = time.monotonic()
        self.start()
        for number in range(1, self.kills + 1):
            until(lambda at=number: self.has_come(self.size * at // (self.kills + 1)), "more has come", LIMIT)
            self.world.server.stop()
            tell(f"{self.flows[0].received / MIB:6.0f} MiB have come; {self.cutter.left} cuts left; the server is killed, number {number}")
            self.world.serve()
        until(lambda: self.has_come(self.size), "all has come", LIMIT)
        for end in self.ends:
            end.end(0, 60)
        self.seconds = time.monotonic() - began
        for flow in self.flows:
            flow.check()
        assert self.cutter.left == 0, f"{self.cutter.left} cuts were not made"

    def resumed(self):
        """How often each end has said that it goes on."""
        return [end.said().count("nothing is lost") for end in self.ends]

    def close(self):
        self.world.close()
        self.proxy.close()


def main():
    parser = argparse.ArgumentParser(prog="./run chaos", description=__doc__)
    parser.add_argument("--size", type=int, default=1024, metavar="MIB")
    parser.add_argument("--cuts", type=int, default=200, metavar="N")
    parser.add_argument("--kills", type=int, default=20, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cyphernet-chaos-") as place:
        storm = Storm(Path(place), options.size * MIB, options.cuts, options.kills, options.seed)
        try:
            storm.blow(lambda text: print(text, flush=True))
            there, back = storm.resumed()
        finally:
            storm.close()
    print(f"{options.size} MiB there and {options.size / 16:.0f} back in {storm.seconds:.0f} s; cut {options.cuts} times, the server "
          f"killed {options.kills} times; SHA-256 equal, exit code 0 at both ends")
    print(f"resumed {there} and {back} times; peak memory: {storm.peaks[0] / 1024:.0f} and {storm.peaks[1] / 1024:.0f} MiB; "
          f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
