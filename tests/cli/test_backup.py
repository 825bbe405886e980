"""Backups: damaged, of others, or over something they change nothing; else everything comes back."""

import os
import random
import struct

import pytest

from cn_helper import Person, copied, exchanged
from ctl_helper import armor, unarmor
from sealing import backup_closed, backup_opened, cheapened, given

WORD = "correct horse"


def back_up(person, name="backup", *before):
    person.ok("backup", "-o", name, "--passphrase-fd", "0", **given(*before, WORD))
    return person.tmp / name


@pytest.fixture(scope="module")
def origin(tmp_path_factory):
    """ann, who has bob as contact and preferences of her own, and her backup; it is costly to make."""
    people = exchanged(tmp_path_factory.mktemp("origin"))
    ann = people[0]
    ann.ok("contact", "verify", "bob", "--yes")
    (ann.home / "config").write_text("suites = SHA512-AES256GCM\n")
    back_up(ann)
    return people


@pytest.fixture
def ann(origin):
    """She is not changed."""
    return origin[0]


@pytest.fixture
def made(ann):
    return ann.tmp / "backup"


@pytest.fixture(scope="module")
def plain(origin):
    """What is in it, as PROTOCOL.md 2.17 has it."""
    return backup_opened((origin[0].tmp / "backup").read_text(), WORD)


@pytest.fixture
def cheap(plain, tmp_path):
    """The same, as another implementation seals it, with less work."""
    path = tmp_path / "cheap"
    path.write_text(backup_closed(plain, WORD))
    return path


def restore(*words):
    return ["restore", *words, "--passphrase-fd", "0"]


def contents(place):
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


# --- by PROTOCOL.md 2.17 alone


def packed(files, flags=0, count=None):
    out = struct.pack(">BI", flags, len(files) if count is None else count)
    for name, text in files:
        out += bytes([len(name)]) + name + struct.pack(">I", len(text)) + text
    return out


def unpacked(plain):
    flags, count = struct.unpack(">BI", plain[:5])
    at, files = 5, []
    for _ in range(count):
        size = plain[at]
        name = plain[at + 1 : at + 1 + size]
        at += 1 + size
        (size,) = struct.unpack(">I", plain[at : at + 4])
        files.append((name, plain[at + 4 : at + 4 + size]))
        at += 4 + size
    assert at == len(plain)
    return flags, files


# --- what is refused


def test_a_wrong_passphrase(cheap, stranger):
    assert "passphrase is wrong" in stranger.bad(1, *restore(cheap), **given("incorrect horse"))


@pytest.mark.parametrize("seed", range(6))
def test_every_cut(made, stranger, seed):
    text = made.read_text()
    size = random.Random(seed).randrange(1, len(text) - 30)
    (stranger.tmp / "cut").write_text(text[:size])
    stranger.bad(1, *restore("cut"), **given(WORD))


def test_cut_bodies(cheap, stranger):
    body = unarmor("BACKUP", cheap.read_text())
    for size in (0, 1, 2, 36, 51, 52, 53, 60, len(body) - 1):
        (stranger.tmp / "cut").write_text(armor("BACKUP", body[:size]))
        stranger.bad(1, *restore("cut"), **given(WORD))


def test_flipped_bits(cheap, stranger):
    """On the way: by the checksum. On purpose, with the checksum made anew: nothing opens."""
    text = cheap.read_text()
    at = text.index("\n") + 200
    (stranger.tmp / "bad").write_text(text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :])
    assert "checksum" in stranger.bad(3, *restore("bad"), **given(WORD))
    body = bytearray(unarmor("BACKUP", text))
    for at in (4, 35, 36, len(body) // 2, len(body) - 1):
        body[at] ^= 1
        (stranger.tmp / "bad").write_text(armor("BACKUP", bytes(body)))
        assert "passphrase is wrong" in stranger.bad(1, *restore("bad"), **given(WORD))
        body[at] ^= 1


@pytest.mark.parametrize("at, value, said", [(0, 2, "version"), (0, 0, "version"), (1, 13, "malformed"),
                                             (1, 19, "malformed"), (2, 9, "malformed"), (3, 0, "malformed"),
                                             (3, 200, "malformed")])
def test_another_version_and_too_much_work(made, stranger, at, value, said):
    body = bytearray(unarmor("BACKUP", made.read_text()))
    body[at] = value
    (stranger.tmp / "bad").write_text(armor("BACKUP", bytes(body)))
    assert said in stranger.bad(1, *restore("bad"), **given(WORD))


def test_another_kind(ann, stranger):
    (stranger.tmp / "card").write_text(ann.offer("bob"))
    said = stranger.bad(1, *restore("card"), **given(WORD))
    assert "another kind" in said and "cyphernet backup" in said


def bad_contents(files):
    whole = dict(files)
    return {
        "nothing at all": b"",
        "a flag": packed(files, flags=2),
        "one too many": packed(files, count=len(files) + 1),
        "one too few": packed(files, count=len(files) - 1),
        "far too many": packed(files, count=0xFFFFFFFF),
        "more behind": packed(files) + b"\0",
        "not in order": packed(files[::-1]),
        "one twice": packed([files[0], files[0], *files[1:]]),
        "a way out": packed([(b"../evil", b"x"), *files]),
        "a way out of contacts": packed([(b"contacts/../../x", b"x")]),
        "an absolute way": packed([(b"/tmp/evil", b"x")]),
        "a NUL": packed([(b"config\0", b"")]),
        "another file": packed([(b"storage.key", b"x")]),
        "no name": packed([(b"", b"x")]),
        "a size": packed(files)[:-1],
        "no identity": packed([(b"identity", b"x")]),
        "a broken contact": packed([(name, text[:99] if b"contacts" in name else text) for name, text in files]),
        "a contact as identity": packed([(b"identity", whole[b"contacts/bob"])]),
        "preferences": packed([(b"config", b"colour = blue\n")]),
    }


@pytest.mark.parametrize("wrong", sorted(bad_contents([(b"contacts/bob", b"")] * 2)))
def test_what_no_backup_holds(plain, stranger, wrong):
    flags, files = unpacked(plain)
    assert flags == 0
    (stranger.tmp / "bad").write_text(backup_closed(bad_contents(files)[wrong], WORD))
    stranger.bad(1, *restore("bad"), **given(WORD))
    assert not list(stranger.tmp.glob("home-stranger*"))


@pytest.mark.parametrize("what", ["identity", "contact", "config", "key", "request"])
def test_over_something(cheap, person, stranger, what):
    other = stranger
    if what == "contact":
        other = person("carl")
        other.offer("ann")
        (other.home / "identity").unlink()
        (other.home / "fingerprint").unlink()
    elif what == "request":
        other.ok("request")
    elif what == "identity":
        other.ok("init")
    else:
        other.home.mkdir(mode=0o700)
        (other.home / ("config" if what == "config" else "storage.key")).write_text("suites = SHA512-AES256GCM\n")
    said = other.bad(1, *restore(cheap), **given(WORD))
    assert "already there" in said and "--replace" in said


def test_a_damaged_contact_is_not_backed_up(ann, tmp_path):
    ann = copied(ann, tmp_path)
    path = ann.home / "contacts/bob"
    path.write_text(path.read_text()[:100])
    said = ann.bad(1, "backup", "-o", "backup", "--passphrase-fd", "0", **given(WORD))
    assert "contacts/bob" in said
    assert not (ann.tmp / "backup").exists()


def test_nothing_to_back_up(stranger):
    assert "not there" in stranger.bad(1, "backup", "-o", "backup", "--passphrase-fd", "0", **given(WORD))


def test_a_backup_never_replaces_a_file(made, ann):
    assert "exists" in ann.bad(1, "backup", "-o", "backup", "--passphrase-fd", "0", **given(WORD))


def test_a_short_passphrase(ann):
    assert "8 characters" in ann.bad(1, "backup", "-o", "b", "--passphrase-fd", "0", **given("short"))


def test_no_file(stranger):
    assert "No such file" in stranger.bad(1, *restore("nowhere"), **given(WORD))


def test_a_place_that_cannot_be_written(cheap, stranger):
    (stranger.tmp / "file").write_text("")
    stranger.home = stranger.tmp / "file/home"
    stranger.bad(1, *restore(cheap), **given(WORD))


# --- what works


def test_everything_comes_back(made, origin, stranger):
    ann, bob = origin
    assert made.stat().st_mode & 0o777 == 0o600
    stranger.ok(*restore(made), **given(WORD))
    assert contents(stranger.home) == contents(ann.home)
    assert all(path.stat().st_mode & 0o077 == 0 for path in stranger.home.rglob("*"))
    assert stranger.state("bob") == "verified" and stranger.safety("bob") == bob.safety("ann")


def test_with_preferences_elsewhere(cheap, ann, stranger):
    env = {"CYPHERNET_HOME": "", "XDG_DATA_HOME": str(stranger.tmp / "data"), "XDG_CONFIG_HOME": str(stranger.tmp / "cfg")}
    stranger.ok(*restore(cheap), **given(WORD), env=env)
    assert contents(stranger.tmp / "cfg/cyphernet") == {"config": (ann.home / "config").read_bytes()}
    found = contents(stranger.tmp / "data/cyphernet")
    assert {**found, "config": (ann.home / "config").read_bytes()} == contents(ann.home) and "config" not in found


@pytest.mark.parametrize("what", ["a file", "a directory"])
def test_preferences_elsewhere_are_moved_aside(cheap, ann, stranger, what):
    data, config = stranger.tmp / "data", stranger.tmp / "cfg"
    env = {"CYPHERNET_HOME": "", "XDG_DATA_HOME": str(data), "XDG_CONFIG_HOME": str(config)}
    stranger.ok("init", env=env)
    before = contents(data / "cyphernet")
    (config / "cyphernet").mkdir(parents=True)
    path = config / "cyphernet/config"
    old = path if what == "a file" else path / "notes"
    old.parent.mkdir(exist_ok=True)
    old.write_text("proxy = none\n")
    said = stranger.ok(*restore(cheap), "--replace", **given(WORD), env=env).stderr
    assert path.read_bytes() == (ann.home / "config").read_bytes()
    (aside,) = data.glob("cyphernet.restored-*")
    (preferences,) = path.parent.glob("config.restored-*")
    assert str(aside) in said and contents(aside) == before
    assert str(preferences) in said
    assert (preferences if what == "a file" else preferences / "notes").read_text() == "proxy = none\n"


def test_preferences_that_cannot_be_put(cheap, stranger):
    """Their directory is a file: the keys that are there stay."""
    env = {"CYPHERNET_HOME": "", "XDG_DATA_HOME": str(stranger.tmp / "data"), "XDG_CONFIG_HOME": str(stranger.tmp / "cfg")}
    stranger.ok("init", env=env)
    (stranger.tmp / "cfg").write_text("")
    assert "cfg/cyphernet: " in stranger.bad(1, *restore(cheap), "--replace", **given(WORD), env=env)


def test_into_a_directory_that_is_there(cheap, ann, stranger):
    stranger.home.mkdir(mode=0o700)
    stranger.ok(*restore(cheap), **given(WORD))
    assert contents(stranger.home) == contents(ann.home)
    assert [path.name for path in stranger.tmp.glob("home-stranger*")] == ["home-stranger"]


def test_what_was_there_is_moved_aside(cheap, ann, stranger):
    stranger.ok("init")
    before = contents(stranger.home)
    said = stranger.ok(*restore(cheap), "--replace", **given(WORD)).stderr
    (aside,) = stranger.tmp.glob("home-stranger.restored-*")
    assert str(aside) in said and contents(aside) == before
    assert contents(stranger.home) == contents(ann.home)


def test_what_was_sealed_is_sealed(plain, ann, stranger, tmp_path):
    ann = copied(ann, tmp_path)
    ann.ok("passphrase", "--passphrase-fd", "0", **given("battery staple"))
    cheapened(ann, "battery staple")
    path = back_up(ann, "sealed", "battery staple")
    inside = backup_opened(path.read_text(), WORD)
    assert unpacked(inside) == (1, unpacked(plain)[1])
    path.write_text(backup_closed(inside, WORD))
    stranger.ok(*restore(path), **given(WORD))
    assert b"SEALED FILE" in contents(stranger.home)["identity"]
    cheapened(stranger, WORD)
    stranger.bad(1, "contact", "list", "--passphrase-fd", "0", **given("battery staple"))
    assert "verified" in stranger.ok("contact", "list", "--passphrase-fd", "0", **given(WORD)).stdout


def test_what_others_made_by_the_protocol(cheap, ann, stranger):
    stranger.ok(*restore(cheap), **given(WORD))
    assert contents(stranger.home) == contents(ann.home)


def test_through_a_pipe(ann, tmp_path):
    text = ann.ok("backup", "--passphrase-fd", "0", **given(WORD)).stdout
    (tmp_path / "word").write_text(f"{WORD}\n")
    fd = os.open(tmp_path / "word", os.O_RDONLY)
    other = Person(tmp_path, "other")
    other.ok("restore", "-", f"--passphrase-fd={fd}", input=text, pass_fds=[fd])
    assert contents(other.home) == contents(ann.home)
    os.close(fd)
