"""suites.py BUILD[=PART]...: run every suite on each build directory, count test cases, end with `N passed, N failed`.
PART: `unit`; `valgrind`, the unit tests under it; or what is at this path in tests/: a pytest suite, a file of tests, or one test,
as in unit/test_tag.c::the_vectors_hold.

Files of tests run many at once, those of all builds beside each other, since plain programs wait where sanitized ones compute.
What took longest the last time begins first.

Programs are tested many at once, and a machine that is too busy can make one of them late. A few tests of programs that
failed are therefore run once more, alone; what passes only then is named as unsteady, and is a test to be mended."""
import contextlib
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as xml
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VALGRIND = ("valgrind --quiet --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite "
            "--suppressions=tests/valgrind.supp")
PYTEST_SUITES = ["e2e", "chaos", "cli", "interop"]
PLAIN_SUITES = ["tools"]  # of what is not our programs, to which sanitizers are nothing
AT_ONCE = 3 * (os.cpu_count() or 1)  # files of tests, of which the plain ones wait more than they compute
AGAIN = 5  # tests at most that are run again: if more failed, it was not the machine


def count(junit):
    """Test cases of a JUnit file that passed and failed, and the names of those that did not pass, or run."""
    passed = failed = 0
    names = []
    for case in xml.parse(junit).iter("testcase"):
        name = f"{case.get('classname', '')} {case.get('name', '')}"
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
            names.append(f"failed: {name}")
        elif case.find("skipped") is not None:
            names.append(f"skipped: {name}: {case.find('skipped').get('message', '')}")
        else:
            passed += 1
    return passed, failed, names


def outcome(title, junit, code):
    """The same of one run. One that broke, or held no test, counts as one failure."""
    passed, failed, names = count(junit) if junit.exists() else (0, 0, [])
    if failed == 0 and (code != 0 or passed + len(names) == 0):
        failed = 1
        names.append(f"failed: {title}: exit code {code}, {passed} tests ran")
    return passed, failed, names


def report(title, outcomes):
    """One line for a suite: passed, failed, the names of the skipped."""
    outcomes = list(outcomes)
    passed = sum(one[0] for one in outcomes)
    failed = sum(one[1] for one in outcomes)
    names = [name for one in outcomes for name in one[2]]
    print(f"{title}: {passed} passed, {failed} failed", flush=True)
    for name in names:
        print(f"  {name}", flush=True)
    return passed, failed, [name for name in names if name.startswith("skipped: ")]


def meson_suite(build, name, *options):
    junit = build / "meson-logs" / f"{name}.junit.xml"
    junit.unlink(missing_ok=True)
    done = subprocess.run(["meson", "test", "-C", build, "--no-rebuild", "--print-errorlogs", *options],
                          cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        print(done.stdout)
    return outcome(name, junit, done.returncode)


def unit(build):
    return meson_suite(build, "unit", "--logbase", "unit")


def unit_under_valgrind(build):
    """meson adds the name of the wrapper to that of the log."""
    return meson_suite(build, "unit-valgrind", "--logbase", "unit", "--suite", "unit", "--timeout-multiplier", "20",
                       "--wrap", VALGRIND)


def unit_file(build, path, only=""):
    """All tests of a program, or what it says of one, which it cannot run alone."""
    try:
        done = subprocess.run([build / "tests" / "unit" / path.stem], cwd=ROOT, text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env=dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP"))
    except OSError as error:
        return 0, 1, [f"failed: {path.name}: {error.strerror}"]
    told = re.findall(r"^(ok|not ok) \d+ - (\w+)$", done.stdout, re.MULTILINE)
    told = [(how, name) for how, name in told if only in ("", name)]
    failed = [f"failed: {path.name} {name}" for how, name in told if how != "ok"]
    if not told or (done.returncode and not failed and not only):
        failed.append(f"failed: {path.name}: exit code {done.returncode}, {len(told)} tests ran")
    if failed:
        print(done.stdout)
    return sum(how == "ok" for how, _ in told), len(failed), failed


def at_path(build, path):
    """What a part names: its tests, by the program that has them, or by pytest."""
    path, _, only = str(path).partition("::")
    path = ROOT / "tests" / path
    if path.suffix == ".c":
        return unit_file(build, path, only)
    return pytest_file(build, path, only)


def junit_of(build, path, only=""):
    return build / f"{path.parent.name}-{path.stem}{only and '-again'}.junit.xml"


def pytest_file(build, path, only=""):
    """All tests of a file, or one."""
    junit = junit_of(build, path, only)
    junit.unlink(missing_ok=True)
    env = dict(os.environ, CYPHERNET_BUILD=str(build), PYTHONDONTWRITEBYTECODE="1",
               PYTHONPATH=str(ROOT / "tests" / "support"))
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
                           f"--junitxml={junit}", f"{path}::{only}" if only else path],
                          cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True)
    if done.returncode:
        print(done.stdout)
    return outcome(path.name, junit, done.returncode)


def suites(build):
    """Those that are run whole on it."""
    sanitized = not (build / "tests/support/key_watch.so").exists()
    return PYTEST_SUITES + ([] if sanitized else PLAIN_SUITES)


def files(suite):
    """Of a suite; or the one named."""
    path = ROOT / "tests" / suite
    return sorted(path.glob("test_*.py")) if path.is_dir() else [suite]


def taken(build, path):
    """Seconds that it took the last time, else a guess."""
    path = ROOT / "tests" / path
    with contextlib.suppress(OSError, xml.ParseError):
        return sum(float(suite.get("time", 0)) for suite in xml.parse(junit_of(build, path)).iter("testsuite"))
    return path.stat().st_size / 500 if path.exists() else 0


def interleaved(jobs):
    """Each build's longest first, and always as much of one build left to do as of the others."""
    of_builds = {}
    for job in jobs:
        of_builds.setdefault(job[0], []).append(job)
    ranked = []
    for of_build in of_builds.values():
        of_build.sort(key=lambda job: -taken(job[0], job[2]))
        ranked += [(at / len(of_build), job) for at, job in enumerate(of_build)]
    return [job for _, job in sorted(ranked, key=lambda one: one[0])]


def again(build, runs):
    """The outcomes of these runs, of which those with a few failures had a second chance."""
    for passed, failed, names in runs:
        for at, name in enumerate(names):
            where, _, test = name.removeprefix("failed: ").partition(" ")
            path = ROOT / (where.replace(".", "/") + ".py")
            if name.startswith("failed: ") and path.exists() and pytest_file(build, path, test)[:2] == (1, 0):
                passed, failed = passed + 1, failed - 1
                names[at] = f"unsteady, passed when it ran again alone: {where} {test}"
        yield passed, failed, names


def main():
    asked = [(ROOT / name, part) for name, _, part in (word.partition("=") for word in sys.argv[1:])]
    results = [report(f"{build.name}: unit", [unit_under_valgrind(build) if part == "valgrind" else unit(build)])
               for build, part in asked if part in ("", "unit", "valgrind")]
    jobs = [(build, suite, path) for build, part in asked if part not in ("unit", "valgrind")
            for suite in ([part] if part else suites(build)) for path in files(suite)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        submitted = {job: pool.submit(at_path, job[0], job[2]) for job in interleaved(jobs)}
    of_suites = {}
    for job in jobs:
        of_suites.setdefault(job[:2], []).append(submitted[job].result())
    runs = [(build, suite, outcomes) for (build, suite), outcomes in of_suites.items()]
    few = sum(failed for _, _, outcomes in runs for _, failed, _ in outcomes) <= AGAIN
    results += [report(f"{build.name}: {suite}", again(build, outcomes) if few else outcomes)
                for build, suite, outcomes in runs]
    passed = sum(result[0] for result in results)
    failed = sum(result[1] for result in results)
    skipped = [name for result in results for name in result[2]]
    if skipped:
        print(f"{len(skipped)} skipped; {sum(name.endswith(': needs root') for name in skipped)} of them need root")
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
