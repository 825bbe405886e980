"""Datagrams through a tunnel: kept apart, whole or not at all, and no later than they are worth."""

import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from live import free_port, until
from tunnels import Tunnels, answer_to, ports


class Datagrams:
    """A socket on loopback that answers what it gets with what answer makes of it."""

    def __init__(self, answer=lambda data: data):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.got = []
        self.sources = set()
        self.answer = answer
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            try:
                data, source = self.socket.recvfrom(65536)
            except OSError:
                return
            if data == b"over":
                return
            self.got.append(data)
            self.sources.add(source)
            if self.answer:
                self.socket.sendto(self.answer(data), source)

    def close(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.sendto(b"over", ("127.0.0.1", self.port))
        self.thread.join(30)
        self.socket.close()


@pytest.fixture
def tunnels(world):
    made = Tunnels(world)
    yield made
    made.close()


@pytest.fixture
def there():
    one = Datagrams()
    yield one
    one.close()


def source_of(port, host="127.0.0.1"):
    one = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    one.settimeout(30)
    one.connect((host, port))
    return one


def forwarded(tunnels, there, *allowed, words=()):
    serving = tunnels.serve(f"udp:localhost:{there.port}", *allowed)
    forwarding = tunnels.forward("-L", f"udp:0:localhost:{there.port}", *words)
    forwarding.says("connected with bob")
    return forwarding, serving, ports(forwarding)[0]


def ask(one, data):
    """The answer; it is asked again if one was lost, as everybody does who uses datagrams."""
    one.settimeout(2)
    for _ in range(10):
        one.send(data)
        try:
            return one.recv(65536)
        except TimeoutError:
            continue
    raise AssertionError("no answer")


def test_datagrams_of_every_size_go_both_ways(tunnels, there):
    _, _, local = forwarded(tunnels, there)
    for host in ("127.0.0.1", "::1"):
        with source_of(local, host) as one:
            for size in (0, 1, 1400, 9000, 65507):
                data = bytes([size % 251]) * size
                assert ask(one, data) == data


def test_each_source_gets_its_own_answers(tunnels, there):
    _, _, local = forwarded(tunnels, there)
    sources = [source_of(local) for _ in range(40)]
    for number, one in enumerate(sources):
        assert ask(one, b"%d" % number) == b"%d" % number
    for number, one in enumerate(sources):
        one.settimeout(None)
        one.setblocking(False)
        with pytest.raises(BlockingIOError):
            one.recv(1)
        one.close()
    assert len(there.sources) == 40


def test_more_sources_than_are_kept_apart_at_once(tunnels, there):
    """Who was silent for the longest makes room, and is welcome again."""
    _, _, local = forwarded(tunnels, there)
    sources = [source_of(local) for _ in range(300)]
    for number, one in enumerate(sources):
        assert ask(one, b"%d" % number) == b"%d" % number
    assert ask(sources[0], b"again") == b"again"
    for one in sources:
        one.close()


def test_datagrams_need_a_rule_of_their_own(tunnels, there):
    tunnels.serve(f"localhost:{there.port}", "*:*")
    forwarding = tunnels.forward("-L", f"udp:0:localhost:{there.port}")
    forwarding.end(8)
    assert f"bob does not let you connect to udp:localhost:{there.port}" in forwarding.said()
    assert there.got == []


def test_a_port_that_is_taken(tunnels, there):
    said = tunnels.world.ann.bad(1, "forward", "bob", "-L", f"udp:127.0.0.1:{there.port}:localhost:1")
    assert f"listening at udp:127.0.0.1:{there.port}: Address already in use" in said


def test_a_flood_holds_nobody_up(tunnels, there):
    """What cannot be carried is lost; connections, and other sources, go on."""
    server = tunnels.server()
    there.answer = None
    forwarding, _, local = forwarded(
        tunnels, there, f"localhost:{server.port}", words=["-L", f"0:localhost:{server.port}"]
    )
    fast, other = ports(forwarding, 2)
    udp, tcp = (fast, other) if f"udp:localhost:{fast}" in forwarding.said() else (other, fast)
    with source_of(udp) as one, source_of(udp) as two:
        for number in range(20000):
            one.send(b"%06d" % number + bytes(8000))
        assert answer_to(tcp, b"meanwhile" * 1000) == b"meanwhile" * 1000
        there.answer = lambda data: data
        assert ask(two, b"another")[:7] == b"another"
    numbers = [int(data[:6]) for data in there.got if data != b"another"]
    assert numbers == sorted(numbers) and all(len(data) in (7, 8006) for data in there.got)


def waiting(port):
    """Octets in the kernel for sockets at that port."""
    lines = [line.split() for name in ("udp", "udp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return sum(int(line[4].split(":")[1], 16) for line in lines if int(line[1].rsplit(":", 1)[1], 16) == port)


def test_the_oldest_are_dropped_when_the_line_stands_still(tunnels, there):
    there.answer = None
    _, serving, local = forwarded(tunnels, there)
    with source_of(local) as one:
        one.send(b"first")
        until(lambda: there.got, "the first has come")
        serving.signal(signal.SIGSTOP)
        for number in range(2000):
            one.send(b"%06d" % number + bytes(1000))
            until(lambda: waiting(local) == 0, "it has been taken") if number % 20 == 0 else None
        until(lambda: waiting(local) == 0, "all have been taken")
        late = time.monotonic() + 0.3
        until(lambda: time.monotonic() > late, "they are too old to be of use")
        one.send(b"last")
        until(lambda: waiting(local) == 0, "that too")
    serving.signal(signal.SIGCONT)
    until(lambda: b"last" in there.got, "the last has come")
    numbers = [int(data[:6]) for data in there.got[1:-1]]
    assert numbers == sorted(numbers) and len(numbers) < 200, "only what was on its way"


# --- the other way round


def backward(tunnels, there, *words, allowed="udp:*"):
    """Who sends to that port at bob's gets to ann's."""
    serving = tunnels.serve(listen=[allowed])
    forwarding = tunnels.forward("-R", f"udp:0:localhost:{there.port}", *words)
    forwarding.says("bob listens at udp:localhost:")
    return forwarding, serving, ports(forwarding, by="bob")[0]


def test_datagrams_back_of_every_size(tunnels, there):
    _, _, local = backward(tunnels, there)
    for host in ("127.0.0.1", "::1"):
        with source_of(local, host) as one:
            for size in (0, 1, 1400, 65507):
                data = bytes([size % 251]) * size
                assert ask(one, data) == data


def test_each_source_back_gets_its_own_answers(tunnels, there):
    """More than are kept apart at once."""
    forwarding, serving, local = backward(tunnels, there)
    sources = [source_of(local) for _ in range(300)]
    for number, one in enumerate(sources):
        assert ask(one, b"%d" % number) == b"%d" % number
    assert ask(sources[0], b"again") == b"again"
    for one in sources:
        one.close()
    forwarding.signal(signal.SIGTERM)
    forwarding.end(0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        until(lambda: not waiting(local) and bound(one, local), "the port is free again")
    assert serving.process.poll() is None


def bound(one, port):
    try:
        one.bind(("127.0.0.1", port))
        return True
    except OSError:
        return False


@pytest.mark.parametrize("allowed", ["8080", "*:*", "udp:1"])
def test_datagrams_back_need_a_rule_of_their_own(tunnels, there, allowed):
    tunnels.serve(listen=[allowed])
    forwarding = tunnels.forward("-R", f"udp:8080:localhost:{there.port}")
    forwarding.end(8)
    assert "bob does not let you listen at udp:localhost:8080" in forwarding.said()
    assert "--allow-listen udp:localhost:8080" in forwarding.said()


def test_a_place_back_where_nobody_listens(tunnels):
    """Is found out by nobody, as it is with datagrams; and the next that come arrive."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as late:
        late.bind(("127.0.0.1", 0))
        port = late.getsockname()[1]
        late.close()
        tunnels.serve(listen=["udp:*"])
        forwarding = tunnels.forward("-R", f"udp:0:127.0.0.1:{port}")
        forwarding.says("bob listens at")
        with source_of(ports(forwarding, by="bob")[0]) as one:
            one.send(b"to nobody")
            there = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            there.bind(("127.0.0.1", port))
            there.setblocking(False)

            def arrived():
                one.send(b"to somebody")
                try:
                    return there.recv(100) in (b"to somebody", b"to nobody")
                except BlockingIOError:
                    return False

            until(arrived, "one has arrived")
            there.close()


def test_one_who_listens_again_gets_the_next_ones(tunnels):
    port = free_port()
    tunnels.serve(f"udp:127.0.0.1:{port}")
    forwarding = tunnels.forward("-L", f"udp:0:127.0.0.1:{port}")
    forwarding.says("connected with bob")
    with source_of(ports(forwarding)[0]) as one, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as late:
        one.send(b"to nobody")
        late.bind(("127.0.0.1", port))
        late.setblocking(False)

        def arrived():
            one.send(b"to somebody")
            try:
                return late.recv(100) == b"to somebody"
            except BlockingIOError:
                return False

        until(arrived, "one has arrived")
