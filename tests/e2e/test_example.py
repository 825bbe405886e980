"""The example programs, in C and in Python, against the library alone."""

import os
import re
import signal
import socket
import sys
from pathlib import Path

import pytest

from ctl_helper import BUILD
from live import free_port, until

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / "examples/python"


def python_echo(own, home, *words):
    """echo.py in that home."""
    library = BUILD / "libcyphernet.so"
    if b"__asan_init" in library.read_bytes():
        pytest.skip("Python is not built with sanitizers")
    env = {"CYPHERNET_HOME": str(home), "LIBCYPHERNET": str(library), "PYTHONDONTWRITEBYTECODE": "1"}
    return own.run_program([sys.executable, PYTHON / "echo.py", *words], env=env)



def test_echo_sends_back_what_it_gets(own_pair, own):
    ann, bob = own_pair
    data = os.urandom(3_000_000)
    echo = own.run_program([BUILD / "examples" / "echo", "ann"], env={"CYPHERNET_HOME": str(bob.home)})
    pipe = own.start(ann, "pipe", "bob", stdin=data)
    pipe.end(0)
    echo.end(0)
    assert pipe.got() == data


def test_echo_says_what_is_wrong(own):
    echo = own.run_program([BUILD / "examples" / "echo", "nobody"], env={"CYPHERNET_HOME": str(own.tmp / "none")})
    echo.end(1)
    assert "not there" in echo.said()


def test_streams_of_one_call(own_pair, own):
    ann, bob = own_pair
    ends = [own.run_program([BUILD / "examples" / "streams", name], env={"CYPHERNET_HOME": str(person.home)})
            for person, name in ((ann, "bob"), (bob, "ann"))]
    for end in ends:
        end.end(0)
        assert sorted(end.got().decode().splitlines()) == ["a word: 5 octets", f"ballast: {8 << 20} octets"]


def example(own, person, name, *words):
    return own.run_program([BUILD / "examples" / name, *words], env={"CYPHERNET_HOME": str(person.home)})


def test_send_sends_files_and_says_what_became_of_them(own_pair, own, source, target):
    ann, bob = own_pair
    (source / "tree").mkdir()
    (source / "tree/a").write_bytes(os.urandom(3_000_000))
    (source / "b").write_text("new")
    sends = example(own, ann, "send", "bob", source / "tree", source / "b")
    own.start(bob, "receive", "ann", "-d", target).end(0)
    sends.end(0)
    assert (target / "tree/a").read_bytes() == (source / "tree/a").read_bytes()
    assert sorted(sends.got().decode().splitlines()) == ["b: stored", "tree/a: stored"]
    (source / "b").write_text("newer")
    sends = example(own, ann, "send", "bob", source / "b")
    own.start(bob, "receive", "ann", "-d", target).end(1)
    sends.end(1)
    assert "b: a file of this name exists there" in sends.got().decode()


@pytest.mark.parametrize("words, said", [(["bob", "/no/such"], "/no/such"), (["nobody", "/bin/true"], "nobody"), ([], "")])
def test_send_says_what_is_wrong(own_pair, own, words, said):
    sends = example(own, own_pair[0], "send", *words)
    sends.end(1)
    assert "send: " in sends.said() and said in sends.said()


def test_forward_carries_connections(own_pair, own):
    ann, bob = own_pair
    with socket.create_server(("127.0.0.1", 0)) as there:
        to = there.getsockname()[1]
        serves = own.start(bob, "serve", "ann", "--allow", f"127.0.0.1:{to}")
        at = free_port()
        forwards = example(own, ann, "forward", "bob", f"{at}:127.0.0.1:{to}")
        until(lambda: "listening at" in forwards.got().decode() or forwards.process.poll(), "it listens")
        with socket.create_connection(("127.0.0.1", at)) as one, there.accept()[0] as other:
            one.sendall(b"hello")
            assert other.recv(5) == b"hello"
            other.sendall(b"back")
            assert one.recv(4) == b"back"
        until(lambda: "5 octets there, 4 back" in forwards.got().decode(), "it tells how much it was")
    refused = example(own, ann, "forward", "bob", f"{free_port()}:localhost:1")
    refused.end(1)
    assert "forward: localhost:1: " in refused.said()
    serves.signal(signal.SIGTERM)
    serves.end(0)
    forwards.end(0)


def test_python_sends_back_what_it_gets(own_pair, own):
    ann, bob = own_pair
    data = os.urandom(3_000_000)
    echo = python_echo(own, bob.home, "ann")
    pipe = own.start(ann, "pipe", "bob", stdin=data)
    pipe.end(0)
    echo.end(0)
    assert pipe.got() == data


def test_python_lists_contacts(own_pair, own):
    ann, bob = own_pair
    ann.offer("carl")
    (ann.home / "contacts/dora").write_text("damaged")
    (ann.home / "contacts/dora").chmod(0o600)
    echo = python_echo(own, ann.home)
    echo.end(0)
    assert echo.got().decode().splitlines() == [
        "bob verified", "carl unverified", "dora dora: not a Cypher Net file"]


@pytest.mark.parametrize("words, said", [(["nobody"], "nobody: not there"), (["../x"], "not a valid name")])
def test_python_says_what_is_wrong(own_pair, own, words, said):
    echo = python_echo(own, own_pair[0].home, *words)
    echo.end(1)
    assert said in echo.said() and "Traceback" not in echo.said()


def test_python_takes_no_cut_for_an_end(own_pair, own):
    ann, bob = own_pair
    there, here = os.pipe()
    echo = python_echo(own, bob.home, "ann")
    with os.fdopen(there, "rb") as stdin, os.fdopen(here, "wb", buffering=0) as typing:
        pipe = own.start(ann, "pipe", "bob", stdin=stdin)
        typing.write(b"hello")
        until(lambda: pipe.got() == b"hello", "it is sent back")
        pipe.signal(signal.SIGKILL)
    pipe.end()
    echo.end(1)
    assert "connection ended" in echo.said() and "Traceback" not in echo.said()


def test_python_knows_the_library_as_it_is():
    """What the binding repeats of the header, against what ./run abi has written down."""
    known = (ROOT / "tests/lint/libcyphernet.abi").read_text()
    binding = (PYTHON / "cyphernet.py").read_text()
    constants = dict(re.findall(r"^(CN_\w+) = (-?\d+)$", known, re.M))
    for names, numbers in re.findall(r"^([A-Z, ]+)= ([\d, ]+)", binding, re.M):
        for name, number in zip(names.split(","), numbers.split(","), strict=True):
            found = {f"CN_{kind}{name.strip()}" for kind in ("", "CALL_", "EVENT_", "STREAM_", "E_")} & constants.keys()
            assert number.strip() in {constants[one] for one in found}, name
    structs = re.findall(r"struct (\w+) \{([^}]*)\}", binding)
    assert len(structs) == 4
    for name, members in structs:
        named = re.findall(r"(\w+)(?:\[\d+\])?;", members)
        assert named == re.findall(rf"^struct {name}: \d+: .*, (\w+)$", known, re.M)
    for function in re.findall(r"\b(cn_\w+)\(", binding):
        assert re.search(rf"\b{function}\(", known), function
