"""./run bench files [--size MIB] [--count FILES] [--runs N] [--quick]: send and receive, beside what they stand on.

One large file against the slowest of a pipe through the server, hashing on one core, and writing to this disk with fsync;
many small files against tar through a pipe. Interleaved runs, medians, ratios; written to build/bench-files.json. The time
of each is from the start of its sender to its end, when all is on disk, but for tar, which waits for no disk. All run in a
network namespace of their own, where every socket gets cubic. Fails if a goal is not reached: 0.8 of the slowest, half of
tar's speed, 64 MiB of memory."""
import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import BUILD, same_congestion_control, steal
from run import Cyphernet, finish

GOALS = {"of the slowest": 0.8, "of tar through a pipe": 0.5, "memory, MiB": 64}
MIB = 1 << 20
PER_DIRECTORY = 1000


def large_make(path, size):
    """Octets that no file system or line makes less of."""
    block = os.urandom(64 * MIB)
    with path.open("wb") as file:
        for at in range(0, size, len(block)):
            file.write(block[: min(len(block), size - at)])
        os.fsync(file.fileno())


def small_make(top, count):
    """0 to 4 KiB each, as sources and mails are."""
    content = os.urandom(4096)
    for number in range(count):
        directory = top / str(number // PER_DIRECTORY)
        if number % PER_DIRECTORY == 0:
            directory.mkdir(parents=True)
        (directory / f"file-{number}").write_bytes(content[: number * 37 % 4096])


def timed(run):
    began = time.monotonic()
    run()
    return time.monotonic() - began


class Files:
    def __init__(self, place, options):
        self.place = place
        self.size = options.size * MIB
        self.count = options.count
        self.pipe = Cyphernet(place, self.size)
        self.seconds = {}
        self.memory = {}
        large_make(place / "large", self.size)
        small_make(place / "small", self.count)
        self.target = place / "target"

    def note(self, name, seconds):
        self.seconds.setdefault(name, []).append(seconds)

    def fresh(self):
        if self.target.exists():
            shutil.rmtree(self.target)
        self.target.mkdir()
        os.sync() # what went before is nobody's time

    def remember(self, what, peaks):
        for name, mib in peaks.items():
            self.memory[f"{what}, {name}"] = max(self.memory.get(f"{what}, {name}", 0), mib)

    def send(self, what):
        self.fresh()
        taking = self.pipe.start("bob", "receive", "ann", "-d", self.target, stdin=subprocess.DEVNULL)
        began = time.monotonic()
        giving = self.pipe.start("ann", "send", "bob", self.place / what)
        self.remember(what, finish(sender=giving, receiver=taking))
        self.note(f"send {what}", time.monotonic() - began)

    def check(self, what):
        same = subprocess.run(["diff", "-r", self.place / what, self.target / what], check=False).returncode == 0
        if not same:
            sys.exit(f"bench: {what} is not what arrived")

    def hash(self):
        with (self.place / "large").open("rb", buffering=0) as file:
            digest = hashlib.sha256()
            while block := file.read(MIB):
                digest.update(block)

    def write(self):
        block = bytearray(os.urandom(MIB))
        with (self.target / "written").open("wb", buffering=0) as file:
            for _ in range(self.size // MIB):
                file.write(block)
            os.fsync(file.fileno())

    def tar(self):
        self.fresh()
        taking = self.pipe.start("bob", "pipe", "ann", "-n", stdout=subprocess.PIPE)
        unpacking = subprocess.Popen(["tar", "x", "-C", self.target], stdin=taking.stdout)
        taking.stdout.close()
        began = time.monotonic()
        packing = subprocess.Popen(["tar", "c", "-C", self.place, "small"], stdout=subprocess.PIPE)
        giving = self.pipe.start("ann", "pipe", "bob", stdin=packing.stdout, stdout=subprocess.DEVNULL)
        packing.stdout.close()
        finish(packing=packing, giving=giving, taking=taking, unpacking=unpacking)
        self.note("tar", time.monotonic() - began)

    def once(self):
        self.pipe.once()
        self.note("hash", timed(self.hash))
        self.fresh()
        self.note("disk", timed(self.write))
        self.send("large")
        self.check("large")
        self.tar()
        self.send("small")
        self.check("small")

    def results(self):
        seconds = {name: statistics.median(all_) for name, all_ in self.seconds.items()}
        seconds["pipe"] = statistics.median(self.pipe.seconds)
        slowest = max(seconds[name] for name in ("pipe", "hash", "disk"))
        return {
            "MB/s": {name: self.size / seconds[name] / 1e6 for name in ("pipe", "hash", "disk", "send large")},
            "files/s": {name: self.count / seconds[name] for name in ("tar", "send small")},
            "of the slowest": slowest / seconds["send large"],
            "of tar through a pipe": seconds["tar"] / seconds["send small"],
            "memory, MiB": self.memory,
        }


def missed(results):
    for name, goal in GOALS.items():
        if name == "memory, MiB":
            if max(results[name].values()) > goal:
                yield f"{name}: more than {goal}"
        elif results[name] < goal:
            yield f"{name}: {results[name]:.2f}, and it shall be {goal}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, metavar="MIB", help="of the large file (10240)")
    parser.add_argument("--count", type=int, metavar="FILES", help="of small files (100000)")
    parser.add_argument("--runs", type=int, help="of each (3)")
    parser.add_argument("--quick", action="store_true", help="1 GiB, 10,000 files, one run; no goals")
    options = parser.parse_args()
    for name, full, quick in (("size", 10240, 1024), ("count", 100000, 10000), ("runs", 3, 1)):
        if getattr(options, name) is None:
            setattr(options, name, quick if options.quick else full)
    same_congestion_control()
    stolen = steal()
    with tempfile.TemporaryDirectory(dir=BUILD) as place:
        files = Files(Path(place), options)
        try:
            for _ in range(options.runs):
                files.once()
        finally:
            files.pipe.stop()
        results = files.results()
    results["stolen ticks"] = steal() - stolen
    (BUILD / "bench-files.json").write_text(json.dumps(results, indent=1) + "\n")
    for unit in ("MB/s", "files/s", "memory, MiB"):
        for name, value in results[unit].items():
            print(f"{name:24} {value:8.0f} {unit}")
    for name in ("of the slowest", "of tar through a pipe"):
        print(f"{name:24} {results[name]:8.2f}")
    failures = [] if options.quick else list(missed(results))
    for failure in failures:
        print(f"missed: {failure}")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
