import pytest

from live import World


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """One server for all tests that leave it as it is."""
    world = World(tmp_path_factory.mktemp("shared"))
    world.serve()
    yield world
    world.close()


@pytest.fixture(scope="session")
def friends(shared):
    return shared.pair("ann", "bob")


@pytest.fixture
def world(shared, friends):
    """The shared server, with `ann` and `bob` who know each other."""
    shared.ann, shared.bob = friends
    yield shared
    shared.clear()


@pytest.fixture(scope="session")
def narrow(tmp_path_factory):
    """A server that carries 20 MB/s, so that there is a middle of a call to do things in."""
    world = World(tmp_path_factory.mktemp("narrow"))
    world.serve("[calls]\nrate_per_subscriber = 20000000\n")
    yield world
    world.close()


@pytest.fixture(scope="session")
def narrow_friends(narrow):
    return narrow.pair("ann", "bob")


@pytest.fixture
def slow(narrow, narrow_friends):
    """Like `world`, on the narrow server."""
    narrow.ann, narrow.bob = narrow_friends
    yield narrow
    narrow.clear()
