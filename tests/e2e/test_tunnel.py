"""cyphernet forward, serve and connect: what is carried is whole, and nothing is that was not allowed."""

import random
import signal
import socket

import pytest

from live import until
from tunnels import LIMIT, Tunnels, answer_to, connected, echo, everything, keep, ports, reset_now


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


@pytest.fixture
def tunnels(world):
    made = Tunnels(world)
    yield made
    made.close()


def is_cut(connection):
    """It ends as a reset, not as an end."""
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        while connection.recv(65536):
            pass


# --- what works


def test_octets_go_both_ways_and_the_end_too(tunnels):
    forwarding, serving, port = tunnels.to(tunnels.server().port)
    for size in (0, 1, 100000, 5 << 20):
        assert answer_to(port, noise(size)) == noise(size)
    forwarding.signal(signal.SIGINT)
    forwarding.end(0)
    serving.signal(signal.SIGTERM)
    serving.end(0)
