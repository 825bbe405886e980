"""What a waiting cyphernet makes of it when the server ends its wait."""

import subprocess
import time

import pytest
from cn_helper import exchange
from ctl_helper import BUILD, preload
from lines import status
from live import until


@pytest.mark.parametrize("words", [("pipe", "bob", "--answer"), ("pipe", "bob", "--wait", "60")])
@pytest.mark.parametrize(
    "verb, said",
    [("revoke", "the operator has revoked your fingerprint"), ("suspend", "the operator has suspended you")],
)
def test_who_is_shut_out_while_it_waits_hears_why(own_pair, own, words, verb, said):
    ann, _ = own_pair
    waiting = own.start(ann, *words, wait=None)
    waiting.says("waiting for bob")
    own.ctl.ok(verb, "ann")
    waiting.end(7)
    assert f"cyphernet: error: {said}" in waiting.said()


def test_whose_fingerprint_ends_while_it_waits_hears_that(own):
    own.serve()
    bob = own.person("bob")
    ann = own.person("ann")
    exchange(ann, bob)
    now = int(time.time())
    forge = [BUILD / "tests/support/forge", own.ctl.dir, "ann", str(now - 10), str(now + 6)]
    ann.ok("join", input=subprocess.run(forge, capture_output=True, text=True, check=True).stdout)
    waiting = own.start(ann, "pipe", "bob", "--answer", wait=None)
    waiting.says("waiting for bob")
    waiting.end(7)
    assert "cyphernet: error: your fingerprint has expired" in waiting.said()


def test_whose_waiting_time_is_over_registers_again_and_is_found(own):
    own.serve("[waiting]\nwaiting_time = 1\n")
    ann, bob = own.pair()
    answering = own.start(ann, "pipe", "bob", "--answer", wait=None, stdin=b"from ann")
    until(lambda: status(own)["waited_out"] >= 2, "it was sent away twice")
    calling = own.start(bob, "pipe", "ann", stdin=b"from bob")
    calling.end(0)
    answering.end(0)
    assert (answering.got(), calling.got()) == (b"from bob", b"from ann")
    assert "error" not in answering.said()


def test_whose_waiting_time_is_over_does_not_wait_longer_than_its_user_would(own):
    own.serve("[waiting]\nwaiting_time = 1\n")
    ann, _ = own.pair()
    waiting = own.start(ann, "pipe", "bob", wait=3)
    waiting.end(6)
    assert status(own)["waited_out"] >= 1


@pytest.mark.parametrize("shift, how", [(7300, "2 hours ahead of"), (-7300, "2 hours behind"), (0, None)])
def test_a_clock_that_is_off_is_among_the_hints(world, tmp_path, shift, how):
    env = {**preload("shift_clock.so", tmp_path), "CLOCK_SHIFT_S": str(shift)}
    done = world.ann.run("pipe", "bob", "--wait", "0.2", env=env)
    assert done.returncode == 6
    after = done.stderr.split("error: bob did not come in time\n")[1]
    assert (f"hint: your clock is {how} the server's" in after) if how else ("clock" not in done.stderr)
