"""Memory that runs out, and calls that fail, at some of those that programs ask for themselves: ./run chaos sweep tries all, and
more."""

import pytest

from memory import CALLS, COMMANDS, SERVER, Calls, Found, calls_fail, commands_fail, prepare, servers_fail

COSTLY = {"backup", "passphrase"}  # scrypt, each time


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("memory") / "prepared")


def test_commands(prepared, tmp_path):
    found = Found()
    commands_fail(prepared, tmp_path / "run", [name for name in COMMANDS if name not in COSTLY],
                  own=True, count=2, found=found)
    assert found.failures == [] and found.runs > len(COMMANDS)


def test_libraries_that_find_none(prepared, tmp_path):
    """Among them libcrypto, at its very first."""
    found = Found()
    commands_fail(prepared, tmp_path / "run", ["ctl list", "list"], own=False, count=6, found=found)
    assert found.failures == [] and found.runs == 12


def test_calls_of_the_operators_commands(prepared, tmp_path):
    """Of the system, SQLite and libcrypto."""
    names = [name for name in COMMANDS if name.startswith(("ctl", "server"))]
    found = Found()
    commands_fail(prepared, tmp_path / "run", names, own=True, count=3, found=found, kind="call")
    assert found.failures == [] and found.well < found.runs == 3 * len(names)


@pytest.mark.parametrize("name", CALLS)
def test_calls(line, name, tmp_path):
    world, _, ann, bob = line
    calls = Calls(world, ann, bob, tmp_path / "calls")
    found = Found()
    calls_fail(calls, tmp_path / "run", [name], own=True, count=6, found=found)
    calls.close()
    assert found.failures == []
    assert found.well < found.runs == 6


def test_the_server(own, tmp_path):
    found = Found()
    servers_fail(own, *own.pair(), tmp_path / "run", SERVER, own=True, count=4, found=found)
    assert found.failures == [] and found.runs == 12
