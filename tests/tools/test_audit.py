"""docs/audit.md: each claim of SECURITY.md has a check, and each check is there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CLAIMS = ("The server", "Who has which key", "What is not protected")
TO_READ = "to be read: "


def plain(text):
    return " ".join(text.split())


def rows(text):
    """Of the tables: the cells of each row, but for headings."""
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith("| claim |"):
            yield [plain(cell) for cell in line.strip("|").split(" | ")]


AUDIT = list(rows((ROOT / "docs" / "audit.md").read_text()))


def sections():
    parts = re.split(r"^## (.+)$", (ROOT / "SECURITY.md").read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def units():
    """What of SECURITY.md has to have a claim: each row's last cell, each point of a list, each paragraph."""
    for name in CLAIMS:
        for block in re.split(r"\n\n+|\n(?=- )", sections()[name].strip()):
            if not block.startswith("|"):
                yield plain(block)
                continue
            for line in block.splitlines()[2:]:
                cell = plain(line.strip("|").split("|")[-1])
                if cell != "the same as above":
                    yield cell or plain(line)


@pytest.mark.parametrize("unit", units(), ids=lambda unit: unit[:40])
def test_nothing_is_claimed_without_a_check(unit):
    if unit == "Assume that the server is run by an adversary, or taken over by one.":
        return
    assert any(claim in unit for claim, _ in AUDIT), f"no claim in docs/audit.md is taken from: {unit}"


@pytest.mark.parametrize("claim", [row[0] for row in AUDIT])
def test_the_claims_are_those_of_security(claim):
    assert claim in plain((ROOT / "SECURITY.md").read_text())


def checks():
    for _, check in AUDIT:
        if check.startswith(TO_READ):
            continue
        commands = re.findall(r"`([^`]+)`", check)
        assert ", ".join(f"`{one}`" for one in commands) == check and commands, check
        yield from commands


@pytest.mark.parametrize("command", sorted(set(checks())))
def test_the_checks_are_there(command):
    program, verb, *words = command.split()
    assert program == "./run"
    help_text = subprocess.run([ROOT / "run", "help"], capture_output=True, text=True, check=True).stdout
    assert re.search(rf"^  {verb} ", help_text, re.MULTILINE)
    if verb != "test":
        return
    (path, _, name), = (word.partition("::") for word in words)
    text = (ROOT / "tests" / path).read_text()
    if name:
        assert re.search(rf"^(def|static void) {name}\(", text, re.MULTILINE), f"{path} has no {name}"


def test_one_check_can_be_run_alone(tmp_path):
    one = [ROOT / "run", "test", "unit/test_tag.c::nothing_else_gives_the_same"]
    done = subprocess.run(one, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "1 passed, 0 failed", done.stdout + done.stderr


@pytest.mark.parametrize("path", ["unit/test_tag.c::nothing", "tools/test_audit.py::test_nothing", "cli/nothing.py",
                                  "unit/nothing.c"])
def test_what_is_not_there_is_no_check_that_passes(path):
    done = subprocess.run([sys.executable, ROOT / "tests" / "suites.py", f"build={path}"], capture_output=True, text=True,
                          check=False)
    assert done.returncode != 0 and done.stdout.splitlines()[-1] == "0 passed, 1 failed", done.stdout + done.stderr
