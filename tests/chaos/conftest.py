import pytest

from proxy import Line, tapped


@pytest.fixture(scope="module")
def behind(tmp_path_factory):
    """As everywhere, but what passes is not kept."""
    with tapped(tmp_path_factory.mktemp("behind"), keep=False) as made:
        yield made


@pytest.fixture
def line(line):
    """What is cut is reset."""
    line[1].cut = Line.reset
    return line
