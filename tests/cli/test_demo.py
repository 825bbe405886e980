"""The demo ends well, or says why not; and whatever ends it, it leaves nothing."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ctl_helper import BUILD

DEMO = Path(__file__).parents[1] / "demo.py"
MOMENTS = ["ready on", "bob reads", "Alice sends a file"]


def of_demo(place):
    """The processes that work in that place, by id, but not the demo itself: their command lines."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if str(place) in command or str(place) in os.readlink(process / "cwd"):
                found[int(process.name)] = command
    return found


@pytest.fixture
def demo(tmp_path):
    """A demo that has been started, and everything of which is in `tmp_path`."""
    env = dict(os.environ, CYPHERNET_BUILD=str(BUILD), TMPDIR=str(tmp_path))
    with subprocess.Popen([sys.executable, DEMO, "--size", "60"], env=env, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def until_it_says(demo, text):
    assert any(text in line for line in demo.stdout), demo.stderr.read()


@pytest.mark.parametrize("number, moment", [(signal.SIGHUP, MOMENTS[1]), (signal.SIGINT, MOMENTS[1]),
                                            *((signal.SIGTERM, moment) for moment in MOMENTS)])
def test_stopped_in_the_middle_it_leaves_nothing(demo, tmp_path, moment, number):
    until_it_says(demo, moment)
    assert "cyphernetd" in "".join(of_demo(tmp_path).values())
    demo.send_signal(number)
    assert demo.wait(20) == 128 + number
    assert (of_demo(tmp_path), list(tmp_path.iterdir())) == ({}, [])


@pytest.mark.parametrize("moment", MOMENTS)
def test_without_its_server_it_fails_and_leaves_nothing(demo, tmp_path, moment):
    until_it_says(demo, moment)
    [server] = [pid for pid, command in of_demo(tmp_path).items() if "cyphernetd " in command]  # the supervisor
    os.kill(server, signal.SIGKILL)
    assert demo.wait(20) == 1
    assert "\ndemo: " in "\n" + demo.stderr.read()
    assert (of_demo(tmp_path), list(tmp_path.iterdir())) == ({}, [])


def test_it_ends_well_and_leaves_nothing(demo, tmp_path):
    said, errors = demo.communicate(timeout=60)
    assert (demo.returncode, errors) == (0, "")
    for text in ("bob reads: ", "found nothing", "60 MB in ", "calls total             3", "cleaned up"):
        assert text in said
    assert (of_demo(tmp_path), list(tmp_path.iterdir())) == ({}, [])
