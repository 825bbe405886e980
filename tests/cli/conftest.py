import tempfile
from pathlib import Path

import pytest

from ctl_helper import Ctl


@pytest.fixture
def ctl(tmp_path):
    """cyphernetctl and a directory that does not exist yet."""
    return Ctl(tmp_path)


@pytest.fixture
def server(ctl):
    """cyphernetctl and a directory that `init` made."""
    return ctl.init()


@pytest.fixture
def open_tmp():
    """A directory that other users may pass through, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        yield path
