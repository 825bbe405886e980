"""Processes that are killed, or stopped and go on, or have no more descriptors, while a call is under way."""

import os
import resource
import signal
import subprocess
from pathlib import Path

import pytest

from live import until
from lines import status
from processes import gate_killed
from sweep import STRACE, environment, why_not
from talks import Pipe


@pytest.fixture
def pipe(own):
    own.serve("[calls]\nworkers = 1\n")
    return Pipe(own, *own.pair())


def worker_killed(world):
    """There is one."""
    before = status(world)["worker_restarts"]
    os.kill(world.processes()["cyphernetd-switch"][0], signal.SIGKILL)
    until(lambda: status(world)["worker_restarts"] > before and status(world)["workers"] == 1, "there is another")


def test_a_call_does_not_notice_that_the_gate_is_killed(own, pipe):
    for _ in range(3):
        gate_killed(own)
        pipe.word()
    assert pipe.lost() == [0, 0]
    pipe.close()


def test_a_call_goes_on_when_its_worker_is_killed(own, pipe):
    for number in range(1, 4):
        worker_killed(own)
        pipe.word()
        assert pipe.lost() == [number, number], (pipe.ann.said(), pipe.bob.said())
    pipe.close()


def test_a_call_goes_on_when_worker_and_gate_are_killed_at_once(own, pipe):
    for _ in range(3):
        for pid in own.processes()["cyphernetd-switch"] + own.processes()["cyphernetd-gate"]:
            os.kill(pid, signal.SIGKILL)
        pipe.word()
    pipe.close()


def stopped(pids):
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)


def go_on(pids):
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def test_a_client_that_was_stopped_for_longer_than_its_partners_patience_goes_on(pipe):
    stopped([pipe.ann.process.pid])
    pipe.write(0, b"what is written meanwhile\n")
    pipe.write(1, b"and what is said to it\n")
    pipe.bob.says("nothing is heard of ann")
    pipe.bob.says("is lost; reconnecting")
    go_on([pipe.ann.process.pid])
    pipe.arrives()
    pipe.says("nothing is lost")
    pipe.close()


def test_a_server_that_was_stopped_for_longer_than_the_patience_of_both_goes_on(own, pipe):
    pids = sum(own.processes().values(), [])
    stopped(pids)
    for who in (0, 1):
        pipe.write(who, b"meanwhile\n")
    pipe.says("is lost; reconnecting")
    go_on(reversed(pids))
    pipe.arrives()
    pipe.close()


def test_a_server_that_is_stopped_for_a_moment_costs_nothing(own, pipe):
    for _ in range(3):
        pids = sum(own.processes().values(), [])
        stopped(pids)
        pipe.write(0, b"meanwhile\n")
        go_on(reversed(pids))
        pipe.arrives()
    assert pipe.lost() == [0, 0]
    pipe.close()


class Limit:
    """A process that may have no descriptor but those below this number."""

    def __init__(self, pid, number=3):
        self.pid = pid
        self.before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (number, self.before[1]))

    def lift(self):
        resource.prlimit(self.pid, resource.RLIMIT_NOFILE, self.before)


def sockets(pid):
    """The numbers of its connections."""
    fds = Path(f"/proc/{pid}/fd")
    inodes = {line.split()[9] for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]}
    return [int(fd.name) for fd in fds.iterdir() if os.readlink(fd).removeprefix("socket:[").rstrip("]") in inodes]


MANY = ["bash", "-c", 'for n in {3..24}; do eval "exec $n</dev/null"; done; exec "$@"', "bash"]


def test_a_client_without_a_descriptor_for_another_line_goes_on_when_there_is_one(own):
    """It has many open that are nobody's business, as poll wants no fewer allowed than it is told of."""
    own.serve("[calls]\nworkers = 1\n")
    pipe = Pipe(own, *own.pair(), under=MANY)
    [socket] = sockets(pipe.ann.process.pid)
    limit = Limit(pipe.ann.process.pid, socket)
    worker_killed(own)
    pipe.says("is lost; reconnecting")
    pipe.write(0, b"meanwhile\n")
    pipe.write(1, b"likewise\n")
    until(lambda: status(own)["waiting"] == 1, "the other waits")
    assert sockets(pipe.ann.process.pid) == []
    limit.lift()
    pipe.arrives()
    pipe.close()


def test_a_gate_without_descriptors_has_calls_come_back_when_it_has(own, pipe):
    limit = Limit(own.gate())
    worker_killed(own)
    pipe.says("is lost; reconnecting")
    own.server.says("event=worker_missed")
    pipe.write(0, b"meanwhile\n")
    limit.lift()
    pipe.arrives()
    pipe.close()


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_who_waits_for_a_partner_that_does_not_come_back_only_waits(own, tmp_path, how):
    """For longer than the 10 s after which one that has not been called yet looks for new cards; and also where it had asked
    whether the partner is there."""
    if why_not():
        pytest.skip(why_not())
    own.serve()
    ann, bob = own.pair()
    log = tmp_path / "polled"
    first = own.start(ann, "pipe", "bob", stdin=subprocess.PIPE, resume=14)
    first.says("waiting for bob")
    strace = [*STRACE, "--seccomp-bpf", "-e", "trace=poll", "-o", log]
    other = own.start(bob, "pipe", "ann", resume=14, under=strace, env=environment(), stdin=subprocess.PIPE)
    first.says("connected with bob")
    if how == "killed":
        first.stop()
    else:
        first.signal(signal.SIGSTOP)
        other.stdin.write(b"is anybody there")
        other.stdin.flush()
    other.says("reconnecting")
    other.end(5)
    assert len(log.read_text().splitlines()) < 500
