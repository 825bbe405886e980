"""The subscriber in JavaScript, written from PROTOCOL.md alone, and ours: each other's cards, and calls by a real server."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest
from clocks import Leaps
from live import KEYS, SUITES, World, until
from proxy import ANSWER_SIZE, DOWN, MESSAGE_SIZE, PROLOGUE_SIZE, UP, Proxy

HERE = Path(__file__).parent
NODE = shutil.which("node")
KINDS = ["x25519", "rsa2048", "rsa3072", "rsa4096", "rsa8192"]
THERE, BACK = os.urandom(3_000_001), os.urandom(2_000_003)
SMALL = os.urandom(70_001)
NOT_AUTHENTIC, INTERRUPTED, NO_PARTNER = 3, 5, 6


def node(*words, **options):
    options = {"capture_output": True, "text": True, "timeout": 60, **options}
    return subprocess.run([NODE, *map(str, words)], check=False, **options)


class Script:
    """A subscriber in JavaScript, with a home of its own."""

    def __init__(self, world, name, identity=None):
        self.world = world
        self.name = name
        self.home = world.tmp / f"script-{name}"
        self.home.mkdir()
        if identity:
            shutil.copy(KEYS / f"{identity}.identity", self.home / "identity")
        world.ctl.ok("invite", name, "-o", f"{name}.fp")
        self.ok("join", world.tmp / f"{name}.fp")

    def command(self, *words):
        return [NODE, HERE / "subscriber.mjs", "--home", self.home, *map(str, words)]

    def run(self, *words, **options):
        return node(*self.command(*words)[1:], **options)

    def ok(self, *words, **options):
        done = self.run(*words, **options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, *words, **options):
        return self.world.run_program(self.command(*words), **options)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("javascript")).serve()
    yield world
    world.close()


@pytest.fixture(autouse=True)
def nothing_left(request):
    yield
    if "world" in request.fixturenames:
        request.getfixturevalue("world").clear()


counter = iter(range(1000))


def people(world, ours=None, theirs=None, suites=None, script_suites=None, first="script"):
    """A person of ours and one in JavaScript who hold each other's cards, and have compared the numbers."""
    number = next(counter)
    person = world.person(f"ann{number}", identity=ours, suites=suites)
    script = Script(world, f"jo{number}", identity=theirs)
    options = ("--suites", script_suites) if script_suites else ()
    if first == "script":
        person.accept(script.name, script.ok("offer", person.name, *options))
        told = script.ok("accept", person.name, input=person.offer(script.name))
    else:
        script.ok("accept", person.name, input=person.offer(script.name))
        person.accept(script.name, script.ok("offer", person.name, *options))
        told = script.ok("safety", person.name)
    assert told.strip() == person.safety(script.name)
    person.ok("contact", "verify", script.name, "--yes")
    return person, script


def called(world, person, script, there=SMALL, back=SMALL, options=(), resume=0):
    """They pipe to each other: our program, and the script, before they have ended."""
    ours = world.start(person, "pipe", script.name, stdin=there, resume=resume)
    theirs = script.start("pipe", person.name, "--resume-for", resume, *options, stdin=back)
    return ours, theirs


def ends_well(ours, theirs, there=SMALL, back=SMALL):
    theirs.end(0)
    ours.end(0)
    assert theirs.got() == there
    assert ours.got() == back


def test_our_vectors():
    done = node(HERE / "check_vectors.mjs")
    assert done.returncode == 0, done.stderr
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == [
        "tag.txt", "pair.txt", "rsa_oaep.txt", "noise_ik.txt", "admission.txt", "call.txt"
    ]  # fmt: skip


def test_its_vectors():
    """They are what it makes; tests/unit/test_javascript_vectors.c plays them again."""
    done = node(HERE / "make_vectors.mjs")
    assert done.returncode == 0, done.stderr
    assert done.stdout == (HERE.parent / "vectors/javascript.txt").read_text()


@pytest.mark.parametrize("first", ["script", "ours"])
def test_whoever_offers_first(world, first):
    ours, theirs = called(world, *people(world, first=first), THERE, BACK)
    ends_well(ours, theirs, THERE, BACK)


def test_a_card_of_another_contact_is_refused(world):
    """One that answers another card, a changed one, and one's own."""
    person, script = people(world)
    other = world.person("eve")
    assert "answers another" in script.run("accept", "eve", input=person.offer(script.name)).stderr
    text = other.offer("someone")
    at = len(text) // 2
    changed = text[:at] + ("B" if text[at] != "B" else "C") + text[at + 1 :]
    assert "damaged" in script.run("accept", "eve", input=changed).stderr
    assert "my own" in script.run("accept", "eve", input=script.ok("offer", "eve")).stderr
    assert not (script.home / "contacts" / "eve.theirs").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_its_identity(world, kind):
    ends_well(*called(world, *people(world, theirs=kind)))


@pytest.mark.parametrize("kind", KINDS)
def test_our_identity(world, kind):
    ends_well(*called(world, *people(world, ours=kind)))


def test_two_rsa_identities(world):
    ends_well(*called(world, *people(world, ours="rsa2048", theirs="rsa3072")))


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("who", ["ours", "script"])
def test_suites(world, suite, who):
    """One end names just that."""
    code = SUITES.index(suite) + 1
    named = {"suites": suite} if who == "ours" else {"script_suites": code}
    ours, theirs = called(world, *people(world, **named))
    ends_well(ours, theirs)
    assert f"opened, suite {code}\n" in theirs.said()


def test_a_small_window(world):
    """Both ends stop and go on as WINDOW says."""
    ours, theirs = called(world, *people(world), THERE, BACK, options=("--window", 16384))
    ends_well(ours, theirs, THERE, BACK)


# --- 6.5


@pytest.fixture
def proxy(world):
    proxy = Proxy(world.port)
    yield proxy
    proxy.close()


@pytest.mark.parametrize("way", [UP, DOWN])
@pytest.mark.parametrize("whose", ["ours", "script"])
def test_a_call_goes_on(world, proxy, whose, way):
    """Cut twice, where that end has sent, or got, so much."""
    person, script = people(world)
    proxy.before(person if whose == "ours" else script)
    left = [400_000, 900_000]

    def change(line, direction, data):
        if direction == way and left and len(line.passed[way]) > left[0]:
            left.pop(0)
            return None
        return data

    proxy.change = change
    ours, theirs = called(world, person, script, THERE, BACK, resume=60)
    ends_well(ours, theirs, THERE, BACK)
    assert not left
    assert theirs.said().count("the call goes on") >= 2, theirs.said()


@pytest.mark.parametrize("whose", ["ours", "script"])
def test_a_finish_that_is_lost(world, proxy, whose):
    """The other end has the call open, and this one has not."""
    person, script = people(world)
    proxy.before(person if whose == "ours" else script)
    whole = 2 * MESSAGE_SIZE + PROLOGUE_SIZE + ANSWER_SIZE

    def change(line, direction, data):
        if direction == UP or len(proxy.lines) > 1:
            return data
        return data[: max(0, whole - len(line.passed[DOWN]))] or None

    proxy.change = change
    if whose == "ours":
        theirs = script.start("pipe", person.name, "--resume-for", 60, stdin=BACK)
        theirs.says("waiting")
        ours = world.start(person, "pipe", script.name, stdin=THERE, resume=60)
    else:
        ours = world.start(person, "pipe", script.name, stdin=THERE, resume=60)
        ours.says("waiting for")
        theirs = script.start("pipe", person.name, "--resume-for", 60, stdin=BACK)
    ends_well(ours, theirs, THERE, BACK)
    assert len(proxy.lines) > 1


# --- 6.7


@pytest.mark.parametrize("who", ["ours", "script"])
@pytest.mark.parametrize("theirs", ["x25519", "rsa2048"])
def test_fresh_keys(world, tmp_path, who, theirs):
    """Begun by that end, ours twice: our program's clock runs ahead, and the script does not wait, the first time."""
    leaps = Leaps(tmp_path)
    person, script = people(world, theirs=theirs)
    ours = world.start(person, "pipe", script.name, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=leaps.env)
    early = ("--fresh-not-before", 0) if who == "ours" else ("--fresh-after", 0)
    other = script.start("pipe", person.name, *early, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def crosses():
        for says, hears in ((ours, other), (other, ours)):
            says.stdin.write(SMALL)
            says.stdin.flush()
            assert hears.stdout.read(len(SMALL)) == SMALL

    other.says("opened")
    ours.says("connected with")
    for times in (1, 2) if who == "ours" else (1,):
        leaps.leap(61)
        if who == "ours":
            crosses()  # something has come, and so time alone is no reason to give the line up
            leaps.leap(60)
        crosses()
        until(lambda times=times: other.said().count("fresh keys") >= times, "fresh keys")
        crosses()
    for end in (ours, other):
        end.stdin.close()
    ours.end(0)
    other.end(0)


def test_fresh_keys_too_early(world):
    """What our program has sent is then not complete, and it says so."""
    person, script = people(world)
    ours = world.start(person, "pipe", script.name, stdin=subprocess.PIPE)
    other = script.start("pipe", person.name, "--fresh-after", 0, stdin=SMALL)
    assert ours.end() == INTERRUPTED, ours.said()
    assert other.end() != 0
    assert "fresh keys" not in other.said()


# --- 6.1


def test_a_generation_of_its_records_is_over(world):
    """65536 records of the script's, and what it says then opens with the keys that follow."""
    ours, theirs = called(world, *people(world, script_suites=2), options=("--pings", 65536))
    ends_well(ours, theirs)
    assert "generations: 1 sent, 0 received" in theirs.said()


# --- 7.3


TOLD = ["the first", "", "a tab\tand ünïcödé", "x" * 3000]


@pytest.mark.parametrize("identities", [{}, {"ours": "rsa2048"}], ids=["caller", "called"])
def test_a_talk(world, identities):
    """All lines of both, in their order, are delivered before either ends."""
    person, script = people(world, **identities)
    lines = "".join(f"{line}\n" for line in TOLD).encode()
    ours = world.start(person, "talk", script.name, "--no-transcript", stdin=lines)
    theirs = script.start("talk", person.name, stdin=lines + b"and more\n")
    theirs.end(0)
    ours.end(0)
    assert theirs.got() == lines
    assert ours.got().decode().count("and more") == 1


# --- 7.5


@pytest.fixture
def echo():
    """A port at which all that comes goes back, once it has ended."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    said = b"".join(iter(lambda: connection.recv(65536), b""))
                    connection.sendall(said[::-1])

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"localhost:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def test_it_connects_through_our_tunnel(world, echo):
    person, script = people(world)
    serving = world.start(person, "serve", script.name, "--allow", echo)
    theirs = script.start("connect", person.name, echo, stdin=SMALL)
    theirs.end(0)
    assert theirs.got() == SMALL[::-1]
    serving.signal(signal.SIGINT)
    serving.end(0)


def test_it_is_told_what_is_not_allowed(world, echo):
    person, script = people(world)
    serving = world.start(person, "serve", script.name, "--allow", "localhost:1")
    theirs = script.start("connect", person.name, echo, stdin=SMALL)
    assert theirs.end() == 4
    assert "reset, code 1" in theirs.said()
    serving.signal(signal.SIGINT)
    serving.end(0)


def test_we_connect_through_its_tunnel(world, echo):
    person, script = people(world)
    serving = script.start("serve", person.name, echo)
    ours = world.start(person, "connect", script.name, echo, stdin=SMALL)
    ours.end(0)
    serving.end(0)
    assert ours.got() == SMALL[::-1]


# --- what must not open


SPOILT = ["prologue-key", "chain-key", "f1", "f2"]
CALLER, CALLED = {"ours": "x25519", "theirs": "rsa2048"}, {"ours": "rsa2048", "theirs": "x25519"}  # by their ids: role A, B


def not_opened(world, person, script, code, *options):
    """Our program hears none of it, and ends as it does when somebody false came, or nobody did."""
    ours = world.start(person, "pipe", script.name, stdin=SMALL, wait=20 if code == NOT_AUTHENTIC else 4)
    theirs = script.start("pipe", person.name, "--wait", 30, *options, stdin=SMALL)
    assert ours.end() == code, ours.said()
    theirs.stop()
    assert ours.got() == theirs.got() == b""
    assert "connected with" not in ours.said()
    return theirs.said()


@pytest.mark.parametrize("what", SPOILT)
@pytest.mark.parametrize("identities", [CALLER, CALLED], ids=["caller", "called"])
def test_a_false_handshake(world, identities, what):
    person, script = people(world, **identities)
    assert "not opened" in not_opened(world, person, script, NOT_AUTHENTIC, "--spoil", what)


@pytest.mark.parametrize("identities", [CALLER, CALLED], ids=["caller", "called"])
def test_a_false_finish(world, identities):
    """The script has ours, which is right, and so does not come again."""
    person, script = people(world, **identities)
    assert "the line was lost" in not_opened(world, person, script, NO_PARTNER, "--spoil", "finish")


def test_a_prologue_again(world, tmp_path):
    """What was F1 in a good call is none in the next."""
    person, script = people(world, **CALLER)
    kept = tmp_path / "f1"
    ends_well(*called(world, person, script, options=("--keep", kept)))
    assert kept.stat().st_size == 4096
    assert "not opened" in not_opened(world, person, script, NOT_AUTHENTIC, "--spoil", f"replay={kept}")
