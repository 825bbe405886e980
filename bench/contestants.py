"""The relays of ./run bench server: how each is set up, started and ended, and what it uses."""
import contextlib
import ctypes
import os
import resource
import select
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from machine import BUILD, free_port

START_LIMIT_S = 20
STOP_LIMIT_S = 10
PR_SET_PDEATHSIG = 1


def all_files():
    """As many descriptors as the system lets us have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def tree(pid):
    """The process and all that it has started."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                stat = (entry / "stat").read_text(encoding="ascii", errors="replace")
                parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def user_memory(pids):
    """KiB: anonymous and shared memory in proportion, without the files of programs and libraries."""
    kib = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith(("Pss_Anon:", "Pss_Shmem:")):
                kib += int(line.split()[1])
    return kib


def on_cores(cores):
    """For preexec_fn: there, and not longer than we."""
    libc = ctypes.CDLL(None)

    def prepare():
        os.sched_setaffinity(0, cores)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

    return prepare


class Relay:
    """One relay that runs. calls: how many it must take at once."""
    program = None  # without it there is none
    needs = None  # a file that it does not work without
    package = None
    driven = None  # how calls come about, for the driver: this and the port

    def __init__(self, place, calls, cores):
        self.place = place
        self.calls = calls
        self.cores = cores
        self.port = free_port()
        self.process = None
        place.mkdir()

    @classmethod
    def is_there(cls):
        return (not cls.program or bool(shutil.which(cls.program, path=f"{os.environ['PATH']}:/usr/sbin"))) and \
            (not cls.needs or Path(cls.needs).exists())

    @classmethod
    def version(cls):
        if not cls.package:
            return ""
        return subprocess.run(["dpkg-query", "-W", "-f", "${Version}", cls.package], capture_output=True, text=True,
                              check=False).stdout

    def way(self):
        return [self.driven, self.port]

    def command(self):
        """None: there is nothing to start."""
        return None

    def start(self):
        command = self.command()
        if command:
            self.spawn(command)
            self.wait_for_port()

    def spawn(self, command, **options):
        with open(self.place / "said", "ab") as said:
            self.process = subprocess.Popen(
                [*map(str, command)], cwd=self.place, stdin=subprocess.DEVNULL, stderr=said,
                preexec_fn=on_cores(self.cores), **{"stdout": said, **options})

    def wait_for_port(self):
        end = time.monotonic() + START_LIMIT_S
        while time.monotonic() < end and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise self.failure("does not start")

    def failure(self, what):
        said = (self.place / "said").read_text(errors="replace")[-1000:]
        return RuntimeError(f"{self.name} {what}: {said}")

    def pids(self):
        return tree(self.process.pid) if self.process else []

    def stop(self):
        if not self.process:
            return
        pids = self.pids()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait()
        self.process = None


class Loopback(Relay):
    key = "loopback"
    name = "no relay: loopback"
    driven = "direct"


class Cyphernet(Relay):
    key = "cyphernet"
    name = "cyphernetd"
    one_worker = "[calls]\nworkers = 1\n"
    lines_max = 16384  # as it comes

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.directory = self.place / "server"
        self.ctl("init", "--listen", f"127.0.0.1:{self.port}")
        for one in ("ann", "bob"):
            self.ctl("invite", one, "-o", self.place / f"{one}.fp")

    def ctl(self, *words):
        subprocess.run([BUILD / "cyphernetctl", "--dir", self.directory, "-q", *words], check=True)

    def way(self):
        return ["cyphernet", self.port, self.place / "ann.fp", self.place / "bob.fp"]

    def start(self):
        """With one worker, and room for all calls of these two, if it knows of that."""
        lines = max(2 * self.calls, self.lines_max)
        room = f"[waiting]\nlines_max = {lines}\n"
        of_each = f"lines_max_per_subscriber = {lines}\n"
        for configuration in (self.one_worker + room + of_each, self.one_worker + room, room):
            (self.directory / "cyphernetd.conf").write_text(configuration)
            if self.is_ready():
                return
        raise self.failure("does not start")

    def is_ready(self):
        self.spawn([BUILD / "cyphernetd", "--dir", self.directory], stdout=subprocess.PIPE)
        if select.select([self.process.stdout], [], [], START_LIMIT_S)[0] and \
                b"ready" in self.process.stdout.readline():
            return True
        self.stop()
        return False


class Proxy(Relay):
    """Of TCP: its other side is the driver."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.back = free_port()

    def way(self):
        return ["proxy", self.port, self.back]


class HaProxy(Proxy):
    key = "haproxy"
    name = "HAProxy, 64 KiB buffers"
    program = package = "haproxy"
    settings = ""
    options = ""

    def command(self):
        (self.place / "haproxy.cfg").write_text(f"""global
    nbthread 1
    maxconn {self.calls}
    tune.bufsize 65536
{self.settings}
defaults
    mode tcp
    maxconn {self.calls}
    backlog 4096
    timeout connect 10s
    timeout client 1h
    timeout server 1h
{self.options}
listen relay
    bind 127.0.0.1:{self.port}
    server driver 127.0.0.1:{self.back}
""")
        return [shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin"), "-q", "-db", "-f", "haproxy.cfg"]


class HaProxySplice(HaProxy):
    """splice-auto never splices here."""
    key = "haproxy-splice"
    name = "HAProxy, splice forced"
    settings = "    tune.pipesize 1048576\n    maxpipes 200\n"
    options = "    option splice-request\n    option splice-response\n"


class Nginx(Proxy):
    key = "nginx"
    name = "nginx stream, 64 KiB"
    program = package = "nginx"
    needs = "/usr/lib/nginx/modules/ngx_stream_module.so"

    def command(self):
        (self.place / "nginx.conf").write_text(f"""
load_module {self.needs};
daemon off;
pid {self.place}/nginx.pid;
error_log stderr error;
worker_processes 1;
worker_rlimit_nofile {2 * self.calls + 200};
events {{ worker_connections {2 * self.calls + 100}; }}
stream {{
    server {{
        listen 127.0.0.1:{self.port} backlog=4096;
        proxy_pass 127.0.0.1:{self.back};
        proxy_buffer_size 64k;
        proxy_connect_timeout 10s;
        proxy_timeout 1h;
    }}
}}
""")
        return [shutil.which("nginx", path="/usr/sbin:/usr/local/sbin"), "-q", "-p", self.place, "-c", "nginx.conf"]


class Strelay(Relay):
    key = "strelaysrv"
    name = "strelaysrv (Syncthing)"
    program = "strelaysrv"
    package = "syncthing-relaysrv"
    driven = "strelay"

    def command(self):
        return ["strelaysrv", "-pools=", "-status-srv=", "-keys=.", "-protocol=tcp4", f"-listen=127.0.0.1:{self.port}",
                "-network-timeout=1h"]


class TransitRelay(Relay):
    key = "transit"
    name = "transit relay (wormhole)"
    program = "twist3"
    package = "magic-wormhole-transit-relay"
    needs = "/usr/lib/python3/dist-packages/wormhole_transit_relay"
    driven = "transit"

    def command(self):
        return ["twist3", "--log-level=error", "transitrelay",
                f"--port=tcp:{self.port}:interface=127.0.0.1:backlog=4096"]


class UringCopy(Relay):
    """Ours, but no part of the server: what a relay on io_uring would do."""
    key = "uring-copy"
    name = "io_uring, copying"
    mode = "copy"
    package = "liburing-dev"

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.back = free_port()

    def way(self):
        return ["proxy", self.port, self.back]

    def command(self):
        return [BUILD / "bench" / "relay" / "uring", self.mode, self.port, self.back, self.calls]

    @classmethod
    def is_there(cls):
        return (BUILD / "bench" / "relay" / "uring").exists()


class UringSplice(UringCopy):
    key = "uring-splice"
    name = "io_uring, splicing"
    mode = "splice"


ALL = [Cyphernet, HaProxy, HaProxySplice, Nginx, Strelay, TransitRelay, Loopback]
IF_ASKED = [UringCopy, UringSplice]
