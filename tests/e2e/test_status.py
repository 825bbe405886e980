"""`cyphernetctl status`: each worker, rates, and --watch."""

import json
import os
import pty
import signal
import termios

from ctl_helper import BUILD
from lines import Line, call_of, invited, status
from live import until

MUCH = 3_000_000


def test_each_worker_tells_of_itself_and_how_fast_it_is(own):
    own.serve("[calls]\nworkers = 2\n")
    calls = [call_of(own, tag=f"{i:02x}" + 31 * "01") for i in range(2)]
    one, other = calls[0]
    one.tell("flow", MUCH)
    other.tell("check", MUCH, 60000)
    assert other.answer() == f"got {MUCH} whole"
    assert one.answer() == f"ok {MUCH}"
    now = status(own)
    workers = now["worker_list"]
    assert [worker["number"] for worker in workers] == [0, 1]
    assert not any(worker["draining"] for worker in workers)
    for member in ("calls", "calls_total", "bytes", "pipes"):
        assert sum(worker[member] for worker in workers) == now[member], member
    assert now["bytes_per_s"] > 0, "the window has just begun"
    assert sum(worker["bytes_per_s"] for worker in workers) > 0
    own.server.signal(signal.SIGUSR2)
    until(lambda: len(status(own)["worker_list"]) == 4, "others have come beside them")
    drained = [worker["number"] for worker in status(own)["worker_list"] if worker["draining"]]
    assert drained == [0, 1]
    assert "draining" in own.ctl.ok("status").stdout


def watch(own, **options):
    return own.run_program([BUILD / "cyphernetctl", "--dir", own.ctl.dir, "status", "--watch", *options.pop("words", ())], **options)


def test_watch_tells_again_and_again_until_the_server_ends(own):
    own.serve()
    text, lines = watch(own), watch(own, words=["--json"])
    until(lambda: text.got().count(b"\nwaiting") >= 3, "it has asked three times")
    until(lambda: lines.got().count(b"\n") >= 3, "the other, too")
    assert b"\x1b" not in text.got()
    for line in lines.got().splitlines()[:3]:
        assert json.loads(line)["event"] == "status"
    own.server.signal(signal.SIGTERM)
    own.server.end(0)
    text.end(1)
    lines.end(1)
    assert "no server runs" in text.said()


def test_on_a_terminal_it_redraws_in_place(own):
    own.serve()
    master, slave = pty.openpty()
    watching = watch(own, stdout=slave)
    os.close(slave)
    seen = b""
    while seen.count(b"\x1b[H\x1b[J") < 3:
        seen += os.read(master, 65536)
    assert seen.startswith(b"\x1b[H\x1b[J")
    assert all(part.startswith(b"up ") for part in seen.split(b"\x1b[H\x1b[J")[1:-1])
    watching.stop()
    os.close(master)


def screens(master, count):
    """What was drawn, whole, so many times from now on."""
    seen = b""
    while seen.count(b"\x1b[H\x1b[J") <= count:
        seen += os.read(master, 65536)
    return [part.decode().split("\r\n") for part in seen.split(b"\x1b[H\x1b[J")[1 : count + 1]]


def test_a_terminal_gets_no_more_than_it_has_room_for(own):
    """Else it scrolls, and nothing is in place."""
    own.serve()
    for i in range(25):
        Line(own, invited(own)).wait("input", f"{i:02x}" + 31 * "00")
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (15, 80))
    watching = watch(own, stdout=slave)
    for screen in screens(master, 2):
        assert len(screen) == 15 and screen[-1] == ""
        assert screen[0].startswith("up ") and screen[-2].startswith("and ") and screen[-2].endswith(" more lines")
    termios.tcsetwinsize(slave, (50, 20))
    screen = screens(master, 2)[1]
    assert len(screen) < 50 and screen[-1] == "" and "more lines" not in screen[-2]
    assert sum(line.startswith("subscriber-") for line in screen) == 25
    assert max(map(len, screen)) == 20
    termios.tcsetwinsize(slave, (50, 100))
    assert max(map(len, screens(master, 2)[1])) > 20
    os.close(slave)
    watching.stop()
    os.close(master)


def test_watch_ends_when_nobody_reads(own):
    own.serve()
    read, write = os.pipe()
    watching = watch(own, stdout=write)
    os.close(write)
    os.read(read, 100)
    os.close(read)
    watching.end(limit=20)
