"""./run bench gate [--rounds N]: what an admission costs beside the X25519 in it, what a bad hello costs, what a
waiting line takes and how long joining takes however many wait. Medians, ratios within a round; written to
build/bench-gate.json."""
import argparse
import json
import os
import statistics
import subprocess
from pathlib import Path

BUILD = Path(__file__).resolve().parent.parent / "build"
LINES = (100, 1000, 10000, 100000)
TAGS = 4
MORE_TAGS = 12


def run(program, *words):
    done = subprocess.run([BUILD / "bench" / program, *map(str, words)], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def board(lines, tags, rounds):
    """The median of several runs, each a process of its own."""
    runs = [run("switchboard", lines, tags) for _ in range(rounds)]
    return {key: statistics.median(one[key] for one in runs) for key in runs[0]}


def admission_said(found):
    print(f"X25519            {found['x25519_us']:7.1f} us   {found['x25519_per_s']:6.0f} a second")
    for key, name, ratio in (("admission", "admission, known", "ratio"), ("first_admission", "admission, first", "first_ratio")):
        us = found[f"{key}_us"]
        print(f"{name}  {us:7.1f} us   {1e6 / us:6.0f} a second, {found[ratio]:.0%} of what its five X25519 allow")
    for key, name in (("bad_mac1", "wrong mac1"), ("bad_noise", "right mac1, forged"), ("bad_operator", "signed by nobody")):
        print(f"{name:18}{found[f'{key}_us']:7.1f} us   of a bad hello")


def board_said(rows, more):
    print(f"{'lines':>7} {'octets each':>12} {'join p50, p99 ns':>18} {'come p50, p99 ns':>18}   under {TAGS} tags each")
    for row in rows:
        print(f"{row['lines']:7.0f} {row['octets_per_line']:12.0f} {row['join_ns_p50']:11.0f} {row['join_ns_p99']:6.0f} "
              f"{row['wait_ns_p50']:11.0f} {row['wait_ns_p99']:6.0f}")
    print(f"a further tag takes {more:.0f} octets")


def main():
    parser = argparse.ArgumentParser(prog="./run bench gate")
    parser.add_argument("--rounds", type=int, default=21, help="of admissions; a quarter as many of joining")
    options = parser.parse_args()
    admission = run("admission", options.rounds)
    rounds = max(1, options.rounds // 4)
    rows = [board(lines, TAGS, rounds) for lines in LINES]
    wide = board(LINES[-1], MORE_TAGS, 1)
    more = (wide["octets_per_line"] - rows[-1]["octets_per_line"]) / (MORE_TAGS - TAGS)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; one is used")
    admission_said(admission)
    board_said(rows, more)
    result = {"admission": admission, "board": rows, "octets_per_further_tag": more}
    (BUILD / "bench-gate.json").write_text(json.dumps(result, indent=1), encoding="ascii")


if __name__ == "__main__":
    main()
