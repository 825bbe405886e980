"""Under a service manager: what it is told, the sockets that it gives, and its unit."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from ctl_helper import BUILD
from lines import Line, call_of, invited, status, works
from live import LIMIT, free_port, until
from processes import handed_over

# Become the program with these sockets from 3 on, as systemd does.
AS_SYSTEMD = """
import os, sys
fds, program = [int(fd) for fd in sys.argv[1].split(",")], sys.argv[2:]
fds = [os.dup2(fd, 100 + i) and 100 + i for i, fd in enumerate(fds)]
for i, fd in enumerate(fds):
    os.dup2(fd, 3 + i)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)))
os.execv(program[0], program)
"""


class Manager:
    """The end of the notifications."""

    def __init__(self, tmp):
        self.path = tmp / "notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.settimeout(LIMIT)

    def hears(self, *variables):
        """The next message that has one of these: its variables, and who sent it."""
        while True:
            octets, ancillary, _, _ = self.socket.recvmsg(4096, 100)
            said = dict(line.split("=", 1) for line in octets.decode().split("\n"))
            if any(name in said for name in variables):
                return said, int.from_bytes(ancillary[0][2][:4], sys.byteorder)

    def forget(self):
        """What came so far."""
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.socket.recv(4096)
        self.socket.settimeout(LIMIT)

    def close(self):
        self.socket.close()


@pytest.fixture
def manager(tmp_path):
    one = Manager(tmp_path)
    yield one
    one.close()


def managed(world, manager, watchdog_us=None):
    env = {"NOTIFY_SOCKET": str(manager.path)}
    if watchdog_us:
        env["WATCHDOG_USEC"] = str(watchdog_us)
    world.server = world.run_program([BUILD / "cyphernetd", "--dir", world.ctl.dir], env=env)
    said, pid = manager.hears("READY")
    assert said["READY"] == "1"
    assert said["STATUS"] == "0 lines wait, 0 calls"
    assert pid == world.server.process.pid, "only the main process may speak"
    return pid


def test_it_tells_when_it_is_ready_and_when_it_ends(own, manager):
    managed(own, manager)
    assert b"ready" in own.server.got(), "it said so before it was"
    own.server.signal(signal.SIGTERM)
    said, _ = manager.hears("STOPPING")
    assert said == {"STOPPING": "1", "STATUS": "Ending: 0 lines wait, 0 calls"}
    own.server.end(0)


def test_a_server_that_cannot_begin_is_never_ready(own, manager):
    (own.ctl.dir / "cyphernetd.conf").write_text("nonsense\n")
    env = {"NOTIFY_SOCKET": str(manager.path)}
    own.run_program([BUILD / "cyphernetd", "--dir", own.ctl.dir], env=env).end(1)
    manager.socket.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.socket.recv(100)


def test_a_reload_replaces_the_program_and_is_told(own, manager):
    pid = managed(own, manager)
    one, other = call_of(own)
    for _ in range(2):
        own.server.signal(signal.SIGUSR2)
        said, sender = manager.hears("RELOADING", "READY")
        assert said["RELOADING"] == "1"
        assert int(said["MONOTONIC_USEC"]) > 0
        assert sender == pid
        said, sender = manager.hears("RELOADING", "READY")
        assert said["READY"] == "1"
        assert sender == pid, "the process has changed"
    until(lambda: own.server.said().count("event=upgraded") == 2, "it was replaced")
    works(one, other)


def test_a_reload_that_fails_ends_too(own, manager):
    managed(own, manager)
    (own.ctl.dir / "cyphernetd.conf").write_text("nonsense\n")
    own.server.signal(signal.SIGUSR2)
    assert "RELOADING" in manager.hears("RELOADING", "READY")[0]
    assert "READY" in manager.hears("RELOADING", "READY")[0]
    assert "event=upgrade_failed" in own.server.said()
    assert status(own)["running"]


def test_the_watchdog_hears_of_it_also_after_a_reload(own, manager):
    pid = managed(own, manager, watchdog_us=1_000_000)
    Line(own, invited(own)).wait()
    until(lambda: manager.hears("WATCHDOG")[0]["STATUS"] == "1 lines wait, 0 calls", "it tells how it is")
    own.server.signal(signal.SIGUSR2)
    manager.hears("RELOADING")
    manager.hears("READY")
    for _ in range(2):
        said, sender = manager.hears("WATCHDOG")
        assert said["WATCHDOG"] == "1"
        assert sender == pid


def test_a_server_without_a_gate_does_not_feed_the_watchdog(own, manager):
    managed(own, manager, watchdog_us=400_000)
    key = own.ctl.dir / "server.key"
    key.rename(own.ctl.dir / "elsewhere")
    os.kill(own.gate(), signal.SIGKILL)
    until(lambda: "gate" not in " ".join(own.processes()), "there is none")
    manager.forget()
    for _ in range(3):
        assert "WATCHDOG" not in manager.hears("STATUS")[0]
    (own.ctl.dir / "elsewhere").rename(key)
    manager.hears("WATCHDOG")


@pytest.mark.parametrize("program", ["cyphernetd-gate", "cyphernetd-switch"])
def test_nor_does_one_whose_gate_or_switch_does_not_answer(own, manager, program):
    (own.ctl.dir / "cyphernetd.conf").write_text("[calls]\nworkers = 1\n")
    managed(own, manager, watchdog_us=400_000)
    call = call_of(own)
    handed_over(own, 1)
    for line in call:
        line.stop()
    handed_over(own, 0)  # so the worker owes its gate no answer, by which it would be replaced sooner
    [before] = own.processes()[program]
    os.kill(before, signal.SIGSTOP)
    until(lambda: "WATCHDOG" not in manager.hears("STATUS")[0], "it is not fed")
    assert own.processes()[program] == [before]
    until(lambda: "WATCHDOG" in manager.hears("STATUS")[0], "it is fed again")
    assert own.processes()[program] != [before]


def test_without_a_watchdog_none_is_fed(own, manager):
    managed(own, manager)
    own.server.signal(signal.SIGTERM)
    assert "STOPPING" in manager.hears("WATCHDOG", "STOPPING")[0]


def test_the_children_do_not_know_of_the_manager(own, manager):
    managed(own, manager, watchdog_us=60_000_000)
    for upgraded in (False, True):
        if upgraded:
            own.server.signal(signal.SIGUSR2)
            manager.hears("READY")
        for name, pids in own.processes().items():
            if name == "cyphernetd":
                continue
            for pid in pids:
                env = b""
                with contextlib.suppress(OSError):  # one that was to leave has left
                    env = Path(f"/proc/{pid}/environ").read_bytes()
                assert b"NOTIFY_SOCKET" not in env and b"WATCHDOG" not in env, name


def test_variables_that_nobody_meant_are_told(own):
    done = own.run_program([BUILD / "cyphernetd", "--dir", own.ctl.dir], env={"NOTIFY_SOCKET": "nowhere"})
    done.end(1)
    assert "error: what a service manager should have said cannot be understood" in done.said()


# --- sockets ---------------------------------------------------------------------------------------------------------


def listening(**options):
    one = socket.socket(**options)
    one.bind(("127.0.0.1", 0))
    one.listen()
    return one


def activated(world, *sockets, names=None):
    words = [sys.executable, "-c", AS_SYSTEMD, ",".join(str(one.fileno()) for one in sockets)]
    world.server = world.run_program(
        [*words, BUILD / "cyphernetd", "--dir", world.ctl.dir],
        env={"LISTEN_FDNAMES": names} if names else {}, pass_fds=[one.fileno() for one in sockets],
    )
    return world.server


def test_sockets_that_it_is_given_are_used_instead(own):
    given = [listening(), listening()]
    ports = [one.getsockname()[1] for one in given]
    activated(own, *given, names="subscribers:subscribers")
    until(lambda: b"ready" in own.server.got() or own.server.process.poll() is not None, "it is ready")
    assert own.server.got().decode() == f"cyphernetd: ready on 127.0.0.1:{ports[0]}, 127.0.0.1:{ports[1]}\n"
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", own.port)) != 0, "it has bound its own address, too"
    for upgraded in (False, True):
        if upgraded:
            own.server.signal(signal.SIGUSR2)
            own.server.says("event=upgraded")
        for port in ports:
            own.port = port
            Line(own, invited(own)).wait()
    for one in given:
        one.close()


@pytest.mark.parametrize("kind", ["bound", "datagram", "local", "file"])
def test_what_is_no_listening_socket_of_the_internet_is_refused(own, kind, tmp_path):
    with contextlib.ExitStack() as opened:
        if kind == "file":
            given = opened.enter_context((tmp_path / "file").open("w"))
        elif kind == "local":
            given = opened.enter_context(socket.socket(socket.AF_UNIX))
            given.bind(str(tmp_path / "local"))
            given.listen()
        else:
            given = socket.socket(type=socket.SOCK_DGRAM if kind == "datagram" else socket.SOCK_STREAM)
            opened.enter_context(given).bind(("127.0.0.1", free_port()))
        activated(own, given, names="odd").end(1)
    assert "cyphernetd: error: the socket odd that it was given will not do" in own.server.said()
    assert "cyphernetd: hint: " in own.server.said()


# --- the unit --------------------------------------------------------------------------------------------------------


def unit_lines(path):
    lines = [line for line in path.read_text().splitlines() if line and line[0] not in "#;["]
    assert all("=" in line for line in lines)
    return [tuple(line.split("=", 1)) for line in lines]


def test_the_unit_asks_for_what_the_program_does():
    unit = unit_lines(BUILD / "cyphernetd.service")
    once = dict(unit)
    assert once["Type"] == "notify" and once["NotifyAccess"] == "main"
    reloads = [value for name, value in unit if name == "ExecReload"]
    assert reloads == [f"{once['ExecStart']} --check", "/bin/kill -USR2 $MAINPID"], "one after the other"
    assert 10 <= int(once["WatchdogSec"]) <= 300
    assert once["CapabilityBoundingSet"] == "" and once["NoNewPrivileges"] == "yes"
    filters = [value for name, value in unit if name == "SystemCallFilter"]
    for call in ("seccomp", "landlock_create_ruleset", "landlock_restrict_self"):
        assert any(call in value.split() for value in filters), f"its sandboxes need {call}"
    assert "AF_UNIX" in once["RestrictAddressFamilies"], "its processes speak over it"


@pytest.fixture
def analyze():
    if not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd-analyze")

    def run(*words):
        env = {**os.environ, "SYSTEMD_LOG_LEVEL": "warning", "NO_COLOR": "1"}
        return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, timeout=LIMIT, env=env)

    return run


def test_the_unit_exposes_little(analyze):
    done = analyze("security", "--offline=true", "--threshold=15", "--no-pager", BUILD / "cyphernetd.service")
    assert "Overall exposure level" in done.stdout, done.stderr
    assert done.returncode == 0, done.stdout


def test_the_units_are_units(analyze, tmp_path):
    """With a program that is there: the installed one may not be."""
    text = (BUILD / "cyphernetd.service").read_text()
    [start] = [value for name, value in unit_lines(BUILD / "cyphernetd.service") if name == "ExecStart"]
    (tmp_path / "cyphernetd.service").write_text(text.replace(start, "/bin/true").replace("man:", "https://"))
    source = Path(__file__).parents[2] / "server/cyphernetd.socket"
    (tmp_path / "cyphernetd.socket").write_text(source.read_text().replace("man:", "https://"))
    done = analyze("verify", "--man=no", tmp_path / "cyphernetd.service", tmp_path / "cyphernetd.socket")
    ours = [line for line in done.stderr.splitlines() if "cyphernetd" in line]
    assert ours == [], done.stderr


# --- the log ---------------------------------------------------------------------------------------------------------


def test_every_process_logs_json_if_asked(own):
    own.serve("[server]\nlog_format = json\nlog_addresses = yes\nlog_subscribers = yes\n")
    call_of(own)
    os.kill(own.gate(), signal.SIGKILL)
    until(lambda: '"process_ended"' in own.server.said(), "it has noticed")
    lines = [json.loads(line) for line in own.server.said().splitlines()]
    assert all(line["v"] == 1 for line in lines)
    assert {"connection", "process_ended"} <= {line["event"] for line in lines}
    [ended] = [line for line in lines if line["event"] == "process_ended"]
    assert ended == {"v": 1, "event": "process_ended", "program": "cyphernetd-gate", "signal": 9}


def test_what_is_wrong_with_a_program_is_told(own):
    own.serve()
    for number, reason in ((signal.SIGABRT, "it found itself in the wrong, as it has told"),
                           (signal.SIGSYS, "its sandbox forbids what it asked of the system")):
        before = own.gate()
        os.kill(before, number)
        own.server.says(f'event=process_ended program=cyphernetd-gate signal={number:d} reason="{reason}"')
        until(lambda: own.processes().get("cyphernetd-gate", [before]) != [before], "there is another gate")


def test_only_the_journal_hears_of_priorities(own):
    command = [BUILD / "cyphernetd", "--dir", own.ctl.dir]
    for inode, begin in ((0, "cyphernetd: event="), (1, "<6>cyphernetd: event=")):
        log = own.tmp / f"journal-{inode}"
        with log.open("wb") as stream:
            found = os.fstat(stream.fileno())
            env = {**os.environ, "JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino * inode}"}
            server = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=stream, env=env)
        assert b"ready" in server.stdout.readline()
        server.terminate()
        assert server.wait(LIMIT) == 0
        server.stdout.close()
        assert any(line.startswith(begin + "ending") for line in log.read_text().splitlines()), log.read_text()
