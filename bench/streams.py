"""./run bench streams [--seconds N]: words that are said back beside bulk, on one call over a slow line, and how full bulk
makes a long one. tests/support/slow_line is the line, between who sends the bulk and the server. Written to build/bench-streams.json; fails if a goal is not reached."""
import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests/support"))

from ctl_helper import reached_at
from machine import BUILD, free_port
from run import Cyphernet

# name, bits a second, milliseconds there and back between the subscribers, milliseconds between words (0: none)
LINES = [
    ("10 Mbit/s, 50 ms", 10e6, 50, 100),
    ("10 Mbit/s, 100 ms", 10e6, 100, 100),
    ("1 Mbit/s, 50 ms", 1e6, 50, 100),
    ("100 Mbit/s, 20 ms", 100e6, 20, 100),
    ("1 Gbit/s, 100 ms", 1e9, 100, 0),
    ("1 Gbit/s, 100 ms, with words", 1e9, 100, 100),
]
WORD_P99_MS = 250  # on the first two
LEAST_USED = 0.8   # of the two of 1 Gbit/s, from the first octet


class SlowLine:
    """A server that one subscriber reaches through a slow line."""

    def __init__(self, place, bits, ms):
        port = free_port()
        self.net = Cyphernet(place, 0)
        reached_at(self.net.homes["ann"] / "fingerprint", port)
        self.line = subprocess.Popen(
            [BUILD / "tests/support/slow_line", str(port), str(self.net.port), f"{bits / 8:.0f}", f"{ms * 1000 / 2:.0f}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.line.stdout.readline()

    def run(self, seconds, every):
        homes = self.net.homes
        done = subprocess.run([BUILD / "bench/streams", homes["ann"], "bob", homes["bob"], "ann", str(seconds), str(every)],
                              check=True, stdout=subprocess.PIPE, text=True)
        bulk, *words = map(float, done.stdout.split())
        return bulk, sorted(words)

    def stop(self):
        self.line.stdin.close()
        self.line.wait()
        self.net.stop()


def measure(name, bits, ms, every, seconds):
    with tempfile.TemporaryDirectory(prefix="cyphernet-bench-") as place:
        line = SlowLine(Path(place), bits, ms)
        try:
            bulk, words = line.run(seconds, every)
        finally:
            line.stop()
    found = {"line": name, "used": bulk * 8 / bits}
    if words:
        found.update(words=len(words), p50_ms=statistics.median(words), p99_ms=words[len(words) * 99 // 100])
    return found


def said(found):
    words = f"{found['p50_ms']:8.0f} {found['p99_ms']:6.0f} {found['words']:6}" if "words" in found else ""
    print(f"{found['line']:30} {found['used']:6.0%} {words}", flush=True)


def goals(rows):
    for row in rows[:2]:
        yield f"{row['line']}: ms of a word there and back beside bulk, p99, at most {WORD_P99_MS}", row["p99_ms"], row["p99_ms"] <= WORD_P99_MS
    for row in rows[-2:]:
        yield f"{row['line']}: of it used, at least {LEAST_USED}", row["used"], row["used"] >= LEAST_USED


def main():
    parser = argparse.ArgumentParser(prog="./run bench streams")
    parser.add_argument("--seconds", type=float, default=20, help="of each line")
    parser.add_argument("--quick", action="store_true", help="2 seconds of each; no figure fails it")
    options = parser.parse_args()
    seconds = 2 if options.quick else options.seconds
    print(f"{'line':30} {'used':>6} {'p50':>8} {'p99':>6} {'words':>6}   ms of a word there and back")
    rows = []
    for name, bits, ms, every in LINES:
        rows.append(measure(name, bits, ms, every, seconds))
        said(rows[-1])
    (BUILD / "bench-streams.json").write_text(json.dumps(rows, indent=1), encoding="ascii")
    missed = 0
    for text, figure, reached in goals(rows):
        print(f"{'reached' if reached else 'not reached':12} {text}: {figure:.3g}")
        missed += not reached
    sys.exit(1 if missed and not options.quick else 0)


if __name__ == "__main__":
    main()
