"""A line between subscribers and the server that records, cuts, flips, slices and mixes up."""

import contextlib
import random
import select
import socket
import threading

from ctl_helper import reached_at
from live import World

UP, DOWN = "up", "down"
MESSAGE_SIZE = 1024  # PROTOCOL.md 3
PROLOGUE_SIZE = 2 + 4096
ANSWER_SIZE = 1280
ASKED = 3 * MESSAGE_SIZE  # HELLO, REGISTER and READY, where nothing else is said
CALLED = 12000  # of each end, at the most, before a call is open
RESET = b"\1\0\0\0\0\0\0\0"  # SO_LINGER: to be closed with an RST


class Line:
    """One connection through the proxy."""

    def __init__(self, owner, client, server):
        self.owner = owner
        self.client, self.server = client, server
        self.passed = {UP: bytearray(), DOWN: bytearray()}  # as it was sent, before anything was done to it
        self.count = {UP: 0, DOWN: 0}  # octets of that, which need not be kept
        self.mate = None  # the line whose server end takes our octets, and the other way round
        self.silent = set()  # ways in which neither octets nor an end come through any more
        self.was_ended = self.was_reset = False

    def end(self):
        """Both ends see an end."""
        self.was_ended = True
        for end in (self.client, self.server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def reset(self):
        """Both ends see an RST, and nothing before it."""
        self.was_reset = True
        for end in (self.client, self.server):
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                end.shutdown(socket.SHUT_RD)  # says nothing to the other side, but wakes who reads here
            end.close()


class Proxy:
    """Ports of 127.0.0.1, one for each owner, before a server. `change(line, way, data)` is called for
    all that passes and answers what shall go on, or None to cut the line. keep: what passes is remembered."""

    def __init__(self, port, keep=True):
        self.target = port
        self.keep = keep
        self.lines = []
        self.change = None
        self.slices = None  # else the random numbers by which all is cut into pieces of a few octets
        self.cut = Line.end  # or Line.reset
        self.lock = threading.Lock()
        self.listeners = []
        self.threads = []

    def run(self, function, *args):
        thread = threading.Thread(target=function, args=args, daemon=True)
        self.threads.append(thread)
        thread.start()

    def before(self, person):
        """A port for this person."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.listeners.append(listener)
        reached_at(person.home / "fingerprint", listener.getsockname()[1])
        self.run(self.accept, listener, person.name)
        return person

    def accept(self, listener, owner):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target), 10)
                server.settimeout(None)
            except OSError:
                client.close()
                continue
            line = Line(owner, client, server)
            with self.lock:
                self.lines = [one for one in self.lines if not one.was_reset] + [line]
            self.run(self.pump, line, UP)
            self.run(self.pump, line, DOWN)

    def pump(self, line, way):
        source = line.client if way == UP else line.server
        try:
            while data := source.recv(65536):
                go_on = self.change(line, way, data) if self.change else data
                line.count[way] += len(data)
                if self.keep:
                    line.passed[way] += data
                if go_on is None:
                    self.cut(line)
                    break
                if way not in line.silent:
                    self.forward(line, way, go_on)
            else:
                if not line.was_reset and way not in line.silent:
                    self.sink(line, way).shutdown(socket.SHUT_WR)
        except OSError:  # broken at the one end, so at the other; whichever way finds that
            if way not in line.silent and not line.was_ended and not line.was_reset:
                line.reset()

    def sink(self, line, way):
        to = line.mate or line
        return to.server if way == UP else to.client

    def forward(self, line, way, data):
        sink = self.sink(line, way)
        if not self.slices:
            self.put(line, sink, data)
            return
        sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data:
            size = self.slices.choice((1, 2, 3, 5, 16, 40, 300))
            self.put(line, sink, data[:size])
            data = data[size:]

    @staticmethod
    def put(line, sink, data):
        """All of it, but never so that a reset has to wait for it."""
        data = memoryview(data)
        while data:
            try:
                data = data[sink.send(data, socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                with contextlib.suppress(ValueError):  # it was closed meanwhile
                    select.select([], [sink], [], 0.05)

    def of(self, owner):
        """The lines of a person, oldest first."""
        with self.lock:
            return [line for line in self.lines if line.owner == owner]

    def reset(self):
        with self.lock:
            self.lines, self.change, self.slices, self.cut = [], None, None, Line.end

    def close(self):
        for listener in self.listeners:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for line in self.lines:
            line.end()
        for thread in self.threads:
            thread.join(10)
        for line in self.lines:
            line.client.close()
            line.server.close()


@contextlib.contextmanager
def tapped(tmp, configuration="", names=(), keep=True):
    """A server, a proxy before it, and a pair who know only that."""
    world = World(tmp).serve(configuration)
    proxy = Proxy(world.port, keep)
    try:
        yield (world, proxy, *map(proxy.before, world.pair(*names)))
    finally:
        world.close()
        proxy.close()


class Cutter:
    """Cuts the line in hand whenever so many octets have passed since the last time, as often as it is told; one of
    `early` lines before its call is open, if that is not 0."""

    def __init__(self, times, size, seed, early=0):
        self.dice = random.Random(seed)
        self.left, self.size, self.early = times, size, early
        self.early_of = {}
        self.lock = threading.Lock()
        self.next()

    def next(self):
        self.until = self.dice.randrange(1, 2 * self.size)

    def is_early(self, line):
        """Whether its time has come before its call is open."""
        if line not in self.early_of:
            chosen = self.early and self.dice.randrange(self.early) == 0
            self.early_of[line] = self.dice.randrange(CALLED) if chosen else CALLED
        return sum(line.count.values()) > self.early_of[line] < CALLED

    def __call__(self, line, way, data):
        with self.lock:
            if self.left == 0:
                return data
            if not self.is_early(line):
                if line.count[UP] < CALLED:
                    return data
                self.until -= len(data)
                if self.until > 0:
                    return data
                self.next()
            self.left -= 1
            return None


class Mixer(Proxy):
    """Joins the wrong two: the lines of two owners are exchanged where READY has been sent, so that each
    prologue reaches one of the other pair. As often as `times` says."""

    def __init__(self, port, owners, times):
        super().__init__(port)
        self.owners, self.times = owners, times
        self.mixed = 0
        self.changed = threading.Condition()
        self.ready = {}

    def forward(self, line, way, data):
        done = len(line.passed[UP])
        if way == UP and line.mate is None and done - len(data) < ASKED <= done and line.owner in self.owners:
            behind = done - ASKED
            line.server.sendall(data[: len(data) - behind])
            data = data[len(data) - behind :]
            self.meet(line)
        if data:
            super().forward(line, way, data)

    def meet(self, line):
        """Wait for the line of the other owner, and become its mate."""
        with self.changed:
            if self.mixed >= self.times:
                return
            self.ready[line.owner] = line
            if len(self.ready) == 2:
                one, other = self.ready.values()
                one.mate, other.mate = other, one
                self.ready = {}
                self.mixed += 1
                self.changed.notify_all()
            else:
                self.changed.wait_for(lambda: line.mate is not None, 2)
                if line.mate is None:
                    self.ready.pop(line.owner, None)
