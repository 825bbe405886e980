"""cyphernet pipe: real programs, a real server, and everything that gets in between."""

import contextlib
import fcntl
import itertools
import os
import random
import resource
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from cn_helper import exchange
from ctl_helper import BUILD
from live import KEYS, LIMIT, SUITES, held, piped, until
from proxy import Proxy

PIPE = subprocess.PIPE
MANY = 5 << 20


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


def both_ways(world, one, other):
    there, back = noise(3000, 1), noise(2000, 2)
    assert piped(world, one, other, there, back) == (there, back)


# --- what works


@pytest.mark.parametrize("size", [0, 1, 65407, 65408, 65409, MANY])
def test_both_ways_at_once(world, size):
    there, back = noise(size, 1), noise(size, 2)
    got, returned = piped(world, world.ann, world.bob, there, back)
    assert got == there
    assert returned == back


def test_sizes_that_differ(world):
    there = noise(MANY)
    assert piped(world, world.ann, world.bob, there, b"x") == (there, b"x")
    assert piped(world, world.bob, world.ann, there, b"") == (there, b"")


@pytest.mark.parametrize("first", ["ann", "bob"])
def test_whoever_is_first_waits(world, first):
    one, other = (world.ann, world.bob) if first == "ann" else (world.bob, world.ann)
    early = world.start(one, "pipe", other.name, stdin=b"from the first")
    early.says(f"waiting for {other.name}")
    assert early.process.poll() is None
    late = world.start(other, "pipe", one.name, stdin=b"from the second")
    late.end(0)
    early.end(0)
    assert (early.got(), late.got()) == (b"from the second", b"from the first")


def test_a_live_dialogue(world):
    """Octets arrive while both inputs are still open."""
    one = world.start(world.ann, "pipe", "bob", stdin=PIPE, stdout=PIPE)
    other = world.start(world.bob, "pipe", "ann", stdin=PIPE, stdout=PIPE)
    for turn in range(20):
        for asking, answering in ((one, other), (other, one)):
            text = b"turn %d\n" % turn
            asking.stdin.write(text)
            asking.stdin.flush()
            assert answering.stdout.readline() == text
    one.stdin.close()
    assert other.stdout.read(1) == b"", "an end is seen as soon as it is said"
    assert one.process.poll() is None
    other.stdin.write(b"still here")
    other.stdin.close()
    assert one.stdout.read() == b"still here"
    one.end(0)
    other.end(0)


def test_no_input(world):
    """-n does not touch the standard input, which here would never end."""
    read, write = os.pipe()
    try:
        one = world.start(world.ann, "pipe", "bob", "-n", stdin=read)
        other = world.start(world.bob, "pipe", "ann", stdin=b"one way")
        one.end(0)
        other.end(0)
    finally:
        os.close(read)
        os.close(write)
    assert (one.got(), other.got()) == (b"one way", b"")


def redirected(world, person, words, redirection):
    """Through a shell that closes a descriptor."""
    command = ["sh", "-c", f'exec "$0" "$@" {redirection}', BUILD / "cyphernet", *words]
    return world.run_program(command, env={"CYPHERNET_HOME": str(person.home)}, cwd=world.tmp)


def test_standard_input_closed(world):
    one = redirected(world, world.ann, ["pipe", "bob", "--wait", "30"], "<&-")
    other = world.start(world.bob, "pipe", "ann", stdin=noise(70000))
    assert (one.end(), other.end()) == (0, 0), one.said() + other.said()
    assert one.got() == noise(70000)
    assert other.got() == b""


def test_standard_output_closed(world):
    """What arrives can go nowhere: both ends say so, and nothing claims success."""
    one = redirected(world, world.ann, ["pipe", "bob", "--wait", "30"], ">&-")
    other = world.start(world.bob, "pipe", "ann", stdin=noise(70000))
    assert one.end() == 1
    assert "standard output" in one.said()
    assert other.end() != 0
    assert "ann could not write what you sent" in other.said()


def test_standard_output_closed_but_nothing_comes(world):
    one = redirected(world, world.ann, ["pipe", "bob", "-n", "--wait", "30"], ">&-")
    other = world.start(world.bob, "pipe", "ann")
    assert (one.end(), other.end()) == (0, 0), one.said() + other.said()


def test_all_descriptors_closed(world):
    one = redirected(world, world.ann, ["pipe", "bob", "--wait", "30"], "<&- >&- 2>&-")
    other = world.start(world.bob, "pipe", "ann")
    other.end()
    one.end()


def test_quiet_and_verbose(world):
    one = world.start(world.ann, "pipe", "bob", "-q")
    other = world.start(world.bob, "pipe", "ann", "-v")
    one.end(0)
    other.end(0)
    assert one.said() == ""
    assert "suite: " in other.said()


def test_events_on_a_descriptor(world):
    read, write = os.pipe()
    one = world.start(world.ann, "pipe", "bob", "--events", write, stdin=b"data", pass_fds=[write])
    os.close(write)
    other = world.start(world.bob, "pipe", "ann", stdin=b"answer")
    with open(read, encoding="ascii") as lines:
        events = [line for line in lines]
    one.end(0)
    other.end(0)
    assert '"event":"open"' in "".join(events)
    assert '"event":"done"' in events[-1] and '"code":0}' in events[-1]
    assert one.got() == b"answer"


# --- somebody goes away


def stream(world, one, other):
    """Both processes of a call in which something has arrived and neither input has ended."""
    first = world.start(one, "pipe", other.name, stdin=PIPE)
    second = world.start(other, "pipe", one.name, stdin=PIPE)
    first.stdin.write(noise(50000))
    first.stdin.flush()
    until(lambda: len(second.got()) == 50000, "the beginning has arrived")
    return first, second


@pytest.mark.parametrize("killed", ["sender", "receiver"])
def test_partner_killed(world, killed):
    first, second = stream(world, world.ann, world.bob)
    victim, left = (first, second) if killed == "sender" else (second, first)
    victim.signal(signal.SIGKILL)
    victim.end()
    assert left.end() == 5
    assert "interrupted before its end" in left.said()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_partner_stopped_by_a_signal(world, number):
    first, second = stream(world, world.ann, world.bob)
    first.signal(number)
    assert first.end() in (-number, 128 + number)
    assert second.end() == 5


def test_partner_killed_in_the_middle_of_much(world):
    source = world.tmp / "much"
    source.write_bytes(noise(1 << 20) * 64)
    first = world.start(world.ann, "pipe", "bob", stdin=source)
    second = world.start(world.bob, "pipe", "ann", stdout=PIPE)
    assert second.stdout.read(100000)
    first.signal(signal.SIGKILL)
    first.end()
    got = 100000 + len(second.stdout.read())
    assert second.end() == 5
    assert got < 64 << 20
    source.unlink()


def test_server_killed_while_one_waits(own, own_pair):
    first = own.start(own_pair[0], "pipe", "bob", wait=1)
    first.says("waiting for bob")
    own.server.stop()
    assert first.end() in (4, 6)


def test_server_killed_in_a_call(own, own_pair):
    one, other = own_pair
    first, second = stream(own, one, other)
    own.server.stop()
    assert (first.end(), second.end()) == (5, 5)
    assert "interrupted" in first.said()
    assert "interrupted" in second.said()


def test_server_restarted_while_one_waits(own, own_pair):
    one, other = own_pair
    first = own.start(one, "pipe", "bob", stdin=b"patience")
    first.says("waiting for bob")
    own.server.stop()
    own.serve()
    second = own.start(other, "pipe", "ann")
    second.end(0)
    first.end(0)
    assert second.got() == b"patience"


def test_reader_of_the_output_goes_away(world):
    """cyphernet pipe | head -c 10"""
    source = world.tmp / "much"
    source.write_bytes(noise(8 << 20))
    first = world.start(world.ann, "pipe", "bob", stdin=source)
    second = world.start(world.bob, "pipe", "ann", stdout=PIPE)
    assert len(os.read(second.stdout.fileno(), 10)) == 10
    second.stdout.close()
    assert second.end() == 1
    assert "standard output: Broken pipe" in second.said()
    assert first.end() == 5
    assert "bob could not write what you sent" in first.said()
    source.unlink()


def test_reader_of_the_output_goes_away_while_nothing_comes(world):
    first = world.start(world.ann, "pipe", "bob", stdin=PIPE)
    second = world.start(world.bob, "pipe", "ann", stdout=PIPE)
    second.says("connected with ann")
    first.says("connected with bob")
    second.stdout.close()
    first.stdin.write(b"is anybody there?")
    first.stdin.flush()
    assert second.end() == 1
    assert "standard output: Broken pipe" in second.said()
    assert first.end() == 5


def test_a_reader_that_needs_no_more_is_no_failure(world):
    """`cyphernet pipe NAME | tar x`: tar ends at the end of the archive, before the pipe does."""
    first = world.start(world.ann, "pipe", "bob", stdin=PIPE)
    second = world.start(world.bob, "pipe", "ann", stdout=PIPE)
    first.stdin.write(b"archive")
    first.stdin.flush()
    assert os.read(second.stdout.fileno(), 100) == b"archive"
    second.stdout.close()
    first.stdin.close()
    first.end(0)
    second.end(0)


def test_a_terminal_that_takes_nothing_does_not_stop_what_is_sent(world):
    """As after Ctrl-S."""
    ours, theirs = os.openpty()
    one = world.start(world.ann, "pipe", "bob", stdin=noise(300000), stdout=PIPE)
    other = world.start(world.bob, "pipe", "ann", stdin=PIPE, stdout=theirs)
    os.close(theirs)
    until(lambda: held(ours) > 3000, "full")
    other.stdin.write(b"still here")
    other.stdin.flush()
    assert os.read(one.stdout.fileno(), 100) == b"still here"
    other.stdin.close()
    left = 300000
    while left > 0:
        left -= len(os.read(ours, 65536).replace(b"\r\n", b"\n"))
    one.end(0)
    other.end(0)
    os.close(ours)


def test_json_does_not_get_into_the_payload(world):
    one = world.start(world.ann, "pipe", "bob", "--json")
    assert one.end() == 2
    assert "--events" in one.said()
    assert one.got() == b""


def limit_files(size):
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def test_output_is_limited(world):
    first = world.start(world.ann, "pipe", "bob", stdin=noise(300000))
    second = world.start(world.bob, "pipe", "ann", preexec_fn=limit_files(100000))
    assert second.end() == 1
    assert "File too large" in second.said()
    assert first.end() == 5
    assert "the disk there is full" in first.said()


def test_output_on_a_full_device(world):
    first = world.start(world.ann, "pipe", "bob", stdin=noise(300000))
    with open("/dev/full", "wb") as full:
        second = world.start(world.bob, "pipe", "ann", stdout=full)
    assert second.end() == 1
    assert "standard output: No space left on device" in second.said()
    assert first.end() == 5
    assert "the disk there is full" in first.said()


@pytest.mark.parametrize("attempt", range(12))
def test_the_reason_arrives_whatever_else_is_under_way(world, attempt):
    """Octets that nobody reads any more must not reset the line before the reason has passed it."""
    much = world.tmp / "much"
    much.write_bytes(noise(16 << 20))
    first = world.start(world.ann, "pipe", "bob", stdin=much, stdout=Path("/dev/null"))
    second = world.start(world.bob, "pipe", "ann", stdin=much, preexec_fn=limit_files(5000000))
    assert second.end() == 1
    assert first.end() == 5
    assert "the disk there is full" in first.said()
    much.unlink()


def full(pipe):
    """Who writes it has more, and waits."""
    before = held(pipe)
    time.sleep(0.3)
    return before > fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ) // 2 and held(pipe) == before


def test_a_partner_who_is_stuck_does_not_hold_who_gives_up(world):
    much = world.tmp / "much"
    much.write_bytes(noise(64 << 20))
    first = world.start(world.ann, "pipe", "bob", stdin=much, stdout=PIPE)
    second = world.start(world.bob, "pipe", "ann", stdin=much)
    until(lambda: full(first.stdout), "more than it can write")
    os.kill(second.process.pid, signal.SIGSTOP)
    first.stdout.close()
    assert first.end() == 1
    os.kill(second.process.pid, signal.SIGCONT)
    assert second.end() == 5
    much.unlink()


def test_input_is_a_directory(world):
    directory = os.open("/", os.O_RDONLY)
    first = world.start(world.ann, "pipe", "bob", stdin=directory)
    os.close(directory)
    second = world.start(world.bob, "pipe", "ann")
    assert first.end() == 1
    assert "standard input: Is a directory" in first.said()
    assert second.end() != 0
    assert "ann could not read its input" in second.said()


# --- nobody there


def test_nobody_comes(world):
    one = world.start(world.ann, "pipe", "bob", wait=1)
    assert one.end() == 6
    assert "cyphernet: error: bob did not come in time" in one.said()
    assert "cyphernet: hint: bob must run: cyphernet pipe ann" in one.said()


def test_partner_runs_something_else(world):
    """A pipe never meets a talk."""
    one = world.start(world.ann, "pipe", "bob", wait=1)
    other = world.start(world.bob, "talk", "ann", wait=1)
    assert (one.end(), other.end()) == (6, 6)
    assert "cyphernet pipe ann" in one.said()
    assert "cyphernet talk bob" in other.said()


def test_server_down(own):
    own.serve()
    one, _ = own.pair()
    own.server.stop()
    first = own.start(one, "pipe", "bob")
    assert first.end() == 4
    assert f"127.0.0.1:{own.port}" in first.said()


def test_answerer_waits_for_the_server_too(own):
    own.serve()
    one, other = own.pair()
    own.server.stop()
    first = own.start(one, "pipe", "bob", "--answer", wait=None, stdin=b"patience")
    first.says("trying again")
    own.serve()
    second = own.start(other, "pipe", "ann")
    second.end(0)
    first.end(0)
    assert second.got() == b"patience"


def test_a_short_wait_is_no_fault_of_the_server(world):
    one = world.start(world.ann, "pipe", "bob", wait="0")
    assert one.end() == 6
    assert "bob did not come in time" in one.said()


@contextlib.contextmanager
def hanging_up(port):
    """Whoever connects there hears nothing, as at a server that does not know him. How many have come."""
    came = []
    with socket.create_server(("127.0.0.1", port)) as listener:

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    line = listener.accept()[0]
                    came.append(line)
                    line.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield came
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_a_server_that_hangs_up_is_told_from_one_that_is_down(own):
    own.serve()
    one, _ = own.pair()
    own.server.stop()
    with hanging_up(own.port) as came:
        caller = own.start(one, "pipe", "bob")
        assert caller.end() == 4
        assert len(came) == 2, "it may have been a gate that was being replaced"
        assert f"127.0.0.1:{own.port}: the server hung up without a word" in caller.said()
        assert "ask for a new fingerprint" in caller.said()
        answerer = own.start(one, "pipe", "bob", "--answer", wait=None)
        answerer.says(f"127.0.0.1:{own.port}: the server hung up without a word; trying again")
        answerer.process.kill()


def test_who_meets_a_gate_that_leaves_dials_again(own):
    """It hangs up without a word, and the next is there already."""
    own.serve()
    one, other = own.pair()
    proxy = Proxy(own.port)
    proxy.change = lambda line, way, data: None if line is proxy.lines[0] else data
    try:
        caller = own.start(proxy.before(one), "pipe", "bob", stdin=b"again")
        answerer = own.start(other, "pipe", "ann")
        caller.end(0)
        answerer.end(0)
    finally:
        proxy.close()
    assert answerer.got() == b"again" and len(proxy.lines) == 2
    assert "hung up" not in caller.said() and "trying again" not in caller.said()


# --- contacts


def test_unknown_contact(world):
    assert "carol" in world.ann.bad(1, "pipe", "carol")


def test_cards_half_exchanged(world):
    carol = world.person("carol")
    carol.accept("ann", world.ann.offer("carol"))
    said = world.ann.bad(1, "pipe", "carol")
    assert "the cards are not exchanged yet" in said
    assert "cyphernet contact accept carol FILE" in said
    assert carol.state("ann") is not None, "carol has both"


def test_who_has_not_joined(stranger):
    assert "cyphernet doctor" in stranger.bad(1, "pipe", "bob")


def test_unverified_contact_is_announced(world):
    eve, frank = world.person("eve"), world.person("frank")
    exchange(eve, frank)
    eve.ok("contact", "verify", "frank", "--yes")
    one = world.start(eve, "pipe", "frank")
    other = world.start(frank, "pipe", "eve")
    one.end(0)
    other.end(0)
    assert "verified" not in one.said()
    assert "cyphernet: warning: eve is not verified yet" in other.said()


def test_card_replaced_at_one_side(own):
    """Gina takes a new card of hugo's and they talk; then one that hugo himself loses: they never meet."""
    own.serve()
    gina, hugo = own.pair("gina", "hugo")
    gina.accept("hugo", hugo.offer("gina", "--new"), "--replace")
    both_ways(own, gina, hugo)
    kept = {p: p.read_bytes() for p in sorted(hugo.home.rglob("*")) if p.is_file()}
    gina.accept("hugo", hugo.offer("gina", "--new"), "--replace")
    for path, content in kept.items():
        path.write_bytes(content)
    one = own.start(gina, "pipe", "hugo", wait=2, stdin=b"secret")
    other = own.start(hugo, "pipe", "gina", wait=2, stdin=b"secret")
    assert one.end() in (3, 6)
    assert other.end() in (3, 6)
    assert one.got() == other.got() == b""


def test_another_identity_in_place_of_the_partner(own):
    """Hugo's home is given to another identity, which holds the rest of hugo's files."""
    own.serve()
    gina, hugo = own.pair("gina", "hugo")
    (hugo.home / "identity").write_bytes((KEYS / "x25519.identity").read_bytes())
    one = own.start(gina, "pipe", "hugo", wait=2, stdin=b"secret")
    other = own.start(hugo, "pipe", "gina", wait=2, stdin=b"secret")
    assert one.end() in (3, 6), one.said()
    assert other.end() in (1, 3, 6), other.said()
    assert one.got() == other.got() == b""


# --- fingerprints


def forged(world, name, not_before, not_after):
    """Somebody who joins with a fingerprint that cyphernetctl would not issue."""
    command = [BUILD / "tests" / "support" / "forge", world.ctl.dir, name, str(not_before), str(not_after)]
    text = subprocess.run(command, check=True, capture_output=True, text=True, timeout=LIMIT).stdout
    one = world.person(name)
    done = one.run("join", "--replace", input=text)
    assert done.returncode == 0, done.stderr
    return one


@pytest.mark.parametrize(
    "begins, ends, said",
    [
        (-7200, -3600, "your fingerprint has expired"),
        (3600, 7200, "your fingerprint is not valid yet"),
    ],
)
def test_fingerprint_out_of_time(own, begins, ends, said):
    own.serve()
    now = int(time.time())
    one, bob = forged(own, "ann", now + begins, now + ends), own.person("bob")
    exchange(one, bob)
    first = own.start(one, "pipe", "bob")
    assert first.end() == 7
    assert f"cyphernet: error: {said}" in first.said()
    assert "cyphernet: hint: " in first.said()


def test_fingerprint_that_expires_soon_is_announced(own):
    own.serve()
    own.ctl.ok("invite", "ann", "--days", "5", "-o", "soon.fp")
    ann, bob = own.person("bob"), own.person("carol")
    exchange(ann, bob)
    ann.ok("join", "--replace", "soon.fp")
    one = own.start(ann, "pipe", "carol")
    other = own.start(bob, "pipe", "bob")
    one.end(0)
    other.end(0)
    assert "expires" in one.said()
    assert "expires" not in other.said()


def test_revoked_before_the_call(own, own_pair):
    one, _ = own_pair
    own.ctl.ok("revoke", "ann")
    first = own.start(one, "pipe", "bob")
    assert first.end() == 7
    assert "cyphernet: error: the operator has revoked your fingerprint" in first.said()


def test_suspended_before_the_call(own, own_pair):
    one, other = own_pair
    own.ctl.ok("suspend", "ann")
    first = own.start(one, "pipe", "bob")
    assert first.end() == 7
    assert "suspended you" in first.said()
    own.ctl.ok("unsuspend", "ann")
    both_ways(own, one, other)


def test_revoked_while_waiting(own, own_pair):
    one, _ = own_pair
    first = own.start(one, "pipe", "bob")
    first.says("waiting for bob")
    own.ctl.ok("revoke", "ann")
    assert first.end() == 7
    assert "revoked" in first.said()


def test_revoked_in_a_call(own, own_pair):
    one, other = own_pair
    first, second = stream(own, one, other)
    own.ctl.ok("revoke", "bob")
    assert (first.end(), second.end()) == (5, 5)


# --- several at once


def test_pairs_do_not_mix(world):
    pairs = [world.pair("ida", "jim"), world.pair("kim", "leo"), (world.ann, world.bob)]
    calls = []
    for number, (one, other) in enumerate(pairs):
        there, back = noise(MANY // 4, 2 * number), noise(MANY // 4, 2 * number + 1)
        calls.append((world.start(one, "pipe", other.name, stdin=there), back))
        calls.append((world.start(other, "pipe", one.name, stdin=back), there))
    for running, expected in calls:
        running.end(0)
        assert running.got() == expected


def test_one_person_in_two_calls(world):
    mia, ned, oda = world.person("mia"), world.person("ned"), world.person("oda")
    exchange(mia, ned)
    exchange(mia, oda)
    calls = [
        (world.start(mia, "pipe", "ned", stdin=b"for ned"), b"from ned"),
        (world.start(mia, "pipe", "oda", stdin=b"for oda"), b"from oda"),
        (world.start(oda, "pipe", "mia", stdin=b"from oda"), b"for oda"),
        (world.start(ned, "pipe", "mia", stdin=b"from ned"), b"for ned"),
    ]
    for running, expected in calls:
        running.end(0)
        assert running.got() == expected


# --- every kind of key, every suite

KINDS = ["x25519", "rsa2048", "rsa3072", "rsa4096", "rsa8192"]


@pytest.fixture(scope="session")
def of_kind(shared):
    """One person of each kind, and another with X25519."""
    return {kind: shared.person(f"with-{kind}", identity=kind) for kind in KINDS} | {"other": shared.person("other")}


@pytest.mark.parametrize("kinds", list(itertools.combinations(KINDS, 2)) + [("x25519", "other")], ids="-".join)
def test_kinds_of_identity(shared, of_kind, kinds):
    one, other = (of_kind[kind] for kind in kinds)
    exchange(one, other)
    both_ways(shared, one, other)


def test_two_of_the_same_rsa_size(shared, of_kind, tmp_path):
    twin = shared.person("twin")
    fresh = tmp_path / "fresh"
    subprocess.run([BUILD / "cyphernet", "init", "--rsa", "2048"], env={**os.environ, "CYPHERNET_HOME": str(fresh)},
                   check=True, capture_output=True, timeout=LIMIT)
    (twin.home / "identity").write_bytes((fresh / "identity").read_bytes())
    exchange(of_kind["rsa2048"], twin)
    both_ways(shared, of_kind["rsa2048"], twin)


@pytest.mark.parametrize("suite", SUITES)
def test_suites(shared, suite):
    one, other = shared.pair(f"one-{SUITES.index(suite)}", f"other-{SUITES.index(suite)}", suites=suite)
    first = shared.start(one, "pipe", other.name, "-v", stdin=noise(200000))
    second = shared.start(other, "pipe", one.name, stdin=noise(100000))
    first.end(0)
    second.end(0)
    assert f"suite: {suite}" in first.said()
    assert (second.got(), first.got()) == (noise(200000), noise(100000))


def test_no_suite_in_common(shared):
    one = shared.person("only-1", suites=SUITES[0])
    other = shared.person("only-2", suites=SUITES[1])
    card = one.offer("only-2")
    said = other.bad(1, "contact", "accept", "only-1", input=card)
    assert "suite" in said


@pytest.mark.parametrize("answer", [(), ("--answer",)])
def test_two_programs_that_wait_for_the_same(world, answer):
    """The older one is told, and does not come back to drive the newer one out."""
    older = world.start(world.ann, "pipe", "bob", *answer)
    older.says("waiting for bob")
    newer = world.start(world.ann, "pipe", "bob", *answer)
    assert older.end() == 7
    assert "another program of yours waits for the same now" in older.said()
    partner = world.start(world.bob, "pipe", "ann")
    newer.end(0)
    partner.end(0)
    assert newer.said().count("waiting for bob") == 1
