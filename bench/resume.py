"""./run bench resume [--samples N] [--size MIB] [--runs N] [--quick]: how soon a call goes on when its lines are back, what it
costs that it can, and how much it keeps. Written to build/bench-resume.json; fails if a goal is not reached.

Both subscribers reach the server through tests/support/slow_line, which is taken away, and put back: from then until an octet
that was written meanwhile comes out at the far end. "told": a second later, and the system says that the network has
changed. "at once": put back before anybody has noticed; of that 100 to 150 ms are the first delay of dialling again. The
round trip is that between a subscriber and the server; between the subscribers it is twice as long."""
import argparse
import itertools
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests/support"))

from ctl_helper import reached_at
from machine import BUILD, free_port, same_congestion_control, steal
from run import PIPELINE, Cyphernet, median_ratio, peak_mib, rate

ROUND_TRIPS_MS = [0, 50, 200]
QUICK_MS = [0, 50]
# Round trips between subscriber and server, at the least: PROTOCOL.md 3.3, 5, 6.5. What one subscriber says to the other takes one.
LEAST = {"TCP": 1, "HELLO, VERDICT": 1, "REGISTER, JOINED": 1, "prologue": 1, "answer": 1, "Finish": 1, "RESUME": 1, "DATA": 1}
OUTAGE_S = 1
FLOOR_MS = 100       # where there is no delay, p99 is to be below
BEHIND = 2           # and else below so many times the least
SLOWER = 0.97        # with resuming, of the speed without
KEPT_MIB = 16        # of a stream, at the most
BUFFERS_MIB = 8      # of a line that is full, whatever it keeps


class Link:
    """A subscriber's line to the server."""

    def __init__(self, net, one, bits, ms):
        self.port = free_port()
        self.words = [BUILD / "tests/support/slow_line", str(self.port), str(net.port), f"{bits / 8:.0f}", f"{ms * 1000 / 2:.0f}"]
        reached_at(net.homes[one] / "fingerprint", self.port)
        self.line = None
        self.up()

    def up(self):
        self.line = subprocess.Popen(self.words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.line.stdout.readline()

    def down(self):
        self.line.kill()
        self.line.wait()
        self.line.stdin.close()
        self.line.stdout.close()


class Call:
    """A pipe from ann to bob over two such lines."""

    def __init__(self, place, bits, ms, source=subprocess.PIPE):
        self.net = Cyphernet(place, 0)
        self.links = [Link(self.net, one, bits, ms) for one in ("ann", "bob")]
        self.receiver = self.net.start("bob", "pipe", "ann", "-n", stdout=subprocess.PIPE, bufsize=0)
        self.sender = self.net.start("ann", "pipe", "bob", stdin=source, stdout=subprocess.DEVNULL, bufsize=0)

    def down(self):
        for link in self.links:
            link.down()

    def up(self):
        for link in self.links:
            link.up()

    def stop(self):
        for process in (self.sender, self.receiver):
            process.kill()
            process.wait()
        self.down()
        self.net.stop()


class Clocked(Call):
    """What is piped is the time, so that the far end knows when it was written."""

    def __init__(self, place, ms):
        super().__init__(place, 1e9, ms)
        self.arrived = threading.Condition()
        self.written = self.read = 0.0
        for work in (self.write, self.take):
            threading.Thread(target=work, daemon=True).start()

    def write(self):
        try:
            while True:
                self.sender.stdin.write(struct.pack("<d", time.monotonic()))
                time.sleep(0.002)
        except (OSError, ValueError):
            pass

    def take(self):
        rest = b""
        while data := self.receiver.stdout.read(65536):
            rest += data
            whole = len(rest) // 8 * 8
            if whole:
                with self.arrived:
                    self.written, self.read = struct.unpack("<d", rest[whole - 8 : whole])[0], time.monotonic()
                    self.arrived.notify_all()
                rest = rest[whole:]

    def since(self, moment):
        """Wait for what was written behind that moment; when it came."""
        with self.arrived:
            if not self.arrived.wait_for(lambda: self.written > moment, 60):
                sys.exit("bench: nothing comes any more")
            return self.read


def sample(call, network):
    """Milliseconds until the first new octet. network: changes it, or None."""
    call.since(time.monotonic())
    taken = time.monotonic()
    call.down()
    if network:
        time.sleep(OUTAGE_S)
    call.up()
    back = time.monotonic()
    if network:
        network()
    return (call.since(taken) - back) * 1000


class Network:
    """Of this namespace: an address comes, or goes."""

    def __init__(self):
        self.ip = subprocess.Popen(["ip", "-batch", "-"], stdin=subprocess.PIPE, text=True)
        self.verbs = itertools.cycle(["add", "del"])

    def __call__(self):
        self.ip.stdin.write(f"address {next(self.verbs)} 127.77.0.1/32 dev lo\n")
        self.ip.stdin.flush()

    def close(self):
        self.ip.stdin.close()
        self.ip.wait()


def latency(ms, samples, network):
    with tempfile.TemporaryDirectory(prefix="cyphernet-bench-") as place:
        call = Clocked(Path(place), ms)
        try:
            sample(call, network)  # warms up
            found = sorted(sample(call, network) for _ in range(samples))
        finally:
            call.stop()
    return {"round_trip_ms": ms, "how": "told" if network else "at once", "samples": samples,
            "p50_ms": statistics.median(found), "p99_ms": found[len(found) * 99 // 100], "least_ms": ms * sum(LEAST.values())}


class Off(Cyphernet):
    name = "not able to resume"
    words = ("--resume-for", "0")


def throughput(size_mib, runs):
    """One after the other, in turn."""
    with tempfile.TemporaryDirectory(prefix="cyphernet-bench-") as place:
        pair = []
        for kind in (Cyphernet, Off):
            (Path(place) / kind.__name__).mkdir()
            pair.append(kind(Path(place) / kind.__name__, size_mib << 20))
        try:
            for run in range(runs + 1):
                for one in pair if run % 2 else pair[::-1]:
                    one.once()
                    if run == 0:
                        one.seconds.clear()  # the first warms up
        finally:
            for one in pair:
                one.stop()
    on, off = pair
    return {"on_mb_per_s": rate(on), "off_mb_per_s": rate(off), "ratio": median_ratio(on, off),
            "ratios": [two / one for one, two in zip(on.seconds, off.seconds)], "peak_mib": {"on": on.memory, "off": off.memory}}


def memory(seconds):
    """Peaks where most is under way: a line of 1 Gbit/s and 200 ms between the subscribers, which is cut in the middle."""
    with tempfile.TemporaryDirectory(prefix="cyphernet-bench-") as place:
        source, sink = os.pipe()
        call = Call(Path(place), 1e9, 100, source)
        os.close(source)
        drain = threading.Thread(target=lambda: [None for _ in iter(lambda: call.receiver.stdout.read(1 << 20), b"")], daemon=True)
        time.sleep(seconds)
        idle = peak_mib(call.sender)  # in a call, and nothing was said yet
        zeros = subprocess.Popen([PIPELINE, "zeros", str(1 << 40)], stdout=sink)
        os.close(sink)
        drain.start()
        try:
            for _ in range(2):
                time.sleep(seconds)
                call.down()
                time.sleep(OUTAGE_S)
                call.up()
            time.sleep(seconds)
            return {"sender": peak_mib(call.sender), "receiver": peak_mib(call.receiver), "idle": idle}
        finally:
            zeros.kill()
            zeros.wait()
            call.stop()


def goals(result):
    for row in result["latency"]:
        if row["how"] == "told":
            limit = max(FLOOR_MS, BEHIND * row["least_ms"])
            yield f"{row['round_trip_ms']} ms: link back to first new octet, p99, below {limit} ms", row["p99_ms"], row["p99_ms"] < limit
    ratio = result["throughput"]["ratio"]
    yield f"speed with resuming to that without, at least {SLOWER}", ratio, ratio >= SLOWER
    most = result["memory"]["idle"] + KEPT_MIB + BUFFERS_MIB
    yield f"MiB of the sender on a long line, below {most:.0f}", result["memory"]["sender"], result["memory"]["sender"] < most


def main():
    parser = argparse.ArgumentParser(prog="./run bench resume", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=100, help="of each delay")
    parser.add_argument("--size", type=int, default=1024, help="MiB through each pipe")
    parser.add_argument("--runs", type=int, default=11, help="of each pipe, in turn")
    parser.add_argument("--quick", action="store_true", help="little of all; no figure fails it")
    options = parser.parse_args()
    if options.quick:
        options.samples, options.size, options.runs = 3, 16, 1
    same_congestion_control()
    stolen = steal()
    networks = [None]
    if os.environ.get("CN_BENCH_INSIDE"):
        networks.append(Network())
    else:
        print("no namespace to be had: nobody is told that the network changes")
    result = {"least_round_trips": LEAST, "latency": []}
    print(f"at the least: {' + '.join(LEAST)}: {sum(LEAST.values())} round trips; load {os.getloadavg()[0]:.1f}")
    print("round trip, ms           samples      p50      p99    at the least   ms from link back to first new octet")
    for ms in QUICK_MS if options.quick else ROUND_TRIPS_MS:
        for network in networks:
            row = latency(ms, options.samples, network)
            result["latency"].append(row)
            print(f"{ms:14} {row['how']:9} {row['samples']:7} {row['p50_ms']:8.1f} {row['p99_ms']:8.1f} {row['least_ms']:10}", flush=True)
    if networks[1:]:
        networks[1].close()
    result["throughput"] = throughput(options.size, options.runs)
    print(f"{options.size} MiB, {options.runs} runs in turn: {result['throughput']['on_mb_per_s']:.0f} MB/s, "
          f"{result['throughput']['off_mb_per_s']:.0f} without resuming; median ratio {result['throughput']['ratio']:.3f}", flush=True)
    result["memory"] = memory(1 if options.quick else 5)
    print("peak MiB on 1 Gbit/s, 200 ms between the subscribers, cut twice: sender {sender:.0f}, "
          "before its first octet {idle:.0f}, receiver {receiver:.0f}; retained at most 16 a stream, 64 a call".format(**result["memory"]))
    result["load"], result["stolen ticks"] = os.getloadavg()[0], steal() - stolen
    print(f"load {result['load']:.1f}, stolen {result['stolen ticks']} ticks")
    (BUILD / "bench-resume.json").write_text(json.dumps(result, indent=1), encoding="ascii")
    missed = 0
    for text, figure, reached in goals(result):
        print(f"{'reached' if reached else 'not reached':12} {text}: {figure:.3g}")
        missed += not reached
    sys.exit(1 if missed and not options.quick else 0)


if __name__ == "__main__":
    main()
