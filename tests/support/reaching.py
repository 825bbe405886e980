"""What is between a subscriber and the server: addresses in the fingerprint, proxies, DNS of our own."""

import base64
import contextlib
import random
import socket
import socketserver
import struct
import subprocess
import threading

import pytest

from ctl_helper import armor, unarmor


def lead(person, *addresses):
    """Have the fingerprint name these addresses, which nobody signed, in place of the one that it was made with."""
    path = person.home / "fingerprint"
    body = unarmor("FINGERPRINT", path.read_text())
    at = max(body.rfind(b"127.0.0.1:"), body.rfind(b"[::1]:")) - 2  # before the count, and the first one's size
    texts = [address.encode() for address in addresses]
    path.write_text(armor("FINGERPRINT", body[:at] + bytes([len(texts)]) + b"".join(bytes([len(t)]) + t for t in texts)))


class Listener(socketserver.ThreadingTCPServer):
    """On 127.0.0.1, whatever port; `deal` has each connection to itself."""

    daemon_threads = True
    block_on_close = False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), None)
        self.port = self.server_address[1]
        self.asked = []
        self.lines = []
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def finish_request(self, request, client_address):
        self.lines.append(request)
        with contextlib.suppress(OSError, EOFError):
            self.deal(request)

    def close(self):
        self.shutdown()
        self.server_close()
        for line in self.lines:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def exactly(line, size):
    got = b""
    while len(got) < size:
        if not (more := line.recv(size - len(got))):
            raise EOFError
        got += more
    return got


def joined(one, other):
    """Pass octets both ways until both have ended."""

    def pump(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    back = threading.Thread(target=pump, args=(other, one), daemon=True)
    back.start()
    pump(one, other)
    back.join()
    other.close()


class Proxy(Listener):
    """Every name that it is asked for is this machine. user: "NAME:PASSWORD" that it wants; refusal: what it says
    instead of connecting; slowly: octet by octet."""

    def __init__(self, user=None, refusal=None, slowly=False):
        self.user, self.refusal, self.slowly = user, refusal, slowly
        super().__init__()

    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def say(self, line, octets):
        if not self.slowly:
            line.sendall(octets)
            return
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in octets:
            line.sendall(bytes([octet]))

    def connect(self, line, host, port, answer):
        self.asked.append((host, port))
        server = socket.create_connection(("127.0.0.1", port))
        self.say(line, answer)
        joined(line, server)


class Socks5(Proxy):
    scheme = "socks5h"

    def deal(self, line):
        version, count = exactly(line, 2)
        methods = exactly(line, count)
        wanted = 2 if self.user else 0
        assert version == 5
        if wanted not in methods:
            self.say(line, b"\5\xff")
            return
        self.say(line, bytes([5, wanted]))
        if self.user:
            size = exactly(line, 2)[1]
            name = exactly(line, size)
            password = exactly(line, exactly(line, 1)[0])
            good = (name + b":" + password).decode() == self.user
            self.say(line, b"\1\0" if good else b"\1\1")
            if not good:
                return
        _, _, _, kind = exactly(line, 4)
        size = {1: 4, 4: 16}.get(kind) or exactly(line, 1)[0]
        host = exactly(line, size)
        (port,) = struct.unpack(">H", exactly(line, 2))
        if self.refusal:
            self.say(line, self.refusal)
        else:
            self.connect(line, host.decode(), port, b"\5\0\0\1\0\0\0\0\0\0")


class HttpProxy(Proxy):
    scheme = "http"

    def deal(self, line):
        asked = b""
        while not asked.endswith(b"\r\n\r\n"):
            asked += exactly(line, 1)
        first, *fields = asked.decode().split("\r\n")
        method, where, _ = first.split(" ")
        assert method == "CONNECT" and f"Host: {where}" in fields
        wanted = self.user and "Proxy-Authorization: Basic " + base64.b64encode(self.user.encode()).decode()
        if wanted and wanted not in fields:
            self.say(line, b"HTTP/1.1 407 Who are you?\r\nProxy-Authenticate: Basic\r\n\r\n")
        elif self.refusal:
            self.say(line, self.refusal)
        else:
            host, port = where.rsplit(":", 1)
            self.connect(line, host, int(port), b"HTTP/1.1 200 OK\r\nVia: test\r\n\r\n")


class HangsUp(Listener):
    """Takes connections, and ends them; how many there were."""

    def deal(self, line):
        self.asked.append(line)
        exactly(line, 1)


@contextlib.contextmanager
def silent():
    """The port of a listener whose queue is full: who connects hears nothing, as of a host behind a filter."""
    with contextlib.ExitStack() as crowd:
        listener = crowd.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(8):
            one = crowd.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


class Dns:
    """Of its own loopback address, port 53: SRV records (priority, weight, port, target), by name; other names, and
    other types, are not there."""

    def __init__(self, records):
        self.records = records
        self.asked = []
        self.address = f"127.77.{random.randrange(256)}.{random.randrange(1, 255)}"
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((self.address, 53))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                query, whence = self.socket.recvfrom(4096)
                self.socket.sendto(self.answer(query), whence)

    def answer(self, query):
        labels, at = [], 12
        while size := query[at]:
            labels.append(query[at + 1 : at + 1 + size].decode())
            at += 1 + size
        end = at + 5
        (kind,) = struct.unpack(">H", query[at + 1 : at + 3])
        name = ".".join(labels)
        self.asked.append(name)
        found = self.records.get(name, []) if kind == 33 else []
        answers = b""
        for priority, weight, port, target in found:
            data = struct.pack(">HHH", priority, weight, port)
            data += b"".join(bytes([len(label)]) + label.encode() for label in target.split(".")) + b"\0"
            answers += b"\xc0\x0c" + struct.pack(">HHIH", 33, 1, 0, len(data)) + data
        flags = 0x8180 if found else 0x8183
        return query[:2] + struct.pack(">HHHHH", flags, 1, len(found), 0, 0) + query[12:end] + answers

    def close(self):
        self.socket.close()


def under_names(tmp, hosts="", dns=None):
    """The words to put before a command that shall know these hosts, and ask that DNS: in a mount namespace of its own."""
    script = 'mount --bind "$1" /etc/hosts && mount --bind "$2" /etc/resolv.conf && shift 2 && exec "$@"'
    (tmp / "hosts").write_text(hosts)
    (tmp / "resolv").write_text(f"nameserver {dns.address if dns else '127.77.0.0'}\noptions timeout:1 attempts:1\n")
    words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", tmp / "hosts", tmp / "resolv"]
    if subprocess.run([*words, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("not allowed to mount")
    return words
