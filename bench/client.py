"""./run bench client [--size MIB] [--files N] [--runs N] [--place DIR]: whole transfers, by cyphernet send and receive, magic-wormhole
(a mailbox and a transit relay of this machine, no direct connection), scp and rsync over ssh: one big file, many small
ones, and how long it takes until the first octet lies at the receiver's. Interleaved runs, medians, ratios; written to
build/bench-client.json; fails if a goal is not reached. The receiver waits where that can be; the time is from the start of
the sender to the end of both, and what arrived is compared. What is sent and what comes lie in memory, if there is a /dev/shm,
so that it is not the disk that is measured, for which only ours waits; --place puts them elsewhere."""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from machine import BUILD, free_port, same_congestion_control
from run import Cyphernet, Ssh, finish

MEMORY = Path("/dev/shm")


def has_octets(directory):
    """Whether any file below holds something."""
    for entry in os.scandir(directory):
        if entry.is_dir(follow_symlinks=False) and has_octets(entry.path):
            return True
        if entry.is_file(follow_symlinks=False) and entry.stat().st_size > 0:
            return True
    return False


class Watch:
    """Notes when the first octet lies in a directory."""

    def __init__(self, directory):
        self.at = None
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.look, args=(directory,))
        self.thread.start()

    def look(self, directory):
        while not self.over.wait(0.001):
            try:
                if has_octets(directory):
                    self.at = time.monotonic()
                    return
            except FileNotFoundError:
                pass  # a temporary name has become another

    def stop(self):
        self.over.set()
        self.thread.join()
        return self.at


class Ours:
    name, relayed = "cyphernet", True

    def __init__(self, place):
        self.net = Cyphernet(place, 0)

    def receiver(self, target, _source):
        process = self.net.start("bob", "receive", "ann", "-d", target, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE, text=True)
        time.sleep(0.3)  # it waits by then
        return process

    def sender(self, source, _target):
        return self.net.start("ann", "send", "bob", source, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self):
        self.net.stop()


class Wormhole:
    name, relayed = "magic-wormhole", True

    def __init__(self, place):
        self.place = place
        self.code = 0
        mailbox, transit = free_port(), free_port()
        twist = shutil.which("twist3") or shutil.which("twist")
        self.servers = [
            subprocess.Popen([twist, "--log-level=error", "wormhole-mailbox", f"--port=tcp:{mailbox}:interface=127.0.0.1"],
                             cwd=place),
            subprocess.Popen([twist, "--log-level=error", "transitrelay", f"--port=tcp:{transit}:interface=127.0.0.1"],
                             cwd=place),
        ]
        self.command = ["wormhole", "--relay-url", f"ws://127.0.0.1:{mailbox}/v1", "--transit-helper",
                        f"tcp:127.0.0.1:{transit}"]
        time.sleep(3)

    def start(self, *words, cwd):
        return subprocess.Popen([*self.command, *words], cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def receiver(self, target, _source):
        self.code += 1
        return self.start("receive", "--no-listen", "--accept-file", "--hide-progress", f"{self.code}-one-two", cwd=target)

    def sender(self, source, _target):
        return self.start("send", "--no-listen", "--hide-progress", "--code", f"{self.code}-one-two", source, cwd=self.place)

    def stop(self):
        for server in self.servers:
            server.terminate()
            server.wait()


class OverSsh:
    """No relay: straight to a server of this machine."""

    relayed = False

    def __init__(self, place):
        self.ssh = Ssh(place, 0)
        self.options = ["-F", "none", "-q", "-i", str(place / "user"), "-o", "IdentitiesOnly=yes", "-o",
                        "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        time.sleep(0.5)

    def receiver(self, _target, _source):
        return None

    def stop(self):
        self.ssh.stop()


class Scp(OverSsh):
    name = "scp"

    def sender(self, source, target):
        return subprocess.Popen(["scp", *self.options, "-r", "-P", str(self.ssh.port), source, f"127.0.0.1:{target}/"])


class Rsync(OverSsh):
    name = "rsync over ssh"

    def sender(self, source, target):
        shell = " ".join(["ssh", *self.options, "-p", str(self.ssh.port)])
        return subprocess.Popen(["rsync", "-a", "-e", shell, source, f"127.0.0.1:{target}/"])


def once(contestant, source, place):
    """Seconds for all of it, and until the first octet."""
    target = Path(tempfile.mkdtemp(dir=place))
    receiver = contestant.receiver(target, source)
    watch = Watch(target)
    began = time.monotonic()
    try:
        finish(sender=contestant.sender(source, target))
        if receiver:
            finish(receiver=receiver)
        took = time.monotonic() - began
    finally:
        first = watch.stop()
        if receiver:
            receiver.kill()
    if subprocess.run(["diff", "-rq", source, target / source.name], check=False).returncode or first is None:
        sys.exit(f"bench: what {contestant.name} brought is not what was sent")
    shutil.rmtree(target)
    return took, first - began


def sources(place, mib, files):
    big = place / "big"
    with big.open("wb") as out:
        for _ in range(mib):
            out.write(os.urandom(1 << 20))
    tree = place / "tree"
    for number in range(files):
        directory = tree / f"{number % 100:02}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"file-{number}").write_bytes(os.urandom(10240))
    return {"big": big, "tree": tree}


def goals(result):
    """The big file: ahead of each that goes through a relay by 2, and no slower than scp."""
    ours = result["cyphernet"]["big"]["seconds"]
    for name, found in result.items():
        if name == "magic-wormhole":
            yield f"the big file: {name}'s time to ours, at least 2", found["big"]["seconds"] / ours, 2
        if name == "scp":
            yield f"the big file: {name}'s time to ours, at least 1", found["big"]["seconds"] / ours, 1


def main():
    parser = argparse.ArgumentParser(prog="./run bench client")
    parser.add_argument("--size", type=int, default=1024, help="MiB of the big file")
    parser.add_argument("--files", type=int, default=10000, help="of 10 KiB each")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", help="contestants, with commas: " + ",".join(CONTESTANTS))
    parser.add_argument("--place", type=Path, default=MEMORY if os.access(MEMORY, os.W_OK) else BUILD, help="of the files")
    parser.add_argument("--quick", action="store_true", help="one run of little; no figure fails it")
    parser.add_argument("--json", type=Path, default=BUILD / "bench-client.json", help="where the figures go")
    options = parser.parse_args()
    if options.quick:
        options.size, options.files, options.runs = 16, 200, 1
    same_congestion_control()
    names = options.only.split(",") if options.only else list(CONTESTANTS)
    print("gsocket: left out, Debian has its client but no relay")
    with tempfile.TemporaryDirectory(prefix="cyphernet-bench-", dir=options.place) as directory:
        measure(Path(directory), [CONTESTANTS[name] for name in names], options)


def measure(place, kinds, options):
    work = sources(place, options.size, options.files)
    contestants = []
    for number, kind in enumerate(kinds):
        (place / str(number)).mkdir()
        contestants.append(kind(place / str(number)))
    runs = {one.name: {what: [] for what in work} for one in contestants}
    try:
        for _ in range(options.runs):
            for what, source in work.items():
                for one in contestants:
                    runs[one.name][what].append(once(one, source, place))
    finally:
        for one in contestants:
            one.stop()
    result = {name: {what: {"seconds": statistics.median(took for took, _ in times),
                            "first_s": statistics.median(first for _, first in times)}
                     for what, times in found.items()} for name, found in runs.items()}
    options.json.write_text(json.dumps(result, indent=1), encoding="ascii")
    print(f"{'':16} {options.size} MiB: s, MB/s   {options.files} of 10 KiB: s, a second   first octet: ms")
    for name, found in result.items():
        big, tree = found["big"], found["tree"]
        print(f"{name:16} {big['seconds']:8.2f} {options.size * 1.048576 / big['seconds']:7.0f} {tree['seconds']:12.2f} "
              f"{options.files / tree['seconds']:10.0f} {big['first_s'] * 1000:18.0f}")
    missed = 0
    for text, figure, least in goals(result) if "cyphernet" in result else ():
        print(f"{'reached' if figure >= least else 'not reached':12} {text}: {figure:.3g}")
        missed += figure < least
    sys.exit(1 if missed and not options.quick else 0)


CONTESTANTS = {"cyphernet": Ours, "wormhole": Wormhole, "scp": Scp, "rsync": Rsync}


if __name__ == "__main__":
    main()
