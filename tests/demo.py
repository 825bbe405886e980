"""./run demo [--size MB]: a server and two subscribers on this machine, and what the server gets to see."""
import argparse
import hashlib
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

BUILD = Path(os.environ.get("CYPHERNET_BUILD", Path(__file__).parents[1] / "build")).resolve()
SHOWN = 96  # octets of noise

children = []


def start(command, **options):
    """A program that is looked after."""
    children.append(subprocess.Popen(command, **options))
    return children[-1]


def look_after_children(*_):
    """Who waits for one that has failed would wait for ever."""
    for child in children:
        if child.poll():
            sys.exit(f"demo: {Path(child.args[0]).name} {' '.join(map(str, child.args[1:]))} ended with "
                     f"{child.returncode}")


def line_of(process):
    line = process.stdout.readline()
    if not line:
        sys.exit(f"demo: {Path(process.args[0]).name} ended too early")
    return line.strip()


def title(text):
    print(f"\n\033[1m== {text}\033[0m" if sys.stdout.isatty() else f"\n== {text}", flush=True)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Wiretap:
    """Stands on the line before the server, as whoever runs the server's machine could."""

    def __init__(self, server_port):
        self.server_port = server_port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.forget()
        threading.Thread(target=self.run, daemon=True).start()

    def forget(self):
        self.sizes = {}
        self.heads = {}

    def run(self):
        while True:
            line, _ = self.listener.accept()
            number = len(self.sizes) // 2 + 1
            server = socket.create_connection(("127.0.0.1", self.server_port))
            for source, sink, way in ((line, server, "to"), (server, line, "from")):
                key = (number, way)
                self.sizes[key] = 0
                self.heads[key] = bytearray()
                threading.Thread(target=self.pump, args=(source, sink, key), daemon=True).start()

    def pump(self, source, sink, key):
        sizes, heads = self.sizes, self.heads
        buffer = memoryview(bytearray(1 << 20))
        try:
            while size := source.recv_into(buffer):
                sizes[key] += size
                if len(heads[key]) < 65536:
                    heads[key] += buffer[:size]
                sink.sendall(buffer[:size])
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


class Subscriber:
    def __init__(self, place, name):
        self.name = name
        self.home = place / name
        self.home.mkdir()
        self.place = {"cwd": self.home,
                      "env": dict(os.environ, CYPHERNET_HOME=str(self.home / "cyphernet"))}

    def start(self, *arguments, **options):
        return start([BUILD / "cyphernet", *arguments], **self.place, **options)

    def run(self, *arguments, show=True):
        if show:
            print(f"{self.name}$ cyphernet {' '.join(arguments)}", flush=True)
        done = subprocess.run([BUILD / "cyphernet", *arguments], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
                              timeout=120, check=False, **self.place)
        if show:
            print("".join(f"  {line}\n" for line in done.stdout.splitlines()), end="", flush=True)
        if done.returncode:
            sys.exit(f"demo: {self.name}: cyphernet {arguments[0]} failed:\n{done.stdout}")
        return done.stdout


def both(first, second):
    """Wait for two ends of a call; both must have succeeded."""
    for process in (first, second):
        if process.wait(timeout=120):
            sys.exit(f"demo: a call ended with exit code {process.returncode}")


def conversation(alice, bob):
    print("alice$ cyphernet talk bob          bob$ cyphernet talk alice", flush=True)
    a = alice.start("-q", "talk", "bob", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    b = bob.start("-q", "talk", "alice", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    for said, speaker, listener in (("Hello Bob, can anybody hear us?", a, b),
                                    ("Only sizes. Send me the file.", b, a)):
        speaker.stdin.write(said + "\n")
        speaker.stdin.flush()
        print(f"  {'bob' if listener is b else 'alice'} reads: {line_of(listener)}", flush=True)
    a.stdin.close()
    b.stdin.close()
    both(a, b)


def pipes(alice, bob):
    print("alice$ echo ... | cyphernet pipe bob       bob$ echo ... | cyphernet pipe alice",
          flush=True)
    a = alice.start("-q", "pipe", "bob", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    b = bob.start("-q", "pipe", "alice", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    for process, text in ((a, b"from alice, through a pipe\n"), (b, b"from bob, the other way\n")):
        process.stdin.write(text)
        process.stdin.close()
    print(f"  bob's output:   {b.stdout.read().decode().strip()}")
    print(f"  alice's output: {a.stdout.read().decode().strip()}", flush=True)
    both(a, b)


def on_terminal(subscriber, *arguments):
    """Run on a pseudo-terminal, so that the progress bar shows; copy what it draws."""
    print(f"{subscriber.name}$ cyphernet {' '.join(arguments)}", flush=True)
    master, slave = pty.openpty()
    process = subscriber.start(*arguments, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    output = b""
    try:
        while piece := os.read(master, 65536):
            output += piece
    except OSError:  # the end of a terminal
        pass
    finally:
        os.close(master)
        draw(output)
    return process.wait(timeout=120)


def draw(output):
    # a terminal would show the states of the bar one over the other: print some of them
    states = [s for s in output.decode(errors="replace").replace("\r\n", "\n").split("\r\033[K") if s]
    for state in states[:-1:max(1, len(states) // 6)] + states[-1:]:
        print("".join(f"  {line}\n" for line in state.splitlines()), end="")
    sys.stdout.flush()


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file(alice, bob, megabytes):
    with open(alice.home / "holiday.tar", "wb") as out:
        for _ in range(megabytes):
            out.write(os.urandom(1_000_000))
    receiver = bob.start("-q", "receive", "alice")
    began = time.monotonic()
    if on_terminal(alice, "send", "bob", "holiday.tar"):
        sys.exit("demo: send failed")
    seconds = time.monotonic() - began
    if receiver.wait(timeout=120):
        sys.exit("demo: receive failed")
    sent, received = digest(alice.home / "holiday.tar"), digest(bob.home / "holiday.tar")
    print(f"  alice's SHA-256: {sent}\n  bob's SHA-256:   {received}")
    if sent != received:
        sys.exit("demo: the file is not the same")
    print(f"  {megabytes} MB in {seconds:.2f} s from start to end: {megabytes / seconds:.0f} MB/s")


def hex_lines(data):
    for at in range(0, len(data), 32):
        yield " ".join(data[at + i:at + i + 4].hex() for i in range(0, 32, 4))


def seen(tap, secrets):
    sizes, heads = dict(tap.sizes), dict(tap.heads)
    for (number, way), size in sizes.items():
        print(f"  line {number}, {way + ' the server:':16} {size:>11,} octets")
    excerpt = bytes(heads[(1, "to")][-SHOWN:])
    print("  the end of what it recorded of line 1:")
    for line in hex_lines(excerpt):
        print(f"    {line}")
    recorded = b"".join(bytes(head) for head in heads.values())
    found = [s for s in secrets if s.encode() in recorded]
    print(f"  searched for {', '.join(repr(s) for s in secrets)}: found {found or 'nothing'}")
    if found:
        sys.exit("demo: the server could read something")


def demo(place, megabytes):
    server_port = free_port()
    tap = Wiretap(server_port)
    ctl = [BUILD / "cyphernetctl", "--dir", place / "server"]

    title("An operator sets up a central server")
    print(f"operator$ cyphernetctl init --listen 127.0.0.1:{server_port}; cyphernetd", flush=True)
    subprocess.run([*ctl, "-q", "init", "--listen", f"127.0.0.1:{server_port}", "--public",
                    f"127.0.0.1:{tap.port}"], check=True)
    server = start([BUILD / "cyphernetd", "--dir", place / "server"], stdout=subprocess.PIPE,
                   stderr=subprocess.DEVNULL, text=True)
    print(f"  {line_of(server)}")
    print("operator$ cyphernetctl invite alice; cyphernetctl invite bob", flush=True)
    for name in ("alice", "bob"):
        subprocess.run([*ctl, "-q", "invite", name, "-o", place / f"{name}.fingerprint"], check=True)
    calls(place, tap, megabytes)
    title("What the operator knows")
    subprocess.run([*ctl, "status"], check=True)
    server.terminate()
    server.wait(timeout=120)


def calls(place, tap, megabytes):
    alice, bob = Subscriber(place, "alice"), Subscriber(place, "bob")

    title("Two subscribers join: Alice with an X25519 identity, Bob with RSA-3072")
    alice.run("join", "../alice.fingerprint")
    bob.run("init", "--rsa", "3072")
    bob.run("join", "../bob.fingerprint")
    title("They exchange cards in person, and compare the safety number")
    alice.run("contact", "offer", "bob", "-o", "../alice-for-bob.card")
    bob.run("contact", "accept", "alice", "../alice-for-bob.card", "-o", "../bob-for-alice.card")
    alice.run("contact", "accept", "bob", "../bob-for-alice.card")
    if alice.run("contact", "verify", "bob", "--yes", show=False).splitlines()[0] != \
            bob.run("contact", "verify", "alice", "--yes", show=False).splitlines()[0]:
        sys.exit("demo: the safety numbers differ")
    print("  the numbers are equal: both say `cyphernet contact verify NAME --yes`")
    title("They talk, encrypted from end to end")
    tap.forget()
    conversation(alice, bob)
    title("What the server could record of that call")
    seen(tap, ["Hello Bob", "Only sizes", "alice", "bob"])
    title("They pipe, both ways at once")
    pipes(alice, bob)
    title(f"Alice sends a file of {megabytes} MB")
    file(alice, bob, megabytes)


def clean_up(place):
    """The system knows our children, those too that we had only begun to start."""
    known = Path(f"/proc/self/task/{os.getpid()}/children")
    while pids := known.read_text().split():
        for pid in map(int, pids):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    shutil.rmtree(place)


def main():
    parser = argparse.ArgumentParser(prog="./run demo")
    parser.add_argument("--size", type=int, default=200, metavar="MB", help="of the file that is sent (200)")
    megabytes = parser.parse_args().size
    stops = [number for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
             if signal.getsignal(number) != signal.SIG_IGN]
    place = Path(tempfile.mkdtemp(prefix="cyphernet-demo-"))
    try:
        for number in stops:
            signal.signal(number, lambda number, _: sys.exit(128 + number))
        signal.signal(signal.SIGCHLD, look_after_children)
        demo(place, megabytes)
    finally:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number in stops:
            signal.signal(number, signal.SIG_IGN)
        clean_up(place)
    title("Done; everything has been cleaned up")


if __name__ == "__main__":
    main()
