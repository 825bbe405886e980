"""A line between subscribers and the server that records, cuts, flips and mixes up."""

import contextlib
import socket
import threading

from ctl_helper import reached_at

UP, DOWN = "up", "down"
MESSAGE_SIZE = 1024  # PROTOCOL.md 3
PROLOGUE_SIZE = 2 + 4096
ANSWER_SIZE = 1280
ASKED = 3 * MESSAGE_SIZE  # HELLO, REGISTER and READY, where nothing else is said


class Line:
    """One connection through the proxy."""

    def __init__(self, owner, client, server):
        self.owner = owner
        self.client, self.server = client, server
        self.passed = {UP: bytearray(), DOWN: bytearray()}  # as it was sent, before anything was done to it
        self.mate = None  # the line whose server end takes our octets, and the other way round

    def end(self):
        for end in (self.client, self.server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class Proxy:
    """Ports of 127.0.0.1, one for each owner, before a server. `change(line, way, data)` is called for
    all that passes and answers what shall go on, or None to cut the line."""

    def __init__(self, port):
        self.target = port
        self.lines = []
        self.change = None
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
                self.lines.append(line)
            self.run(self.pump, line, UP)
            self.run(self.pump, line, DOWN)

    def pump(self, line, way):
        source = line.client if way == UP else line.server
        try:
            while data := source.recv(65536):
                go_on = self.change(line, way, data) if self.change else data
                line.passed[way] += data
                if go_on is None:
                    line.end()
                    break
                self.forward(line, way, go_on)
            else:
                self.sink(line, way).shutdown(socket.SHUT_WR)
        except OSError:
            line.end()

    def sink(self, line, way):
        to = line.mate or line
        return to.server if way == UP else to.client

    def forward(self, line, way, data):
        self.sink(line, way).sendall(data)

    def of(self, owner):
        """The lines of a person, oldest first."""
        with self.lock:
            return [line for line in self.lines if line.owner == owner]

    def reset(self):
        with self.lock:
            self.lines, self.change = [], None

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
