"""A call outlives its connections: lines that are cut, fall silent or garble, and servers that die. PROTOCOL.md 6.5"""

import contextlib
import hashlib
import json
import os
import random
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from agents import came_of, waiting
from live import World, free_port, until
from proxy import ANSWER_SIZE, DOWN, MESSAGE_SIZE, PROLOGUE_SIZE, Cutter, Proxy

RESUME = 60
HEARD = 3 * MESSAGE_SIZE  # verdict, WAITING and JOINED


def cut(proxy, owner=None):
    """All lines that stand, or those of one end."""
    for one in list(proxy.lines):
        if owner in (None, one.owner):
            one.end()
    proxy.reset()


def pipes(world, one, other, there, back, **options):
    options.setdefault("resume", RESUME)
    return (world.start(one, "pipe", other.name, stdin=there, **options),
            world.start(other, "pipe", one.name, stdin=back, **options))


@pytest.mark.parametrize("times, size", [(1, 100_000), (40, 400_000), (25, 9_000)])
def test_a_pipe_loses_nothing_however_often_its_line_is_cut(line, times, size):
    world, proxy, ann, bob = line
    there, back = random.Random(1).randbytes(10_000_000), random.Random(2).randbytes(10_000_000)
    proxy.change = Cutter(times, size, times)
    ends = pipes(world, ann, bob, there, back)
    for end, wanted in zip(ends, (back, there), strict=True):
        end.end(0)
        assert hashlib.sha256(end.got()).digest() == hashlib.sha256(wanted).digest()
        assert "is lost; reconnecting" in end.said() and "nothing is lost" in end.said()
    assert proxy.change.left == 0


def test_files_in_a_talk_go_on_when_its_line_is_cut(line, tmp_path):
    world, proxy, ann, bob = line
    content = random.Random(5).randbytes(10_000_000)
    (tmp_path / "big").write_bytes(content)
    (tmp_path / "target").mkdir()
    said = f"before\n/send {tmp_path}/big\nafter\n".encode()
    proxy.change = Cutter(5, 1_000_000, 5)
    one = world.start(ann, "talk", "bob", "--commands", stdin=said, resume=RESUME)
    other = world.start(bob, "talk", "ann", "--yes", "-d", tmp_path / "target", resume=RESUME)
    one.end(0)
    other.end(0)
    assert (tmp_path / "target" / "big").read_bytes() == content
    assert [line.split(": ")[1] for line in other.got().decode().splitlines()] == ["before", "after"]
    assert "nothing is lost" in one.said() and proxy.change.left == 0


def test_a_record_that_was_changed_on_the_way_costs_a_line_and_nothing_else(line):
    world, proxy, ann, bob = line
    there = random.Random(3).randbytes(3_000_000)
    flipped = []

    def change(one, way, data):
        if len(one.passed[way]) > 500_000 and not flipped:
            flipped.append(one)
            return bytes([data[0] ^ 1]) + data[1:]
        return data

    proxy.change = change
    sends, takes = pipes(world, ann, bob, there, b"")
    sends.end(0)
    takes.end(0)
    assert takes.got() == there and flipped


@pytest.mark.parametrize("idle", [False, True], ids=["with data under way", "idle"])
def test_a_line_that_falls_silent_is_told_of_and_replaced(line, idle):
    world, proxy, ann, bob = line
    silent = set()
    proxy.change = lambda one, way, data: b"" if one in silent else data
    reader, writer = os.pipe()
    sends = world.start(ann, "pipe", bob.name, stdin=reader, resume=RESUME)
    takes = world.start(bob, "pipe", ann.name, resume=RESUME)
    os.close(reader)
    os.write(writer, b"before\n")
    until(lambda: takes.got() == b"before\n", "the call is open")
    silent.update(proxy.lines)
    if not idle:
        os.write(writer, b"behind\n")
        sends.says("nothing is heard of bob")
    sends.says("nothing is lost")
    takes.says("nothing is lost")
    os.write(writer, b"after\n")
    os.close(writer)
    sends.end(0)
    takes.end(0)
    assert takes.got() == b"before\n" + (b"" if idle else b"behind\n") + b"after\n"


@pytest.mark.parametrize("front", [False, True], ids=["alone", "behind another that still listens"])
def test_a_server_that_dies_and_comes_back(tmp_path, front):
    world = World(tmp_path).serve()
    proxy = Proxy(world.port)
    try:
        ann, bob = world.pair()
        if front:
            ann, bob = proxy.before(ann), proxy.before(bob)
        there = random.Random(4).randbytes(20_000_000)
        reader, writer = os.pipe()
        sends = world.start(ann, "pipe", bob.name, stdin=reader, resume=RESUME)
        takes = world.start(bob, "pipe", ann.name, resume=RESUME)
        os.close(reader)
        half = len(there) // 2
        with open(writer, "wb", buffering=0) as to:
            feed = threading.Thread(target=lambda: [to.write(there[at : at + 65536])
                                                    for at in range(0, half, 65536)])
            feed.start()
            until(lambda: len(takes.got()) > 100_000, "the call is open")
            world.server.stop()
            sends.says("reconnecting")
            world.serve()
            feed.join()
            rest = -(-half // 65536) * 65536
            to.write(there[rest:])
        sends.end(0)
        takes.end(0)
        assert takes.got() == there
    finally:
        world.close()
        proxy.close()


def test_who_does_not_come_back_is_waited_for_no_longer_than_was_said(line):
    world, proxy, ann, bob = line
    reader, writer = os.pipe()
    stays = world.start(ann, "pipe", bob.name, stdin=reader, resume=2)
    goes = world.start(bob, "pipe", ann.name, resume=2)
    os.close(reader)
    os.write(writer, b"word")
    until(lambda: goes.got() == b"word", "the call is open")
    goes.stop()
    stays.end(5)
    os.close(writer)
    assert "reconnecting" in stays.said() and "interrupted" in stays.said()


def killed_pipe(world, ann, bob, resume):
    """Both have sent something, and bob is killed with more under way."""
    reader, writer = os.pipe()
    stays = world.start(ann, "pipe", bob.name, stdin=reader, resume=resume)
    goes = world.start(bob, "pipe", ann.name, stdin=-1, resume=resume)
    os.close(reader)
    os.write(writer, b"there")
    goes.stdin.write(b"back")
    goes.stdin.flush()
    until(lambda: goes.got() == b"there" and stays.got() == b"back", "the call is open")
    goes.signal(signal.SIGSTOP)
    os.write(writer, b"never written")
    goes.stop()
    return stays, goes, writer


def test_a_pipe_whose_partner_was_killed_says_how_far_it_came(line):
    world, _, ann, bob = line
    stays, goes, writer = killed_pipe(world, ann, bob, 2)
    stays.end(5)
    os.close(writer)
    assert goes.got() == b"there" and stays.got() == b"back"
    assert "the call with bob was interrupted" in stays.said()
    assert "does not go on where it was; written here, and valid, are the first 4 octets" in stays.said()
    assert "bob has confirmed the first" in stays.said() and "of 18" in stays.said()


def test_a_pipe_that_is_begun_anew_is_another(line):
    world, _, ann, bob = line
    stays, _, writer = killed_pipe(world, ann, bob, 4)
    stays.says("reconnecting")
    anew = world.start(bob, "pipe", ann.name, stdin=b"anew", resume=RESUME)
    stays.end(5)
    os.close(writer)
    assert "the first 4 octets" in stays.said() and stays.got() == b"back"
    again = world.start(ann, "pipe", bob.name, stdin=b"", resume=RESUME)
    again.end(0)
    anew.end(0)
    assert again.got() == b"anew" and anew.got() == b""


def test_a_line_that_stays_lost_is_told_of_again(line):
    """For how long, and what it is waited for: first the partner, then the server too."""
    world, _, ann, bob = line
    stays, _, writer = killed_pipe(world, ann, bob, 15)
    stays.says(" seconds ago; waiting for bob")
    world.server.stop()
    stays.says(" seconds ago; reconnecting (")
    stays.end(5)
    os.close(writer)


@pytest.mark.parametrize("who", ["serve", "caller"])
@pytest.mark.parametrize("command", ["connect", "forward"])
def test_a_tunnel_whose_partner_was_killed_is_over(line, who, command):
    """And is had again by calling again; `serve` serves on."""
    world, _, ann, bob = line

    def call():
        words = {"connect": (f"127.0.0.1:{port}",), "forward": ("-L", f"{near}:127.0.0.1:{port}")}[command]
        joined = world.start(ann, command, bob.name, *words, stdin=-1, stdout=-1, resume=2)
        if command == "forward":
            joined.says("listening")
            ends.append(socket.create_connection(("127.0.0.1", near)))
        far, _ = listener.accept()
        ends.append(far)
        return joined

    def serve():
        serves = world.start(bob, "serve", ann.name, "--allow", f"127.0.0.1:{port}", resume=2)
        serves.says("waiting")
        return serves

    ends, near = [], free_port()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        serves = serve()
        joined = call()
        (serves if who == "serve" else joined).stop()
        ends[-1].settimeout(60)
        if who == "caller":
            with pytest.raises(ConnectionResetError):  # it does not look as if it had ended
                ends[-1].recv(1)
        if who == "serve":
            joined.end(5)
            assert "the call with bob was interrupted" in joined.said()
            serves = serve()
        else:
            serves.says("the call with ann was interrupted")
        joined = call()
        for end in ends:
            end.close()
        joined.stop()


def without_finish(owner):
    """Nothing from the partner's first record on comes to this end: it has said Finish then, and not heard one."""

    def change(line, way, data):
        if line.owner != owner or way != DOWN:
            return data
        return data[: max(0, HEARD + PROLOGUE_SIZE + ANSWER_SIZE - len(line.passed[DOWN]))]

    return change


def test_who_has_missed_that_the_call_is_open_comes_to_it(line):
    world, proxy, ann, bob = line
    misses = world.start(bob, "pipe", ann.name, stdin=b"back", resume=RESUME)
    misses.says("waiting for ann")
    proxy.change = without_finish("bob")
    opened = world.start(ann, "pipe", bob.name, stdin=b"there", resume=RESUME)
    opened.says("connected with bob")
    assert "connected" not in misses.said()
    proxy.change = None
    cut(proxy)
    opened.end(0)
    misses.end(0)
    assert (opened.got(), misses.got()) == (b"back", b"there")
    assert "nothing is lost" in opened.said() and "connected with ann" in misses.said()


def test_an_agent_that_has_missed_it_comes_to_it_too(line):
    world, proxy, ann, bob = line
    waiting(world, bob, "[ann]\npipe = cat\n")
    proxy.change = without_finish("bob")
    opened = world.start(ann, "pipe", bob.name, stdin=b"there and back", resume=RESUME)
    opened.says("connected with bob")
    proxy.change = None
    cut(proxy)
    opened.end(0)
    assert opened.got() == b"there and back" and "nothing is lost" in opened.said()
    came_of(bob, "pipe", "done")
    (bob.home / "agent.conf").unlink()


@pytest.mark.parametrize("verb, why", [
    ("suspend", "the operator has suspended you"),
    ("revoke", "the operator has revoked your fingerprint"),
])
def test_who_is_not_admitted_any_more_is_told_why(tmp_path, verb, why):
    world = World(tmp_path).serve()
    try:
        ann, bob = world.pair()
        reader, writer = os.pipe()
        refused = world.start(ann, "pipe", bob.name, stdin=reader, resume=RESUME)
        partner = world.start(bob, "pipe", ann.name, resume=2)
        os.close(reader)
        os.write(writer, b"word")
        until(lambda: partner.got() == b"word", "the call is open")
        world.ctl.ok(verb, "ann")
        refused.end(5)
        partner.end(5)
        os.close(writer)
        assert f"the call with bob cannot go on: {why}" in refused.said()
        assert "the call with ann was interrupted before its end" in partner.said()
    finally:
        world.close()


def takes_signals(pid):
    """It does what is to be done when one comes."""
    return any(one.is_symlink() and os.readlink(one) == "anon_inode:[signalfd]" for one in (Path("/proc") / str(pid) / "fd").iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("there, back", [("pipe", "pipe"), ("talk", "talk"), ("send", "receive")])
@pytest.mark.parametrize("who", [0, 1])
def test_the_partner_of_who_gives_up_is_told_at_once(line, tmp_path, there, back, who, number):
    world, proxy, ann, bob = line
    words = ["-"] if there == "send" else []
    readers, writers = zip(os.pipe(), os.pipe(), strict=True)
    ends = (world.start(ann, there, "bob", *words, stdin=readers[0], resume=RESUME),
            world.start(bob, back, "ann", *(("-d", tmp_path) if back == "receive" else ()), stdin=readers[1],
                        resume=RESUME))
    for end, other in zip(ends, ("bob", "ann"), strict=True):
        end.says(f"connected with {other}")
        until(lambda at=end.process.pid: takes_signals(at), "it has something to end")
    ends[who].signal(number)
    ends[who].end(128 + number)
    ends[1 - who].end(5)
    assert "reconnecting" not in ends[1 - who].said()
    for descriptor in readers + writers:
        os.close(descriptor)
    assert not [one for one in tmp_path.iterdir() if not one.name.startswith(".")]


def test_two_calls_of_a_pair_do_not_cross(line):
    world, proxy, ann, bob = line
    writers, calls = [], []
    for number in range(2):
        reader, writer = os.pipe()
        calls.append((world.start(ann, "pipe", bob.name, stdin=reader, resume=RESUME),
                      world.start(bob, "pipe", ann.name, resume=RESUME)))
        os.close(reader)
        os.write(writer, b"call %d\n" % number)
        until(lambda: calls[-1][1].got() == b"call %d\n" % number, "that is open")
        writers.append(writer)
    cut(proxy)
    for number, (writer, (sends, takes)) in enumerate(zip(writers, calls, strict=True)):
        os.write(writer, b"still call %d\n" % number)
        os.close(writer)
        sends.end(0)
        takes.end(0)
        assert takes.got() == b"call %d\nstill call %d\n" % (number, number)


def test_talk_goes_on_with_what_was_said_meanwhile(line):
    world, proxy, ann, bob = line
    ends = [os.pipe() for _ in range(2)]
    one = world.start(ann, "talk", bob.name, stdin=ends[0][0], resume=RESUME)
    other = world.start(bob, "talk", ann.name, stdin=ends[1][0], resume=RESUME)
    os.write(ends[0][1], b"hello\n")
    until(lambda: b"hello" in other.got(), "they talk")
    cut(proxy)
    os.write(ends[0][1], b"are you there\n")
    os.write(ends[1][1], b"yes\n")
    until(lambda: b"are you there" in other.got() and b"yes" in one.got(), "they talk again")
    for reader, writer in ends:
        os.close(reader)
        os.close(writer)
    one.end(0)
    other.end(0)


def test_files_go_on_in_the_same_call(line, tmp_path):
    world, proxy, ann, bob = line
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    dice = random.Random(5)
    for number in range(40):
        (source / f"file {number}").write_bytes(dice.randbytes(dice.choice([0, 10, 5000, 600_000])))
    proxy.change = Cutter(12, 300_000, 6)
    sends = world.start(ann, "send", bob.name, source, resume=RESUME)
    takes = world.start(bob, "receive", ann.name, "-d", target, resume=RESUME)
    sends.end(0)
    takes.end(0)
    assert proxy.change.left == 0
    for one in source.iterdir():
        assert (target / "source" / one.name).read_bytes() == one.read_bytes()


def test_a_connection_through_a_tunnel_outlives_the_line(line):
    world, proxy, ann, bob = line
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        serves = world.start(bob, "serve", ann.name, "--allow", f"127.0.0.1:{port}", resume=RESUME)
        serves.says("waiting")
        joined = world.start(ann, "connect", bob.name, f"127.0.0.1:{port}", stdin=-1, stdout=-1, resume=RESUME)
        far, _ = listener.accept()
        with far:
            for number in range(5):
                joined.stdin.write(b"there %d\n" % number)
                joined.stdin.flush()
                assert far.makefile("rb").readline() == b"there %d\n" % number
                far.sendall(b"back %d\n" % number)
                assert joined.stdout.readline() == b"back %d\n" % number
                cut(proxy, ("ann", "bob", None)[number % 3])
        joined.stdin.close()
        joined.end(0)


def test_events_tell_of_it(line):
    world, proxy, ann, bob = line
    reader, writer = os.pipe()
    told, tells = os.pipe()
    sends = world.start(ann, "pipe", bob.name, "--events", tells, stdin=reader, resume=RESUME, pass_fds=[tells])
    takes = world.start(bob, "pipe", ann.name, resume=RESUME)
    os.close(reader)
    os.close(tells)
    os.write(writer, b"word")
    until(lambda: takes.got() == b"word", "the call is open")
    cut(proxy)
    sends.says("nothing is lost")
    os.close(writer)
    sends.end(0)
    takes.end(0)
    with open(told, encoding="utf-8") as lines, contextlib.suppress(ValueError):
        names = [json.loads(one)["event"] for one in lines]
    at = names.index("lost")
    assert names[at : at + 2] == ["lost", "resumed"] and names[-1] == "done"


@pytest.mark.parametrize("option", ["--wait", "--resume-for"])
@pytest.mark.parametrize("text", ["soon", "", "-1", "0x10", "1e3", "1.2.3", "inf", "nan", "1 ", "4294967295"])
def test_how_long_is_a_number(line, option, text):
    world, _, ann, _ = line
    said = ann.bad(2, "pipe", "bob", option, text)
    assert f"{option} wants a number of seconds, at most 1000000000" in said


def test_while_the_line_is_lost_input_is_taken_as_far_as_there_is_room(tmp_path):
    world = World(tmp_path).serve()
    try:
        ann, bob = world.pair()
        reader, writer = os.pipe()
        sends = world.start(ann, "pipe", bob.name, stdin=reader, resume=RESUME)
        takes = world.start(bob, "pipe", ann.name, resume=RESUME)
        os.close(reader)
        os.set_blocking(writer, False)
        taken, refused = 0, 0

        def feed():
            nonlocal taken, refused
            try:
                taken += os.write(writer, bytes(range(256)) * 256)
                refused = 0
            except BlockingIOError:
                refused += 1
            return refused

        until(lambda: feed() is not None and len(takes.got()) > 0, "the call is open")
        world.server.stop()
        sends.says("reconnecting")
        until(lambda: feed() > 300, "it takes no more")
        held = taken - len(takes.got())
        assert 0 < held <= 17 * 2**20  # of a stream, and what the pipe to it holds
        world.serve()
        until(lambda: feed() == 0, "it takes some again")
        os.close(writer)
        sends.end(0)
        takes.end(0)
        assert takes.got() == (bytes(range(256)) * (taken // 256 + 1))[:taken]
    finally:
        world.close()


def processor_ms(pid):
    """That a process has used."""
    fields = open(f"/proc/{pid}/stat", encoding="ascii").read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 // os.sysconf("SC_CLK_TCK")


def test_who_waits_for_the_partner_to_come_back_does_nothing_meanwhile(line):
    """Not even with a PING that the line took with it, nor when contacts would be looked at."""
    world, proxy, ann, bob = line
    silent = set()
    proxy.change = lambda one, way, data: b"" if one in silent else data
    reader, writer = os.pipe()
    stays = world.start(ann, "pipe", bob.name, stdin=reader, resume=RESUME)
    goes = world.start(bob, "pipe", ann.name, resume=RESUME)
    os.close(reader)
    os.write(writer, b"before\n")
    until(lambda: goes.got() == b"before\n", "the call is open")
    silent.update(proxy.lines)
    os.write(writer, b"behind\n")
    stays.says("nothing is heard of bob")
    goes.stop()
    cut(proxy)
    stays.says("reconnecting")
    used, since = processor_ms(stays.process.pid), time.monotonic()
    until(lambda: time.monotonic() > since + 13, "it has waited for long enough")
    assert processor_ms(stays.process.pid) - used < 500
    os.close(writer)
