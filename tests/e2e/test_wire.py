"""What passes between a subscriber and the server: what can be seen there, and what can be done there."""

import base64
import concurrent.futures
import contextlib
import queue
import random
import socket
import struct
import subprocess

import pytest

from clocks import Leaps
from cn_helper import exchange
from ctl_helper import BUILD
from live import World, until
from proxy import ANSWER_SIZE, ASKED, DOWN, MESSAGE_SIZE, PROLOGUE_SIZE, UP, Mixer, Proxy, tapped

FLIPS = 28
CUTS = 32
LANES = 6


@pytest.fixture(scope="module")
def behind(tmp_path_factory):
    """A server that waits for nothing, and names that are like no others."""
    with tapped(tmp_path_factory.mktemp("behind"), "[joining]\nprologue_timeout = 1\n", ("ann-of-the-line", "bob-of-the-line")) as made:
        yield made


def pipe(world, one, other, there, back, **options):
    return (
        world.start(one, "pipe", other.name, stdin=there, **options),
        world.start(other, "pipe", one.name, stdin=back, **options),
    )


# --- what can be seen


def recording(proxy):
    return b"\0".join(bytes(line.passed[way]) for line in proxy.lines for way in (UP, DOWN))


def windows(octets, size=16):
    """All pieces of that size, but for those of one octet repeated."""
    pieces = {octets[at : at + size] for at in range(len(octets) - size + 1)}
    return {piece for piece in pieces if len(set(piece)) > 2}


def secrets(person):
    """Every 16 octets in a row of keys, cards, contacts and fingerprints, and their armour as it is."""
    found = set()
    for path in person.home.rglob("*"):
        if not path.is_file():
            continue
        text = path.read_bytes()
        found |= windows(text)
        lines = text.splitlines()
        if lines and lines[0].startswith(b"-----BEGIN CYPHERNET"):
            found |= windows(base64.b64decode(b"".join(lines[1:-1])))
    return found


def found(needles, haystack):
    """Those that are in it."""
    present = set()
    for size in {len(needle) for needle in needles}:
        pieces = {haystack[at : at + size] for at in range(len(haystack) - size + 1)}
        present |= {needle for needle in needles if len(needle) == size} & pieces
    return present


def test_nothing_of_the_call_is_on_the_line(line, tmp_path):
    world, proxy, ann, bob = line
    said = b"a line that is said between the two of them"
    content = b"the content of the file, which is unlike anything else. " * 2000
    (tmp_path / "the-name-of-the-file").write_bytes(content)
    for verb in ("talk", "pipe"):
        one = world.start(ann, verb, bob.name, stdin=said + b"\n")
        other = world.start(bob, verb, ann.name, stdin=said[::-1] + b"\n")
        one.end(0)
        other.end(0)
        assert said in other.got()
    taking = world.start(bob, "receive", ann.name, "-d", world.tmp)
    world.start(ann, "send", bob.name, tmp_path / "the-name-of-the-file").end(0)
    taking.end(0)
    passed = recording(proxy)
    assert len(passed) > len(content), "all of it went through here"
    needles = windows(said, 8) | windows(said[::-1], 8) | windows(content[:300], 8) | secrets(ann) | secrets(bob)
    needles |= {b"ann-of-the", b"bob-of-the", b"the-name-of", b"cyphernet", b"CYPHERNET", b"SHA256", b"talk", b"pipe"}
    assert len(needles) > 5000
    assert found(needles - {b"talk", b"pipe"}, passed) == set()
    # short words may come up in noise once, but not in each of many lines
    assert passed.count(b"talk") < 3 and passed.count(b"pipe") < 3
    # and the search finds what is there
    planted = random.Random(1).sample(sorted(needles), 50)
    at = len(passed) // 3
    assert set(planted) <= found(needles, passed[:at] + b"\0".join(planted) + passed[at:])


def test_the_recording_records(line):
    """What is sent in plain through this proxy is found by this search."""
    _, proxy, ann, _ = line
    port = proxy.listeners[0].getsockname()[1]
    with socket.create_connection(("127.0.0.1", port), 10) as plain:
        plain.sendall((ann.home / "identity").read_bytes() + b"ann-of-the-line")
        until(lambda: b"ann-of-the-line" in recording(proxy), "it has passed")
    assert found(secrets(ann), recording(proxy))


def test_closed_standard_output_sends_nothing_in_plain(line):
    """The line's socket must not take the place of a standard output that is closed."""
    world, proxy, ann, bob = line
    said = b"what only the two may see"
    one = world.start(ann, "pipe", bob.name, stdin=said)
    other = world.run_program(
        ["sh", "-c", 'exec "$0" "$@" >&-', BUILD / "cyphernet", "pipe", ann.name, "--wait", "20"],
        env={"CYPHERNET_HOME": str(bob.home)},
    )
    assert one.end() != 0
    assert other.end() != 0
    assert found(windows(said, 8), recording(proxy)) == set()


def test_two_calls_have_nothing_in_common(line):
    """The same call twice: no 8 octets in a row are the same, so nothing links the two on the line."""
    world, proxy, ann, bob = line
    seen = []
    for _ in range(2):
        proxy.reset()
        for running in pipe(world, ann, bob, b"the same", b"the same"):
            running.end(0)
        seen.append([bytes(each.passed[way]) for each in proxy.lines for way in (UP, DOWN)])
    first, second = (set().union(*(windows(octets, 8) for octets in one)) for one in seen)
    assert not first & second


# --- lengths


def flights(octets):
    """What a subscriber sends behind READY: prologue, answer, and the sizes of records."""
    (size,) = struct.unpack(">H", octets[ASKED : ASKED + 2])
    at = ASKED + PROLOGUE_SIZE + ANSWER_SIZE
    records = []
    while at < len(octets):
        (record,) = struct.unpack(">H", octets[at : at + 2])
        records.append(record + 2)
        at += 2 + record
    assert at == len(octets), "it is what PROTOCOL.md says it is, to the last octet"
    return size, records


@pytest.mark.parametrize("kinds", [("x25519", "x25519"), ("x25519", "rsa2048"), ("rsa2048", "rsa3072"),
                                   ("rsa4096", "rsa4096"), ("rsa8192", "x25519"), ("rsa8192", "rsa4096")], ids="-".join)
def test_prologues_and_answers_of_all_kinds_have_the_same_length(own, kinds):
    own.serve()
    proxy = Proxy(own.port)
    # the same identity twice would be refused as one's own: only the second of a kind is made afresh
    ann = own.person("ann", identity=kinds[0])
    bob = own.person("bob", identity=kinds[1] if kinds[1] != kinds[0] else None)
    try:
        exchange(proxy.before(ann), proxy.before(bob))
        for running in pipe(own, ann, bob, b"there", b"back"):
            running.end(0)
        for person in (ann, bob):
            (only,) = proxy.of(person.name)
            size, records = flights(bytes(only.passed[UP]))
            assert size == 4096
            assert set(records) <= {256, 1024}, "small things are padded"
            assert len(only.passed[DOWN]) % MESSAGE_SIZE != 0
    finally:
        proxy.close()


def test_what_is_said_does_not_show_in_small_sizes(line):
    """Up to some 200 octets, each call looks alike but for the number of records."""
    world, proxy, ann, bob = line
    sizes = set()
    for size in (0, 1, 50, 100, 150):
        proxy.reset()
        for running in pipe(world, ann, bob, b"x" * size, b""):
            running.end(0)
        sizes |= set(flights(bytes(proxy.of(ann.name)[0].passed[UP]))[1])
    assert sizes == {256}


# --- what can be done


THERE, BACK = b"there" * 40, b"back" * 70


def disturbed(world, proxy, ann, bob, change):
    """A call with something done to its lines: it goes on to a good end, or it says that it did not."""
    proxy.reset()
    proxy.change = change
    running = pipe(world, ann, bob, THERE, BACK)
    one, other = running
    until(lambda: any(each.process.poll() is not None for each in running), "one has ended", 40)
    if 4 in (one.process.poll(), other.process.poll()):
        # cut before the server has answered at all, which is told at once; the other one waits
        assert b"" == one.got() == other.got()
        for each in running:
            each.stop()
        return 4, 4
    if 5 in (one.process.poll(), other.process.poll()):
        # if its call was open but the other's was not yet, the other one dials again and waits
        until(
            lambda: all(each.process.poll() is not None or each.said().count("waiting for") > 1 for each in running),
            "the other one has ended or waits again",
            40,
        )
        for each in running:
            each.stop()
        codes = tuple(5 if each.process.poll() in (5, -9) else each.process.poll() for each in running)
    else:
        codes = (one.end(limit=40), other.end(limit=40))
    assert BACK.startswith(one.got()), "what has arrived is a beginning of what was sent"
    assert THERE.startswith(other.got())
    if codes[0] == 0:
        assert other.got() == THERE and one.got() == BACK, "0: the partner has all of it, and so have I"
    if codes[1] == 0:
        assert one.got() == BACK and other.got() == THERE
    for code, each in zip(codes, running):
        assert code in (0, 5), each.said()
        assert code == 5 or "error" not in each.said(), each.said()
    return codes


@pytest.fixture(scope="module")
def lanes(behind):
    """Pairs that call at the same time, each behind a proxy of its own."""
    world = behind[0]
    made = []
    for number in range(LANES):
        proxy = Proxy(world.port)
        made.append((proxy, *(proxy.before(one) for one in world.pair(f"ann-{number}", f"bob-{number}"))))
    yield world, made
    world.clear()
    for proxy, _, _ in made:
        proxy.close()


def all_disturbed(lanes, changes):
    """How calls ended that were disturbed one by each of the changes, some at a time. A change is told what
    passes ann's line: change(line, way, data)."""
    world, made = lanes
    free = queue.SimpleQueue()
    for lane in made:
        free.put(lane)

    def call(change):
        lane = free.get()
        name = lane[1].name
        try:
            return disturbed(world, *lane, lambda each, *args: change(each, *args) if each.owner == name else args[1])
        finally:
            free.put(lane)

    with concurrent.futures.ThreadPoolExecutor(len(made)) as pool:
        return list(pool.map(call, changes))


@pytest.fixture(scope="module")
def lengths(behind):
    """Octets each way of the undisturbed call."""
    world, proxy, ann, bob = behind
    proxy.reset()
    for running in pipe(world, ann, bob, THERE, BACK):
        running.end(0)
    only = proxy.of(ann.name)[0]
    return {way: len(only.passed[way]) for way in (UP, DOWN)}


def positions(count, length, seed):
    """Spread over all of it, with the borders of messages and records, and within the record behind the Finish,
    where the call is open; downwards that lies one message sooner for who does not wait."""
    open_at = ASKED + PROLOGUE_SIZE + ANSWER_SIZE + 256 + 100
    borders = [0, MESSAGE_SIZE, 2 * MESSAGE_SIZE, ASKED, ASKED + 2, ASKED + PROLOGUE_SIZE,
               ASKED + PROLOGUE_SIZE + ANSWER_SIZE, length - 1]
    near = {at + by for at in borders for by in (-1, 0, 1) if 0 <= at + by < length}
    rest = random.Random(seed).sample(range(length), count)
    spread = sorted(near | set(rest))[:: max(1, (len(near) + count) // count)]
    return sorted({*spread, open_at, open_at - MESSAGE_SIZE})


def cut(way, at):
    """The first line to get there ends after so many octets."""
    cut = set()

    def change(each, going, data):
        if going != way or (cut and each not in cut):
            return data
        cut.add(each)
        left = at - len(each.passed[way])
        if left >= len(data):
            return data
        if left > 0:
            (each.server if way == UP else each.client).sendall(data[:left])
        return None

    return change


@pytest.mark.parametrize("way", [UP, DOWN])
def test_the_line_is_cut_anywhere(lanes, lengths, way):
    """Of one end's first line, after so many octets."""
    ended = all_disturbed(lanes, [cut(way, at) for at in positions(CUTS // 2, lengths[way], 5)])
    assert (0, 0) in ended, "before the call, which is made good"
    assert (4, 4) not in ended, "before the server answered, which is made good too"
    assert any(5 in codes for codes in ended), "in a call"


def flip(way, at):
    """One bit of the octet there, on the first line."""
    flipped = set()

    def change(each, going, data):
        if going != way or (flipped and each not in flipped):
            return data
        flipped.add(each)
        here = at - len(each.passed[way])
        if not 0 <= here < len(data):
            return data
        return data[:here] + bytes([data[here] ^ 1 << at % 8]) + data[here + 1 :]

    return change


def is_of_a_length(at):
    behind = at - ASKED - PROLOGUE_SIZE - ANSWER_SIZE
    return at in (ASKED, ASKED + 1) or behind >= 0 and behind % 256 in (0, 1)


@pytest.mark.parametrize("way", [UP, DOWN])
def test_a_bit_is_flipped_anywhere(lanes, lengths, way):
    """But in lengths, for what those do takes a time limit to be found out."""
    at = [at for at in positions(FLIPS // 2, lengths[way], 6) if not is_of_a_length(at)]
    ended = all_disturbed(lanes, [flip(way, each) for each in at])
    assert (0, 0) in ended and any(5 in codes for codes in ended)


def replace(at, instead):
    """The octet there, once."""
    once = []

    def change(each, going, data):
        here = at - len(each.passed[UP])
        if going != UP or once or not 0 <= here < len(data):
            return data
        once.append(each)
        # more octets follow, so that a record is whole and can be found out
        return data[:here] + instead + data[here + 1 :] + 70000 * b"\0"

    return change


def test_octets_are_put_in_and_taken_out(lanes):
    """Of the two records behind the Finish: so many there are in every call."""
    first = ASKED + PROLOGUE_SIZE + ANSWER_SIZE + 256
    at = random.Random(7).sample(range(first, first + 2 * 256), 4)
    ended = all_disturbed(lanes, [replace(each, instead) for each in at for instead in (b"", b"\0\0")])
    assert set(ended) <= {(5, 5), (0, 5)}


def repeat(copies):
    """The record behind the Finish."""
    first = ASKED + PROLOGUE_SIZE + ANSWER_SIZE

    def change(each, going, data):
        at = len(each.passed[UP])
        if going != UP or at + len(data) < first + 512 or at > first + 256:
            return data
        whole = bytes(each.passed[UP]) + data
        record = whole[first + 256 : first + 512]
        return data.replace(record, copies * record + (b"" if copies else b"\0" * 70000))

    return change


def test_records_are_repeated_and_dropped(lanes):
    assert set(all_disturbed(lanes, [repeat(copies) for copies in (0, 2)])) <= {(5, 5), (0, 0)}


# --- silence


@pytest.fixture
def leaps(tmp_path):
    return Leaps(tmp_path)


def test_a_record_whose_length_was_raised_is_not_waited_for_for_ever(line, leaps):
    """It never becomes whole, so nothing tells that it was changed but the silence, which is given up."""
    world, proxy, ann, bob = line
    lengths = []
    first = ASKED + PROLOGUE_SIZE + ANSWER_SIZE + 256  # behind the Finish

    def change(each, going, data):
        at = first - len(each.passed[DOWN])
        if each.owner != bob.name or going != DOWN or not 0 <= at < len(data):
            return data
        lengths.append(data[at])
        return data[:at] + b"\xff" + data[at + 1 :]

    proxy.change = change
    other = world.start(bob, "pipe", ann.name, stdin=subprocess.PIPE, env=leaps.env)
    other.says("waiting for")
    one = world.start(ann, "pipe", bob.name, stdin=THERE)
    other.says("connected with")
    until(lambda: lengths, "the length was raised")
    assert lengths == [0] and other.process.poll() is None

    def given_up():
        leaps.leap(125)
        with contextlib.suppress(OSError):  # wakes it; single octets make no record
            proxy.of(bob.name)[0].client.sendall(b"\0")
        return other.process.poll() is not None

    until(given_up, "the call is given up")
    other.end(5)
    one.end(5)
    assert other.got() == b""


def test_a_call_in_which_both_say_something_now_and_then_goes_on(line, leaps):
    """The control: time alone ends nothing."""
    world, _, ann, bob = line
    ends = [world.start(one, "pipe", other.name, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=leaps.env)
            for one, other in ((ann, bob), (bob, ann))]
    for turn in range(5):
        for says, hears in (ends, ends[::-1]):
            says.stdin.write(b"turn %d\n" % turn)
            says.stdin.flush()
            assert hears.stdout.readline() == b"turn %d\n" % turn
        leaps.leap(100)
    for end in ends:
        end.stdin.close()
    for end in ends:
        end.end(0)


# --- a server that joins the wrong two


@pytest.mark.parametrize("times", [1, 3])
def test_the_wrong_two_are_joined_and_then_the_right_two(own, times):
    own.serve("[joining]\nprologue_timeout = 1\n")
    pairs = [own.pair("ann", "bob"), own.pair("kim", "leo")]
    proxy = Mixer(own.port, ("ann", "kim"), times)
    try:
        proxy.before(pairs[0][0])
        proxy.before(pairs[1][0])
        calls = [*pipe(own, *pairs[0], b"from ann", b"from bob"), *pipe(own, *pairs[1], b"from kim", b"from leo")]
        for running in calls:
            running.end(0, limit=30)
        assert proxy.mixed >= 1, "it was done"
        assert [running.got() for running in calls] == [b"from bob", b"from ann", b"from leo", b"from kim"]
    finally:
        own.clear()
        proxy.close()


def test_the_wrong_two_are_joined_always(own, tmp_path):
    """Nothing crosses; who calls gives up with 3, and nobody is told that it went well."""
    own.serve("[joining]\nprologue_timeout = 1\n")
    ann, bob = own.pair("ann", "bob")
    kim, leo = own.pair("kim", "leo")
    (tmp_path / "secret").write_bytes(b"secret")
    proxy = Mixer(own.port, ("ann", "kim"), 1000)
    try:
        proxy.before(ann)
        proxy.before(kim)
        takers = [own.start(bob, "receive", "ann", "-d", own.tmp, wait=None),
                  own.start(leo, "receive", "kim", "-d", own.tmp, wait=None)]
        givers = [own.start(ann, "send", "bob", tmp_path / "secret"), own.start(kim, "send", "leo", tmp_path / "secret")]
        assert [giver.end(limit=40) for giver in givers] == [3, 3], [giver.said() for giver in givers]
        assert "not authentic" in givers[0].said()
        assert proxy.mixed >= 5
        assert not (own.tmp / "secret").exists()
        assert all(taker.process.poll() is None for taker in takers), [taker.said() for taker in takers]
    finally:
        own.clear()
        proxy.close()
