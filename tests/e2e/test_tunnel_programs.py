"""Real programs through a tunnel: each as it is used every day, and none of them knows."""

import asyncio
import functools
import http.server
import json
import os
import random
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from live import free_port, until
from shells import run, ssh, sshd, up
from tunnels import Tunnels, connected, ports

MANY = 8 << 20


@pytest.fixture
def tunnels(world):
    made = Tunnels(world)
    yield made
    made.close()


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


# --- ssh and rsync


@pytest.fixture
def shell(tunnels, tmp_path):
    """An sshd of our own, and the words with which ssh gets there by `connect`."""
    port = sshd(tunnels.world, tmp_path)
    tunnels.serve(f"localhost:{port}")
    return ssh(tmp_path, tunnels.world.ann, "bob", port)


def test_ssh_by_way_of_connect(shell):
    assert run(*shell, "there", "echo", "from afar") == b"from afar\n"
    data = noise(MANY)
    assert run(*shell, "there", "cat", input=data, stdin=None) == data
    done = subprocess.run([*shell, "there", "exit 7"], stdin=subprocess.DEVNULL, timeout=60, check=False)
    assert done.returncode == 7


def test_rsync_by_way_of_ssh(shell, tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "deep").mkdir(parents=True)
    (source / "large").write_bytes(noise(MANY))
    for number in range(50):
        (source / "deep" / f"{number}").write_bytes(noise(number * 100, number))
    for _ in range(2):
        run("rsync", "-a", "-e", " ".join(shell), f"{source}/", f"there:{target}/")
        assert run("diff", "-r", source, target) == b""
        (source / "deep" / "1").write_bytes(b"changed")


# --- curl


@pytest.fixture
def web(tmp_path):
    """A web server with a large file: its port."""
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "large").write_bytes(noise(MANY))

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=tmp_path / "web")
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def test_curl(tunnels, web):
    _, _, local = tunnels.to(web)
    assert run("curl", "-sS", "--fail", f"http://127.0.0.1:{local}/large") == noise(MANY)
    urls = [f"http://127.0.0.1:{local}/large?{number}" for number in range(8)]
    got = run("curl", "-sS", "--fail", "--parallel", "--no-progress-meter", *urls)
    assert len(got) == 8 * MANY  # in which order their pieces come is not said


def test_curl_by_way_of_socks_with_the_name_looked_up_over_there(tunnels, web):
    tunnels.serve(f"localhost:{web}")
    forwarding = tunnels.forward("-D", "0")
    forwarding.says("connected with bob")
    proxy = ports(forwarding)[0]
    assert run("curl", "-sS", "--fail", "-x", f"socks5h://127.0.0.1:{proxy}", f"http://localhost:{web}/large") == noise(
        MANY
    )
    done = subprocess.run(
        ["curl", "-sS", "-x", f"socks5h://127.0.0.1:{proxy}", f"http://127.0.0.1:{web}/large"],
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 97 and b"(2)" in done.stderr  # not allowed by ruleset


# --- databases, repositories


@pytest.fixture
def database(tunnels, open_tmp):
    """A PostgreSQL of our own, which does not run as root: its port."""
    programs = next(Path("/usr/lib/postgresql").glob("*/bin"))
    under = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
    place, port = open_tmp / "database", free_port()
    place.mkdir(mode=0o700)
    if under:
        shutil.chown(place, "nobody", "nogroup")
    run(*under, programs / "initdb", "-D", place, "-U", "someone", "-A", "trust", "--no-sync", "--locale=C", cwd="/")
    settings = ["-c", "fsync=off", "-c", f"unix_socket_directories={place}", "-c", "listen_addresses=127.0.0.1"]
    running = up(tunnels.world, [*under, programs / "postgres", "-D", place, "-p", port, *settings], port, cwd="/")
    yield port
    running.process.terminate()
    running.process.wait(30)


def test_psql(tunnels, database):
    _, _, local = tunnels.to(database)
    base = ["psql", "-h", "127.0.0.1", "-p", local, "-U", "someone", "-d", "postgres", "-v", "ON_ERROR_STOP=1", "-At"]
    sql = (
        "CREATE TABLE t AS SELECT n, md5(n::text) AS h FROM generate_series(1, 50000) n;"
        "SELECT count(*), sum(length(h)) FROM t;"
    )
    assert b"50000|1600000" in run(*base, "-c", sql)
    rows = run(*base, "-c", "COPY t TO STDOUT")
    assert len(rows.splitlines()) == 50000
    run(*base, "-c", "CREATE TABLE back (n int, h text)")
    run(*base, "-c", "COPY back FROM STDIN", input=rows, stdin=None)
    assert run(*base, "-c", "SELECT count(*) FROM t JOIN back USING (n, h)") == b"50000\n"


def test_git_clone(tunnels, tmp_path):
    port, origin, copy = free_port(), tmp_path / "origin", tmp_path / "copy"
    author = ["-c", "user.name=ann", "-c", "user.email=ann@example"]
    run("git", "init", "-q", origin)
    for number in range(20):
        (origin / f"{number}").write_bytes(noise(50000, number))
        run("git", "-C", origin, "add", "-A")
        run("git", "-C", origin, *author, "commit", "-q", "-m", f"{number}")
    program = Path(run("git", "--exec-path", text=True).strip()) / "git-daemon"  # else it is a child, which stays
    daemon = [program, "--export-all", "--listen=127.0.0.1", f"--port={port}", f"--base-path={tmp_path}"]
    up(tunnels.world, daemon, port)
    _, _, local = tunnels.to(port)
    run("git", "clone", "-q", f"git://127.0.0.1:{local}/origin", copy)
    assert run("git", "-C", copy, "rev-parse", "HEAD") == run("git", "-C", origin, "rev-parse", "HEAD")
    run("git", "-C", copy, "fsck", "--strict")


# --- many connections, and datagrams


def measuring(world):
    """The port of an iperf3 that serves; one who merely connects would keep it busy."""
    port = free_port()
    server = world.run_program(["iperf3", "-s", "--forceflush", "-p", port, "-B", "127.0.0.1"])
    until(lambda: b"Server listening" in server.got() or server.process.poll() is not None, "it listens")
    return port


@pytest.mark.parametrize("words", [["-P", "4"], ["-P", "4", "-R"], ["--bidir"]])
def test_iperf3(tunnels, words):
    port = measuring(tunnels.world)
    _, _, local = tunnels.to(port)
    told = json.loads(run("iperf3", "-c", "127.0.0.1", "-p", local, "-n", "40M", "-J", *words))
    # of both ways together so much is sent; what the last octets became it does not wait to see
    assert told["end"]["sum_sent"]["bytes"] > 10_000_000 and told["end"]["sum_received"]["bytes"] > 1_000_000


def test_iperf3_with_datagrams(tunnels):
    port, local = measuring(tunnels.world), free_port()
    tunnels.serve(f"127.0.0.1:{port}", f"udp:127.0.0.1:{port}")
    forwarding = tunnels.forward(
        "-L", f"127.0.0.1:{local}:127.0.0.1:{port}", "-L", f"udp:127.0.0.1:{local}:127.0.0.1:{port}"
    )
    forwarding.says("connected with bob")
    told = json.loads(run("iperf3", "-u", "-c", "127.0.0.1", "-p", local, "-b", "20M", "-t", "1", "-J"))
    assert told["end"]["sum"]["packets"] > 20 and told["end"]["sum"]["lost_percent"] < 50


# --- a browser

PAGE = """<!DOCTYPE html><script>
const socket = new WebSocket(location.href.replace("http", "ws") + "socket");
let count = 0;
socket.onopen = () => { for (let i = 0; i < 200; i++) socket.send("x".repeat(i * 100)); };
socket.onmessage = message => {
  if (message.data !== "x".repeat(count * 100)) socket.send("wrong: " + count);
  else if (++count === 200) socket.send("done");
};
</script>"""


def test_a_page_with_a_web_socket_in_a_browser(tunnels, tmp_path):
    import websockets  # the package of Debian's Python

    heard = []

    async def page(path, headers):
        if path == "/":
            return http.HTTPStatus.OK, [("Content-Type", "text/html")], PAGE.encode()
        return None if path == "/socket" else (http.HTTPStatus.NOT_FOUND, [], b"")

    async def talk(socket):
        async for message in socket:
            if message[:1] == "x" or not message:
                await socket.send(message)
            else:
                heard.append(message)

    async def main():
        nonlocal ready
        async with websockets.serve(talk, "127.0.0.1", 0, process_request=page) as server:
            ready = server.sockets[0].getsockname()[1]
            await stopped.wait()

    ready, stopped, loop = None, asyncio.Event(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(main(),), daemon=True)
    thread.start()
    until(lambda: ready, "the page is served")
    _, _, local = tunnels.to(ready)
    browser = tunnels.world.run_program(  # itself: the script in PATH would leave it behind
        ["/usr/lib/chromium/chromium-headless-shell", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
         "--disable-dev-shm-usage", "--remote-debugging-port=0", f"--user-data-dir={tmp_path}/profile",
         f"http://127.0.0.1:{local}/"],
        env={"HOME": str(tmp_path)},
    )  # fmt: skip
    until(lambda: heard or browser.process.poll() is not None, "the page has said that all has come back")
    assert heard == ["done"], browser.said()
    browser.process.terminate()
    browser.process.wait(30)
    loop.call_soon_threadsafe(stopped.set)
    thread.join(30)
    loop.close()
