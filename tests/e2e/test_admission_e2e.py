"""Admission over a real connection: who may not pass hears nothing, learns nothing, and costs nobody anything."""

import contextlib
import os
import random
import select
import socket
import time

from ctl_helper import armor, unarmor
from lines import OTHER, TAG, Change, Line, counts, forged, invited, pair_of, status
from live import World, until

SIZE = 1024


def connect(world):
    return socket.create_connection(("127.0.0.1", world.port), timeout=10)


def silence(line):
    """The line ends, and not one octet came."""
    try:
        assert line.recv(1) == b""
    except ConnectionResetError:
        pass
    line.close()


def send_and_end(world, octets):
    line = connect(world)
    with contextlib.suppress(OSError):  # it may be closed already
        line.sendall(octets)
        line.shutdown(socket.SHUT_WR)
    return line


def made_hello(world, fingerprint):
    """A good hello that has not been sent."""
    return bytes.fromhex(Line(world, connect=False).ok("make", fingerprint))


def check_silent(world, hellos):
    """None of these is answered, many at once; then a good one is."""
    change = Change(world)
    for at in range(0, len(hellos), 30):
        lines = [send_and_end(world, hello) for hello in hellos[at : at + 30]]
        for line in lines:
            silence(line)
    change.becomes(accepted=len(hellos), bad_hello=len(hellos))


def test_a_hello_of_any_length_but_its_own_gets_no_octet_back(world):
    good = made_hello(world, invited(world))
    check_silent(world, [good[:size] for size in range(SIZE)])


def test_rubbish_of_every_length_gets_no_octet_back(world):
    lengths = [*range(0, SIZE, 17), SIZE - 1, SIZE, SIZE + 1, 2 * SIZE, 5000]
    check_silent(world, [os.urandom(size) for size in lengths] + [bytes(size) for size in lengths])


def test_what_other_protocols_say_gets_no_octet_back(world):
    first = [b"GET / HTTP/1.1\r\n\r\n", b"SSH-2.0-x\r\n", b"\r\n", b"\0"]
    first.append(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    check_silent(world, first + [words.ljust(SIZE, b"\0") for words in first])


def test_a_hello_with_any_bit_flipped_gets_no_octet_back(world):
    good = bytearray(made_hello(world, invited(world)))
    flipped = []
    chosen = random.Random(1).sample(range(8 * SIZE), 400)
    for bit in [0, 31 * 8, 255, 256, 8 * 80 - 1, 8 * 80, 8 * 1008 - 1, 8 * 1008, 8 * SIZE - 1, *chosen]:
        good[bit // 8] ^= 1 << bit % 8
        flipped.append(bytes(good))
        good[bit // 8] ^= 1 << bit % 8
    check_silent(world, flipped)


def test_a_hello_for_another_server_gets_no_octet_back(world, tmp_path):
    other = World(tmp_path / "other")
    check_silent(world, [made_hello(world, invited(other))])


def test_a_hello_signed_by_another_operator_gets_no_octet_back(world, tmp_path):
    """The right server key, which is no secret, but a certificate of one's own making."""
    other = World(tmp_path / "other")
    fingerprint = invited(other)
    body = bytearray(unarmor("FINGERPRINT", fingerprint.read_text()))
    ours = unarmor("FINGERPRINT", invited(world).read_text())
    body[156:188] = ours[156:188]
    fingerprint.write_text(armor("FINGERPRINT", bytes(body)))
    check_silent(world, [made_hello(world, fingerprint)])


def test_a_hello_in_single_octets_is_taken(world):
    fingerprint = invited(world)
    line = Line(world, fingerprint)
    hello = bytes.fromhex(line.ok("make", fingerprint))
    for octet in hello:
        line.send(bytes([octet]))
    assert line.ask("verdict").startswith("admitted ")


def test_register_right_behind_the_hello_is_not_taken_for_a_part_of_it(world):
    """It cannot be sealed before the verdict is known; so what comes there is no message."""
    line = Line(world, invited(world))
    line.hello()
    line.send(bytes(SIZE))
    assert line.ask("verdict").startswith("admitted ")
    line.ended()


def test_a_replayed_hello_wins_nothing_and_costs_its_victim_nothing(world):
    victim = Line(world, invited(world)).wait("input", TAG)
    change = Change(world, waiting=1)
    replayer = connect(world)
    replayer.sendall(victim.sent)
    answer = b""
    while len(answer) < SIZE:
        answer += replayer.recv(SIZE)
    assert change.since() == {"accepted": 1, "pending": 1}  # neither admitted nor waiting
    replayer.sendall(os.urandom(SIZE))
    silence(replayer)
    change.becomes(accepted=1, bad_message=1)
    victim.quiet()
    victim.ok("keepalive")
    victim.expect("keepalive")
    caller = Line(world, invited(world)).admit()
    assert caller.register("output", TAG).startswith("joined ")
    victim.joined("input")


def test_a_recorded_register_is_no_use_behind_a_replayed_hello(world):
    """What the victim said after its hello is sealed with keys that the server will not make again."""
    fingerprint = invited(world)
    victim = Line(world, fingerprint)
    recorded = socket.create_server(("127.0.0.1", 0))
    through = Line(world, fingerprint, connect=False)
    through.ok("connect", "127.0.0.1", recorded.getsockname()[1])
    near, _ = recorded.accept()
    far = connect(world)
    through.hello()
    hello = near.recv(SIZE, socket.MSG_WAITALL)
    far.sendall(hello)
    near.sendall(far.recv(SIZE, socket.MSG_WAITALL))
    assert through.ask("verdict").startswith("admitted ")
    through.ok("register", "input", OTHER)
    register = near.recv(SIZE, socket.MSG_WAITALL)
    far.close()
    victim.stop()
    change = Change(world)
    again = connect(world)
    again.sendall(hello + register)
    assert len(again.recv(SIZE, socket.MSG_WAITALL)) == SIZE
    silence(again)
    change.becomes(accepted=1, bad_message=1)
    recorded.close()


def test_a_hundred_replays_leave_no_trace(world):
    victim = Line(world, invited(world)).wait("input", TAG)
    change = Change(world, waiting=1)
    for _ in range(4):
        lines = [connect(world) for _ in range(25)]
        for line in lines:
            line.sendall(victim.sent)
        for line in lines:
            assert len(line.recv(SIZE, socket.MSG_WAITALL)) == SIZE
            line.close()
    change.becomes(accepted=100, lost=100)
    assert victim.is_open()


def verdict_of(world, fingerprint, stays=False):
    """It goes once it has been told, or stays until the server has had enough of it."""
    line = Line(world, fingerprint).hello()
    said = line.ask("verdict")
    if not stays:
        line.ok("shutdown")
    line.ended()
    return said


def test_an_expired_holder_is_told_in_the_verdict(world):
    change = Change(world)
    assert verdict_of(world, forged(world, -100, -1), stays=True) == "expired"
    change.becomes(accepted=1, refused_expired=1)


def test_a_holder_too_early_is_told_in_the_verdict(world):
    change = Change(world)
    assert verdict_of(world, forged(world, 1000, 2000)) == "not_yet_valid"
    change.becomes(accepted=1, refused_not_yet_valid=1)


def test_a_revoked_holder_is_told_in_the_verdict(world):
    fingerprint = invited(world, "evil")
    world.ctl.ok("revoke", "evil")
    change = Change(world)
    assert verdict_of(world, fingerprint) == "revoked"
    change.becomes(accepted=1, refused_revoked=1)


def test_a_suspended_holder_is_told_and_comes_back_when_it_is_over(world):
    fingerprint = invited(world, "idle")
    world.ctl.ok("suspend", "idle")
    assert verdict_of(world, fingerprint) == "suspended"
    world.ctl.ok("unsuspend", "idle")
    Line(world, fingerprint).admit()


def test_register_that_never_comes_ends_the_line_in_time(own):
    own.serve("[admission]\nhello_timeout = 7\n")
    fingerprint, begun = invited(own), time.monotonic()
    line = Line(own, fingerprint).admit()
    line.ended(60000)
    assert time.monotonic() - begun > 6  # more than if nothing is set
    counts(own, hello_timeout=1, pending=0, admitted=0)


def test_a_hello_that_never_ends_ends_in_time(own):
    own.serve("[admission]\nhello_timeout = 7\n")
    begun = time.monotonic()
    line = connect(own)
    while True:  # one octet now and then does not prolong it
        try:
            line.sendall(b"x")
        except OSError:
            break
        if select.select([line], [], [], 0.2)[0]:
            break
    assert time.monotonic() - begun > 6  # more than if nothing is set
    silence(line)
    counts(own, hello_timeout=1, pending=0)


def test_a_bad_hello_of_any_length_ends_like_one_that_never_ends(own):
    """No reset, no end of its own, for rubbish shorter than a hello, as long, or longer."""
    own.serve("[admission]\nhello_timeout = 1\n")
    lines = [connect(own) for _ in range(5)]
    for line, size in zip(lines, (1, SIZE - 1, SIZE, SIZE + 1, 20 * SIZE), strict=True):
        line.sendall(os.urandom(size))
    counts(own, pending=5, bad_hello=3)
    for line in lines:
        assert line.recv(1) == b""
    counts(own, pending=0, bad_hello=3, hello_timeout=2)


def test_a_certificate_that_ends_while_waiting_ends_the_line(own):
    own.serve()
    line = Line(own, forged(own, -10, 2)).wait()
    line.expect("refused expired")
    line.ended()
    counts(own, refused_expired=1, waiting=0)


def test_a_certificate_that_ends_during_a_call_does_not_end_it(own):
    own.serve()
    one, other = pair_of(own, fingerprints=(forged(own, -10, 12), forged(own, -10, 12)))
    for line in (one, other):
        line.ready()
    for line in (one, other):
        line.recv(102)
    until(lambda: verdict_of(own, one.fingerprint) == "expired", "the certificate has ended")
    one.send(b"still there")
    other.gets(b"still there")


def test_a_certificate_without_an_end_does_not_end_at_once(own):
    """Times as far away as 64 bits allow are no reason to compute nonsense."""
    own.serve()
    ends = (2**64 // 1000 + 1, 2**64 // 1000 + 2, 2**63 // 1000, 2**64 - 2 - int(time.time()))
    lines = [Line(own, forged(own, -10, end)).wait() for end in ends]
    for line in lines:
        line.tell("expect", 1500)
    assert [line.answer() for line in lines] == ["nothing"] * len(ends)


def test_status_counts_no_scanner_as_a_subscriber(world):
    before = status(world)["subscribers"]
    for line in [connect(world) for _ in range(20)]:
        line.sendall(os.urandom(SIZE))
        line.shutdown(socket.SHUT_WR)
        silence(line)
    assert status(world)["subscribers"] == before
