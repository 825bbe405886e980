"""The server's processes: gates and workers come and go, calls do not notice."""

import json
import os
import re
import shutil
import signal
import socket
import time
from pathlib import Path

import pytest
from ctl_helper import BUILD
from lines import OTHER, TAG, Line, call_of, invited, pair_of, status
from live import World, has_gone, until

MUCH = 10_000_000  # octets of each call
CALL = "from one end to the other"


def works(one, other):
    one.send(CALL.encode())
    other.gets(CALL.encode())


def upgraded(world):
    """Replace the program, and wait until that has been done."""
    before = world.server.said().count("event=upgraded")
    world.server.signal(signal.SIGUSR2)
    until(lambda: world.server.said().count("event=upgraded") > before, "it is upgraded")


def handed_over(world, count):
    """Wait until the workers have so many calls: the gate has nothing to do with them any more."""
    until(lambda: status(world)["calls"] == count, "they are with the workers")


def gate_killed(world):
    """Kill the gate that admits, and wait for another."""
    until(lambda: len(world.processes()["cyphernetd-gate"]) == 1, "one that was to leave has gone")
    before = world.gate()
    restarts = status(world)["gate_restarts"]
    os.kill(before, signal.SIGKILL)
    until(lambda: status(world)["gate_restarts"] > restarts, "it has noticed")
    until(lambda: world.processes().get("cyphernetd-gate", [before])[-1] != before, "there is another gate")


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
    own.serve("[waiting]\nspread = 7\n")
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


def stopped(pids):
    """Stop them: they neither answer nor end."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)


def test_a_worker_that_does_not_answer_its_gate_is_replaced(own):
    """Its calls are lost; no others, and whoever is revoked is cut nonetheless."""
    own.serve("[calls]\nworkers = 2\n")
    people = [invited(own) for _ in range(8)]
    calls = [call_of(own, tag=f"{i:02x}" + 31 * "01", fingerprints=people[2 * i : 2 * i + 2]) for i in range(4)]
    handed_over(own, 4)
    victim = own.processes()["cyphernetd-switch"][0]
    stopped([victim])
    own.ctl.ok("revoke", people[0].stem)
    assert victim not in own.processes()["cyphernetd-switch"]
    own.server.says('event=process_ended program=cyphernetd-switch reason="it does not answer its gate"')
    until(lambda: own.server.said().count("outcome=broken") == 2, "its calls are told to have ended")
    alive = [pair for pair in calls[1:] if pair[0].is_open()]
    for line in (line for pair in calls if pair not in alive for line in pair):
        line.ended()
    assert len(alive) >= 1
    for pair in alive:
        works(*pair)
    until(lambda: len(own.processes()["cyphernetd-switch"]) == 2, "there is another worker")
    works(*call_of(own, tag=OTHER))
    assert status(own)["worker_restarts"] == 1


def test_whoever_does_not_answer_is_replaced(own):
    """A worker of which no gate wants anything, a gate; and gates and workers that are to leave, likewise."""
    own.serve("[calls]\nworkers = 2\n")
    one, other = call_of(own)
    handed_over(own, 1)
    idle = [worker["number"] for worker in status(own)["worker_list"] if worker["calls"] == 0]
    before = own.processes()
    stopped([before["cyphernetd-switch"][idle[0]], own.gate()])
    own.server.says('event=process_ended program=cyphernetd-switch reason="it does not answer"')
    own.server.says('event=process_ended program=cyphernetd-gate reason="it does not answer"')
    until(lambda: sum(map(len, own.processes().values())) == 4, "there are others")
    works(one, other)
    works(*call_of(own, tag=OTHER))
    assert status(own)["gate_restarts"] == status(own)["worker_restarts"] == 1


def test_whoever_does_not_answer_is_not_waited_for_when_it_is_to_leave(own):
    own.serve("[calls]\nworkers = 1\n")
    one, other = call_of(own)
    handed_over(own, 1)
    old = own.processes()
    stopped([own.gate(), *old["cyphernetd-switch"]])
    upgraded(own)
    until(lambda: len(own.processes()["cyphernetd-gate"]) == 1, "the old gate has gone")
    until(lambda: len(own.processes()["cyphernetd-switch"]) == 1, "the old worker has gone")
    assert not {*own.processes()["cyphernetd-gate"], *own.processes()["cyphernetd-switch"]} & {
        *old["cyphernetd-gate"], *old["cyphernetd-switch"]}
    assert own.server.said().count("event=process_ended") == 2
    one.ended()
    other.ended()
    works(*call_of(own, tag=OTHER))


def test_a_program_that_does_not_begin_is_not_waited_for(open_tmp, open_programs):
    world = World(open_tmp)
    gate = open_programs / "cyphernetd-gate"
    gate.rename(open_programs / "aside")
    try:
        gate.write_text("#!/bin/sh\nexec sleep 1000\n")
        gate.chmod(0o755)
        world.server = world.run_program([open_programs / "cyphernetd", "--dir", world.ctl.dir])
        world.server.end(1)
        assert "error: starting: Connection timed out" in world.server.said()
    finally:
        (open_programs / "aside").rename(gate)
        world.close()


def test_upgrades_that_are_asked_for_at_once_do_no_harm(own):
    own.serve()
    one, other = call_of(own)
    handed_over(own, 1)
    for _ in range(6):
        own.server.signal(signal.SIGUSR2)
        time.sleep(0.03)
    own.server.says("event=upgraded")
    until(lambda: len(own.processes()["cyphernetd-gate"]) == 1, "all gates but one have gone")
    works(one, other)
    works(*call_of(own, tag=OTHER))
    handed_over(own, 2)


def test_after_an_upgrade_the_processes_hold_no_more_descriptors_than_before(own):
    """None of the supervisor's own: directory, control, listening sockets of workers."""
    own.serve("[calls]\nworkers = 1\n")

    def held(program):
        fds = Path(f"/proc/{own.processes()[program][-1]}/fd")
        return sorted(os.readlink(fd).split(":")[0] for fd in fds.iterdir())

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


def test_a_program_that_cannot_begin_is_not_begun(own):
    own.serve()
    one, other = call_of(own)
    (own.ctl.dir / "cyphernetd.conf").write_text("nonsense\n")
    own.server.signal(signal.SIGUSR2)
    own.server.says("event=upgrade_failed")
    works(one, other)
    handed_over(own, 1)
    (own.ctl.dir / "cyphernetd.conf").unlink()
    upgraded(own)
    works(one, other)


def test_a_program_takes_over_from_none_of_another_version(own):
    """It could not cut the calls that go on."""
    own.serve()
    one, other = call_of(own)
    for word in ("", "3", "3.1-3.1-1.1-1.1", "nonsense"):
        check = own.run_program([BUILD / "cyphernetd", "--dir", own.ctl.dir, "--check", "--takes-over", word])
        check.end(1)
        assert "error: it cannot take over from the program that runs" in check.said()
        assert "hint: restart the server" in check.said()
    works(one, other)


def replaced(program, script):
    """A script in the place of a program, which it can run as $0-aside."""
    aside = program.with_name(program.name + "-aside")
    program.rename(aside)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return lambda: aside.rename(program)


@pytest.fixture
def movable(open_tmp, open_programs):
    """A server whose programs may be replaced; they are put back."""
    world = World(open_tmp)
    (world.ctl.dir / "cyphernetd.conf").write_text("[metrics]\nlisten = metrics.sock\n")
    world.server = world.run_program([open_programs / "cyphernetd", "--dir", world.ctl.dir])
    until(lambda: b"ready" in world.server.got(), "it is ready")
    world.programs = open_programs
    yield world
    world.close()
    for aside in open_programs.glob("*-aside"):
        aside.rename(str(aside).removesuffix("-aside"))


@pytest.mark.parametrize("program", ["gate", "switch", "metrics"])
@pytest.mark.parametrize("script", ["exit 1", "exit 0", "exec sleep 1000"])
def test_a_program_whose_others_cannot_begin_does_not_take_over(movable, program, script):
    one, other = call_of(movable)
    before = movable.processes()
    repair = replaced(movable.programs / f"cyphernetd-{program}", script)
    movable.server.signal(signal.SIGUSR2)
    movable.server.says("event=upgrade_failed kept=old")
    assert movable.processes() == before
    check = movable.run_program([movable.programs / "cyphernetd", "--dir", movable.ctl.dir, "--check"])
    if "sleep" not in script:  # which takes half a minute
        check.end(1)
        assert "error: starting: " in check.said()
    check.stop()
    works(one, other)
    repair()
    upgraded(movable)
    works(one, other)
    works(*call_of(movable, tag=OTHER))


@pytest.mark.parametrize("program", ["gate", "switch"])
def test_programs_that_cannot_begin_leave_the_old_ones_in_place(movable, program):
    """They could when they were tried: calls and admission go on with the old gate, until others can."""
    one, other = call_of(movable)
    waiting = Line(movable, invited(movable)).wait("input", "09" + 31 * "00")
    fails = "case $(tr '\\0' ' ' </proc/$PPID/cmdline) in *--inherit*) exit 1 ;; esac"
    repair = replaced(movable.programs / f"cyphernetd-{program}", f'{fails}\nexec "$0-aside"')
    before = movable.gate()
    movable.server.signal(signal.SIGUSR2)
    movable.server.says("event=upgrade_failed kept=gate")
    assert "event=upgraded" not in movable.server.said()
    works(one, other)
    assert waiting.is_open()
    works(*call_of(movable, tag=OTHER))
    assert before in movable.processes()["cyphernetd-gate"]
    repair()
    until(lambda: before not in movable.processes()["cyphernetd-gate"], "there is another gate")
    works(one, other)
    works(*call_of(movable, tag="0a" + 31 * "00"))


def test_a_damaged_key_is_found_before_it_is_needed(own):
    own.serve()
    key = own.ctl.dir / "server.key"
    good = key.read_text()
    key.write_text(good.replace("A", "B"))
    check = own.run_program([BUILD / "cyphernetd", "--dir", own.ctl.dir, "--check"])
    check.end(1)
    assert "error: server.key" in check.said()
    own.server.signal(signal.SIGUSR2)
    own.server.says("event=upgrade_failed kept=old")
    key.write_text(good)
    upgraded(own)


def test_a_worker_that_was_late_for_new_limits_gets_the_last(own):
    """Its channel was full; its calls go on."""
    own.serve("[calls]\nworkers = 1\n")
    one, other = call_of(own)
    handed_over(own, 1)
    [worker] = own.processes()["cyphernetd-switch"]
    began = time.monotonic()
    stopped([worker])
    for i in range(24):
        rate = 200_000 if i == 23 else 1_000_000_000 + i
        (own.ctl.dir / "cyphernetd.conf").write_text(f"[calls]\nrate_per_subscriber = {rate}\n")
        own.server.signal(signal.SIGHUP)
        until(lambda: own.server.said().count("event=registry") > i, "it is in force")
    until(lambda: time.monotonic() > began + 6, "it would have been pinged")
    os.kill(worker, signal.SIGCONT)
    works(one, other)
    assert own.processes()["cyphernetd-switch"] == [worker]
    begin = time.monotonic()
    one.tell("flow", 1_000_000)
    other.tell("check", 1_000_000, 60000)
    assert other.answer() == "got 1000000 whole"
    assert time.monotonic() - begin > 2, "the rate is another"


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


def test_there_is_no_upgrade_while_too_many_processes_are_there(own):
    """Workers of the program before still have calls, or seem to: they do not answer."""
    own.serve("[waiting]\nlines_max = 64\n[calls]\nworkers = 32\n")
    stopped(own.processes()["cyphernetd-switch"])
    upgraded(own)
    one, other = call_of(own)
    handed_over(own, 1)
    before = own.server.said().count("event=upgraded")
    own.server.signal(signal.SIGUSR2)
    own.server.says('event=upgrade_failed kept=old reason="processes of earlier programs have not left yet"')
    works(one, other)
    works(*call_of(own, tag=OTHER))
    until(lambda: len(own.processes()["cyphernetd-switch"]) == 32, "they have gone")
    assert own.server.said().count("event=upgraded") == before
    upgraded(own)
    works(one, other)


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


def test_a_program_that_takes_over_waits_for_the_registry(open_tmp, open_programs):
    """It could be read when the program was asked, and cannot be just when it begins."""
    world = World(open_tmp)
    program = open_programs / "cyphernetd"
    registry, away = world.ctl.dir / "registry.db", world.ctl.dir / "away"
    try:
        world.server = world.run_program([program, "--dir", world.ctl.dir])
        until(lambda: b"ready" in world.server.got(), "it is ready")
        one, other = call_of(world)
        program.rename(open_programs / "cyphernetd-next")
        program.write_text(
            f'#!/bin/sh\ncase "$*" in *--inherit*) mv {registry} {away} ;; esac\n'
            f'exec {open_programs}/cyphernetd-next "$@"\n'
        )
        program.chmod(0o755)
        world.server.signal(signal.SIGUSR2)
        until(lambda: world.server.said().count("error: registry.db: ") >= 2, "it tries again")
        works(one, other)
        away.rename(registry)
        world.server.says("event=upgraded")
        works(one, other)
        works(*call_of(world, tag=OTHER))
        handed_over(world, 2)
    finally:
        if (open_programs / "cyphernetd-next").exists():
            (open_programs / "cyphernetd-next").rename(program)
        world.close()


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


def test_while_the_server_ends_a_gate_that_cannot_begin_is_tried_again(open_tmp, open_programs):
    world = World(open_tmp)
    gate = open_programs / "cyphernetd-gate"
    try:
        (world.ctl.dir / "cyphernetd.conf").write_text("[server]\nshutdown_timeout = 1000\n")
        world.server = world.run_program([open_programs / "cyphernetd", "--dir", world.ctl.dir])
        until(lambda: b"ready" in world.server.got(), "it is ready")
        person = invited(world)
        calls = [call_of(world, fingerprints=(person, invited(world))), call_of(world, tag=OTHER)]
        handed_over(world, 2)
        gate.rename(open_programs / "aside")
        shutil.copyfile("/bin/false", gate)
        gate.chmod(0o755)
        world.server.signal(signal.SIGTERM)
        world.server.says("event=ending")
        os.kill(world.gate(), signal.SIGKILL)
        world.server.says("event=process_ended program=cyphernetd-gate code=1")
        (open_programs / "aside").rename(gate)
        world.ctl.ok("revoke", person.stem)
        for line in calls[0]:
            line.ended()
        works(*calls[1])
    finally:
        if (open_programs / "aside").exists():
            (open_programs / "aside").rename(gate)
        world.close()


def test_check_tells_whether_it_could_begin(own):
    check = own.run_program([BUILD / "cyphernetd", "--dir", own.ctl.dir, "--check"])
    check.end(0)
    assert check.said() == "" and check.got() == b""
    own.serve()
    own.run_program([BUILD / "cyphernetd", "--dir", own.ctl.dir, "--check"]).end(0)
    (own.ctl.dir / "cyphernetd.conf").write_text("nonsense\n")
    check = own.run_program([BUILD / "cyphernetd", "--dir", own.ctl.dir, "--check"])
    check.end(1)
    assert "error: cyphernetd.conf: " in check.said()


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
