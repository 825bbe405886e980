"""Running cyphernet on a home of its own."""

import os
import shutil
import subprocess

from ctl_helper import BUILD, Ctl


class Person:
    """A subscriber: `cyphernet` with CYPHERNET_HOME in a directory of the test's."""

    def __init__(self, tmp_path, name):
        self.tmp = tmp_path
        self.name = name
        self.home = tmp_path / f"home-{name}"

    def run(self, *args, env=None, **options):
        """The finished process: returncode, stdout, stderr as text."""
        env = {**os.environ, "CYPHERNET_HOME": str(self.home), **(env or {})}
        options = {"capture_output": True, "text": True, "timeout": 60, "cwd": self.tmp, **options}
        if "input" not in options:
            options.setdefault("stdin", subprocess.DEVNULL)
        command = [str(word) for word in (BUILD / "cyphernet", *args)]
        return subprocess.run(command, check=False, env=env, **options)

    def ok(self, *args, **options):
        done = self.run(*args, **options)
        assert done.returncode == 0, done.stderr
        return done

    def bad(self, code, *args, **options):
        """It fails with that code, says why, prints nothing else, and changes no file."""
        before = self.files()
        done = self.run(*args, **options)
        assert done.returncode == code, (done.returncode, done.stderr)
        assert done.stdout == ""
        assert done.stderr.startswith(("cyphernet: error: ", "cyphernet: warning: ")), done.stderr
        for line in done.stderr.splitlines():
            assert line.startswith(("cyphernet: error: ", "cyphernet: hint: ", "cyphernet: warning: ")), line
        assert self.files() == before
        return done.stderr

    def files(self):
        """Everything the test can write to, with modes and contents."""
        return {
            str(path.relative_to(self.tmp)): (path.lstat().st_mode, path.read_bytes() if path.is_file() else None)
            for path in sorted(self.tmp.rglob("*"))
            if not path.name.startswith("registry.db-")
        }

    def offer(self, name, *options):
        """The text of my card for NAME."""
        return self.ok("contact", "offer", name, *options).stdout

    def accept(self, name, card, *options):
        return self.ok("contact", "accept", name, *options, input=card)

    def state(self, name):
        for line in self.ok("contact", "list").stdout.splitlines():
            if line.split()[0] == name:
                return line.split()[1]
        return None

    def shown(self, name, what):
        lines = self.ok("contact", "show", name).stdout.splitlines()
        return next(line.split(": ", 1)[1].strip() for line in lines if line.startswith(f"{what}:"))

    def safety(self, name):
        return self.shown(name, "safety number")

    def words(self, name):
        """The same number in words."""
        return self.shown(name, "in words")

    def compared(self, name):
        """What accepting and verifying print: the number, then its words, seven to a line."""
        words = self.words(name).split()
        lines = [" ".join(words[at : at + 7]) for at in range(0, len(words), 7)]
        return "\n".join([self.safety(name), *lines, ""])


def copied(person, tmp_path):
    """The same, with a home of its own."""
    shutil.copytree(person.home, tmp_path / person.home.name)
    return Person(tmp_path, person.name)


def exchanged(place):
    """`ann` and `bob` of a server that does not run, who hold each other's card: to be copied, since making costs."""
    server = Ctl(place).init()
    people = []
    for name in ("ann", "bob"):
        server.ok("invite", name, "-o", f"{name}.fp")
        people.append(Person(place, name))
        people[-1].ok("join", f"{name}.fp")
    exchange(*people)
    return people


def exchange(one, other):
    """Both hold each other's card, under each other's name."""
    other.accept(one.name, one.offer(other.name))
    one.accept(other.name, other.offer(one.name))


