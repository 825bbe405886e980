"""System calls that fail at their n-th time: ./run chaos --sweep tries all, this some."""

import pytest

from ctl_helper import SANITIZED
from sweep import CLIENT, Sweep, server_sweep, spread, traced, why_not


@pytest.mark.parametrize("command", list(CLIENT))
def test_a_call_that_fails_in_a_client(line, command, tmp_path):
    if why_not():
        pytest.skip(why_not())
    world, _, ann, bob = line
    sweep = Sweep(world, ann, bob, tmp_path)
    sweep.sweep(command, 1 if SANITIZED else 2)
    assert sweep.failures == []
    assert 0 < sweep.went_well < sweep.count


@pytest.mark.skipif(not SANITIZED, reason="the server's sandbox does not allow what strace makes of a call")
def test_a_call_that_fails_in_the_server(own):
    if why_not():
        pytest.skip(why_not())
    runs, failures = server_sweep(own, *own.pair(), 1)
    assert failures == [] and runs > 20


def test_numbers_are_spread():
    assert spread(1, 3, 5) == [1, 2, 3]
    assert spread(5, 104, 3) == [5, 54, 104]
    assert spread(1, 100, 1) == [1]


def test_what_was_traced_is_counted_for_each_thread(tmp_path):
    log = tmp_path / "log"
    log.write_text("10 openat(1) = 3\n10 munmap(2) = 0\n10 read(3) = 1\n11 read(3) = 1\n10 read(3) = 1\n10 exited\n")
    most, loader = traced(log)
    assert most["read"] == 2 and most["openat"] == 1 and loader["openat"] == 1 and loader["read"] == 0
