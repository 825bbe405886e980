"""What tunnels are tested with: small servers on loopback, and forwards through a call."""

import contextlib
import re
import socket
import threading

from ctl_helper import BUILD
from live import until

LIMIT = 30  # seconds, of one operation on a socket


class Server:
    """Runs serve(connection) on a thread for each connection, at a port of its own or a path."""

    def __init__(self, serve, path=None, host="127.0.0.1"):
        self.listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.listener.bind(str(path) if path else (host, 0))
        self.listener.listen(512)
        self.port = None if path else self.listener.getsockname()[1]
        self.serve = serve
        self.connections = []
        self.errors = []
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            connection.settimeout(LIMIT)
            self.connections.append(connection)
            threading.Thread(target=self.one, args=(connection,), daemon=True).start()

    def one(self, connection):
        try:
            self.serve(connection)
        except OSError as error:
            self.errors.append(error)

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            connection.close()
        self.thread.join(LIMIT)


def echo(connection):
    """What comes goes back, and so does the end."""
    while data := connection.recv(65536):
        connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)


def keep(connection):
    """Says nothing, and reads nothing."""


def everything(connection):
    """What comes until the end."""
    got = bytearray()
    while data := connection.recv(65536):
        got += data
    return bytes(got)


def connected(port_or_path, host="127.0.0.1"):
    """A connection to it."""
    if isinstance(port_or_path, int):
        return socket.create_connection((host, port_or_path), timeout=LIMIT)
    one = socket.socket(socket.AF_UNIX)
    one.settimeout(LIMIT)
    one.connect(str(port_or_path))
    return one


def answer_to(port_or_path, data, host="127.0.0.1"):
    """All that comes back for data and an end."""
    with connected(port_or_path, host) as one:
        one.sendall(data)
        one.shutdown(socket.SHUT_WR)
        return everything(one)


def reset_now(connection):
    """As a program does that crashes with octets unread."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()


def ports(running, count=1, by=""):
    """The ports at which it says that it listens, or that its partner does: the last of each place."""

    def told():
        assert running.process.poll() is None, running.said()
        found = re.findall(rf"{by or 'cyphernet:'} listen(?:s|ing) at (?:udp:)?\S*:(\d+)$", running.said(), re.M)
        return [int(port) for port in found] if len(found) >= count else None

    return until(told, f"{count} places are listened at: {running.said()}")


class Tunnels:
    """ann forwards, bob serves."""

    program = BUILD / "cyphernet"

    def __init__(self, world):
        self.world = world
        self.servers = []

    def server(self, serve=echo, **options):
        self.servers.append(Server(serve, **options))
        return self.servers[-1]

    def serve_at_last(self, *allowed, listen=(), words=()):
        """ann may be waiting already."""
        rules = [word for rule in allowed for word in ("--allow", rule)]
        rules += [word for rule in listen for word in ("--allow-listen", rule)]
        return self.world.start(self.world.bob, "serve", "ann", *rules, *words)

    def serve(self, *allowed, **options):
        serving = self.serve_at_last(*allowed, **options)
        serving.says("waiting for ann")
        return serving

    def forward(self, *words, **options):
        return self.world.start(self.world.ann, "forward", "bob", *words, **options)

    def to(self, port, *words, target="127.0.0.1"):
        """Serve that port, and forward to it: the forward, the one that serves, and the local port."""
        serving = self.serve(f"{target}:{port}")
        forwarding = self.forward("-L", f"0:{target}:{port}", *words)
        forwarding.says("connected with bob")
        return forwarding, serving, ports(forwarding)[0]

    def connect(self, to, *words, **options):
        return self.world.start(self.world.ann, "connect", "bob", to, *words, **options)

    def close(self):
        for server in self.servers:
            server.close()
