"""./run chaos sweep [--count N]: what programs do when a system call fails, for each that they use, at its n-th time, by strace's
injection; N of these at the most. Each run either does all, or ends with an error that it tells; no crash, and never wrong octets
with exit code 0. The server's processes are not allowed what strace makes of a call, but in builds with sanitizers."""
import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "support"))

from ctl_helper import BUILD, SANITIZED
from live import World, until
from proxy import tapped

LIVE_CODES = (0, 1, 4, 5, 6, 7, 8)  # of cyphernet, but usage and those not authentic
CONTENT = random.Random(1).randbytes(150_000)
ANSWER = random.Random(2).randbytes(150_000)

# By command: what may fail, and how.
NETWORK = {
    "socket": ["EMFILE", "ENOBUFS"], "connect": ["EINTR", "ECONNRESET", "EAGAIN"], "getsockopt": ["ENOBUFS"],
    "recvfrom": ["EINTR", "EAGAIN", "ECONNRESET"], "sendto": ["EINTR", "EAGAIN", "ECONNRESET", "ENOBUFS"],
    "poll": ["EINTR", "EAGAIN"], "getrandom": ["EINTR"],
}
FILES = {
    "openat": ["EINTR", "EMFILE", "ENOSPC"], "openat2": ["EINTR", "EMFILE", "ENOSYS"], "newfstatat": ["EIO"],
    "read": ["EINTR", "EIO"], "pread64": ["EINTR", "EIO"], "write": ["EINTR", "ENOSPC"],
    "fsync": ["EINTR", "EIO", "ENOSPC"], "fdatasync": ["EINTR", "EIO", "ENOSPC"], "syncfs": ["EIO"],
    "renameat2": ["ENOSPC", "EIO"], "rename": ["ENOSPC", "EIO"], "renameat": ["ENOSPC", "EIO"],
    "linkat": ["ENOSPC"], "mkdirat": ["ENOSPC"], "ftruncate": ["ENOSPC", "EINTR"], "fallocate": ["ENOSPC", "EINTR"],
    "getdents64": ["EIO"], "flock": ["EINTR"], "clone3": ["EAGAIN"],
}
CLIENT = {
    "pipe": NETWORK | {"read": ["EINTR", "EAGAIN", "EIO"], "write": ["EINTR", "EAGAIN", "ENOSPC"], "fcntl": ["EINTR"]},
    "send": NETWORK | FILES,
    "receive": NETWORK | FILES,
}
# Not epoll_ctl, which lacks memory for what is added only, and not for what is changed.
SERVER = {
    "accept4": ["EINTR", "EAGAIN", "EMFILE", "ECONNABORTED"], "epoll_wait": ["EINTR"], "epoll_pwait": ["EINTR"],
    "recvfrom": ["EINTR", "EAGAIN", "ECONNRESET"],
    "sendto": ["EINTR", "EAGAIN", "ECONNRESET"], "recvmsg": ["EINTR", "EAGAIN"], "sendmsg": ["EINTR", "EAGAIN", "ENOBUFS"],
    "splice": ["EINTR", "EAGAIN", "ECONNRESET"], "pipe2": ["EMFILE"], "poll": ["EINTR", "EAGAIN"],
    "setsockopt": ["ENOBUFS"], "shutdown": ["ENOTCONN"], "write": ["EINTR", "EAGAIN", "ENOSPC"],
}


def environment():
    """Nothing that is traced can look for leaks."""
    options = os.environ.get("ASAN_OPTIONS", "")
    return {"ASAN_OPTIONS": f"{options}:detect_leaks=0"}


# Who is traced is our child, and strace is not.
STRACE = ["strace", "-D", "-f", "-q"]


def why_not():
    """Why nothing can be traced here; None: it can."""
    try:
        done = subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", "true"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "there is no strace"
    return None if done.returncode == 0 else f"strace: {done.stderr.strip()}"


def spread(first, last, count):
    """So many of these numbers, as far from each other as can be; all if they are no more."""
    total = last - first + 1
    if total <= count:
        return list(range(first, last + 1))
    return sorted({first + at * (total - 1) // max(1, count - 1) for at in range(count)})


def traced(log):
    """How often each call was made: by the thread that made it most often, and by the loader before the program began."""
    most, loader = Counter(), Counter()
    counts = {}
    began = False
    for line in log.read_text(errors="replace").splitlines():
        found = re.match(r"(\d+) +(\w+)\(", line)
        if not found:
            continue
        thread, name = found.groups()
        own = counts.setdefault(thread, Counter())
        own[name] += 1
        most[name] = max(most[name], own[name])
        if not began:
            loader[name] += 1
            began = name == "munmap"  # of what the loader knows of libraries: it has done
    return most, loader


class Sweep:
    """Calls between ann, of whose calls one fails, and bob."""

    def __init__(self, world, ann, bob, place):
        self.world, self.ann, self.bob, self.place = world, ann, bob, place
        (place / "file").write_bytes(CONTENT)
        self.count = 0
        self.failures = []
        self.went_well = 0

    def words(self, command, target):
        return {
            "pipe": (["pipe", "bob"], ["pipe", "ann"]),
            "send": (["send", "bob", self.place / "file"], ["receive", "ann", "-d", target]),
            "receive": (["receive", "bob", "-d", target], ["send", "ann", self.place / "file"]),
        }[command]

    def run(self, command, under=(), env=None):
        """One call; ann's end under another program. Both ends, and where files go to."""
        self.count += 1
        target = self.place / f"target-{self.count}"
        target.mkdir()
        mine, theirs = self.words(command, target)
        partner = self.world.start(self.bob, *theirs, stdin=ANSWER, resume=5)
        partner.says("waiting for ann")
        one = self.world.start(self.ann, *mine, stdin=CONTENT, wait=20, resume=5, under=under, env=env or {})
        return one, partner, target

    def traced(self, command, *strace):
        """The same under strace with these words."""
        return self.run(command, [*STRACE, "--seccomp-bpf", *strace], environment())

    def calls(self, command):
        """Those that a run makes which nothing happens to: how often, and by the loader."""
        log = self.place / f"trace-{command}"
        one, partner, _ = self.traced(command, "-o", log)
        one.end(0)
        partner.end(0)
        until(lambda: f"{one.process.pid} +++ exited" in " ".join(log.read_text(errors="replace").split()), "all is written")
        return traced(log)

    def judge(self, what, command, one, partner, target):
        code = one.end()
        said = one.said()
        assert code in LIVE_CODES, (what, code, said)
        if code == 0:
            self.went_well += 1
            assert partner.end() == 0, (what, said, partner.said())
        else:
            assert "cyphernet: error: " in said, (what, code, said)
            partner.stop()
        files = {path.name: path.read_bytes() for path in target.iterdir() if not path.name.startswith(".")}
        if command == "pipe":
            for end, expected in ((one, ANSWER), (partner, CONTENT)):
                got = end.got()
                assert expected.startswith(got), what
                assert got == expected or end.process.returncode != 0, what
        else:
            assert files in ({}, {"file": CONTENT}), (what, list(files))
            assert files or code != 0, what
            assert files or partner.process.returncode != 0, what

    def fail(self, command, call, error, number):
        what = f"{command}: {call} {number}: {error}"
        inject = ["-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={number}"]
        try:
            self.judge(what, command, *self.traced(command, *inject))
        except AssertionError as failure:
            self.failures.append(str(failure) or what)
        self.world.clear()

    def sweep(self, command, count, tell=lambda text: None):
        """Fail each call in each way, so many times."""
        most, loader = self.calls(command)
        for call, errors in CLIENT[command].items():
            if most[call] == loader[call]:
                continue
            numbers = spread(loader[call] + 1, most[call], count)
            tell(f"{command}: {call}, of {most[call]}: {len(numbers)} times {', '.join(errors)}")
            for error in errors:
                for number in numbers:
                    self.fail(command, call, error, number)


def server_fails(world, ann, bob, call, error, number):
    """A call through a server of which one call fails; why that is not good, or None. It is started here."""
    what = f"server: {call} {number}: {error}"
    server = world.server = world.run_program(
        [*STRACE, "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={number}",
         BUILD / "cyphernetd", "--dir", world.ctl.dir], env=environment())
    try:
        until(lambda: b"ready" in server.got() or server.process.poll() is not None, what)
        if server.process.poll() is not None:
            assert server.end() in (1, 2) and "cyphernetd: error: " in server.said(), (what, server.said())
            return None
        ends = [world.start(one, "pipe", other.name, stdin=octets, resume=30)
                for one, other, octets in ((ann, bob, CONTENT), (bob, ann, ANSWER))]
        for end, expected in zip(ends, (ANSWER, CONTENT), strict=True):
            assert end.end() == 0, (what, end.said(), server.said())
            assert end.got() == expected, what
        crashed = re.search(r"event=process_ended.* signal=(?!9\b)\d+|Sanitizer", server.said())
        assert not crashed, (what, server.said())
        return None
    except AssertionError as failure:
        return str(failure) or what
    finally:
        world.clear()
        server.stop()
        world.server, world.under_way = None, []


def server_sweep(world, ann, bob, count, tell=lambda text: None):
    """Fail each call in each way, at its first so many times, in whichever of the processes: how often, and what went wrong."""
    failures = []
    runs = 0
    for call, errors in SERVER.items():
        tell(f"server: {call}: {count} times {', '.join(errors)}")
        for error in errors:
            for number in spread(1, 3 * count, count):
                failures.append(server_fails(world, ann, bob, call, error, number))
                runs += 1
    return runs, [one for one in failures if one]


def main():
    parser = argparse.ArgumentParser(prog="./run chaos sweep", description=__doc__)
    parser.add_argument("--count", type=int, default=25, metavar="N")
    parser.add_argument("--only", choices=[*CLIENT, "server"])
    options = parser.parse_args()
    if why_not():
        sys.exit(f"run: error: {why_not()}")
    runs, failures = 0, []

    def tell(text):
        print(text, flush=True)

    with tempfile.TemporaryDirectory(prefix="cyphernet-sweep-") as place, tapped(Path(place) / "world") as (world, _, ann, bob):
        for command in CLIENT:
            if options.only in (None, command):
                (Path(place) / command).mkdir()
                sweep = Sweep(world, ann, bob, Path(place) / command)
                sweep.sweep(command, options.count, tell)
                runs += sweep.count
                failures += sweep.failures
    if SANITIZED and options.only in (None, "server"):
        with tempfile.TemporaryDirectory(prefix="cyphernet-sweep-") as place:
            world = World(Path(place) / "world")
            found = server_sweep(world, *world.pair(), options.count, tell)
            runs += found[0]
            failures += found[1]
    for failure in failures:
        print(f"failed: {failure}")
    print(f"{runs - len(failures)} passed, {len(failures)} failed")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
