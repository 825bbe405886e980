"""The server's processes: gates and workers come and go, calls do not notice."""

import json
import os
import re
import resource
import signal
import socket
import time
from pathlib import Path

import pytest
from ctl_helper import BUILD
from lines import OTHER, TAG, Line, call_of, invited, pair_of, status, works
from live import has_gone, until
from processes import gate_killed, handed_over, upgraded

MUCH = 10_000_000  # octets of each call


def test_each_part_is_a_process(own):
    own.serve("[calls]\nworkers = 3\n")
    found = own.processes()
    assert {name: len(pids) for name, pids in found.items()} == {
        "cyphernetd": 1, "cyphernetd-gate": 1, "cyphernetd-switch": 3,
    }


def test_fifty_calls_outlive_gates_and_programs(own):
    """50 bulk calls, slow enough to last, while the gate is killed and the program replaced ten times each."""
    own.serve(
        "[waiting]\nlines_per_subscriber = 64\n[admission]\npending_per_address = 1000\n"
        "[calls]\nrate_per_subscriber = 50000000\n"
    )
    me, others = invited(own), [invited(own) for _ in range(5)]
    calls = [
        call_of(own, fingerprints=(me, others[i % 5]), tag=f"{i:02x}" + 31 * "01", buffer=65536) for i in range(50)
    ]
    handed_over(own, 50)
    for one, other in calls:
        one.tell("flow", MUCH)
        other.tell("check", MUCH, 120000)
    for _ in range(10):
        gate_killed(own)
        upgraded(own)
    for one, other in calls:
        assert other.answer() == f"got {MUCH} whole"
        assert one.answer() == f"ok {MUCH}"
    handed_over(own, 50)
    own.ctl.ok("revoke", others[0].stem)
    for i, (one, other) in enumerate(calls):
        if i % 5 == 0:
            one.ended()
            other.ended()
        else:
            works(one, other)
            works(other, one)
    handed_over(own, 40)


def test_a_call_is_still_counted_limited_and_cut_by_a_later_gate(own):
    own.serve()
    people = [invited(own) for _ in range(4)]
    first = call_of(own, fingerprints=tuple(people[:2]))
    second = call_of(own, fingerprints=tuple(people[2:]), tag=OTHER)
    handed_over(own, 2)
    gate_killed(own)
    upgraded(own)
    until(lambda: sum(one["joined"] for one in status(own)["subscribers"]) == 4, "the gate knows of the calls")
    own.ctl.ok("revoke", people[0].stem)
    for line in first:
        line.ended()
    works(*second)
    handed_over(own, 1)


def test_an_upgrade_sends_waiting_lines_away_and_joins_who_is_being_joined(own):
    own.serve("[waiting]\nspread = 7\n[joining]\nready_timeout = 60\n")
    waiting = Line(own, invited(own)).wait("input", OTHER)
    one = Line(own, invited(own)).wait("input", TAG)
    other = Line(own, invited(own)).admit()
    assert other.register("output", TAG).startswith("joined")
    one.joined("input")
    upgraded(own)
    assert waiting.ask("expect").startswith("goaway"), "it was not sent away"
    one.ready(3, ord("a"))
    other.ready(4, ord("b"))
    one.gets(b"\0\4bbbb")
    other.gets(b"\0\3aaa")
    works(one, other)
    again = Line(own, waiting.fingerprint).wait("input", OTHER)
    assert again.is_open()


def test_a_killed_worker_loses_its_calls_and_is_replaced(own):
    own.serve("[calls]\nworkers = 2\n")
    calls = [call_of(own, tag=f"{i:02x}" + 31 * "01") for i in range(4)]
    handed_over(own, 4)
    victim = own.processes()["cyphernetd-switch"][0]
    os.kill(victim, signal.SIGKILL)
    until(lambda: status(own)["worker_restarts"] == 1, "it has noticed")
    until(lambda: sum(one["joined"] for one in status(own)["subscribers"]) == 4, "the gate has noticed")
    counted = status(own)
    assert counted["ended_broken"] == own.server.said().count("outcome=broken") == 2
    assert counted["calls"] == 2
    alive = [pair for pair in calls if pair[0].is_open()]
    assert len(alive) == 2
    for pair in calls:
        if pair not in alive:
            for line in pair:
                line.ended()
    for pair in alive:
        works(*pair)
    until(lambda: len(own.processes()["cyphernetd-switch"]) == 2, "there is another worker")
    works(*call_of(own, tag=OTHER))


def test_after_an_upgrade_the_processes_hold_no_more_descriptors_than_before(own):
    """None of the supervisor's own: directory, control, listening sockets of workers."""
    own.serve("[calls]\nworkers = 1\n")

    def held(program):
        fds = Path(f"/proc/{own.processes()[program][-1]}/fd")

        def looked():
            try:
                return sorted(os.readlink(fd).split(":")[0] for fd in fds.iterdir())
            except FileNotFoundError:
                return None  # one was closed meanwhile

        return until(looked, "none is closed while we look")

    def settled():
        until(lambda: all(len(pids) == 1 for pids in own.processes().values()), "those that leave have gone")
        for line in call_of(own):  # so all have been told of each other
            line.stop()
        handed_over(own, 0)
        return {program: held(program) for program in own.processes()}

    before = settled()
    for _ in range(3):
        upgraded(own)
    until(lambda: settled() == before, "they hold what they held")


def test_what_its_caller_left_open_goes_on_to_nobody(own):
    """Sockets and files of a shell or a service manager."""
    leaked = [os.open("/dev/full", os.O_RDONLY) for _ in range(30)]
    own.server = own.run_program([BUILD / "cyphernetd", "--dir", own.ctl.dir], pass_fds=leaked)
    for fd in leaked:
        os.close(fd)
    until(lambda: b"ready" in own.server.got(), "it is ready")
    processes = own.processes()
    for pid in processes["cyphernetd-gate"] + processes["cyphernetd-switch"]:
        assert "/dev/full" not in [os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir()]


def test_many_are_blocked_while_it_runs(own):
    """A sort that is too large for the stack asks the system how much memory there is; and workers have much to hear."""
    own.serve()
    one, other = call_of(own)
    handed_over(own, 1)
    people = [invited(own) for _ in range(80)]
    gate = own.gate()
    for person in people:
        own.ctl.ok("revoke", person.stem)
    assert own.gate() == gate
    works(one, other)


def test_who_starts_later_knows_the_rates_too(own):
    """Workers after one was killed, gates, and all after an upgrade."""
    own.serve("[calls]\nworkers = 1\nrate_per_subscriber = 400000\n")

    def is_limited(tag):
        one, other = call_of(own, tag=f"{tag:02x}" + 31 * "05")
        begin = time.monotonic()
        one.tell("flow", 1_000_000)
        other.tell("check", 1_000_000, 60000)
        assert other.answer() == "got 1000000 whole"
        assert one.answer() == "ok 1000000"
        assert time.monotonic() - begin > 1.5, "it is as fast as it can be"

    is_limited(1)
    gate_killed(own)
    is_limited(2)
    os.kill(own.processes()["cyphernetd-switch"][0], signal.SIGKILL)
    until(lambda: status(own)["worker_restarts"] == 1 and status(own)["workers"] == 1, "there is another worker")
    is_limited(3)
    upgraded(own)
    is_limited(4)
    gate_killed(own)
    is_limited(5)


def test_who_is_revoked_is_cut_however_many_gates_are_leaving(own):
    """Each has two whom it is joining. Beyond what a worker hears there is no upgrade."""
    own.serve("[joining]\nprologue_timeout = 120\n[calls]\nworkers = 1\n")
    people = [invited(own) for _ in range(2)]
    one, other = call_of(own, fingerprints=people)
    handed_over(own, 1)
    joining = [invited(own) for _ in range(2)]
    for i in range(40):
        for line in pair_of(own, tag=f"{i:02x}" + 31 * "09", fingerprints=joining):
            line.ok("ready")
        before = own.server.said().count("event=upgrade")
        own.server.signal(signal.SIGUSR2)
        until(lambda: own.server.said().count("event=upgrade") > before, "it is upgraded, or not")
        if "event=upgrade_failed" in own.server.said():
            break
    own.server.says('event=upgrade_failed kept=old reason="processes of earlier programs have not left yet"')
    assert own.server.said().count("event=upgraded") >= 9
    assert "event=gate_left" not in own.server.said()
    works(one, other)
    own.ctl.ok("revoke", people[0].stem)
    one.ended()
    other.ended()


def test_what_was_cut_is_told_whoever_cut_it(own):
    """The old gate is still leaving, or the new one does not know of all calls yet."""
    own.serve("[waiting]\nspread = 100\n[calls]\nworkers = 2\n")
    people = [invited(own) for _ in range(8)]
    calls = [call_of(own, tag=f"{i:02x}" + 31 * "01", fingerprints=people[2 * i : 2 * i + 2]) for i in range(4)]
    handed_over(own, 4)
    Line(own, invited(own)).wait("input", OTHER)
    revoked = json.loads(own.ctl.ok("revoke", people[0].stem, "--json").stdout)
    assert revoked["cut"] == 1
    upgraded(own)
    revoked = json.loads(own.ctl.ok("revoke", people[2].stem, "--json").stdout)
    assert revoked["cut"] == 1, "an old gate is leaving"
    os.kill(own.processes()["cyphernetd-gate"][-1], signal.SIGKILL)
    revoked = json.loads(own.ctl.ok("suspend", people[4].stem, "--json").stdout)
    assert revoked["cut"] == 1, "a new gate"
    for line in sum(calls[:3], ()):
        line.ended()
    works(*calls[3])
    assert re.findall(r"event=registry blocked=. cut=(.)", own.server.said()) == ["1", "1", "1"]


def test_who_is_revoked_while_there_is_no_gate_is_cut_by_the_next(own):
    own.serve()
    people = [invited(own) for _ in range(4)]
    first = call_of(own, fingerprints=tuple(people[:2]))
    second = call_of(own, fingerprints=tuple(people[2:]), tag=OTHER)
    handed_over(own, 2)
    os.kill(own.gate(), signal.SIGKILL)
    own.ctl.ok("revoke", people[0].stem)
    for line in first:
        line.ended()
    works(*second)


def test_who_is_revoked_while_the_server_ends_is_cut(own):
    """Also if the gate dies meanwhile."""
    own.serve("[server]\nshutdown_timeout = 1000\n")
    people = [invited(own) for _ in range(6)]
    calls = [call_of(own, tag=f"{i:02x}" + 31 * "01", fingerprints=people[2 * i : 2 * i + 2]) for i in range(3)]
    handed_over(own, 3)
    own.server.signal(signal.SIGTERM)
    own.server.says("event=ending calls=3")
    assert '"cut":1' in own.ctl.ok("revoke", people[0].stem, "--json").stdout.replace(" ", "")
    for line in calls[0]:
        line.ended()
    works(*calls[1])
    works(*calls[2])
    before = own.gate()
    os.kill(before, signal.SIGKILL)
    own.server.says("event=process_ended program=cyphernetd-gate signal=9")
    own.ctl.ok("suspend", people[2].stem)
    for line in calls[1]:
        line.ended()
    works(*calls[2])
    assert own.gate() != before
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", own.port)) != 0, "it listens again"
    for line in calls[2]:
        line.stop()
    own.server.end(0)


def test_processes_that_are_not_started_by_cyphernetd_say_so(own):
    for name in ("cyphernetd-gate", "cyphernetd-switch"):
        alone = own.run_program([BUILD / name])
        alone.end(2)
        assert "it is cyphernetd that starts this program" in alone.said()


def test_when_the_supervisor_is_killed_nobody_stays(own):
    own.serve()
    one, other = call_of(own)
    pids = sum(own.processes().values(), [])
    own.server.process.kill()
    own.server.process.wait()
    until(lambda: all(map(has_gone, pids)), "they have gone", 10)
    one.ended()
    other.ended()


@pytest.mark.parametrize("change", [gate_killed, upgraded])
def test_a_worker_without_a_descriptor_for_another_gate_keeps_its_calls(own, change):
    """It says so; the gate hears of them as soon as there is one, and cuts whom it should have."""
    own.serve("[calls]\nworkers = 1\n")
    people = [invited(own) for _ in range(4)]
    first = call_of(own, fingerprints=tuple(people[:2]))
    second = call_of(own, fingerprints=tuple(people[2:]), tag=OTHER)
    handed_over(own, 2)
    [worker] = own.processes()["cyphernetd-switch"]
    _, hard = resource.prlimit(worker, resource.RLIMIT_NOFILE)
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (3, hard))
    change(own)
    own.server.says("event=gate_missed")
    works(*first)
    own.ctl.ok("revoke", people[0].stem)
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (hard, hard))
    for line in first:
        line.ended()
    works(*second)
    handed_over(own, 1)
    assert own.server.said().count("event=gate_missed") == 1
    assert status(own)["worker_restarts"] == 0 and "cyphernetd-switch" not in own.server.said()


def test_a_worker_that_does_not_live_to_leave_is_told_of(own):
    own.serve("[calls]\nworkers = 1\n")
    one, other = call_of(own)
    handed_over(own, 1)
    [worker] = own.processes()["cyphernetd-switch"]
    upgraded(own)
    until(lambda: sum(person["joined"] for person in status(own)["subscribers"]) == 2, "the gate knows of the call")
    os.kill(worker, signal.SIGKILL)
    own.server.says("event=process_ended program=cyphernetd-switch signal=9")
    own.server.says("outcome=broken")
    one.ended()
    other.ended()


def test_workers_that_leave_as_they_should_are_not(own):
    own.serve("[calls]\nworkers = 1\n")
    for _ in range(2):
        upgraded(own)
        until(lambda: len(own.processes()["cyphernetd-switch"]) == 1, "the one before has left")
    assert "process_ended" not in own.server.said()
