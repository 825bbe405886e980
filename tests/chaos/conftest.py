import pytest

from proxy import Line, tapped


@pytest.fixture(scope="module")
def behind(tmp_path_factory):
    """A server behind a proxy, and a pair."""
    with tapped(tmp_path_factory.mktemp("chaos"), keep=False) as made:
        yield made


@pytest.fixture
def line(behind):
    """The same, for one test; what is cut is reset."""
    world, proxy, ann, bob = behind
    proxy.reset()
    proxy.cut = Line.reset
    yield world, proxy, ann, bob
    world.clear()
    proxy.reset()
