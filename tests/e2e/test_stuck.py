"""Parts of the server that answer nobody are not waited for: they are killed and replaced."""

import os
import signal
import time

from lines import OTHER, call_of, invited, status, works
from live import World, until
from processes import handed_over, upgraded


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

    def takes():
        begin = time.monotonic()
        one.tell("flow", 1_000_000)
        other.tell("check", 1_000_000, 60000)
        assert other.answer() == "got 1000000 whole"
        assert one.answer() == "ok 1000000"
        return time.monotonic() - begin

    until(lambda: takes() > 2, "the rate is another")


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
