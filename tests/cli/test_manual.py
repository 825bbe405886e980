"""Every command has a page, with all of its options and with examples that can be typed so."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from cn_helper import Person
from ctl_helper import BUILD

SECTION = {"cyphernet": 1, "cyphernetctl": 8}


def help_of(program, *words):
    return subprocess.run([BUILD / program, "help", *words], check=True, capture_output=True, text=True).stdout


def page_of(name, section):
    """As it is read."""
    path = BUILD / "docs" / f"{name}.{section}"
    made = subprocess.run(["mandoc", "-T", "utf8", "-O", "width=1000", path], check=True, capture_output=True, text=True).stdout
    return re.sub(".\b", "", made)


def section_of(page, name):
    return re.search(rf"(?ms)^{name}$(.*?)(?=^[A-Z]|\Z)", page)[1]


def commands_of(program):
    return re.findall(r"^  ([a-z-]+) ", help_of(program).split("\nOptions")[0], re.M)


COMMANDS = [(program, command) for program in SECTION for command in commands_of(program)]


@pytest.fixture(params=COMMANDS, ids="-".join)
def command(request):
    return request.param


def test_every_command_has_a_page(command):
    program, word = command
    page = page_of(f"{program}-{word}", SECTION[program])
    for name in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "EXAMPLES", "SEE ALSO"):
        assert len(section_of(page, name).split()) > 1, name
    assert f"{program}-{word}({SECTION[program]})" in page_of(program, SECTION[program]), "the program's page names it"
    assert help_of(program, word).endswith(f"\n{program}-{word}({SECTION[program]}) has examples.\n")


def test_all_of_its_help_is_there(command):
    program, word = command
    page = page_of(f"{program}-{word}", SECTION[program])
    said = help_of(program, word)
    usages, rest = said.split("\n\n", 1)
    rows = re.findall(r"^ +((?:-\w, )? *--[a-z-]+(?: \S+)?) +(.*)$", rest.split("\nOptions:\n")[1], re.M)
    assert len(rows) >= 4
    flat = " ".join(page.split())
    for option, what in rows:
        assert option.strip() in section_of(page, "OPTIONS")
        assert (what[0].upper() + what[1:]).replace("`", "") in flat
    for usage in usages.splitlines():
        assert usage.removeprefix("usage:").strip() in section_of(page, "SYNOPSIS")
    told = " ".join(rest.split("\nOptions:\n")[0].replace("`", "").split())
    for sentence in re.split(r"(?<=[.:]) ", told):
        assert sentence.rstrip(".")[1:] in flat, sentence


def test_every_option_of_the_command_is_known_to_be_one(command):
    """What a usage line says, the table has, and the other way round."""
    program, word = command
    usage, rest = help_of(program, word).split("\n\n", 1)
    known = set(re.findall(r"^ +-(\w),", rest, re.M)) | set(re.findall(r"^ +(?:-\w, )? *--([a-z-]+)", rest, re.M))
    named = {option.lstrip("-") for option in re.findall(r"(?<![\w-])(?:--[a-z-]+|-[A-Za-z]\b)", usage)}
    assert named <= known


def examples(path):
    """The lines of all examples in what is written of a page."""
    blocks = re.findall(r"(?ms)^```\n(.*?)^```$", path.read_text())
    return [re.sub(r"^\w*[$#] +", "", line) for block in blocks for line in block.splitlines()]


def typed(line):
    """The commands of ours in a line for a shell: the words of each, and none of another's."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|;<>&")
    lexer.whitespace_split = True
    found = []
    for word in lexer:
        if re.fullmatch("[|;&]+", word):
            found.append([])
        elif found:
            found[-1].append(word)
        else:
            found.append([word])
    inner = re.findall(r"ProxyCommand='?(cyphernet [^'\"]+)", line)
    found += [shlex.split(one) for one in inner]
    return [words for words in found if words and words[0] in SECTION]


WRITTEN = sorted((Path(__file__).parents[2] / "docs/man").rglob("*.scd"))
LINES = [(path.stem, line) for path in WRITTEN for line in examples(path) if re.search(r"\bcyphernet(ctl)? ", line)]


@pytest.mark.parametrize("page, line", LINES, ids=[f"{page}: {line}" for page, line in LINES])
def test_an_example_can_be_typed_so(tmp_path, page, line):
    """By somebody who has nothing yet, so that most end at once; none is a misuse."""
    stranger = Person(tmp_path, "stranger")
    three = os.open(os.devnull, os.O_RDWR)
    for program, *words in typed(line):
        for at in reversed([at for at, word in enumerate(words) if re.fullmatch("[<>]+", word)]):
            del words[at - (words[at - 1] == "3") : at + 2]
        words = [str(three) if word == "3" else word for word in words]
        if program == "cyphernetctl" and "--dir" not in words:
            words = ["--dir", str(tmp_path / "server"), *words]
        done = subprocess.run([BUILD / program, *words], cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60, env={**os.environ, "CYPHERNET_HOME": str(stranger.home)}, check=False,
                              start_new_session=True, pass_fds=[three])
        assert done.returncode != 2 and "usage:" not in done.stderr, done.stderr
    os.close(three)


def test_examples_are_found():
    assert len(LINES) > 60
    assert typed("ann$ x")[:] == []
    assert typed("pg_dump shop | cyphernet send bob - --name shop.sql") == [["cyphernet", "send", "bob", "-", "--name", "shop.sql"]]
    assert typed("ssh -o ProxyCommand='cyphernet connect bob localhost:22' bob") == [["cyphernet", "connect", "bob", "localhost:22"]]
