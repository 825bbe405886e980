"""What tests of the server's processes do and wait for."""

import os
import signal

from lines import status
from live import until

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
