"""What the benches have in common: this build, this machine."""
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

BUILD = Path(os.environ.get("CYPHERNET_BUILD", Path(__file__).parent.parent / "build")).resolve()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def same_congestion_control():
    """In a network namespace of our own, where every socket gets cubic; needs root."""
    if os.environ.get("CN_BENCH_INSIDE"):
        return
    command = ("ip link set lo up; for to in 127.0.0.0/8 127.0.0.1; do ip route replace table local "
               "local $to dev lo proto kernel scope host src 127.0.0.1 congctl cubic; done; exec \"$@\"")
    inside = dict(os.environ, CN_BENCH_INSIDE="1")
    probe = subprocess.run(["unshare", "-n", "sh", "-ec", command, "sh", "true"],
                           capture_output=True, check=False)
    if probe.returncode == 0:
        os.execvpe("unshare", ["unshare", "-n", "sh", "-ec", command, "sh", sys.executable,
                               *sys.argv], inside)
    print("no namespace to be had: the system's congestion control is used for all")


def ticks():
    """Of all processors since the start, by what they did: proc(5), /proc/stat."""
    with open("/proc/stat", encoding="ascii") as stat:
        return [int(field) for field in stat.readline().split()[1:]]


def steal():
    fields = ticks()
    return fields[7] if len(fields) > 7 else 0


def busy_cores(seconds):
    """How many were at work meanwhile, on the average."""
    before = ticks()
    time.sleep(seconds)
    spent = [after - was for was, after in zip(before, ticks())]
    return (sum(spent[:3]) + sum(spent[5:7])) / os.sysconf("SC_CLK_TCK") / seconds


def system_call_us(count=1000, tries=20):
    """What the cheapest one takes, at its best. Above 3: somebody traces them all, and every figure is worthless."""
    def once():
        began = time.perf_counter()
        for _ in range(count):
            os.getppid()
        return (time.perf_counter() - began) / count * 1e6

    return min(once() for _ in range(tries))
