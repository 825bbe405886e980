"""A new identity reaches contacts inside calls, of all services, whatever happens on the way."""

import json
import signal
import socket

import pytest

from live import free_port, piped, until

FOR_NEXT = "have new cards, for the next call"
IN_USE = "use new cards from now on"


@pytest.fixture
def two(shared):
    """Two who know and have verified each other, as nobody else does."""
    number = 0
    while (shared.tmp / f"home-ann{number}").exists():
        number += 1
    yield shared.pair(f"ann{number}", f"bob{number}")
    shared.clear()


def identity(person):
    return (person.home / "identity").read_bytes()


def moved(one, other):
    """Both have only new cards, equal and verified; whoever changed has only the new identity."""
    for person, partner in ((one, other), (other, one)):
        assert not (person.home / "identity.next").exists()
        assert person.state(partner.name) == "verified"
        assert json.loads(person.ok("contact", "show", partner.name, "--json").stdout)["moving"] == ""
    assert one.safety(other.name) == other.safety(one.name)


def pipe_both(world, one, other):
    """What the two said."""
    first = world.start(one, "pipe", other.name, stdin=b"there")
    second = world.start(other, "pipe", one.name, stdin=b"back")
    first.end(0)
    second.end(0)
    assert (second.got(), first.got()) == (b"there", b"back")
    return first.said(), second.said()


def test_one_call_hands_over_and_the_next_uses_the_new_cards(shared, two):
    ann, bob = two
    before, number = identity(ann), ann.safety(bob.name)
    ann.ok("rotate")
    assert all(FOR_NEXT in said for said in pipe_both(shared, ann, bob))
    assert identity(ann) == before and (ann.home / "identity.next").exists()
    assert all(IN_USE in said for said in pipe_both(shared, ann, bob))
    moved(ann, bob)
    assert identity(ann) != before and ann.safety(bob.name) != number
    assert all("new cards" not in said for said in pipe_both(shared, ann, bob))


def test_both_change_at_once(shared, two):
    ann, bob = two
    before = identity(ann), identity(bob)
    ann.ok("rotate", "--rsa", "2048")
    bob.ok("rotate")
    pipe_both(shared, ann, bob)
    pipe_both(shared, ann, bob)
    moved(ann, bob)
    assert identity(ann) != before[0] and identity(bob) != before[1]
    assert bob.shown(ann.name, "identity") == "RSA-2048 and ML-KEM-768"


def talk(world, one, other):
    ends = [world.start(a, "talk", b.name, stdin=b"hello\n") for a, b in ((one, other), (other, one))]
    for end in ends:
        end.end(0)


def send(world, one, other):
    (world.tmp / "sent").write_text("a file")
    into = world.tmp / f"into-{one.name}-{len(list(world.tmp.iterdir()))}"
    into.mkdir()
    ends = world.start(other, "receive", one.name, "-d", into), world.start(one, "send", other.name, world.tmp / "sent")
    for end in ends:
        end.end(0)
    assert (into / "sent").read_text() == "a file"


def forward(world, one, other):
    with socket.create_server(("127.0.0.1", 0)) as there:
        target = f"127.0.0.1:{there.getsockname()[1]}"
        port = free_port()
        serving = world.start(other, "serve", one.name, "--allow", target)
        forwarding = world.start(one, "forward", other.name, "-L", f"{port}:{target}")
        forwarding.says("listening")
        with socket.create_connection(("127.0.0.1", port)) as near:
            far, _ = there.accept()
            near.sendall(b"x")
            assert far.recv(1) == b"x"
            far.close()
        forwarding.signal(signal.SIGTERM)
        forwarding.end()
        serving.stop()


@pytest.mark.parametrize("call", [talk, send, forward])
def test_calls_of_every_service_do(shared, two, call):
    ann, bob = two
    ann.ok("rotate")
    call(shared, ann, bob)
    assert json.loads(bob.ok("contact", "show", ann.name, "--json").stdout)["moving"] == "next-call"
    call(shared, ann, bob)
    moved(ann, bob)


def test_who_is_away_for_long_moves_when_she_comes(shared, two):
    ann, bob = two
    carol = shared.person(f"carol-of-{ann.name}")
    carol.accept(ann.name, ann.offer(carol.name))
    ann.accept(carol.name, carol.offer(ann.name))
    ann.ok("contact", "verify", carol.name, "--yes")
    carol.ok("contact", "verify", ann.name, "--yes")
    before = identity(ann)
    ann.ok("rotate")
    for _ in range(3):
        pipe_both(shared, ann, bob)
    assert identity(ann) == before
    assert [line.split()[0] for line in ann.ok("rotate", "--status").stdout.splitlines()] == [carol.name]
    for _ in range(2):
        piped(shared, carol, ann)
    moved(ann, carol)
    moved(ann, bob)
    assert identity(ann) != before


def test_who_waits_since_before_is_still_met(shared, two):
    ann, bob = two
    waiting = shared.start(bob, "pipe", ann.name, "--answer", wait=0, stdin=b"I waited")
    waiting.says("waiting")
    ann.ok("rotate")
    for _ in range(2):
        talk(shared, ann, bob)
    assert not (ann.home / "identity.next").exists()
    calling = shared.start(ann, "pipe", bob.name, wait=60, stdin=b"I came")
    calling.end(0)
    waiting.end(0)
    assert (calling.got(), waiting.got()) == (b"I waited", b"I came")


@pytest.mark.parametrize("watched", [0, 1])
def test_killed_as_soon_as_a_file_has_changed(shared, two, watched):
    """At each step, of one end or the other: they find each other, and it goes on."""
    ann, bob = two
    ann.ok("rotate")
    path = two[watched].home / "contacts" / two[1 - watched].name
    for _ in range(8):
        if not (ann.home / "identity.next").exists():
            break
        before = path.stat().st_mtime_ns
        ends = [shared.start(a, "pipe", b.name, stdin=b"") for a, b in ((ann, bob), (bob, ann))]
        until(lambda: path.stat().st_mtime_ns != before or all(end.process.poll() is not None for end in ends), "a step")
        for end in ends:
            end.stop()
    for _ in range(3):
        pipe_both(shared, ann, bob)
    moved(ann, bob)


def test_a_partner_put_back_from_a_backup_is_met_and_moves_again(shared, two):
    ann, bob = two
    ann.ok("rotate")
    path = bob.home / "contacts" / ann.name
    old = path.read_bytes()
    pipe_both(shared, ann, bob)
    assert path.read_bytes() != old
    path.write_bytes(old)
    for _ in range(3):
        pipe_both(shared, ann, bob)
    moved(ann, bob)
