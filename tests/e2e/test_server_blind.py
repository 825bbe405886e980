"""What the server's programs do not contain, they cannot do."""

import re
import subprocess

import pytest

from ctl_helper import BUILD

CALLS = re.compile(r"cn_(handshake|record|kem|mux|card|identity|session|stream|pair|tag)_|PQCLEAN|mlkem", re.IGNORECASE)


def symbols(path):
    done = subprocess.run(["nm", path], capture_output=True, text=True, check=True, timeout=60)
    return [line.split()[-1] for line in done.stdout.splitlines()]


def test_the_search_finds_them_where_they_are():
    found = {CALLS.match(name)[1] or CALLS.match(name)[0] for name in symbols(BUILD / "cyphernet") if CALLS.match(name)}
    assert {"handshake", "record", "kem", "mux", "card", "identity", "session", "PQCLEAN"} <= found


@pytest.mark.parametrize("program", ["cyphernetd", "cyphernetctl"])
def test_no_code_of_calls_in_the_servers_programs(program):
    names = symbols(BUILD / program)
    assert any(name.startswith("cn_registry_") for name in names), "the symbols are there to be searched"
    assert [name for name in names if CALLS.search(name)] == []


@pytest.mark.parametrize("program", ["cyphernetd", "cyphernetctl"])
def test_the_servers_programs_do_not_load_the_library(program):
    done = subprocess.run(["readelf", "-d", BUILD / program], capture_output=True, text=True, check=True, timeout=60)
    assert "NEEDED" in done.stdout
    assert "libcyphernet" not in done.stdout
