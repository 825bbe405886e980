"""From REGISTER to the call: who is joined, what passes, and what becomes of the partner of one who fails."""

import os
import signal
import time

import pytest
from ctl_helper import BUILD

from lines import OTHER, TAG, Change, Line, call_of, counts, invited, pair_of, prologue, status
from live import until

SHORT = "[joining]\nready_timeout = 4\nprologue_timeout = 6\n"


@pytest.fixture
def short(own):
    """A server that does not wait long for READY and prologue."""
    return own.serve(SHORT)


def caller(world, mode="output", tag=TAG):
    """A new subscriber who finds a partner at once."""
    line = Line(world, invited(world)).admit()
    line.ok("register", mode, tag)
    line.joined(mode, tag)
    return line


# --- who is joined ---------------------------------------------------------------------------------------------------


def test_two_lines_are_joined_and_hear_each_other(world):
    one, other = call_of(world)
    one.send(b"from one")
    other.send(b"from the other")
    other.gets(b"from one")
    one.gets(b"from the other")


@pytest.mark.parametrize("mode", ["input", "output"])
def test_two_of_the_same_mode_are_never_joined(world, mode):
    lines = [Line(world, invited(world)).wait(mode, TAG) for _ in range(2)]
    for line in lines:
        line.quiet()


def test_two_tags_are_never_joined(world):
    one = Line(world, invited(world)).wait("input", TAG)
    other = Line(world, invited(world)).wait("output", TAG[:-1] + "1")
    one.quiet()
    other.quiet()


def test_one_subscriber_is_never_joined_with_himself(world):
    fingerprint = invited(world)
    one = Line(world, fingerprint).wait("input", TAG)
    other = Line(world, fingerprint).wait("output", TAG)
    one.quiet()
    other.quiet()


def test_a_line_is_never_joined_with_itself(world):
    Line(world, invited(world)).wait("input", TAG, "output", TAG).quiet()


def test_the_newer_of_two_lines_replaces_the_older(world):
    fingerprint = invited(world)
    change = Change(world)
    old = Line(world, fingerprint).wait("input", TAG)
    new = Line(world, fingerprint).wait("input", TAG)
    old.expect("refused replaced").ended()
    change.becomes(accepted=2, admitted=2, waiting=1, replaced=1)
    caller(world)
    new.joined("input")


def test_lines_of_one_subscriber_under_two_tags_both_wait(world):
    fingerprint = invited(world)
    one = Line(world, fingerprint).wait("input", TAG)
    other = Line(world, fingerprint).wait("input", OTHER)
    caller(world, tag=TAG)
    caller(world, tag=OTHER)
    one.joined("input", TAG)
    other.joined("input", OTHER)


def test_first_come_first_served(world):
    lines = [Line(world, invited(world)).wait() for _ in range(3)]
    for line in lines:
        caller(world)
        line.joined("input")


def test_the_smallest_tag_of_several_wins(world):
    tags = [f"{first:02x}" + 31 * "00" for first in (0x90, 0x10, 0x50)]
    line = Line(world, invited(world)).wait(*[word for tag in tags for word in ("input", tag)])
    two = Line(world, invited(world)).admit()
    two.ok("register", "output", tags[0], "output", tags[2], "output", tags[1])
    two.joined("output", tags[1])
    line.joined("input", tags[1])


def test_an_update_replaces_all_entries(world):
    line = Line(world, invited(world)).wait("input", TAG)
    line.ok("update", "input", OTHER)
    line.quiet()  # it is not answered
    left_out = Line(world, invited(world)).wait("output", TAG)
    caller(world, tag=OTHER)
    line.joined("input", OTHER)
    left_out.quiet()


def test_an_update_may_match(world):
    one = Line(world, invited(world)).wait("input", OTHER)
    other = Line(world, invited(world)).wait("output", TAG)
    one.ok("update", "input", TAG)
    one.joined("input")
    other.joined("output")


def test_entries_in_several_messages_count_with_the_last(world):
    line = Line(world, invited(world)).admit()
    line.ok("register+", *["input", OTHER] * 30)
    line.ok("register+", "input", TAG)
    line.quiet()
    early = Line(world, invited(world)).wait("output", TAG)
    early.ok("update", "input", 32 * "aa")
    line.ok("register", "input", 32 * "bb")
    line.expect("waiting")
    caller(world, tag=TAG)
    line.joined("input")


def test_an_update_begun_and_crossed_by_joined_is_forgotten(world):
    line = Line(world, invited(world)).wait("input", TAG)
    line.ok("update+", "input", OTHER)
    line.quiet()
    other = caller(world)
    line.joined("input")
    line.ok("update", "input", OTHER)
    line.ready()
    other.ready()
    line.gets(prologue())


def test_keep_alive_is_answered(world):
    line = Line(world, invited(world)).wait()
    for _ in range(5):
        line.ok("keepalive")
        line.expect("keepalive")


def test_update_and_keep_alive_crossing_joined_are_harmless(world):
    one, other = pair_of(world)
    one.ok("update", "input", OTHER)
    one.ok("keepalive")
    one.ok("update+", "input", OTHER)
    one.ok("keepalive")
    one.ready(octet=1)
    other.ok("keepalive")
    other.ready(octet=2)
    one.gets(prologue(octet=2))
    other.gets(prologue(octet=1))


@pytest.mark.parametrize("words", ["register input 07", "ready", "waiting"])
def test_what_may_not_be_said_while_waiting_ends_the_line(world, words):
    line = Line(world, invited(world)).wait()
    line.ok(*words.split())
    line.ended()


@pytest.mark.parametrize("words", ["update input 07", "keepalive", "ready", "waiting"])
def test_what_may_not_be_said_before_register_ends_the_line(world, words):
    line = Line(world, invited(world)).admit()
    line.ok(*words.split())
    line.ended()


@pytest.mark.parametrize("words", ["register input 07", "waiting"])
def test_what_may_not_be_said_after_joined_ends_the_line_and_not_its_partner(world, words):
    one, other = pair_of(world)
    other.ready(octet=5)
    one.ok(*words.split())
    one.ended()
    caller(world, mode="input").ready().gets(prologue(octet=5))


def test_a_forged_message_ends_the_line(world):
    line = Line(world, invited(world)).wait()
    line.send(bytes(1024))
    line.ended()


# --- a partner who fails ---------------------------------------------------------------------------------------------


def test_ready_never_sent_ends_the_line_and_the_next_gets_the_partner(short):
    begun = time.monotonic()
    one, other = pair_of(short)
    one.ready(octet=0x11)
    other.ended()
    assert time.monotonic() - begun > 3.5  # more than if nothing is set
    counts(short, ready_timeout=1)
    third = caller(short)
    third.ready(octet=0x33)
    third.gets(prologue(octet=0x11))
    one.gets(prologue(octet=0x33))
    third.send(b"well")
    one.gets(b"well")


def test_a_partner_not_ready_yet_comes_to_no_harm_either(world):
    one, other = pair_of(world)
    other.ok("reset")
    third = caller(world)
    one.ready(octet=1)
    third.ready(octet=3)
    one.gets(prologue(octet=3))
    third.gets(prologue(octet=1))


def test_who_goes_back_goes_to_the_head(world):
    one, other = pair_of(world)
    behind = Line(world, invited(world)).wait("input", TAG)
    one.ready(octet=1)
    other.ok("close")
    until(lambda: status(world)["waiting"] == 1, "the line has gone")
    time.sleep(0.05)
    third = caller(world)
    third.ready(octet=3)
    third.gets(prologue(octet=1))
    behind.quiet(100)


def test_a_partner_that_fails_again_and_again(world):
    one = Line(world, invited(world)).wait()
    other = caller(world)
    one.joined("input")
    one.ready(octet=1)
    for how in ("reset", "close", "shutdown", "close"):
        other.ok(how)
        other = caller(world)
    other.ready(octet=2)
    one.gets(prologue(octet=2))


def test_prologue_cut_in_the_middle_gives_the_partner_back(short):
    for cut in (0, 1, 2, 3, 50, 101):
        one, other = pair_of(short)
        one.ready(octet=1)
        other.ok("ready")
        other.send(prologue(octet=2)[:cut])
        other.ok("close")
        third = caller(short)
        third.ready(octet=3)
        one.gets(prologue(octet=3))
        third.gets(prologue(octet=1))
        one.ok("close")
        third.ok("close")


def test_prologue_never_sent_ends_the_line_in_time(short):
    begun = time.monotonic()
    one, other = pair_of(short)
    one.ok("ready")
    other.ok("ready")
    other.send(prologue()[:40])
    one.ended()
    other.ended()
    assert time.monotonic() - begun > 5
    counts(short, prologue_timeout=2, joining=0)


def test_a_line_that_is_given_back_has_the_time_of_a_new_one(short):
    """It is not ended for what its first partner took its time to do, while its second does all in time."""
    one, other = pair_of(short)
    one.ready(octet=1)
    other.ok("ready")
    time.sleep(4.8)
    other.ok("close")
    third = caller(short)
    time.sleep(1.5)
    third.ready(octet=3)
    third.gets(prologue(octet=1))
    one.gets(prologue(octet=3))


def test_a_line_given_back_whom_nobody_wants_ends_in_time(short):
    one, other = pair_of(short)
    one.ready()
    other.ok("close")
    one.ended()


def test_a_partner_that_has_gone_at_the_moment_of_joining_costs_nothing(world):
    """REGISTER of the second is read before the reset of the first: JOINED cannot be said to it. The second then
    waits as if it had met nobody, under all that it asked for."""
    one = Line(world, invited(world)).wait("input", TAG)
    other = Line(world, invited(world)).admit()
    os.kill(world.gate(), signal.SIGSTOP)
    try:
        other.ok("register", "output", OTHER, "output", TAG)
        time.sleep(0.05)
        one.ok("reset")
        time.sleep(0.05)
    finally:
        os.kill(world.gate(), signal.SIGCONT)
    other.expect("waiting")
    third = caller(world, mode="input", tag=OTHER)
    other.joined("output", OTHER)
    third.ready()
    other.ready().gets(prologue())


# --- prologues -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 16385, 65535])
def test_a_prologue_of_a_length_that_may_not_be_ends_the_line(world, size):
    change = Change(world)
    one, other = pair_of(world)
    one.ready(octet=1)
    other.ok("ready")
    other.send(size.to_bytes(2, "big"))
    other.ended()
    assert change.since()["bad_prologue"] == 1
    caller(world).ready(octet=3).gets(prologue(octet=1))


@pytest.mark.parametrize("size", [1, 2, 255, 256, 1022, 1023, 1024, 4097, 16383, 16384])
def test_prologues_of_odd_sizes_pass_unread(world, size):
    one, other = pair_of(world)
    one.ready(size, 0)
    other.ready(16385 - size, 255)
    one.gets(prologue(16385 - size, 255))
    other.gets(prologue(size, 0))
    one.send(b"x")
    other.gets(b"x")


def test_no_octet_of_a_prologue_passes_before_both_are_there(world):
    one, other = pair_of(world)
    one.ready(octet=1)
    other.ok("ready")
    other.send(prologue(octet=2)[:-1])
    one.quiet(100)
    other.quiet(100)
    other.send(b"\2")
    one.gets(prologue(octet=2))
    other.gets(prologue(octet=1))


def test_a_prologue_in_single_octets(world):
    one, other = pair_of(world)
    one.ok("ready")
    for octet in prologue(octet=1):
        one.send(bytes([octet]))
    other.ready(octet=2)
    other.gets(prologue(octet=1))


def test_octets_right_behind_the_prologue_arrive_after_it(world):
    one, other = pair_of(world)
    one.ok("ready")
    one.send(prologue(octet=1) + b"right behind" * 3000)
    other.ready(octet=2)
    other.gets(prologue(octet=1))
    other.gets(b"right behind" * 3000)
    one.gets(prologue(octet=2))


# --- the call --------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["pipes", "copies"])
def called(own, request):
    """Two lines in a call, through splice and through copying, with limits of two seconds."""
    pipes = 48 if request.param == "pipes" else 0
    own.serve(f"[calls]\nidle_timeout = 2\nstall_timeout = 2\npipes_max = {pipes}\n")
    return own


def test_half_close_is_passed_on_each_way(called):
    one, other = call_of(called)
    one.send(b"last words")
    one.ok("shutdown")
    assert other.recv(100) == (b"last words", "eof")
    other.send(b"an answer")
    one.gets(b"an answer")
    other.ok("shutdown")
    assert one.recv(1) == (b"", "eof")
    counts(called, ended_done=1, calls=0)


def test_the_end_at_once_from_both(called):
    one, other = call_of(called)
    one.ok("shutdown")
    other.ok("shutdown")
    assert one.recv(1) == (b"", "eof")
    assert other.recv(1) == (b"", "eof")
    counts(called, ended_done=1, calls=0)


def test_a_reset_is_a_reset_at_the_other_end(called):
    one, other = call_of(called)
    one.send(b"last words")
    other.gets(b"last words")
    one.ok("reset")
    assert other.recv(1) == (b"", "reset")
    counts(called, ended_broken=1, calls=0)


def test_much_at_once_passes_whole(called):
    one, other = call_of(called)
    size = 5_000_000
    for line in (one, other):
        line.tell("send", size // 10)
        assert line.answer() == f"ok {size // 10}"
    for line in (one, other):
        assert line.ask("count", size // 10) == f"got {size // 10} whole"
    one.tell("send", size)
    assert other.ask("count", size) == f"got {size} whole"
    assert one.answer() == f"ok {size}"


def test_a_partner_that_does_not_read_bounds_what_is_taken_in(called):
    one, other = call_of(called, buffer=4096)
    taken = int(one.ok("send", 100_000_000))
    assert taken < 50_000_000  # what the system buffers at three sockets
    other.ask("count", 1000)  # it takes a little, so it does not stall
    assert called.resident_kib() < (32_000 if "asan" not in str(BUILD) else 4_000_000)
    counts(called, calls=1)


def test_octets_out_of_band_do_no_harm(called):
    """The call may lose them, or end; the server must not turn in circles."""
    one, other = call_of(called)
    before = called.cpu_s()
    one.send(b"before")
    one.ok("urgent")
    one.send(b"after")
    other.gets(b"before")
    other.ask("recv", 5, 1000)
    assert called.cpu_s() - before < 0.3
    counts(called, calls=0)  # idle at last, if nothing else


def test_silence_ends_the_call(called):
    begun = time.monotonic()
    one, other = call_of(called)
    assert one.recv(1) == (b"", "reset")
    assert other.recv(1) == (b"", "reset")
    assert time.monotonic() - begun > 1.5
    counts(called, ended_idle=1)


def test_octets_one_way_are_no_silence(called):
    """Of two calls, the one in which nothing is said ends."""
    one, other = call_of(called)
    call_of(called, tag=OTHER)
    sent = b""
    while not status(called)["ended_idle"]:
        one.send(b"x")
        sent += b"x"
        assert one.recv(1, 100) == (b"", "nothing")
    one.send(b"y")
    other.gets(sent + b"y")


def test_a_partner_that_takes_nothing_ends_the_call(own):
    own.serve("[calls]\nidle_timeout = 60\nstall_timeout = 1\n")
    one, other = call_of(own, buffer=4096)
    other.send(b"still alive")
    one.ok("send", 50_000_000)
    one.gets(b"still alive")
    until(lambda: status(own)["ended_stalled"] == 1, "it stalled")
    assert other.ask("count", 100_000_000).endswith(" reset")


def test_a_stalled_way_is_no_matter_of_the_other_way(own):
    """Octets the other way do not keep alive a call whose one end takes nothing."""
    own.serve("[calls]\nidle_timeout = 60\nstall_timeout = 2\n")
    one, other = call_of(own, buffer=4096)
    one.ok("send", 50_000_000)
    while status(own)["calls"]:
        other.ask("raw", "00")
        time.sleep(0.1)
    counts(own, ended_stalled=1)
