"""The identity: refused when damaged or open to others, never replaced."""

import pytest

from cn_helper import exchange
from ctl_helper import armor, unarmor


def identity_of(person):
    return person.home / "identity"


@pytest.mark.parametrize("bits", ["0", "1024", "2047", "16384", "2048 ", "+2048", "0x800", "rsa", "", "-1"])
def test_sizes_that_are_none(stranger, bits):
    assert "2048|3072|4096|8192" in stranger.bad(2, "init", "--rsa=" + bits)
    assert not stranger.home.exists()


def test_a_second_identity(stranger):
    stranger.ok("init")
    for options in ([], ["--rsa", "2048"]):
        assert str(identity_of(stranger)) in stranger.bad(1, "init", *options)


def test_an_identity_that_cannot_be_kept(stranger):
    stranger.home.write_text("a file, where a directory is wanted")
    stranger.bad(1, "init")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o660, 0o606, 0o677])
def test_an_identity_that_others_may_use(ann, mode):
    identity_of(ann).chmod(mode)
    said = ann.bad(1, "contact", "offer", "bob")
    assert f"chmod 600 '{identity_of(ann)}'" in said
    assert "accessible by others" in said
    identity_of(ann).chmod(0o600)
    ann.offer("bob")


def test_the_file_is_named_whatever_was_wanted(ann, bob):
    exchange(ann, bob)
    identity_of(ann).chmod(0o644)
    for words in (["show", "bob"], ["list"]):
        assert f"chmod 600 '{identity_of(ann)}'" in ann.bad(1, "contact", *words)
    assert "chmod 600" in ann.bad(1, "contact", "accept", "carol", input=bob.offer("ann"))


def test_every_damage_is_told_and_nothing_is_lost(ann):
    path = identity_of(ann)
    good = path.read_text()
    body = unarmor("IDENTITY", good)
    lines = good.splitlines(keepends=True)
    bad = {
        "": "not a Cypher Net file",
        "hello\n": "not a Cypher Net file",
        "".join(lines[:-1]): "the end is missing",
        "".join(lines[:1] + lines[2:]): "checksum",
        good.replace("IDENTITY", "CARD"): "another kind",
        "\n" * 60000: "malformed",
        armor("IDENTITY", b""): "malformed",
        armor("IDENTITY", b"\x02" + body[1:]): "version",
        armor("IDENTITY", body[:1] + b"\x00" + body[2:]): "malformed",
        armor("IDENTITY", body[:1] + b"\x06" + body[2:]): "malformed",
        armor("IDENTITY", body[:1] + b"\x02" + body[2:]): "key is not valid",
        armor("IDENTITY", body[:-1]): "malformed",
        armor("IDENTITY", body + b"\x00"): "malformed",
    }
    for text, said in bad.items():
        path.write_text(text)
        for words in (["contact", "offer", "bob"], ["join", "ann.fp"]):
            done = ann.run(*words)
            assert done.returncode in (1, 3) and done.stdout == ""
            assert said in done.stderr and str(path) in done.stderr, (said, done.stderr)
            assert path.read_text() == text
        assert "already" in ann.bad(1, "init")
    path.write_text(good)
    ann.offer("bob")


def test_an_identity_that_is_no_plain_file(ann):
    path = identity_of(ann)
    path.rename(ann.tmp / "elsewhere")
    path.symlink_to(ann.tmp / "elsewhere")
    ann.bad(1, "contact", "offer", "bob")
    path.unlink()
    path.mkdir()
    assert "directory" in ann.bad(1, "contact", "offer", "bob")


def test_nowhere_to_keep_it(stranger):
    done = stranger.run("init", env={"CYPHERNET_HOME": "", "XDG_DATA_HOME": "", "XDG_CONFIG_HOME": "", "HOME": ""})
    assert done.returncode == 1 and "CYPHERNET_HOME" in done.stderr


def test_it_is_for_its_owner_alone_whatever_the_umask(stranger):
    stranger.ok("init", umask=0)
    assert identity_of(stranger).stat().st_mode & 0o777 == 0o600
    assert stranger.home.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in stranger.home.iterdir()] == ["identity"]


def test_the_directories_of_the_desktop(stranger):
    env = {"CYPHERNET_HOME": "", "XDG_DATA_HOME": str(stranger.tmp / "data"), "HOME": str(stranger.tmp)}
    stranger.ok("init", env=env)
    assert (stranger.tmp / "data/cyphernet/identity").is_file()
    stranger.ok("init", env={**env, "XDG_DATA_HOME": ""})
    assert (stranger.tmp / ".local/share/cyphernet/identity").is_file()


@pytest.mark.parametrize("bits", ["2048", "3072"])
def test_rsa_identities_make_pairs_too(stranger, server, bob, bits):
    stranger.ok("init", "--rsa", bits)
    server.ok("invite", "stranger", "-o", "stranger.fp")
    stranger.ok("join", "stranger.fp")
    exchange(stranger, bob)
    assert stranger.safety("bob") == bob.safety("stranger")
    assert f"RSA-{bits}" in bob.ok("contact", "show", "stranger").stdout
