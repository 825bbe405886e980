"""Doctor: what is wrong comes first, each with what to do about it; then what is well."""

import contextlib
import json
import re
import socket
import subprocess
import threading

import pytest

from cn_helper import exchange
from ctl_helper import BUILD, Ctl, preload
from live import World, free_port


def checks(person, code, **options):
    """The rows of each check, after it ended with that code and changed nothing."""
    before = person.files()
    done = person.run("doctor", "--json", **options)
    assert done.returncode == code, (done.stdout, done.stderr)
    assert person.files() == before
    rows = {}
    for row in map(json.loads, done.stdout.splitlines()):
        assert (row["v"], row["event"]) == (1, "check")
        rows.setdefault(row["check"], []).append(row)
    return rows


def bad(rows, check):
    """Its one row, which is not good, as one text."""
    (row,) = [row for row in rows[check] if not row["good"]]
    assert row["remedy"]
    return f"{row['text']}; {row['remedy']}"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A server with `ann`, who is well."""
    world = World(tmp_path_factory.mktemp("doctor"))
    world.serve()
    world.ann = world.person("ann")
    yield world
    world.close()


@contextlib.contextmanager
def false_server(port, answer):
    """At that port: takes one connection, and does with it what answer does."""
    with socket.create_server(("127.0.0.1", port)) as listening:

        def serve():
            with contextlib.suppress(OSError):
                line, _ = listening.accept()
                with line:
                    answer(line)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        listening.close()
        thread.join(20)


# --- nothing there, or not usable


def test_of_one_who_has_nothing(stranger):
    found = checks(stranger, 1)
    assert "cyphernet init" in bad(found, "identity") and "cyphernet join" in bad(found, "admission")
    assert found["contacts"][0]["good"] and found["program"][0]["good"]
    assert not stranger.home.exists()


@pytest.mark.parametrize("name, check", [("identity", "identity"), ("fingerprint", "admission"),
                                         ("contacts/bob", "contact")])
def test_of_a_secret_that_others_may_use(ann, name, check):
    ann.offer("bob")
    (ann.home / name).chmod(0o640)
    assert f"chmod 600 '{ann.home / name}'" in bad(checks(ann, 1), check)


@pytest.mark.parametrize("name, check", [("identity", "identity"), ("fingerprint", "admission"),
                                         ("contacts/bob", "contact")])
def test_of_a_file_that_is_damaged(ann, name, check):
    ann.offer("bob")
    path = ann.home / name
    text = path.read_text()
    path.write_text(text[: len(text) // 2])
    said = bad(checks(ann, 1), check)
    assert str(path) in said and "end is missing" in said


def test_of_a_bad_contact_among_good_ones(ann, bob):
    exchange(ann, bob)
    ann.offer("adam")
    (ann.home / "contacts/adam").chmod(0o640)
    found = checks(ann, 1)
    assert "chmod 600" in bad(found, "contact")
    assert "2, of these 1 can be called" in found["contacts"][0]["text"]
    assert any("bob is not verified" in row["text"] for row in found["contact"])


@pytest.mark.parametrize("name", ["", "contacts"])
def test_of_a_directory_that_others_may_change(ann, name):
    """Who may put one contact's file in another's place decides who is called."""
    ann.offer("bob")
    (ann.home / name).chmod(0o777)
    said = bad(checks(ann, 1), "directory")
    assert "others may change it" in said and f"chmod go-w '{ann.home / name}".rstrip("/") in said


def test_of_rules_that_nobody_understands(ann):
    (ann.home / "agent.conf").write_text("[bob]\ntalk = loudly\n")
    said = bad(checks(ann, 1), "rules")
    assert "agent.conf: line 2: [bob] talk: must be" in said and "cyphernet agent --check" in said
    (ann.home / "agent.conf").write_text("[bob]\ntalk = hold\n")
    [row] = checks(ann, 4)["rules"]
    assert row["good"] and row["text"] == "agent.conf has 1 section"


def test_of_preferences_that_nobody_understands(ann):
    (ann.home / "config").write_text("suites = SHA256-AES256GCM\ncolour = blue\n")
    said = bad(checks(ann, 1), "config")
    assert str(ann.home / "config") in said and "line 2" in said


@pytest.mark.parametrize("given, mode, about, remedy", [
    ("proxy = ftp://nowhere\n", 0o600, "config, line 1: not understood", "under FILES"),
    ("proxy = socks5://user:word@127.0.0.1:9\n", 0o644, "config: a secret file", "chmod 600 '{file}'"),
    ({"ALL_PROXY": "ftp://nowhere"}, None, "ALL_PROXY: not understood", "under ENVIRONMENT, or unset it"),
    ({"https_proxy": "http://user:word@127.0.0.1:9"}, None, "https_proxy (users and passwords", "or unset it"),
])
def test_of_a_proxy_that_is_wrong(own, given, mode, about, remedy):
    """What is wrong is what was set, not the network or the operator."""
    ann = own.person("ann")
    file = ann.home / "config"
    if isinstance(given, str):
        file.write_text(given)
        file.chmod(mode)
    found = checks(ann, 1, env=given if isinstance(given, dict) else {})
    said = bad(found, "config")
    assert about in said and remedy.format(file=file) in said
    assert "mend what `config` says above" in bad(found, "server") and "operator" not in bad(found, "server")


# --- the server


def test_of_a_server_that_is_down(ann):
    said = bad(checks(ann, 4), "server")
    assert "127.0.0.1:7473" in said and "refused" in said


@pytest.fixture
def own(tmp_path):
    """An operator of the test's own; no server runs."""
    world = World(tmp_path / "own")
    yield world
    world.close()


def test_of_a_server_that_hangs_up(own):
    ann = own.person("ann")
    with false_server(own.port, lambda line: line.recv(4096)):
        assert "another server" in bad(checks(ann, 4), "server")


def test_of_a_server_that_says_half_and_hangs_up(own):
    ann = own.person("ann")
    with false_server(own.port, lambda line: (line.recv(4096), line.sendall(bytes(1023)))):
        bad(checks(ann, 4), "server")


def test_of_a_server_that_says_nonsense(own):
    ann = own.person("ann")
    with false_server(own.port, lambda line: (line.recv(4096), line.sendall(bytes(1024)), line.recv(4096))):
        said = bad(checks(ann, 3), "server")
    assert "not authentic" in said and "not the server of your fingerprint" in said


def test_of_a_server_that_says_nothing(own):
    ann = own.person("ann")
    with false_server(own.port, lambda line: [None for _ in iter(lambda: line.recv(4096), b"")]):
        assert "time ran out" in bad(checks(ann, 4), "server")


class Elsewhere(World):
    """Another operator's server, at a port that is given."""

    def __init__(self, tmp, port):
        self.at = port
        super().__init__(tmp)

    def serve(self, config=""):
        self.ctl = Ctl(self.tmp / "again")
        self.ctl.tmp.mkdir()
        self.ctl.ok("init", "--listen", f"127.0.0.1:{self.at}")
        return super().serve(config)


def test_of_another_server_at_that_place(own, tmp_path):
    ann = own.person("ann")
    other = Elsewhere(tmp_path / "other", own.port).serve()
    assert "another server" in bad(checks(ann, 4), "server")
    other.close()


@pytest.mark.parametrize("verb, said", [("revoke", "revoked"), ("suspend", "suspended")])
def test_of_one_who_is_refused(world, verb, said):
    one = world.person(f"who-{verb}")
    world.ctl.ok(verb, one.name)
    found = checks(one, 7)
    assert said in bad(found, "server")
    assert found["admission"][0]["good"] and found["clock"][0]["good"]


@pytest.mark.parametrize("begin, end, said", [(1000, 2000, "expired"), (4000000000, 4100000000, "not valid yet")])
def test_of_a_fingerprint_out_of_its_time(world, begin, end, said):
    forge = [BUILD / "tests/support/forge", world.ctl.dir, "late", str(begin), str(end)]
    text = subprocess.run(forge, capture_output=True, text=True, check=True).stdout
    one = world.person(f"late-{begin}")
    one.ok("join", input=text)
    found = checks(one, 7)
    assert said in bad(found, "admission") and "fingerprint" in bad(found, "server")


# 7: by a clock that is behind, a fingerprint of today is not valid yet
@pytest.mark.parametrize("shift, said, code", [(-7300, "2 hours behind", 7), (660, "11 minutes ahead", 1)])
def test_of_a_clock_that_is_wrong(world, tmp_path, shift, said, code):
    found = checks(world.ann, code, env={**preload("shift_clock.so", tmp_path), "CLOCK_SHIFT_S": str(shift)})
    assert said in bad(found, "clock") and found["server"][0]["good"]


# --- contacts


def test_of_cards_that_are_missing(world):
    world.ann.offer("carol")
    found = checks(world.ann, 1)
    assert "cyphernet contact accept carol" in bad(found, "contact")
    assert found["server"][0]["good"]
    world.ann.ok("contact", "remove", "carol")


# --- well


def test_of_one_who_is_well(world):
    bob = world.person("bob")
    exchange(world.ann, bob)
    found = checks(world.ann, 0)
    assert "contact verify bob" in found["contact"][0]["remedy"]
    world.ann.ok("contact", "verify", "bob", "--yes")
    found = checks(world.ann, 0)
    assert "contact" not in found and all(row["good"] for rows in found.values() for row in rows)
    assert f"127.0.0.1:{world.port} admits you" in found["server"][0]["text"]
    lines = world.ann.ok("doctor").stdout.splitlines()
    assert all(line.startswith("ok   ") for line in lines)


def test_a_server_is_found_over_ipv6_and_by_name(tmp_path):
    ctl = Ctl(tmp_path)
    six = World.__new__(World)
    six.tmp, six.ctl, six.server, six.under_way, six.port = tmp_path, ctl, None, [], free_port()
    ctl.ok("init", "--listen", f"[::1]:{six.port}", "--listen", f"127.0.0.1:{six.port}",
           "--public", f"localhost:{six.port}", "--public", f"[::1]:{six.port}")
    six.serve()
    rows = checks(six.person("zoe"), 0)["server"]
    assert [row["text"].split()[0] for row in rows] == [f"localhost:{six.port}", f"[::1]:{six.port}"]
    six.close()


def test_asking_registers_nothing(world):
    before = json.loads(world.ctl.ok("status", "--json").stdout)
    checks(world.ann, 0)
    after = json.loads(world.ctl.ok("status", "--json").stdout)
    assert before["waiting"] == after["waiting"] == 0


def test_an_end_within_fourteen_days_is_told(world):
    world.ctl.ok("invite", "short", "--days", "3", "-o", "short.fp")
    one = world.person("short-one")
    one.ok("join", "short.fp")
    found = checks(one, 0)
    (row,) = found["admission"]
    assert "renew" in row["remedy"] and re.search("valid for (2|3) days", row["text"])
