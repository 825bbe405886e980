"""The ProVerif models in docs/model: the cases of proofs.txt, and what ProVerif says of them."""
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

MODELS = Path(__file__).resolve().parent.parent / "docs" / "model"
CASES = MODELS / "proofs.txt"
LIMIT_S = 600  # for one case


class Case(NamedTuple):
    title: str
    model: str
    switches: tuple
    expected: list  # (result, query), in the model's order


def cases():
    found = []
    for line in CASES.read_text().splitlines():
        if line.startswith("[") and "] " in line:
            title, words = line[1:].split("] ", 1)
            model, *switches = words.split()
            found.append(Case(title, model, tuple(switches), []))
        elif line and not line.startswith("#"):
            result, query = line.split(None, 1)
            found[-1].expected.append((result, query))
    return found


FACT = re.compile(r"(?:inj-)?(?:event|attacker)(?:_p1)?\((\w+)(?:\((\w+)(?:,label_(\w+))?)?")


def short(query):
    """A query as proofs.txt has it: of each fact its name, and what it says first."""
    sides = ["; ".join(" ".join(word for word in fact if word not in ("", "point_of", "dh", "k"))
                       for fact in (match.groups("") for match in FACT.finditer(side)))
             for side in query.split(" ==> ")]
    often = "once " if "inj-event" in query else ""
    known = "known: " if "attacker" in query else ""
    if not any(sides):
        return query
    return f"{often}{' ==> '.join(sides)}" if len(sides) > 1 else f"never {known}{sides[0]}"


RESULT = re.compile(r"^RESULT (.*?) (is true|is false|cannot be proved)\.$", re.MULTILINE)


def results(said):
    """Of what ProVerif said: (result, query) for each query."""
    return [(result.rsplit(" ", 1)[-1] if result != "cannot be proved" else "open", short(query))
            for query, result in RESULT.findall(said)]


def is_installed():
    return shutil.which("proverif") is not None


def prove(case, directory):
    """What ProVerif says of a case, and the seconds that it took."""
    directory.mkdir(parents=True, exist_ok=True)
    source = directory / (re.sub(r"\W+", "-", case.title) + ".pv")
    with source.open("w") as out:
        subprocess.run(["gcc", "-E", "-P", "-x", "c", "-w", *(f"-D{word}" for word in case.switches),
                        MODELS / f"{case.model}.pv"], stdout=out, check=True)
    began = time.monotonic()
    try:
        said = subprocess.run(["proverif", source], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False, timeout=LIMIT_S).stdout
    except subprocess.TimeoutExpired:
        said = f"not done within {LIMIT_S} s"
    return said, time.monotonic() - began
