"""Prometheus asks: what it is told, by whom, and who else gets nothing."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import stat
import time
from pathlib import Path

import pytest
from ctl_helper import BUILD
from lines import Line, call_of, invited, status
from live import free_port, until

DOCS = Path(__file__).parents[2] / "docs"
NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf'({NAME})(?:\{{({NAME})="([^"\\\n]*)"\}})? ([0-9]+)')
CALL = b"still there"
LEFT_OUT = {"v", "running", "uptime_s", "calls_total", "bytes", "gate_restarts", "worker_restarts",
            "metrics_restarts", "subscribers_left_out", "bytes_per_s", "admitted_per_s", "joined_per_s"}


def parse(text):
    """The samples by (name, label, value), and the types; strict about format 0.0.4 and the conventions of names."""
    assert text.endswith("\n")
    samples, types, name = {}, {}, None
    lines = iter(text[:-1].split("\n"))
    for line in lines:
        if line.startswith("# HELP "):
            name, words = line[7:].split(" ", 1)
            assert words.endswith("."), line
            assert name not in types, f"{name} comes twice"
            kind = next(lines)
            assert kind in (f"# TYPE {name} counter", f"# TYPE {name} gauge"), kind
            types[name] = kind.split()[-1]
            continue
        found = SAMPLE.fullmatch(line)
        assert found, line
        assert found[1] == name, f"{line} does not belong to {name}"
        assert found.groups()[:3] not in samples, line
        samples[found.groups()[:3]] = int(found[4])
    for name, kind in types.items():
        assert name.startswith("cyphernet_")
        assert name.endswith("_total") == (kind == "counter"), name
        assert "byte" not in name or name.endswith(("_bytes", "_bytes_total")), name
    return samples, types


class Local(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        where = os.open(self.path.parent, os.O_PATH)
        try:
            self.sock.connect(f"/proc/self/fd/{where}/{self.path.name}")
        finally:
            os.close(where)


def ask(connection, method="GET", url="/metrics"):
    connection.request(method, url)
    reply = connection.getresponse()
    text = reply.read().decode()
    connection.close()
    return reply, text


class Scraped:
    """A server with metrics."""

    def __init__(self, world, config=""):
        self.world = world
        self.port = free_port()
        world.serve(f"[metrics]\nlisten = 127.0.0.1:{self.port}\n{config}")

    def ask(self, *words):
        return ask(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30), *words)

    def scrape(self):
        reply, text = self.ask()
        assert reply.status == 200
        assert reply.getheader("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
        return parse(text)[0]

    def value(self, name, label=None, word=None):
        return self.scrape()[f"cyphernet_{name}", label, word]


@pytest.fixture
def scraped(own):
    return Scraped(own)


def test_numbers_move(scraped):
    before = scraped.scrape()
    one, other = call_of(scraped.world)
    one.send(CALL)
    other.gets(CALL)
    Line(scraped.world, invited(scraped.world)).wait()
    revoked = invited(scraped.world)
    scraped.world.ctl.ok("revoke", revoked.stem)
    Line(scraped.world, revoked).hello().ask("verdict")
    after = scraped.scrape()
    moved = {key: after[key] - before.get(key, 0) for key in after if after[key] != before.get(key, 0)}
    for key in (("cyphernet_uptime_seconds", None, None), ("cyphernet_pipes", None, None),
                ("cyphernet_lines", "state", "pending")):  # which come and go
        moved.pop(key, None)
    of_workers = {key: value for key, value in moved.items() if key[1] == "worker"}
    assert {key: value for key, value in moved.items() if key not in of_workers} == {
        ("cyphernet_connections_accepted_total", None, None): 4,
        ("cyphernet_lines_admitted_total", None, None): 3,
        ("cyphernet_admissions_refused_total", "reason", "revoked"): 1,
        ("cyphernet_lines_joined_total", None, None): 1,
        ("cyphernet_lines", "state", "waiting"): 1,
        ("cyphernet_calls", None, None): 1,
        ("cyphernet_calls_started_total", None, None): 1,
        ("cyphernet_relayed_bytes_total", None, None): len(CALL),
    }
    assert sum(value for key, value in of_workers.items() if key[0] == "cyphernet_worker_calls") == 1
    assert sum(value for key, value in of_workers.items() if "bytes" in key[0]) == len(CALL)


def test_every_counter_of_the_status_is_there(scraped):
    _, text = scraped.ask()
    words = set(re.findall(r"[a-z_]+", text))
    renamed = {"accepted": "connections_accepted_total", "admitted": "lines_admitted_total",
               "joined": "lines_joined_total", "handed_over": "calls_started_total"}
    for name, value in status(scraped.world).items():
        if isinstance(value, int) and name not in LEFT_OUT:
            name = renamed.get(name, name)
            assert {name, f"cyphernet_{name}", name.removeprefix("refused_"), name.removeprefix("ended_")} & words, name


def test_nobody_is_named(own):
    scraped = Scraped(own, "[server]\nlog_addresses = yes\nlog_subscribers = yes\n")
    call_of(own)
    _, text = scraped.ask()
    assert "127.0.0.1" not in text and "subscriber-" not in text and "serial" not in text


def test_only_metrics_are_to_be_had(scraped):
    reply, text = scraped.ask("HEAD")
    assert (reply.status, text) == (200, "")
    for url in ("/", "/metrics/", "/metric", "/../metrics", "/status"):
        assert scraped.ask("GET", url)[0].status == 404
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "NONSENSE"):
        reply, _ = scraped.ask(method)
        assert reply.status == 405
        assert reply.getheader("Allow") == "GET, HEAD"


def test_what_is_no_http_hinders_nobody(scraped):
    lines = [socket.create_connection(("127.0.0.1", scraped.port)) for _ in range(4)]
    for line, octets in zip(lines, (b"\0" * 1000, b"GET /metrics\r\n\r\n", b"GET " + b"x" * 100000, b"\r\n" * 5000)):
        line.settimeout(20)
        with contextlib.suppress(OSError):
            line.sendall(octets)
            line.shutdown(socket.SHUT_WR)
    assert scraped.value("admitting") == 1
    for line in lines:
        with line, contextlib.suppress(OSError):
            line.recv(65536)
    assert scraped.value("admitting") == 1
    assert scraped.value("process_restarts_total", "process", "metrics") == 0


def test_those_who_say_nothing_are_sent_away(scraped):
    """More than there is room for; after ten seconds there is room again."""
    held = [socket.create_connection(("127.0.0.1", scraped.port)) for _ in range(20)]
    assert scraped.value("admitting") == 1
    for one in held:
        one.settimeout(20)
        assert one.recv(1) == b""
        one.close()


def test_those_who_take_their_time_are_sent_away(scraped):
    """Though they never say nothing for long."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", scraped.port)) as line:
        line.sendall(b"GET /metrics HTTP/1.1\r\nHost: here\r\nX: ")
        line.settimeout(2)
        while True:
            try:
                line.sendall(b"x")
                assert line.recv(1) == b"", "it is answered"
                break
            except TimeoutError:
                continue
            except OSError:
                break
    assert time.monotonic() - began > 28
    assert scraped.value("admitting") == 1


def test_a_socket_in_the_directory_will_do(own):
    own.serve("[metrics]\nlisten = metrics.sock\n")
    path = own.ctl.dir / "metrics.sock"
    for restarted in (False, True):
        if restarted:  # the file is left, and replaced
            own.server.stop()
            own.serve()
        assert stat.S_ISSOCK(path.stat().st_mode)
        assert "cyphernet_admitting 1\n" in ask(Local(path))[1]


def test_an_address_in_use_is_told(own):
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        (own.ctl.dir / "cyphernetd.conf").write_text(f"[metrics]\nlisten = 127.0.0.1:{port}\n")
        failed = own.run_program([BUILD / "cyphernetd", "--dir", own.ctl.dir])
        failed.end(1)
    assert f"cannot listen on 127.0.0.1:{port} for metrics: Address already in use" in failed.said()


def test_it_is_started_again_and_disturbs_nobody(scraped):
    one, other = call_of(scraped.world)
    [before] = scraped.world.processes()["cyphernetd-metr"]
    gate = scraped.world.gate()
    os.kill(before, signal.SIGKILL)
    until(lambda: scraped.world.processes().get("cyphernetd-metr", [before]) != [before], "there is another")
    assert scraped.value("process_restarts_total", "process", "metrics") == 1
    assert scraped.world.gate() == gate
    one.send(CALL)
    other.gets(CALL)


def test_it_is_replaced_with_the_program(scraped):
    one, other = call_of(scraped.world)
    [before] = scraped.world.processes()["cyphernetd-metr"]
    scraped.world.server.signal(signal.SIGUSR2)
    scraped.world.server.says("event=upgraded")
    assert scraped.value("calls") == 1
    # of the old workers one has the call, and stays for it
    assert 1 in [value for (name, *_), value in scraped.scrape().items() if name == "cyphernet_worker_draining"]
    assert scraped.value("process_restarts_total", "process", "metrics") == 0
    until(lambda: before not in scraped.world.processes()["cyphernetd-metr"], "the old one has gone")
    other_port = free_port()
    (scraped.world.ctl.dir / "cyphernetd.conf").write_text(f"[metrics]\nlisten = 127.0.0.1:{other_port}\n")
    scraped.world.server.signal(signal.SIGUSR2)
    until(lambda: scraped.world.server.said().count("event=upgraded") == 2, "it was replaced again")

    def refused():
        try:
            socket.create_connection(("127.0.0.1", scraped.port), timeout=5).close()
        except ConnectionRefusedError:
            return True
        return False

    until(refused, "nobody listens there")
    scraped.port = other_port
    assert scraped.value("calls") == 1
    one.send(CALL)
    other.gets(CALL)


def test_there_is_room_for_as_many_lines_as_before(own):
    """Whatever the configuration of the next program says: its processes are counted together with those before."""
    scraped = Scraped(own, "[waiting]\nlines_max = 64\n")
    (own.ctl.dir / "cyphernetd.conf").write_text(
        f"[metrics]\nlisten = 127.0.0.1:{scraped.port}\n[waiting]\nlines_max = 128\n")
    own.server.signal(signal.SIGUSR2)
    own.server.says("event=upgraded")
    assert scraped.value("lines_limit") == 64


# --- documents -------------------------------------------------------------------------------------------------------


def used(expression):
    """Names of metrics in an expression of PromQL."""
    return set(re.findall(r"cyphernet_[a-z0-9_]+", expression))


class Labels:
    """The labels that the result of an expression of PromQL has: of what we use of that language."""

    TOKEN = re.compile(r'\s*(>=|<=|==|!=|[-+*/<>(),]|\{[^}]*\}|\[[^]]*\]|[A-Za-z_$][\w:]*|[0-9.]+)')

    def __init__(self, expression, samples):
        self.expression, self.samples = expression, samples
        self.tokens = self.TOKEN.findall(expression)
        assert self.TOKEN.sub("", expression).strip() == "", expression
        self.result = self.binary()
        assert not self.tokens, (expression, self.tokens)

    def next_is(self, *words):
        return self.tokens.pop(0) if self.tokens and self.tokens[0] in words else None

    def binary(self):
        """Of two vectors only such match as have the same labels; a number matches any, as None."""
        result = self.one()
        while self.next_is(*"+-*/<>", ">=", "<=", "==", "!="):
            other = self.one()
            assert None in (result, other) or result == other, f"{self.expression}: {result} never matches {other}"
            result = other if result is None else result
        return result

    def one(self):
        word = self.tokens.pop(0)
        if word == "(":
            result = self.binary()
            assert self.next_is(")"), self.expression
            return result
        if word[0].isdigit():
            return None
        if word == "sum":
            assert self.next_is("without") and self.next_is("("), self.expression
            left_out = {self.tokens.pop(0)}
            assert self.next_is(")"), self.expression
            return self.one() - left_out
        if word in ("rate", "increase"):
            return self.one()
        while self.tokens and self.tokens[0][0] in "{[":
            self.tokens.pop(0)
        return {label for name, label, _ in self.samples if name == word and label}


@pytest.mark.parametrize("expression", [
    "cyphernet_b > cyphernet_a",
    "rate(cyphernet_a{a=~'x|y'}[15m]) / cyphernet_b",
    "(sum without (b) (cyphernet_a) + 2 * cyphernet_b) / 3 > 0.9",
])
def test_what_never_matches_is_found(expression):
    with pytest.raises(AssertionError, match="never matches"):
        Labels(expression, [("cyphernet_a", "a", "x"), ("cyphernet_a", "a", "y"), ("cyphernet_b", None, None)])


def test_the_dashboard_and_the_alerts_use_what_there_is(scraped):
    samples, types = parse(scraped.ask()[1])
    dashboard = json.loads((DOCS / "grafana.json").read_text())
    targets = [target for panel in dashboard["panels"] for target in panel.get("targets", [])]
    assert all("{{instance}}" in target["legendFormat"] for target in targets), "of several servers"
    shown = [target["expr"] for target in targets]
    alerts = re.findall(r"^ *expr: (.*)$", (DOCS / "alerts.yml").read_text(), re.MULTILINE)
    assert len(shown) >= 10 and len(alerts) >= 5
    for expression in shown + alerts:
        assert used(expression) or expression.startswith("up{"), expression
        assert used(expression) <= set(types), expression
        for name in re.findall(r"(?:rate|increase)\((cyphernet_[a-z_]+)", expression):
            assert types[name] == "counter", expression
        Labels(expression, samples)


def test_the_manual_lists_them(scraped):
    _, types = parse(scraped.ask()[1])
    page = (DOCS / "man/cyphernetd.8.scd").read_text()
    assert [name for name in types if f"*{name}*" not in page] == []
    assert set(re.findall(r"\*(cyphernet_[a-z_]+)\*", page)) <= set(types)
