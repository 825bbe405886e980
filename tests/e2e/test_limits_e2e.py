"""Every key of cyphernetd.conf does what cyphernetd.conf(5) says, and running out of anything is survived."""

import json
import os
import random
import resource
import select
import signal
import socket
import subprocess
import time

import pytest
from lines import OTHER, TAG, Line, call_of, counts, forged, invited, pair_of, status, works
from live import until

ENDLESS = 100_000_000_000  # octets that no test waits for


def connect(world):
    return socket.create_connection(("127.0.0.1", world.port), timeout=10)


def verdict_says(world, **expected):
    line = Line(world, invited(world)).hello()
    said = dict(word.split("=") for word in line.ask("verdict").split()[1:])
    assert {key: int(said[key]) for key in expected} == expected


# --- [admission] -----------------------------------------------------------------------------------------------------


def test_pending_max_bounds_a_flood_and_lets_others_through(own):
    own.serve("[admission]\npending_max = 20\npending_per_address = 1000\nhello_timeout = 2\n")
    fingerprint = invited(own)
    flood = [connect(own) for _ in range(200)]
    until(lambda: status(own)["accepted"] == 200, "all have been accepted, some to be dropped")
    now = status(own)
    assert now["pending"] <= 20
    assert now["dropped_pending"] >= 180
    until(lambda: status(own)["pending"] == 0, "the flood has timed out")
    for line in flood:
        line.close()
    Line(own, fingerprint).wait()


def test_beyond_pending_max_the_oldest_makes_room(own):
    own.serve("[admission]\npending_max = 3\nhello_timeout = 60\n")
    first, *others = [connect(own) for _ in range(3)]
    counts(own, pending=3)
    time.sleep(0.01)  # who came in the same turn would not be dropped
    others.append(connect(own))
    assert first.recv(1) == b""
    counts(own, pending=3, dropped_pending=1)
    for line in others:
        line.setblocking(False)
        with pytest.raises(BlockingIOError):
            line.recv(1)


def test_pending_per_address(own):
    own.serve("[admission]\npending_per_address = 3\nhello_timeout = 60\n")
    held = [connect(own) for _ in range(3)]
    counts(own, pending=3)
    with connect(own) as fourth:
        assert fourth.recv(1) == b""
    with socket.create_connection(("127.0.0.1", own.port), 10, ("127.0.0.2", 0)) as elsewhere:
        elsewhere.settimeout(0.1)
        with pytest.raises(TimeoutError):
            elsewhere.recv(1)
    counts(own, dropped_address=1)
    held.pop().close()
    counts(own, pending=2)
    Line(own, invited(own)).wait()  # and who has registered is not pending any more
    Line(own, invited(own)).wait("input", OTHER)


def test_refused_holders_are_pending_until_they_have_gone(own):
    """Else their hellos, replayed, could fill the server."""
    own.serve("[admission]\npending_per_address = 1\n")
    expired = forged(own, -10, -5)
    for _ in range(5):
        line = Line(own, expired).hello()
        assert line.ask("verdict") == "expired"
        Line(own).ended()
        line.ok("close")
        counts(own, pending=0)
    counts(own, refused_expired=5, dropped_address=5, lost=0)


# --- [waiting] -------------------------------------------------------------------------------------------------------


def test_lines_max_pauses_accepting_and_resumes(own):
    own.serve("[waiting]\nlines_max = 4\n")
    one, other = call_of(own)
    fingerprint = invited(own)
    first, second = Line(own, fingerprint).wait("input", TAG), Line(own, fingerprint).wait("input", OTHER)
    third = Line(own, fingerprint)  # the system takes the connection, the server does not
    third.hello()
    before = own.cpu_s()
    assert third.ask("verdict", 700) == "nothing"
    assert own.cpu_s() - before < 0.2
    works(one, other)
    second.ok("close")
    assert third.ask("verdict").startswith("admitted")
    assert third.register("input", OTHER) == "waiting"
    assert [own.server.said().count(f"accepting_{what}") for what in ("paused", "resumed")] == [1, 1]
    with connect(own):
        until(lambda: own.server.said().count("accepting_paused") == 2, "it is full again")
    first.quiet(10)


def test_an_ended_call_makes_room(own):
    own.serve("[waiting]\nlines_max = 2\n")
    one, other = call_of(own)
    third = Line(own, invited(own))
    third.hello()
    assert third.ask("verdict", 200) == "nothing"
    one.ok("close")
    other.ok("close")
    assert third.ask("verdict").startswith("admitted")


def test_lines_max_per_subscriber(own):
    """Whatever they do: waiting, being joined, in a call; so two cannot fill the server with their calls."""
    own.serve("[waiting]\nlines_max = 40\nlines_max_per_subscriber = 3\n")
    ann, bob = invited(own), invited(own)
    call_of(own, fingerprints=(ann, bob))
    pair_of(own, tag=OTHER, fingerprints=(ann, bob))
    waiting = Line(own, ann).wait("input", 32 * "09")
    for fingerprint, allowed in ((ann, False), (bob, True)):
        for tag in (32 * "09", 32 * "0a"):
            line = Line(own, fingerprint).admit()
            said = line.register("output", tag)
            assert said.startswith("joined") if allowed else said == "refused over_limit"
            allowed = False
    line.ended()
    waiting.joined("input", 32 * "09")
    counts(own, calls=1, joining=4, refused_over_limit=3)
    Line(own, invited(own)).wait("input", 32 * "0a")


def test_who_has_ended_a_call_may_have_another_line(own):
    own.serve("[waiting]\nlines_max_per_subscriber = 1\n[class.7]\nlines_max_per_subscriber = 2\n")
    ann, bob = invited(own), of_class(own, "bob", 7)
    one, other = call_of(own, fingerprints=(ann, bob))
    Line(own, bob).wait("input", OTHER)
    for _ in range(2):  # who is refused does not count
        for fingerprint in (ann, bob):
            assert Line(own, fingerprint).admit().register("input", 32 * "09") == "refused over_limit"
    one.ok("close")
    other.ok("close")
    counts(own, calls=0)
    Line(own, ann).wait("input", 32 * "09")
    Line(own, bob).wait("input", 32 * "0a")


def test_lines_per_subscriber(own):
    own.serve("[waiting]\nlines_per_subscriber = 2\n")
    fingerprint = invited(own)
    lines = [Line(own, fingerprint).wait("input", tag) for tag in (TAG, OTHER)]
    third = Line(own, fingerprint).admit()
    assert third.register("input", 32 * "09") == "refused over_limit"
    third.ended()
    replacing = Line(own, fingerprint).wait("input", TAG)  # takes the place of an older one
    lines[0].expect("refused replaced").ended()
    Line(own, invited(own)).wait("input", 32 * "0a")  # another subscriber has his own
    replacing.ok("close")
    counts(own, waiting=2)
    Line(own, fingerprint).wait("input", 32 * "09")
    counts(own, refused_over_limit=1)


def of_class(own, name, number):
    own.ctl.ok("invite", name, "--class", number, "-o", f"{name}.fp")
    return own.tmp / f"{name}.fp"


def test_a_limits_class_has_limits_of_its_own(own):
    own.serve("[waiting]\nlines_per_subscriber = 2\n[class.7]\nlines_per_subscriber = 1\n"
              "[class.8]\nlines_per_subscriber = 3\ntags_per_subscriber = 2\n")
    for name, number, allowed in (("none", 0, 2), ("small", 7, 1), ("unknown", 9, 2)):
        fingerprint = of_class(own, name, number)
        for at in range(allowed):
            Line(own, fingerprint).wait("input", f"{at:02x}" * 32)
        assert Line(own, fingerprint).admit().register("input", 32 * "09") == "refused over_limit"
    fingerprint = of_class(own, "large", 8)
    Line(own, fingerprint).wait("input", TAG)
    Line(own, fingerprint).wait("input", OTHER)
    assert Line(own, fingerprint).admit().register("input", 32 * "0a") == "refused over_limit"  # tags


def test_a_reload_brings_a_class_other_limits(own):
    own.serve("[class.7]\nlines_per_subscriber = 1\n")
    fingerprint = of_class(own, "ann", 7)
    first = Line(own, fingerprint).wait("input", TAG)
    assert Line(own, fingerprint).admit().register("input", OTHER) == "refused over_limit"
    (own.ctl.dir / "cyphernetd.conf").write_text("[class.7]\nlines_per_subscriber = 2\n")
    own.server.signal(1)
    own.server.says("event=reloaded")
    second = Line(own, fingerprint).wait("input", OTHER)
    first.ok("keepalive")
    second.ok("keepalive")


def test_who_finds_a_partner_at_once_does_not_count(own):
    own.serve("[waiting]\nlines_per_subscriber = 1\n")
    fingerprint = invited(own)
    Line(own, invited(own)).wait("output", OTHER)
    Line(own, fingerprint).wait("input", TAG)
    line = Line(own, fingerprint).admit()
    assert line.register("input", OTHER).startswith("joined")


def test_tags_per_line(own):
    own.serve("[waiting]\ntags_per_line = 3\n")
    verdict_says(own, tags=3)
    entries = [word for tag in (1, 2, 3) for word in ("input", f"{tag:02x}")]
    line = Line(own, invited(own)).wait(*entries)
    line.ok("update", *entries, "input", "04")
    line.expect("refused over_limit")
    line.ended()
    line = Line(own, invited(own)).admit()
    line.ok("register+", *entries[:4])
    line.ok("register", *entries[:4])  # counted before they are compared
    line.expect("refused over_limit")


def test_a_thousand_tags_on_a_line(own):
    own.serve()
    line = Line(own, invited(own)).admit()
    tags = [f"{n:04x}" for n in range(1020)]
    for at in range(0, len(tags), 30):
        more = "+" if at + 30 < len(tags) else ""
        line.ok("register" + more, *[word for tag in tags[at : at + 30] for word in ("input", tag)])
    line.expect("waiting")
    caller = Line(own, invited(own)).admit()
    assert caller.register("output", tags[777]).startswith("joined output " + tags[777])
    line.joined("input", tags[777].ljust(64, "0"))


def test_lists_per_subscriber(own):
    own.serve("[waiting]\nlists_per_subscriber = 1\n")
    fingerprint = invited(own)
    first, second = Line(own, fingerprint).admit(), Line(own, fingerprint).admit()
    first.ok("register+", "input", "01")
    counts(own, admitted=1, pending=1)
    second.ok("register+", "input", "02")
    second.expect("refused over_limit")
    second.ended()
    first.ok("register", "input", "03")
    first.expect("waiting")
    counts(own, admitted=2, refused_over_limit=1, waiting=1)


def test_lists_max(own):
    own.serve("[waiting]\nlists_max = 1\n")
    first, second = Line(own, invited(own)).admit(), Line(own, invited(own)).admit()
    first.ok("register+", "input", "01")
    counts(own, admitted=1)
    second.ok("register+", "input", "02")
    second.expect("refused over_limit")


def test_tags_per_subscriber(own):
    own.serve("[waiting]\ntags_per_subscriber = 3\n")
    fingerprint = invited(own)
    first = Line(own, fingerprint).wait("input", "01", "input", "02")
    second = Line(own, fingerprint).wait("input", "03")
    third = Line(own, fingerprint).admit()
    assert third.register("input", "04") == "refused over_limit"
    Line(own, invited(own)).wait("input", "05", "input", "06", "input", "07")  # another one has his own
    first.ok("update", "input", "01")
    second.ok("update", "input", "03", "input", "04")
    second.quiet(100)
    first.ok("update", "input", "01", "input", "02")
    first.expect("refused over_limit")
    first.ended()


def test_tags_max(own):
    own.serve("[waiting]\ntags_max = 3\n")
    line = Line(own, invited(own)).wait("input", "01", "input", "02")
    too_many = Line(own, invited(own)).admit()
    assert too_many.register("input", "03", "input", "04") == "refused over_limit"
    Line(own, invited(own)).wait("input", "03")
    caller = Line(own, invited(own)).admit()
    assert caller.register("output", "02", "output", "05").startswith("joined")  # who is joined needs none
    line.joined("input", "02".ljust(64, "0"))


def test_updates_per_minute(own):
    own.serve("[waiting]\nupdates_per_minute = 2\n")
    line = Line(own, invited(own)).wait()
    for tag in ("01", "02", "03"):
        line.ok("update", "input", tag)
    line.expect("refused over_limit")
    line.ended()
    counts(own, refused_over_limit=1, waiting=0)


def test_waiting_time(own):
    own.serve("[waiting]\nwaiting_time = 2\n")
    verdict_says(own, waiting=2)
    begun = time.monotonic()
    line = Line(own, invited(own)).wait()
    said = "keepalive"
    while said == "keepalive":
        line.ask("update", "input", OTHER)  # neither prolongs it
        line.ask("keepalive")
        said = line.ask("expect")
        time.sleep(0.2)  # too many updates are refused
    assert said == "goaway 0"
    line.ended()
    counts(own, waited_out=1, overdue=0)
    assert time.monotonic() - begun > 1.5


def test_waiting_time_is_not_over_for_a_call(own):
    own.serve("[waiting]\nwaiting_time = 1\n")
    one, other = call_of(own)
    Line(own, invited(own)).wait("input", OTHER).expect("goaway 0")
    works(one, other)


def test_a_line_whose_keep_alive_is_overdue_ends(own):
    own.serve("[waiting]\nkeep_alive = 1\n")
    verdict_says(own, keep_alive=1)
    alive = Line(own, invited(own)).wait("input", OTHER)
    begun = time.monotonic()
    silent = Line(own, invited(own)).wait("input", TAG)
    while silent.is_open():
        alive.ok("keepalive")
        alive.expect("keepalive")
        time.sleep(0.2)
    assert time.monotonic() - begun > 2.5
    counts(own, overdue=1, waiting=1)
    assert alive.is_open()


def test_spread_is_told(own):
    own.serve("[waiting]\nspread = 77\n")
    verdict_says(own, spread=77)


# --- [joining] -------------------------------------------------------------------------------------------------------


def test_prologue_size_max(own):
    own.serve("[joining]\nprologue_size_max = 100\n")
    one, other = call_of(own)  # of 100 octets
    works(one, other)
    one, other = pair_of(own)
    one.ok("ready")
    one.send((101).to_bytes(2, "big"))
    one.ended()
    counts(own, bad_prologue=1)


def test_ready_timeout(own):
    own.serve("[joining]\nready_timeout = 5\n")
    begun = time.monotonic()
    one, other = pair_of(own)
    one.ended()
    other.ended()
    assert time.monotonic() - begun > 4  # more than if nothing is set
    counts(own, joining=0)


# --- [calls] ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pipes", [0, 48])
def test_rate_per_subscriber(own, pipes):
    own.serve(f"[calls]\nrate_per_subscriber = 100000\npipes_max = {pipes}\n")
    one, other = call_of(own)
    begun = time.monotonic()
    one.tell("send", 225000)
    assert other.ask("count", 225000) == "got 225000 whole"
    assert time.monotonic() - begun > 1.5
    one.answer()
    other.send(b"the other subscriber has his own")
    one.gets(b"the other subscriber has his own")


def test_the_rate_is_that_of_all_calls_of_a_subscriber(own):
    own.serve("[calls]\nrate_per_subscriber = 100000\n")
    me, first, second = invited(own), invited(own), invited(own)
    one, far = call_of(own, fingerprints=(me, first))
    two, away = call_of(own, fingerprints=(me, second), tag=OTHER)
    begun = time.monotonic()
    for line in (one, two):
        line.tell("send", 110000)
    for line in (far, away):
        assert line.ask("count", 110000) == "got 110000 whole"
    assert time.monotonic() - begun > 1.5


def test_all_have_a_rate_together_whatever_worker_moves_their_calls(own):
    own.serve("[calls]\nrate_all = 200000\nworkers = 2\n")
    calls = [call_of(own, fingerprints=(invited(own), invited(own)))]
    calls.append(call_of(own, fingerprints=(invited(own), invited(own)), tag=OTHER))
    until(lambda: [worker["calls"] for worker in status(own)["worker_list"]] == [1, 1], "each worker has one")
    for upgraded in (False, True):
        if upgraded:  # those that move the calls go on under another supervisor, beside new ones
            own.server.signal(signal.SIGUSR2)
            own.server.says("event=upgraded ")
            calls[1] = call_of(own, fingerprints=(invited(own), invited(own)), tag=OTHER)
        begun = time.monotonic()
        for one, _ in calls:
            one.tell("send", 220000)
        for _, other in calls:
            assert other.ask("count", 220000) == "got 220000 whole"
        assert time.monotonic() - begun > 1.6
        for one, _ in calls:
            assert one.answer() == "ok 220000"


def test_a_class_has_a_rate_of_its_own_which_can_change(own):
    own.serve("[class.7]\nrate_per_subscriber = 100000\n")
    own.ctl.ok("invite", "slow", "--class", "7", "-o", "slow.fp")
    slow, other = call_of(own, fingerprints=(own.tmp / "slow.fp", invited(own)))
    other.tell("send", 1_000_000)  # who has no limit
    assert slow.ask("count", 1_000_000) == "got 1000000 whole"
    assert other.answer() == "ok 1000000"
    begun = time.monotonic()
    slow.tell("send", 125_000)
    assert other.ask("count", 125_000) == "got 125000 whole"
    assert slow.answer() == "ok 125000"
    assert time.monotonic() - begun > 0.8
    (own.ctl.dir / "cyphernetd.conf").write_text("")
    own.server.signal(signal.SIGHUP)
    own.server.says("event=registry ")
    slow.tell("send", 20_000_000)  # 200 seconds' worth
    assert other.ask("count", 20_000_000) == "got 20000000 whole"


def test_what_a_call_moves_is_told_while_it_goes_on_and_after(own):
    own.serve()
    one, other = call_of(own)
    waiting = Line(own, one.fingerprint).wait("input", OTHER)
    one.send(b"x" * 1000)
    other.gets(b"x" * 1000)
    until(lambda: sorted(who["bytes"] for who in status(own)["subscribers"]) == [0, 1000], "it is counted")
    one.ok("close")
    other.ok("close")
    until(lambda: [who["bytes"] for who in status(own)["subscribers"]] == [1000], "it still is")
    assert waiting.is_open()


@pytest.mark.parametrize("pipes", [0, 48])
def test_the_slowest_rate_still_moves(own, pipes):
    own.serve(f"[calls]\nrate_per_subscriber = 2\npipes_max = {pipes}\n")
    one, other = call_of(own)
    begun = time.monotonic()
    one.send(b"abcd")
    other.gets(b"abcd")
    assert time.monotonic() - begun > 1


def test_the_highest_rate_is_no_limit(own):
    own.serve("[calls]\nrate_per_subscriber = 1000000000000\n")
    one, other = call_of(own)
    one.tell("send", 20_000_000)
    assert other.ask("count", 20_000_000) == "got 20000000 whole"


def test_without_pipes_calls_are_copied(own):
    own.serve("[calls]\npipes_max = 0\n")
    one, other = call_of(own)
    one.tell("send", 10_000_000)
    assert other.ask("count", 10_000_000) == "got 10000000 whole"
    assert status(own)["pipes"] == 0


def test_more_calls_than_pipes(own):
    own.serve("[calls]\npipes_max = 1\nworkers = 1\n")
    people = [invited(own) for _ in range(6)]
    calls = [call_of(own, fingerprints=tuple(people[at : at + 2]), buffer=4096) for at in (0, 2, 4)]
    for one, _ in calls:
        one.tell("send", 8_000_000)
    for _, other in calls:
        other.tell("count", 8_000_000, 20000)
    for _, other in calls:
        assert other.answer() == "got 8000000 whole"
    assert status(own)["pipes"] <= 1


def test_idle_calls_hold_no_pipe(own):
    """One call after the other moves something, both ways: so two pipes do for all, though more might be had."""
    own.serve("[calls]\npipes_max = 20\n")
    calls = [call_of(own) for _ in range(5)]
    for one, other in calls * 2:
        works(one, other)
        works(other, one)
    now = status(own)
    assert now["calls"] == 5
    assert 1 <= now["pipes"] <= 2


def test_the_smallest_turn_passes_all_and_is_fair(own):
    own.serve("[calls]\nturn_size = 4096\n")
    busy, sink = call_of(own)
    one, other = call_of(own)
    busy.tell("send", 30_000_000)
    assert sink.ask("count", 30_000_000, 60000) == "got 30000000 whole"
    assert busy.answer() == "ok 30000000"
    busy.tell("send", ENDLESS)
    sink.tell("count", ENDLESS, 170000)
    for _ in range(50):
        works(one, other)
        works(other, one)
    assert select.select([sink.process.stdout], [], [], 0)[0] == []  # the other call had its turns meanwhile


def test_a_congestion_control_that_is_not_there_is_passed_over(own):
    own.serve("[calls]\ncongestion_control = nonesuch\n")
    works(*call_of(own))


# --- [server] --------------------------------------------------------------------------------------------------------


def a_day_at(world):
    """All that may be logged happens once."""
    fingerprint = invited(world, "carol-the-secretive")
    Line(world, forged(world, -10, -5)).hello().ask("verdict")
    with connect(world) as rubbish:
        rubbish.sendall(random.Random(3).randbytes(1024))
        rubbish.shutdown(socket.SHUT_WR)
        rubbish.recv(1)
    one, other = call_of(world, fingerprints=(fingerprint, invited(world)))
    one.ok("close")
    other.ok("close")
    counts(world, ended_done=1)
    world.ctl.ok("revoke", "carol-the-secretive")
    listed = world.ctl.ok("list", "--json").stdout
    return world.server.said(), listed


def test_the_log_holds_neither_addresses_nor_names(own):
    own.serve()
    said, listed = a_day_at(own)
    for word in ("127.0.0.1", "carol", "secretive", "serial", TAG[:8]):
        assert word not in said, said
    assert "carol-the-secretive" in listed


def test_addresses_are_logged_if_asked_for(own):
    own.serve("[server]\nlog_addresses = yes\n")
    said, _ = a_day_at(own)
    for outcome in ("admitted", "bad_hello", "refused_expired"):
        assert f"event=connection outcome={outcome} address=127.0.0.1\n" in said, said
    assert said.count("address=") == 4
    assert "serial" not in said


def test_subscribers_are_logged_if_asked_for(own):
    own.serve("[server]\nlog_subscribers = yes\n")
    said, _ = a_day_at(own)
    assert said.count("event=admitted serial=") == 2
    assert "serials=" in said
    assert "127.0.0.1" not in said
    assert "carol" not in said


# --- descriptors -----------------------------------------------------------------------------------------------------


def test_few_descriptors_make_few_lines(own):
    """74 descriptors, 64 of them reserved, 2 for a pipe: 8 lines."""
    own.serve("[calls]\npipes_max = 1\nworkers = 1\n", under=["prlimit", "--nofile=74:74"])
    assert "descriptors allow only 8 lines" in own.server.said()
    one, other = call_of(own)
    fingerprint = invited(own)
    waiting = [Line(own, fingerprint).wait("input", f"{n:02x}") for n in range(1, 7)]
    held = [connect(own) for _ in range(6)]
    until(lambda: "accepting_paused" in own.server.said(), "it is full")
    before = own.cpu_s()
    time.sleep(1)
    assert own.cpu_s() - before < 0.2
    works(one, other)
    for line in held:
        line.close()
    waiting[0].ok("close")
    Line(own, fingerprint).wait("input", OTHER)


def test_descriptors_taken_away_are_survived(own):
    """Whatever takes the last descriptors, the call goes on, nothing spins, and accepting resumes."""
    own.serve()
    one, other = call_of(own)
    fingerprint = invited(own)
    pid = own.gate()
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, hard))
    late = Line(own, fingerprint)
    late.hello()
    before = own.cpu_s()
    assert late.ask("verdict", 1000) == "nothing"
    assert own.cpu_s() - before < 0.2
    one.tell("send", 3_000_000)
    assert other.ask("count", 3_000_000) == "got 3000000 whole"
    one.answer()
    assert own.server.said().count("accepting_paused") == 1  # not with every attempt
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
    assert late.ask("verdict").startswith("admitted")
    until(lambda: own.server.said().count("accepting_resumed") == 1, "it says so")


def test_who_asks_while_there_is_no_descriptor_for_it_makes_nothing_spin(own):
    own.serve()
    pid = own.server.process.pid
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, hard))
    with socket.socket(socket.AF_UNIX) as asker:
        where = os.open(own.ctl.dir, os.O_PATH)
        asker.connect(f"/proc/self/fd/{where}/control")
        os.close(where)
        asker.sendall(b"status\n")
        asker.settimeout(1)
        before = own.cpu_s()
        with pytest.raises(TimeoutError):
            asker.recv(1)
        assert own.cpu_s() - before < 0.2
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
        assert status(own)["running"]  # which brings in the other too
        assert asker.recv(1) == b"{"


def test_a_flood_of_rubbish_leaves_a_call_its_turn(own):
    own.serve("[admission]\npending_per_address = 100000\npending_max = 100000\n")
    one, other = call_of(own)
    lines = [connect(own) for _ in range(500)]
    for line in lines:
        line.sendall(bytes(1024))
    for _ in range(20):
        works(one, other)
    for line in lines:
        line.close()


def test_top_tells_who_sent_what(own):
    """Of calls that have ended, while there is a line still."""
    own.serve()
    ann, bob = own.pair()
    stays = own.start(ann, "talk", "bob", "--answer", stdin=subprocess.PIPE)
    stays.says("waiting for bob")
    sender = own.start(ann, "pipe", "bob", stdin=bytes(300000))
    receiver = own.start(bob, "pipe", "ann", stdin=b"")
    sender.end(0)
    receiver.end(0)

    def moved():
        users = {line["label"]: line for line in map(json.loads, own.ctl.ok("top", "--json").stdout.splitlines())}
        assert users["ann"]["waiting"] == 1
        return users["ann"]["bytes"]

    until(lambda: moved() >= 300000, "the call has ended at the server, too")
    assert moved() < 700000  # records are padded, and small while the line is not known
