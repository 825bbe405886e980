"""Whole trees: directories, links, holes, standard input, what is left out; and what is there already is not sent again."""

import base64
import contextlib
import fcntl
import json
import os
import random
import re
import signal
import stat
import struct
import subprocess
import termios

import pytest

from ctl_helper import BUILD, preload
from live import until

MIB = 1 << 20


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


def tree(top):
    """What is below: types, modes, times, contents."""
    found = {}
    for where, directories, files in os.walk(os.fsencode(top)):
        for name in directories + files:
            path = os.path.join(where, name)
            st = os.lstat(path)
            what = stat.S_IFMT(st.st_mode)
            content = os.readlink(path) if what == stat.S_IFLNK else open(path, "rb").read() if what == stat.S_IFREG else b""
            mode = 0 if what == stat.S_IFLNK else stat.S_IMODE(st.st_mode)
            found[os.path.relpath(path, os.fsencode(top))] = (what, mode, st.st_mtime_ns, content)
    return found


def transfer(world, paths, target, *words, sender=0, receiver=0, options=(), **more):
    taking = world.start(world.bob, "receive", "ann", "-d", target, *words)
    giving = world.start(world.ann, "send", "bob", *paths, *options, **more)
    ended = (giving.end(), taking.end())
    assert ended == (sender, receiver), (ended, giving.said(), taking.said())
    return giving.said(), taking.said()


def make(top, files):
    """files: contents by path; None: a directory; a string: a link."""
    for name, content in files.items():
        path = os.path.join(os.fsencode(top), name)
        os.makedirs(path if content is None else os.path.dirname(path), exist_ok=True)
        if isinstance(content, str):
            os.symlink(content, path)
        elif content is not None:
            with open(path, "wb") as file:
                file.write(content)


def set_times(top):
    for number, (where, directories, files) in enumerate(os.walk(os.fsencode(top), topdown=False)):
        for name in [*directories, *files, b"."]:
            os.utime(os.path.join(where, name), ns=(1, 10**18 + number * 10**9 + 7), follow_symlinks=False)


TREE = {
    b"project/empty": None,
    b"project/deep/er/and/deeper": None,
    b"project/zero": b"",
    b"project/a": b"a",
    b"project/deep/b": noise(3 * MIB + 5),
    b"project/deep/er/c": noise(MIB),
    b"project/link": "a",
    b"project/dangling": "/nowhere/at/all",
    b"project/up": "../..",
    b"project/deep/\xff\n\x1b[2J": b"odd",
    b"project/" + b"x" * 255: b"long",
}


def test_a_tree_arrives_as_it_is(world, source, target):
    make(source, TREE)
    os.chmod(source / "project/a", 0o640)
    os.chmod(source / "project/empty", 0o750)
    set_times(source)
    said, _ = transfer(world, [source / "project"], target)
    assert tree(target) == tree(source)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", said)


def test_a_directory_that_may_not_be_written_is_filled_first(world, source, target):
    make(source, {b"d/x": b"x", b"d/y/z": b"z"})
    os.chmod(source / "d/y", 0o500)
    os.chmod(source / "d", 0o500)
    transfer(world, [source / "d"], target)
    assert tree(target) == tree(source)
    for path in (source / "d", target / "d"):
        os.chmod(path, 0o700)


def test_a_link_is_never_followed_out_of_the_tree(world, source, target, tmp_path):
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x").write_bytes(b"secret")
    make(source, {b"d/file": str(tmp_path / "secret"), b"d/directory": str(tmp_path / "outside")})
    transfer(world, [source / "d"], target)
    assert all(what == stat.S_IFLNK for name, (what, *_) in tree(target).items() if name != b"d")


def test_a_tree_into_one_that_is_there(world, source, target):
    make(source, {b"d/new": b"new", b"d/e/same": b"same"})
    make(target, {b"d/kept": b"kept", b"d/e/other": b"other"})
    transfer(world, [source / "d"], target)
    contents = {name: content for name, (what, _, _, content) in tree(target).items() if what == stat.S_IFREG}
    assert contents == {b"d/new": b"new", b"d/e/same": b"same", b"d/kept": b"kept", b"d/e/other": b"other"}


def test_a_file_where_a_directory_would_go(world, source, target):
    make(source, {b"d/x": b"x", b"y": b"y"})
    make(target, {b"d": b"a file"})
    said, _ = transfer(world, [source / "d", source / "y"], target, sender=8, receiver=1)
    assert (target / "d").read_bytes() == b"a file" and (target / "y").read_bytes() == b"y"
    assert "d: " in said


def test_what_is_special_is_told_and_left_out(world, source, target):
    make(source, {b"d/x": b"x"})
    os.mkfifo(source / "d/fifo")
    said, _ = transfer(world, [source / "d"], target, sender=1)
    assert "d/fifo: left out: no file, directory or link" in said
    assert sorted(os.listdir(target / "d")) == ["x"]


def test_excludes(world, source, target):
    make(source, {b"d/a.o": b"", b"d/a.c": b"", b"d/deep/b.o": b"", b"d/deep/b.c": b"", b"d/build/x": b""})
    transfer(world, [source / "d"], target, options=["--exclude", "*.o", "--exclude=build/"])
    assert sorted(tree(target)) == [b"d", b"d/a.c", b"d/deep", b"d/deep/b.c"]


def test_gitignore(world, source, target):
    make(source, {b"d/.gitignore": b"*.o\n!kept.o\n", b"d/a.o": b"", b"d/kept.o": b"", b"d/.git/config": b""})
    transfer(world, [source / "d"], target, options=["--gitignore"])
    assert sorted(tree(target)) == [b"d", b"d/.gitignore", b"d/kept.o"]
    transfer(world, [source / "d"], target)
    assert b"d/a.o" in tree(target), "only on request"


def test_nothing_is_left_to_send(world, source):
    make(source, {b"x": b"x"})
    assert "nothing is left to send" in world.ann.bad(1, "send", "bob", str(source / "x"), "--exclude", "x")


def test_excludes_without_end(world, source):
    assert "too many options" in world.ann.bad(2, "send", "bob", "x", *["--exclude=x"] * 257)
    assert "wants a pattern" in world.ann.bad(2, "send", "bob", str(source), "--exclude=")


# --- holes


def test_no_rate_is_told_of_what_had_not_to_be_sent(world, source, target):
    """Gigabytes in no time, at 21 octets a second: neither is of use."""
    with (source / "sparse").open("wb") as file:
        file.truncate(1 << 33)
        file.write(b"x" * 5000)
    if (source / "sparse").stat().st_blocks > 10000:
        pytest.skip("no holes on this file system")
    one = world.start(world.ann, "send", "bob", source / "sparse")
    other = world.start(world.bob, "receive", "ann", "-d", target)
    for end in (one, other):
        end.end(0)
        assert re.search(r"sparse: 8\.6 GB in \d+\.\d s, of which [\d.]+ [kM]?B had to be sent", end.said())


def test_holes_stay_holes(world, source, target):
    with (source / "sparse").open("wb") as file:
        file.truncate(1 << 40)
        file.seek(300 * MIB + 12345)
        file.write(b"in the middle")
        file.seek(700 << 30)
        file.write(noise(100000))
    if (source / "sparse").stat().st_blocks > 10000:
        pytest.skip("no holes on this file system")
    with (source / "sparse").open("r+b") as file:
        file.truncate(800 << 20)
    transfer(world, [source / "sparse"], target)
    assert (target / "sparse").stat().st_size == 800 << 20
    assert (target / "sparse").stat().st_blocks <= (source / "sparse").stat().st_blocks + 64
    with (target / "sparse").open("rb") as file:
        file.seek(300 * MIB + 12345 - 4)
        assert file.read(21) == b"\0\0\0\0in the middle\0\0\0\0"


def test_many_holes(world, source, target):
    with (source / "sparse").open("wb") as file:
        for number in range(200):
            file.seek(number * 20000)
            file.write(b"%d" % number)
        file.truncate(5 * MIB + 3)
    transfer(world, [source / "sparse"], target)
    assert (target / "sparse").read_bytes() == (source / "sparse").read_bytes()


# --- standard input


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 5 * MIB])
def test_standard_input(world, target, size):
    content = noise(size)
    transfer(world, ["-"], target, stdin=content)
    assert (target / "stdin").read_bytes() == content


def test_standard_input_with_a_name_beside_files(world, source, target):
    make(source, {b"x": b"x"})
    transfer(world, [source / "x", "-"], target, options=["--name", "dump.sql"], stdin=b"dump")
    assert (target / "dump.sql").read_bytes() == b"dump" and (target / "x").read_bytes() == b"x"


def test_standard_input_that_waits_is_given_up_on(world, target):
    """What has come of it is not taken for all of it."""
    taking = world.start(world.bob, "receive", "ann", "-d", target)
    giving = world.start(world.ann, "send", "bob", "-", stdin=subprocess.PIPE)
    giving.says("connected")
    giving.stdin.write(b"half")
    giving.stdin.flush()
    taking.signal(signal.SIGTERM)
    taking.end()
    assert giving.end() == 5
    assert os.listdir(target) == []


@pytest.mark.parametrize("words, code, said", [
    (["-", "-"], 2, "once only"), (["x", "-", "--name=x"], 1, "the same name"), (["x", "--name=y"], 2, "which is '-'"),
    *((["-", f"--name={name}"], 2, "--name wants the name of a file") for name in ("a/b", "", ".", "..", "x" * 256))])
def test_misuse_of_standard_input(world, source, words, code, said):
    make(source, {b"x": b"x"})
    done = world.ann.run("send", "bob", *words, "--json", cwd=source)
    assert done.returncode == code and said in done.stderr, done.stderr
    assert json.loads(done.stdout) == {"v": 1, "event": "failed", "contact": "bob", "code": code,
                                       "reason": "usage" if code == 2 else "failed"}


# --- compression


CONTENTS = {
    "text": b"the same again and again " * 200000,
    "noise": noise(3 * MIB),
    "short": b"short",
    "empty": b"",
    "mixed": noise(70000) + bytes(4 * MIB) + noise(70000),
}


@pytest.mark.parametrize("content", sorted(CONTENTS))
def test_compressed(world, source, target, content):
    make(source, {b"x": CONTENTS[content]})
    transfer(world, [source / "x"], target, options=["--compress"])
    assert (target / "x").read_bytes() == CONTENTS[content]


def test_compression_saves_what_passes_through_the_server(own, own_pair, source, target):
    own.ann, own.bob = own_pair
    make(source, {b"x": b"the same again and again " * 400000})

    def moved():
        return json.loads(own.ctl.ok("status", "--json").stdout)["bytes"]

    before = moved()
    transfer(own, [source / "x"], target, options=["--compress"])
    assert moved() - before < MIB


# --- what is there already


def test_what_is_there_is_not_sent_again(world, source, target):
    make(source, TREE)
    transfer(world, [source / "project"], target)
    before = tree(target)
    said, heard = transfer(world, [source / "project"], target)
    assert tree(target) == before
    assert "project/deep/b: there already" in said and "project/deep/b: there already" in heard


def test_another_time_but_the_same_content(world, source, target):
    make(source, {b"x": noise(3 * MIB), b"y": b"y", b"z": b""})
    for words in ([], ["--overwrite"], ["--on-conflict", "rename"]):
        transfer(world, [source / name for name in "xyz"], target, *words)
        set_times(source)
        said, _ = transfer(world, [source / name for name in "xyz"], target, *words)
        assert said.count(": there already") == 3, said
        assert sorted(os.listdir(target)) == ["x", "y", "z"]


@pytest.mark.parametrize("words, ends, left", [
    ([], (8, 1), {b"x": b"old"}),
    (["--on-conflict=skip"], (8, 1), {b"x": b"old"}),
    (["--on-conflict", "overwrite"], (0, 0), {b"x": b"new"}),
    (["--overwrite"], (0, 0), {b"x": b"new"}),
    (["--on-conflict", "rename"], (0, 0), {b"x": b"old", b"x (1)": b"new"}),
])
def test_conflicts(world, source, target, words, ends, left):
    """Of one size, so that they are compared first."""
    make(source, {b"x": b"new"})
    make(target, {b"x": b"old"})
    _, heard = transfer(world, [source / "x"], target, *words, sender=ends[0], receiver=ends[1])
    assert {name: content for name, (_, _, _, content) in tree(target).items()} == left
    assert ("as x (1)" in heard) == (len(left) == 2)


@pytest.mark.parametrize("words, told", [
    (["--on-conflict", "perhaps"], []),  # the command has not begun
    (["--on-conflict=skip", "--overwrite"], ["usage"]),
    (["--on-conflict="], []),
])
def test_no_such_conflict(world, words, told):
    done = world.bob.run("receive", "ann", *words, "--json")
    assert done.returncode == 2 and "--on-conflict wants" in done.stderr
    assert [json.loads(line)["reason"] for line in done.stdout.splitlines()] == told


def test_a_copy_is_made_once(world, source, target):
    """Whether the time is the same or only the content: what an earlier run has renamed is there already."""
    make(source, {b"d/x": b"new", b"d/large": noise(2 * MIB), b"d/l": "x"})
    make(target, {b"d/x": b"old", b"d/large": noise(2 * MIB, 2), b"d/l": "y", b"d/x (1)": b"odd"})
    transfer(world, [source / "d"], target, "--on-conflict=rename")
    copies = {"l", "l (1)", "large", "large (1)", "x", "x (1)", "x (2)"}
    assert set(os.listdir(target / "d")) == copies
    for number in range(3):
        if number > 0:
            set_times(source)
        said, heard = transfer(world, [source / "d"], target, "--on-conflict=rename")
        assert set(os.listdir(target / "d")) == copies
        assert "d/x: there already, as d/x (2)" in heard and "d/large: there already, as d/large (1)" in heard
        assert "d/x: there already" in said
    assert (target / "d/x (2)").stat().st_mtime_ns == (source / "d/x").stat().st_mtime_ns
    assert (target / "d/x").read_bytes() == b"old"


def test_what_is_there_gets_the_mode_and_time_of_its_source(world, source, target):
    make(source, {b"d/closed": b"x", b"d/opened": b"x", b"d/l": "x", b"d/large": noise(2 * MIB)})
    transfer(world, [source / "d"], target)
    set_times(source)
    os.chmod(source / "d/closed", 0o600)
    os.chmod(source / "d/opened", 0o666)
    transfer(world, [source / "d"], target)
    modes = {name: mode for name, (_, mode, _, _) in tree(target).items()}
    assert modes[b"d/closed"] == 0o600
    assert modes[b"d/opened"] == 0o644, "nothing is opened to others where nothing may be overwritten"
    transfer(world, [source / "d"], target, "--overwrite")
    assert tree(target) == tree(source)


# --- resuming


def journals(person):
    return list((person.home / "journals").glob("[0-9a-f]*"))


def parts(target):
    return [target / name for name in os.listdir(target) if name.startswith(".cyphernet-")]


def interrupt(world, source, target, size, victim="receiver", number=signal.SIGTERM):
    """Break a transfer off when so much of it is on the disk."""
    taking = world.start(world.bob, "receive", "ann", "-d", target)
    giving = world.start(world.ann, "send", "bob", source)
    until(lambda: any(part.stat().st_size >= size for part in parts(target)), "some of it is there")
    (taking if victim == "receiver" else giving).signal(number)
    giving.end()
    taking.end()
    return giving, taking


@pytest.mark.parametrize("victim", ["receiver", "sender"])
def test_interrupted_goes_on(slow, source, target, victim):
    content = noise(24 * MIB)
    make(source, {b"x": content})
    interrupt(slow, source / "x", target, 8 * MIB, victim)
    assert len(parts(target)) == 1
    said, heard = transfer(slow, [source / "x"], target)
    assert "x: goes on after " in said and "x: goes on after " in heard
    assert float(re.search(r"goes on after ([0-9.]+) MB", said)[1]) > 6
    assert (target / "x").read_bytes() == content
    assert os.listdir(target) == ["x"]
    assert journals(slow.bob) == []


def test_interrupted_in_a_tree_goes_on(slow, source, target):
    make(source, {b"d/%d" % number: noise(5 * MIB, number) for number in range(4)})
    taking = slow.start(slow.bob, "receive", "ann", "-d", target)
    giving = slow.start(slow.ann, "send", "bob", source / "d")
    until(lambda: any(part.stat().st_size >= 2 * MIB for part in target.glob("d/.cyphernet-*")), "some of it is there")
    taking.signal(signal.SIGINT)
    giving.end(5)
    taking.end()
    transfer(slow, [source / "d"], target)
    assert tree(target) == tree(source)


def test_what_follows_one_that_goes_on_comes_too(slow, source, target):
    make(source, {b"d/a": noise(60 * MIB), b"d/b": b"small", b"d/c": noise(2 * MIB)})
    taking = slow.start(slow.bob, "receive", "ann", "-d", target)
    giving = slow.start(slow.ann, "send", "bob", source / "d")
    until(lambda: any(part.stat().st_size >= 9 * MIB for part in target.glob("d/.cyphernet-*")), "some of it is there")
    taking.signal(signal.SIGINT)
    giving.end(5)
    taking.end()
    said, _ = transfer(slow, [source / "d"], target)
    assert "d/a: goes on after" in said
    assert tree(target) == tree(source)


def test_killed_goes_on_from_what_was_on_the_disk(slow, source, target):
    content = noise(60 * MIB)
    make(source, {b"x": content})
    taking = slow.start(slow.bob, "receive", "ann", "-d", target)
    giving = slow.start(slow.ann, "send", "bob", source / "x")
    until(lambda: journals(slow.bob), "it is noted")
    taking.signal(signal.SIGKILL)
    taking.end()
    giving.end(5)
    transfer(slow, [source / "x"], target)
    assert (target / "x").read_bytes() == content
    assert os.listdir(target) == ["x"]


@pytest.mark.parametrize("what", ["source changed", "part damaged", "part gone", "part cut"])
def test_what_cannot_go_on_begins_anew(slow, source, target, what):
    content = noise(24 * MIB)
    make(source, {b"x": content})
    interrupt(slow, source / "x", target, 8 * MIB)
    (part,) = parts(target)
    if what == "source changed":
        content = noise(24 * MIB, 2)
        make(source, {b"x": content})
    elif what == "part damaged":
        with part.open("r+b") as file:
            file.seek(3 * MIB + 17)
            file.write(b"damage")
    elif what == "part gone":
        part.unlink()
    else:
        os.truncate(part, 5 * MIB + 100)
    said, _ = transfer(slow, [source / "x"], target)
    assert "goes on after" not in said
    assert (target / "x").read_bytes() == content
    assert os.listdir(target) == ["x"]


def left(target):
    return list(target.glob("**/.cyphernet-*"))


def killed_over_parts(taking, target):
    """Kill it when there is something that it has not given its name."""

    def stopped():
        if not left(target):
            return False
        taking.signal(signal.SIGSTOP)
        if left(target):
            return True
        taking.signal(signal.SIGCONT)
        return False

    until(stopped, "there are parts")
    taking.signal(signal.SIGKILL)
    taking.end()


def test_what_a_killed_receiver_left_is_removed_by_the_next(slow, source, target):
    make(source, {b"d/%d/%d" % (number % 7, number): noise(3000, number) for number in range(4000)})
    taking = slow.start(slow.bob, "receive", "ann", "-d", target)
    giving = slow.start(slow.ann, "send", "bob", source / "d")
    killed_over_parts(taking, target)
    giving.end(5)
    assert left(target)
    trails = set((slow.bob.home / "journals").glob("trail-*"))
    make(source, {b"y": b"y"})
    transfer(slow, [source / "y"], target) # in another directory than they are
    assert not left(target)
    assert len(trails - set((slow.bob.home / "journals").glob("trail-*"))) == 1, "that of the call that was killed"
    transfer(slow, [source / "d"], target)
    assert not left(target)
    (target / "y").unlink()
    (source / "y").unlink()
    assert tree(target) == tree(source)


def test_what_another_receiver_has_under_way_stays(slow, source, target):
    content = noise(30 * MIB)
    make(source, {b"x": content, b"y": b"y"})
    taking = slow.start(slow.bob, "receive", "ann", "-d", target)
    giving = slow.start(slow.ann, "send", "bob", source / "x")
    until(lambda: parts(target), "it has begun")
    again = slow.start(slow.bob, "receive", "ann", "-d", target)
    again.says("waiting for ann")
    giving.end(0)
    taking.end(0)
    slow.start(slow.ann, "send", "bob", source / "y").end(0)
    again.end(0)
    assert (target / "x").read_bytes() == content and sorted(os.listdir(target)) == ["x", "y"]


# --- what is said of what is left


def test_who_was_interrupted_is_told_what_is_there(slow, source, target):
    """Not what has been dealt with otherwise, and that it goes on only if something has been kept."""
    make(source, {b"a": b"a", b"b": b"refused", b"z": noise(60 * MIB)})
    make(target, {b"b": b"there"})
    taking = slow.start(slow.bob, "receive", "ann", "-d", target)
    giving = slow.start(slow.ann, "send", "bob", source / "a", source / "b", source / "z")
    giving.says("sent a:")
    until(lambda: any(part.stat().st_size >= 8 * MIB for part in parts(target)), "some of it is there")
    taking.signal(signal.SIGTERM)
    giving.end(5)
    taking.end()
    assert "1 of 3 are known to be there; the same command sends the rest" in giving.said()
    assert re.search(r"1 of 3 are here, and [0-9.]+ MB of what was on its way; the same command goes on", taking.said())


def test_of_standard_input_nothing_is_said_to_be_kept(world, target):
    taking = world.start(world.bob, "receive", "ann", "-d", target)
    giving = world.start(world.ann, "send", "bob", "-", stdin=subprocess.PIPE)
    giving.says("connected")
    giving.stdin.write(noise(3 * MIB))
    giving.stdin.flush()
    until(lambda: parts(target), "it has begun")
    taking.signal(signal.SIGTERM)
    taking.end()
    giving.end(5)
    assert "0 of 1 are here; the same command receives the rest" in taking.said()
    assert "0 of 1 are known to be there; the same command sends the rest, and standard input from its beginning" in giving.said()


def events_of(running):
    return [json.loads(line) for line in running.got().splitlines()]


def test_problems_as_json(world, source, target):
    make(source, {b"d/x": b"x", b"d/\xff": b"y"})
    os.mkfifo(source / "d/\t\\pipe")
    taking = world.start(world.bob, "receive", "ann", "-d", target, "--json")
    giving = world.start(world.ann, "send", "bob", source / "d", "--json")
    giving.end(1)
    taking.end(0)
    problem, *events = events_of(giving)
    assert problem["event"] == "problem" and problem["reason"] == "special"
    assert base64.b64decode(problem["path_base64"]) == os.fsencode(source) + b"/d/\t\\pipe"
    for run in (events, events_of(taking)):
        names = [event for event in run if event["event"] == "file"]
        assert {base64.b64decode(event["name_base64"]) if "name_base64" in event else event["name"].encode()
                for event in names} == {b"d", b"d/x", b"d/\xff"}
        assert not any("name_base64" in event for event in names if event["name"] in ("d", "d/x"))


def test_a_source_that_changes_is_told_as_json_and_soon(slow, source, target):
    make(source, {b"x": noise(80 * MIB)})
    taking = slow.start(slow.bob, "receive", "ann", "-d", target)
    giving = slow.start(slow.ann, "send", "bob", source / "x", "--json")
    until(lambda: parts(target), "it has begun")
    os.chmod(source / "x", 0o600) # neither size nor time
    giving.end(1)
    taking.end(1)
    events = events_of(giving)
    (problem,) = [event for event in events if event["event"] == "problem"]
    assert problem["reason"] == "changed" and problem["path"] == os.fspath(source / "x")
    assert max((event["done"] for event in events if event["event"] == "progress"), default=0) < 50 * MIB
    assert os.listdir(target) == []


# --- progress


def test_progress_never_goes_back(slow, source, target):
    make(source, {b"d/a": noise(9 * MIB), b"d/b": bytes(range(256)) * 40000, b"d/c": b"", b"d/e": noise(12 * MIB)})
    taking = slow.start(slow.bob, "receive", "ann", "-d", target, "--json")
    giving = slow.start(slow.ann, "send", "bob", source / "d", "--json", "--compress")
    giving.end(0)
    taking.end(0)
    for running in (giving, taking):
        events = [event for event in events_of(running) if event["event"] == "progress"]
        assert len(events) > 3
        for key in ("all_done", "over"):
            assert [event[key] for event in events] == sorted(event[key] for event in events)
        assert len({event["all_total"] for event in events}) == 1
        for name in {event["name"] for event in events}:
            done = [event["done"] for event in events if event["name"] == name]
            assert done == sorted(done)


def test_a_total_that_is_not_known_is_not_said(slow, source, target):
    make(source, {b"x": b"x"})
    taking = slow.start(slow.bob, "receive", "ann", "-d", target, "--json")
    giving = slow.start(slow.ann, "send", "bob", source / "x", "-", "--json", stdin=noise(20 * MIB))
    giving.end(0)
    taking.end(0)
    for running in (giving, taking):
        events = [event for event in events_of(running) if event["event"] == "progress"]
        assert events and all(event["all_total"] is None for event in events)


# --- consent


class Terminal:
    """A program whose standard input and error are a terminal."""

    def __init__(self, person, *words, columns=80):
        self.ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        os.set_blocking(self.ours, False)
        env = {**os.environ, "CYPHERNET_HOME": str(person.home)}
        self.process = subprocess.Popen([BUILD / "cyphernet", *map(str, words)], env=env, stdin=theirs, stderr=theirs,
                                        stdout=subprocess.DEVNULL)
        os.close(theirs)
        self.shown = ""

    def look(self):
        with contextlib.suppress(OSError):
            while more := os.read(self.ours, 65536):
                self.shown += more.decode(errors="replace")

    def says(self, text):
        def seen():
            self.look()
            return text in self.shown

        until(seen, f"{text!r} in {self.shown!r}")

    def answer(self, text):
        os.write(self.ours, text.encode())

    def end(self):
        until(lambda: self.look() or self.process.poll() is not None, "it ends")
        self.look()
        os.close(self.ours)
        return self.process.returncode


QUESTION = "Take all of it?"


def frames(shown):
    """What is drawn over and over, in lines; messages are lines of their own."""
    return [re.sub(r"\x1b\[[AK]", "", line) for line in re.split(r"[\r\n]+", shown) if "cyphernet: " not in line]


@pytest.mark.parametrize("columns, parts_of_it", [
    (100, r"[a-z.]+ +\[=*>? *\] +\d+%  +[\d.]+ k?MB  +[\d.]+ .?B/s  (\d+:\d\d|--:--)"),
    (50, r"[a-z.]+ +\d+%  +[\d.]+ k?MB  +[\d.]+ .?B/s  (\d+:\d\d|--:--)"),
    (40, r"[a-z.]+ +\d+%  +[\d.]+ .?B/s  (\d+:\d\d|--:--)"),
    (20, r"[a-z.]+ +\d+%"),
    (6, r"\S* *\d+%?"),
])
def test_bars_fit_the_terminal(slow, source, target, columns, parts_of_it):
    make(source, {b"holiday.tar": noise(24 * MIB), b"second": b"x"})
    taking = slow.start(slow.bob, "receive", "ann", "-d", target)
    giving = Terminal(slow.ann, "send", "bob", source / "holiday.tar", source / "second", columns=columns)
    assert giving.end() == 0 and taking.end(0) == 0
    lines = frames(giving.shown)
    assert all(len(line) < columns for line in lines), lines
    assert any(re.fullmatch(parts_of_it, line) for line in lines), lines
    assert not re.search(r"\r\x1b\[K\r", giving.shown), "nothing is cleared but to be written anew"
    percent = [int(line.split("%")[0].split()[-1]) for line in lines if "%" in line and "holiday" in line]
    assert percent == sorted(percent)


@pytest.mark.parametrize("answers, ends, left", [
    (["y\n"], (0, 0), ["a", "b", "d"]),
    (["yes\n"], (0, 0), ["a", "b", "d"]),
    (["n\n"], (8, 8), []),
    (["\x04"], (8, 8), []),
    (["1 3\n"], (8, 0), ["a", "d"]),
    (["2-3\n"], (8, 0), ["b", "d"]),
    (["perhaps\n", "4\n", "0\n", "3-2\n", "1-\n", "\n", "2\n"], (8, 0), ["b"]),
])
def test_a_user_is_asked(world, source, target, answers, ends, left):
    make(source, {b"a": b"a", b"b": b"b", b"d/c": b"c", b"d/e": b"e"})
    taking = Terminal(world.bob, "receive", "ann", "-d", target)
    giving = world.start(world.ann, "send", "bob", *(source / name for name in "abd"))
    for number, answer in enumerate(answers, 1):
        until(lambda count=number: taking.look() or taking.shown.count(QUESTION) == count, "it asks")
        assert os.listdir(target) == []
        taking.answer(answer)
    assert (giving.end(), taking.end()) == ends, (giving.said(), taking.shown)
    assert sorted(os.listdir(target)) == left
    assert "ann offers 4 files, 4 B" in taking.shown
    assert re.search(r"  3  d/ +2 files, 2 B", taking.shown)


def test_what_was_typed_before_the_question_is_no_answer(world, source, target):
    make(source, {b"a": b"a"})
    taking = Terminal(world.bob, "receive", "ann", "-d", target)
    taking.says("waiting for ann")
    taking.answer("y\n")
    giving = world.start(world.ann, "send", "bob", source / "a")
    taking.says(QUESTION)
    taking.answer("n\n")
    assert (giving.end(), taking.end()) == (8, 8) and os.listdir(target) == []


def test_yes_asks_nobody(world, source, target):
    make(source, {b"a": b"a"})
    taking = Terminal(world.bob, "receive", "ann", "-d", target, "--yes")
    world.start(world.ann, "send", "bob", source / "a").end(0)
    assert taking.end() == 0
    assert QUESTION not in taking.shown and os.listdir(target) == ["a"]


def test_names_that_are_offered_cannot_drive_the_terminal(world, source, target):
    make(source, {b"\x1b[2J\n": b"a"})
    taking = Terminal(world.bob, "receive", "ann", "-d", target)
    giving = world.start(world.ann, "send", "bob", os.fsencode(source) + b"/\x1b[2J\n")
    taking.says(QUESTION)
    assert "\x1b[2J" not in taking.shown and "\\x1b[2J\\x0a" in taking.shown
    taking.answer("n\n")
    giving.end(8)
    taking.end()


def test_a_sender_whose_partner_decides_says_what_it_waits_for(world, source, target):
    make(source, {b"a": b"a"})
    taking = Terminal(world.bob, "receive", "ann", "-d", target)
    giving = world.start(world.ann, "send", "bob", source / "a", "--json")
    taking.says(QUESTION)
    giving.says("nothing moves: waiting for the receiver to accept it")
    until(lambda: b'"event":"stall","contact":"bob","reason":"consent"' in giving.got(), "it is told")
    taking.answer("y\n")
    giving.end(0)
    assert taking.end() == 0


def test_a_disk_that_is_slow_is_told_of_and_stops_nobody(world, source, target):
    """Also when all has come, and what has come is stored."""
    make(source, {b"a": b"a"})
    (world.bob.home / "journals").mkdir(0o700, exist_ok=True)
    slow = target.parent / "slow"
    taking = world.start(world.bob, "receive", "ann", "-d", target, "--json",
                         env={**preload("slow_disk.so", target.parent), "SLOW_DISK_FILE": str(slow)})
    taking.says("waiting for ann")
    slow.touch()
    giving = world.start(world.ann, "send", "bob", source / "a")
    taking.says("nothing moves: waiting for the disk here")
    giving.says("nothing moves: waiting for the receiver's disk")
    assert {"v": 1, "event": "stall", "contact": "ann", "reason": "disk"} in events_of(taking)
    slow.unlink()
    giving.end(0)
    taking.end(0)
    assert os.listdir(target) == ["a"]


def test_what_is_offered_as_json(world, source, target):
    make(source, {b"d/a": b"abc", b"d/l": "a"})
    taking = world.start(world.bob, "receive", "ann", "-d", target, "--json")
    giving = world.start(world.ann, "send", "bob", source / "d", "--json")
    giving.end(0)
    taking.end(0)
    events = [json.loads(line) for line in taking.got().splitlines()]
    (offer,) = [event for event in events if event["event"] == "offer"]
    assert offer == {"v": 1, "event": "offer", "contact": "ann", "files": 1, "directories": 1, "links": 1, "size": 3}
    became = {event["name"]: (event["kind"], event["outcome"]) for event in events if event["event"] == "file"}
    assert became == {"d": ("directory", "stored"), "d/a": ("file", "stored"), "d/l": ("link", "stored")}


# --- many, and large


def test_many_small_files(world, source, target):
    make(source, {b"d/%d/%d" % (number % 50, number): b"%d" % number for number in range(6000)})
    transfer(world, [source / "d"], target, "-q")
    assert tree(target) == tree(source)


def test_a_file_of_more_than_4_gib(world, source, target):
    with (source / "x").open("wb") as file:
        file.truncate((4 << 30) + 5 * MIB)
        file.seek((4 << 30) - 3)
        file.write(b"beyond")
    transfer(world, [source / "x"], target)
    with (target / "x").open("rb") as file:
        file.seek((4 << 30) - 4)
        assert file.read(8) == b"\0beyond\0"
    assert (target / "x").stat().st_size == (4 << 30) + 5 * MIB
