"""Run every suite on each build directory given, count test cases, end with `N passed, N failed`."""
import os
import subprocess
import sys
import xml.etree.ElementTree as xml
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTEST_SUITES = ["interop", "cli", "e2e"]


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


def report(title, junit, code):
    """One line for a suite: passed, failed, the names of the skipped. A suite that broke, or ran nothing, counts as
    one failure."""
    passed, failed, names = count(junit) if junit.exists() else (0, 0, [])
    if failed == 0 and (code != 0 or passed == 0):
        failed = 1
        names.append(f"failed: {title}: exit code {code}, {passed} tests ran")
    print(f"{title}: {passed} passed, {failed} failed", flush=True)
    for name in names:
        print(f"  {name}", flush=True)
    return passed, failed, [name for name in names if name.startswith("skipped: ")]


def unit(build):
    junit = build / "meson-logs" / "testlog.junit.xml"
    junit.unlink(missing_ok=True)
    done = subprocess.run(["meson", "test", "-C", build, "--no-rebuild", "--print-errorlogs"],
                          cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        print(done.stdout)
    return report(f"{build.name}: unit", junit, done.returncode)


def pytest_suite(build, suite):
    junit = build / f"{suite}.junit.xml"
    junit.unlink(missing_ok=True)
    env = dict(os.environ, CYPHERNET_BUILD=str(build), PYTHONDONTWRITEBYTECODE="1",
               PYTHONPATH=str(ROOT / "tests" / "support"))
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
                           f"--junitxml={junit}", f"tests/{suite}"],
                          cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True)
    if done.returncode:
        print(done.stdout)
    return report(f"{build.name}: {suite}", junit, done.returncode)


def main():
    results = []
    for name in sys.argv[1:]:
        build = ROOT / name
        results.append(unit(build))
        results += [pytest_suite(build, suite) for suite in PYTEST_SUITES
                    if any((ROOT / "tests" / suite).glob("test_*.py"))]
    passed = sum(result[0] for result in results)
    failed = sum(result[1] for result in results)
    skipped = [name for result in results for name in result[2]]
    if skipped:
        print(f"{len(skipped)} skipped; {sum(name.endswith(': needs root') for name in skipped)} of them need root")
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
