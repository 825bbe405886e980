"""A manual page: what a program says in its help, and what is written beside it.

    page.py SCDOC PROGRAM COMMAND SECTION WRITTEN     of a command: NAME, SYNOPSIS, OPTIONS and the beginning of
                                                      DESCRIPTION are what `PROGRAM help COMMAND` says
    page.py SCDOC PROGRAM - SECTION WRITTEN           of the program itself: the line @COMMANDS@ becomes a list of them
"""

import os
import re
import subprocess
import sys
from pathlib import Path

OPTION = r"(?<![\w-])(?:--[a-z][a-z-]*|-[A-Za-z]\b)"


def escaped(text):
    return re.sub(r"([*_\\])", r"\\\1", text)


def synopsis(text):
    """A command line: options and words as they are typed, in bold; what they stand for underlined."""
    pieces = re.split(rf"({OPTION}|(?<!\S)--(?!\S)|(?<=\|)-|[A-Z][A-Z:]*|[a-z][a-z-]*)", text)
    for at in range(1, len(pieces), 2):
        sign = "_" if pieces[at][0].isupper() else "*"
        pieces[at] = f"{sign}{escaped(pieces[at])}{sign}"
    pieces[::2] = map(escaped, pieces[::2])
    return "".join(pieces)


def marked(text, names):
    """Prose: the same for what stands in backquotes, for options, and for these names."""
    pieces = re.split(rf"(`[^`]+`|{OPTION}|\b(?:{'|'.join(names) or '-'})\b)", text)
    for at in range(1, len(pieces), 2):
        pieces[at] = synopsis(pieces[at].strip("`"))
    pieces[::2] = map(escaped, pieces[::2])
    return re.sub(r"(?m)^([-#.\[|\]])", r"\\\1", "".join(pieces))


def told(program, *words):
    env = {**os.environ, "CYPHERNET_HOME": "/nonexistent"}
    return subprocess.run([program, "help", *words], check=True, capture_output=True, text=True, env=env).stdout


def prose(text, names):
    """Paragraphs; lines that are indented are examples, and stand as they are."""
    lines = []
    for indented, block in re.findall(r"(?m)((?:^ {2}.*\n?)+)|((?:^(?! {2}).*\n?)+)", text):
        lines.append(f"```\n{re.sub('(?m)^  ', '', indented)}```\n" if indented else marked(block, names))
    return "\n".join(lines)


def options(text, names):
    rows = re.findall(r"^ +((?:-\w, )? *--[a-z-]+(?: \S+)?) +(.*)$", text, re.M)
    return "\n".join(f"{synopsis(left.strip())}\n\t{marked(right[0].upper() + right[1:], names)}.\n" for left, right in rows)


def page_of_command(program, command, section, written):
    said = told(program, command)
    usage, summary, rest = said.split("\n\n", 2)
    body, rest = f"\n{rest}".split("\nOptions:\n", 1)
    usages = [line.removeprefix("usage:").strip() for line in usage.splitlines()]
    names = sorted(set(re.findall(r"[A-Z]{2,}", " ".join(usages) + " ".join(re.findall(r"--\S+ (\S+)", rest)))))
    name = f"{Path(program).name}-{command}"
    summary = summary.rstrip(".")
    yield f"{name}({section})\n\n# NAME\n\n{name} - {marked(summary[0].lower() + summary[1:], names)}\n"
    yield "# SYNOPSIS\n\n" + "++\n".join(map(synopsis, usages)) + "\n"
    head, mark, more = written.partition("# EXIT STATUS\n")  # what is written of the description, and the rest
    yield f"# DESCRIPTION\n\n{prose(body.strip() + chr(10), names) if body.strip() else marked(summary, names) + '.'}\n"
    yield head
    yield "# OPTIONS\n\n" + options(rest, names)
    yield mark + more


def page_of_program(program, section, written):
    rows = re.findall(r"^  ([a-z-]+) +(.*)$", told(program).split("\nOptions")[0], re.M)
    name = Path(program).name
    return [written.replace("@COMMANDS@\n", "".join(
        f"*{name}-{command}*({section})\n\t{marked(summary[0].upper() + summary[1:], [])}.\n\n" for command, summary in rows))]


def main(scdoc, program, command, section, path):
    written = Path(path).read_text()
    made = page_of_program(program, section, written) if command == "-" else page_of_command(program, command, section, written)
    done = subprocess.run([scdoc], input="\n".join(made), check=True, capture_output=True, text=True)
    sys.stdout.write(done.stdout)


main(*sys.argv[1:])
