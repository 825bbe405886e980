"""cyphernet agent, queue and send --later: what can be said without a server."""

import base64
import json
import os
import subprocess

import pytest

from cn_helper import exchange
from ctl_helper import BUILD


@pytest.fixture
def pair(ann, bob):
    exchange(ann, bob)
    return ann, bob


def queued(ann, tmp_path, name="a"):
    path = tmp_path / name
    path.write_bytes(b"x")
    return json.loads(ann.ok("send", "bob", path, "--later", "--json").stdout)


# --- the agent


def test_who_has_not_joined_cannot_answer(stranger):
    assert "cyphernet join" in stranger.bad(1, "agent")


def test_rules_can_be_looked_at(ann):
    (ann.home / "agent.conf").write_text("[bob]\ntalk = hold\n[*]\n")
    assert "2 sections" in ann.ok("agent", "--check").stderr
    (ann.home / "agent.conf").unlink()
    assert "is not there" in ann.ok("agent", "--check").stderr


@pytest.mark.parametrize(
    "text, said",
    [
        ("nonsense\n", "line 1: neither"),
        ("[bob]\ntalk = loudly\n", "line 2: [bob] talk: must be refuse, hold or notify"),
        ("[bob]\n\x1b[2J = 1\n", "line 2"),
        ("[bob]\0\n", "NUL"),
        ("x" * 70000, "too long"),
    ],
)
def test_bad_rules_are_told_with_their_line(ann, text, said):
    (ann.home / "agent.conf").write_text(text)
    for words in (["agent", "--check"], ["agent"]):
        told = ann.bad(1, *words)
        assert said in told and "agent.conf" in told
        assert "cyphernet-agent(1) says what it may hold" in told or said == "too long"


def test_rules_that_others_may_change_are_refused(ann):
    (ann.home / "agent.conf").write_text("[bob]\npipe = cat\n")
    (ann.home / "agent.conf").chmod(0o666)
    told = ann.bad(1, "agent")
    assert "others may change it" in told and "chmod go-w" in told


def test_rules_are_looked_for_where_preferences_are(ann, tmp_path):
    config = tmp_path / "config/cyphernet"
    config.mkdir(parents=True)
    (config / "agent.conf").write_text("[bob]\npip = cat\n")
    env = {"CYPHERNET_HOME": "", "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    assert "config/cyphernet/agent.conf: line 2" in ann.bad(1, "agent", "--check", env=env)


# --- the queue


def test_an_empty_queue(ann):
    done = ann.ok("queue")
    assert done.stdout == "" and "nothing is queued" in done.stderr
    assert ann.ok("queue", "--json").stdout == ""


def test_what_is_queued_is_listed(pair, tmp_path):
    ann, _ = pair
    told = queued(ann, tmp_path)
    assert told["event"] == "queued" and told["contact"] == "bob"
    [one] = [json.loads(line) for line in ann.ok("queue", "--json").stdout.splitlines()]
    assert one.pop("queued") > 1600000000
    assert one == {"v": 1, "event": "delivery", "id": told["id"], "contact": "bob", "failed": None,
                   "paths": [str(tmp_path / "a")]}
    line = ann.ok("queue").stdout
    assert line.startswith(told["id"]) and "bob" in line and line.endswith(f"{tmp_path}/a\n")
    assert (ann.home / "queue" / told["id"]).stat().st_mode & 0o777 == 0o600


def test_what_is_cancelled_is_gone(pair, tmp_path):
    ann, _ = pair
    one, other = queued(ann, tmp_path)["id"], queued(ann, tmp_path, "b")["id"]
    ann.ok("queue", "cancel", one)
    assert [line.split()[0] for line in ann.ok("queue").stdout.splitlines()] == [other]
    assert f"nothing is queued as '{one}'" in ann.bad(1, "queue", "cancel", one)


def test_the_doctor_sees_what_waits_for_no_agent(pair, tmp_path):
    ann, _ = pair
    assert "agent" not in ann.run("doctor").stdout
    queued(ann, tmp_path)
    [line] = [line for line in ann.run("doctor").stdout.splitlines() if " agent " in line]
    assert line.startswith("BAD") and "not running, and 1 of the queue cannot go" in line and "systemctl" in line


@pytest.mark.parametrize("name", ["", "../identity", "identity", "abc", "\x1b[2J"])
def test_nothing_else_is_cancelled(ann, name):
    assert "nothing is queued as" in ann.bad(1, "queue", "cancel", name)


def test_odd_paths_are_kept_and_shown_with_care(pair, tmp_path):
    ann, _ = pair
    path = os.fsencode(tmp_path) + b"/a\n\x1b[2J\xff=b"
    with open(path, "wb"):
        pass
    env = {**os.environ, "CYPHERNET_HOME": str(ann.home)}
    subprocess.run([BUILD / "cyphernet", "send", "bob", path, "--later"], check=True, env=env, capture_output=True)
    assert ann.ok("queue").stdout.count("\n") == 1
    assert "a\\x0a\\x1b[2J\\xff=b" in ann.ok("queue").stdout
    [row] = map(json.loads, ann.ok("queue", "--json").stdout.splitlines())
    assert [base64.b64decode(one) for one in row["paths_base64"]] == [path]


@pytest.mark.parametrize(
    "words, code, said",
    [
        (["bob", "/nonexistent/x"], 1, "/nonexistent/x"),
        (["bob", "-"], 2, "standard input cannot be sent later"),
        (["bob", "/bin/true", "--name", "x"], 2, "--name is for standard input"),
        (["carl", "/bin/true"], 1, "carl"),
        (["../x", "/bin/true"], 2, "names are"),
        (["bob", "/dev/null"], 1, "/dev/null"),
        (["bob", "/bin/true", "/bin/true"], 1, "same name"),
    ],
)
def test_what_could_not_be_sent_is_not_queued(pair, words, code, said):
    ann, _ = pair
    assert said in ann.bad(code, "send", *words, "--later")
    assert ann.ok("queue").stdout == ""


def test_who_cannot_be_called_yet_is_told(ann):
    ann.offer("dora")
    assert "the cards are not exchanged yet" in ann.bad(1, "send", "dora", "/bin/true", "--later")


@pytest.mark.parametrize(
    "args, said",
    [
        (["agent", "more"], "too many"),
        (["agent", "--check", "--json"], "--json"),
        (["queue", "frobnicate"], "frobnicate"),
        (["queue", "cancel"], "too few"),
        (["queue", "cancel", "abc234", "more"], "too many"),
        (["queue", "cancel", "abc234", "--json"], "--json"),
        (["send", "bob", "--later"], "too few"),
    ],
)
def test_misuse(stranger, args, said):
    assert said in stranger.bad(2, *args)
