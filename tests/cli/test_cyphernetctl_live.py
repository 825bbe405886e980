"""cyphernetctl and a real cyphernetd on the same directory."""

import contextlib
import json
import os
import select
import socket
import subprocess

from ctl_helper import Ctl, needs_root


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def cyphernetd(ctl, **options):
    """A server that has said that it is ready."""
    command = [ctl.programs / "cyphernetd", "--dir", ctl.dir]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, **options
    ) as process:
        try:
            assert select.select([process.stdout], [], [], 20)[0], "it says nothing"
            assert "ready" in process.stdout.readline()
            yield process
            process.terminate()
            assert process.wait(20) == 0
        finally:
            process.kill()


def test_status_and_revocation_reach_the_server(ctl):
    ctl.ok("init", "--listen", f"127.0.0.1:{free_port()}")
    ctl.ok("invite", "alice", "-o", "alice.fp")
    with cyphernetd(ctl):
        status = json.loads(ctl.ok("status", "--json").stdout)
        assert (status["v"], status["event"], status["running"]) == (1, "status", True)
        assert ctl.ok("status").stdout.startswith("up  ")
        line = json.loads(ctl.ok("revoke", "alice", "--json").stdout)
        assert (line["running"], line["cut"]) == (True, 0)
        ctl.ok("invite", "bob", "-o", "bob.fp")
        assert "0 lines cut" in ctl.ok("suspend", "bob").stderr
        ctl.ok("unsuspend", "bob")
    assert "no server runs" in ctl.bad(1, "status")


@needs_root
def test_root_and_a_server_that_is_not_root_share_the_directory(open_tmp, open_programs):
    ctl = Ctl(open_tmp, open_programs)
    ctl.dir.mkdir(mode=0o700)
    os.chown(ctl.dir, 12345, 12345)
    ctl.ok("init", "--listen", f"127.0.0.1:{free_port()}")
    with cyphernetd(ctl, user=12345, group=12345, extra_groups=[], cwd="/"):
        ctl.ok("invite", "alice", "-o", "alice.fp")
        assert "0 lines cut" in ctl.ok("revoke", "alice").stderr
        ctl.ok("status")
    with cyphernetd(ctl, user=12345, group=12345, extra_groups=[], cwd="/"):
        ctl.ok("status")
    for path in ctl.dir.iterdir():
        assert path.stat().st_uid == 12345, path


def test_a_subscriber_joins_with_his_own_key_and_again_when_renewed(server, stranger):
    stranger.ok("request", "-o", "mine.request")
    server.ok("admit", "mine.request", "--name", "stranger", "-o", "first.fp")
    stranger.ok("join", "first.fp")
    server.ok("renew", "stranger", "--days", "700", "-o", "second.fp")
    stranger.ok("join", "second.fp")


def test_a_renewed_fingerprint_is_of_no_use_to_another(server, ann, stranger):
    server.ok("renew", "ann", "-o", "renewed.fp")
    assert stranger.run("join", "renewed.fp").returncode == 1
    ann.ok("join", "renewed.fp")
