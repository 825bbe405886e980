"""Completion: what the programs offer. Real shells ask them in tests/tools/test_shells.py."""

import json
import re

import pytest

from cn_helper import exchange
from ctl_helper import Ctl
from offering import offered, offering, words_of  # noqa: F401 (a fixture)


@pytest.fixture(scope="module")
def inviting(tmp_path_factory):
    """An operator with two subscribers."""
    server = Ctl(tmp_path_factory.mktemp("inviting")).init()
    for name in ("bob", "carl"):
        server.ok("invite", name, "-o", f"{name}.fp")
    return server


def test_every_command_is_offered(stranger):
    listed = [line.split()[0] for line in stranger.ok("help").stdout.splitlines() if line.startswith("  ")]
    assert offered(stranger, "") == offered(stranger) == listed
    assert offered(stranger, "help", "") == listed


@pytest.mark.parametrize("command", ["init", "pipe", "receive", "contact", "complete"])
def test_every_option_of_the_help_is_offered(stranger, command):
    told = re.findall(r"^ +(?:-\w, +)?--([a-z-]+)", stranger.ok("help", command).stdout, re.M)
    verbs = ["offer", "accept", "verify", "list"] if command == "contact" else [None]
    got = {word for verb in verbs for word in offered(stranger, command, *([verb] if verb else []), "--")}
    if "--json" not in got:
        assert "--json" in stranger.bad(2, command, "--json", *(["--", "x"] if command == "pipe" else []))
    assert got == {f"--{name}" for name in told}


@pytest.mark.parametrize("typed, expected", [
    ("contact s", ["show"]),
    ("contact show b", ["bob", "bobby"]),
    ("contact rename b", ["bob", "bobby"]),
    ("contact rename bob b", []),
    ("contact show --verb", ["--verbose"]),
    ("contact show --ne", []),
    ("contact offer --ne", ["--new"]),
    ("-q --verbose talk c", ["carl.o_e-2"]),
    ("talk --wait 60 c", ["carl.o_e-2"]),
    ("talk --wait=60 c", ["carl.o_e-2"]),
    ("talk --wait c", []),
    ("talk -- c", ["carl.o_e-2"]),
    ("talk -- -", []),
    ("talk bob c", []),
    ("talk -d x", [":directories"]),
    ("talk --show-transcript b", ["bob", "bobby"]),
    ("talk bob --no-t", ["--no-transcript"]),
    ("send bob x", [":files"]),
    ("send bob x y", [":files"]),
    ("contact accept bob x", [":files"]),
    ("contact accept bob -o x", [":files"]),
    ("contact accept bob --output x", [":files"]),
    ("contact accept bob --output=x", [":files"]),
    ("contact accept bob -ox c", [":files"]),
    ("receive -d x", [":directories"]),
    ("receive --on-conflict r", ["rename"]),
    ("receive --on-conflict=o", ["overwrite"]),
    ("init --rsa 4", ["4096"]),
    ("receive -d x b", ["bob", "bobby"]),
    ("frobnicate b", []),
    ("contact frobnicate b", []),
    ("version b", []),
    ("--nothing=b", []),
])
def test_what_is_offered(offering, typed, expected):
    assert offered(offering, *typed.split()) == expected


def test_all_values_are_offered(offering):
    assert offered(offering, "receive", "--on-conflict", "") == ["skip", "rename", "overwrite"]
    assert offered(offering, "init", "--rsa=") == ["2048", "3072", "4096", "8192"]


def test_only_contacts_are_offered(offering):
    assert offered(offering, "send", "") == ["bob", "bobby", "carl.o_e-2"]


def test_what_is_queued_is_offered_to_be_cancelled(ann, bob):
    exchange(ann, bob)
    (ann.tmp / "a").write_text("x")
    one = json.loads(ann.ok("send", "bob", ann.tmp / "a", "--later", "--json").stdout)["id"]
    assert offered(ann, "queue", "cancel", one[:2]) == [one]
    assert offered(ann, "queue", "cancel", one, "") == []


def test_who_has_no_home_is_offered_no_contact(stranger):
    assert offered(stranger, "send", "") == []
    assert not stranger.home.exists()


@pytest.mark.parametrize("typed, expected", [
    ("st", ["status"]),
    ("invite --da", ["--days"]),
    ("revoke b", ["bob"]),
    ("renew --days 3 b", ["bob"]),
    ("renew --all --out", ["--output"]),
    ("invite b", []),
    ("admit x", [":files"]),
    ("admit x --name b", []),
    ("invite carl -o x", [":files"]),
    ("--dir x", [":directories"]),
    ("--dir {dir} revoke b", ["bob"]),
    ("--dir {dir}/none revoke b", []),
    ("help rev", ["revoke"]),
    ("frobnicate b", []),
])
def test_what_the_operator_is_offered(inviting, typed, expected):
    said = inviting.run("complete", "--", *typed.format(dir=inviting.dir).split())
    assert said.returncode == 0 and words_of(said.stdout) == expected
