"""cyphernet agent: what the rules answer, and nothing else."""

import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from agents import agent, arrived, asked, came_of, forgotten, given, history, rules, waiting  # noqa: F401 (a fixture)
from cn_helper import exchange
from ctl_helper import BUILD
from live import LIMIT, until
from proxy import Cutter, Proxy
from tunnels import Tunnels, answer_to, ports


pytestmark = pytest.mark.usefixtures("forgotten")


@pytest.fixture
def tunnels(world):
    made = Tunnels(world)
    yield made
    made.close()


# --- files


def test_files_go_where_the_rule_says(world, source, target):
    running = waiting(world, world.bob, f"[ann]\nreceive = {target}\n")
    for name in ("one", "two"):
        world.start(world.ann, "send", "bob", given(source, name, b"x" * 100000)).end(0)
    assert arrived(target) == {"one": b"x" * 100000, "two": b"x" * 100000}
    [one, two] = came_of(world.bob, "ann", "files", "done", count=2)
    assert "one: 1 of 1, 100.0 kB" in one and str(target) in one
    assert "ann: files: one: 1 of 1" in running.said()


def test_too_much_is_refused_before_anything_is_stored(world, source, target):
    waiting(world, world.bob, f"[ann]\nreceive = {target}\nreceive_max = 10K\n")
    world.start(world.ann, "send", "bob", given(source, "large", b"x" * 10001)).end(8)
    assert list(target.iterdir()) == []
    [line] = came_of(world.bob, "files", "refused")
    assert "large" in line and "receive_max" in line
    world.start(world.ann, "send", "bob", given(source, "small", b"x" * 10000)).end(0)
    assert list(arrived(target)) == ["small"]


def test_with_a_limit_the_size_must_be_known(world, target):
    waiting(world, world.bob, f"[ann]\nreceive = {target}\nreceive_max = 10K\n")
    world.start(world.ann, "send", "bob", "-", stdin=b"x" * 100).end(8)
    assert list(target.iterdir()) == []
    came_of(world.bob, "files", "refused", "unknown size")


@pytest.mark.parametrize("how, names", [("skip", ["a"]), ("rename", ["a", "a-1"]), ("overwrite", ["a"])])
def test_a_name_that_is_taken(world, source, target, how, names):
    given(target, "a", b"before")
    waiting(world, world.bob, f"[ann]\nreceive = {target}\non_conflict = {how}\n")
    world.start(world.ann, "send", "bob", given(source, "a", b"after")).end(8 if how == "skip" else 0)
    found = arrived(target)
    assert len(found) == len(names)
    assert found["a"] == (b"after" if how == "overwrite" else b"before")
    if how == "rename":
        assert b"after" in found.values()


def test_a_directory_for_each(world, source, target):
    waiting(world, world.bob, f"[*]\nreceive = {target}/from-%n\n")
    world.start(world.ann, "send", "bob", given(source, "a", b"x")).end(0)
    assert (target / "from-ann/a").read_bytes() == b"x"
    assert (target / "from-ann").stat().st_mode & 0o777 == 0o700


def test_a_directory_that_is_not_there_is_told(world, source, target):
    waiting(world, world.bob, f"[ann]\nreceive = {target}/missing\n")
    world.start(world.ann, "send", "bob", given(source, "a", b"x")).end(5)
    came_of(world.bob, "files", "failed", "missing")
    assert list(target.iterdir()) == []


# --- tunnels


def test_addresses_of_the_rule_are_reached_and_no_others(world, tunnels):
    port = tunnels.server().port
    other = tunnels.server().port
    waiting(world, world.bob, f"[ann]\nallow = localhost:{port}\n")
    forwarding = tunnels.forward("-L", f"0:localhost:{port}")
    assert answer_to(ports(forwarding)[0], b"hello" * 1000) == b"hello" * 1000
    tunnels.connect(f"localhost:{other}", stdin=b"x").end(8)
    forwarding.signal(signal.SIGTERM)
    forwarding.end(0)
    came_of(world.bob, "tunnel", "done", "1 connection, 0 refused")
    came_of(world.bob, "tunnel", "0 connections, 1 refused")


# --- pipe


def test_a_command_gets_what_is_piped(world):
    waiting(world, world.bob, "[ann]\npipe = tr a-z A-Z\n")
    for _ in range(2):
        piping = world.start(world.ann, "pipe", "bob", stdin=b"hello " * 100000)
        piping.end(0)
        assert piping.got() == b"HELLO " * 100000
    [line, _] = came_of(world.bob, "pipe", "done", count=2)
    assert "tr: 600.0 kB came, 600.0 kB went" in line


def test_no_shell_reads_the_command(world):
    waiting(world, world.bob, "[ann]\npipe = echo $HOME '%n  x' `id`\n")
    piping = world.start(world.ann, "pipe", "bob", stdin=b"")
    piping.end(0)
    assert piping.got() == b"$HOME ann  x `id`\n"


def test_a_command_that_fails_never_looks_complete(world):
    waiting(world, world.bob, "[ann]\npipe = sh -c 'echo some && exit 3'\n")
    piping = world.start(world.ann, "pipe", "bob", stdin=b"")
    piping.end(5)
    assert "ran a command that failed" in piping.said()
    came_of(world.bob, "pipe", "failed", "not complete")


def test_a_command_that_is_not_there(world):
    waiting(world, world.bob, "[ann]\npipe = /nonexistent/program\n")
    world.start(world.ann, "pipe", "bob", stdin=b"").end(5)
    came_of(world.bob, "pipe", "failed", "/nonexistent/program")


def test_a_command_ends_with_its_call(world, tmp_path):
    note = tmp_path / "pid"
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\necho $$ >{note}.new && mv {note}.new {note} && exec sleep 1000\n")
    script.chmod(0o755)
    waiting(world, world.bob, f"[ann]\npipe = {script}\n")
    piping = world.start(world.ann, "pipe", "bob", stdin=subprocess.PIPE)
    until(note.exists, "it runs")
    pid = int(note.read_text())
    piping.stop()
    came_of(world.bob, "pipe", "interrupted")
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


# --- who is answered


def test_what_no_rule_says_is_not_answered(world, target):
    waiting(world, world.bob, f"[ann]\nreceive = {target}\n")
    world.start(world.ann, "pipe", "bob", wait=1, stdin=b"").end(6)
    assert history(world.bob) == []


def test_of_others_the_verified_only(own, source, target):
    own.serve()
    ann, bob = own.pair()
    carl = own.person("carl")
    exchange(carl, bob)
    waiting(own, bob, f"[*]\nreceive = {target}\n")
    own.start(carl, "send", "bob", given(source, "c", b"x"), wait=1).end(6)
    own.start(ann, "send", "bob", given(source, "a", b"x")).end(0)
    bob.ok("contact", "verify", "carl", "--yes")  # which the agent notices
    own.start(carl, "send", "bob", given(source, "c", b"x")).end(0)
    assert set(arrived(target)) == {"a", "c"}


def test_a_contact_that_comes_later_is_waited_for(own, source, target):
    own.serve()
    ann, bob = own.person("ann"), own.person("bob")
    running = agent(own, bob, f"[ann]\nreceive = {target}\n")
    running.says("there is no such contact")
    exchange(ann, bob)
    running.says("waiting for 1 contact")
    own.start(ann, "send", "bob", given(source, "a", b"x")).end(0)
    assert list(arrived(target)) == ["a"]


def test_that_it_waits_is_told_once(world, source, target):
    """Whatever becomes of its contacts' files meanwhile."""
    running = waiting(world, world.bob, f"[ann]\nreceive = {target}\n")
    for name, change in (("a", "offer"), ("b", "remove")):
        world.bob.ok("contact", change, "carl")
        world.start(world.ann, "send", "bob", given(source, name, b"x")).end(0)
        came_of(world.bob, "files", "done", name)
    assert running.said().count("waiting for") == 1


def test_many_calls_at_once(world, tmp_path):
    """All of them are there before the first may go on."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    waiting(world, world.bob, f"[ann]\npipe = sh -c 'read go <{gate} && cat'\n")
    calls = []
    for number in range(20):
        calls.append(world.start(world.ann, "pipe", "bob", stdin=b"%d" % number))
        calls[-1].says("connected with bob")
    with open(os.open(gate, os.O_RDWR), "wb", buffering=0) as opened:
        opened.write(b"\n" * 20)  # each takes one
        for number, call in enumerate(calls):
            call.end(0)
            assert call.got() == b"%d" % number
    came_of(world.bob, "pipe", "done", count=20)


def test_one_contact_leaves_room_for_others(own, source, target):
    own.serve()
    ann, bob = own.pair()
    carl = own.person("carl")
    exchange(carl, bob)
    waiting(own, bob, f"[ann]\npipe = cat\n[carl]\nreceive = {target}\n")
    calls = [own.start(ann, "pipe", "bob", stdin=subprocess.PIPE) for _ in range(1)]
    for _ in range(31):
        calls[-1].says("connected with bob")
        calls.append(own.start(ann, "pipe", "bob", stdin=subprocess.PIPE))
    calls[-1].says("connected with bob")
    more = own.start(ann, "pipe", "bob", stdin=b"")
    more.says("waiting for bob")
    own.start(carl, "send", "bob", given(source, "c", b"x")).end(0)
    assert "connected" not in more.said()
    calls[0].stdin.close()
    more.end(0)


def test_two_agents(world, source, target):
    waiting(world, world.bob, f"[ann]\nreceive = {target}\n")
    agent(world, world.ann, "")
    world.ann.ok("send", "bob", given(source, "a", b"x" * 1000), "--later")
    came_of(world.ann, "deliver", "done", "1 of 1 delivered")
    came_of(world.bob, "files", "done")
    assert arrived(target) == {"a": b"x" * 1000}
    assert world.ann.ok("queue").stdout == ""


# --- commands beside it


def test_a_command_goes_before_the_agent_and_then_it_takes_over_again(world, source, target, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    waiting(world, world.bob, f"[ann]\nreceive = {target}\n")
    taking = world.start(world.bob, "receive", "ann", "-d", mine)
    taking.says("waiting for ann")
    world.start(world.ann, "send", "bob", given(source, "a", b"x")).end(0)
    taking.end(0)
    assert list(arrived(mine)) == ["a"] and arrived(target) == {}
    world.start(world.ann, "send", "bob", given(source, "b", b"x")).end(0)
    assert list(arrived(target)) == ["b"]


def test_other_kinds_of_calls_are_still_answered_meanwhile(world, source, target):
    waiting(world, world.bob, f"[ann]\nreceive = {target}\npipe = cat\n")
    serving = world.start(world.bob, "pipe", "ann", "--answer", wait=0, stdin=b"mine")
    serving.says("waiting for ann")
    world.start(world.ann, "send", "bob", given(source, "a", b"x")).end(0)
    piping = world.start(world.ann, "pipe", "bob", stdin=b"")
    piping.end(0)
    assert piping.got() == b"mine"


def test_who_is_killed_gives_it_back(world, source, target):
    waiting(world, world.bob, f"[ann]\nreceive = {target}\n")
    taking = world.start(world.bob, "receive", "ann")
    taking.says("waiting for ann")
    taking.stop()
    world.start(world.ann, "send", "bob", given(source, "a", b"x")).end(0)
    assert list(arrived(target)) == ["a"]


# --- talk


def test_talk_that_is_refused(world):
    waiting(world, world.bob, "[ann]\ntalk = refuse\n")
    talking = world.start(world.ann, "talk", "bob", stdin=b"hello\n")
    talking.end(8)
    assert "bob refused" in talking.said()
    came_of(world.bob, "talk", "refused")


def test_a_talk_that_nobody_takes_is_missed_and_the_partner_told(world):
    waiting(world, world.bob, "[ann]\ntalk = hold\ntalk_hold = 1\n")
    talking = world.start(world.ann, "talk", "bob", stdin=subprocess.PIPE)
    talking.says("connected with bob")
    talking.stdin.write(b"one\ntwo\nsecret\n")
    talking.stdin.flush()
    talking.end(8)
    [line] = came_of(world.bob, "talk", "missed")
    assert "3 lines" in line
    kept = [path.read_bytes() for path in world.bob.home.rglob("*") if path.is_file()]
    assert not any(b"secret" in content for content in kept)


def test_who_hangs_up_before_he_is_answered_is_missed_too(world):
    running = waiting(world, world.bob, "[ann]\ntalk = hold\n")
    talking = world.start(world.ann, "talk", "bob", stdin=b"are you there?\n")
    running.says("ann calls for a talk")
    talking.stop()
    came_of(world.bob, "talk", "missed")


def test_a_command_tells_who_calls_and_no_shell_reads_it(world, tmp_path):
    note = tmp_path / "note"
    script = tmp_path / "script"
    script.write_text(f'#!/bin/sh\nprintf "%s|" "$@" >{note}.new && mv {note}.new {note}\n')
    script.chmod(0o755)
    waiting(world, world.bob, f"[ann]\ntalk = notify\nnotify = {script} '%n  calls' $(id)\n")
    world.start(world.ann, "talk", "bob", stdin=subprocess.PIPE)
    until(note.exists, "it was told")
    assert note.read_text() == "ann  calls|$(id)|"


def test_a_command_that_cannot_be_run_hinders_nothing(world):
    running = waiting(world, world.bob, "[ann]\ntalk = notify\ntalk_hold = 1\nnotify = /nonexistent/program\n")
    world.start(world.ann, "talk", "bob", stdin=subprocess.PIPE).end(8)
    running.says("/nonexistent/program")


def held(world, *words, stdin=b"", **options):
    """ann talks to bob, whose agent holds it."""
    talking = world.start(world.ann, "talk", "bob", *words, stdin=subprocess.PIPE, **options)
    talking.says("connected with bob")
    say(talking, stdin)
    return talking


def say(talking, text):
    talking.stdin.write(text)
    talking.stdin.flush()


def hears(talking, text):
    until(lambda: text in talking.got(), f"{text} in {talking.got()}")


@pytest.mark.parametrize("words", [[], ["--answer"]])
def test_a_talk_that_is_held_is_taken_by_the_user(world, words):
    running = waiting(world, world.bob, "[ann]\ntalk = hold\n")
    ann = held(world, stdin=b"one\ntwo\n")
    running.says("ann calls for a talk")
    bob = world.start(world.bob, "talk", "ann", *words, stdin=subprocess.PIPE)
    hears(bob, b"ann: two\n")
    say(bob, b"three\n")
    hears(ann, b"bob: three\n")
    say(ann, "vier\nfünf\n".encode())
    hears(bob, "ann: fünf\n".encode())
    for one in (ann, bob):
        one.stdin.close()
    ann.end(0)
    bob.end(0)
    assert bob.got().count(b"ann: ") == 4
    came_of(world.bob, "talk", "done", "4 lines came, 1 went")


def test_nothing_is_delivered_before_somebody_has_it(world):
    waiting(world, world.bob, "[ann]\ntalk = hold\npipe = cat\n")
    ann = held(world, "--json", stdin=b"one\n")
    world.start(world.ann, "pipe", "bob", stdin=b"x").end(0)  # meanwhile the agent has looked at all its calls
    assert b"delivered" not in ann.got()
    bob = world.start(world.bob, "talk", "ann", stdin=subprocess.PIPE)
    hears(ann, b'"event":"delivered"')
    bob.stdin.close()
    ann.stdin.close()
    ann.end(0)
    bob.end(0)


def test_a_talk_that_is_taken_is_kept_as_any_other(world):
    """But files are for whoever has the call."""
    waiting(world, world.bob, "[ann]\ntalk = hold\n")
    ann = held(world, stdin=b"one\n")
    bob = world.start(world.bob, "talk", "ann", "--transcript", "--commands", stdin=b"/send x\ntwo\n")
    hears(ann, b"bob: two\n")
    ann.stdin.close()
    ann.end(0)
    bob.end(0)
    assert "the agent has the call" in bob.said()
    said = world.bob.ok("talk", "--show-transcript", "ann").stdout
    assert "ann: one\n" in said and "bob: two\n" in said


def test_much_that_was_said_meanwhile_is_all_there(world):
    """More than the agent keeps itself."""
    waiting(world, world.bob, "[ann]\ntalk = hold\n")
    lines = [b"%d " % number + b"x" * 1000 for number in range(2000)]
    ann = held(world, stdin=b"")
    feeding = threading.Thread(target=say, args=(ann, b"\n".join(lines) + b"\n"), daemon=True)
    feeding.start()
    bob = world.start(world.bob, "talk", "ann", stdin=subprocess.PIPE)
    hears(bob, lines[-1])
    feeding.join(LIMIT)
    got = bob.got()
    assert all(b"ann: " + line + b"\n" in got for line in lines)
    for one in (ann, bob):
        one.stdin.close()
    ann.end(0)
    bob.end(0)


def test_a_talk_is_taken_once(world):
    waiting(world, world.bob, "[ann]\ntalk = hold\n")
    ann = held(world, stdin=b"one\n")
    bob = world.start(world.bob, "talk", "ann", stdin=subprocess.PIPE)
    hears(bob, b"ann: one")
    again = world.start(world.bob, "talk", "ann", wait=1, stdin=subprocess.PIPE)
    again.end(6)
    say(bob, b"still here\n")
    hears(ann, b"bob: still here")


@pytest.mark.parametrize("who", ["ann", "bob", "agent"])
def test_a_talk_that_is_cut_is_told_at_both_ends(world, who):
    running = waiting(world, world.bob, "[ann]\ntalk = hold\n")
    ann = held(world, stdin=b"one\n")
    bob = world.start(world.bob, "talk", "ann", stdin=subprocess.PIPE)
    hears(bob, b"ann: one")
    {"ann": ann, "bob": bob, "agent": running}[who].stop()
    if who != "ann":
        ann.end(5)
    if who != "bob":
        bob.end(5)
    if who != "agent":
        came_of(world.bob, "talk", "interrupted")


@pytest.mark.parametrize("first", ["attach", "lose"])
def test_who_has_taken_a_talk_is_told_of_its_line(own, first):
    own.serve()
    running = waiting(own, (pair := own.pair())[1], "[ann]\ntalk = hold\n")
    ann = own.start(pair[0], "talk", "bob", resume=60, stdin=subprocess.PIPE)
    running.says("ann calls for a talk")
    ann.says("connected with bob")
    if first == "lose":
        own.server.stop()
        running.says("trying again")
    bob = own.start(pair[1], "talk", "ann", stdin=subprocess.PIPE)
    say(bob, b"one\n")
    if first == "attach":
        hears(ann, b"bob: one\n")
        own.server.stop()
    bob.says("the line to ann is lost; reconnecting")
    own.serve()
    bob.says("nothing is lost")
    say(bob, b"two\n")
    hears(ann, b"bob: one\n")
    hears(ann, b"bob: two\n")
    assert bob.said().count("is lost; reconnecting") == 1
    for one in (ann, bob):
        one.stdin.close()
    ann.end(0)
    bob.end(0)


def test_files_in_a_talk_that_is_held_are_refused(world, source):
    waiting(world, world.bob, "[ann]\ntalk = hold\n")
    ann = held(world, "--commands", stdin=f"/send {given(source, 'a', b'x')}\n".encode())
    ann.says("bob does not want it")
    bob = world.start(world.bob, "talk", "ann", stdin=subprocess.PIPE)
    say(bob, b"here\n")
    hears(ann, b"bob: here")


# --- the agent itself


def test_there_is_one_agent_of_a_home(world):
    agent(world, world.bob, "")
    second = world.start(world.bob, "agent")
    second.end(1)
    assert "running already" in second.said()


def test_what_a_killed_agent_left_is_replaced(world, source, target):
    running = waiting(world, world.bob, f"[ann]\nreceive = {target}\n")
    running.stop()
    assert (world.bob.home / "agent.socket").exists()
    waiting(world, world.bob, None)
    world.start(world.ann, "send", "bob", given(source, "a", b"x")).end(0)


def test_a_signal_ends_it_well(world):
    running = waiting(world, world.bob, "[ann]\npipe = cat\n")
    running.signal(signal.SIGTERM)
    running.end(0)
    assert not (world.bob.home / "agent.socket").exists()


def test_a_signal_ends_its_calls(world):
    running = waiting(world, world.bob, "[ann]\npipe = cat\n")
    piping = world.start(world.ann, "pipe", "bob", stdin=subprocess.PIPE)
    say(piping, b"x")
    hears(piping, b"x")
    running.signal(signal.SIGTERM)
    running.end(0)
    piping.end(5)
    came_of(world.bob, "pipe", "interrupted")


def test_rules_are_read_again(world, source, target):
    running = waiting(world, world.bob, "[ann]\npipe = cat\n")
    rules(world.bob, f"[ann]\nreceive = {target}\n")
    running.signal(signal.SIGHUP)
    running.says("the rules have been read again")
    world.start(world.ann, "send", "bob", given(source, "a", b"x")).end(0)
    world.start(world.ann, "pipe", "bob", wait=1, stdin=b"").end(6)


def test_bad_rules_leave_the_old_ones_in_force(world):
    running = waiting(world, world.bob, "[ann]\npipe = cat\n")
    rules(world.bob, "[ann]\npipe = cat\npip = dog\n")
    running.signal(signal.SIGHUP)
    running.says("the rules stay as they were")
    assert "agent.conf: line 3: [ann] pip: no such rule" in running.said()
    piping = world.start(world.ann, "pipe", "bob", stdin=b"still")
    piping.end(0)
    assert piping.got() == b"still"


def test_it_comes_back_to_a_server_that_was_away(own, source, target):
    own.serve()
    ann, bob = own.pair()
    running = waiting(own, bob, f"[ann]\nreceive = {target}\n")
    own.server.stop()
    running.says("trying again")
    own.serve()
    own.start(ann, "send", "bob", given(source, "a", b"x")).end(0)
    assert list(arrived(target)) == ["a"]


def test_its_calls_outlive_their_lines(own):
    own.serve()
    proxy = Proxy(own.port)
    try:
        ann, bob = (proxy.before(one) for one in own.pair())
        waiting(own, bob, "[ann]\npipe = cat\n")
        proxy.change = Cutter(5, 400_000, 1)
        content = random.Random(1).randbytes(5_000_000)
        piping = own.start(ann, "pipe", "bob", stdin=content, resume=60)
        piping.end(0)
        assert piping.got() == content and proxy.change.left == 0
        came_of(bob, "pipe", "done")
    finally:
        proxy.close()


def test_it_waits_for_a_server_that_is_not_there_yet(own, source, target):
    own.serve()
    ann, bob = own.pair()
    own.server.stop()
    running = agent(own, bob, f"[ann]\nreceive = {target}\n")
    running.says("trying again")
    own.serve()
    own.start(ann, "send", "bob", given(source, "a", b"x")).end(0)


def test_who_is_revoked_is_told_and_it_ends(own):
    own.serve()
    _, bob = own.pair()
    running = waiting(own, bob, "[ann]\npipe = cat\n")
    own.ctl.ok("revoke", "bob")
    running.end(7)
    assert "revoked" in running.said()


def test_history_as_events(world, source, target):
    running = waiting(world, world.bob, f"[ann]\nreceive = {target}\n", "--json")
    world.start(world.ann, "send", "bob", given(source, "a", b"x")).end(0)
    until(lambda: b"\n" in running.got(), "it was told")
    [told] = [json.loads(line) for line in running.got().splitlines()]
    assert told["v"] == 1 and told["event"] == "call" and told["contact"] == "ann"
    assert told["service"] == "files" and told["outcome"] == "done" and "a: 1 of 1" in told["text"]


def test_odd_names_do_not_break_the_history(world, source, target):
    waiting(world, world.bob, f"[ann]\nreceive = {target}\n")
    name = os.fsencode(source) + b"/two\nlines\x1b[2J\xff"
    with open(name, "wb") as file:
        file.write(b"x")
    world.start(world.ann, "send", "bob", name).end(0)
    [line] = came_of(world.bob, "files", "done")
    assert "two\\x0alines\\x1b[2J\\xff" in line
    assert len(history(world.bob)) == 1
    assert (world.bob.home / "history").stat().st_mode & 0o777 == 0o600


def test_a_history_that_is_full_begins_anew(world):
    waiting(world, world.bob, "[ann]\npipe = cat\n")
    (world.bob.home / "history").write_text("old\n" * (1 << 18))
    world.start(world.ann, "pipe", "bob", stdin=b"").end(0)
    came_of(world.bob, "pipe", "done")
    assert len(history(world.bob)) == 1
    assert (world.bob.home / "history.1").read_text().startswith("old\n")


def test_a_service_manager_is_told(world, tmp_path):
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(LIMIT)
        running = agent(world, world.bob, "", env={"NOTIFY_SOCKET": str(path)})
        assert manager.recv(1000).startswith(b"READY=1\n")
        running.signal(signal.SIGTERM)
        assert manager.recv(1000) == b"STOPPING=1"
        running.end(0)


def is_a_unit(place):
    """What systemd says of the unit, with a program that is there: the installed one may not be."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd-analyze")
    text = (BUILD / "cyphernet-agent.service").read_text()
    path = place / "cyphernet-agent.service"
    path.write_text(re.sub(r"(ExecStart|ExecReload)=/\S+/cyphernet ", r"\1=/bin/true ", text))
    env = {**os.environ, "XDG_RUNTIME_DIR": str(place), "SYSTEMD_LOG_LEVEL": "warning"}
    command = ["systemd-analyze", "verify", "--user", "--man=no", path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, env=env)
    return done.returncode == 0 and [line for line in done.stderr.splitlines() if "cyphernet" in line] == []


def test_its_unit_is_a_unit(tmp_path):
    assert is_a_unit(tmp_path)


def test_what_the_manual_gives_it_for_a_passphrase_is_of_a_unit(tmp_path):
    page = Path(__file__).parents[2] / "docs/man/cyphernet/agent.scd"
    [text] = re.findall(r"```\n(\[Service\]\n.*?)```", page.read_text(), re.S)
    text = text.replace("/usr/bin/cyphernet", "/bin/true")
    place = tmp_path / "cyphernet-agent.service.d"
    place.mkdir()
    (place / "passphrase.conf").write_text(text)
    assert is_a_unit(tmp_path)
    (place / "passphrase.conf").write_text(text.replace("StandardInput", "StandardInputs"))
    assert not is_a_unit(tmp_path)


def test_its_unit_names_a_page_that_is_there():
    text = (BUILD / "cyphernet-agent.service").read_text()
    assert re.findall(r"^Documentation=man:([a-z-]+)\(1\)$", text, re.M) == ["cyphernet-agent"]


# --- its socket


def test_the_socket_is_the_users_alone(world):
    agent(world, world.bob, "")
    assert (world.bob.home / "agent.socket").stat().st_mode & 0o777 == 0o600
    assert asked(world.bob, b"1 here\n") == b"ok\n"
    assert "running; 0 in the queue" in world.bob.ok("doctor").stdout


@pytest.mark.parametrize(
    "text, answer",
    [
        (b"", b""),
        (b"1 here", b""),
        (b"nonsense\n", b"error not understood\n"),
        (b"\n", b"error not understood\n"),
        (b"\0\n", b"error not understood\n"),
        (b"1 leave ../x file answer\n", b"error not understood\n"),
        (b"1 here\nmore", b"error not understood\n"),
        (b"2 here\n", b"error another version: restart the agent\n"),
        (b"1 attach ann\n", b"none\n"),
        (b"1 attach nobody\n", b"none\n"),
        (b"x" * 127, b""),
        (b"x" * 128, b"error not understood\n"),
        (b"x" * 100000, b"error not understood\n"),
    ],
)
def test_what_is_asked_badly_is_refused(world, text, answer):
    running = agent(world, world.bob, "[ann]\npipe = cat\n")
    try:
        got = asked(world.bob, text)
    except BrokenPipeError:  # it does not read on what it has refused
        got = answer
    assert got in (answer, b"")
    assert asked(world.bob, b"1 here\n") == b"ok\n"
    assert running.process.poll() is None


def test_who_asks_for_nothing_holds_nobody_up(world, source, target):
    waiting(world, world.bob, f"[ann]\nreceive = {target}\n")
    idle = []
    for _ in range(80):
        one = socket.socket(socket.AF_UNIX)
        one.connect(str(world.bob.home / "agent.socket"))
        idle.append(one)
    world.start(world.ann, "send", "bob", given(source, "a", b"x")).end(0)
    for one in idle:
        one.close()
    until(lambda: asked(world.bob, b"1 here\n") == b"ok\n", "it listens again")


ASK = """
import socket, sys
one = socket.socket(socket.AF_UNIX)
one.settimeout(60)
one.connect(sys.argv[1])
try:
    one.sendall(b"1 here\\n")
    print(one.recv(100))
except OSError as error:
    print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can be another user")
def test_another_user_is_not_heard(own, open_tmp):
    """Not even where the files would let him in."""
    own.serve()
    _, bob = own.pair()
    home = open_tmp / "home"
    shutil.copytree(bob.home, home)
    running = own.start(bob, "agent", env={"CYPHERNET_HOME": str(home)})
    running.says("the agent is ready")
    home.chmod(0o755)
    (home / "agent.socket").chmod(0o666)

    def ask(**options):
        command = ["/usr/bin/python3", "-c", ASK, str(home / "agent.socket")]
        return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=True, **options).stdout

    assert ask() == "b'ok\\n'\n"
    assert ask(user=65534, cwd="/") != "b'ok\\n'\n"
