"""./run mutate [--files NAME...] [--count N] [--seed N]: whether the unit tests notice when one operator, constant or statement of
core is another. Of all mutants of these files so many are tried, as chance and the seed have it; each is compiled into the unit
tests that use its file. A mutant that no test notices is a failure, unless tests/mutants.txt explains why it has to survive."""
import argparse
import os
import random
import re
import shlex
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
EXPLAINED = ROOT / "tests" / "mutants.txt"
LIMIT = 120  # seconds: one that makes a test wait for ever is noticed

# By file of core: the tests that use it, those that take least first. Others have one of their own name alone.
TESTS = {
    "handshake": ["handshake", "vectors", "session"],
    "record": ["record", "vectors", "session"],
    "session": ["session", "mux_resume"],
    "session_keys": ["session"],
    "session_waiting": ["session", "call_of_many"],
    "rehandshake": ["session"],
    "stream": ["mux", "session"],
    "mux": ["mux", "mux_resume", "session", "call_of_many"],
    "mux_output": ["mux", "mux_resume", "schedule", "session", "call_of_many"],
    "mux_resume": ["mux_resume"],
    "schedule": ["schedule", "mux"],
    "flight": ["flight", "mux"],
    "frame": ["frame", "mux"],
    "card": ["card", "vectors"],
    "pair": ["pair", "vectors"],
    "noise": ["noise", "admission"],
    "seal": ["storage"],
}
# What is swapped for what.
OPERATORS = [
    (r"(?<![<>=!-])<(?![<=])", "<="), (r"<=", "<"), (r"(?<![<>=!-])>(?![>=])", ">="), (r"(?<!>)>=", ">"), (r"==", "!="),
    (r"!=", "=="), (r"(?<=[\w)\]] )\+(?= )", "-"), (r"(?<=[\w)\]] )-(?= )", "+"), (r"&&", "||"), (r"\|\|", "&&"),
    (r"\btrue\b", "false"), (r"\bfalse\b", "true"), (r"(?<=return )err(?=;)", "CN_OK"), (r"(?<=return )CN_E_\w+(?=;)", "CN_OK"),
    (r"\+\+(?=[\w;)\]])|(?<=[\w\])])\+\+", "--"), (r"\+=", "-="), (r"-=", "+="), (r"(?<![\w.\"])\d+(?:U|UL)?(?![\w.\"])", None),
]
STATEMENT = re.compile(r" +(?!return|goto|break|continue|else|case|default|struct |const |static |enum |unsigned |size_t |uint|"
                       r"int |bool )"
                       r"(?:\(void\))?[*a-z][\w>.\[\]*+ -]*(?:\(| [+|&-]?= |\+\+|--).*;$")
UNTOUCHED = re.compile(r"^\s*(?:#|/\*|\*|//)|\bassert\(|^static const|^enum|_Static_assert")


class Mutant:
    """One change of one line of core/NAME.c."""

    def __init__(self, name, number, line, changed, what):
        self.name, self.number, self.changed, self.what = name, number, changed, what
        self.key = f"{name}.c: {' '.join(line.split())}: {what}"


def code_of(line):
    """The line with what is no code blanked, so that columns stay."""
    blank = lambda found: " " * len(found[0])  # noqa: E731 (what re.sub is given)
    return re.sub(r"/\*.*?(?:\*/|$)|//.*$", blank, re.sub(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'', blank, line))


def mutants_of(name):
    found = []
    comment = False
    for number, line in enumerate((ROOT / "core" / f"{name}.c").read_text().splitlines()):
        was_comment, comment = comment, (comment or "/*" in line) and "*/" not in line.rpartition("/*")[2]
        if was_comment or UNTOUCHED.search(line):
            continue
        code = code_of(line)
        for pattern, other in OPERATORS:
            for at, place in enumerate(re.finditer(pattern, code)):
                new = other or str(int(place[0].rstrip("UL")) + 1)
                changed = line[: place.start()] + new + line[place.end() :]
                found.append(Mutant(name, number, line, changed, f"{place[0]} to {new}{f', number {at + 1}' if at else ''}"))
        if STATEMENT.match(code.rstrip()):
            found.append(Mutant(name, number, line, ";", "not done"))
    return found


def links(test):
    """The command that links a unit test."""
    done = subprocess.run(["ninja", "-C", BUILD, "-t", "commands", f"tests/unit/test_{test}"], stdout=subprocess.PIPE, text=True,
                          check=True)
    return shlex.split(done.stdout.splitlines()[-1])


def compiles(name):
    """The command that compiles a file of core, quickly."""
    done = subprocess.run(["ninja", "-C", BUILD, "-t", "commands", "libcyphernet.a", "tests/unit/test_admission"],
                          stdout=subprocess.PIPE, text=True, check=True)
    [line, *_] = [line for line in done.stdout.splitlines() if line.endswith(f"-c ../core/{name}.c")]
    words = shlex.split(line)
    return [word for word in words[: words.index("-MD")] if word not in ("-O2", "-D_FORTIFY_SOURCE=3")] + ["-O0", "-w"]


class Trial:
    """Compiles and runs mutants, in a directory of its own."""

    def __init__(self, place):
        self.place = place
        self.compiling, self.linking = {}, {}

    def prepare(self, name):
        self.compiling[name] = compiles(name)
        for test in TESTS.get(name, [name]):
            self.linking.setdefault(test, links(test))

    def survives(self, mutant):
        """Whether it compiles, and all tests pass with it. None: it does not compile."""
        with tempfile.TemporaryDirectory(dir=self.place) as where:
            lines = (ROOT / "core" / f"{mutant.name}.c").read_text().splitlines()
            lines[mutant.number] = mutant.changed
            source, made = Path(where) / f"{mutant.name}.c", Path(where) / "mutant.o"
            source.write_text("\n".join(lines) + "\n")
            words = [*self.compiling[mutant.name], "-o", made, "-c", source]
            if subprocess.run(words, cwd=BUILD, capture_output=True, check=False).returncode:
                return None
            return all(self.passes(test, made, Path(where) / "test") for test in TESTS.get(mutant.name, [mutant.name]))

    def passes(self, test, made, program):
        words = list(self.linking[test])
        at = words.index("-o")
        words[at + 1] = program
        words.insert(at + 2, made)
        subprocess.run(words, cwd=BUILD, capture_output=True, check=True)
        try:
            done = subprocess.run([program], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
                                  timeout=LIMIT, env={**os.environ, "CMOCKA_TEST_ABORT": "1"})
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0


def explained():
    """What may survive, and why."""
    lines = EXPLAINED.read_text().splitlines() if EXPLAINED.exists() else []
    return {key: why for line in lines if line and not line.startswith("#") for key, _, why in [line.partition(" -- ")]}


def main():
    parser = argparse.ArgumentParser(prog="./run mutate", description=__doc__)
    parser.add_argument("--files", nargs="*", default=sorted(TESTS), metavar="NAME", help="of core, without .c")
    parser.add_argument("--count", type=int, default=200, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    options = parser.parse_args()
    every = [mutant for name in options.files for mutant in mutants_of(name)]
    chosen = random.Random(options.seed).sample(every, min(options.count, len(every)))
    known = explained()
    print(f"{len(chosen)} of {len(every)} mutants, seed {options.seed}", flush=True)
    killed = kept = failed = 0
    with tempfile.TemporaryDirectory(prefix="cyphernet-mutants-") as place, ThreadPoolExecutor(os.cpu_count()) as pool:
        trial = Trial(place)
        for name in options.files:
            trial.prepare(name)
        for mutant, survives in zip(chosen, pool.map(trial.survives, chosen), strict=True):
            if survives is None:
                continue
            if not survives:
                killed += 1
            elif mutant.key in known:
                kept += 1
            else:
                failed += 1
                print(f"survives: {mutant.key} (line {mutant.number + 1})", flush=True)
    print(f"{killed} were noticed, {kept} need not be, {len(chosen) - killed - kept - failed} were no C")
    print(f"{killed + kept} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
