"""./run secrets [--calls N]: whether secrets stay secret, as a whole. check.py BUILD SANITIZED-BUILD [--calls N]. Ends with
`N passed, N failed`.

The programs of this directory, which say at their top what they look for; constant_time as each compiler makes it; and
calls of the real programs through a real server, after which the memory of all of them is searched (as root)."""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMPILERS = [(compiler, level) for compiler in ("gcc", "clang") for level in (1, 2, 3)]
AT_ONCE = os.cpu_count() or 1
PAIRS = 4  # of subscribers, who call at the same time
VALGRIND = ["valgrind", "--quiet", "--error-limit=no", "--suppressions=tests/secrets/libcrypto.supp"]


def outcome(title, command):
    """What a program said, and how many checks of it passed and failed; one that broke counts as one that failed."""
    begun = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    counts = re.findall(r"^(\d+) passed, (\d+) failed$", done.stdout, re.M)
    passed, failed = map(int, counts[-1]) if counts else (0, 0)
    if done.returncode and not failed:
        failed = 1
    return f"== {title}: {time.monotonic() - begun:.0f} s\n{done.stdout}", passed, failed


def constant_time(compiler, level):
    """It, as this compiler makes it; with the debugging information that valgrind reads of either."""
    build = ROOT / "build-constant-time" / f"{compiler}-O{level}"
    target = "tests/secrets/constant_time"
    log = ""
    if not (build / "build.ninja").exists():
        log = subprocess.run(["meson", "setup", build, f"-Doptimization={level}", "-Ddebug=true", "-Dc_args=-gdwarf-4"],
                             cwd=ROOT, env={**os.environ, "CC": compiler}, capture_output=True, text=True, check=False).stdout
    made = subprocess.run(["ninja", "-C", build, "--quiet", target], capture_output=True, text=True, check=False)
    if made.returncode:
        return f"== constant_time, {compiler} -O{level}: the build failed\n{log}{made.stdout}", 0, 1
    return outcome(f"constant_time, {compiler} -O{level}", [*VALGRIND, build / target])


def calls_of_a_pair(world, number, count, kept):
    """How many pieces of secrets so many of them have left."""
    from watched import Watched

    pair = Watched(world, identity="rsa2048" if number == 0 else None, name=f"subscriber{number}")
    left = 0
    for call in range(count):
        told = pair.call("send" if call % 10 == 0 else "pipe", env={"WATCH_KEPT": str(kept)})
        left += sum(found for found, _, _ in told)
    return left


def calls(number):
    """So many, through one server, of which all processes are searched while they still run."""
    from live import World
    from watched import FILE, ONE, OTHER, TEXT, in_server, pieces

    with tempfile.TemporaryDirectory() as name:
        world = World(Path(name) / "calls").serve()
        kept, known = world.tmp / "kept", world.tmp / "known"
        try:
            with ThreadPoolExecutor(PAIRS) as pool:
                left = sum(pool.map(lambda pair: calls_of_a_pair(world, pair, number // PAIRS, kept), range(PAIRS)))
            with kept.open("a") as out:
                out.write(pieces("name", ONE) + pieces("name", OTHER) + pieces("file name", FILE) + pieces("text", TEXT))
            known.write_text(pieces("directory", str(world.ctl.dir)))
            found, count, said = in_server(world, kept)
            control = in_server(world, known)[0]
        finally:
            world.close()
    yield left == 0, f"{number // PAIRS * PAIRS} calls: {left} pieces of secrets are left in the memory of those who called"
    yield found == 0, f"of their {count} pieces, names and words {found} are in the server's memory\n{said if found else ''}"
    yield control > 0, "what the server does know is found there"


def called(number):
    begun = time.monotonic()
    try:
        told = list(calls(number))
    except AssertionError as error:
        told = [(False, f"the calls: {error}")]
    lines = "\n".join(f"{'ok     ' if fine else 'FAILED '}{what}" for fine, what in told)
    passed = sum(fine for fine, _ in told)
    return f"== calls: {time.monotonic() - begun:.0f} s\n{lines}\n", passed, len(told) - passed


def main():
    parser = argparse.ArgumentParser(prog="./run secrets")
    parser.add_argument("build", help=argparse.SUPPRESS)
    parser.add_argument("sanitized", help=argparse.SUPPRESS)
    parser.add_argument("--calls", type=int, default=1000, help="through the server; 1000")
    options = parser.parse_args()
    build, sanitized = ROOT / options.build, ROOT / options.sanitized
    os.environ["CYPHERNET_BUILD"] = str(build)
    sys.path.append(str(ROOT / "tests" / "support"))
    results = []

    def tell(result):
        print(result[0], end="", flush=True)
        results.append(result[1:])

    programs = [(name, [build / "tests/secrets" / name]) for name in ("tampered", "looks_random", "left_in_memory")]
    programs.append(("tampered, under the sanitizers", [sanitized / "tests/secrets/tampered"]))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        waited = [pool.submit(outcome, *one) for one in programs] + [pool.submit(constant_time, *one) for one in COMPILERS]
        for one in waited:
            tell(one.result())
    tell(called(options.calls))
    tell(outcome("timing", [build / "tests/secrets/timing"]))  # alone
    passed, failed = (sum(column) for column in zip(*results))
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
