"""What cyphernetctl does when all is well."""

import json
import os
import re
import sqlite3
import stat
import subprocess
import time
from pathlib import Path

import pytest

from ctl_helper import BUILD, Ctl, fingerprint, request, unarmor, needs_root

VERBS = ["init", "invite", "admit", "renew", "revoke", "suspend", "unsuspend", "move",
         "export-revocations", "import", "list", "status", "top", "help", "complete"]


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


# --- help and manners


@pytest.mark.parametrize("args", [["help"], ["-h"], ["--help"]])
def test_help_lists_every_command(ctl, args):
    done = ctl.ok(*args)
    assert done.stderr == ""
    for verb in VERBS:
        assert f"\n  {verb} " in done.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_has_help_in_three_ways(ctl, verb):
    said = {ctl.ok(*args).stdout for args in [["help", verb], [verb, "-h"], [verb, "--help"]]}
    assert len(said) == 1
    assert said.pop().startswith(f"usage: cyphernetctl [--dir DIR] {verb}")


def test_help_needs_no_directory_and_makes_none(ctl):
    ctl.ok("init", "--help")
    assert not ctl.dir.exists()


def test_version_says_name_and_library(ctl):
    first, second = ctl.ok("--version").stdout.splitlines()
    assert first.startswith("cyphernetctl 0.")
    assert second.startswith("OpenSSL 3")


def test_without_a_command_usage_goes_to_stderr(ctl):
    done = ctl.run()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: cyphernetctl")


def test_options_may_come_before_the_command_behind_it_and_joined(server):
    server.ok("--json", "list", "-q")
    server.ok("invite", "-oalice.fp", "alice", "--days=7")
    server.ok("invite", "--output=bob.fp", "--", "bob")
    assert (server.tmp / "alice.fp").exists()
    assert (server.tmp / "bob.fp").exists()


def test_quiet_says_nothing(ctl):
    assert ctl.ok("-q", "init", "--listen", "127.0.0.1:7473").stderr == ""
    done = ctl.ok("invite", "alice", "-o", "alice.fp", "-q")
    assert (done.stdout, done.stderr) == ("", "")


def test_verbose_says_more(ctl):
    assert "next: " in ctl.ok("-v", "init", "--listen", "127.0.0.1:7473").stderr


def test_no_colour_outside_a_terminal(ctl):
    assert "\033" not in ctl.run("list").stderr


# --- init


def test_init_makes_keys_and_registry_for_the_owner_alone(server):
    assert {path.name for path in server.dir.iterdir()} == {
        "server.key",
        "operator.key",
        "operator.pub",
        "registry.db",
    }
    assert mode(server.dir) == 0o700
    for name in ["server.key", "operator.key", "registry.db"]:
        assert mode(server.dir / name) == 0o600
    for name, kind in [("server.key", "SERVER KEY"), ("operator.key", "OPERATOR KEY")]:
        assert len(unarmor(kind, (server.dir / name).read_text())) == 33


def test_init_draws_fresh_keys(ctl):
    seen = set()
    for name in ["a", "b"]:
        ctl.ok("init", "--listen", "127.0.0.1:7473", dir=ctl.tmp / name)
        seen |= {(ctl.tmp / name / key).read_text() for key in ["server.key", "operator.key"]}
    assert len(seen) == 4


def test_init_takes_an_empty_directory_that_is_there(ctl):
    ctl.dir.mkdir(mode=0o750)
    ctl.init()
    assert (ctl.dir / "registry.db").exists()
    assert mode(ctl.dir) == 0o750


@pytest.mark.parametrize(
    "listen, public, told",
    [
        (["192.0.2.1:7473"], [], ["192.0.2.1:7473"]),
        (["127.0.0.1:1", "[::1]:65535"], [], ["127.0.0.1:1", "[::1]:65535"]),
        (["*:7473"], ["server.example:443"], ["server.example:443"]),
        (["0.0.0.0:7473", "[::]:7473"], ["a.example:1", "b.example:2"], ["a.example:1", "b.example:2"]),
        (["localhost:7473"], [], ["localhost:7473"]),
    ],
)
def test_a_fingerprint_tells_the_public_address_or_else_where_it_listens(ctl, listen, public, told):
    args = [word for address in listen for word in ("--listen", address)]
    args += [word for address in public for word in ("--public", address)]
    ctl.ok("init", *args)
    assert fingerprint(ctl.ok("invite", "alice", "-o", "-").stdout)["addresses"] == told


def test_init_with_the_operators_key_elsewhere_makes_none(server):
    other = server.tmp / "other"
    public = server.dir / "operator.pub"
    server.ok("init", "--listen", "127.0.0.1:7474", "--operator-key", public, dir=other)
    assert not (other / "operator.key").exists()
    assert (other / "operator.pub").read_text() == public.read_text()
    said = server.bad(1, "invite", "alice", "-o", "alice.fp", dir=other)
    assert "operator's key" in said
    assert not (server.tmp / "alice.fp").exists()


@pytest.mark.parametrize("what", ["link", "directory", "pipe"])
def test_an_operator_is_told_by_a_plain_file(server, what):
    path = server.tmp / what
    if what == "link":
        path.symlink_to(server.dir / "operator.pub")
    elif what == "directory":
        path.mkdir()
    else:
        os.mkfifo(path)
    said = server.bad(1, "init", "--listen", "127.0.0.1:7474", "--operator-key", path, dir=server.tmp / "other")
    assert f"{what}: it is no plain file" in said and "--operator-key takes" in said


def test_init_json(ctl):
    [line] = lines(ctl.ok("init", "--listen", "127.0.0.1:7473", "--json").stdout)
    assert line == {"v": 1, "event": "initialized", "public": "127.0.0.1:7473"}


# --- invite, admit, renew


def test_invite_writes_a_fingerprint_with_a_secret(server):
    before = int(time.time())
    server.ok("invite", "alice", "-o", "alice.fp")
    path = server.tmp / "alice.fp"
    assert mode(path) == 0o600
    fields = fingerprint(path.read_text())
    assert fields["label"] == "alice"
    assert len(fields["secret"]) == 32
    assert 0 < fields["serial"] < 2**63
    assert before - 3600 <= fields["not_before"] <= time.time() - 3600
    assert before + 365 * 86400 <= fields["not_after"] <= time.time() + 365 * 86400
    assert fields["limits_class"] == 0
    assert fields["operator_key"] == unarmor("OPERATOR PUBLIC KEY", (server.dir / "operator.pub").read_text())[1:]


def test_the_operators_signature_verifies_elsewhere(server):
    ed25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519")
    fields = fingerprint(server.ok("invite", "alice", "-o", "-").stdout)
    certificate = fields["certificate"]
    label = b"cyphernet/1 certificate"
    message = b"\x01" + len(label).to_bytes(4, "big") + label
    message += b"\x0b" + (58).to_bytes(4, "big") + certificate[:58]
    ed25519.Ed25519PublicKey.from_public_bytes(fields["operator_key"]).verify(certificate[58:], message)


def test_no_secret_stays_behind(server):
    server.ok("invite", "alice", "-o", "alice.fp")
    secret = fingerprint((server.tmp / "alice.fp").read_text())["secret"]
    for name, content in server.files().items():
        if name != "alice.fp":
            assert secret not in content and secret.hex().encode() not in content, name
    for path in server.dir.glob("registry.db*"):
        assert secret not in path.read_bytes()


def test_invitations_share_nothing_but_the_server(server):
    a, b = (fingerprint(server.ok("invite", name, "-o", "-").stdout) for name in ["alice", "bob"])
    for field in ["serial", "admission_key", "secret"]:
        assert a[field] != b[field]
    for field in ["server_key", "operator_key", "addresses"]:
        assert a[field] == b[field]


@pytest.mark.parametrize("days", ["1", "30", "3650"])
def test_days_are_as_asked(server, days):
    fields = fingerprint(server.ok("invite", "alice", "--days", days, "-o", "-").stdout)
    assert abs(fields["not_after"] - time.time() - int(days) * 86400) < 60


def test_a_fingerprint_on_standard_output_is_all_that_is_there(server):
    done = server.ok("invite", "alice", "-o", "-")
    assert done.stdout.startswith("-----BEGIN CYPHERNET FINGERPRINT-----\n")
    assert done.stdout.endswith("-----END CYPHERNET FINGERPRINT-----\n")


def test_invite_json(server):
    [line] = lines(server.ok("invite", "alice", "-o", "alice.fp", "--json").stdout)
    fields = fingerprint((server.tmp / "alice.fp").read_text())
    assert line == {
        "v": 1,
        "event": "invited",
        "label": "alice",
        "serial": str(fields["serial"]),
        "not_before": fields["not_before"],
        "not_after": fields["not_after"],
        "limits_class": 0,
    }


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("source", ["request", "-"])
def test_admit_takes_a_request_from_a_file_or_standard_input(server, source, ending):
    text = request().replace("\n", ending)
    (server.tmp / "request").write_bytes(text.encode())
    server.ok("admit", source, "--name", "alice", "-o", "alice.fp", input=text)
    fields = fingerprint((server.tmp / "alice.fp").read_text())
    assert fields["secret"] is None
    assert fields["admission_key"] == bytes([9]) + bytes(31)
    assert fields["label"] == "alice"


def test_admit_json(server):
    args = ["admit", "-", "--name", "alice", "-o", "alice.fp", "--json"]
    [line] = lines(server.ok(*args, input=request()).stdout)
    assert (line["event"], line["label"]) == ("admitted", "alice")


def test_renew_keeps_the_key_and_holds_no_secret(server):
    old = fingerprint(server.ok("invite", "alice", "--days", "5", "-o", "-").stdout)
    server.ok("renew", "alice", "--days", "50", "-o", "new.fp")
    new = fingerprint((server.tmp / "new.fp").read_text())
    assert new["admission_key"] == old["admission_key"]
    assert new["secret"] is None
    assert new["serial"] != old["serial"]
    assert new["not_after"] > old["not_after"] + 44 * 86400
    [line] = lines(server.ok("list", "--json").stdout)
    assert line["serial"] == str(new["serial"])


def test_renew_without_a_file_enters_it(server):
    server.ok("invite", "alice", "--days", "5", "-o", "alice.fp")
    [line] = lines(server.ok("renew", "alice", "--json").stdout)
    assert line["event"] == "renewed"
    assert lines(server.ok("list", "--json").stdout)[0]["serial"] == line["serial"]


def test_renew_all_renews_whoever_may_use_the_server(server):
    for name in ["alice", "bob", "carol", "dave"]:
        server.ok("invite", name, "--days", "5", "-o", f"{name}.fp")
    server.ok("revoke", "carol")
    server.ok("suspend", "dave")
    [line] = lines(server.ok("renew", "--all", "--days", "100", "--json").stdout)
    assert line == {"v": 1, "event": "renewed", "count": 2, "running": False}
    for subscriber in lines(server.ok("list", "--json").stdout):
        long = subscriber["not_after"] > time.time() + 99 * 86400
        assert long == (subscriber["label"] in ["alice", "bob"])


def test_renew_all_of_nobody(server):
    assert "0 renewed" in server.ok("renew", "--all").stderr


# --- list


def test_list_of_nobody(server):
    done = server.ok("list")
    assert done.stdout == ""
    assert "no subscribers yet" in done.stderr
    assert server.ok("list", "--json").stdout == ""


def test_list_shows_everybody_in_order(server):
    for name in ["carol", "alice", "bob"]:
        server.ok("invite", name, "-o", f"{name}.fp")
    server.ok("revoke", "bob")
    head, *rows = server.ok("list").stdout.splitlines()
    assert head.split() == ["LABEL", "STATE", "UNTIL", "SERIAL"]
    assert [row.split()[:2] for row in rows] == [["alice", "active"], ["bob", "revoked"], ["carol", "active"]]
    assert [row.split()[3] for row in rows] == [
        str(fingerprint((server.tmp / f"{name}.fp").read_text())["serial"]) for name in ["alice", "bob", "carol"]
    ]


def test_list_json_tells_all_that_the_registry_has(server):
    server.ok("invite", "alice", "-o", "alice.fp")
    fields = fingerprint((server.tmp / "alice.fp").read_text())
    [line] = lines(server.ok("list", "--json").stdout)
    now = line["created_at"]
    assert abs(now - time.time()) < 60
    assert line == {
        "v": 1,
        "event": "subscriber",
        "label": "alice",
        "state": "active",
        "serial": str(fields["serial"]),
        "not_before": fields["not_before"],
        "not_after": fields["not_after"],
        "limits_class": 0,
        "created_at": now,
        "issued_at": now,
        "changed_at": now,
        "admission_key": fields["admission_key"].hex(),
    }


def test_list_tells_the_expired(server):
    server.ok("invite", "alice", "-o", "alice.fp")
    with sqlite3.connect(server.dir / "registry.db") as registry:
        registry.execute("UPDATE certificate SET not_after = ?", (int(time.time()),))
    registry.close()
    assert server.ok("list").stdout.splitlines()[1].split()[:2] == ["alice", "expired"]
    server.ok("renew", "alice")
    assert server.ok("list").stdout.splitlines()[1].split()[:2] == ["alice", "active"]


# --- revoke, suspend, unsuspend, without a server (test_cyphernetctl_control.py has one)


def test_revoke_by_label_takes_effect_at_the_next_start(server):
    server.ok("invite", "alice", "-o", "alice.fp")
    done = server.ok("revoke", "alice")
    assert "at the next start" in done.stderr
    assert lines(server.ok("list", "--json").stdout)[0]["state"] == "revoked"


def test_revoke_by_any_serial_revokes_the_subscriber(server):
    old = fingerprint(server.ok("invite", "alice", "-o", "-").stdout)["serial"]
    server.ok("renew", "alice")
    server.ok("revoke", old)
    assert lines(server.ok("list", "--json").stdout)[0]["state"] == "revoked"


def test_revoke_needs_no_signing_key(server):
    server.ok("invite", "alice", "-o", "alice.fp")
    (server.dir / "operator.key").unlink()
    (server.dir / "server.key").unlink()
    server.ok("revoke", "alice")


def test_revoke_twice_is_fine(server):
    server.ok("invite", "alice", "-o", "alice.fp")
    server.ok("revoke", "alice")
    assert "already" in server.ok("revoke", "alice").stderr


def test_a_revoked_label_is_invited_anew_with_another_key(server):
    old = fingerprint(server.ok("invite", "alice", "-o", "-").stdout)
    server.ok("revoke", "alice")
    new = fingerprint(server.ok("invite", "alice", "-o", "-").stdout)
    assert old["admission_key"] != new["admission_key"]
    assert [line["state"] for line in lines(server.ok("list", "--json").stdout)] == ["revoked", "active"]
    server.ok("revoke", "alice")
    assert [line["state"] for line in lines(server.ok("list", "--json").stdout)] == ["revoked", "revoked"]


def test_suspend_and_unsuspend(server):
    server.ok("invite", "alice", "-o", "alice.fp")
    server.ok("suspend", "alice")
    assert lines(server.ok("list", "--json").stdout)[0]["state"] == "suspended"
    server.ok("unsuspend", "alice")
    assert lines(server.ok("list", "--json").stdout)[0]["state"] == "active"


def test_revoke_json(server):
    server.ok("invite", "alice", "-o", "alice.fp")
    serial = str(fingerprint((server.tmp / "alice.fp").read_text())["serial"])
    [line] = lines(server.ok("revoke", "alice", "--json").stdout)
    assert line == {"v": 1, "event": "revoked", "label": "alice", "serial": serial, "running": False, "cut": 0}


# --- root working for the server's user


@needs_root
def test_what_root_makes_belongs_to_the_owner_of_the_directory(open_tmp):
    ctl = Ctl(open_tmp)
    ctl.dir.mkdir(mode=0o700)
    os.chown(ctl.dir, 12345, 12346)
    ctl.init()
    ctl.ok("invite", "alice", "-o", "alice.fp")
    ctl.ok("suspend", "alice")
    for path in ctl.dir.iterdir():
        assert (path.stat().st_uid, path.stat().st_gid) == (12345, 12346), path
    assert (ctl.tmp / "alice.fp").stat().st_uid == 0


def test_it_is_the_program_that_was_built():
    assert (BUILD / "cyphernetctl").exists(), "set CYPHERNET_BUILD"


def test_the_tests_own_forger_backdates(server):
    done = subprocess.run(
        [BUILD / "tests/support/forge", server.dir, "alice", "1000", "2000"], capture_output=True, text=True, check=True
    )
    fields = fingerprint(done.stdout)
    assert (fields["not_before"], fields["not_after"], fields["label"]) == (1000, 2000, "alice")
    assert fields["server_key"] == fingerprint(server.ok("invite", "bob", "-o", "-").stdout)["server_key"]
