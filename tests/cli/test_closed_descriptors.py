"""Started without standard descriptors, the server's programs print into no file and no line of theirs."""

import itertools
import os
import signal
import sqlite3
import subprocess
from pathlib import Path

import pytest
from ctl_helper import BUILD, Ctl, fingerprint
from live import World, until

CLOSED = [which for size in (1, 2, 3) for which in itertools.combinations((0, 1, 2), size)]


def without(closed, *command):
    """The command, started with these descriptors closed."""
    redirections = " ".join(f"{fd}>&-" for fd in closed)
    return ["sh", "-c", f'exec "$@" {redirections}', "sh", *[str(word) for word in command]]


def run(ctl, closed, *words):
    command = without(closed, BUILD / "cyphernetctl", "--dir", ctl.dir, *words)
    return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, cwd=ctl.tmp, timeout=60, check=False)


def contents(ctl):
    """Of all files in the directory but the log of SQLite."""
    return {name: octets for name, octets in ctl.files().items() if name.startswith("server/")}


def is_whole(ctl):
    """The directory holds what a fresh one does, octet for octet where that is known."""
    for name, kind in (("server.key", "SERVER KEY"), ("operator.key", "OPERATOR KEY")):
        lines = (ctl.dir / name).read_text().splitlines()
        assert lines[0] == f"-----BEGIN CYPHERNET {kind}-----"
        assert lines[-1] == f"-----END CYPHERNET {kind}-----"
        assert len(lines) == 3
    with sqlite3.connect(ctl.dir / "registry.db") as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("closed", CLOSED)
def test_what_cyphernetctl_says_enters_no_file(tmp_path, closed):
    ctl = Ctl(tmp_path)
    code = 1 if 1 in closed else 0  # what it was asked to print could not be printed
    assert run(ctl, closed, "init", "--listen", "127.0.0.1:7473", "--json").returncode == code
    is_whole(ctl)
    assert run(ctl, closed, "invite", "ann", "-o", "ann.fp", "--json", "-v").returncode == code
    assert fingerprint((tmp_path / "ann.fp").read_text())["label"] == "ann"
    is_whole(ctl)


@pytest.mark.parametrize("closed", CLOSED)
def test_no_line_and_no_file_of_cyphernetd_becomes_a_standard_descriptor(tmp_path, closed):
    world = World(tmp_path / "own")
    before = contents(world.ctl)
    world.server = world.run_program(without(closed, BUILD / "cyphernetd", "--dir", world.ctl.dir))
    if 1 in closed:  # nobody could hear that it is ready
        world.server.end(1)
    else:
        until(lambda: b"ready" in world.server.got() or world.server.process.poll() is not None, "it is ready")
        if os.geteuid() == 0:  # nobody else may look
            fds = Path(f"/proc/{world.server.process.pid}/fd")
            assert {os.readlink(fds / str(fd)) for fd in closed} == {"/dev/null"}
        world.server.signal(signal.SIGTERM)  # which it logs
        world.server.end(0)
    assert contents(world.ctl) == before
