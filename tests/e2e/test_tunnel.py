"""cyphernet forward, serve and connect: what is carried is whole, ends and resets too."""

import json
import random
import resource
import signal
import socket
import threading

import pytest

from live import until
from tunnels import LIMIT, Tunnels, answer_to, connected, everything, keep, ports, reset_now

PIPE = -1


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


@pytest.fixture
def tunnels(world):
    made = Tunnels(world)
    yield made
    made.close()


@pytest.fixture
def many_descriptors():
    """As many as the system lets us have, of which some thousands are needed."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def is_cut(connection):
    """It ends as a reset, not as an end."""
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        while connection.recv(65536):
            pass
        raise AssertionError("an end")


def accepted(server, count=1):
    """The connections that have arrived there."""
    until(lambda: len(server.connections) >= count, f"{count} have arrived")
    return server.connections


# --- what works


@pytest.mark.parametrize("target", ["127.0.0.1", "localhost", "[::1]"])
def test_octets_go_both_ways_and_the_end_too(tunnels, target):
    port = tunnels.server(host="::1" if target == "[::1]" else "127.0.0.1").port
    forwarding, serving, local = tunnels.to(port, target=target)
    for size in (0, 1, 100000, 5 << 20):
        assert answer_to(local, noise(size)) == noise(size)
        assert answer_to(local, noise(size), host="::1") == noise(size)
    forwarding.signal(signal.SIGINT)
    forwarding.end(0)
    serving.signal(signal.SIGTERM)
    serving.end(0)


def test_unix_sockets_at_either_end_and_both(tunnels, tmp_path):
    there = tunnels.server(path=tmp_path / "there")
    port = tunnels.server().port
    tunnels.serve(str(tmp_path / "there"), f"localhost:{port}")
    forwarding = tunnels.forward(
        "-L", f"0:{tmp_path}/there", "-L", f"{tmp_path}/one:localhost:{port}", "-L", f"{tmp_path}/two:{tmp_path}/there"
    )
    forwarding.says("connected with bob")
    for at in (ports(forwarding)[0], tmp_path / "one", tmp_path / "two"):
        assert answer_to(at, noise(200000)) == noise(200000)
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o600
    assert len(there.connections) == 2
    forwarding.signal(signal.SIGTERM)
    forwarding.end(0)
    assert not (tmp_path / "one").exists() and not (tmp_path / "two").exists()


def test_the_partner_listens(tunnels, tmp_path):
    port = tunnels.server().port
    tunnels.serve(listen=["0", str(tmp_path / "far")])
    forwarding = tunnels.forward("-R", f"0:localhost:{port}", "-R", f"{tmp_path}/far:localhost:{port}")
    far = ports(forwarding, by="bob")[0]
    until((tmp_path / "far").exists, "it is listened at")
    assert answer_to(far, noise(300000)) == noise(300000)
    assert answer_to(tmp_path / "far", noise(300000)) == noise(300000)
    forwarding.signal(signal.SIGTERM)
    forwarding.end(0)
    until(lambda: not (tmp_path / "far").exists(), "what was lent is taken back")
    with pytest.raises(ConnectionRefusedError):
        connected(far)


def test_who_connects_before_the_call_waits(tunnels):
    port = tunnels.server().port
    forwarding = tunnels.forward("-L", f"0:localhost:{port}")
    forwarding.says("waiting for bob")
    early = connected(ports(forwarding)[0])
    early.sendall(b"early")
    tunnels.serve_at_last(f"localhost:{port}")
    assert early.recv(5) == b"early"
    early.close()


def test_a_half_that_ends_leaves_the_other_open(tunnels):
    def backwards(connection):
        """All of it, and only then the answer."""
        connection.sendall(everything(connection)[::-1])
        connection.close()

    def first_the_answer(connection):
        connection.sendall(b"answer")
        connection.shutdown(socket.SHUT_WR)
        questions.append(everything(connection))

    questions = []
    server = tunnels.server(backwards)
    _, _, local = tunnels.to(server.port)
    assert answer_to(local, noise(3 << 20)) == noise(3 << 20)[::-1]
    server.serve = first_the_answer
    with connected(local) as one:
        assert everything(one) == b"answer"
        one.sendall(b"a question that comes late")
        one.shutdown(socket.SHUT_WR)
        until(lambda: questions, "it has come")
    assert questions == [b"a question that comes late"]


def test_a_reset_here_is_one_there(tunnels):
    server = tunnels.server(keep)
    _, _, local = tunnels.to(server.port)
    one = connected(local)
    [there] = accepted(server)
    reset_now(one)
    is_cut(there)


def test_a_reset_there_is_one_here(tunnels):
    server = tunnels.server(keep)
    _, _, local = tunnels.to(server.port)
    one = connected(local)
    [there] = accepted(server)
    reset_now(there)
    is_cut(one)
    connected(local).close()  # it goes on with others


def test_two_hundred_at_once_each_with_its_own_octets(tunnels):
    _, _, local = tunnels.to(tunnels.server().port)
    wrong = []

    def one(number):
        data = noise(20000 + number, number)
        if answer_to(local, data) != data:
            wrong.append(number)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert not any(thread.is_alive() for thread in threads)
    assert not wrong


@pytest.mark.parametrize("who", ["here", "there"])
def test_those_that_never_read_stop_nobody_else(tunnels, who):
    """Each way: what is not read fills its own connection and no more, of however many."""

    def pour(connection):
        for _ in range(32):
            connection.sendall(bytes(65536))

    def stuck(one):
        one.setblocking(False)
        for _ in range(32):
            try:
                one.send(bytes(65536))
            except BlockingIOError:
                return

    server, silent = tunnels.server(), tunnels.server(pour if who == "here" else keep)
    tunnels.serve(f"localhost:{server.port}", f"localhost:{silent.port}")
    forwarding = tunnels.forward("-L", f"0:localhost:{server.port}", "-L", f"0:localhost:{silent.port}")
    forwarding.says("connected with bob")
    local, other = ports(forwarding, 2)
    slow = [connected(other) for _ in range(80)]
    accepted(silent, len(slow))
    for one in slow if who == "there" else []:
        stuck(one)
    for _ in range(5):
        assert answer_to(local, noise(1 << 20)) == noise(1 << 20)
    for one in slow:
        one.close()


def test_more_than_are_let_in_at_once_wait(tunnels, many_descriptors):
    _, _, local = tunnels.to(tunnels.server().port)
    everybody = [connected(local) for _ in range(1050)]
    for one in everybody[:1000]:
        one.sendall(b"x")
    for one in everybody[:1000]:
        assert one.recv(1) == b"x"
    late = everybody[1049]
    late.sendall(b"late")
    late.settimeout(0.2)
    with pytest.raises(TimeoutError):
        late.recv(1)
    for one in everybody[:100]:
        one.close()
    late.settimeout(LIMIT)
    assert late.recv(1) == b"l"
    for one in everybody:
        one.close()


# --- connect


def test_connect_joins_standard_input_and_output(tunnels):
    port = tunnels.server().port
    tunnels.serve(f"localhost:{port}")
    for size in (0, 3 << 20):
        connecting = tunnels.connect(f"localhost:{port}", stdin=noise(size))
        connecting.end(0)
        assert connecting.got() == noise(size)


def test_connect_from_file_to_file_and_to_a_path(tunnels, tmp_path):
    tunnels.server(path=tmp_path / "there")
    (tmp_path / "in").write_bytes(noise(2 << 20))
    tunnels.serve(f"{tmp_path}/there")
    tunnels.connect(f"{tmp_path}/there", stdin=tmp_path / "in", stdout=tmp_path / "out").end(0)
    assert (tmp_path / "out").read_bytes() == noise(2 << 20)


def test_connect_appends_to_a_file(tunnels, tmp_path):
    port = tunnels.server().port
    tunnels.serve(f"localhost:{port}")
    (tmp_path / "out").write_bytes(b"before ")
    with (tmp_path / "out").open("ab") as out:
        tunnels.connect(f"localhost:{port}", stdin=b"and after", stdout=out).end(0)
    assert (tmp_path / "out").read_bytes() == b"before and after"


def test_connect_with_an_input_or_an_output_that_is_closed(tunnels):
    port = tunnels.server().port
    tunnels.serve(f"localhost:{port}")
    words = [tunnels.program, "connect", "bob", f"localhost:{port}", "--wait", "30"]
    env = {"CYPHERNET_HOME": str(tunnels.world.ann.home)}
    closed_in = tunnels.world.run_program(["sh", "-c", 'exec "$@" <&-', "sh", *words], env=env)
    closed_in.end(0)
    assert closed_in.got() == b""
    closed_out = tunnels.world.run_program(["sh", "-c", 'exec "$@" >&-', "sh", *words], env=env, stdin=b"lost")
    closed_out.end(1)
    assert "error: standard input or output: " in closed_out.said()


def test_connect_whose_reader_has_gone(tunnels):
    port = tunnels.server(lambda connection: connection.sendall(noise(1 << 20))).port
    tunnels.serve(f"localhost:{port}")
    connecting = tunnels.connect(f"localhost:{port}", stdin=PIPE, stdout=PIPE)
    connecting.stdout.read(1)
    connecting.stdout.close()
    connecting.end(1)
    assert "error: standard input or output: " in connecting.said()


def test_connect_passes_an_end_on_while_its_input_is_open(tunnels):
    def speak(connection):
        connection.sendall(b"all there is")
        connection.shutdown(socket.SHUT_WR)
        heard.append(everything(connection))

    heard = []
    port = tunnels.server(speak).port
    tunnels.serve(f"localhost:{port}")
    connecting = tunnels.connect(f"localhost:{port}", stdin=PIPE, stdout=PIPE)
    assert connecting.stdout.read() == b"all there is"
    assert connecting.process.poll() is None
    connecting.stdin.write(b"late")
    connecting.stdin.close()
    connecting.end(0)
    until(lambda: heard == [b"late"], "it has been heard")


def test_connect_is_cut_with_its_connection(tunnels):
    server = tunnels.server(keep)
    tunnels.serve(f"localhost:{server.port}")
    connecting = tunnels.connect(f"localhost:{server.port}", stdin=PIPE)
    [there] = accepted(server)
    reset_now(there)
    connecting.end(5)
    assert "the connection was reset" in connecting.said()


def test_many_calls_at_once(tunnels):
    """The one that serves takes them all; none pushes another out."""
    port = tunnels.server().port
    tunnels.serve(f"localhost:{port}")
    connecting = [tunnels.connect(f"localhost:{port}", stdin=noise(100000, n)) for n in range(12)]
    for number, one in enumerate(connecting):
        one.end(0)
        assert one.got() == noise(100000, number)


def test_several_wait_for_one_who_serves_later(tunnels):
    """They take turns in waiting."""
    port = tunnels.server().port
    connecting = [tunnels.connect(f"localhost:{port}", stdin=b"%d" % n, wait=None) for n in range(3)]
    for one in connecting:
        one.says("waiting for bob")
    tunnels.serve_at_last(f"localhost:{port}")
    for number, one in enumerate(connecting):
        one.end(0)
        assert one.got() == b"%d" % number


def test_events(tunnels, tmp_path):
    port = tunnels.server().port
    serving = tunnels.serve(f"localhost:{port}", words=["--json"])
    read, write = socket.socketpair()
    connecting = tunnels.connect(
        f"localhost:{port}", "--events", str(write.fileno()), stdin=b"12345", pass_fds=[write.fileno()]
    )
    connecting.end(0)
    write.close()
    told = [json.loads(line) for line in everything(read).splitlines()]
    assert [one["event"] for one in told][-4:] == ["open", "opened", "closed", "done"]
    assert told[-2] == {
        "v": 1, "event": "closed", "contact": "bob", "address": f"localhost:{port}",
        "sent": 5, "received": 5, "reason": "done",
    }
    until(lambda: b'"closed"' in serving.got(), "it has told so, too")
    forwarding = tunnels.forward("-L", f"0:localhost:{port}", "--json")
    until(lambda: b'"listening"' in forwarding.got(), "it listens")
    first = json.loads(forwarding.got().splitlines()[0])
    assert first["event"] == "listening" and first["back"] is False and first["address"].startswith("localhost:")
    read.close()


# --- the end


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_half_of_what_comes_is_not_taken_for_all(tunnels, number):
    """Of one that ends with its connection: others end well when they are interrupted."""
    server = tunnels.server(keep)
    serving = tunnels.serve(f"localhost:{server.port}")
    connecting = tunnels.connect(f"localhost:{server.port}", stdin=-1)
    [there] = accepted(server)
    there.sendall(b"half")
    until(lambda: connecting.got() == b"half", "half of it has come")
    connecting.signal(number)
    connecting.end(128 + number)
    with pytest.raises(ConnectionResetError):
        there.recv(1)
    assert "reconnecting" not in serving.said()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_who_serves_ends_well_and_resets_what_is_open(tunnels, number):
    server = tunnels.server(keep)
    forwarding, serving, local = tunnels.to(server.port)
    one = connected(local)
    [there] = accepted(server)
    serving.signal(number)
    serving.end(0)
    forwarding.end(5)
    assert "bob serves no more" in forwarding.said()
    is_cut(one)
    is_cut(there)


def test_who_forwards_ends_well_and_resets_what_is_open(tunnels):
    server = tunnels.server(keep)
    forwarding, serving, local = tunnels.to(server.port)
    one = connected(local)
    [there] = accepted(server)
    forwarding.signal(signal.SIGTERM)
    forwarding.end(0)
    is_cut(one)
    is_cut(there)
    assert serving.process.poll() is None
    again = tunnels.forward("-L", f"0:127.0.0.1:{server.port}")
    again.says("connected with bob")


@pytest.mark.parametrize("who", ["serving", "forwarding"])
def test_a_partner_that_vanishes_is_an_interruption(tunnels, who):
    server = tunnels.server(keep)
    forwarding, serving, local = tunnels.to(server.port)
    one = connected(local)
    [there] = accepted(server)
    if who == "serving":
        serving.stop()
        forwarding.end(5)
        assert "interrupted before its end" in forwarding.said()
        is_cut(one)
    else:
        forwarding.stop()
        is_cut(there)
        serving.says("interrupted before its end")
        assert serving.process.poll() is None
    one.close()


def test_connect_whose_partner_vanishes(tunnels):
    server = tunnels.server(keep)
    serving = tunnels.serve(f"localhost:{server.port}")
    connecting = tunnels.connect(f"localhost:{server.port}", stdin=PIPE)
    accepted(server)
    serving.stop()
    connecting.end(5)
    assert "the call with bob was interrupted before its end" in connecting.said()
    assert "given up" not in connecting.said()


def test_a_second_one_that_serves_takes_over(tunnels):
    """The first keeps the calls that it has."""
    server = tunnels.server()
    forwarding, first, local = tunnels.to(server.port)
    second = tunnels.serve(f"localhost:{server.port}")
    first.says("another program of yours")
    assert answer_to(local, b"still there") == b"still there"
    forwarding.signal(signal.SIGTERM)
    forwarding.end(0)
    first.end(7)
    connecting = tunnels.connect(f"localhost:{server.port}", stdin=b"the second")
    connecting.end(0)
    assert second.process.poll() is None and connecting.got() == b"the second"
