"""One end of a tunnel that holds the right keys, and says what no program of ours would."""

import signal
import socket
import struct

import pytest

from ctl_helper import BUILD
from live import free_port, until
from tunnels import Tunnels, connected, echo, ports

CONNECT, LISTEN, INCOMING, DATAGRAMS, CONTROL, ASK = range(1, 7)
GIVEN_UP, REFUSED, NO_NAME, NO_LISTENER, UNREACHABLE, TIMED_OUT, BROKEN, TOO_MANY, MALFORMED, TAKEN, FAILED = range(11)


def place(name, port=0, form=1):
    return struct.pack("!BH", form, port) + name


def stream(kind, parameters=b"", data=b"", count=1):
    return f"{kind}:{parameters.hex()}:{data.hex()}:{count}"


@pytest.fixture
def tunnels(world):
    made = Tunnels(world)
    yield made
    made.close()


def lie(tunnels, person, role, *streams, answer=b""):
    partner = tunnels.world.bob if person is tunnels.world.ann else tunnels.world.ann
    return tunnels.world.run_program(
        [BUILD / "tests" / "support" / "tunnel_liar", partner.name, role, answer.hex(), *streams],
        env={"CYPHERNET_HOME": str(person.home)},
    )


def outcomes(liar):
    """How its streams ended: kind and code, with the count of each."""
    until(lambda: b"over\n" in liar.got() or liar.process.poll() is not None, "all are over")
    assert liar.process.poll() is None, liar.said()
    rows = [line.split() for line in liar.got().decode().splitlines() if line != "over"]
    return {(int(kind), code if code == "ended" else int(code)): int(count) for kind, code, count in rows}


def still_serves(tunnels, serving, port):
    assert serving.process.poll() is None, serving.said()
    connecting = tunnels.connect(f"localhost:{port}", stdin=b"still there")
    connecting.end(0)
    assert connecting.got() == b"still there"


@pytest.fixture
def served(tunnels):
    """One who serves an echo, and its port."""
    tunnels.port = tunnels.server().port
    tunnels.serving = tunnels.serve(f"localhost:{tunnels.port}", listen=["0"])
    return tunnels


@pytest.mark.parametrize("parameters", [b"", b"\1", b"\1\0\1", place(b""), place(b"localhost", 0), place(b"a b", 1),
                                        place(b"x\0y", 1), place(b"/etc", 1), place(b"/a", 1, 2), place(b"a", 0, 2),
                                        place(b"h", 1, 0), place(b"h", 1, 4), place(b"h" * 256, 1),
                                        place(b"h", 1, 3), place(b"\x1b[2J", 1), b"\xff" * 1024])  # fmt: skip
def test_what_cannot_be_connected_to(served, parameters):
    liar = lie(served, served.world.ann, "forward", stream(CONNECT, parameters, b"data"))
    assert outcomes(liar) == {(CONNECT, MALFORMED): 1}
    liar.stop()
    still_serves(served, served.serving, served.port)


def test_streams_of_no_kind_or_of_another_s(served):
    number = struct.pack("!I", 1)
    liar = lie(
        served, served.world.ann, "forward",
        stream(0xFE, b"x", b"y"), stream(9), stream(INCOMING, number), stream(INCOMING), stream(INCOMING, number * 2),
        stream(CONTROL, b"x"), stream(LISTEN, number), stream(LISTEN, number + place(b"host", 1)),
        stream(LISTEN, number + place(b"localhost", 0, 3)), stream(ASK), stream(ASK, place(b"h", 1)),
        stream(DATAGRAMS, place(b"h", 1)), stream(DATAGRAMS, place(b"h", 1, 3)),
    )  # fmt: skip
    assert outcomes(liar) == {
        (0xFE, GIVEN_UP): 1, (9, GIVEN_UP): 1, (INCOMING, MALFORMED): 3, (CONTROL, MALFORMED): 1,
        (LISTEN, MALFORMED): 2, (LISTEN, REFUSED): 1, (ASK, MALFORMED): 1, (ASK, REFUSED): 1, (DATAGRAMS, MALFORMED): 1,
        (DATAGRAMS, REFUSED): 1,
    }  # fmt: skip
    liar.stop()
    still_serves(served, served.serving, served.port)


def test_a_second_control_stream_and_the_same_place_twice(served):
    """The first of each stays open, so that only the others are over."""
    number = struct.pack("!I", 1)
    liar = lie(served, served.world.ann, "forward", stream(CONTROL, count=3), stream(LISTEN, number + place(b"localhost"), count=3))
    served.serving.says("listening at localhost:")
    until(lambda: liar.process.poll() is None, "it goes on")
    assert served.serving.said().count("listening at") == 1
    [port] = ports(served.serving)
    connected(port).close()
    liar.stop()
    served.serving.says("interrupted")

    def gone():
        try:
            connected(port).close()
        except ConnectionRefusedError:
            return True
        return False

    until(gone, "what was lent is taken back")
    still_serves(served, served.serving, served.port)


def test_more_places_than_may_be_lent(tunnels):
    tunnels.serve(listen=["0"])
    forwarding = tunnels.forward(*[word for _ in range(65) for word in ("-R", "0:localhost:1")])
    forwarding.end(1)
    assert "too many at once" in forwarding.said()


def test_a_thousand_connections_that_are_refused(served):
    liar = lie(served, served.world.ann, "forward", stream(CONNECT, place(b"localhost", 1), b"data", 1000))
    assert outcomes(liar) == {(CONNECT, REFUSED): 1000}
    assert served.serving.said().count("which is not allowed") == 100
    liar.stop()
    still_serves(served, served.serving, served.port)


def test_a_thousand_names_at_once(tunnels):
    """However long it takes to look them up, other calls go on, and it ends at once when it is to."""
    port = tunnels.server().port
    serving = tunnels.serve("*:*")
    liar = lie(tunnels, tunnels.world.ann, "forward", stream(CONNECT, place(b"no-such-name.invalid", 1), b"", 1000))
    serving.says("no-such-name.invalid:1 for ann: no such name")
    still_serves(tunnels, serving, port)
    serving.signal(signal.SIGTERM)
    serving.end(0)
    liar.end()


def test_datagrams_of_nonsense(tunnels):
    port = free_port()
    serving = tunnels.serve(f"udp:localhost:{port}", f"localhost:{port}")
    data = b"\0\5whole\0\0\xff\xff" + b"cut"
    liar = lie(tunnels, tunnels.world.ann, "forward", stream(DATAGRAMS, place(b"localhost", port, 3), data, 300))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", port))
        again = lie(tunnels, tunnels.world.ann, "forward", stream(DATAGRAMS, place(b"localhost", port, 3), data))
        one.settimeout(30)
        assert one.recv(100) == b"whole"
    again.stop()
    liar.stop()
    assert serving.process.poll() is None


# --- one who serves, and lies


def test_a_status_that_is_none(tunnels):
    """And he does not confirm that it is over, for which nobody waits for long."""
    lie(tunnels, tunnels.world.bob, "serve", answer=b"\1")
    connecting = tunnels.connect("localhost:1")
    connecting.end(1)
    assert "not understood" in connecting.said()
    lie(tunnels, tunnels.world.bob, "serve", answer=b"\xff" * 100)
    forwarding = tunnels.forward("-L", "0:localhost:1")
    forwarding.end(1)
    assert "not understood" in forwarding.said()


def test_connections_that_nobody_asked_for(tunnels):
    """To the forwarding end, by numbers of nothing, and by ways that only it may go."""
    port = tunnels.server(echo).port
    number = struct.pack("!I", 7)
    liar = lie(
        tunnels, tunnels.world.bob, "serve",
        stream(INCOMING, number), stream(CONNECT, place(b"localhost", port)), stream(ASK, place(b"localhost", port)),
        stream(LISTEN, number + place(b"localhost")), stream(DATAGRAMS, place(b"localhost", port, 3)), stream(CONTROL),
    )  # fmt: skip
    forwarding = tunnels.forward("-L", f"0:localhost:{port}")
    assert outcomes(liar) == {
        (INCOMING, MALFORMED): 1, (CONNECT, REFUSED): 1, (ASK, REFUSED): 1, (LISTEN, REFUSED): 1,
        (DATAGRAMS, REFUSED): 1, (CONTROL, MALFORMED): 1,
    }  # fmt: skip
    assert forwarding.process.poll() is None
    assert tunnels.servers[0].connections == []
