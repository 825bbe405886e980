"""The bench of the server measures what it says; how fast anything is, is no matter here."""

import json
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

import pytest
from ctl_helper import BUILD

BENCH = Path(__file__).parents[2] / "bench"
URING = BUILD / "bench/relay/uring"


def test_the_load_of_the_bench_passes_and_compares_octets(own):
    own.serve()
    for one in ("ann", "bob"):
        own.ctl.ok("invite", one, "-o", f"{one}.fp")
    commands = ["idle count=3", "pass size=300000", "measure calls=2 compare=1 probe=1 pause_us=1000 window_ms=300",
                f"make makers=2 window_ms=300 pids={own.server.process.pid}", "pass size=1"]
    done = subprocess.run([BUILD / "bench/relay/relay", "cyphernet", str(own.port), "ann.fp", "bob.fp"], cwd=own.tmp,
                          input="\n".join(commands) + "\n", capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    made, passed, measured, joined, still = map(json.loads, done.stdout.splitlines())
    assert made["calls"] == passed["calls"] == still["calls"] == 3
    assert measured["octets"] >= 2 * measured["least"] > 0
    assert measured["trips"] > 0 and 0 < measured["p50_us"] <= measured["p99_us"] <= measured["max_us"]
    assert joined["made"] > 0


def test_the_load_of_the_bench_ends_with_what_it_cannot_use(own):
    own.serve()
    done = subprocess.run([BUILD / "bench/relay/relay", "transit", str(own.port)], input="idle count=1\n", cwd=own.tmp,
                          capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1 and done.stdout == "" and done.stderr.startswith("relay: ")


def test_the_bench_of_the_server_writes_figures_and_draws_them(tmp_path):
    figures, drawing = tmp_path / "figures.json", tmp_path / "drawing.svg"
    contestants = "cyphernet,loopback,uring-copy,uring-splice"
    done = subprocess.run(
        [sys.executable, BENCH / "server.py", "--quick", "--window", "100", "--idle", "10", "--pairs", "0",
         "--only", contestants, "--columns", "cheap-8,read-1,beside-bulk,joins,idle",
         "--json", figures, "--svg", drawing],
        env=dict(os.environ, CYPHERNET_BUILD=str(BUILD)), capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(figures.read_text())
    assert result["failures"] == [] and set(result["figures"]) == set(contestants.split(","))
    for columns in result["figures"].values():
        assert all(columns[column]["mb_per_s"]["median"] > 0 for column in ("cheap-8", "read-1", "beside-bulk"))
        assert columns["joins"]["joins_per_s"]["median"] > 0
        assert columns["idle"]["p50_us"]["median"] > 0
    assert result["runs"]["cyphernet"]["idle"][0]["kib_before"] > 0
    assert ElementTree.parse(drawing).getroot().tag.endswith("svg")


def test_the_bench_of_floods_writes_figures():
    done = subprocess.run([sys.executable, BENCH / "floods.py", "--only", "hoard", "--quick"],
                          env=dict(os.environ, CYPHERNET_BUILD=str(BUILD)), capture_output=True, text=True, timeout=100,
                          check=False)
    assert done.returncode == 0, done.stderr
    [found] = json.loads((BUILD / "bench-floods.json").read_text()).values()
    assert found["calls"] > 0 and found["kept"] > 0 and found["counted"]["refused_over_limit"] > 0
    for times in (found["admission_ms"], found["joining_ms"]):
        assert 0 < times["p50"] <= times["p99"] <= times["max"]


# A bench whose callers are never fast enough.
NEVER_FAST = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("bench_floods", sys.argv.pop(1))
floods = importlib.util.module_from_spec(spec)
spec.loader.exec_module(floods)
floods.P99_MS = 0
sys.exit(floods.main())
"""


@pytest.mark.parametrize(("words", "code"), [(["--seconds", "1"], 1), (["--quick"], 0)])
def test_the_bench_of_floods_fails_if_a_goal_is_not_reached(words, code):
    done = subprocess.run([sys.executable, "-c", NEVER_FAST, BENCH / "floods.py", "--only", "hoard", *words],
                          env=dict(os.environ, CYPHERNET_BUILD=str(BUILD), PYTHONPATH=str(BENCH)),
                          capture_output=True, text=True, timeout=100, check=False)
    assert "under 0 ms: NOT REACHED" in done.stdout, done.stderr
    assert done.returncode == code


def test_the_bench_of_resuming_writes_figures():
    done = subprocess.run([sys.executable, BENCH / "resume.py", "--quick"], env=dict(os.environ, CYPHERNET_BUILD=str(BUILD)),
                          capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads((BUILD / "bench-resume.json").read_text())
    assert {row["how"] for row in found["latency"]} >= {"at once"}
    for row in found["latency"]:
        assert row["least_ms"] <= row["p50_ms"] <= row["p99_ms"]
    assert found["throughput"]["ratio"] > 0 and found["memory"]["sender"] > 0


def joined(port, back):
    """Both ends of a call through a relay that may not listen yet."""
    while True:
        try:
            caller = socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            time.sleep(0.01)
        else:
            return caller, back.accept()[0]


@pytest.mark.parametrize("mode", ["copy", "splice"])
def test_the_relay_on_io_uring_passes_ends_on_and_loses_nothing_to_who_reads_late(mode):
    octets = os.urandom(1 << 20) * 32
    with socket.create_server(("127.0.0.1", 0)) as back, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        relay = subprocess.Popen([URING, mode, str(port), str(back.getsockname()[1]), "4"])
        try:
            caller, answerer = joined(port, back)
            with ThreadPoolExecutor() as pool, caller, answerer:
                sent = pool.submit(caller.sendall, octets)
                with pytest.raises(TimeoutError):
                    sent.result(0.3)  # nobody reads, so it takes no more
                assert all(answerer.recv(1 << 20, socket.MSG_WAITALL) == octets[:1 << 20] for _ in range(32))
                caller.shutdown(socket.SHUT_WR)
                assert answerer.recv(1) == b""
                answerer.sendall(b"late")
                answerer.shutdown(socket.SHUT_WR)
                assert caller.makefile("rb").read() == b"late"
        finally:
            relay.terminate()
            relay.wait()
