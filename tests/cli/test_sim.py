"""tests/sim: a seed is a story that can be told again, and what goes wrong in one is said."""

import re
import subprocess

import pytest

from ctl_helper import BUILD

SIM = BUILD / "tests/sim/sim"


def sim(*words):
    return subprocess.run([SIM, *words], capture_output=True, text=True, timeout=300, check=False)


def test_a_seed_is_the_same_story_each_time():
    told = sim("--seed", "4")
    assert told.returncode == 0 and told.stdout.endswith("1 passed, 0 failed\n")
    assert sim("--seed", "4").stdout == told.stdout
    assert sim("--seed", "5").stdout != told.stdout


def test_what_is_wrong_is_said_with_a_seed_that_shows_it_again():
    told = sim("--seeds", "200", "--bug", "drop")
    assert told.returncode == 1 and told.stdout.splitlines()[-1] != "200 passed, 0 failed"
    first = told.stderr.splitlines()[0]
    seed = re.match(r"sim: error: seed (\d+), commit \S+: .* is not what was sent$", first).group(1)
    assert f"sim: hint: at that commit ./run sim --seed {seed} tells all of it" in told.stderr
    again = sim("--seed", seed, "--bug", "drop")
    assert again.returncode == 1 and again.stderr.splitlines()[0] == first


@pytest.mark.parametrize(("bug", "said"), [
    ("hushed", "nothing was heard for 3 s, and QUIET was not told"), ("untold", "the line is lost, and LOST was not told"),
    ("unsaid", "a line carries, and RESUMED was not told"), ("twice", "told LOST twice")])
def test_an_end_that_is_not_told_how_its_line_is_is_found(bug, said):
    told = sim("--seeds", "400", "--bug", bug)
    assert told.returncode == 1 and said in told.stderr


def test_seeds_are_counted():
    assert sim("--seeds", "20", "--first", "7").stdout.endswith("20 passed, 0 failed\n")


def test_an_octet_of_the_short_call_can_be_hurt_alone():
    told = sim("--case", "reset,1,up,9000")
    assert told.returncode == 0 and "reset at octet 9000 to the server" in told.stdout
    assert told.stdout.count("told that it goes on") == 2


@pytest.mark.parametrize("words", [["--seeds", "many"], ["--seeds", "-1"], ["--bug", "none"], ["--stride", "0"],
                                   ["--exhaustive", "--stride", "0"], ["--case", "flip"], ["more"], ["--unknown"]])
def test_misuse_is_said(words):
    told = sim(*words)
    assert told.returncode == 2 and "usage: sim" in told.stderr and not told.stdout
