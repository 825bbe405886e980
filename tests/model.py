"""model.py [--quick]: check the models in docs/model with SPIN, every state of each, and that each fault that can be
built into them is found, and with ProVerif, where it is installed, that each query has the result that is noted;
--quick: small ones of SPIN's, without faults. Ends with `N passed, N failed`."""
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import proofs

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "docs" / "model"
BUILT = Path(os.environ.get("CYPHERNET_BUILD", ROOT / "build")) / "model"
DEPTH = 1_000_000  # steps; a search that would go deeper fails
MEMORY_MIB = 4000
STATES_DEPTH_ERRORS = (r"^ *(\d+) states, stored", r"depth reached (\d+)", r"errors: (\d+)")
SAFE, ENDS = "safe", "ends"  # no assertion fails and nothing hangs; with losses at an end, it ends

FEW = ("NO_DURABLE", "NO_RESET")
QUICK = [
    ("journal", ("BLOCKS=4",), SAFE),
    ("journal", ("BLOCKS=4",), ENDS),
    ("resume", (*FEW, "UNITS=1"), SAFE),
]
ALL = [
    ("journal", ("BLOCKS=12",), SAFE),
    ("journal", ("BLOCKS=12",), ENDS),
    ("resume", ("UNITS=1",), SAFE),
    ("resume", (*FEW, "UNITS=3", "WINDOW=2"), SAFE),
    ("resume", (*FEW, "UNITS=2", "HARD"), SAFE),
    ("resume", (*FEW, "UNITS=2"), ENDS),
    ("resume", ("NO_DURABLE", "UNITS=1"), ENDS),
    ("resume", (*FEW, "UNITS=2", "HARD"), ENDS),
]

# One at a time.
FAULTS = [
    ("resume", ("BREAK_END_UNREAD", *FEW), SAFE, "the end is acknowledged before all was read"),
    ("resume", ("BREAK_FIN_ONCE", *FEW), SAFE, "an end is not said again"),
    ("resume", ("BREAK_OPEN_ONCE", *FEW), SAFE, "a beginning is not said again"),
    ("resume", ("BREAK_WINDOW_ONCE", *FEW, "UNITS=2"), SAFE, "a window is not said again"),
    ("resume", ("BREAK_CLOSE_ONCE", *FEW), SAFE, "CLOSE is not said again"),
    ("resume", ("BREAK_NOT_KEPT", *FEW), SAFE, "what was sent is not kept"),
    ("resume", ("BREAK_UNCONFIRMED", *FEW), SAFE, "who has both CLOSEs does not wait for the other"),
    ("resume", ("BREAK_LATE_FRAMES", *FEW), SAFE, "what was under way is read on the next connection"),
    ("resume", ("BREAK_RESET_ONCE", "NO_DURABLE"), SAFE, "a reset is forgotten when it is sent"),
    ("resume", ("BREAK_DURABLE_ONCE", "NO_RESET"), SAFE, "DURABLE is forgotten when it is sent"),
    ("resume", ("BREAK_CHATTER", *FEW), ENDS, "acknowledgements are said without news"),
    ("journal", ("BREAK_SUMS",), SAFE, "no sums are compared"),
    ("journal", ("BREAK_JOURNAL_KEPT",), SAFE, "the journal stays when the file is begun anew"),
    ("journal", ("BREAK_JOURNAL_AHEAD",), SAFE, "the journal is ahead of the disk"),
    ("journal", ("BREAK_RESULT_EARLY",), SAFE, "the result is told before the file has its name"),
    ("journal", ("BREAK_RENAME_EARLY",), SAFE, "the file has its name before it is on the disk"),
]


def command(*words, cwd):
    return subprocess.run(words, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


def search(model, options, property_):
    """What pan says of all states of a model."""
    directory = BUILT / "-".join((model, property_, *options)).replace("=", "")
    directory.mkdir(parents=True, exist_ok=True)
    made = command("spin", "-a", *(f"-D{option}" for option in options), MODELS / f"{model}.pml", cwd=directory)
    if made.returncode or "rror" in made.stdout:
        return made.stdout
    flags = ["-DSAFETY", "-DNOCLAIM"] if property_ == SAFE else ["-DNFAIR=5"]
    made = command("gcc", "-O2", "-DCOLLAPSE", f"-DMEMLIM={MEMORY_MIB}", *flags, "-o", "pan", "pan.c", cwd=directory)
    if made.returncode:
        return made.stdout
    return command("./pan", f"-m{DEPTH}", *(["-a", "-f"] if property_ == ENDS else []), cwd=directory).stdout


def number(pattern, said):
    found = re.search(pattern, said, re.MULTILINE)
    return int(found[1]) if found else None


def unreached(said):
    """Statements of the processes that no state leads to."""
    parts = re.split(r"^unreached in (\w+ \w+)$", said, flags=re.MULTILINE)
    return [line.strip() for title, text in zip(parts[1::2], parts[2::2], strict=True) if title.startswith("proctype")
            for line in text.splitlines() if ", state " in line]


def is_whole(said):
    """Nothing was left out of the search, and a fault would have been told."""
    cut = ("max search depth too small", "out of memory", "Search not completed", "memory limit", "aborting", "hash-table full")
    return number(r"errors: (\d+)", said) == 0 and not any(words in said for words in cut)


def check(case):
    model, options, property_ = case
    began = time.monotonic()
    said = search(*case)
    left = unreached(said) if property_ == SAFE and not set(options) & {*FEW} else []
    good = is_whole(said) and not left
    title = f"{model}, {property_}, {' '.join(options)}"
    states, depth, errors = (number(words, said) for words in STATES_DEPTH_ERRORS)
    text = (f"{'ok' if good else 'FAILED'}  {title}: {states} states, depth {depth}, errors: {errors}, "
            f"{time.monotonic() - began:.0f} s")
    return good, "\n".join([text, *left] if is_whole(said) else [text, said])


def check_fault(case):
    model, options, property_, what = case
    said = search(model, options, property_)
    good = bool(number(r"errors: (\d+)", said))
    text = f"{'ok' if good else 'FAILED'}  {model}, wrong: {what}: {'found' if good else 'not found'}"
    return good, text if good else f"{text}\n{said}"


def check_proof(case):
    """How many queries have the result that is noted, how many not, and what to print."""
    said, seconds = proofs.prove(case, BUILT / "proverif")
    found = proofs.results(said)
    missing = [f"  expected: {result} {query}" for result, query in case.expected if (result, query) not in found]
    surplus = [f"  not expected: {result} {query}" for result, query in found if (result, query) not in case.expected]
    failed = len(missing) or int(bool(surplus))
    text = f"{'FAILED' if failed else 'ok'}  proverif, {case.title}: {len(found)} queries, {seconds:.0f} s"
    lines = [text, *missing, *surplus, *([] if found else [said])]
    return len(case.expected) - failed, failed, "\n".join(lines)


def main():
    if sys.argv[1:] not in ([], ["--quick"]):
        print("usage: model.py [--quick]", file=sys.stderr)
        return 2
    quick = bool(sys.argv[1:])
    cases, faults = (QUICK, []) if quick else (ALL, FAULTS)
    passed = failed = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = [pool.submit(check, case) for case in cases] + [pool.submit(check_fault, case) for case in faults]
        for run in runs:
            good, text = run.result()
            print(text, flush=True)
            passed, failed = passed + good, failed + (not good)
        if not quick and proofs.is_installed():
            for right, wrong, text in pool.map(check_proof, proofs.cases()):
                print(text, flush=True)
                passed, failed = passed + right, failed + wrong
        elif not quick:
            print("ProVerif is not installed: its models were not run")
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
