"""After a call nothing of its secrets is in the memory of the programs that had them, nor ever in the server's."""

import os
import subprocess

import pytest

from ctl_helper import SANITIZED, needs_root
from live import World
from watched import FILE, ONE, OTHER, PROGRAMS, TEXT, Watched, in_server, pieces, told

pytestmark = pytest.mark.skipif(SANITIZED, reason="the sanitizer of addresses keeps freed blocks, unwiped, to find who uses them")


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("watched"))
    world.serve()
    yield Watched(world)
    world.close()


@pytest.mark.parametrize("service", ["pipe", "send"])
def test_nothing_is_left_after_a_call(watched, service):
    for found, count, said in watched.call(service):
        assert (found, count > 1000) == (0, True), said


def test_nothing_is_left_after_a_call_of_rsa(own):
    own.serve()
    for found, count, said in Watched(own, identity="rsa2048").call("pipe"):
        assert (found, count > 1000) == (0, True), said


@pytest.mark.parametrize("words", [[], ["--rsa", "2048"]])
def test_nothing_is_left_after_a_key_was_made(tmp_path, words):
    env = {**os.environ, "CYPHERNET_HOME": str(tmp_path / "home"), "WATCH_LEFT": str(tmp_path / "left")}
    subprocess.run([PROGRAMS / "cyphernet_watched", "init", *words], env=env, check=True, capture_output=True, timeout=60)
    found, count, said = told(tmp_path / "left")
    assert (found, count > 200) == (0, True), said


def test_what_is_left_is_found(watched):
    assert [found for found, _, _ in watched.call("pipe", env={"WATCH_PLANT": "1"})] == [1, 1]


@needs_root
def test_nothing_is_in_the_server_s_memory(watched):
    for service in ("pipe", "send"):
        watched.call(service, env={"WATCH_KEPT": str(watched.kept)})
    with watched.kept.open("a") as kept:
        kept.write(pieces("name", ONE) + pieces("name", OTHER) + pieces("file name", FILE) + pieces("text", TEXT))
    found, count, said = in_server(watched.world, watched.kept)
    assert (found, count > 200) == (0, True), said


@needs_root
def test_what_is_in_the_server_s_memory_is_found(watched, tmp_path):
    """Its own directory is."""
    (tmp_path / "known").write_text(pieces("directory", str(watched.world.ctl.dir)))
    assert in_server(watched.world, tmp_path / "known")[0] > 0
