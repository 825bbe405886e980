"""cyphernetctl and a running server, played by a socket: what it asks, what it makes of the answer."""

import json
import os
import socket
import threading

import pytest

STATUS = {
    "v": 1,
    "event": "status",
    "running": True,
    "uptime_s": 90061,
    "waiting": 0,
    "calls": 4,
    "bytes": 3 * 2**20,
    "refused_revoked": 5,
    "refused_expired": 0,
    "name": "a \"quoted\" name, with {braces}",
    "subscribers": [{"serial": "1", "waiting": 3, "joined": 4}],
}


def bound(path):
    made = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(path.parent)  # the whole name may be too long
    try:
        made.bind(path.name)
    finally:
        os.chdir(here)
    return made


class Server:
    """Answers each connection on DIR/control with the same octets; but the first `deaf` with half of them."""

    def __init__(self, path, answer, hold=False, deaf=0):
        self.asked = []
        self.deaf = deaf
        self.socket = bound(path)
        self.socket.listen()
        self.answer, self.hold, self.held = answer, hold, []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                line, _ = self.socket.accept()
                self.asked.append(line.recv(100))
                deaf = len(self.asked) <= self.deaf
                line.sendall(self.answer[: len(self.answer) // 2] if deaf else self.answer)
            except ConnectionError:  # it had heard enough
                continue
            except OSError:  # closed by the test
                return
            if self.hold:
                self.held.append(line)
            else:
                line.close()


@pytest.fixture
def running(server):
    """A function that starts the server with its answer."""
    made = []

    def start(answer, **options):
        if not isinstance(answer, bytes):
            answer = json.dumps(answer).encode() + b"\n"
        made.append(Server(server.dir / "control", answer, **options))
        return made[-1]

    yield start
    for one in made:
        one.socket.close()


@pytest.fixture
def alice(server):
    server.ok("invite", "alice", "-o", "alice.fp")
    return server


def serial_of(alice):
    return json.loads(alice.ok("list", "--json").stdout)["serial"]


@pytest.mark.parametrize("cut, said", [(0, "0 lines cut"), (1, "1 line cut"), (7, "7 lines cut")])
@pytest.mark.parametrize("verb", ["revoke", "suspend"])
def test_the_server_is_told_and_says_how_many_lines_it_cut(alice, running, verb, cut, said):
    played = running({"v": 1, "event": "registry", "blocked": 1, "cut": cut, "serial_blocked": 1})
    assert said in alice.ok(verb, "alice").stderr
    assert played.asked == [f"registry {serial_of(alice)}\n".encode()]


def test_unsuspending_tells_the_server_too(alice, running):
    alice.ok("suspend", "alice")
    played = running({"v": 1, "event": "registry", "blocked": 0, "cut": 0, "serial_blocked": 0})
    assert "cut" not in alice.ok("unsuspend", "alice").stderr
    assert played.asked == [f"registry {serial_of(alice)}\n".encode()]


def test_revoke_json_says_what_was_cut(alice, running):
    running({"v": 1, "event": "registry", "blocked": 1, "cut": 3, "serial_blocked": 1})
    line = json.loads(alice.ok("revoke", "alice", "--json").stdout)
    assert (line["event"], line["running"], line["cut"]) == ("revoked", True, 3)


def test_a_second_revocation_tells_the_server_again(alice, running):
    alice.ok("revoke", "alice")
    played = running({"v": 1, "event": "registry", "blocked": 1, "cut": 2, "serial_blocked": 1})
    assert "2 lines cut" in alice.ok("revoke", "alice").stderr
    assert len(played.asked) == 1


@pytest.mark.parametrize("deaf", [1, 2])
def test_a_server_that_hangs_up_is_asked_once_more(alice, running, deaf):
    """Another program may have taken over just then."""
    played = running({"v": 1, "event": "registry", "blocked": 1, "cut": 3, "serial_blocked": 1}, deaf=deaf)
    done = alice.run("revoke", "alice")
    assert played.asked == [f"registry {serial_of(alice)}\n".encode()] * 2
    if deaf == 1:
        assert done.returncode == 0 and "3 lines cut" in done.stderr
    else:
        assert done.returncode == 1 and "did not confirm: the server hung up" in done.stderr
        assert "hint: look at the server's log; then do this again, or send SIGHUP to cyphernetd" in done.stderr


@pytest.mark.parametrize("verb, told", [("revoke", 0), ("suspend", 0), ("unsuspend", 1)])
def test_a_server_that_has_not_taken_the_change_in_is_not_believed(alice, running, verb, told):
    alice.ok("suspend", "alice")
    running({"v": 1, "event": "registry", "blocked": 1, "cut": 0, "serial_blocked": told})
    done = alice.run(verb, "alice")
    assert done.returncode == 1
    assert "the running server has read another registry" in done.stderr and "hint: " in done.stderr


def test_a_socket_that_a_dead_server_left(alice):
    bound(alice.dir / "control").close()
    assert "at the next start" in alice.ok("revoke", "alice").stderr
    assert "no server runs" in alice.bad(1, "status")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\n",
        b"nonsense\n",
        b'{"v":1,"event":"registry"}\n',
        b'{"v":1,"event":"registry","cut":3}\n',
        b'{"v":1,"event":"registry","serial_blocked":1}\n',
        b'{"v":1,"event":"registry","cut":"3"}\n',
        b'{"v":1,"event":"registry","cut":-3}\n',
        b'{"v":1,"event":"registry","cut":3',
        b'{"cut\n',
        b'{"cut"\n',
        b'{"cut":\n',
        b'{"cut":}\n',
        b'{"cut":99999999999999999999999}\n',
        b'{"x":{"cut":3}}\n',
        b'{"v":1,"event":"status","cut":3}\n',
        b'{"x":[[[[\n',
        b"}}}}\n",
        b"\0\0\0\n",
        b"a" * 100000,
    ],
    ids=lambda value: repr(value)[:30],
)
def test_an_answer_that_makes_no_sense(alice, running, answer):
    running(answer)
    done = alice.run("revoke", "alice")
    assert done.returncode == 1
    assert "the registry has it" in done.stderr and "did not confirm" in done.stderr
    assert '"revoked"' in alice.ok("list", "--json").stdout


def test_status_is_printed_for_people(alice, running):
    serial = serial_of(alice)
    played = running({**STATUS, "subscribers": [*STATUS["subscribers"], {"serial": serial, "waiting": 1, "joined": 2}]})
    text = alice.ok("status").stdout
    assert played.asked == [b"status\n"]
    assert [line.split("  ") for line in text.splitlines()] == [line.split("  ") for line in EXPECTED.splitlines()]


EXPECTED = """\
up                      1 d 01:01:01
waiting                 0
calls                   4
moved                   3.0 MiB
refused revoked         5
name                    a \\"quoted\\" name, with {braces}

SUBSCRIBER              WAITING  JOINED
(not in the registry)         3       4
alice                         1       2
"""


@pytest.mark.parametrize("left_out, end", [(0, "4"), (1, "and 1 more"), (1798, "and 1798 more")])
def test_status_says_how_many_are_left_out(server, running, left_out, end):
    running({**STATUS, "subscribers_left_out": left_out})
    said = server.ok("status").stdout
    assert said.splitlines()[-1].endswith(end)
    assert "left out" not in said


USERS = [
    {"serial": "1", "waiting": 3, "joined": 4, "bytes": 5},
    {"serial": "2", "waiting": 0, "joined": 9, "bytes": 0},
    {"serial": "3", "waiting": 7, "joined": 9, "bytes": 0},
    {"serial": "4", "waiting": 0, "joined": 0, "bytes": 3 * 2**40},
    {"serial": "5", "waiting": 0, "joined": 0},  # of an older server
]

TOP = """\
SUBSCRIBER              WAITING  JOINED           SENT
(not in the registry)         0       0        3.0 TiB
alice                         1       2       2.0 KiB
(not in the registry)         3       4       5 octets
(not in the registry)         7       9       0 octets
(not in the registry)         0       9       0 octets
(not in the registry)         0       0       0 octets
"""


def test_top_shows_who_sent_most_first(alice, running):
    users = [*USERS, {"serial": serial_of(alice), "waiting": 1, "joined": 2, "bytes": 2048}]
    played = running({**STATUS, "subscribers": users, "subscribers_left_out": 2})
    done = alice.ok("top")
    assert played.asked == [b"status\n"]
    assert [line.split() for line in done.stdout.splitlines()] == [line.split() for line in TOP.splitlines()]
    assert "and 2 more" in done.stderr


def test_top_json(alice, running):
    serial = serial_of(alice)
    running({**STATUS, "subscribers": [USERS[0], {"serial": serial, "waiting": 1, "joined": 2, "bytes": 2048}]})
    got = [json.loads(line) for line in alice.ok("top", "--json").stdout.splitlines()]
    assert got == [
        {"v": 1, "event": "top", "serial": serial, "label": "alice", "waiting": 1, "joined": 2, "bytes": 2048},
        {"v": 1, "event": "top", "serial": "1", "label": None, "waiting": 3, "joined": 4, "bytes": 5},
    ]


def test_top_of_nobody(server, running):
    running({**STATUS, "subscribers": []})
    done = server.ok("top")
    assert done.stdout == "" and "nobody has a line" in done.stderr


@pytest.mark.parametrize("list_", [5, "x", {}, [5, "x", [], {}], [[[]]], ["{"], [{"serial": -1}]])
def test_top_of_nonsense_is_no_crash(server, running, list_):
    running({**STATUS, "subscribers": list_})
    assert server.run("top").returncode in (0, 1)


def test_top_without_a_server(server):
    assert "no server runs" in server.bad(1, "top")


def test_an_error_of_the_server_is_passed_on(alice, running):
    running({"v": 1, "event": "error", "text": "it is \x1b[1m tired"})
    assert "did not answer: it is" in alice.bad(1, "status")
    done = alice.run("revoke", "alice")
    assert done.returncode == 1
    assert "did not confirm: it is" in done.stderr


def test_status_json_is_passed_on(server, running):
    running(STATUS)
    assert json.loads(server.ok("status", "--json").stdout) == STATUS


def test_status_drives_no_terminal(server, running):
    running(b'{"v":1,"event":"status","x\x1b[2J":"y\x1b[2J\x07"}\n')
    assert "\x1b" not in server.ok("status").stdout


def test_status_without_a_server(server):
    said = server.bad(1, "status")
    assert "no server runs" in said and "cyphernetd --dir" in said
    done = server.run("status", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout) == {"v": 1, "event": "status", "running": False}


@pytest.mark.parametrize("answer", [b"", b'{"v":1', b"a" * 100000], ids=["nothing", "half", "endless"])
def test_a_server_that_does_not_answer_properly(server, running, answer):
    running(answer)
    assert "did not answer" in server.bad(1, "status")


def test_a_directory_with_a_name_too_long_for_a_socket(ctl):
    ctl.dir = ctl.tmp / ("d" * 100) / ("e" * 100)
    ctl.dir.parent.mkdir()
    ctl.init()
    played = Server(ctl.dir / "control", json.dumps(STATUS).encode() + b"\n")
    ctl.ok("status")
    assert played.asked == [b"status\n"]
    played.socket.close()


def test_a_server_that_says_nothing_is_not_waited_for_without_end(server, running):
    running(b"", hold=True)
    assert "time ran out" in server.bad(1, "status")
