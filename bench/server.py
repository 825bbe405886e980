"""./run bench server: our server beside other relays, on loopback, in one run: interleaved, medians, noise told.

The load is bench/relay/: its cheap ends use sendfile and throw away what they get, its reading ends write, read and
compare every octet. Everything runs in a network namespace where each socket gets cubic. The relay has a core to
itself and the load has the others (--cores any: as the system likes). Written to build/bench-server.json and, unless
it was a short run, drawn to docs/bench-server.svg."""
import argparse
import contextlib
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from math import exp, log
from pathlib import Path

import chart
from contestants import ALL, IF_ASKED, Cyphernet, HaProxySplice, all_files, on_cores, user_memory
from machine import BUILD, busy_cores, same_congestion_control, steal, system_call_us

DRAWING = Path(__file__).resolve().parent.parent / "docs" / "bench-server.svg"
BULK = {f"{ends}-{calls}": {"calls": calls, "compare": int(ends == "read")}
        for ends in ("cheap", "read") for calls in (1, 8, 64)}
PROBES = {"alone": {"probe": 1}, "beside-bulk": {"calls": 8, "probe": 1, "pause_us": 1000}}
COLUMNS = [*BULK, *PROBES, "joins", "idle"]
MAKERS = 8
WARM_MS = 300
SETTLE_S = 0.5
NOISE_CORES = 0.15  # what others may use before somebody with patience waits for them
PASSED = 1 << 20


class Session:
    """A relay that runs, and a driver that puts load on it."""

    def __init__(self, kind, place, calls, cores):
        self.relay = kind(place, calls, cores[0])
        self.driver = None
        try:
            self.relay.start()
            self.driver = subprocess.Popen(
                [BUILD / "bench" / "relay" / "relay", *map(str, self.relay.way())], text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                preexec_fn=on_cores(cores[1]))
        except BaseException:
            self.stop()
            raise

    def ask(self, command, **words):
        """What the driver answers."""
        line = " ".join([command, *(f"{key}={value}" for key, value in words.items())])
        try:
            self.driver.stdin.write(line + "\n")
            self.driver.stdin.flush()
            answer = self.driver.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            self.driver.wait()
            raise RuntimeError(f"{self.relay.name}: {self.driver.stderr.read().strip() or 'the driver has ended'}")
        return json.loads(answer)

    def window(self, command, window_ms, **words):
        pids = ",".join(map(str, self.relay.pids()))
        return self.ask(command, warm_ms=WARM_MS, window_ms=window_ms, **words, **({"pids": pids} if pids else {}))

    def memory(self):
        time.sleep(SETTLE_S)
        return user_memory(self.relay.pids())

    def stop(self):
        if self.driver:
            with contextlib.suppress(OSError):
                self.driver.stdin.close()
            self.driver.wait()
        self.relay.stop()


class Bench:
    def __init__(self, options, kinds, place):
        self.options = options
        self.kinds = kinds
        self.place = place
        self.count = 0
        self.patience = options.patience
        self.sessions = {}
        self.runs = {kind.key: {} for kind in kinds}
        self.failures = []
        cores = sorted(os.sched_getaffinity(0))
        apart = options.cores == "apart" and len(cores) > 1
        self.cores = ({cores[0]}, set(cores[1:])) if apart else (set(cores), set(cores))

    def session(self, kind):
        self.count += 1
        return Session(kind, self.place / f"{kind.key}-{self.count}", self.options.idle + 100, self.cores)

    def lasting(self, kind):
        """The session that lasts for all columns but the idle one. It begins with octets that are compared."""
        if kind.key not in self.sessions:
            self.sessions[kind.key] = self.session(kind)
            if not self.sessions[kind.key].window("measure", 100, **BULK["read-8"])["octets"]:
                raise RuntimeError(f"{kind.name}: a call through which nothing comes")
        return self.sessions[kind.key]

    def measure(self, kind, column):
        if column == "idle":
            return self.idle(kind)
        session = self.lasting(kind)
        if column == "joins":
            return session.window("make", self.options.window, makers=MAKERS)
        return session.window("measure", self.options.window, **(BULK | PROBES)[column])

    def idle(self, kind):
        """A relay that has done nothing yet: what calls cost it, and what they cost a conversation."""
        session = self.session(kind)
        try:
            base = session.memory()
            made = session.ask("idle", count=self.options.idle)
            fresh = session.memory()
            result = session.window("measure", self.options.window, probe=1)
            passed = session.ask("pass", size=PASSED)
            after = session.memory()
            session.ask("pass", size=1)  # each is still there
            return {**result, "calls": made["calls"], "make_seconds": made["seconds"],
                    "pass_seconds": passed["seconds"], "kib_before": base, "kib_fresh": fresh, "kib_after": after}
        finally:
            session.stop()

    def quiet(self):
        """Wait for other programs to be quiet, as long as there is patience left."""
        while self.patience > 0 and busy_cores(0.2) > NOISE_CORES:
            self.patience -= 0.2

    def measure_quietly(self, kind, column):
        """Again, if there were others meanwhile and there is patience left."""
        while True:
            self.quiet()
            began = time.monotonic()
            result = self.measure(kind, column)
            if self.patience <= 0 or result["other_cpu"] / result["seconds"] <= NOISE_CORES:
                return result
            self.patience -= time.monotonic() - began

    def attempt(self, kind, column):
        """One run. The failure of one contestant is told and does not end the bench: None."""
        try:
            return self.measure_quietly(kind, column)
        except (RuntimeError, OSError) as failure:
            print(f"bench: {column}: {failure}", file=sys.stderr)
            self.failures.append(f"{column}: {failure}")
            self.drop(kind)
            return None

    def drop(self, kind):
        session = self.sessions.pop(kind.key, None)
        if session:
            session.stop()

    def all_runs(self):
        for run in range(self.options.runs):
            for column in self.options.columns:
                for i in range(len(self.kinds)):
                    kind = self.kinds[(i + run) % len(self.kinds)]
                    result = self.attempt(kind, column)
                    if result:
                        self.runs[kind.key].setdefault(column, []).append(result)
            print(f"bench: run {run + 1} of {self.options.runs} is done", file=sys.stderr, flush=True)

    def pairs(self):
        """Ours and HAProxy's splicing, each first every other time: two results a pair."""
        kinds = [kind for kind in (Cyphernet, HaProxySplice) if kind in self.kinds]
        found = []
        for pair in range(self.options.pairs if len(kinds) == 2 else 0):
            both = {kind: self.attempt(kind, "cheap-8") for kind in (kinds if pair % 2 else kinds[::-1])}
            if all(both.values()):
                found.append([both[kind] for kind in kinds])
        return found

    def stop(self):
        for session in self.sessions.values():
            session.stop()


# --- what follows from the runs -----------------------------------------------------------------------------------

def of_run(result):
    """The figures of one run."""
    figures = {}
    if "octets" in result:
        figures["mb_per_s"] = result["octets"] / result["seconds"] / 1e6
        figures["cpu_s_per_gb"] = result["relay_cpu"] / result["octets"] * 1e9 if result["octets"] else 0
        figures["least_share"] = result["least"] / result["most"] if result["most"] else 0
    for key in ("p50_us", "p99_us", "p999_us"):
        if key in result:
            figures[key] = result[key]
    if "made" in result:
        figures["joins_per_s"] = result["made"] / result["seconds"]
        figures["cpu_ms_per_join"] = result["relay_cpu"] / result["made"] * 1e3 if result["made"] else 0
    if "kib_fresh" in result:
        for name in ("fresh", "after"):
            figures[f"kib_{name}"] = (result[f"kib_{name}"] - result["kib_before"]) / result["calls"]
            figures[f"kib_{name}_with_all"] = result[f"kib_{name}"] / result["calls"]
    return figures


def of_column(results):
    """Medians with least and most, and the noise: others' CPU in cores, ticks that the hypervisor took."""
    runs = [of_run(result) for result in results]
    column = {key: {"median": statistics.median(run[key] for run in runs if key in run),
                    "least": min(run[key] for run in runs if key in run),
                    "most": max(run[key] for run in runs if key in run)} for key in runs[0]}
    column["noise"] = {"others_cores": statistics.median(r["other_cpu"] / r["seconds"] for r in results),
                       "others_cores_most": max(r["other_cpu"] / r["seconds"] for r in results),
                       "stolen_ticks": sum(r["steal_ticks"] for r in results)}
    return column


def interval(ratios, rounds=10000):
    """Geometric mean of ratios with its 95 % interval, by resampling."""
    logs = [log(ratio) for ratio in ratios]
    draw = random.Random(1)
    means = sorted(statistics.fmean(draw.choices(logs, k=len(logs))) for _ in range(rounds))
    return {"ratio": exp(statistics.fmean(logs)), "low": exp(means[int(rounds * 0.025)]),
            "high": exp(means[int(rounds * 0.975)]), "pairs": len(ratios)}


def of_pairs(pairs):
    """Above 1 is better for us, in both."""
    if not pairs:
        return {}
    both = [[of_run(result) for result in pair] for pair in pairs]
    result = {"mb_per_s": interval([ours["mb_per_s"] / other["mb_per_s"] for ours, other in both])}
    if all(run["cpu_s_per_gb"] for pair in both for run in pair):
        result["gb_per_cpu_s"] = interval([other["cpu_s_per_gb"] / ours["cpu_s_per_gb"] for ours, other in both])
    result["noise"] = {"others_cores": statistics.median(r["other_cpu"] / r["seconds"] for p in pairs for r in p),
                       "others_cores_most": max(r["other_cpu"] / r["seconds"] for p in pairs for r in p),
                       "stolen_ticks": sum(r["steal_ticks"] for p in pairs for r in p)}
    return result


def goals(figures, parity):
    """What we want to reach: words, value, bound, whether it is reached. Those that were not measured are left out."""
    def value(contestant, column, key):
        return figures.get(contestant, {}).get(column, {}).get(key, {}).get("median")

    def best(contestants, column, key, choose):
        return choose([v for c in contestants if (v := value(c, column, key)) is not None], default=None)

    found = []

    def goal(words, one, other, bound, most=False):
        if one is not None and other:
            ratio = one / other
            found.append({"goal": words, "value": ratio, "bound": bound,
                          "reached": ratio <= bound if most else ratio >= bound})

    us = Cyphernet.key
    brokers = ["strelaysrv", "transit"]
    others = [key for key in figures if key not in (us, "loopback")]
    for calls in (1, 8, 64):
        cheap, read = f"cheap-{calls}", f"read-{calls}"
        goal(f"{calls} calls, cheap ends: throughput to the best broker's, at least", value(us, cheap, "mb_per_s"),
             best(brokers, cheap, "mb_per_s", max), 1.8)
        goal(f"{calls} calls, cheap ends: CPU per GB to the best broker's, at most", value(us, cheap, "cpu_s_per_gb"),
             best(brokers, cheap, "cpu_s_per_gb", min), 0.4, most=True)
        goal(f"{calls} calls, reading ends: throughput to the best of all, at least", value(us, read, "mb_per_s"),
             best(others, read, "mb_per_s", max), 0.95)
    goal("joins a second to strelaysrv's, at least", value(us, "joins", "joins_per_s"),
         value("strelaysrv", "joins", "joins_per_s"), 3)
    goal("KiB of an idle call, fresh, at most", value(us, "idle", "kib_fresh"), 1, 0.5, most=True)
    goal("KiB of an idle call, after 1 MiB each way, at most", value(us, "idle", "kib_after"), 1, 0.5, most=True)
    goal("ms of p99 beside 8 bulk calls, at most", value(us, "beside-bulk", "p99_us"), 1000, 1, most=True)
    goal("the same to the better HAProxy's, at most", value(us, "beside-bulk", "p99_us"),
         best(["haproxy", "haproxy-splice"], "beside-bulk", "p99_us", min), 0.2, most=True)
    goal("rate that bulk keeps beside a conversation, at least", value(us, "beside-bulk", "mb_per_s"),
         value(us, "cheap-8", "mb_per_s"), 0.85)
    for key, words in (("mb_per_s", "throughput"), ("gb_per_cpu_s", "GB for each CPU second")):
        if key in parity:
            goal(f"{words} to HAProxy's with splice, upper end of the 95 % interval, at least", parity[key]["high"], 1,
                 0.95)
    return found


# --- telling it ---------------------------------------------------------------------------------------------------

TABLES = [
    *((f"{column.replace('-', ' ends, ')} call{'s' if not column.endswith('-1') else ''}", column,
       [("mb_per_s", "MB/s", ".0f"), ("cpu_s_per_gb", "CPU s/GB", ".3f"), ("least_share", "least:most", ".2f")])
      for column in BULK),
    ("64 octets there and back, alone", "alone",
     [("p50_us", "p50 us", ".0f"), ("p99_us", "p99", ".0f"), ("p999_us", "p99.9", ".0f")]),
    ("64 octets there and back, beside idle calls", "idle",
     [("p50_us", "p50 us", ".0f"), ("p99_us", "p99", ".0f"), ("p999_us", "p99.9", ".0f")]),
    ("64 octets there and back each millisecond, beside 8 bulk calls", "beside-bulk",
     [("p50_us", "p50 us", ".0f"), ("p99_us", "p99", ".0f"), ("p999_us", "p99.9", ".0f"),
      ("mb_per_s", "bulk MB/s", ".0f")]),
    (f"joins, {MAKERS} at a time, with an octet passed", "joins",
     [("joins_per_s", "a second", ".0f"), ("cpu_ms_per_join", "CPU ms each", ".3f")]),
    ("user memory, KiB for each idle call; in brackets, with what the relay holds without any", "idle",
     [("kib_fresh", "fresh", ".2f"), ("kib_fresh_with_all", "(all)", ".2f"), ("kib_after", "after 1 MiB", ".2f"),
      ("kib_after_with_all", "(all)", ".2f")]),
]


def tell(names, figures):
    for title, column, keys in TABLES:
        rows = [(name, figures[key][column]) for key, name in names.items() if column in figures[key]]
        rows = [(name, row) for name, row in rows if keys[0][0] in row]
        if not rows:
            continue
        print(f"\n{title:40}" if len(title) <= 40 else f"\n{title}\n{'':40}", end="")
        print("".join(f"{heading:>12}" for _, heading, _ in keys), f"{'(range)':>16}   others  stolen")
        for name, row in rows:
            cells = "".join(f"{row[key]['median']:12{form}}" for key, _, form in keys)
            first, form = row[keys[0][0]], keys[0][2]
            span = f"({first['least']:{form}} to {first['most']:{form}})"
            noise = row["noise"]
            print(f"  {name:38}{cells} {span:>16}   {noise['others_cores']:5.0%} {noise['stolen_ticks']:7}")


def parse():
    parser = argparse.ArgumentParser(prog="./run bench server", description="Our server beside other relays.")
    parser.add_argument("--runs", type=int, default=5, help="of each column and contestant, interleaved")
    parser.add_argument("--pairs", type=int, default=15, help="with HAProxy's splicing, for the interval of the ratio")
    parser.add_argument("--window", type=int, default=2000, help="milliseconds of each run")
    parser.add_argument("--idle", type=int, default=5000, help="idle calls")
    parser.add_argument("--only", help=f"contestants, with commas: {','.join(kind.key for kind in ALL)}; "
                        f"and, if asked for, {','.join(kind.key for kind in IF_ASKED)}")
    parser.add_argument("--columns", help=f"with commas: {','.join(COLUMNS)}")
    parser.add_argument("--cores", choices=["apart", "any"], default="apart", help="of relay and load")
    parser.add_argument("--patience", type=float, default=0,
                        help="seconds in all to wait for other programs to be quiet, or to measure again")
    parser.add_argument("--quick", action="store_true",
                        help="one short run of all, which measures little; no figure fails it")
    parser.add_argument("--json", type=Path, default=BUILD / "bench-server.json", help="where the figures go")
    parser.add_argument("--svg", type=Path, help="where the drawing goes; unless given, only whole runs are drawn")
    options = parser.parse_args()
    whole = not (options.quick or options.only or options.columns) and options.runs >= 5
    if options.quick:
        options.runs, options.pairs = 1, min(options.pairs, 2)
        options.window, options.idle = min(options.window, 300), min(options.idle, 200)
    options.svg = options.svg or (DRAWING if whole else None)
    keys, asked = [kind.key for kind in ALL], [kind.key for kind in IF_ASKED]
    for name, usual, known in (("only", keys, keys + asked), ("columns", COLUMNS, COLUMNS)):
        given = (getattr(options, name) or ",".join(usual)).split(",")
        if not set(given) <= set(known):
            parser.error(f"--{name}: {', '.join(sorted(set(given) - set(known)))}: there are {', '.join(known)}")
        setattr(options, name, given)
    if not (0 < options.runs <= 100 and 0 <= options.pairs <= 1000 and 50 <= options.window <= 60000
            and 0 < options.idle <= 16000):
        parser.error("--runs up to 100, --pairs up to 1000, --window from 50 to 60000, --idle up to 16000")
    return options


def main():
    options = parse()
    same_congestion_control()
    if os.environ.get("CN_BENCH_INSIDE"):  # ports for all these calls; they are the namespace's own
        Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("1024 65535", encoding="ascii")
    files = all_files()
    if 2 * options.idle + 1000 > files:
        options.idle = max(1, (files - 1000) // 2)
        print(f"bench: with {files} descriptors to be had, {options.idle} idle calls", file=sys.stderr)
    kinds = []
    for kind in (kind for kind in ALL + IF_ASKED if kind.key in options.only):
        if kind.is_there():
            kinds.append(kind)
        else:
            print(f"bench: {kind.name} is not to be had here, and left out", file=sys.stderr)
    began, stolen, call_us = time.monotonic(), steal(), system_call_us()
    with tempfile.TemporaryDirectory(prefix="cyphernet-bench-") as place:
        bench = Bench(options, kinds, Path(place))
        try:
            bench.all_runs()
            parity = of_pairs(bench.pairs())
        finally:
            bench.stop()
    names = {kind.key: kind.name for kind in kinds}
    figures = {key: {column: of_column(results) for column, results in columns.items()}
               for key, columns in bench.runs.items()}
    reached = goals(figures, parity)
    machine = {"cores": os.cpu_count(), "system": f"{platform.system()} {platform.release()}",
               "load": os.getloadavg()[0], "stolen_ticks": steal() - stolen, "seconds": time.monotonic() - began,
               "cubic": bool(os.environ.get("CN_BENCH_INSIDE")), "system_call_us": max(call_us, system_call_us())}
    print(f"{options.runs} runs of {options.window} ms, medians; {options.idle} idle calls; {machine['cores']} cores, "
          f"relay and load {options.cores}; load {machine['load']:.1f}, {machine['stolen_ticks']} ticks stolen in "
          f"{machine['seconds']:.0f} s\n"
          "others: cores that other programs used meanwhile; stolen: by the hypervisor, ticks")
    if machine["system_call_us"] > 3:
        print(f"WORTHLESS: a system call takes {machine['system_call_us']:.0f} us; is somebody tracing them?")
    tell(names, figures)
    for key, words in (("mb_per_s", "throughput"), ("gb_per_cpu_s", "GB for each CPU second")):
        if key in parity:
            p = parity[key]
            print(f"\n{words}, 8 calls, cheap ends, to HAProxy's with splice: {p['ratio']:.3f} times, 95 % interval "
                  f"{p['low']:.3f} to {p['high']:.3f} ({p['pairs']} pairs)", end="")
    print("\n")
    for goal in reached:
        print(f"{'reached    ' if goal['reached'] else 'not reached'}  "
              f"{goal['goal']} {goal['bound']:g}: {goal['value']:.3g}")
    result = {"machine": machine, "settings": {k: v for k, v in vars(options).items() if k not in ("json", "svg")},
              "names": names, "versions": {kind.key: kind.version() for kind in kinds}, "figures": figures,
              "parity": parity, "goals": reached, "failures": bench.failures, "runs": bench.runs}
    options.json.write_text(json.dumps(result, indent=1), encoding="ascii")
    if options.svg:
        options.svg.write_text(chart.draw(result), encoding="utf-8")
    return bool(bench.failures) or not (options.quick or all(goal["reached"] for goal in reached))


if __name__ == "__main__":
    sys.exit(main())
