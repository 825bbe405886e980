"""tests/suites.py gives a few failures a second chance, alone, and names what took it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SUITES = Path(__file__).parents[1] / "suites.py"
FIRST_TIME_ONLY = """
import pathlib, pytest
@pytest.mark.parametrize("number", range({count}))
def test_that_fails_once(number):
    mark = pathlib.Path(__file__).parent / str(number)
    before = mark.exists()
    mark.touch()
    assert before
"""
ALWAYS = "def test_that_fails(): assert False\ndef test_that_passes(): pass\n"


@pytest.mark.parametrize("source, said, passed, failed", [
    (FIRST_TIME_ONLY.format(count=5), "unsteady, passed when it ran again alone: tests.e2e.test_it ", 5, 0),
    (FIRST_TIME_ONLY.format(count=6), "failed: tests.e2e.test_it ", 0, 6),
    (ALWAYS, "failed: tests.e2e.test_it ", 1, 1),
    ("syntax error", "failed: ", 0, 1),
])
def test_a_second_chance(tmp_path, source, said, passed, failed):
    (tmp_path / "tests/e2e").mkdir(parents=True)
    (tmp_path / "build").mkdir()
    shutil.copy(SUITES, tmp_path / "tests")
    (tmp_path / "tests/e2e/test_it.py").write_text(source)
    done = subprocess.run([sys.executable, tmp_path / "tests/suites.py", "build=e2e/test_it.py"],
                          capture_output=True, text=True, timeout=60, check=False)
    lines = done.stdout.splitlines()
    assert lines[-1] == f"{passed} passed, {failed} failed"
    assert done.returncode == (failed > 0)
    assert sum(line.strip().startswith(said) for line in lines) == (failed or passed)


def test_only_our_programs_are_tested_under_sanitizers_again(tmp_path):
    for suite in ("cli", "tools"):
        (tmp_path / "tests" / suite).mkdir(parents=True)
        (tmp_path / "tests" / suite / "test_it.py").write_text("def test_that_passes(): pass\n")
    (tmp_path / "build-asan").mkdir()
    (tmp_path / "build/tests/support").mkdir(parents=True)
    (tmp_path / "build/tests/support/key_watch.so").touch()
    shutil.copy(SUITES, tmp_path / "tests")
    done = subprocess.run([sys.executable, tmp_path / "tests/suites.py", "build", "build-asan"],
                          capture_output=True, text=True, timeout=60, check=False)
    assert [line for line in done.stdout.splitlines() if "1 passed" in line] == [
        f"{of}: 1 passed, 0 failed" for of in ("build: cli", "build: tools", "build-asan: cli")]
