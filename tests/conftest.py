import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest

# What is ignored when we begin, as nohup and background jobs of shells do, every program that we start would ignore,
# too; what is caught they get as it should be, and we still ignore it.
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, lambda *_: None)

# Servers are reached as the tests say, whatever proxies this machine is behind.
for name in ("all_proxy", "https_proxy", "no_proxy"):
    os.environ.pop(name, None)
    os.environ.pop(name.upper(), None)

sys.path.insert(0, str(Path(__file__).parent / "support"))

from proxy import tapped  # noqa: E402, it is found there


@pytest.fixture(scope="module")
def behind(tmp_path_factory):
    """A server, a proxy before it, and a pair who know only that."""
    with tapped(tmp_path_factory.mktemp("behind")) as made:
        yield made


@pytest.fixture
def line(behind):
    """The same, for one test."""
    world, proxy, _, _ = behind
    proxy.reset()
    yield behind
    world.clear()
    proxy.reset()

from cn_helper import Person  # noqa: E402 (after the path is known)
from ctl_helper import BUILD, Ctl  # noqa: E402
from live import World  # noqa: E402


TEST_LIMIT_S = 180


@pytest.fixture(autouse=True)
def bounded():
    """No test waits for ever, whatever it waits for."""

    def over(number, frame):
        raise TimeoutError(f"not done within {TEST_LIMIT_S} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(TEST_LIMIT_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def ctl(tmp_path):
    """cyphernetctl and a directory that does not exist yet."""
    return Ctl(tmp_path)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """Makes a directory in which are a server's and the homes of these subscribers, who have joined, once."""
    made = {}

    def prepare(names):
        if names not in made:
            made[names] = tmp_path_factory.mktemp("prepared")
            server = Ctl(made[names]).init()
            for name in names:
                subscriber(server, made[names], name)
        return made[names]

    return prepare


def subscriber(server, tmp, name):
    server.ok("invite", name, "-o", f"{name}.fp")
    one = Person(tmp, name)
    one.ok("join", f"{name}.fp")
    return one


@pytest.fixture
def server(ctl, request, prepared, tmp_path):
    """cyphernetctl and a directory that `init` made; those whom the test wants are there."""
    names = tuple(name for name in ("ann", "bob") if name in request.fixturenames)
    if not names:
        return ctl.init()
    shutil.copytree(prepared(names), tmp_path, dirs_exist_ok=True)
    return ctl


@pytest.fixture
def open_tmp():
    """A directory that other users may pass through, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


@pytest.fixture(scope="session")
def open_programs():
    """The operator's programs where other users may run them, who may not get into this clone."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        for program in ("cyphernetctl", "cyphernetd", "cyphernetd-gate", "cyphernetd-switch", "cyphernetd-metrics"):
            shutil.copyfile(BUILD / program, place / program)
            (place / program).chmod(0o755)
        yield place


@pytest.fixture
def stranger(tmp_path):
    """One who has no home yet."""
    return Person(tmp_path, "stranger")


@pytest.fixture
def person(server, tmp_path):
    """Makes subscribers of one server: they have joined."""

    def make(name):
        one = Person(tmp_path, name)
        return one if one.home.exists() else subscriber(server, tmp_path, name)

    return make


@pytest.fixture
def ann(person):
    return person("ann")


@pytest.fixture
def bob(person):
    return person("bob")


@pytest.fixture
def own(tmp_path):
    """A server of the test's own, not started yet."""
    world = World(tmp_path / "own")
    yield world
    world.close()


@pytest.fixture
def own_pair(own):
    own.serve()
    return own.pair()


@pytest.fixture
def source(tmp_path):
    """Where ann's files are."""
    (tmp_path / "source").mkdir()
    return tmp_path / "source"


@pytest.fixture
def target(tmp_path):
    """Where bob's files go."""
    (tmp_path / "target").mkdir()
    return tmp_path / "target"
