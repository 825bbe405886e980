"""Running cyphernetctl, and its files taken apart without its code."""

import base64
import hashlib
import os
import struct
import subprocess
from pathlib import Path

import pytest

BUILD = Path(os.environ.get("CYPHERNET_BUILD", Path(__file__).parents[2] / "build")).resolve()

# Built with sanitizers, which have a memory of their own, take their time, and let nothing be preloaded.
SANITIZED = not (BUILD / "tests/support/key_watch.so").exists()

# To become another user, or to mount. suites.py counts who says so.
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def preload(shim, place):
    """The environment that puts this module of tests/support before the C library. `place` must have no blanks in its
    path, where the loader would split it; the clone may."""
    built = BUILD / "tests/support" / shim
    if not built.exists():
        pytest.skip("the sanitizers let nothing be preloaded")
    (place / shim).symlink_to(built)
    return {"LD_PRELOAD": str(place / shim)}


class Ctl:
    """cyphernetctl on one directory; programs: where it is found."""

    def __init__(self, tmp_path, programs=BUILD):
        self.programs = programs
        self.tmp = tmp_path
        self.dir = tmp_path / "server"

    def run(self, *args, dir=None, **options):
        """The finished process: returncode, stdout, stderr as text."""
        command = [self.programs / "cyphernetctl", "--dir", dir or self.dir, *args]
        options = {"capture_output": True, "text": True, "timeout": 60, "cwd": self.tmp, **options}
        return subprocess.run([str(word) for word in command], check=False, **options)

    def ok(self, *args, **options):
        done = self.run(*args, **options)
        assert done.returncode == 0, done.stderr
        return done

    def bad(self, code, *args, **options):
        """It fails with that code, says why, and prints nothing else."""
        done = self.run(*args, **options)
        assert done.returncode == code, (done.returncode, done.stderr)
        assert done.stdout == ""
        lines = done.stderr.splitlines()
        assert lines, "it says nothing"
        assert lines[0].startswith("cyphernetctl: error: "), done.stderr
        for line in lines[1:]:
            assert line.startswith("cyphernetctl: hint: "), done.stderr
        return done.stderr

    def init(self):
        self.ok("init", "--listen", "127.0.0.1:7473")
        return self

    def files(self):
        """Everything under the test's directory, with contents; the log of SQLite left out."""
        return {
            str(path.relative_to(self.tmp)): path.read_bytes()
            for path in sorted(self.tmp.rglob("*"))
            if path.is_file() and not path.name.startswith("registry.db-")
        }


def item(kind, octets):
    return bytes([kind]) + struct.pack(">I", len(octets)) + octets


def checksum(kind, body):
    items = item(1, b"cyphernet/1 armor") + item(8, kind.encode()) + item(11, body)
    return hashlib.sha256(items).digest()[:8]


def armor(kind, body):
    """Armoured text of a body. PROTOCOL.md 2.1"""
    digits = base64.b64encode(body + checksum(kind, body)).decode()
    lines = [digits[at : at + 64] for at in range(0, len(digits), 64)]
    return "\n".join([f"-----BEGIN CYPHERNET {kind}-----", *lines, f"-----END CYPHERNET {kind}-----", ""])


def unarmor(kind, text):
    lines = text.splitlines()
    assert lines[0] == f"-----BEGIN CYPHERNET {kind}-----"
    assert lines[-1] == f"-----END CYPHERNET {kind}-----"
    raw = base64.b64decode("".join(lines[1:-1]), validate=True)
    assert raw[-8:] == checksum(kind, raw[:-8])
    return raw[:-8]


def reached_at(path, port):
    """Have the holder of a fingerprint call that port of 127.0.0.1: nobody signed addresses."""
    body = unarmor("FINGERPRINT", path.read_text())
    at = body.rindex(b"127.0.0.1:")
    address = b"127.0.0.1:%d" % port
    path.write_text(armor("FINGERPRINT", body[: at - 1] + bytes([len(address)]) + address))


def fingerprint(text):
    """The fields of a fingerprint. PROTOCOL.md 2.3, 2.4"""
    body = unarmor("FINGERPRINT", text)
    assert body[0] in (1, 2)
    fields = {"certificate": body[1:123]}
    _, serial, key, not_before, not_after, limits_class = struct.unpack(">BQ32sQQB", body[1:59])
    fields |= {"serial": serial, "admission_key": key, "not_before": not_before}
    fields |= {"not_after": not_after, "limits_class": limits_class}
    at = 124
    fields["secret"] = body[at : at + 32] if body[123] else None
    at += 32 if body[123] else 0
    fields["server_key"], fields["operator_key"] = body[at : at + 32], body[at + 32 : at + 64]
    at += 64
    texts = []
    size = body[at]
    fields["label"] = body[at + 1 : at + 1 + size].decode()
    at += 1 + size
    count = body[at]
    at += 1
    for _ in range(count):
        texts.append(body[at + 1 : at + 1 + body[at]].decode())
        at += 1 + body[at]
    fields["number"] = 0
    if body[0] == 2:
        fields["number"] = int.from_bytes(body[at : at + 8])
        assert fields["number"] > 0 and body[at + 8] == 0
        at += 9
    assert at == len(body)
    return fields | {"addresses": texts}


def request(key=bytes([9]) + bytes(31)):
    """A request for admission; the default key is the base point."""
    return armor("REQUEST", b"\x01" + key)
