"""A subscriber's agent, for tests."""

import socket

import pytest

from live import LIMIT, until


@pytest.fixture
def forgotten(request):
    """What a test's agents leave in homes that others use, too, goes with it."""
    [name] = {"world", "slow", "own"} & set(request.fixturenames) or [None]
    one = request.getfixturevalue(name) if name else None
    yield
    if not one or name == "own":
        return
    one.clear()
    for person in (one.ann, one.bob):
        for path in [*(person.home / "queue").glob("*"), person.home / "agent.conf", *person.home.glob("history*")]:
            path.unlink(missing_ok=True)


def given(directory, name, content):
    """A file there."""
    (directory / name).write_bytes(content)
    return directory / name


def arrived(directory):
    """Names and contents of what is whole there."""
    return {path.name: path.read_bytes() for path in directory.iterdir() if not path.name.startswith(".")}


def rules(person, text):
    (person.home / "agent.conf").write_text(text)


def agent(world, person, text=None, *words, **options):
    """It runs, by these rules, and listens to commands."""
    if text is not None:
        rules(person, text)
    running = world.start(person, "agent", *words, **options)
    running.says("the agent is ready")
    return running


def waiting(world, person, text, *words, **options):
    """The same, and the server knows what it waits for."""
    running = agent(world, person, text, *words, **options)
    running.says("waiting for")
    return running


def history(person):
    """What came of each call: lines of words."""
    path = person.home / "history"
    return path.read_text().splitlines() if path.exists() else []


def came_of(person, *words, count=1):
    """The lines that have all these words, once there are so many."""

    def found():
        lines = [line for line in history(person) if all(word in line for word in words)]
        return lines if len(lines) >= count else None

    return until(found, f"{words} in {history(person)}")


def asked(person, text, end=True):
    """What the agent answers over its socket."""
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(LIMIT)
        one.connect(str(person.home / "agent.socket"))
        one.sendall(text)
        if end:
            one.shutdown(socket.SHUT_WR)
        got = b""
        try:
            while data := one.recv(4096):
                got += data
        except ConnectionResetError:
            pass
        return got
