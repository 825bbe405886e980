"""Which programs may take over from those that run: SIGUSR2 and --check."""

import contextlib
import os
import shutil
import signal
import time

import pytest
from ctl_helper import BUILD
from lines import OTHER, Line, call_of, invited, status, works
from live import World, until
from processes import handed_over, upgraded


def call_unless_sent_away(own):
    """Who comes to a gate that is just being replaced, is told to come again."""
    try:
        return call_of(own, tag=OTHER)
    except AssertionError as said:
        assert str(said).startswith("goaway "), said
        return None


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
    works(*until(lambda: call_unless_sent_away(own), "there is a gate that stays"))
    handed_over(own, 2)


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


def begun(tmp, programs):
    """A server that is run by these programs, which may be replaced."""
    world = World(tmp)
    (world.ctl.dir / "cyphernetd.conf").write_text("[metrics]\nlisten = metrics.sock\n")
    world.server = world.run_program([programs / "cyphernetd", "--dir", world.ctl.dir])
    until(lambda: b"ready" in world.server.got(), "it is ready")
    world.programs = programs
    return world


@pytest.fixture
def movable(open_tmp, open_programs):
    """A server whose programs may be replaced; they are put back."""
    world = begun(open_tmp, open_programs)
    yield world
    world.close()
    for aside in open_programs.glob("*-aside"):
        aside.rename(str(aside).removesuffix("-aside"))


class Replacement:
    """Another program under a server with a call, which is asked to take it."""

    def __init__(self, world, program, script):
        self.world = world
        self.call = call_of(world)
        self.before = world.processes()
        self.repair = replaced(world.programs / f"cyphernetd-{program}", script)
        world.server.signal(signal.SIGUSR2)

    def fails(self):
        self.world.server.says("event=upgrade_failed kept=old")
        assert self.world.processes() == self.before
        works(*self.call)

    def is_mended(self):
        self.repair()
        upgraded(self.world)
        works(*self.call)
        works(*call_of(self.world, tag=OTHER))


@pytest.mark.parametrize("program", ["gate", "switch", "metrics"])
@pytest.mark.parametrize("script", ["exit 1", "exit 0"])
def test_a_program_whose_others_cannot_begin_does_not_take_over(movable, program, script):
    replacement = Replacement(movable, program, script)
    replacement.fails()
    check = movable.run_program([movable.programs / "cyphernetd", "--dir", movable.ctl.dir, "--check"])
    check.end(1)
    assert "error: starting: " in check.said()
    replacement.is_mended()


def test_a_program_whose_others_do_not_begin_does_not_take_over(open_tmp, open_programs):
    """Three servers at once, since each waits for twenty seconds before it gives up."""
    with contextlib.ExitStack() as worlds:
        replacements = []
        for program in ("gate", "switch", "metrics"):
            place = open_tmp / program
            place.mkdir(mode=0o755)
            world = begun(place, shutil.copytree(open_programs, place / "programs"))
            worlds.callback(world.close)
            replacements.append(Replacement(world, program, "exec sleep 1000"))
        for replacement in replacements:
            replacement.fails()
            replacement.is_mended()


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


def test_a_new_program_has_no_more_pipes_than_fit_beside_the_lines_there_are(own):
    """200 descriptors, 64 of them reserved, 4 for two pipes: 132 lines, which leave room for two pipes later, too."""
    own.serve("[calls]\npipes_max = 2\nworkers = 1\n", under=["prlimit", "--nofile=200:200"])
    assert "descriptors allow only 132 lines" in own.server.said()
    (own.ctl.dir / "cyphernetd.conf").write_text("[calls]\npipes_max = 100\nworkers = 1\n")
    upgraded(own)
    said = own.server.said()
    assert "descriptors allow only 2 pipes of calls.pipes_max = 100 beside 132 lines" in said
    assert "allow only 2 lines" not in said
    assert "event=upgraded version=" in said and "needs_restart=calls.pipes_max\n" in said
    people = invited(own), invited(own)
    calls = [call_of(own, fingerprints=people, tag=f"{n:02x}" + 31 * "01", buffer=4096) for n in range(4)]
    for one, _ in calls:
        before = status(own)["bytes"]
        one.tell("send", 20_000_000)  # which nobody reads
        until(lambda: status(own)["bytes"] > before + 10_000, "octets are on their way")
    own.server.signal(signal.SIGHUP)
    own.server.says("event=reloaded needs_restart=calls.pipes_max\n")
    assert status(own)["pipes"] == 2
    upgraded(own)
    handed_over(own, 4)
