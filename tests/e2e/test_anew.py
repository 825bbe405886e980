"""A partner whose program was ended, and started anew, while the other end still seeks the old call. PROTOCOL.md 6.5"""

import contextlib
import os
import random
import signal
import struct

import pytest

from agents import came_of, waiting
from ctl_helper import preload
from live import LIMIT, until
from proxy import ASKED, CALLED, DOWN, UP

RESUME = 3600
LARGE = 100_000_000


@pytest.fixture(scope="module")
def behind(behind):
    """With a clock eight times as fast for who must find out."""
    world = behind[0]
    world.hurried = {**preload("shift_clock.so", world.tmp), "CLOCK_RATE": "8"}
    return behind


@pytest.fixture
def tree(tmp_path):
    """Something to send, of which a good part arrives, and then nothing."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    dice = random.Random(1)
    for name, size in (("a", 3_000_000), ("b", LARGE), ("c", 1000)):
        (source / name).write_bytes(dice.randbytes(size))
    return source, target


def stop_after(size, calls_only=False):
    """Nothing passes once so much has gone to bob; or nothing more of a call to him."""
    passed = [0]

    def change(line, way, data):
        to_bob = line.owner == "bob" and way == DOWN
        passed[0] += len(data) * to_bob
        spared = calls_only and not (to_bob and line.count[DOWN] > CALLED)
        return data if spared or passed[0] < size else b""

    return change


def noted(person):
    """Some of the larger one is on the disk, and known to be; of the smaller one that may be so for a moment, too."""
    for path in (person.home / "journals").glob("[0-9a-f]*"):
        with contextlib.suppress(FileNotFoundError):
            if struct.pack(">Q", LARGE) in path.read_bytes():
                return True
    return False


@pytest.mark.parametrize("killed", ["sender", "receiver"])
def test_files_go_on_with_whoever_was_started_anew(line, tree, killed):
    world, proxy, ann, bob = line
    source, target = tree
    proxy.change = stop_after(60_000_000)
    hurried = world.hurried

    def send(**options):
        return world.start(ann, "send", "bob", source, resume=RESUME, wait=RESUME, **options)

    def receive(**options):
        return world.start(bob, "receive", "ann", "-d", target, resume=RESUME, wait=RESUME, **options)

    ends = (send(), receive(env=hurried)) if killed == "sender" else (receive(), send(env=hurried))
    dies, stays = ends
    until(lambda: noted(bob), "it is under way")
    dies.process.send_signal(signal.SIGKILL)
    dies.process.wait()
    proxy.change = None
    again = send() if killed == "sender" else receive()
    again.end(0, 3 * LIMIT)
    stays.end(0, 3 * LIMIT)
    assert "has begun anew; going on with what is there already" in stays.said()
    assert "reconnecting" in stays.said()
    said = stays.said() + again.said()
    assert "source/a: there already" in said and "source/b: goes on after" in said
    for name in "abc":
        assert (target / "source" / name).read_bytes() == (source / name).read_bytes()
    assert [one.name for one in target.iterdir()] == ["source"]


def test_an_agent_takes_up_what_its_contact_sends_anew(line, tree):
    world, proxy, ann, bob = line
    source, target = tree
    proxy.change = stop_after(60_000_000)
    waiting(world, bob, f"[ann]\nreceive = {target}\n")
    dies = world.start(ann, "send", "bob", source, resume=RESUME)
    until(lambda: noted(bob), "it is under way")
    dies.process.send_signal(signal.SIGKILL)
    dies.process.wait()
    proxy.change = None
    again = world.start(ann, "send", "bob", source, resume=RESUME, wait=RESUME)
    again.end(0, 3 * LIMIT)
    assert "source/b: goes on after" in again.said()
    for name in "abc":
        assert (target / "source" / name).read_bytes() == (source / name).read_bytes()
    came_of(bob, "files", "interrupted", "begun anew by ann")
    came_of(bob, "files", "done")
    (bob.home / "agent.conf").unlink()


def seekers(proxy):
    """The lines that ann dials from now on."""
    before, dialled = set(proxy.lines), set()

    def change(line, way, data):
        if line.owner == "ann" and line not in before:
            dialled.add(line)
        return data

    proxy.change = change
    return dialled


def pipe(world, one, other, **options):
    reader, writer = os.pipe()
    running = world.start(one, "pipe", other.name, stdin=reader, resume=RESUME, **options)
    os.close(reader)
    return running, writer


def joined(world, ann, bob):
    """A pipe that is open: ann's end, for whom time goes fast, and bob's, each with what feeds it."""
    stays, mouth = pipe(world, ann, bob, env=world.hurried)
    partner, other = pipe(world, bob, ann)
    os.write(mouth, b"word")
    until(lambda: partner.got() == b"word", "the call is open")
    return stays, mouth, partner, other


def test_a_pipe_says_that_it_cannot_go_on(line):
    world, proxy, ann, bob = line
    stays, mouth, dies, other = joined(world, ann, bob)
    dies.process.send_signal(signal.SIGKILL)
    dies.process.wait()
    again, third = pipe(world, bob, ann)
    stays.end(5)
    assert "bob has begun anew: this call cannot go on" in stays.said()
    assert "what was not confirmed may be missing at the other end" in stays.said()
    next_one = world.start(ann, "pipe", "bob", stdin=b"once more")
    for end in (mouth, other, third):
        os.close(end)
    again.end(0, 3 * LIMIT)
    next_one.end(0)
    assert again.got() == b"once more"


def test_somebody_else_who_waits_does_not_end_a_call_that_can_go_on(line):
    world, proxy, ann, bob = line
    stays, mouth, sleeps, other = joined(world, ann, bob)
    sleeps.signal(signal.SIGSTOP)
    waits, third = pipe(world, bob, ann)
    waits.says("waiting for ann")
    dialled = seekers(proxy)
    for one in list(proxy.lines):
        if one.owner == "ann":
            one.end()
    until(lambda: len(dialled) >= 3, "it has seen that somebody waits")
    sleeps.signal(signal.SIGCONT)
    stays.says("nothing is lost")
    os.write(mouth, b", and another")
    for end in (mouth, other):
        os.close(end)
    stays.end(0, 3 * LIMIT)
    sleeps.end(0)
    assert sleeps.got() == b"word, and another"
    assert "connected" not in waits.said()
    last = world.start(ann, "pipe", "bob", stdin=b"whoever waited is found")
    os.close(third)
    waits.end(0)
    last.end(0)
    assert waits.got() == b"whoever waited is found"


def test_another_of_ours_that_waits_is_left_alone(line):
    world, proxy, ann, bob = line
    stays, mouth, dies, other = joined(world, ann, bob)
    dialled = seekers(proxy)
    dies.process.send_signal(signal.SIGKILL)
    dies.process.wait()
    stays.says("reconnecting")
    until(lambda: dialled, "it seeks")
    waits, third = pipe(world, ann, bob)
    waits.says("waiting for bob")
    answers = world.start(bob, "pipe", "ann", stdin=b"")
    answers.says("connected")
    for end in (other, third, mouth):
        os.close(end)
    answers.end(0)
    waits.end(0)
    assert stays.process.poll() is None


@pytest.mark.parametrize("before", [True, False], ids=["waited before", "came while it watched"])
def test_of_two_sends_neither_drives_the_other_out_for_good(line, tree, before):
    """One is under way when its receiver is killed, the other waits for its turn."""
    world, proxy, ann, bob = line
    source, target = tree
    proxy.change = stop_after(60_000_000, calls_only=True)

    def send(what, **options):
        return world.start(ann, "send", "bob", source / what, resume=RESUME, wait=RESUME, **options)

    def receive():
        return world.start(bob, "receive", "ann", "-d", target, "--keep", resume=RESUME, wait=0)

    dies = receive()
    seeks = send("b", env=world.hurried)
    until(lambda: noted(bob), "it is under way")
    waits = send("a") if before else None
    if waits:
        waits.says("waiting for bob")
    dialled = seekers(proxy)
    dies.process.send_signal(signal.SIGKILL)
    dies.process.wait()
    seeks.says("reconnecting")
    if waits:
        until(lambda: any(one.count[UP] > ASKED for one in dialled), "it has waited for long")
        assert waits.process.poll() is None, waits.said()
    else:
        until(lambda: any(one.count[UP] >= ASKED for one in dialled), "it watches")
        lines = len(dialled)
        waits = send("a")
        until(lambda: len(dialled) >= lines + 2, "it was driven out, and seeks on")
    receive()
    waits.end(0)
    seeks.end(0)
    assert "has begun anew; going on with what is there already" in seeks.said()
    for name in "ab":
        assert (target / name).read_bytes() == (source / name).read_bytes()
