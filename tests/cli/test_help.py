"""Help, versions and misuse."""

import json
import re
from pathlib import Path

import pytest

COMMANDS = ["init", "request", "join", "contact", "pipe", "talk", "send", "receive", "forward", "serve", "connect",
            "agent", "queue",
            "passphrase", "backup", "restore", "rotate",
            "doctor", "version", "help"]


@pytest.mark.parametrize(
    "args, said",
    [
        ([], "no command"),
        (["frobnicate"], "frobnicate"),
        (["help", "frobnicate"], "frobnicate"),
        (["help", "init", "more"], "too many"),
        (["init", "--frobnicate"], "--frobnicate"),
        (["init", "-x"], "-x"),
        (["init", "-qx"], "-x"),
        (["init", "extra"], "too many"),
        (["init", "--rsa"], "2048|3072|4096|8192"),
        (["init", "--rsa="], "--rsa wants one of 2048|3072|4096|8192"),
        (["init", "--rsa=204"], "--rsa wants one of"),
        (["pipe", "bob", "--json"], "--events FD"),
        (["connect", "bob", "localhost:22", "--json"], "--events FD"),
        (["init", "--json=yes"], "--json"),
        (["request", "-o"], "FILE"),
        (["contact"], "too few"),
        (["contact", "frobnicate"], "frobnicate"),
        (["contact", "offer"], "arguments"),
        (["contact", "list", "bob"], "arguments"),
        (["contact", "rename", "bob"], "arguments"),
        (["doctor", "more"], "too many"),
        (["version", "more"], "too many"),
        (["init", "--json"], "--json"),
        (["join", "--json", "file"], "--json"),
        (["help", "--json"], "--json"),
        (["passphrase", "--json"], "--json"),
        (["passphrase", "more"], "too many"),
        (["restore"], "too few"),
        (["restore", "file", "more"], "too many"),
        (["restore", "--json", "file"], "--json"),
        (["backup", "file"], "too many"),
        (["backup", "-o"], "FILE"),
        (["rotate", "more"], "too many"),
        (["rotate", "--rsa", "1000"], "4096"),
        (["rotate", "--status", "--finish"], "one of"),
        (["rotate", "--status", "--rsa", "2048"], "one of"),
        (["rotate", "--yes"], "--finish"),
        (["version", "--passphrase-fd"], "FD"),
        (["--json", "help", "pipe"], "--json"),
        (["contact", "rename", "bob", "carl", "--json"], "--json"),
        (["contact", "remove", "bob", "--json"], "--json"),
    ],
)
def test_misuse_is_exit_2_with_a_reason(stranger, args, said):
    assert said in stranger.bad(2, *args)
    assert not stranger.home.exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(stranger, command):
    texts = [stranger.ok(*words) for words in (["help", command], [command, "--help"], [command, "-h"])]
    assert {done.stdout for done in texts} == {texts[0].stdout}
    assert texts[0].stdout.startswith(f"usage: cyphernet {command}")
    assert all(done.stderr == "" for done in texts)
    assert not stranger.home.exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_help_lists_json_where_it_may_be_given(stranger, command):
    told = "--json" in stranger.ok("help", command).stdout.split("\nOptions:\n")[1]
    assert told != (command in ("init", "join", "pipe", "connect", "passphrase", "restore", "help"))


def test_the_overview_lists_every_command(stranger):
    overview = stranger.ok("help").stdout
    assert stranger.ok("--help").stdout == stranger.ok("-h").stdout == overview
    words = [line.split()[0] for line in overview.splitlines() if line.startswith("  ")]
    assert set(COMMANDS) <= set(words)


def test_versions(stranger):
    done = stranger.ok("version")
    assert done.stdout.startswith("cyphernet ") and "ML-KEM-768" in done.stdout
    assert stranger.ok("--version").stdout == done.stdout
    for words in (["--", "version"], ["-q", "--", "version"], ["pipe", "--version"], ["pipe", "bob", "--version"],
                  ["contact", "--version"], ["help", "--version"]):
        assert stranger.ok(*words).stdout == done.stdout
    assert "no command" in stranger.bad(2, "--")
    assert "there is no contact '--version'" in stranger.bad(1, "talk", "--", "--version")
    row = json.loads(stranger.ok("version", "--json").stdout)
    assert row["v"] == 1 and row["version"] in done.stdout


def test_the_manual_names_every_event():
    root = Path(__file__).parents[2]
    told = set()
    for source in (root / "cli").rglob("*.c"):
        for said in (r'\\"event\\":\\"([a-z]+)\\"', r'\b(?:cn_dial_event|cn_output_write|tell_json|say_head)\([^;"]*"([a-z]+)"'):
            told |= set(re.findall(said, source.read_text()))
    section = (root / "docs/man/cyphernet.1.scd").read_text().split("\n# EVENTS\n")[1].split("\n# ")[0]
    named = [re.findall(r"\*([a-z]+)\*", line) for line in section.splitlines() if line.startswith("*")]
    assert {word for words in named for word in words} == told
    assert {"open", "done", "failed", "card", "file", "line", "check", "contact"} <= told


@pytest.mark.parametrize("number", ["", "x", "-1", " 1", "+1", "1x", "99", "99999999999999999999"])
def test_what_is_no_descriptor_for_events(ann, number):
    assert "--events wants" in ann.bad(2, "pipe", "bob", f"--events={number}")


def test_misuse_of_a_verb_shows_its_usage(stranger):
    assert "usage: cyphernet contact rename OLD NEW\n" in stranger.bad(2, "contact", "rename", "bob")


def test_behind_two_dashes_nothing_is_an_option(stranger):
    assert "valid name" in stranger.bad(2, "contact", "offer", "--", "--new")


def test_quiet_says_nothing_but_what_was_asked_for(ann):
    assert ann.ok("contact", "offer", "bob", "-q").stderr == ""
