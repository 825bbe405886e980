"""Bad lines: cut within any message, garbled, silent in one direction, in pieces of a few octets, slow and long."""

import random
import signal
import subprocess

import pytest

from ctl_helper import BUILD
from live import free_port, until
from proxy import ANSWER_SIZE, ASKED, CALLED, DOWN, PROLOGUE_SIZE, UP, Cutter
from talks import RESUME, Pipe

# Octets of one direction, after which something happens: within and between HELLO, REGISTER, READY, prologue, answer, Finish,
# and VERDICT, WAITING, JOINED.
PLACES = [1, 1023, 1024, 1025, 2047, 2048, 3072, 3075, 5000, 7170, 7171, 8449, 8450, 8451, 8706]


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


class Every:
    """The next line of ann's, when there is to be one, has something happen to it, once it has carried so many octets of one
    direction."""

    def __init__(self, way, places, happens):
        self.way, self.places, self.happens = way, list(places), happens
        self.place_of = {}
        self.next = False

    def __call__(self, line, way, data):
        if line.owner != "ann" or way != self.way:
            return data
        if line not in self.place_of:
            self.place_of[line] = self.places.pop(0) if self.next else None
            self.next = False
        place = self.place_of[line]
        if place is None or line.count[way] + len(data) < place:
            return data
        self.place_of[line] = 0
        return self.happens(data, place - line.count[way] - 1) if place else data


def cut_now(proxy):
    for one in list(proxy.lines):
        one.reset()


def through_all(line, way, happens):
    """A word gets through behind each of them."""
    world, proxy, ann, bob = line
    proxy.change = every = Every(way, PLACES, happens)
    pipe = Pipe(world, ann, bob)
    while every.places:
        every.next = True
        cut_now(proxy)
        until(lambda: not every.next, "it has dialled again")
        pipe.word()
    pipe.close()


@pytest.mark.parametrize("way", [UP, DOWN])
def test_a_call_goes_on_whichever_message_the_next_line_is_cut_in(line, way):
    through_all(line, way, lambda data, at: None)


@pytest.mark.parametrize("way", [UP, DOWN])
def test_a_call_goes_on_whichever_message_the_next_line_garbles(line, way):
    through_all(line, way, lambda data, at: data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])


def test_a_call_comes_about_and_goes_on_in_pieces_of_a_few_octets(line):
    world, proxy, ann, bob = line
    proxy.slices = random.Random(1)
    pipe = Pipe(world, ann, bob)
    pipe.write(0, noise(100_000))
    pipe.write(1, noise(100_000, 2))
    pipe.arrives()
    assert pipe.lost() == [0, 0]
    cut_now(proxy)
    pipe.says("nothing is lost")
    pipe.word()
    pipe.close()


@pytest.mark.parametrize("way", [UP, DOWN])
def test_a_line_that_is_silent_in_one_direction_is_replaced(line, way):
    world, proxy, ann, bob = line
    pipe = Pipe(world, ann, bob)
    for one in proxy.of("ann"):
        one.silent = {way}
    for who in (0, 1):
        pipe.write(who, b"behind\n")
    pipe.arrives()
    assert all(pipe.lost())
    pipe.close()


def test_the_partner_of_a_machine_that_vanished_is_told_at_once_and_waits_no_longer_than_was_said(line):
    """Nothing ends its line: neither its system nor the server knows."""
    world, proxy, ann, bob = line
    pipe = Pipe(world, ann, bob, resume=3)
    for one in proxy.of("ann"):
        one.silent = {UP, DOWN}
    pipe.ann.stop()
    pipe.write(1, b"are you there\n")
    pipe.bob.says("nothing is heard of ann")
    pipe.bob.says("reconnecting")
    pipe.bob.end(5)


def test_a_slow_and_long_line_that_is_cut(line):
    """One Mbit a second, 60 ms each way, and what is under way is lost."""
    world, proxy, ann, bob = line
    port = free_port()
    slow = world.run_program([BUILD / "tests/support/slow_line", port, world.port, 125_000, 60_000],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert slow.stdout.readline() == b"ready\n"
    proxy.target = port
    try:
        pipe = Pipe(world, ann, bob)
        proxy.change = Cutter(4, 40_000, 1)
        pipe.write(0, noise(200_000))
        pipe.word()
        until(lambda: pipe.word(noise(CALLED)) or proxy.change.left == 0, "it has been cut so often")
        pipe.word(noise(2 * CALLED))
        assert all(pipe.lost())
        pipe.close()
    finally:
        proxy.target = world.port


@pytest.mark.parametrize("owner", ["ann", "bob"])
def test_a_line_that_is_reset_right_behind_any_of_the_last_messages(line, owner):
    """What was said before is read, and what is said to it is lost. An end whose partner knew enough to go ends well, too, but has
    no way to know before its time is over."""
    world, proxy, ann, bob = line
    for last in range(1, 9):
        pipe = Pipe(world, ann, bob, resume=25)
        passed = []

        def change(one, way, data, at=last, passed=passed):
            if one.owner != owner or way != DOWN:
                return data
            passed.append(one)
            if len(passed) != at:
                return data
            proxy.forward(one, way, data)
            return None

        proxy.change = change
        pipe.close()
        proxy.change = None


BEFORE_FINISH = 3 * 1024 + 2 + 4096 + 1280  # VERDICT, WAITING, JOINED, prologue and answer, of who comes first


@pytest.mark.parametrize("first", [0, 1], ids=["ann", "bob"])
def test_a_line_that_is_lost_when_only_one_has_seen_the_handshake_end(line, first):
    """The other one does not have the call, and calls anew; nobody waits where the other never comes."""
    world, proxy, ann, bob = line
    people = [ann, bob][first:] + [ann, bob][:first]
    held = []

    def change(one, way, data):
        if one.owner != people[0].name or way != DOWN or (held and held != [one]):
            return data
        room = max(0, BEFORE_FINISH - one.count[way])
        if len(data) > room:
            held[:] = [one]
        return data[:room]

    proxy.change = change
    ends = [world.start(people[0], "pipe", people[1].name, stdin=b"one", resume=RESUME)]
    ends[0].says("waiting for")
    ends.append(world.start(people[1], "pipe", people[0].name, stdin=b"other", resume=RESUME))
    ends[1].says("connected with")
    until(lambda: held, "the end of the handshake is held back")
    assert "connected with" not in ends[0].said()
    cut_now(proxy)
    for end, said in zip(ends, (b"other", b"one"), strict=True):
        end.end(0)
        assert end.got() == said


@pytest.mark.parametrize("command", ["serve", "agent"])
def test_a_call_that_fails_with_what_comes_in_one_piece_with_the_end_of_its_handshake(line, command, tmp_path):
    """Streams are there then, and the call has failed already."""
    world, proxy, ann, bob = line
    held = bytearray()

    def change(one, way, data):
        if one.owner != "bob" or way != UP or one.count[way] < ASKED + PROLOGUE_SIZE + ANSWER_SIZE:
            return data
        held.extend(data)
        return bytes(held) + bytes(2) if len(held) > 512 else b""  # Finish, what opens a stream, and no record

    if command == "agent":
        (ann.home / "agent.conf").write_text("[bob]\nallow = 127.0.0.1:9\n")
        answering = world.start(ann, "agent")
        answering.says("waiting for 1 contact")
    else:
        answering = world.start(ann, "serve", "bob", "--allow", "127.0.0.1:9")
        answering.says("waiting for bob")
    proxy.change = change
    assert world.start(bob, "connect", "ann", "127.0.0.1:9").end() != 0
    assert len(held) > 512
    proxy.reset()
    again = world.start(bob, "connect", "ann", "127.0.0.1:9")
    again.end(1)  # nothing listens there, and whoever serves still says so
    answering.signal(signal.SIGTERM)
    answering.end(0)
