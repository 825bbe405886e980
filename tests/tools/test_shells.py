"""Completion in real shells, which ask the programs what may come next."""

import os
import pty
import shlex
import shutil
import subprocess

import pytest

from ctl_helper import BUILD
from live import until
from offering import EVIL, offering, words_of  # noqa: F401 (a fixture)


class Shell:
    """An interactive shell at a terminal, where `cyphernet` says what it was called with. Only what may come next is
    asked of the real one, or of a wicked one that offers just EVIL."""

    def __init__(self, tmp, name, person=None):
        self.tmp = tmp / "typing"
        self.bin = tmp / "bin"
        self.called = tmp / "called"
        self.tmp.mkdir()
        self.bin.mkdir()
        program = self.bin / "cyphernet"
        wicked = "for last; do :; done\n    printf '%s\\tx\\n' " + " ".join(
            shlex.quote(f"Z{number}{text}") for number, text in enumerate(EVIL)) + ' | grep "^$last"'
        real = f"exec {shlex.quote(str(BUILD / 'cyphernet'))} \"$@\"" if person else wicked
        program.write_text(f"""#!/bin/sh
if [ "$1" = complete ]; then
    {real}
    exit
fi
printf '<%s>' "$@" >{self.called}.new && mv {self.called}.new {self.called}
""")
        program.chmod(0o755)
        shutil.copy(BUILD / "completion/cyphernet.zsh", self.bin / "_cyphernet")
        (self.bin / "setup.bash").write_text(f"bind 'set enable-bracketed-paste off'\n. {BUILD}/completion/cyphernet.bash\n")
        # the tab key of zsh also expands, whatever is completed: not here
        (self.bin / "setup.zsh").write_text(
            f"fpath=({self.bin} $fpath)\nautoload -Uz compinit\ncompinit -u -D\nbindkey '^I' complete-word\n")
        started = {"bash": "bash --norc --noprofile -i", "zsh": "zsh -f -i"}[name].split()
        self.ours, theirs = pty.openpty()
        env = {"PATH": f"{self.bin}:{os.environ['PATH']}", "TERM": "dumb", "HOME": str(tmp), "PS1": "", "LC_ALL": "C",
               **({"CYPHERNET_HOME": str(person.home)} if person else {})}
        self.process = subprocess.Popen(started, stdin=theirs, stdout=theirs, stderr=theirs, cwd=self.tmp, env=env,
                                        start_new_session=True)
        os.close(theirs)
        self.type(f". {self.bin}/setup.{name}; cyphernet ready\n")
        self.calls("<ready>")

    def type(self, text):
        os.write(self.ours, text.encode())

    def calls(self, expected):
        shown = b""
        os.set_blocking(self.ours, False)

        def done():
            nonlocal shown
            try:
                shown += os.read(self.ours, 65536)
            except BlockingIOError:
                pass
            return self.called.exists() and self.called.read_text()

        got = until(done, expected)
        self.called.unlink()
        assert got.replace("/>", ">") == expected, shown  # zsh takes the slash of a directory off again
        assert not (self.tmp / "pwned").exists()

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.ours)


@pytest.fixture(params=["bash", "zsh"])
def shell(request, tmp_path):
    started = []

    def start(person=None):
        started.append(Shell(tmp_path, request.param, person))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.mark.parametrize("typed, expected", [
    ("cyphernet tal\t\n", "<talk>"),
    ("cyphernet contact sh\tbobb\t\n", "<contact><show><bobby>"),
    ("cyphernet talk --ans\tcarl\t\n", "<talk><--answer><carl.o_e-2>"),
    ("cyphernet send bob une\t\n", "<send><bob><une fête.txt>"),
    ("cyphernet receive -d sub\t\n", "<receive><-d><sub dir>"),
    ("cyphernet contact offer bob --output=une\t\n", "<contact><offer><bob><--output=une fête.txt>"),
    ("cyphernet send '$(touch pwned)' \t\n", "<send><$(touch pwned)>"),
])
def test_a_shell_completes(shell, offering, typed, expected):
    one = shell(offering)
    (one.tmp / "une fête.txt").write_text("")
    (one.tmp / "sub dir").mkdir()
    one.type(typed)
    one.calls(expected)


@pytest.mark.parametrize("number", range(len(EVIL)))
def test_a_shell_takes_what_is_offered_for_words(shell, number):
    one = shell()
    one.type(f"cyphernet send Z{number}\t\n")
    one.calls(f"<send><Z{number}{EVIL[number]}>")


@pytest.mark.parametrize("typed", ["$(touch pwned)", "`touch pwned`", '"$(touch pwned)', "<(touch pwned)"])
def test_a_shell_expands_nothing_that_is_being_typed(shell, offering, typed):
    one = shell(offering)
    one.type(f"cyphernet {typed} \t\x15cyphernet contact show {typed}\t\x15cyphernet still\n")
    one.calls("<still>")


def fish(person, typed, *setup):
    """What fish offers for that line."""
    done = subprocess.run(["fish", "--no-config", "-c", f"source {BUILD}/completion/cyphernet.fish\n" +
                           "".join(setup) + f"complete -C {shlex.quote(typed)}"],
                          capture_output=True, text=True, timeout=60, cwd=person.tmp,
                          env={"PATH": f"{BUILD}:{os.environ['PATH']}", "HOME": str(person.tmp), "TERM": "dumb",
                               "CYPHERNET_HOME": str(person.home)})
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert not (person.tmp / "pwned").exists()
    return words_of(done.stdout)


@pytest.mark.parametrize("typed, expected", [
    ("cyphernet tal", ["talk"]),
    ("cyphernet contact show b", ["bob", "bobby"]),
    ("cyphernet talk --ans", ["--answer"]),
    ("cyphernet send $(touch pwned) une", ["une.txt"]),
    ("cyphernet $(touch pwned)", []),
    ("cyphernet receive -d su", ["sub/"]),
    ("cyphernet contact offer bob --output=une", ["--output=une.txt"]),
])
def test_fish_completes(offering, typed, expected):
    (offering.tmp / "une.txt").write_text("")
    (offering.tmp / "sub").mkdir(exist_ok=True)
    assert fish(offering, typed) == expected
