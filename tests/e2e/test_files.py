"""cyphernet send and receive: what arrives is whole and under its name, or nothing is there at all."""

import contextlib
import json
import os
import random
import re
import resource
import signal
import socket
import stat
import subprocess

import pytest

from ctl_helper import BUILD
from live import LIMIT, until


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


def listing(directory):
    """Names and contents, as octets."""
    return {
        name: open(os.path.join(os.fsencode(directory), name), "rb").read()
        for name in os.listdir(os.fsencode(directory))
    }


def nothing_but_parts(directory):
    """What was interrupted may be kept, under a name that says so."""
    return all(re.fullmatch(r"\.cyphernet-[0-9a-f]{16}\.part", name) for name in os.listdir(directory))


def transfer(world, paths, target, *words, sender=0, receiver=0, **options):
    """Send these to a directory; what the two said."""
    taking = world.start(world.bob, "receive", "ann", "-d", target, *words, **options)
    giving = world.start(world.ann, "send", "bob", *paths)
    ended = (giving.end(), taking.end())
    assert ended == (sender, receiver), (ended, giving.said(), taking.said())
    return giving.said(), taking.said()


def write(directory, files):
    paths = []
    for name, content in files.items():
        path = os.path.join(os.fsencode(directory), name)
        with open(path, "wb") as file:
            file.write(content)
        paths.append(path)
    return paths


# --- what works


@pytest.mark.parametrize("size", [0, 1, 65407, 65408, 65409, 1 << 20, 5 << 20])
def test_one_file(world, source, target, size):
    files = {b"a file": noise(size)}
    said, heard = transfer(world, write(source, files), target)
    assert listing(target) == files
    assert "a file" in said
    assert "received a file" in heard


def test_many_files(world, source, target):
    files = {b"%d" % number: noise(number * 37 % 5000, number) for number in range(150)}
    files[b"large"] = noise(3 << 20)
    files[b"another"] = noise((2 << 20) + 1)
    transfer(world, write(source, files), target)
    assert listing(target) == files


def test_more_files_than_streams(world, source, target):
    """Streams are given back: one call is not limited to what may be open at once."""
    files = {b"%d" % number: b"%d" % number for number in range(4200)}
    transfer(world, write(source, files), target)
    assert listing(target) == files


def test_whoever_is_first_waits(world, source, target):
    (path,) = write(source, {b"x": b"early"})
    giving = world.start(world.ann, "send", "bob", path)
    giving.says("waiting for bob")
    taking = world.start(world.bob, "receive", "ann", "-d", target)
    giving.end(0)
    taking.end(0)
    assert listing(target) == {b"x": b"early"}


ODD = {
    b"-n": b"an option",
    b"--": b"another",
    b" ": b"a blank",
    b"new\nline": b"two lines",
    b"\x1b[2J\x07": b"terminal",
    b"\xff\xfe\x80": b"no UTF-8",
    "Grüße 世界 🙂".encode(): b"UTF-8",
    "\u202egnp.exe".encode(): b"turned around",
    b"...": b"dots",
    b"..x": b"more dots",
    b".hidden": b"hidden",
    b"back\\slash": b"backslash",
    b"'\"$(id)`;&|*?": b"shell",
    b"%s%n%d": b"format",
    b"x" * 255: b"as long as may be",
}


def test_odd_names(world, source, target):
    said, heard = transfer(world, write(source, ODD), target)
    assert listing(target) == ODD
    for text in (said, heard):
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]|\u202e", text), repr(text)
        assert len(text.splitlines()) < 3 * len(ODD)
        assert all(line.startswith("cyphernet: ") for line in text.splitlines()), repr(text)


def test_odd_names_in_errors(world, source, target):
    paths = write(source, ODD)
    there = {name: content[::-1] for name, content in ODD.items()}
    write(target, there)
    for text in transfer(world, paths, target, sender=8, receiver=1):
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]|\u202e", text), repr(text)
        assert all(line.startswith("cyphernet: ") for line in text.splitlines()), repr(text)
    assert listing(target) == there


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755, 0o400, 0o000, 0o777, 0o4755, 0o2640])
def test_permissions_are_kept(world, source, target, mode):
    (path,) = write(source, {b"x": b"content"})
    os.chmod(path, mode)
    if not os.access(path, os.R_OK):
        pytest.skip("needs root")
    transfer(world, [path], target)
    kept = (target / "x").stat()
    assert stat.S_IMODE(kept.st_mode) == mode & 0o777, "set-uid and the like are not passed on"


@pytest.mark.parametrize("when", [0, 1, -1, 981173106_123456789, 4102444800_000000001])
def test_times_are_kept(world, source, target, when):
    (path,) = write(source, {b"x": b"content"})
    os.utime(path, ns=(when, when))
    transfer(world, [path], target)
    assert (target / "x").stat().st_mtime_ns == os.stat(path).st_mtime_ns


def test_sparse_and_large(world, source, target):
    path = source / "sparse"
    with path.open("wb") as file:
        file.truncate(40 << 20)
        file.seek(20 << 20)
        file.write(b"in the middle")
    transfer(world, [path], target)
    assert (target / "sparse").read_bytes() == path.read_bytes()


def test_into_the_present_directory(world, source, target):
    write(source, {b"x": b"1"})
    taking = world.start(world.bob, "receive", "ann", cwd=target)
    giving = world.start(world.ann, "send", "bob", "x", cwd=source)
    giving.end(0)
    taking.end(0)
    assert listing(target) == {b"x": b"1"}


def test_a_link_stays_a_link(world, source, target):
    (source / "real").write_bytes(b"content")
    (source / "link").symlink_to("real")
    transfer(world, [source / "link"], target)
    assert os.readlink(target / "link") == "real"


def test_keep_takes_two_calls(world, source, target):
    taking = world.start(world.bob, "receive", "ann", "-d", target, "--keep")
    for number in (1, 2, 3):
        taking.says("waiting for ann")
        world.start(world.ann, "send", "bob", *write(source, {b"%d" % number: b"content"})).end(0)
    assert taking.process.poll() is None
    taking.signal(signal.SIGTERM)
    assert taking.end() in (-signal.SIGTERM, 128 + signal.SIGTERM)
    assert listing(target) == {b"1": b"content", b"2": b"content", b"3": b"content"}


def test_keep_ends_when_no_call_can_begin(world):
    said = world.bob.bad(1, "receive", "nobody", "--keep")
    assert said.count("there is no contact 'nobody'") == 1, said


def test_keep_ends_when_the_contact_is_gone(own, own_pair, source, target):
    """The call that waits is still taken; there is no next one."""
    one, other = own_pair
    taking = own.start(other, "receive", "ann", "-d", target, "--keep")
    taking.says("waiting for ann")
    other.ok("contact", "remove", "ann")
    own.start(one, "send", "bob", *write(source, {b"x": b"content"})).end(0)
    taking.end(1)
    assert taking.said().count("there is no contact 'ann'") == 1, taking.said()
    assert listing(target) == {b"x": b"content"}


def outcomes(running):
    """The events of files, by name, and the last event."""
    events = [json.loads(line) for line in running.got().splitlines()]
    files = {event["name"]: (event["size"], event["outcome"]) for event in events if event["event"] == "file"}
    assert len(files) == sum(event["event"] == "file" for event in events), "one for each file"
    return files, events[-1]


def test_what_became_of_each_file_as_json(world, source, target):
    paths = write(source, {b"x": b"1", b"y": b"22", b"z": b""})
    write(target, {b"y": b"old"})
    taking = world.start(world.bob, "receive", "ann", "-d", target, "--json")
    giving = world.start(world.ann, "send", "bob", *paths, "--json")
    giving.end(8)
    taking.end(1)
    became = {"x": (1, "stored"), "y": (2, "exists"), "z": (0, "stored")}
    last = {"v": 1, "event": "failed"}
    assert outcomes(giving) == (became, last | {"contact": "bob", "code": 8, "reason": "refused"})
    assert outcomes(taking) == (became, last | {"contact": "ann", "code": 1, "reason": "failed"})


def test_a_call_that_cannot_begin_as_json(own, own_pair, source):
    own.server.stop()
    (path,) = write(source, {b"x": b"1"})
    for words, code, reason in ((["send", "bob", os.fsdecode(path)], 4, "unreachable"), (["talk", "bob"], 4, "unreachable"),
                                (["receive", "nobody"], 1, "failed"), (["talk", 'no "name"'], 2, "usage")):
        last = own_pair[0].run(*words, "--json").stdout.splitlines()[-1]
        assert json.loads(last) == {"v": 1, "event": "failed", "contact": words[1], "code": code, "reason": reason}


def test_json(world, source, target):
    taking = world.start(world.bob, "receive", "ann", "-d", target, "--json")
    giving = world.start(world.ann, "send", "bob", *write(source, {b"a \"b\"\n": b"1"}), "--json")
    giving.end(0)
    taking.end(0)
    for running in (giving, taking):
        events = [json.loads(line) for line in running.got().splitlines()]
        assert events[-1]["event"] == "done"
        assert all(event["v"] == 1 for event in events)


@pytest.mark.parametrize("name", ["Grüße-世界-世界-世界-世界.bin", "x" * 40, "ü", "ü" * 17, "a" + "世" * 9])
def test_a_name_in_the_bar_is_cut_between_characters(world, source, target, name):
    ours, theirs = os.openpty()
    os.set_blocking(ours, False)
    taking = world.start(world.bob, "receive", "ann", "-d", target)
    env = {**os.environ, "CYPHERNET_HOME": str(world.ann.home)}
    (path,) = write(source, {name.encode(): noise(1 << 20)})
    giving = subprocess.Popen([BUILD / "cyphernet", "send", "bob", path], env=env, stderr=theirs, stdin=subprocess.DEVNULL)
    os.close(theirs)
    shown = b""

    def ended():
        nonlocal shown
        with contextlib.suppress(OSError):
            while more := os.read(ours, 65536):
                shown += more
        return giving.poll() is not None

    until(ended, "it is sent")
    ended()
    os.close(ours)
    taking.end(0)
    bars = re.findall(r"([^\r\n]+?) +\[[=> ]*\]", shown.decode().replace("\x1b[K", ""))
    assert bars and all(name.startswith(bar) and len(bar) >= min(len(name), 8) for bar in bars)


# --- what is refused


def test_target_exists(world, source, target):
    paths = write(source, {b"a": b"new a", b"b": b"new b", b"c": b"new c"})
    write(target, {b"b": b"old b"})
    said, heard = transfer(world, paths, target, sender=8, receiver=1)
    assert listing(target) == {b"a": b"new a", b"b": b"old b", b"c": b"new c"}
    assert "b: a file of this name exists there" in said
    assert "error: b: not taken: a file of this name exists here" in heard
    assert "--overwrite" in heard


def test_overwrite(world, source, target):
    (path,) = write(source, {b"b": b"new b"})
    write(target, {b"b": b"old b, which was longer"})
    transfer(world, [path], target, "--overwrite")
    assert listing(target) == {b"b": b"new b"}


@pytest.mark.parametrize("words", [[], ["--overwrite"]])
def test_symlink_in_the_way_is_not_followed(world, source, target, tmp_path, words):
    (path,) = write(source, {b"x": b"new"})
    precious = tmp_path / "precious"
    precious.write_bytes(b"precious")
    (target / "x").symlink_to(precious)
    transfer(world, [path], target, *words, sender=0 if words else 8, receiver=0 if words else 1)
    assert precious.read_bytes() == b"precious"
    assert (target / "x").is_symlink() != bool(words)
    if words:
        assert (target / "x").read_bytes() == b"new"


def test_dangling_symlink_in_the_way(world, source, target, tmp_path):
    (path,) = write(source, {b"x": b"new"})
    (target / "x").symlink_to(tmp_path / "outside")
    transfer(world, [path], target, sender=8, receiver=1)
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("words", [[], ["--overwrite"]])
def test_directory_in_the_way(world, source, target, words):
    (path,) = write(source, {b"x": b"new"})
    (target / "x").mkdir()
    (target / "x" / "kept").write_bytes(b"kept")
    said, heard = transfer(world, [path], target, *words, sender=8, receiver=1)
    assert (target / "x" / "kept").read_bytes() == b"kept"
    assert os.listdir(target) == ["x"]
    assert "x: " in said and "x: " in heard


def test_target_appears_while_receiving(slow, source, target):
    """RENAME_NOREPLACE: whoever made it first keeps it."""
    (path,) = write(source, {b"x": noise(1 << 20) * 24})
    taking = slow.start(slow.bob, "receive", "ann", "-d", target)
    giving = slow.start(slow.ann, "send", "bob", path)
    until(lambda: os.listdir(target), "it has begun")
    (target / "x").write_bytes(b"somebody else's")
    assert (giving.end(), taking.end()) == (8, 1)
    assert listing(target) == {b"x": b"somebody else's"}


def test_name_too_long(world, source, target):
    """No file system here holds longer names; the path of one is refused before anybody is called."""
    said = world.ann.bad(1, "send", "bob", str(source / ("x" * 256)))
    assert "has no name to arrive under" in said


@pytest.mark.parametrize("what", ["missing", "fifo", "device", "socket", "root", "empty", "slash"])
def test_what_is_no_source(world, source, what):
    """Found before anybody is called, even behind a good file."""
    (good,) = write(source, {b"good": b"good"})
    os.mkfifo(source / "fifo")
    path = {"device": "/dev/null", "root": "/", "empty": "", "slash": str(source / "good") + "/"}.get(
        what, str(source / what))
    if what == "socket":
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as made:
            made.bind(path)
    done = world.ann.run("send", "bob", os.fsdecode(good), path)
    assert done.returncode == 1
    assert done.stderr.startswith("cyphernet: error: "), done.stderr
    assert "waiting" not in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_source_that_cannot_be_read(world, source):
    (path,) = write(source, {b"x": b"secret"})
    os.chmod(path, 0)
    assert "Permission denied" in world.ann.bad(1, "send", "bob", os.fsdecode(path))


def test_two_sources_of_one_name(world, source):
    (source / "other").mkdir()
    one, other = write(source, {b"x": b"1"}) + write(source / "other", {b"x": b"2"})
    assert "under the same name" in world.ann.bad(1, "send", "bob", os.fsdecode(one), os.fsdecode(other))


def test_two_sources_of_one_name_among_many(world, source):
    (source / "other").mkdir()
    paths = write(source, {b"%d" % number: b"" for number in range(1100)})
    paths += write(source / "other", {b"7": b"another 7"})
    said = world.ann.bad(1, "send", "bob", *map(os.fsdecode, paths))
    assert f"{source}/other/7: another would arrive under the same name" in said


@pytest.mark.parametrize("what", ["touched", "shorter", "longer", "replaced", "removed", "a FIFO"])
def test_source_changes_before_it_is_sent(world, source, target, what):
    (path,) = write(source, {b"x": b"as it was"})
    path = os.fsdecode(path)
    giving = world.start(world.ann, "send", "bob", path)
    giving.says("waiting for bob")
    if what == "touched":
        os.utime(path, ns=(1, 1))
    elif what == "removed":
        os.unlink(path)
    elif what == "a FIFO":
        os.unlink(path)
        os.mkfifo(path)
    else:
        if what == "replaced":
            os.unlink(path)
        with open(path, "wb") as file:
            file.write({"shorter": b"as", "longer": b"as it was, and more", "replaced": b"as it Was"}[what])
    taking = world.start(world.bob, "receive", "ann", "-d", target)
    assert giving.end() == 1
    assert taking.end() == 1
    assert "cyphernet: error: " in giving.said()
    assert "x: the sender gave it up" in taking.said()
    assert listing(target) == {}


@pytest.mark.parametrize("what", ["shorter", "longer", "touched"])
def test_source_changes_while_it_is_sent(slow, source, target, what):
    (path,) = write(source, {b"x": noise(1 << 20) * 24})
    taking = slow.start(slow.bob, "receive", "ann", "-d", target)
    giving = slow.start(slow.ann, "send", "bob", path)
    until(lambda: os.listdir(target), "it has begun")
    if what == "shorter":
        os.truncate(path, 10)
    elif what == "longer":
        with open(path, "ab") as file:
            file.write(b"more")
    else:
        os.utime(path, ns=(1, 1))
    ended = (giving.end(), taking.end())
    assert ended == (1, 1), (giving.said(), taking.said())
    assert "x: " in giving.said()
    assert listing(target) == {}
    assert giving.said().count("error: ") == 1, giving.said()


@pytest.mark.parametrize("words", [["receive", "ann", "-d", "nowhere"], ["send", "ann", "nowhere"], ["send", "ann", "-", "--wait", "x"],
                                   ["receive", "ann", "--wait", "x"]])
def test_early_failures_as_json(world, tmp_path, words):
    done = world.bob.run(*words, "--json", cwd=tmp_path)
    code = 2 if "x" in words else 1
    assert done.returncode == code and "cyphernet: error: " in done.stderr
    assert json.loads(done.stdout) == {"v": 1, "event": "failed", "contact": "ann", "code": code,
                                       "reason": "usage" if code == 2 else "failed"}


def test_no_directory_to_put_it(world, tmp_path):
    assert "No such file" in world.bob.bad(1, "receive", "ann", "-d", str(tmp_path / "nowhere"))
    (tmp_path / "file").write_text("x")
    assert "Not a directory" in world.bob.bad(1, "receive", "ann", "-d", str(tmp_path / "file"))


def test_two_senders(world, source):
    """Both ends callers: neither finds the other."""
    (path,) = write(source, {b"x": b"1"})
    one = world.start(world.ann, "send", "bob", path, wait=1)
    other = world.start(world.bob, "send", "ann", path, wait=1)
    assert (one.end(), other.end()) == (6, 6)
    assert "bob must run: cyphernet receive ann" in one.said()


def test_what_two_send_at_once_comes_one_after_the_other(world, source, target):
    """Only one of them can wait for bob at a time, and he is not there yet."""
    sending = [world.start(world.ann, "send", "bob", path) for path in write(source, {b"x": b"1", b"y": b"2"})]
    for one in sending:
        one.says("waiting for bob")
    for _ in sending:
        world.start(world.bob, "receive", "ann", "-d", target).end(0)
    for one in sending:
        one.end(0)
    assert listing(target) == {b"x": b"1", b"y": b"2"}
    assert all(one.said().count("waiting for bob") == 1 for one in sending)


def test_two_receivers(world, source, target):
    one = world.start(world.ann, "receive", "bob", "-d", target, wait=1)
    other = world.start(world.bob, "receive", "ann", "-d", target, wait=1)
    assert (one.end(), other.end()) == (6, 6)
    assert "bob must run: cyphernet send ann" in one.said()


# --- no room


@contextlib.contextmanager
def small_disk(path, size):
    path.mkdir(exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path], capture_output=True,
                          check=False, timeout=LIMIT)
    if done.returncode != 0:
        pytest.skip("needs root" if os.geteuid() != 0 else "not allowed to mount")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=True, timeout=LIMIT)


def test_no_room_for_a_file(world, source, tmp_path):
    (path,) = write(source, {b"x": noise(1 << 20) * 12})
    with small_disk(tmp_path / "small", 8 << 20) as target:
        said, heard = transfer(world, [path], target, sender=1, receiver=1)
        assert listing(target) == {}
    assert "x: the receiver's disk is full" in said
    assert "error: x: not taken: the disk is full" in heard
    assert "make room" in heard


def test_holes_need_no_room(world, source, tmp_path):
    with (source / "x").open("wb") as file:
        file.truncate(200 << 20)
        file.seek(100 << 20)
        file.write(noise(1 << 20))
    if (source / "x").stat().st_blocks * 512 > 4 << 20:
        pytest.skip("no holes on this file system")
    with small_disk(tmp_path / "small", 8 << 20) as target:
        transfer(world, [source / "x"], target)
        assert (target / "x").stat().st_size == 200 << 20
        with (target / "x").open("rb") as file:
            file.seek((100 << 20) - 2)
            assert file.read((1 << 20) + 4) == b"\0\0" + noise(1 << 20) + b"\0\0"


def test_what_is_there_of_a_file_needs_no_room(slow, source, tmp_path):
    """Nor is what was kept thrown away because there is none for the rest."""
    (path,) = write(source, {b"x": noise(1 << 20) * 20})
    with small_disk(tmp_path / "small", 24 << 20) as target:
        taking = slow.start(slow.bob, "receive", "ann", "-d", target)
        giving = slow.start(slow.ann, "send", "bob", path)
        until(lambda: any(part.stat().st_size >= 12 << 20 for part in target.iterdir()), "some of it is there")
        taking.signal(signal.SIGTERM)
        giving.end(5)
        taking.end()
        (target / "filled").write_bytes(noise(8 << 20))
        _, heard = transfer(slow, [path], target, sender=1, receiver=1)
        assert "x: not taken: the disk is full" in heard
        (target / "filled").unlink()
        said, _ = transfer(slow, [path], target)
        assert "x: goes on after" in said
        assert listing(target) == {b"x": noise(1 << 20) * 20}


def test_disk_that_is_almost_full(world, source, tmp_path):
    files = {b"x": noise(1 << 20) * 5, b"y": noise(1 << 20)}
    with small_disk(tmp_path / "small", 8 << 20) as target:
        transfer(world, write(source, files), target)
        assert listing(target) == files


def test_disk_fills_while_receiving(world, source, tmp_path):
    """There is room for each, but not for all."""
    files = {b"%d" % number: noise(1 << 20, number) * 3 for number in range(4)}
    paths = write(source, files)
    with small_disk(tmp_path / "small", 8 << 20) as target:
        said, heard = transfer(world, paths, target, sender=1, receiver=1)
        left = listing(target)
        assert all(files[name] == content for name, content in left.items()), "whole or not there"
        assert 0 < len(left) < 4
    assert "the receiver's disk is full" in said
    assert "the disk is full" in heard


def limit_files(size):
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def test_files_are_limited(world, source, target):
    files = {b"large": noise(300000), b"small": b"small"}
    said, heard = transfer(world, write(source, files), target, sender=1, receiver=1, preexec_fn=limit_files(200000))
    assert listing(target) == {b"small": b"small"}
    assert "large: " in said and "large: " in heard


def test_directory_goes_away(world, source, tmp_path):
    (path,) = write(source, {b"x": b"content"})
    target = tmp_path / "gone"
    target.mkdir()
    taking = world.start(world.bob, "receive", "ann", "-d", target)
    taking.says("waiting for ann")
    target.rmdir()
    giving = world.start(world.ann, "send", "bob", path)
    assert giving.end() in (1, 8)
    assert taking.end() == 1
    assert "x: " in giving.said() and "x: " in taking.said()


# --- somebody goes away


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("who", ["receiver", "sender"])
def test_stopped_while_sending(slow, source, target, who, number):
    (path,) = write(source, {b"x": noise(1 << 20) * 24})
    taking = slow.start(slow.bob, "receive", "ann", "-d", target)
    giving = slow.start(slow.ann, "send", "bob", path)
    until(lambda: os.listdir(target), "it has begun")
    victim, left = (taking, giving) if who == "receiver" else (giving, taking)
    victim.signal(number)
    assert victim.end() in (-number, 128 + number)
    assert left.end() == 5
    assert nothing_but_parts(target)
    for running in (victim, left):
        assert re.search("hint: 0 of 1 are .*the same command ", running.said())


def test_receiver_killed(slow, source, target):
    """Nothing of that name; what a kill leaves says by its name what it is."""
    (path,) = write(source, {b"x": noise(1 << 20) * 24})
    taking = slow.start(slow.bob, "receive", "ann", "-d", target)
    giving = slow.start(slow.ann, "send", "bob", path)
    until(lambda: os.listdir(target), "it has begun")
    taking.signal(signal.SIGKILL)
    taking.end()
    assert giving.end() == 5
    assert nothing_but_parts(target)


def test_sender_killed(slow, source, target):
    files = {b"first": b"small", b"x": noise(1 << 20) * 24}
    taking = slow.start(slow.bob, "receive", "ann", "-d", target)
    giving = slow.start(slow.ann, "send", "bob", *write(source, files))
    until(lambda: os.listdir(target), "it has begun")
    giving.signal(signal.SIGKILL)
    giving.end()
    assert taking.end() == 5
    (target / "first").unlink(missing_ok=True)
    assert nothing_but_parts(target)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_receiver_stopped_while_it_waits(world, target, number):
    taking = world.start(world.bob, "receive", "ann", "-d", target)
    taking.says("waiting for ann")
    taking.signal(number)
    assert taking.end(limit=5) in (-number, 128 + number)


def test_receiver_stopped_while_it_calls_the_server(own, own_pair, tmp_path):
    own.server.stop()
    taking = own.start(own_pair[1], "receive", "ann", "-d", tmp_path, "--keep")
    taking.says("trying again")
    taking.signal(signal.SIGTERM)
    assert taking.end(limit=5) in (-signal.SIGTERM, 128 + signal.SIGTERM)


def test_server_killed(own, own_pair, source, target):
    one, other = own_pair
    (path,) = write(source, {b"x": noise(1 << 20) * 24})
    taking = own.start(other, "receive", "ann", "-d", target)
    giving = own.start(one, "send", "bob", path)
    until(lambda: os.listdir(target), "it has begun")
    own.server.stop()
    assert (giving.end(), taking.end()) == (5, 5)
    assert nothing_but_parts(target)
