"""./run bench [--size MIB] [--runs N]: a pipe through the server beside ssh, socat and a bare pipeline;
how long a call takes to come about. Interleaved runs, medians, ratios; written to build/bench.json.
The time of each is from the start of its sender to its end, that of ssh with its login, ours with admission and
handshake. All run in a network namespace of their own, where every socket gets cubic."""
import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from machine import BUILD, free_port, same_congestion_control, steal

PIPELINE = BUILD / "bench" / "pipeline"


def peak_mib(process):
    """The most that it has had resident so far; 0 once it has ended."""
    try:
        with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
            peak = [line for line in status if line.startswith("VmHWM")]
    except OSError:
        return 0
    return int(peak[0].split()[1]) / 1024 if peak else 0


def finish(**processes):
    """Wait for all; the largest resident size of each in MiB, sampled beside. A failure ends the bench."""
    peaks = dict.fromkeys(processes, 0)
    over = threading.Event()

    def sample():
        while not over.wait(0.05):
            for name, process in processes.items():
                peaks[name] = max(peaks[name], peak_mib(process))

    sampler = threading.Thread(target=sample)
    sampler.start()
    codes = [process.wait() for process in processes.values()]
    over.set()
    sampler.join()
    for process, code in zip(processes.values(), codes):
        if code:
            sys.exit(f"bench: {process.args} ended with {code}")
    return peaks


class Contestant:
    def __init__(self, place, size):
        self.place = place
        self.size = size
        self.seconds = []
        self.memory = {}

    def zeros(self):
        return subprocess.Popen([PIPELINE, "zeros", str(self.size)], stdout=subprocess.PIPE)

    def remember(self, peaks):
        for name, mib in peaks.items():
            if name != "zeros":
                self.memory[name] = max(self.memory.get(name, 0), mib)

    def stop(self):
        pass


class Cyphernet(Contestant):
    name = "cyphernet pipe"
    words = () # of both pipes

    def __init__(self, place, size):
        super().__init__(place, size)
        self.port = port = free_port()
        ctl = [BUILD / "cyphernetctl", "--dir", place / "server", "-q"]
        subprocess.run([*ctl, "init", "--listen", f"127.0.0.1:{port}"], check=True)
        self.homes = {}
        for one in ("ann", "bob"):
            subprocess.run([*ctl, "invite", one, "-o", place / f"{one}.fp"], check=True)
            self.homes[one] = place / one
            self.run(one, "join", place / f"{one}.fp")
        self.run("ann", "contact", "offer", "bob", "-o", place / "a.card")
        self.run("bob", "contact", "accept", "ann", place / "a.card", "-o", place / "b.card")
        self.run("ann", "contact", "accept", "bob", place / "b.card")
        for one, other in (("ann", "bob"), ("bob", "ann")):
            self.run(one, "contact", "verify", other, "--yes")
        self.server = subprocess.Popen([BUILD / "cyphernetd", "--dir", place / "server"],
                                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.server.stdout.readline()

    def start(self, one, *arguments, **options):
        env = dict(os.environ, CYPHERNET_HOME=str(self.homes[one]))
        return subprocess.Popen([BUILD / "cyphernet", "-q", *arguments], env=env, **options)

    def run(self, one, *arguments):
        process = self.start(one, *arguments, stdout=subprocess.DEVNULL)
        if process.wait():
            sys.exit("bench: setting up failed")

    def once(self):
        sink = self.start("bob", "pipe", "ann", "-n", *self.words, stdout=subprocess.DEVNULL)
        zeros = self.zeros()
        began = time.monotonic()
        source = self.start("ann", "pipe", "bob", *self.words, stdin=zeros.stdout, stdout=subprocess.DEVNULL)
        zeros.stdout.close()
        self.remember(finish(sender=source, receiver=sink, zeros=zeros))
        self.seconds.append(time.monotonic() - began)
        self.remember({"server": peak_mib(self.server)})

    def latency(self, calls):
        lines = subprocess.run([BUILD / "bench" / "latency", self.homes["ann"], "bob",
                                self.homes["bob"], "ann", str(calls)], check=True,
                               capture_output=True, text=True).stdout.split("\n")[:-1]
        return [tuple(map(float, line.split())) for line in lines]

    def stop(self):
        self.server.send_signal(signal.SIGTERM)
        self.server.wait()


class Ssh(Contestant):
    name = "ssh, AES-GCM"

    def __init__(self, place, size):
        super().__init__(place, size)
        self.port = free_port()
        for key in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", place / key],
                           check=True)
        os.rename(place / "user.pub", place / "authorized_keys")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        self.server = subprocess.Popen(
            ["/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-p", str(self.port),
             "-o", f"HostKey={place / 'host'}", "-o", f"AuthorizedKeysFile={place / 'authorized_keys'}",
             "-o", "ListenAddress=127.0.0.1", "-o", "StrictModes=no", "-o", "PidFile=none",
             "-o", "UsePAM=no", "-o", "PermitRootLogin=yes", "-o", "Subsystem=sftp internal-sftp"], stderr=subprocess.DEVNULL)

    def once(self):
        zeros = self.zeros()
        began = time.monotonic()
        for _ in range(50):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                break
            except OSError:
                time.sleep(0.1)
        client = subprocess.Popen(
            ["ssh", "-F", "none", "-q", "-p", str(self.port), "-i", self.place / "user",
             "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
             "-c", "aes256-gcm@openssh.com", "127.0.0.1", "cat > /dev/null"], stdin=zeros.stdout)
        zeros.stdout.close()
        self.remember(finish(client=client, zeros=zeros))
        self.seconds.append(time.monotonic() - began)

    def stop(self):
        self.server.terminate()
        self.server.wait()


class Socat(Contestant):
    """As it comes: blocks of 8 KiB."""
    name = "socat, OpenSSL"
    blocks = []

    def __init__(self, place, size):
        super().__init__(place, size)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj",
                        "/CN=localhost", "-keyout", place / "key.pem", "-out", place / "cert.pem"],
                       check=True, capture_output=True)

    def once(self):
        port = free_port()
        sink = subprocess.Popen(["socat", "-u", *self.blocks,
                                 f"OPENSSL-LISTEN:{port},bind=127.0.0.1,reuseaddr,verify=0,"
                                 f"cert={self.place / 'cert.pem'},key={self.place / 'key.pem'}",
                                 "OPEN:/dev/null"])
        zeros = self.zeros()
        began = time.monotonic()
        source = subprocess.Popen(["socat", "-u", *self.blocks, "-",
                                   f"OPENSSL:127.0.0.1:{port},verify=0,retry=50,interval=0.05"],
                                  stdin=zeros.stdout)
        zeros.stdout.close()
        self.remember(finish(sender=source, receiver=sink, zeros=zeros))
        self.seconds.append(time.monotonic() - began)


class SocatTuned(Socat):
    name = "socat, 64 KiB"
    blocks = ["-b", "65536"]


class Bare(Contestant):
    name = "bare pipeline"

    def once(self):
        ports = [str(free_port()), str(free_port())]
        sink = subprocess.Popen([PIPELINE, "receive", ports[1], str(self.size)], stdout=subprocess.PIPE)
        sink.stdout.readline()
        relay = subprocess.Popen([PIPELINE, "relay", ports[0], ports[1]], stdout=subprocess.PIPE)
        relay.stdout.readline()
        began = time.monotonic()
        source = subprocess.Popen([PIPELINE, "send", ports[0], str(self.size)])
        self.remember(finish(sender=source, relay=relay, receiver=sink))
        self.seconds.append(time.monotonic() - began)


def rate(contestant, i=None):
    seconds = statistics.median(contestant.seconds) if i is None else contestant.seconds[i]
    return contestant.size / seconds / 1e6


def median_ratio(one, other):
    return statistics.median(rate(one, i) / rate(other, i) for i in range(len(one.seconds)))


def main():
    parser = argparse.ArgumentParser(prog="./run bench")
    parser.add_argument("--size", type=int, default=1024, help="MiB through each pipe")
    parser.add_argument("--runs", type=int, default=5, help="of each contestant, interleaved")
    options = parser.parse_args()
    same_congestion_control()
    stolen = steal()
    with tempfile.TemporaryDirectory(prefix="cyphernet-bench-") as name:
        contestants = []
        for kind in (Cyphernet, Ssh, Socat, SocatTuned, Bare):
            place = Path(name) / kind.__name__
            place.mkdir()
            contestants.append(kind(place, options.size << 20))
        try:
            for run in range(options.runs + 1):
                for contestant in contestants:
                    contestant.once()
                    if run == 0:
                        contestant.seconds.clear()  # the first warms up
            ours, ssh, socat, tuned, bare = contestants
            calls = ours.latency(50)
        finally:
            for contestant in contestants:
                contestant.stop()
    better = max(ssh, socat, key=rate)
    print(f"{options.size} MiB, {options.runs} runs, medians; {os.cpu_count()} cores, "
          f"load {os.getloadavg()[0]:.1f}, stolen {steal() - stolen} ticks")
    for contestant in contestants:
        low, high = min(contestant.seconds), max(contestant.seconds)
        memory = ", ".join(f"{k} {v:.0f}" for k, v in contestant.memory.items())
        print(f"{contestant.name:16} {rate(contestant):7.0f} MB/s  ({contestant.size / high / 1e6:.0f} "
              f"to {contestant.size / low / 1e6:.0f})   peak MiB: {memory}")
    result = {
        "against_better_of_ssh_socat": median_ratio(ours, better),
        "against_socat_64_kib": median_ratio(ours, tuned),
        "against_bare_pipeline": median_ratio(ours, bare),
        "joined_ms_p50": statistics.median(c[0] for c in calls),
        "open_ms_p50": statistics.median(c[1] for c in calls),
        "open_ms_max": max(c[1] for c in calls),
        "seconds": {c.name: c.seconds for c in contestants},
        "peak_mib": {c.name: c.memory for c in contestants},
    }
    print(f"against {better.name}: {result['against_better_of_ssh_socat']:.2f} times;  "
          f"against {tuned.name}: {result['against_socat_64_kib']:.2f} times;  "
          f"against the bare pipeline: {result['against_bare_pipeline']:.2f} times")
    print(f"from dialling, with the partner waiting: joined {result['joined_ms_p50']:.1f} ms, "
          f"open {result['open_ms_p50']:.1f} ms (median of {len(calls)}; "
          f"open at most {result['open_ms_max']:.1f})")
    with open(BUILD / "bench.json", "w", encoding="ascii") as out:
        json.dump(result, out, indent=1)


if __name__ == "__main__":
    main()
