"""Two network namespaces and a wire between them, which may be slow, be pulled out, and lead to other addresses."""

import contextlib
import heapq
import os
import select
import socket
import subprocess
import sys
import threading
import time

import pytest

NAME = "wire"

# Run in a namespace of its own: makes an interface of packets, hands it over, and stays until its input ends.
INSIDE = """
import fcntl, os, socket, struct, subprocess, sys
device = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(device, 0x400454CA, struct.pack("16sH22x", b"wire", 0x1001))  # TUNSETIFF: IFF_TUN, IFF_NO_PI
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
subprocess.run(["ip", "link", "set", "wire", "up"], check=True)
socket.send_fds(socket.socket(fileno=int(sys.argv[1])), [b"x"], [device])
os.close(device)
sys.stdin.read()
"""


class Namespace:
    """One end."""

    def __init__(self):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            self.process = subprocess.Popen(
                ["unshare", "--net", sys.executable, "-c", INSIDE, str(theirs.fileno())],
                stdin=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=[theirs.fileno()])
            theirs.close()
            data, fds, _, _ = socket.recv_fds(ours, 1, 1)
        self.device = fds[0] if fds else None
        if not data:
            self.why = self.process.stderr.read().decode().strip().splitlines()[-1:]
            self.process.wait()

    def under(self):
        """The words to put before a command that shall be run in it."""
        return ["nsenter", f"--net=/proc/{self.process.pid}/ns/net"]

    def ip(self, *words):
        subprocess.run([*self.under(), "ip", *words], check=True, capture_output=True)

    def close(self):
        if self.device is not None:
            os.close(self.device)
        self.process.stdin.close()
        self.process.stderr.close()
        self.process.wait()


class Wire:
    """Packets go from one end to the other, after a delay, unless it is pulled out."""

    def __init__(self, delay_s=0):
        self.ends = [Namespace(), Namespace()]
        self.delay_s = delay_s
        self.pulled = False
        self.over = False
        self.thread = threading.Thread(target=self.carry, daemon=True)
        missing = [end.why for end in self.ends if end.device is None]
        if missing:
            self.close()
            pytest.skip(f"no network namespaces with a tun device to be had: {missing[0]}")
        self.thread.start()

    def carry(self):
        devices = [end.device for end in self.ends]
        waiting = []  # due, number, to, packet
        number = 0
        while not self.over:
            wait = max(0, min(0.05, waiting[0][0] - time.monotonic())) if waiting else 0.05
            for device in select.select(devices, [], [], wait)[0]:
                number += 1
                packet = os.read(device, 65536)
                if not self.pulled:
                    to = devices[1 - devices.index(device)]
                    heapq.heappush(waiting, (time.monotonic() + self.delay_s, number, to, packet))
            while waiting and waiting[0][0] <= time.monotonic():
                _, _, to, packet = heapq.heappop(waiting)
                with contextlib.suppress(OSError):  # as a wire does that leads to nowhere
                    os.write(to, packet)

    def close(self):
        self.over = True
        if self.thread.ident:
            self.thread.join()
        for end in self.ends:
            end.close()
