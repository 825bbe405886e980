"""What a tunnel refuses: forms, ports that are taken, addresses that are not allowed, ends that are not there."""

import contextlib
import json
import resource
import socket
import struct

import pytest

from live import free_port, until
from tunnels import Tunnels, answer_to, connected, everything, ports

CONNECT, BIND, ASSOCIATE = 1, 2, 3


@pytest.fixture
def tunnels(world):
    made = Tunnels(world)
    yield made
    made.close()


# --- forms


@pytest.mark.parametrize(
    "words",
    [
        [], ["-L"], ["-L", ""], ["-L", "8080"], ["-L", "8080:localhost"], ["-L", "8080:localhost:0"],
        ["-L", "8080:localhost:65536"], ["-L", "8080:localhost:+1"], ["-L", "8080:localhost: 1"],
        ["-L", "65536:localhost:80"], ["-L", "x:localhost:80"], ["-L", "-1:localhost:80"],
        ["-L", "somewhere:8080:localhost:80"], ["-L", "[::1:8080:localhost:80"], ["-L", "::1:8080:localhost:80"],
        ["-L", "8080::80"], ["-L", "8080:-x:80"], ["-L", "8080:a b:80"], ["-L", "8080:a\n:80"], ["-L", "8080:*:80"],
        ["-L", "8080:[]:80"], ["-L", "1:2:3:4:5"], ["-L", "8080:relative/path"], ["-L", f"8080:/{'x' * 107}"],
        ["-L", f"8080:{'x' * 256}:80"], ["-L", "/:localhost:80"], ["-L", "udp:8080:/path"], ["-L", "udp:/path:host:80"],
        ["-L", "udp:8080"], ["-R", "8080"], ["-R", "udp:8080:/path"], ["-R", "8080:localhost:http"],
        ["-D", ""], ["-D", "host:8080"], ["-D", "1:2:3"], ["-D", "udp:8080"], ["-L", "0:localhost:80", "-D", "x"],
    ],
)  # fmt: skip
def test_what_is_no_forward(tunnels, words):
    said = tunnels.world.ann.bad(2, "forward", "bob", *words)
    assert "usage: cyphernet forward" in said or "wants a value" in said


@pytest.mark.parametrize(
    "words",
    [
        [], ["--allow"], ["--allow", ""], ["--allow", "localhost"], ["--allow", "localhost:"], ["--allow", ":80"],
        ["--allow", "localhost:0"], ["--allow", "localhost:80-"], ["--allow", "localhost:80-79"],
        ["--allow", "localhost:80-65536"], ["--allow", "localhost:-80"], ["--allow", "::1:80"], ["--allow", "*"],
        ["--allow", "*.example:80"], ["--allow", "relative/path"], ["--allow", "udp:/path"], ["--allow", "a b:80"],
        ["--allow-listen", ""], ["--allow-listen", "x"], ["--allow-listen", "name:80"], ["--allow-listen", "[*]:80x"],
        ["--allow-listen", "80-70"], ["--allow-listen", "1:2:3"],
    ],
)  # fmt: skip
def test_what_is_no_rule(tunnels, words):
    said = tunnels.world.bob.bad(2, "serve", "ann", *words)
    assert "usage: cyphernet serve" in said or "wants a value" in said


@pytest.mark.parametrize("to", ["", "localhost", "localhost:", ":22", "localhost:ssh", "udp:localhost:53", "a/b", "[::1]"])
def test_what_is_nothing_to_connect_to(tunnels, to):
    assert "is not HOST:PORT" in tunnels.world.ann.bad(2, "connect", "bob", to)


def test_more_options_than_there_may_be(tunnels):
    words = [word for port in range(1, 258) for word in ("--allow", f"localhost:{port}")]
    assert "too many options" in tunnels.world.bob.bad(2, "serve", "ann", *words)


def test_connect_has_no_json_of_its_own(tunnels):
    assert "--events FD" in tunnels.world.ann.bad(2, "connect", "bob", "localhost:22", "--json")


@pytest.mark.parametrize("number", ["0", "1", "3", "4", "5", "6", "7", "8", "", "x"])
@pytest.mark.parametrize("words", [("connect", "bob", "localhost:22"), ("pipe", "bob")])
def test_where_events_cannot_go(tunnels, words, number):
    """Nor to a descriptor that the program itself would open."""
    one = tunnels.world.start(tunnels.world.ann, *words, f"--events={number}", stdin=b"x")
    one.end(2)
    assert "--events wants" in one.said() and one.got() == b""


# --- what is taken here


@pytest.mark.parametrize("option", ["-L", "-D"])
def test_a_port_that_is_taken_is_told_before_the_call(tunnels, option):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = tunnels.world.ann.bad(1, "forward", "bob", option, f"{port}:localhost:80" if option == "-L" else port)
    assert f"listening at localhost:{port}: Address already in use" in said and "hint: " in said
    assert "waiting" not in said


def test_a_path_that_is_taken_is_left_alone(tunnels, tmp_path):
    path = tmp_path / "taken"
    path.write_text("precious")
    said = tunnels.world.ann.bad(1, "forward", "bob", "-L", f"{path}:localhost:80")
    assert f"listening at {path}: Address already in use" in said
    assert path.read_text() == "precious"


@pytest.mark.parametrize("words", [["-L", "x"], ["-R", "8080"], ["-D", "udp:1"], ["--wait", "soon"], ["-R", "udp:/x:localhost:1"]])
@pytest.mark.parametrize("name", ["bob", "no/name"])
def test_what_is_wrong_is_told_before_anything_is_bound(tunnels, tmp_path, words, name):
    """Though it stands behind what could be; here it would be refused, and another exit code."""
    path = tmp_path / "taken"
    path.write_text("precious")
    words = words if name == "bob" else []
    said = tunnels.world.ann.bad(2, "forward", name, "-L", f"{path}:localhost:80", *words)
    assert "listening" not in said and "in use" not in said


# --- what all calls hold together


def test_a_limit_is_for_all_calls_together(tunnels):
    """Of places to listen at 64, however many calls ask for them."""
    serving = tunnels.serve(listen=["*"])
    words = [word for _ in range(40) for word in ("-R", "0:localhost:1")]
    first = tunnels.forward(*words)
    until(lambda: first.said().count("bob listens at") == 40, "all listen")
    second = tunnels.forward(*words)
    second.end(1)
    assert "bob cannot listen at localhost:0: too many at once" in second.said()
    assert first.process.poll() is None and serving.process.poll() is None


# --- what is not allowed there


@pytest.mark.parametrize(
    "allowed, wanted",
    [
        ("localhost:1-9", "localhost:10"),
        ("localhost:9", "127.0.0.1:9"),
        ("127.0.0.1:9", "localhost:9"),
        ("*:9", "localhost:8"),
        ("localhost:*", "localhost.:9"),
        ("*:*", "/some/path"),
        ("/some/path", "/some/../some/path"),
        ("udp:localhost:9", "localhost:9"),
    ],
)
def test_what_is_not_allowed_ends_the_call(tunnels, allowed, wanted):
    serving = tunnels.serve(allowed)
    forwarding = tunnels.forward("-L", f"0:{wanted}")
    forwarding.end(8)
    assert f"error: bob does not let you connect to {wanted}" in forwarding.said()
    assert f"hint: bob can allow it: cyphernet serve ann --allow {wanted}" in forwarding.said()
    serving.says(f"ann asks to connect to {wanted}, which is not allowed")
    connecting = tunnels.connect(wanted)
    connecting.end(8)
    assert f"error: bob does not let you connect to {wanted}" in connecting.said() and connecting.got() == b""


@pytest.mark.parametrize("allowed, wanted", [("1-9", "10"), ("127.0.0.1:0", "0"), ("0", "127.0.0.1:0"), ("0", "*:0")])
def test_where_it_may_not_listen_ends_the_call(tunnels, allowed, wanted):
    tunnels.serve(listen=[allowed])
    forwarding = tunnels.forward("-R", f"{wanted}:localhost:80")
    forwarding.end(8)
    assert "error: bob does not let you listen at " in forwarding.said()


def test_what_may_be_reached_may_not_be_listened_at(tunnels, tmp_path):
    port = free_port()
    tunnels.serve(f"localhost:{port}", f"{tmp_path}/path")
    for at in (port, f"{tmp_path}/path"):
        tunnels.forward("-R", f"{at}:localhost:80").end(8)
    assert not (tmp_path / "path").exists()


def test_a_place_that_is_taken_there(tunnels):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        tunnels.serve(listen=[f"{port}"])
        forwarding = tunnels.forward("-R", f"{port}:localhost:80")
        forwarding.end(1)
    assert f"bob cannot listen at localhost:{port}: somebody listens there already" in forwarding.said()


def test_rules_as_they_are_meant(tunnels):
    server = tunnels.server()
    port = server.port
    tunnels.serve(f"localhost:{port - 1}-{port + 1}")
    for host in ("localhost", "LOCALHOST"):
        connecting = tunnels.connect(f"{host}:{port}", stdin=b"x")
        connecting.end(0)
        assert connecting.got() == b"x"


def test_what_a_partner_asks_for_is_shown_with_care(tunnels):
    serving = tunnels.serve("localhost:1")
    tunnels.forward("-L", "0:/\x1b[2J\n/x").end(8)
    serving.says("not allowed")
    assert "\x1b" not in serving.said() and "ann asks to connect to /\\x1b[2J\\x0a/x, which" in serving.said()


def test_many_refusals_are_told_once(tunnels):
    serving = tunnels.serve("localhost:1")
    forwarding = tunnels.forward("-D", "0")
    forwarding.says("connected with bob")
    port = ports(forwarding)[0]
    for _ in range(120):
        with connected(port) as one:
            assert socks(one, "localhost", 2) == 2
    serving.says("what else is refused in this call is not told")
    assert serving.said().count("which is not allowed") == 100


# --- what is not there


def is_reset(port):
    with pytest.raises(ConnectionResetError), connected(port) as one:
        one.recv(1)


def test_nobody_listens_there(tunnels, tmp_path):
    port = free_port()
    tunnels.serve(f"localhost:{port}", str(tmp_path / "none"))
    for to in (f"localhost:{port}", f"{tmp_path}/none"):
        connecting = tunnels.connect(to)
        connecting.end(1)
        assert f"error: bob cannot connect to {to}: connection refused" in connecting.said()
    forwarding = tunnels.forward("-L", f"0:localhost:{port}")
    forwarding.says("connected with bob")
    is_reset(ports(forwarding)[0])
    assert forwarding.process.poll() is None


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_nobody_listens_here_where_the_partner_is_let_in(tunnels, words):
    port = free_port()
    tunnels.serve(listen=["0"], words=words)
    forwarding = tunnels.forward("-R", f"0:127.0.0.1:{port}", *words)
    is_reset(ports(forwarding, by="bob")[0])
    forwarding.says(f"error: connecting to 127.0.0.1:{port} for bob: connection refused")
    assert "to listen" not in forwarding.said() and forwarding.process.poll() is None
    if words:
        assert refusals(forwarding) == [(f"127.0.0.1:{port}", "no-listener", False, True)]


def refusals(running):
    told = [json.loads(line) for line in running.got().splitlines()]
    return [(e["address"], e["reason"], e["listen"], e["here"]) for e in told if e["event"] == "refused"]


def test_refusals_in_json_say_whose_they_are(tunnels):
    serving = tunnels.serve("localhost:1", words=["--json"])
    asking = tunnels.forward("-R", "7:localhost:80", "--json")
    asking.end(8)
    serving.says("to listen at localhost:7")
    assert refusals(asking) == [("localhost:7", "refused", True, False)]
    assert refusals(serving) == [("localhost:7", "refused", True, True)]
    asking = tunnels.forward("-L", "0:localhost:2", "--json")
    asking.end(8)
    serving.says("asks to connect to localhost:2")
    assert refusals(asking) == [("localhost:2", "refused", False, False)]
    assert refusals(serving)[1:] == [("localhost:2", "refused", False, True)]


def test_a_name_that_means_nothing_stops_nobody_else(tunnels):
    server = tunnels.server()
    tunnels.serve("*:*")
    forwarding = tunnels.forward("-L", f"0:localhost:{server.port}", "-L", "0:no-such-name.invalid:80")
    forwarding.says("connected with bob")
    good, bad = ports(forwarding, 2)
    with connected(bad) as one:
        assert answer_to(good, b"meanwhile") == b"meanwhile"
        with pytest.raises(ConnectionResetError):
            one.recv(1)
    forwarding.says("bob cannot connect to no-such-name.invalid:80: no such name")


def test_nothing_at_our_end_of_what_the_partner_listens_for(tunnels):
    tunnels.serve(listen=["0"])
    forwarding = tunnels.forward("-R", f"0:localhost:{free_port()}")
    is_reset(ports(forwarding, by="bob")[0])


# --- SOCKS


def exactly(connection, size):
    got = b""
    while len(got) < size and (more := connection.recv(size - len(got))):
        got += more
    return got


def socks(connection, host, port, command=CONNECT, methods=b"\0", kind=None, slowly=False):
    """Its answer to a request, or what it said of the methods if that is not what was asked for."""

    def say(octets):
        for one in [octets[at : at + 1] for at in range(len(octets))] if slowly else [octets]:
            connection.sendall(one)

    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    say(bytes([5, len(methods)]) + methods)
    answer = exactly(connection, 2)
    if answer != b"\5\0":
        return answer
    if ":" in host:
        address = b"\4" + socket.inet_pton(socket.AF_INET6, host)
    elif host[0].isdigit():
        address = b"\1" + socket.inet_aton(host)
    else:
        address = b"\3" + bytes([len(host)]) + host.encode()
    if kind is not None:
        address = bytes([kind]) + address[1:]
    say(bytes([5, command, 0]) + address + struct.pack("!H", port))
    answer = exactly(connection, 10)
    assert answer[:1] == b"\5" and answer[2:] == b"\0\1\0\0\0\0\0\0", answer
    return answer[1]


@pytest.fixture
def proxy(tunnels):
    """A SOCKS proxy to one who answers, and what may be asked of it."""
    server, tunnels.six = tunnels.server(), tunnels.server(host="::1")
    tunnels.serve(f"localhost:{server.port}", f"127.0.0.1:{server.port}", f"[::1]:{tunnels.six.port}", "localhost:1",
                  "no-such-name.invalid:80")  # fmt: skip
    tunnels.forwarding = tunnels.forward("-D", "0")
    tunnels.forwarding.says("connected with bob")
    tunnels.port, tunnels.to = ports(tunnels.forwarding)[0], server.port
    return tunnels


@pytest.mark.parametrize("slowly", [False, True])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_socks_with_each_kind_of_address(proxy, host, slowly):
    with connected(proxy.port) as one:
        port = proxy.six.port if host == "::1" else proxy.to
        assert socks(one, host, port, slowly=slowly, methods=b"\2\0\1") == 0
        one.sendall(b"question")
        one.shutdown(socket.SHUT_WR)
        assert everything(one) == b"question"


@pytest.mark.parametrize(
    "words, said",
    [
        ({"host": "localhost", "port": 2}, 2),
        ({"host": "localhost", "port": 1}, 5),
        ({"host": "no-such-name.invalid", "port": 80}, 4),
        ({"host": "localhost", "port": 1, "command": BIND}, 7),
        ({"host": "localhost", "port": 1, "command": ASSOCIATE}, 7),
        ({"host": "localhost", "port": 1, "kind": 9}, 8),
        ({"host": "localhost", "port": 0}, 4),
        ({"host": "with blank", "port": 1}, 4),
        ({"host": "x\0y", "port": 1}, 4),
        ({"host": "x\x1b[2J", "port": 1}, 4),
        ({"host": "localhost", "port": 1, "methods": b"\2"}, b"\5\xff"),
        ({"host": "localhost", "port": 1, "methods": b""}, b"\5\xff"),
    ],
)
def test_socks_says_why_not(proxy, words, said):
    with connected(proxy.port) as one:
        assert socks(one, **words) == said
        assert one.recv(1) == b""
    with connected(proxy.port) as one:
        assert socks(one, "localhost", proxy.to) == 0


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\n\r\n", b"\4\1\0\x50\x7f\0\0\1\0", b"\0" * 300, b"\5", b""])
def test_what_is_no_socks_is_closed(proxy, sent):
    with connected(proxy.port) as one:
        with contextlib.suppress(ConnectionResetError):
            one.sendall(sent)
            with contextlib.suppress(OSError):  # it has gone
                one.shutdown(socket.SHUT_WR)
            assert one.recv(100) == b""
    assert proxy.forwarding.process.poll() is None


# --- no room


def few_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (48, 48))


@pytest.mark.parametrize("what_ends", ["connections", "call"])
def test_who_serves_outlives_a_want_of_descriptors(tunnels, what_ends):
    server = tunnels.server()
    words = ("serve", "ann", "--allow", "*:*")
    serving = tunnels.world.start(tunnels.world.bob, *words, preexec_fn=few_descriptors)
    serving.says("waiting for ann")
    forwarding = tunnels.forward("-D", "0")
    forwarding.says("connected with bob")
    port = ports(forwarding)[0]
    with contextlib.ExitStack() as open_ones:
        said = [socks(open_ones.enter_context(connected(port)), "127.0.0.1", server.port) for _ in range(60)]
        assert said.count(0) > 20 and said[-1] == 1
        one_more = tunnels.connect(f"127.0.0.1:{server.port}", stdin=b"x")
        assert one_more.end() in (0, 1)  # 0: its call has left it a descriptor
        serving.says("no room for another call of ann")
        serving.says("127.0.0.1:%d for ann: too many at once" % server.port)
        late = tunnels.connect(f"127.0.0.1:{server.port}", stdin=b"later")
        late.says("waiting for bob")
        if what_ends == "call":
            forwarding.stop()
        else:
            open_ones.close()
        late.end(0)
        assert late.got() == b"later"
    assert serving.process.poll() is None and serving.said().count("no room") == 1
    assert "system call" not in serving.said() and "Too many open files" not in serving.said()
    tunnels.connect(f"127.0.0.1:{server.port}").end(0)
