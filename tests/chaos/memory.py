"""What programs do when memory runs out: the k-th allocation fails, for each k; and commands when the k-th call of the system,
of SQLite or of libcrypto does. Each run either does all, or ends with an error that it tells; no crash, nothing half done in
files, and never wrong octets with exit code 0. ./run chaos sweep fails all that a program asks for itself, and [--count N] of
those that libraries ask for in its stead; ./run test some of the former."""
import argparse
import contextlib
import os
import re
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "support"))

from agents import rules
from cn_helper import Person, exchanged
from ctl_helper import BUILD, Ctl, preload
from live import World, until
from sealing import backup_closed, backup_opened, given
from sweep import ANSWER, CONTENT, LIVE_CODES, Sweep, spread
from tunnels import Tunnels, echo

SHIMS = {"allocation": "no_memory.so", "call": "no_call.so"}
WORD = "correct horse"


class Memory:
    """Of one program, whose allocations, or calls of the system and of libraries, are counted and fail."""

    def __init__(self, place, program, own=True, kind="allocation"):
        place.mkdir()
        self.program = program
        self.counts = place / "counts"
        # of a filter libseccomp (2.5) leaves out the calls for which it found no memory, and says that all is well: their
        # first use ends the process, which is started anew. It fails closed, and is no fault of ours.
        self.env = {**preload(SHIMS[kind], place), "KTH_PROGRAM": program, "KTH_COUNTS": str(self.counts),
                    "KTH_BUT": "libseccomp"}
        if own:
            self.env["KTH_OWN"] = "1"

    def fails(self, at):
        """The environment in which allocation `at` fails; 0: none does."""
        self.counts.write_bytes(bytes(16))
        return {**self.env, "KTH_AT": str(at)}

    def asked(self):
        return struct.unpack("=QQ", self.counts.read_bytes())[0]

    def failed(self):
        return struct.unpack("=QQ", self.counts.read_bytes())[1] > 0


class Found:
    """What a sweep found."""

    def __init__(self):
        self.runs = self.well = 0
        self.failures = []

    def judged(self, what, judge, *words):
        self.runs += 1
        try:
            self.well += bool(judge(what, *words))
        except AssertionError as failure:
            self.failures.append(str(failure) or what)


def tree(place):
    """What is there, by path: files, directories, and what the registry says."""
    found = {}
    for path in sorted(place.rglob("*")):
        if path.name == "registry.db":
            with contextlib.closing(sqlite3.connect(path)) as registry:
                found["registry.db"] = list(registry.iterdump())
        elif path.is_file() and path.parent.name == "queue":
            found[str(path.parent.relative_to(place) / "queued")] = None  # by a name that chance gives it
        elif path.is_file() and not path.name.startswith("registry.db-"):
            found[str(path.relative_to(place))] = path.read_bytes()
        elif path.is_dir() and path.name != "waiting":  # which is made for whatever is to be called
            found[str(path.relative_to(place))] = None
    return found


# Commands that end by themselves, where `prepare` has been: whose they are, and what they are given.
COMMANDS = {
    "init": ("stranger", "init", ""),
    "request": ("stranger", "request", ""),
    "join": ("stranger", "join fresh.fp", ""),
    "restore": ("stranger", "restore kept --passphrase-fd 0", WORD),
    "offer": ("ann", "contact offer eve -o offered", ""),
    "offer --qr": ("ann", "contact offer eve --qr -o offered.png", ""),
    "accept": ("ann", "contact accept carl card -o reply", ""),
    "accept a picture": ("ann", "contact accept carl card.png", ""),
    "verify": ("ann", "contact verify bob --yes", ""),
    "list": ("ann", "contact list --json", ""),
    "show": ("ann", "contact show bob", ""),
    "rename": ("ann", "contact rename bob robert", ""),
    "remove": ("ann", "contact remove bob", ""),
    "send --later": ("ann", "send bob card --later", ""),
    "queue": ("ann", "queue --json", ""),
    "rotate": ("ann", "rotate", ""),
    "rotate --status": ("ann", "rotate --status", ""),
    "backup": ("ann", "backup -o kept-again --passphrase-fd 0", WORD),
    "passphrase": ("ann", "passphrase --passphrase-fd 0", f"{WORD}\n"),
    "complete": ("ann", "complete 3 cyphernet pipe b", ""),
    "ctl init": ("operator", "--dir new init --listen 127.0.0.1:7473", ""),
    "ctl invite": ("operator", "invite dora -o dora.fp", ""),
    "ctl admit": ("operator", "admit request --name dora -o dora.fp", ""),
    "ctl renew": ("operator", "renew ann -o ann-again.fp", ""),
    "ctl revoke": ("operator", "revoke ann", ""),
    "ctl suspend": ("operator", "suspend ann", ""),
    "ctl move": ("operator", "move --public 127.0.0.1:7474", ""),
    "ctl export": ("operator", "export-revocations -o revocations", ""),
    "ctl list": ("operator", "list --json", ""),
    "server --check": ("server", "--check", ""),
}


def prepare(place):
    """An operator's directory, ann and bob, and files that commands take."""
    place.mkdir()
    ann, bob = exchanged(place)
    server = Ctl(place)
    server.ok("invite", "stranger", "-o", "fresh.fp")
    server.ok("invite", "carl", "-o", "carl.fp")
    carl = Person(place, "carl")
    carl.ok("join", "carl.fp")
    (place / "card").write_text(carl.offer("ann"))
    carl.ok("contact", "offer", "ann", "--qr", "-o", "card.png")
    other = Person(place, "other")
    (place / "request").write_text(other.ok("request").stdout)
    bob.ok("backup", "-o", "costly", "--passphrase-fd", "0", **given(WORD))
    (place / "kept").write_text(backup_closed(backup_opened((place / "costly").read_text(), WORD), WORD))
    return place


# Where something was done although the rest failed, it says what.
HALVES = {"rename": "bob is called robert now", "rotate": "your new identity", "ctl renew": "hand the fingerprint to ann"}


class Command:
    """One that ends by itself, and starts from what was prepared each time."""

    def __init__(self, name, prepared, place):
        who, words, self.given = COMMANDS[name]
        self.name, self.prepared, self.place = name, prepared, place
        self.before = tree(prepared)
        self.told = HALVES.get(name, "error: error:")
        self.program = {"operator": "cyphernetctl", "server": "cyphernetd"}.get(who, "cyphernet")
        where = ["--dir", "server"] if self.program != "cyphernet" and "--dir" not in words else []
        self.words = [BUILD / self.program, *where, *words.split()]
        self.env = {"CYPHERNET_HOME": str(place / "copy" / f"home-{who}")}

    def run(self, env):
        """The finished process; what is there then."""
        copy = self.place / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.prepared, copy)
        done = subprocess.run(self.words, env={**os.environ, **self.env, **env}, cwd=copy, input=self.given, capture_output=True,
                              text=True, timeout=60, check=False)
        return done, tree(copy)

    def judge(self, what, memory, number, after):
        done, now = self.run(memory.fails(number))
        said = done.stderr
        assert done.returncode in (0, 1), (what, done.returncode, said)
        if done.returncode == 0:
            assert set(now) == set(after), (what, said, set(now) ^ set(after))
            return True
        assert re.search(rf"^{self.program}: error: ", said, re.M), (what, said)
        assert now == self.before or self.told in said or self.again() == set(after), (what, said)
        return False

    def again(self):
        """What is there when a command that failed is given once more."""
        done = subprocess.run(self.words, env={**os.environ, **self.env}, cwd=self.place / "copy", check=False,
                              input=self.given * 2,  # the passphrase that it has by now, if it is to get one
                              capture_output=True, text=True, timeout=60)
        return set(tree(self.place / "copy")) if done.returncode == 0 else done.stderr


def commands_fail(prepared, place, names, own, count, found, kind="allocation"):
    """Fail each allocation or call of these commands, but of each so many at the most."""
    place.mkdir()
    for at, name in enumerate(names):
        (place / str(at)).mkdir()
        command = Command(name, prepared, place / str(at))
        memory = Memory(place / str(at) / "memory", command.program, own, kind)
        done, after = command.run(memory.fails(0))
        assert done.returncode == 0, (name, done.stderr)
        for number in spread(1, memory.asked(), count):
            found.judged(f"{name}: {kind} {number}", command.judge, memory, number, after)


class Calls:
    """Calls between ann, who lacks memory, and bob, in a world with a server."""

    def __init__(self, world, ann, bob, place):
        place.mkdir()
        self.world, self.ann, self.bob, self.place = world, ann, bob, place
        self.sweep = Sweep(world, ann, bob, place)
        self.tunnels = Tunnels(world)
        self.port = self.tunnels.server(echo).port
        self.count = 0

    def close(self):
        self.tunnels.close()

    def start(self, one, *words, **options):
        return self.world.start(one, *words, wait=options.pop("wait", 20), **options)

    def transfer(self, command, what, env):
        """pipe, send and receive: all, or nothing."""
        went_well = self.sweep.went_well
        self.sweep.judge(what, command, *self.sweep.run(command, env=env))
        return self.sweep.went_well > went_well

    def ended(self, what, one):
        """How a program did, which says why if it failed."""
        code = one.end()
        assert code in LIVE_CODES, (what, code, one.said())
        assert code == 0 or "cyphernet: error: " in one.said(), (what, code, one.said())
        return code == 0

    def talk(self, what, env):
        partner = self.start(self.bob, "talk", "ann", stdin=b"there\n")
        partner.says("waiting for ann")
        one = self.start(self.ann, "talk", "bob", stdin=b"back\n", env=env)
        if not self.ended(what, one):
            return False
        partner.end(0)
        assert b"bob: there" in one.got(), (what, one.said())
        assert b"ann: back" in partner.got(), (what, one.said(), partner.said())
        return True

    def connect(self, what, env):
        partner = self.start(self.bob, "serve", "ann", "--allow", f"127.0.0.1:{self.port}")
        partner.says("waiting for ann")
        one = self.start(self.ann, "connect", "bob", f"127.0.0.1:{self.port}", stdin=CONTENT, env=env)
        if not self.ended(what, one):
            return False
        assert one.got() == CONTENT, what
        return True

    def serve(self, what, env):
        """What is lost may be one connection, or one call: another call is made then, and comes through."""
        one = self.start(self.ann, "serve", "bob", "--allow", f"127.0.0.1:{self.port}", env=env)
        until(lambda: "waiting for bob" in one.said() or one.process.poll() is not None, what)
        for _ in range(2):
            if one.process.poll() is not None:
                break
            partner = self.start(self.bob, "connect", "ann", f"127.0.0.1:{self.port}", stdin=CONTENT)
            until(lambda: one.process.poll() is not None or partner.process.poll() is not None, what)
            if partner.process.poll() == 0 or one.process.poll() is not None:
                break
        if one.process.poll() is None:
            assert partner.end() == 0 and partner.got() == CONTENT, (what, partner.said(), one.said())
            one.signal(signal.SIGTERM)
        return self.ended(what, one)

    def agent(self, what, env):
        """The same of one who answers for her."""
        self.count += 1
        target = self.place / f"agent-{self.count}"
        target.mkdir()
        rules(self.ann, f"[bob]\nreceive = {target}\n")
        one = self.world.start(self.ann, "agent", env=env)
        until(lambda: "waiting for" in one.said() or one.process.poll() is not None, f"{what}: {one.said()}")
        for _ in range(2):
            if one.process.poll() is not None:
                break
            partner = self.start(self.bob, "send", "ann", self.place / "file")
            until(lambda: one.process.poll() is not None or partner.process.poll() is not None, what)
            if partner.process.poll() == 0 or one.process.poll() is not None:
                break
        arrived = [path.read_bytes() for path in target.iterdir() if not path.name.startswith(".")]
        assert arrived in ([], [CONTENT]), what
        if one.process.poll() is None:
            assert partner.end() == 0 and arrived, (what, partner.said(), one.said())
            one.signal(signal.SIGTERM)
        return self.ended(what, one)

    def judge(self, what, command, env):
        try:
            if command in ("pipe", "send", "receive"):
                return self.transfer(command, what, env)
            return getattr(self, command)(what, env)
        finally:
            self.world.clear()


CALLS = ["pipe", "send", "receive", "talk", "connect", "serve", "agent"]


def calls_fail(calls, place, names, own, count, found):
    """The same of commands that call."""
    place.mkdir()
    memory = Memory(place / "memory", "cyphernet", own)
    for name in names:
        assert calls.judge(name, name, memory.fails(0)), name
        for number in spread(1, memory.asked(), count):
            found.judged(f"{name}: allocation {number}", calls.judge, name, memory.fails(number))


SERVER = ["cyphernetd", "cyphernetd-gate", "cyphernetd-switch"]


def server_fails(world, ann, bob, memory, number):
    """A server that lacks memory says so, and ends or starts its process anew; calls go through."""
    what = f"{memory.program}: allocation {number}"
    server = world.server = world.run_program([BUILD / "cyphernetd", "--dir", world.ctl.dir], env=memory.fails(number))
    try:
        until(lambda: b"ready" in server.got() or server.process.poll() is not None, what)
        if server.process.poll() is not None:
            assert server.end() == 1 and "cyphernetd: error: " in server.said(), (what, server.said())
            return False
        ends = [world.start(one, "pipe", other.name, stdin=octets, resume=30)
                for one, other, octets in ((ann, bob, CONTENT), (bob, ann, ANSWER))]
        for end, expected in zip(ends, (ANSWER, CONTENT), strict=True):
            assert end.end() == 0, (what, end.said(), server.said())
            assert end.got() == expected, what
        crashed = re.search(r"event=process_ended.* signal=(?!9\b)\d+", server.said())
        assert not crashed, (what, server.said())
        return True
    finally:
        world.clear()
        server.stop()
        world.server, world.under_way = None, []


def servers_fail(world, ann, bob, place, names, own, count, found):
    """The same of the server's processes."""
    place.mkdir()
    for name in names:
        memory = Memory(place / name, name, own)
        assert server_fails(world, ann, bob, memory, 0), name
        for number in spread(1, memory.asked(), count):
            found.judged(name, lambda _, at=number, one=memory: server_fails(world, ann, bob, one, at))


def sweep_commands(place, own, count, found, tell):
    """Of those that end by themselves, calls too, if it is what they ask for themselves."""
    prepared = prepare(place / "prepared")
    for kind in SHIMS if own else ["allocation"]:
        for at, name in enumerate(COMMANDS):
            tell(f"{name}, {kind}s: {found.runs} runs so far")
            commands_fail(prepared, place / f"{kind}-{at}", [name], own, count, found, kind)


def sweep_calls(place, own, count, found, tell):
    world = World(place / "world").serve()
    world.ann, world.bob = world.pair()
    calls = Calls(world, world.ann, world.bob, place / "calls")
    for name in CALLS:
        tell(f"{name}: {found.runs} runs so far")
        calls_fail(calls, place / f"of-{name}", [name], own, count, found)
    calls.close()
    world.close()


def sweep_server(place, own, count, found, tell):
    world = World(place / "another")
    pair = world.pair()
    for name in SERVER:
        tell(f"{name}: {found.runs} runs so far")
        servers_fail(world, *pair, place / f"of-{name}", [name], own, count, found)


SWEEPS = {"commands": sweep_commands, "calls": sweep_calls, "server": sweep_server}


def main():
    parser = argparse.ArgumentParser(prog="./run chaos sweep", description=__doc__)
    parser.add_argument("--count", type=int, default=25, metavar="N", help="of what libraries ask for; 0: none")
    parser.add_argument("--of", nargs="*", choices=SWEEPS, default=list(SWEEPS), metavar="PART", help=" ".join(SWEEPS))
    options, _ = parser.parse_known_args()
    found = Found()

    def tell(text):
        print(text, flush=True)

    with tempfile.TemporaryDirectory(prefix="cyphernet-memory-") as place:
        for own, count in ((True, sys.maxsize), (False, options.count)):
            for part in options.of if count else []:
                where = Path(place) / f"{part}-{own}"
                where.mkdir()
                SWEEPS[part](where, own, count, found, tell)
    for failure in found.failures:
        print(f"failed: {failure}")
    print(f"{found.runs - len(found.failures)} passed, {len(found.failures)} failed")
    return bool(found.failures)


if __name__ == "__main__":
    sys.exit(main())
