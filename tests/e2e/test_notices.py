"""What the operator tells subscribers through the server: taken in by itself, or refused, and never half."""

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import time

import pytest

from cn_helper import Person, exchange
from ctl_helper import BUILD, Ctl, fingerprint, preload
from live import World, free_port, until

DAY = 86400


def held(person):
    """The fingerprint that is stored."""
    return fingerprint((person.home / "fingerprint").read_text())


def invited_long_ago(world, name, days_ago=10, days=1):
    """A subscriber whose fingerprint has expired by now."""
    env = {**os.environ, **preload("shift_clock.so", world.tmp / name_of(world)), "CLOCK_SHIFT_S": str(-days_ago * DAY)}
    world.ctl.ok("invite", name, "--days", days, "-o", f"{name}.fp", env=env)
    one = Person(world.tmp, name)
    one.ok("join", f"{name}.fp")
    return one


def name_of(world):
    """A fresh directory for a preloaded module."""
    place = world.tmp / f"shim-{len(list(world.tmp.iterdir()))}"
    place.mkdir()
    return place.name


def expired_pair(world):
    """Ann's fingerprint has expired, bob's has not."""
    ann = invited_long_ago(world, "ann")
    bob = world.person("bob")
    exchange(ann, bob)
    return ann, bob


def call(world, one, other, *words, code=0):
    """A pipe between the two, from one to the other; the process of the one."""
    first = world.start(one, "pipe", other.name, *words, stdin=b"hello")
    second = world.start(other, "pipe", one.name, stdin=b"")
    first.end(code)
    if code == 0:
        second.end(0)
        assert second.got() == b"hello"
    else:
        second.stop()
    return first


def notices(world):
    """All that are in the registry, as rows."""
    with contextlib.closing(sqlite3.connect(world.ctl.dir / "registry.db")) as db:
        return db.execute("SELECT admission_key, number, serial, octets FROM notice ORDER BY number").fetchall()


def tamper(world, sql, *values):
    """Change the registry behind everybody's back, and have the server read it again."""
    with contextlib.closing(sqlite3.connect(world.ctl.dir / "registry.db", isolation_level=None)) as db:
        db.execute(sql, values)
    said = world.server.said().count("event=registry ")
    world.server.signal(1)
    until(lambda: world.server.said().count("event=registry ") > said, "the registry is read again")


# --- renewal -----------------------------------------------------------------------------------------------------------


def test_who_has_expired_is_renewed_by_calling(own):
    own.serve()
    ann, bob = expired_pair(own)
    own.ctl.ok("renew", "ann", "--days", "300")
    old = held(ann)
    done = call(own, ann, bob)
    assert "the operator has renewed your fingerprint, until 20" in done.said()
    new = held(ann)
    assert new["serial"] != old["serial"] and new["not_after"] > time.time() + 299 * DAY
    assert new["secret"] == old["secret"] and new["number"] > 0
    assert (ann.home / "fingerprint").stat().st_mode & 0o777 == 0o600
    assert "renewed" not in call(own, ann, bob).said()  # it was told once


def test_who_has_expired_and_is_not_renewed_is_refused(own):
    own.serve()
    ann, bob = expired_pair(own)
    before = held(ann)
    assert "your fingerprint has expired" in call(own, ann, bob, code=7).said()
    assert held(ann) == before


def test_a_renewal_that_has_expired_too_helps_nobody(own):
    """And does not make the client dial for ever."""
    own.serve()
    ann, bob = expired_pair(own)
    shim = preload("shift_clock.so", own.tmp / name_of(own))
    own.ctl.ok("renew", "ann", "--days", "1", env={**os.environ, **shim, "CLOCK_SHIFT_S": str(-5 * DAY)})
    assert "your fingerprint has expired" in call(own, ann, bob, code=7).said()


def test_who_is_valid_still_is_renewed_and_the_call_goes_on(own_pair, own):
    ann, bob = own_pair
    old = held(ann)
    own.ctl.ok("renew", "--all", "--days", "700")
    call(own, ann, bob)
    assert held(ann)["not_after"] > old["not_after"] + 300 * DAY
    assert held(bob)["not_after"] > old["not_after"] + 300 * DAY


def test_it_is_said_as_an_event(own):
    own.serve()
    ann, bob = expired_pair(own)
    own.ctl.ok("renew", "ann")
    events = own.tmp / "events"
    with events.open("wb") as to:
        first = own.start(ann, "pipe", bob.name, "--events", to.fileno(), stdin=b"hello", pass_fds=[to.fileno()])
        own.start(bob, "pipe", ann.name, stdin=b"").end(0)
        first.end(0)
    [event] = [line for line in map(json.loads, events.read_text().splitlines()) if line["event"] == "notice"]
    assert event == {"v": 1, "event": "notice", "contact": "bob", "renewed": True, "moved": False, "rekeyed": False,
                     "not_after": held(ann)["not_after"], "stored": True, "refused": False}


def test_quiet_says_nothing(own_pair, own):
    ann, bob = own_pair
    own.ctl.ok("renew", "ann", "--days", "700")
    old = held(ann)
    assert call(own, ann, bob, "-q").said() == ""
    assert held(ann)["serial"] != old["serial"]


def test_the_suspended_and_the_revoked_are_told_nothing(own):
    own.serve()
    ann, bob = expired_pair(own)
    own.ctl.ok("renew", "ann")
    own.ctl.ok("suspend", "ann")
    before = held(ann)
    assert "the operator has suspended you" in call(own, ann, bob, code=7).said()
    assert held(ann) == before
    own.ctl.ok("unsuspend", "ann")
    call(own, ann, bob)
    assert held(ann)["serial"] != before["serial"]


def test_who_waits_over_the_end_of_his_fingerprint_is_renewed(own):
    """The notice comes with the verdict of the line after."""
    own.serve("[waiting]\nkeep_alive = 1\n")
    own.ctl.ok("invite", "ann", "--days", "1", "-o", "ann.fp",
               env={**os.environ, **preload("shift_clock.so", own.tmp / name_of(own)),
                    "CLOCK_SHIFT_S": str(-DAY + 6)})
    ann, bob = Person(own.tmp, "ann"), own.person("bob")
    ann.ok("join", "ann.fp")
    exchange(ann, bob)
    waits = own.start(ann, "pipe", "bob", "--answer", stdin=b"hello")
    waits.says("waiting for bob")
    own.ctl.ok("renew", "ann")
    waits.says("the operator has renewed your fingerprint")
    other = own.start(bob, "pipe", "ann", stdin=b"")
    waits.end(0)
    other.end(0)
    assert other.got() == b"hello"


def test_the_doctor_tells_of_a_renewal_and_takes_nothing(own):
    own.serve()
    ann, _ = expired_pair(own)
    own.ctl.ok("renew", "ann")
    before = ann.files()
    done = ann.run("doctor")
    assert done.returncode == 7
    assert "but the operator has renewed it; your next call takes it in by itself" in done.stdout
    assert ann.files() == before


# $1: where a small disk is mounted, $2: the home to copy there, $3: where to put what it holds in the end.
FULL_DISK = """
mount -t tmpfs -o size=128k none "$1" 2>/dev/null || exit 99
cp -a "$2" "$1/home"
cat /dev/zero >"$1/filler" 2>/dev/null
export CYPHERNET_HOME="$1/home"
left=$3
shift 3
"$@"
code=$?
cp -a "$CYPHERNET_HOME" "$left"
exit $code
"""


def test_a_full_disk_leaves_the_old_one_and_the_call_goes_on(own):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    own.serve()
    ann, bob = expired_pair(own)
    own.ctl.ok("renew", "ann")
    (own.tmp / "small").mkdir()
    other = own.start(bob, "pipe", "ann", stdin=b"")
    first = own.run_program(
        ["unshare", "-m", "sh", "-c", FULL_DISK, "sh", own.tmp / "small", ann.home, own.tmp / "left",
         BUILD / "cyphernet", "pipe", "bob", "--wait", 30], stdin=b"hello", cwd=own.tmp)
    code = first.end()
    if code == 99 or "unshare" in first.said():
        pytest.skip("not allowed to mount")
    assert code == 0, first.said()
    other.end(0)
    assert other.got() == b"hello"
    assert "cannot be stored: " in first.said() and "No space left on device" in first.said()
    for path in ann.home.rglob("*"):
        if path.is_file():
            assert (own.tmp / "left" / path.relative_to(ann.home)).read_bytes() == path.read_bytes()
    new = {path.relative_to(own.tmp / "left") for path in (own.tmp / "left").rglob("*")}
    new -= {path.relative_to(ann.home) for path in ann.home.rglob("*")}
    assert {path.name for path in new} == {"waiting"}  # which holds nothing but locks


@pytest.mark.parametrize("how", ["killed", "replaced", "started"])
def test_a_later_gate_knows_of_it(own, how):
    own.serve()
    ann, bob = expired_pair(own)
    own.ctl.ok("renew", "ann")
    before = own.gate()
    if how == "killed":
        os.kill(before, 9)
    elif how == "replaced":
        own.server.signal(signal.SIGUSR2)
    else:
        own.server.signal(signal.SIGTERM)
        own.server.end(0)
        own.serve()
    until(lambda: before not in own.processes().get("cyphernetd-gate", [before]), "there is another gate alone")
    assert "has renewed your fingerprint" in call(own, ann, bob).said()


# --- what is refused ---------------------------------------------------------------------------------------------------


REFUSED = "it has changed nothing; tell the operator"


def refused(world, one, other):
    """The call is carried all the same; a warning is given, and nothing has changed."""
    before = held(one)
    assert REFUSED in call(world, one, other).said()
    assert held(one) == before


@pytest.mark.parametrize("at", [1, 9, 41, 73, 75, 83, 115, 123, 131, 132, 195, 196, 259])
def test_a_renewal_that_was_tampered_with_is_refused(own_pair, own, at):
    ann, bob = own_pair
    own.ctl.ok("renew", "ann", "--days", "700")
    [(_, _, _, octets)] = notices(own)
    octets = bytearray(octets)
    octets[at] ^= 1
    tamper(own, "UPDATE notice SET octets = ?", bytes(octets))
    refused(own, ann, bob)


def test_a_renewal_of_another_subscriber_is_refused(own_pair, own):
    ann, bob = own_pair
    own.ctl.ok("renew", "bob", "--days", "700")
    tamper(own, "UPDATE notice SET admission_key = ?", held(ann)["admission_key"])
    refused(own, ann, bob)


def test_rubbish_is_refused(own_pair, own):
    ann, bob = own_pair
    own.ctl.ok("renew", "ann")
    tamper(own, "UPDATE notice SET octets = randomblob(200)")
    before = held(ann)
    said = call(own, ann, bob).said()
    assert REFUSED in said or "does not understand" in said
    assert held(ann) == before


def test_a_notice_of_another_operator_is_refused(own_pair, own, tmp_path):
    ann, bob = own_pair
    other = World(tmp_path / "other")
    other.ctl.ok("move", "--public", "evil.example:1")
    [row] = notices(other)
    tamper(own, "INSERT INTO notice (admission_key, number, serial, octets) VALUES (?, ?, ?, ?)", *row)
    refused(own, ann, bob)


def test_a_notice_of_the_operator_for_another_server_of_his_is_refused(own, tmp_path):
    """The same operator's key, and the same subscriber's; but he was moved at the other server."""
    ann, bob = own.serve().pair()
    other = Ctl(tmp_path / "own")
    other.dir = tmp_path / "second"
    other.ok("init", "--listen", "127.0.0.1:1")
    shutil.copy(own.ctl.dir / "operator.key", other.dir / "operator.key")
    with contextlib.closing(sqlite3.connect(other.dir / "registry.db", isolation_level=None)) as db:
        db.execute("UPDATE operator SET public_key = ?", (held(ann)["operator_key"],))
    other.ok("move", "--public", "evil.example:1")
    with contextlib.closing(sqlite3.connect(other.dir / "registry.db")) as db:
        [row] = db.execute("SELECT admission_key, number, serial, octets FROM notice").fetchall()
    tamper(own, "INSERT INTO notice (admission_key, number, serial, octets) VALUES (?, ?, ?, ?)", *row)
    refused(own, ann, bob)


def test_an_older_notice_undoes_nothing(own_pair, own):
    """Signed by the operator, and once valid: a server that keeps it cannot bring it back."""
    ann, bob = own_pair
    own.ctl.ok("renew", "ann", "--days", "2")
    old = notices(own)[0]
    own.ctl.ok("renew", "ann", "--days", "700")
    call(own, ann, bob)
    before = held(ann)
    tamper(own, "UPDATE notice SET number = ?, serial = ?, octets = ?", *old[1:])
    assert "notice" not in call(own, ann, bob).said()
    assert held(ann) == before


def test_a_fingerprint_handed_over_is_newer_than_what_was_said_before(own):
    own.serve()
    own.ctl.ok("move", "--public", f"127.0.0.1:{free_port()}")
    stale = notices(own)[0]
    own.ctl.ok("move", "--public", f"127.0.0.1:{own.port}")
    ann, bob = own.pair()
    before = held(ann)
    tamper(own, "UPDATE notice SET number = ?, serial = ?, octets = ?", *stale[1:])
    call(own, ann, bob)
    assert held(ann) == before


# --- move --------------------------------------------------------------------------------------------------------------


def test_who_calls_at_the_old_address_goes_to_the_new_one_from_then_on(own):
    """The server listens on both; then the old one is gone."""
    new = free_port()
    own.ctl.dir = own.tmp / "both"
    own.ctl.ok("init", "--listen", f"127.0.0.1:{own.port}", "--listen", f"127.0.0.1:{new}", "--public",
               f"127.0.0.1:{own.port}")
    own.serve()
    ann, bob = own.pair()
    own.ctl.ok("move", "--public", f"127.0.0.1:{new}")
    done = call(own, ann, bob)
    assert f"the server has moved: your next call goes to 127.0.0.1:{new}" in done.said()
    assert held(ann)["addresses"] == held(bob)["addresses"] == [f"127.0.0.1:{new}"]
    with contextlib.closing(sqlite3.connect(own.ctl.dir / "registry.db", isolation_level=None)) as db:
        db.execute("DELETE FROM address WHERE kind = 'listen' AND place = 0")
    own.server.signal(15)
    own.server.end(0)
    own.serve()
    assert "moved" not in call(own, ann, bob).said()


def test_renewed_and_moved_at_once(own):
    own.serve()
    ann, bob = expired_pair(own)
    own.ctl.ok("renew", "ann")
    own.ctl.ok("move", "--public", f"localhost:{own.port}")
    done = call(own, ann, bob)
    assert "has renewed your fingerprint" in done.said() and "the server has moved" in done.said()
    assert held(ann)["addresses"] == [f"localhost:{own.port}"]
    own.ctl.ok("renew", "ann", "--days", "800")
    call(own, ann, bob)
    assert held(ann)["addresses"] == [f"localhost:{own.port}"]
    assert held(ann)["not_after"] > time.time() + 799 * DAY


def test_many_programs_of_one_subscriber_take_it_in_at_once(own):
    own.serve()
    ann = invited_long_ago(own, "ann")
    others = [own.person(f"p{i}") for i in range(6)]
    for one in others:
        exchange(ann, one)
    own.ctl.ok("renew", "ann")
    mine = [own.start(ann, "pipe", one.name, stdin=b"hello") for one in others]
    theirs = [own.start(one, "pipe", "ann", stdin=b"") for one in others]
    for running in mine + theirs:
        running.end(0)
    assert held(ann)["number"] > 0
    assert [path.name for path in ann.home.iterdir() if path.name.endswith(".tmp")] == []


# --- a key kept elsewhere ----------------------------------------------------------------------------------------------


def test_renewals_moves_and_revocations_come_from_where_the_key_is(own):
    op, server = Ctl(own.tmp), Ctl(own.tmp)
    op.dir, server.dir = own.tmp / "op", own.tmp / "remote"
    op.ok("init", "--listen", "127.0.0.1:1", "--public", f"127.0.0.1:{own.port}")
    server.ok("init", "--listen", f"127.0.0.1:{own.port}", "--operator-key", op.dir / "operator.pub")
    op.ok("import", server.dir / "server.pub")
    own.ctl = server
    own.serve()
    own.ctl = op  # who invites
    ann, bob = expired_pair(own)
    call(own, ann, bob, code=7)
    op.ok("renew", "ann")
    op.ok("export-revocations", "-o", "first")
    assert json.loads(server.ok("import", "--json", "first").stdout)["running"] is True
    assert "has renewed your fingerprint" in call(own, ann, bob).said()
    waiting = own.start(bob, "pipe", "ann", "--answer", stdin=b"")
    waiting.says("waiting for ann")
    op.ok("revoke", "bob")
    op.ok("export-revocations", "-o", "second")
    server.ok("import", "second")
    waiting.end(7)
    assert "has revoked your fingerprint" in waiting.said()
