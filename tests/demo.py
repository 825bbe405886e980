"""./run demo: a server and two subscribers on this machine, and what the server gets to see."""
import hashlib
import os
import pty
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

BUILD = Path(__file__).resolve().parent.parent / "build"
FILE_SIZE = 200_000_000
SHOWN = 96  # octets of noise


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

    def start(self, *arguments, **options):
        env = dict(os.environ, CYPHERNET_HOME=str(self.home / "cyphernet"))
        return subprocess.Popen([BUILD / "cyphernet", *arguments], env=env, cwd=self.home,
                                **options)

    def run(self, *arguments, show=True):
        if show:
            print(f"{self.name}$ cyphernet {' '.join(arguments)}", flush=True)
        process = self.start(*arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             stdin=subprocess.DEVNULL, text=True)
        output = process.communicate(timeout=120)[0]
        if show:
            print("".join(f"  {line}\n" for line in output.splitlines()), end="", flush=True)
        if process.returncode:
            sys.exit(f"demo: {self.name}: cyphernet {arguments[0]} failed:\n{output}")
        return output


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
        print(f"  {'bob' if listener is b else 'alice'} reads: {listener.stdout.readline().strip()}",
              flush=True)
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
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:
            break
        if not piece:
            break
        output += piece
    os.close(master)
    process.wait(timeout=120)
    # a terminal would show the states of the bar one over the other: print some of them
    states = [s for s in output.decode(errors="replace").replace("\r\n", "\n").split("\r\033[K") if s]
    for state in states[:-1:max(1, len(states) // 6)] + states[-1:]:
        print("".join(f"  {line}\n" for line in state.splitlines()), end="")
    sys.stdout.flush()
    return process.returncode


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file(alice, bob):
    with open(alice.home / "holiday.tar", "wb") as out:
        for _ in range(FILE_SIZE // 1_000_000):
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
    print(f"  {FILE_SIZE / 1e6:.0f} MB in {seconds:.2f} s from start to end: "
          f"{FILE_SIZE / 1e6 / seconds:.0f} MB/s")


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


def demo(place):
    server_port = free_port()
    tap = Wiretap(server_port)
    ctl = [BUILD / "cyphernetctl", "--dir", place / "server"]

    title("An operator sets up a central server")
    print(f"operator$ cyphernetctl init --listen 127.0.0.1:{server_port}; cyphernetd", flush=True)
    subprocess.run([*ctl, "-q", "init", "--listen", f"127.0.0.1:{server_port}", "--public",
                    f"127.0.0.1:{tap.port}"], check=True)
    server = subprocess.Popen([BUILD / "cyphernetd", "--dir", place / "server"],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        print(f"  {server.stdout.readline().strip()}")
        print("operator$ cyphernetctl invite alice; cyphernetctl invite bob", flush=True)
        for name in ("alice", "bob"):
            subprocess.run([*ctl, "-q", "invite", name, "-o", place / f"{name}.fingerprint"],
                           check=True)
        calls(place, tap)
        title("What the operator knows")
        subprocess.run([*ctl, "status"], check=True)
    finally:
        server.terminate()
        server.wait(timeout=120)


def calls(place, tap):
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
    title(f"Alice sends a file of {FILE_SIZE / 1e6:.0f} MB")
    file(alice, bob)


def main():
    place = Path(tempfile.mkdtemp(prefix="cyphernet-demo-"))
    try:
        demo(place)
    finally:
        shutil.rmtree(place)
    title("Done; everything has been cleaned up")


if __name__ == "__main__":
    main()
