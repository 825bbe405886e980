"""./run coverage [--suites PART...] [--missing PATH...] [--last]: what the tests, and commands of which each call fails, reach of
each directory, in lines and in branches, each way of each condition. They run on a build by clang whose programs count in a file
that is mapped, one for each program: so what is killed, changes its root, or has no descriptors counts, too. Asserts, which
nothing from outside may reach, are not in this build.
--missing: the lines and branches of these files that nothing reached."""
import argparse
import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build-coverage"
PROFILES = BUILD / "profiles"
PROGRAMS = ["cyphernet", "cyphernetd", "cyphernetd-gate", "cyphernetd-switch", "cyphernetd-metrics", "cyphernetctl"]
SWEEP = [ROOT / "tests/chaos/memory.py", "--of", "commands", "--count", "0"]  # each call fails, of which suites try a few
GOALS = {"core": (95, 90), "server": (95, 90), "client": None, "cli": None}  # per cent of lines, of branches


class File:
    """Counts of one source: lines, and branches by line."""

    def __init__(self):
        self.lines = {}
        self.branches = defaultdict(list)

    def figures(self):
        """Lines and branches: reached, all."""
        branches = [count for counts in self.branches.values() for count in counts]
        return [sum(map(bool, self.lines.values())), len(self.lines), sum(map(bool, branches)), len(branches)]

    def missing(self):
        """Lines that were not reached, and those of whose branches some were not, each with the ways that it has."""
        lines = sorted(line for line, count in self.lines.items() if not count)
        partly = {line: (counts.count(0), len(counts)) for line, counts in sorted(self.branches.items())
                  if 0 in counts and self.lines.get(line)}
        return lines, partly


def parsed(tracefile):
    """By path in the project, of a tracefile as lcov writes it."""
    found = defaultdict(File)
    file = File()
    for line in tracefile.splitlines():
        kind, _, rest = line.partition(":")
        if kind == "SF":
            file = found[in_project(rest)]
        elif kind == "DA":
            at, count = rest.split(",")[:2]
            file.lines[int(at)] = int(count)
        elif kind == "BRDA":
            at, _, _, count = rest.split(",")
            file.branches[int(at)].append(0 if count == "-" else int(count))
    return found


def in_project(path):
    return os.path.normpath(path.rpartition("/../")[2]).removeprefix(f"{ROOT}/")


def join_headers(files, functions):
    """What is in a header is compiled many times, and counts once."""
    found = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for function in functions:
        for *place, true, false, file, _, _ in function["branches"]:
            path = in_project(function["filenames"][file])
            if path.endswith(".h") and path in files:
                counts = found[path][tuple(place)]
                counts[:] = counts[0] + true, counts[1] + false
    for path, file in files.items():
        if path.endswith(".h"):
            file.branches = defaultdict(list)
            for place, counts in found[path].items():
                file.branches[place[0]] += counts


def ranges(numbers):
    """Sorted numbers as text."""
    text = []
    for number in numbers:
        if text and text[-1][1] == number - 1:
            text[-1][1] = number
        else:
            text.append([number, number])
    return " ".join(str(first) if first == last else f"{first}-{last}" for first, last in text)


def per_cent(some, total):
    return 100 * some / total if total else 100.0


def begin():
    """Nothing is counted yet; and every user's process may count."""
    PROFILES.mkdir(exist_ok=True)
    PROFILES.chmod(0o1777)
    for old in PROFILES.iterdir():
        old.unlink()
    for program in PROGRAMS:
        subprocess.run([BUILD / program], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    for new in PROFILES.iterdir():
        new.chmod(0o666)


def counted():
    """What all programs counted, by source."""
    whole = BUILD / "coverage.profdata"
    profiles = [path for path in PROFILES.iterdir() if path.suffix == ".profraw"]
    subprocess.run(["llvm-profdata", "merge", "--failure-mode=all", "-sparse", "-o", whole, *profiles], check=True)
    export = ["llvm-cov", "export", f"-instr-profile={whole}", BUILD / PROGRAMS[0]]
    export += [word for program in PROGRAMS[1:] for word in ("-object", BUILD / program)]
    files = parsed(subprocess.run([*export, "-format=lcov"], stdout=subprocess.PIPE, text=True, check=True).stdout)
    functions = json.loads(subprocess.run([*export, "-format=text"], stdout=subprocess.PIPE, text=True, check=True).stdout)
    join_headers(files, functions["data"][0]["functions"])
    return files


def tell(files):
    """A line for each directory; how many goals are reached, and how many are not."""
    passed = failed = 0
    for directory, goal in GOALS.items():
        sums = [sum(column) for column in zip(*(file.figures() for path, file in files.items()
                                                if path.startswith(f"{directory}/")), strict=True)]
        lines, branches = per_cent(*sums[:2]), per_cent(*sums[2:])
        text = f"{directory}: {lines:.1f} % of {sums[1]} lines, {branches:.1f} % of {sums[3]} branches"
        if goal:
            reached = [lines >= goal[0], branches >= goal[1]]
            passed += sum(reached)
            failed += 2 - sum(reached)
            text += f"; to be at least {goal[0]} and {goal[1]}{'' if all(reached) else ': they are NOT'}"
        print(text)
    return passed, failed


def main():
    parser = argparse.ArgumentParser(prog="./run coverage", description=__doc__)
    parser.add_argument("--suites", nargs="*", default=[""], metavar="PART", help="as in suites.py: e2e, cli/test_help.py")
    parser.add_argument("--missing", nargs="*", default=[], metavar="PATH")
    parser.add_argument("--last", action="store_true", help="run no test")
    options = parser.parse_args()
    if not options.last:
        begin()
        asked = [f"build-coverage{part and '='}{part}" for part in options.suites]
        subprocess.run([sys.executable, ROOT / "tests/suites.py", *asked], check=False)
        if options.suites == [""]:
            subprocess.run([sys.executable, *SWEEP], env=dict(os.environ, CYPHERNET_BUILD=str(BUILD)), check=False)
    files = counted()
    for path, file in sorted(files.items()):
        if any(path.startswith(start) for start in options.missing):
            lines, partly = file.missing()
            figures = file.figures()
            print(f"{path}: {figures[1] - figures[0]} lines, {figures[3] - figures[2]} branches are missing: "
                  f"lines {ranges(lines)}; branches of "
                  f"{' '.join(f'{line}({some}/{total})' for line, (some, total) in partly.items())}")
    passed, failed = tell(files)
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
