"""Cards as QR codes: what is refused, then from a screen, a picture or a text to the other's contacts."""

import fcntl
import json
import os
import re
import struct
import subprocess
import termios
import zlib

import pytest

from ctl_helper import BUILD
from live import until

QUIET = 4


def parts(person, name, *options):
    """The texts of the codes, as --json tells them."""
    return json.loads(person.ok("contact", "offer", name, "--qr", "--json", *options).stdout)["text"].splitlines()


# --- drawings, read as a camera would


def modules(lines):
    """What is dark in a drawing of half blocks in light on dark: rows of booleans."""
    light = {" ": (0, 0), "\u2584": (0, 1), "\u2580": (1, 0), "\u2588": (1, 1)}
    rows = []
    for line in lines:
        for half in (0, 1):
            rows.append([not light[c][half] for c in line])
    return rows


def png(rows, scale=4):
    """A picture of it, as small as PNG can be."""
    octets = b"".join(
        (b"\0" + b"".join(bytes([0 if dark else 255]) * scale for dark in row)) * scale for row in rows)

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", len(rows[0]) * scale, len(rows) * scale, 8, 0, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(octets)) + chunk(b"IEND", b""))


def scan(picture):
    """The texts in it, by zbarimg itself."""
    done = subprocess.run(["zbarimg", "-q", "--nodbus", "--raw", picture], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


class Screen:
    """`cyphernet` of a person on a terminal of its own."""

    def __init__(self, person, columns, lines, *words, env=None):
        self.ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        os.set_blocking(self.ours, False)
        self.shown = b""
        environment = {**os.environ, "CYPHERNET_HOME": str(person.home), **(env or {})}
        environment.pop("NO_COLOR", None) if not env else None
        self.process = subprocess.Popen([str(word) for word in (BUILD / "cyphernet", *words)], stdin=theirs,
                                        stdout=theirs, stderr=theirs, cwd=person.tmp, env=environment)
        os.close(theirs)

    def look(self):
        try:
            while more := os.read(self.ours, 65536):
                self.shown += more
        except OSError:
            pass
        return self.shown.decode(errors="replace")

    def end(self):
        """What was shown, and the exit code; Enter is pressed whenever it is asked for."""
        pressed = 0

        def over():
            nonlocal pressed
            asked = self.look().count("Enter shows the next")
            if asked > pressed:
                pressed += 1
                os.write(self.ours, b"\n")
            return self.process.poll() is not None

        until(over, "the command ends")
        text = self.look()
        os.close(self.ours)
        return text.replace("\r\n", "\n"), self.process.returncode


def drawings(text, colour=True):
    """The drawings among what was shown, each as its lines."""
    found, lines = [], []
    for line in text.splitlines():
        bare = re.sub(r"\x1b\[[0-9;]*m", "", line)
        if len(bare) > 20 and set(bare) <= set(" \u2584\u2580\u2588"):
            assert line.startswith("\x1b[") == colour and line.endswith("\x1b[0m") == colour
            if lines and len(bare) != len(lines[0]):
                found.append(lines)
                lines = []
            lines.append(bare)
            if len(lines) * 2 >= len(bare):
                found.append(lines)
                lines = []
        assert not (lines and not bare)
    return found


# --- what is refused


def test_a_terminal_that_is_too_small(ann):
    text, code = Screen(ann, 40, 12, "contact", "offer", "bob", "--qr").end()
    assert code == 1 and "too small" in text and "-o FILE" in text
    assert drawings(text) == []


def test_too_small_a_terminal_makes_no_new_card(ann):
    before = ann.offer("bob")
    assert Screen(ann, 40, 12, "contact", "offer", "bob", "--qr", "--new").end()[1] == 1
    assert ann.offer("bob") == before


def test_a_part_that_is_missing(ann, bob):
    (ann.tmp / "x").mkdir()
    text, code = Screen(ann, 90, 40, "contact", "offer", "bob", "--qr").end()
    assert code == 0
    pictures = []
    for i, drawing in enumerate(drawings(text)):
        pictures.append(ann.tmp / f"{i}.png")
        pictures[-1].write_bytes(png(modules(drawing)))
    texts = [line for picture in pictures for line in scan(picture)]
    assert len(texts) == len(pictures) > 2
    for without in range(len(texts)):
        left = "\n".join(texts[:without] + texts[without + 1:])
        said = bob.bad(1, "contact", "accept", "ann", input=left)
        assert f"part {without + 1} of {len(texts)}: a part is missing" in said and "all parts" in said
    bob.accept("ann", "\n".join(reversed(texts)) + "\n")
    ann.accept("bob", bob.offer("ann"))
    assert ann.safety("bob") == bob.safety("ann")


def test_parts_of_two_cards(ann, bob):
    (one,), (other,) = parts(ann, "bob"), parts(ann, "carl")
    assert "different cards" in bob.bad(1, "contact", "accept", "ann", input=f"{one}\n{other}\n")


@pytest.mark.parametrize("wrong, code, said", [
    ("CN1/1:", 1, "not a Cypher Net"), ("CN1/1:BB8", 1, "not a Cypher Net"), ("CN1/1:%69 VD92EX0" * 30, 1, "not a Cypher"),
    ("CN2/1:%69 VD92EX0", 1, "not a Cypher"), ("CN1/1:bb8", 1, "not a Cypher")])
def test_what_is_no_part(bob, wrong, code, said):
    assert said in bob.bad(code, "contact", "accept", "ann", input=wrong)


def test_a_character_that_was_changed(ann, bob):
    (text,) = parts(ann, "bob")
    at = len(text) // 2
    changed = text[:at] + ("B" if text[at] != "B" else "C") + text[at + 1:]
    bob.bad(3, "contact", "accept", "ann", input=changed)


def test_a_picture_without_a_code(bob):
    (bob.tmp / "white.png").write_bytes(png([[False] * 60] * 60))
    said = bob.bad(1, "contact", "accept", "ann", "white.png")
    assert "white.png: no code found" in said and "sharp" in said


@pytest.mark.parametrize("begin", [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"RIFF\0\0\0\0WEBP"])
def test_what_only_begins_like_a_picture(bob, begin):
    (bob.tmp / "broken").write_bytes(begin + bytes(range(256)) * 200)
    assert "broken: " in bob.bad(1, "contact", "accept", "ann", "broken")


def test_a_picture_that_is_cut_off(ann, bob):
    ann.ok("contact", "offer", "bob", "--qr", "-o", "card.png")
    whole = (ann.tmp / "card.png").read_bytes()
    for size in (60, 100, len(whole) // 2):
        (bob.tmp / "cut.png").write_bytes(whole[:size])
        said = bob.bad(1, "contact", "accept", "ann", "cut.png")
        assert "cut.png: no code found" in said or "cut.png: not a picture" in said


def test_a_picture_gets_so_much_and_no_more(ann, bob):
    """Another zbarimg, which tells what it was allowed: seconds, and KiB of memory."""
    ann.ok("contact", "offer", "bob", "--qr", "-o", "card.png")
    (bob.tmp / "bin").mkdir()
    other = bob.tmp / "bin/zbarimg"
    other.write_text("#!/bin/sh\nulimit -t >limits\nulimit -v >>limits\nexit 4\n")
    other.chmod(0o700)
    path = f"{other.parent}:{os.environ['PATH']}"
    assert "no code found" in bob.run("contact", "accept", "ann", "card.png", env={"PATH": path}).stderr
    assert (bob.tmp / "limits").read_text().split() == ["60", str(1 << 20)]


def test_a_picture_that_is_huge(bob):
    with open(bob.tmp / "huge.png", "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        file.truncate((64 << 20) + 10)
    before = (bob.tmp / "huge.png").stat().st_size
    done = bob.run("contact", "accept", "ann", "huge.png")
    assert done.returncode == 1 and "too large" in done.stderr and before


def test_no_zbarimg(ann, bob):
    ann.ok("contact", "offer", "bob", "--qr", "-o", "card.png")
    said = bob.bad(1, "contact", "accept", "ann", "card.png", env={"PATH": "/nowhere"})
    assert "zbarimg, which is not there" in said and "zbar-tools" in said


def test_a_picture_never_replaces_a_file(ann):
    (ann.tmp / "card.png").write_text("mine")
    assert "exists" in ann.bad(1, "contact", "offer", "bob", "--qr", "-o", "card.png")
    assert (ann.tmp / "card.png").read_text() == "mine"


def test_a_name_that_is_none(ann):
    assert "not a valid name" in ann.bad(2, "contact", "offer", "b/ob", "--qr", "-o", "card.png")


# --- what works


@pytest.mark.parametrize("kind", ["x25519", "rsa8192"])
@pytest.mark.parametrize("stdin", [False, True])
def test_a_picture(server, person, stranger, kind, stdin):
    ann = person("ann")
    if kind != "x25519":
        stranger.home.mkdir(0o700)
        keys = os.path.join(os.path.dirname(__file__), "../keys", f"{kind}.identity")
        with open(keys) as source, open(os.open(stranger.home / "identity", os.O_CREAT | os.O_WRONLY, 0o600), "w") as out:
            out.write(source.read())
        stranger.name = "bob"
        server.ok("invite", "bob", "-o", "bob.fp")
        stranger.ok("join", "bob.fp")
        bob = stranger
    else:
        bob = person("bob")
    done = bob.ok("contact", "offer", "ann", "--qr", "-o", "card.png")
    picture = bob.tmp / "card.png"
    assert done.stdout == "" and picture.stat().st_mode & 0o777 == 0o600
    assert len(scan(picture)) == (1 if kind == "x25519" else 2)
    if stdin:
        ann.ok("contact", "accept", "bob", stdin=open(picture, "rb"))
    else:
        ann.ok("contact", "accept", "bob", "card.png")
    bob.accept("ann", ann.offer("bob"))
    assert ann.safety("bob") == bob.safety("ann")


def test_one_code_on_a_large_terminal(ann, bob):
    text, code = Screen(ann, 200, 80, "contact", "offer", "bob", "--qr").end()
    (drawing,) = drawings(text)
    assert code == 0 and len(drawing[0]) <= 133
    rows = modules(drawing)
    assert not any(any(row) for row in rows[:QUIET]) and not any(any(row[:QUIET]) for row in rows)
    (bob.tmp / "shot.png").write_bytes(png(rows))
    bob.ok("contact", "accept", "ann", "shot.png")
    ann.accept("bob", bob.offer("ann"))
    assert ann.safety("bob") == bob.safety("ann")


def test_without_colour(ann):
    text, code = Screen(ann, 200, 80, "contact", "offer", "bob", "--qr", env={"NO_COLOR": "1"}).end()
    assert code == 0 and "\x1b" not in text and "dark terminal" in text
    assert len(drawings(text, colour=False)) == 1


def test_the_text_itself(ann, bob):
    (text,) = parts(ann, "bob")
    assert text.startswith("CN1/1:")
    bob.accept("ann", text)
    ann.accept("bob", parts(bob, "ann")[0] + "\r\n")
    assert ann.safety("bob") == bob.safety("ann")


def test_a_new_card(ann):
    assert parts(ann, "bob") == parts(ann, "bob") != parts(ann, "bob", "--new")


def test_the_reader_of_pictures_gets_nothing_else(bob, tmp_path):
    """A stand-in for zbarimg tells what it was given: the picture, and no other descriptor."""
    place = tmp_path / "bin"
    place.mkdir()
    tool = place / "zbarimg"
    tool.write_text(f"#!/bin/sh\nls -l /proc/$$/fd >{tmp_path}/open\necho \"$@\" >>{tmp_path}/open\nexit 4\n")
    tool.chmod(0o755)
    (bob.tmp / "white.png").write_bytes(png([[False] * 30] * 30))
    fd = os.open(bob.tmp / "white.png", os.O_RDONLY)
    bob.run("contact", "accept", "ann", "white.png", "--passphrase-fd", fd, pass_fds=[fd],
            env={"PATH": f"{place}:{os.environ['PATH']}"})
    os.close(fd)
    *open_ones, words = (tmp_path / "open").read_text().splitlines()
    assert any("memfd:picture" in line for line in open_ones)
    assert not any("white.png" in line for line in open_ones)
    assert "--nodbus" in words and words.endswith("png:fd:0")
