"""Start, signals, revocation, and the end of cyphernetd."""

import contextlib
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest
from ctl_helper import BUILD, SANITIZED, needs_root, preload
from lines import OTHER, TAG, Line, call_of, counts, invited, pair_of, prologue, status, works
from live import World, until

SOON = 30  # seconds: by far less than shutdown_timeout, of a machine that may be busy


def start(world, programs=BUILD, **options):
    """cyphernetd that is expected to refuse: what it says."""
    done = subprocess.run(
        [programs / "cyphernetd", "--dir", options.pop("dir", world.ctl.dir)],
        capture_output=True, text=True, timeout=20, check=False, **options,
    )
    assert done.stdout == "", done.stdout
    return done.returncode, done.stderr


def refuses(world, error, hint=None, **options):
    code, said = start(world, **options)
    assert code == 1, (code, said)
    lines = [line for line in said.splitlines() if "event=" not in line]
    assert lines[0] == f"cyphernetd: error: {error}", said
    if hint:
        assert lines[1] == f"cyphernetd: hint: {hint}", said
    assert "Sanitizer" not in said


# --- start -----------------------------------------------------------------------------------------------------------


def test_no_directory(own, tmp_path):
    refuses(own, f"{tmp_path}/nowhere: No such file or directory", dir=tmp_path / "nowhere")


def test_a_directory_that_was_never_initialised(own, tmp_path):
    (tmp_path / "bare").mkdir()
    code, said = start(own, dir=tmp_path / "bare")
    assert code == 1
    assert said.startswith("cyphernetd: error: server.key: "), said


def test_two_servers_on_one_directory(own):
    own.serve()
    refuses(own, "another cyphernetd serves this directory", "cyphernetctl status asks it")
    assert status(own)["running"]


def test_a_key_that_others_may_read(own):
    (own.ctl.dir / "server.key").chmod(0o640)
    refuses(own, "server.key: others may get at it, or it has a second name")
    (own.ctl.dir / "server.key").chmod(0o600)
    own.serve()


def test_a_key_with_a_second_name(own):
    os.link(own.ctl.dir / "server.key", own.ctl.dir / "copy")
    refuses(own, "server.key: others may get at it, or it has a second name")


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other_kind"])
def test_a_damaged_key(own, damage):
    path = own.ctl.dir / "server.key"
    text = bytearray(path.read_bytes())
    if damage == "flipped":
        text[60] ^= 1
    made = {"cut": text[:80], "flipped": text, "empty": b"", "other_kind": (own.ctl.dir / "operator.key").read_bytes()}
    path.write_bytes(made[damage])
    code, said = start(own)
    assert code == 1
    assert "cyphernetd: error: server.key: " in said


def test_the_key_of_another_server(own, tmp_path):
    """Nobody who holds a fingerprint of this one could ever be admitted: it is better to say so."""
    other = World(tmp_path / "other")
    shutil.copy(other.ctl.dir / "server.key", own.ctl.dir / "server.key")
    refuses(
        own,
        "server.key is not the key that this server's fingerprints name",
        "put back the server.key that `cyphernetctl init` made; a new one needs new fingerprints",
    )


REGISTRY_ERRORS = {
    "none": ("it is damaged, or `cyphernetctl init` did not finish", "bring it back from a backup; if it was never"),
    "cut": ("it is damaged, or `cyphernetctl init` did not finish", "bring it back from a backup; if it was never"),
    "bare": ("it is damaged, or `cyphernetctl init` did not finish", "bring it back from a backup; if it was never"),
    "later": ("it was made by a later cyphernetctl", "upgrade this program"),
    "absent": ("the directory holds no registry", "cyphernetctl --dir DIR init --listen HOST:PORT makes one"),
    "locked": ("Device or resource busy", "another cyphernetctl is at work: try again"),
}


@pytest.mark.parametrize("damage", REGISTRY_ERRORS)
def test_a_registry_that_cannot_be_read_is_told_with_what_to_do_by_both_programs(own, damage):
    path = own.ctl.dir / "registry.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if damage == "later":
            db.execute("PRAGMA user_version = 9")
        if damage == "bare":
            db.execute("DELETE FROM address")
        if damage == "locked":
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
            db.execute("BEGIN EXCLUSIVE")
        if damage == "none":
            path.write_bytes(b"rubbish" * 1000)
        if damage == "cut":
            os.truncate(path, 5000)
        if damage == "absent":
            path.unlink()
        error, hint = REGISTRY_ERRORS[damage]
        code, said = start(own)
        told = own.ctl.run("list").stderr
    assert code == 1
    assert said.splitlines()[-2] == f"cyphernetd: error: registry.db: {error}"
    assert said.splitlines()[-1].startswith(f"cyphernetd: hint: {hint}")
    assert told.splitlines()[0].endswith(f"registry.db: {error}")
    assert told.splitlines()[1].startswith(f"cyphernetctl: hint: {hint}")
    assert path.exists() == (damage != "absent")


def test_a_configuration_that_is_wrong(own):
    (own.ctl.dir / "cyphernetd.conf").write_text("[server]\nport = 1\n")
    refuses(
        own,
        "cyphernetd.conf: line 2: [server] port: no such key; cyphernetd.conf(5) lists them all",
        "cyphernetd.conf(5) describes every key",
    )


def test_a_port_in_use(own):
    with socket.create_server(("127.0.0.1", own.port)):
        refuses(
            own,
            f"cannot listen on 127.0.0.1:{own.port}: Address already in use",
            "is another server running there, or the address not this machine's?",
        )
    own.serve()


def test_it_refuses_without_leaving_a_socket_behind(own):
    with socket.create_server(("127.0.0.1", own.port)):
        start(own)
    assert not (own.ctl.dir / "control").exists()


def test_a_control_socket_left_by_a_killed_server_is_no_hindrance(own):
    own.serve()
    own.server.stop()
    assert (own.ctl.dir / "control").exists()
    own.serve()
    assert status(own)["running"]


@pytest.mark.parametrize(
    "words, error",
    [
        (["x"], "there is no argument x"),
        (["--dir", "x", "y"], "there is no argument y"),
        (["--dir"], "--dir needs a value"),
        (["-q", "--nonsense"], "there is no option --nonsense"),
        (["--quiet", "-xq"], "there is no option -x"),
        (["--quiet=yes"], "there is no option --quiet=yes"),
    ],
)
def test_words_that_mean_nothing(words, error):
    done = subprocess.run([BUILD / "cyphernetd", *words], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == f"cyphernetd: error: {error}\ncyphernetd: hint: cyphernetd --help\n"


def started(world, *words):
    world.server = world.run_program([BUILD / "cyphernetd", "--dir", world.ctl.dir, *words])
    until(lambda: b"ready" in world.server.got() or world.server.process.poll() is not None, "the server is ready")
    return world.server


@pytest.mark.parametrize("word", ["-q", "--quiet"])
def test_quiet_leaves_what_failed(own, word):
    (own.ctl.dir / "cyphernetd.conf").write_text("[server]\nlog_addresses = yes\n")
    server = started(own, word)
    for line in call_of(own):
        line.ok("close")
    (own.ctl.dir / "cyphernetd.conf").write_text("rubbish\n")
    server.signal(signal.SIGHUP)
    server.says("reload_failed")
    server.signal(signal.SIGTERM)
    server.end(0)
    assert server.said().count("\n") == 1, server.said()


@pytest.mark.parametrize("word", ["-v", "--verbose"])
def test_verbose_tells_which_configuration_is_read(own, word):
    server = started(own, word)
    assert "event=configuration file=none\n" in server.said()
    assert "event=room lines=16384\n" in server.said()
    reload(own, "[waiting]\nspread = 7\n")
    assert "event=configuration file=cyphernetd.conf\n" in server.said()


def test_without_a_word_there_are_no_details(own):
    server = started(own)
    assert "event=configuration" not in server.said() and "event=room" not in server.said()


@pytest.mark.parametrize("descriptors", [5, 6])
def test_too_few_descriptors_to_start_are_told_with_what_to_do(own, descriptors):
    command = ["prlimit", f"--nofile={descriptors}:{descriptors}", BUILD / "cyphernetd", "--dir", own.ctl.dir]
    own.server = own.run_program(command)
    own.server.end(1)
    said = [line for line in own.server.said().splitlines() if "event=" not in line]
    assert said[0].endswith(": Too many open files"), said
    assert said[1:] == ["cyphernetd: hint: allow it more descriptors: ulimit -n, or LimitNOFILE= of its service"]


def test_too_little_memory_to_start_is_told_with_what_to_do(own):
    if SANITIZED:
        pytest.skip("the sanitizers need their own")
    (own.ctl.dir / "cyphernetd.conf").write_text("[waiting]\ntags_max = 10000000\n")
    command = ["prlimit", "--as=300000000", BUILD / "cyphernetd", "--dir", own.ctl.dir]
    own.server = own.run_program(command)
    own.server.end(1)
    said = [line for line in own.server.said().splitlines() if "event=" not in line]
    assert said[0] == "cyphernetd: error: starting: out of memory"
    assert said[1].startswith("cyphernetd: hint: allow it more memory, or lower lines_max and tags_max"), said


def test_help_and_version():
    for word, begin in (("--help", "usage: cyphernetd"), ("-h", "usage: cyphernetd"), ("--version", "cyphernetd ")):
        done = subprocess.run([BUILD / "cyphernetd", word], capture_output=True, text=True, timeout=20, check=True)
        assert done.stdout.startswith(begin)
        assert done.stderr == ""


# --- the user --------------------------------------------------------------------------------------------------------

NOBODY = 65534


def ids_of(process):
    told = Path(f"/proc/{process.pid}/status").read_text()
    return [line.split()[1:] for line in told.splitlines() if line.startswith(("Uid:", "Gid:", "Groups:"))]


def give_to_nobody(directory):
    for path in [directory, *directory.rglob("*")]:
        os.chown(path, NOBODY, NOBODY)


@needs_root
def test_root_becomes_the_owner_of_the_directory_for_good(open_tmp):
    world = World(open_tmp)
    give_to_nobody(world.ctl.dir)
    try:
        world.serve()
        assert ids_of(world.server.process) == [4 * [str(NOBODY)], 4 * [str(NOBODY)], []]
        assert (world.ctl.dir / "control").stat().st_uid == NOBODY
        assert WARNING_ROOT not in world.server.said()
        works(*call_of(world))
    finally:
        world.close()


WARNING_ROOT = "cyphernetd: event=warning text=\"runs as root, as the directory is root's: chown it to another\"\n"


@needs_root
def test_root_in_a_directory_of_its_own_is_warned_once(own):
    own.serve()
    assert own.server.said().count(WARNING_ROOT) == 1
    own.server.signal(signal.SIGHUP)
    until(lambda: "event=registry " in own.server.said(), "it has read its files again")
    assert own.server.said().count("as root") == 1


@needs_root
def test_it_runs_as_an_unprivileged_user(open_tmp, open_programs):
    world = World(open_tmp)
    give_to_nobody(world.ctl.dir)
    command = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
    try:
        world.server = world.run_program([*command, open_programs / "cyphernetd", "--dir", world.ctl.dir])
        until(lambda: b"ready" in world.server.got() or world.server.process.poll() is not None, "it is ready")
        assert world.server.process.poll() is None, world.server.said()
        works(*call_of(world))
    finally:
        world.close()


@needs_root
def test_the_directory_of_another_user(own, open_tmp, open_programs):
    shutil.copytree(own.ctl.dir, open_tmp / "server")
    (open_tmp / "server").chmod(0o755)
    refuses(
        own,
        "the directory belongs to another user",
        "run as the owner of the directory, or as root, who becomes the owner",
        programs=open_programs, dir=open_tmp / "server", user=NOBODY, group=NOBODY, extra_groups=[],
    )


def told_by_the_system(pid):
    """Of a process: how it is guarded."""
    told = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    [core] = [line for line in Path(f"/proc/{pid}/limits").read_text().splitlines() if line.startswith("Max core")]
    return {
        "sandbox": (int(told["Seccomp"]), int(told["NoNewPrivs"])),
        "locked": int(told["VmLck"].split()[0]),
        "core": core.split()[4:6],
        "uid": int(told["Uid"].split()[1]),
        "memory_of": os.stat(f"/proc/{pid}/mem").st_uid,
    }


@pytest.fixture
def guarded(open_tmp):
    """What the system tells of each process of a server that is not root's."""
    world = World(open_tmp)
    if os.geteuid() == 0:
        give_to_nobody(world.ctl.dir)
    world.serve("[metrics]\nlisten = metrics.sock\n")
    works(*call_of(world))
    world.server.signal(signal.SIGUSR2)
    world.server.says("event=upgraded")
    pids = {name: pid for name, pids in world.processes().items() for pid in pids}
    assert len(pids) == 4
    yield {name: told_by_the_system(pid) for name, pid in pids.items()}
    world.close()


def test_no_process_leaves_its_memory_to_others(guarded):
    """No core, and /proc/PID/mem is root's, as of one that is not dumpable."""
    for name, told in guarded.items():
        assert told["uid"] != 0
        assert told["core"] == ["0", "0"], name
        assert told["memory_of"] == 0, name


without_sanitizers = pytest.mark.skipif(SANITIZED, reason="built with sanitizers: no sandbox, nothing locked")


@without_sanitizers
def test_each_process_but_the_supervisor_is_in_its_sandbox(guarded):
    assert {name: told["sandbox"] for name, told in guarded.items() if name != "cyphernetd"} == {
        "cyphernetd-gate": (2, 1), "cyphernetd-switch": (2, 1), "cyphernetd-metr": (2, 1)}


@without_sanitizers
def test_the_gate_has_locked_its_key(guarded):
    assert guarded["cyphernetd-gate"]["locked"] >= 128
    assert guarded["cyphernetd-switch"]["locked"] == 0, "it has none"


def watched(world, command):
    """How the processes were guarded each time one opened or read a key: dumpable, core limit, KiB of locked memory."""
    notes = world.tmp / "notes"
    running = world.run_program(command, env={**preload("key_watch.so", world.tmp), "KEY_WATCH": str(notes)})
    until(lambda: b"ready" in running.got() or running.process.poll() is not None, "it has read its keys")
    return running, [[int(word) for word in line.split()] for line in notes.read_text().splitlines()]


def test_cyphernetd_is_guarded_before_it_reads_its_key(own):
    own.server, notes = watched(own, [BUILD / "cyphernetd", "--dir", own.ctl.dir])
    assert notes and all(note[:2] == [0, 0] for note in notes), notes
    assert notes[-1][2] >= 128 or "cannot be locked into memory" in own.server.said()


def test_cyphernetctl_is_guarded_before_it_reads_the_key_of_the_operator(own):
    ctl, notes = watched(own, [BUILD / "cyphernetctl", "--dir", own.ctl.dir, "invite", "ann", "-o", own.tmp / "ann.fp"])
    ctl.end(0)
    assert notes and all(note[:2] == [0, 0] for note in notes), notes


@pytest.mark.skipif(SANITIZED, reason="the sanitizers lock nothing")
def test_memory_that_cannot_be_locked_is_told_and_no_hindrance(open_tmp, open_programs):
    world = World(open_tmp)
    user = []
    if os.geteuid() == 0:  # whom no limit holds
        give_to_nobody(world.ctl.dir)
        user = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
    try:
        command = ["prlimit", "--memlock=0:0", *user, open_programs / "cyphernetd", "--dir", world.ctl.dir]
        world.server = world.run_program(command)
        until(lambda: b"ready" in world.server.got() or world.server.process.poll() is not None, "it is ready")
        assert "the server's key cannot be locked into memory: " in world.server.said()
        works(*call_of(world))
    finally:
        world.close()


# --- the end ---------------------------------------------------------------------------------------------------------


def test_sigterm_sends_waiting_lines_away_and_lets_calls_end(own):
    own.serve("[waiting]\nspread = 7\n")
    one, other = call_of(own)
    waiting = Line(own, invited(own)).wait()
    admitted = Line(own, invited(own)).admit()
    own.server.signal(signal.SIGTERM)
    waiting.expect("goaway 7")
    waiting.ended()
    admitted.expect("goaway 7")
    admitted.ended()
    for line in (waiting, admitted):
        line.ok("close")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", own.port))
    works(one, other)
    assert own.server.process.poll() is None
    one.ok("shutdown")
    assert other.recv(1) == (b"", "eof")
    other.send(b"last")
    one.gets(b"last")
    other.ok("shutdown")
    own.server.end(0, SOON)
    assert "event=ended_all" in own.server.said()
    assert not (own.ctl.dir / "control").exists()


def test_sigterm_lets_lines_that_were_joined_become_a_call(own):
    own.serve()
    one, other = pair_of(own)
    own.server.signal(signal.SIGTERM)
    until(lambda: "event=ending" in own.server.said(), "it ends")
    one.ready(octet=1)
    other.ready(octet=2)
    one.gets(prologue(octet=2))
    other.gets(prologue(octet=1))
    works(one, other)
    one.ok("close")
    other.ok("close")
    own.server.end(0, SOON)


def test_sigterm_with_nothing_to_wait_for_ends_at_once(own):
    own.serve()
    own.server.signal(signal.SIGTERM)
    own.server.end(0, SOON)


def test_a_line_without_a_hello_does_not_delay_the_end(own):
    own.serve("[admission]\nhello_timeout = 60\n[server]\nshutdown_timeout = 60\n")
    silent = Line(own, invited(own))
    counts(own, pending=1)
    own.server.signal(signal.SIGTERM)
    silent.ended()
    own.server.end(0, SOON)


def test_who_does_not_take_its_goaway_does_not_delay_the_end_for_long(own):
    own.serve()
    line = Line(own, invited(own)).wait()
    own.server.signal(signal.SIGTERM)
    own.server.end(0, SOON)
    line.expect("goaway 30")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once(own, number):
    own.serve()
    one, other = call_of(own)
    own.server.signal(number)
    until(lambda: "event=ending" in own.server.said(), "it ends")
    works(one, other)
    own.server.signal(number)
    own.server.end(0, SOON)
    one.ended()
    other.ended()


def test_shutdown_timeout_ends_calls_that_go_on(own):
    own.serve("[server]\nshutdown_timeout = 1\n")
    one, other = call_of(own)
    begun = time.monotonic()
    own.server.signal(signal.SIGTERM)
    own.server.end(0, SOON)
    assert time.monotonic() - begun > 0.7
    one.ended()
    other.ended()


# --- reload ----------------------------------------------------------------------------------------------------------


def reload(world, config):
    (world.ctl.dir / "cyphernetd.conf").write_text(config)
    said = world.server.said().count("event=reload")
    world.server.signal(signal.SIGHUP)
    until(lambda: world.server.said().count("event=reload") > said, "it has read its files again")


def tags_allowed(world):
    line = Line(world, invited(world)).hello()
    return line.ask("verdict").split()[1]


def test_sighup_takes_new_limits_and_keeps_lines_and_calls(own):
    own.serve("[waiting]\ntags_per_line = 100\n")
    one, other = call_of(own)
    waiting = Line(own, invited(own)).wait("input", OTHER)
    assert tags_allowed(own) == "tags=100"
    reload(own, "[waiting]\ntags_per_line = 50\n[joining]\nready_timeout = 6\n")
    assert "event=reloaded" in own.server.said()
    assert tags_allowed(own) == "tags=50"
    works(one, other)
    waiting.quiet(100)
    begun = time.monotonic()
    joined, _ = pair_of(own)
    joined.ended()
    assert time.monotonic() - begun > 5  # it was 3


def test_sighup_with_a_bad_file_keeps_the_old_limits_and_says_so(own):
    own.serve("[waiting]\ntags_per_line = 100\n")
    reload(own, "[waiting]\ntags_per_line = 50\nrubbish\n")
    said = own.server.said()
    assert "cyphernetd.conf: line 3: neither" in said
    assert "event=reload_failed kept=old" in said
    assert tags_allowed(own) == "tags=100"
    reload(own, "")
    assert tags_allowed(own) == "tags=1024" or tags_allowed(own) == "tags=100"  # the pool is fixed upwards


def test_sighup_says_what_takes_a_restart(own):
    own.serve("[waiting]\ntags_max = 100\n")
    reload(own, "[waiting]\ntags_max = 50\nspread = 7\n[calls]\npipes_max = 1000\n")
    assert "event=reloaded needs_restart=waiting.tags_max,calls.pipes_max\n" in own.server.said()
    reload(own, "[waiting]\ntags_max = 100\nspread = 7\n[calls]\npipes_max = 1\n")
    assert "event=reloaded\n" in own.server.said()


def test_a_new_program_says_what_still_takes_a_restart(own):
    """All sizes are another's but lines_max."""
    own.serve("[waiting]\nlines_max = 64\ntags_max = 100\n[calls]\nworkers = 1\n")
    reload(own, "[waiting]\nlines_max = 128\ntags_max = 200\n[calls]\nworkers = 2\n")
    own.server.says("event=reloaded needs_restart=waiting.lines_max,waiting.tags_max,calls.workers\n")
    for count in (1, 2):
        own.server.signal(signal.SIGUSR2)
        until(lambda: own.server.said().count("needs_restart=waiting.lines_max\n") == count, "it says so")
    assert own.server.said().count("event=upgraded") == 2
    reload(own, "[waiting]\nlines_max = 64\ntags_max = 200\n[calls]\nworkers = 2\n")
    assert "event=reloaded\n" in own.server.said()
    until(lambda: len(own.processes()["cyphernetd-switch"]) == 2, "only the newest workers are left")


def test_sighup_goes_back_to_the_defaults_when_the_file_has_gone(own):
    own.serve("[waiting]\nspread = 77\n")
    (own.ctl.dir / "cyphernetd.conf").unlink()
    own.server.signal(signal.SIGHUP)
    until(lambda: "event=reloaded" in own.server.said(), "it has read its files again")
    line = Line(own, invited(own)).hello()
    assert line.ask("verdict").endswith("spread=30")


def test_sighup_reads_the_registry_too(own):
    own.serve()
    fingerprint = invited(own, "dora")
    line = Line(own, fingerprint).wait()
    (own.ctl.dir / "control").unlink()  # so that cyphernetctl cannot tell it
    own.ctl.run("revoke", "dora")
    assert line.is_open()
    own.server.signal(signal.SIGHUP)
    line.expect("refused revoked")
    line.ended()


def test_sighup_with_a_registry_that_cannot_be_read_keeps_the_old_one_and_says_so(own):
    own.serve()
    fingerprint = invited(own)
    with sqlite3.connect(own.ctl.dir / "registry.db") as db:
        db.execute("DELETE FROM operator")
    db.close()
    own.server.signal(signal.SIGHUP)
    until(lambda: "event=registry_failed" in own.server.said(), "it has read its files again")
    assert "event=registry " not in own.server.said()
    Line(own, fingerprint).wait()  # whose signature still counts


def test_a_sighup_before_it_is_ready_ends_nothing_and_is_obeyed(own):
    """While the registry is locked it cannot become ready."""
    db = sqlite3.connect(own.ctl.dir / "registry.db", isolation_level=None)
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    db.execute("BEGIN EXCLUSIVE")
    own.server = own.run_program([BUILD / "cyphernetd", "--dir", own.ctl.dir])
    told = Path(f"/proc/{own.server.process.pid}/status")
    until(lambda: int(told.read_text().split("SigBlk:")[1].split()[0], 16) & 1, "it has begun")
    own.server.signal(signal.SIGHUP)
    until(lambda: int(told.read_text().split("ShdPnd:")[1].split()[0], 16) & 1, "it has got it")
    db.close()
    until(lambda: b"ready" in own.server.got() or own.server.process.poll() is not None, "it is ready")
    until(lambda: "event=reloaded" in own.server.said(), "it has read its files again")


def test_many_sighups_change_nothing(own):
    own.serve()
    one, other = call_of(own)
    for _ in range(50):
        own.server.signal(signal.SIGHUP)
    works(one, other)
    assert status(own)["calls"] == 1


# --- revocation ------------------------------------------------------------------------------------------------------


def test_revocation_cuts_waiting_joined_and_calling_lines(own):
    own.serve()
    evil, good = invited(own, "evil"), invited(own, "good")
    calling, called = call_of(own, fingerprints=(evil, good))
    waiting = Line(own, evil).wait("input", OTHER)
    joined, partner = pair_of(own, fingerprints=(evil, good), tag=32 * "aa")
    admitted = Line(own, evil).admit()
    bystander = Line(own, good).wait("input", TAG)
    partner.ready(octet=9)
    own.ctl.ok("revoke", "evil")
    for line in (waiting, admitted):
        line.expect("refused revoked")
    for line in (calling, called, waiting, joined, admitted):
        line.ended()
    bystander.quiet(100)
    third = Line(own, invited(own)).admit()
    assert third.register("input", 32 * "aa").startswith("joined")
    third.ready().gets(prologue(octet=9))  # the partner of a revoked one has come to no harm
    counts(own, ended_cut=1, calls=1)
    assert Line(own, evil).hello().ask("verdict") == "revoked"


def test_suspension_cuts_too(own):
    own.serve()
    line = Line(own, invited(own, "late")).wait()
    own.ctl.ok("suspend", "late")
    line.expect("refused suspended")
    line.ended()


def test_revocation_of_somebody_else_cuts_nobody(own):
    own.serve()
    invited(own, "nobody-here")
    line = Line(own, invited(own)).wait()
    call = call_of(own, tag=OTHER)
    own.ctl.ok("revoke", "nobody-here")
    line.quiet(200)
    works(*call)


def test_a_revocation_reaches_lines_under_a_renewed_certificate(own):
    """One line came with the old certificate, one with the new: both are of the same subscriber."""
    own.serve()
    old = invited(own, "eve")
    own.ctl.ok("renew", "eve", "-o", "eve-2.fp")
    first = Line(own, old).wait("input", TAG)
    call = call_of(own, fingerprints=(old, invited(own)), tag=OTHER)
    own.ctl.ok("revoke", "eve")
    first.expect("refused revoked")
    first.ended()
    call[0].ended()
    assert Line(own, old).hello().ask("verdict") == "revoked"


def test_a_revocation_reaches_a_server_whose_registry_was_brought_back_from_a_backup(own):
    own.serve()
    fingerprint = invited(own, "eve")
    with sqlite3.connect(own.ctl.dir / "registry.db") as db, sqlite3.connect(own.tmp / "backup.db") as copy:
        db.backup(copy)
    db.close()
    copy.close()
    line = Line(own, fingerprint).wait()
    for journal in ("registry.db-wal", "registry.db-shm"):
        (own.ctl.dir / journal).unlink(missing_ok=True)
    (own.tmp / "backup.db").replace(own.ctl.dir / "registry.db")
    assert "1 line cut" in own.ctl.ok("revoke", "eve").stderr
    line.expect("refused revoked")
    line.ended()
    assert Line(own, fingerprint).hello().ask("verdict") == "revoked"


def test_nobody_without_the_key_of_the_operator_is_needed_to_revoke(own):
    own.serve()
    line = Line(own, invited(own, "mallory")).wait()
    (own.ctl.dir / "operator.key").unlink()
    own.ctl.ok("revoke", "mallory")
    line.expect("refused revoked")
    line.ended()


# --- control ---------------------------------------------------------------------------------------------------------


def control(world, octets, ends=True):
    where = os.open(world.ctl.dir, os.O_PATH)
    line = socket.socket(socket.AF_UNIX)
    line.settimeout(20)
    try:
        line.connect(f"/proc/self/fd/{where}/control")
    finally:
        os.close(where)
    line.sendall(octets)
    if ends:
        line.shutdown(socket.SHUT_WR)
    return line


def test_what_is_no_request_is_told_or_ended(own):
    own.serve()
    for octets in (b"nonsense\n", b"x" * 63, b"STATUS\n", b"status \n", b"status\nstatus\n", b"registry\n", b"registry \n", b"registry 1x\n"):
        assert b'"event":"error"' in control(own, octets).recv(1000)
    for octets in (b"", b"status", b"\0" * 10):
        assert control(own, octets).recv(1000) == b""
    assert status(own)["running"]


def test_the_manual_tells_of_every_member_of_the_status(own):
    own.serve()
    page = (Path(__file__).parents[2] / "docs/man/cyphernetd.8.scd").read_text()
    assert [name for name in status(own) if name not in ("v", "event") and f"*{name}*" not in page] == []


def test_those_who_ask_and_say_nothing_hinder_nobody(own):
    own.serve()
    line = Line(own, invited(own, "eve")).wait()
    held = [control(own, b"", ends=False) for _ in range(8)]
    assert "1 line cut" in own.ctl.ok("revoke", "eve").stderr
    line.expect("refused revoked")
    assert status(own)["running"]
    for one in held:
        assert one.recv(1) == b""


def test_only_the_owner_may_ask(own):
    own.serve()
    assert (own.ctl.dir / "control").stat().st_mode & 0o777 == 0o600
