""".ci/run says at its end how all went, and never better than it went."""

import shutil
import subprocess
from pathlib import Path

import pytest

CI_RUN = Path(__file__).parents[2] / ".ci/run"


@pytest.fixture
def ends(tmp_path):
    """What .ci/run ends with, and its exit code, where `./run VERB` does what `verbs` says in shell."""

    def end(**verbs):
        (tmp_path / ".ci").mkdir()
        shutil.copy(CI_RUN, tmp_path / ".ci/run")
        cases = "\n".join(f"{verb}) {script} ;;" for verb, script in verbs.items())
        (tmp_path / "run").write_text(f"#!/bin/sh\ncase $1 in\n{cases}\nesac\n")
        (tmp_path / "run").chmod(0o755)
        done = subprocess.run([tmp_path / ".ci/run"], capture_output=True, text=True, timeout=60, check=False)
        return done.stdout.splitlines()[-1], done.returncode

    return end


GOOD = "echo 5 passed, 0 failed"


@pytest.mark.parametrize("script, last", [
    ("exit 1", "5 passed, 1 failed"),
    ("true", "5 passed, 1 failed"),
    ("echo no space; exit 2", "5 passed, 1 failed"),
    ("echo build: unit: 7 passed, 0 failed", "5 passed, 1 failed"),
    ("echo 7 passed, 0 failed; exit 1", "12 passed, 1 failed"),
    ("echo 7 passed, 2 failed; exit 1", "12 passed, 2 failed"),
    ("echo 7 passed, 2 failed", "12 passed, 2 failed"),
    ("kill -9 $$", "5 passed, 1 failed"),
])
@pytest.mark.parametrize("verb", ["test", "lint"])
def test_what_did_not_pass_is_a_failure(ends, verb, script, last):
    assert ends(**{"test": GOOD, "lint": GOOD, verb: script}) == (last, 1)


def test_what_passed_is_summed(ends):
    assert ends(test="echo 7 passed, 0 failed; " + GOOD, lint="echo 2 passed, 0 failed") == ("7 passed, 0 failed", 0)
