"""What files .gitignore leave out is what git ignores: trees and patterns by seed, compared with git itself."""

import os
import random
import re
import subprocess

import pytest
from ctl_helper import BUILD

NAMES = ["a", "b", "ab", "abc", "a.o", "b.o", "x y", "c ", "#d", "!e", "[f]", "g*", "\\h", "A", "1", "-", "é"]
PIECES = ["a", "b", "c", "*", "?", "**", "/", "/", "/**", "**/", ".o", "[ab]", "[!a]", "[^b]", "[a-c]", "[[:alpha:]]", "[[:digit:]]",
          "[]-a]", "[a", "\\", "\\*", "\\#", "\\ ", " ", "x", "é", "[a/b]", "[\\]]", "[b-a]", "[-a]", "[a-]", "***"]


@pytest.fixture
def git(tmp_path):
    """Run git in tmp_path/tree, which no setting of this machine or its user has a part in."""
    env = dict(os.environ, GIT_CONFIG_NOSYSTEM="1", GIT_CONFIG_GLOBAL="/dev/null", HOME=str(tmp_path),
               XDG_CONFIG_HOME=str(tmp_path))

    def run(*args, **kwargs):
        return subprocess.run(["git", "-C", tmp_path / "tree", *args], env=env, capture_output=True, **kwargs)

    return run


def pattern(rng):
    """Not "a**/b": git cuts "a" off before it matches, and takes what is left for a ** between slashes, against its manual."""
    text = "a**"
    while re.match(r"[^*?\[\\]*[^*?\[\\/]\*\*", text):
        text = "".join(rng.choice(PIECES) for _ in range(rng.randint(1, 5)))
    return rng.choice(["", "", "", "!", "/", "# "]) + text + rng.choice(["", "", "", "/", " ", "\r"])


def grow(rng, directory, depth):
    """A directory with files, patterns and more directories in it."""
    directory.mkdir()
    for name in rng.sample(NAMES, rng.randint(2, 6)):
        if depth and rng.random() < 0.5:
            grow(rng, directory / name, depth - 1)
        elif rng.random() < 0.1:
            (directory / name).symlink_to("a")
        else:
            (directory / name).write_text("")
    if depth == 3 or rng.random() < 0.4:
        lines = [pattern(rng) for _ in range(rng.randint(1, 6))]
        mark = "\ufeff" if rng.random() < 0.1 else ""
        (directory / ".gitignore").write_bytes((mark + "\n".join(lines) + rng.choice(["", "\n"])).encode())


def listed(tree, *options):
    """The paths below the tree that are to be sent."""
    made = subprocess.run([BUILD / "tests/support/tree_list", *options, tree], capture_output=True, check=True)
    assert made.stderr == b""
    names = made.stdout.split(b"\0")[:-1]
    assert names[0] == b"tree"
    return {name.removeprefix(b"tree/") for name in names[1:]}


def ignored(git, paths):
    """Those of the paths that git ignores."""
    made = git("check-ignore", "-z", "--stdin", input=b"\0".join(sorted(paths)) + b"\0")
    assert made.returncode in (0, 1), made.stderr
    return set(made.stdout.split(b"\0")[:-1])


@pytest.mark.parametrize("seed", range(8))
def test_what_git_ignores_is_left_out(tmp_path, git, seed):
    rng = random.Random(seed)
    tree = tmp_path / "tree"
    for turn in range(10):
        grow(rng, tree, 3)
        everything = listed(tree)
        assert git("init", "-q").returncode == 0
        expected = everything - ignored(git, everything)
        got = listed(tree, "--gitignore")
        if got != expected:
            files = {str(p.relative_to(tree)): p.read_bytes() for p in tree.rglob(".gitignore")}
            pytest.fail(f"turn {turn}: too many {got - expected}, missing {expected - got}; {files}")
        subprocess.run(["rm", "-rf", tree], check=True)


def test_patterns_of_the_command_line_are_those_of_a_file_at_the_top(tmp_path):
    rng = random.Random(99)
    tree = tmp_path / "tree"
    for _ in range(20):
        grow(rng, tree, 3)
        for file in tree.rglob(".gitignore"):
            file.unlink()
        patterns = [p for p in (pattern(rng) for _ in range(4)) if p[0] != "#" and not p.endswith((" ", "\r"))]
        got = listed(tree, *(word for p in [*patterns, "!tree"] for word in ("--exclude", p)))
        (tree / ".gitignore").write_text("".join(p + "\n" for p in patterns))
        expected = listed(tree, "--gitignore", "--exclude", ".gitignore")
        assert got == expected, patterns
        subprocess.run(["rm", "-rf", tree], check=True)


def test_odd_names_come_as_they_are(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    names = [b"\xff\xfe", b"new\nline", b"\x1b[31m", b"-rf", b" ", b"...", b"x" * 255]
    for name in names:
        (tree / os.fsdecode(name)).write_text("")
    assert listed(tree) == set(names)
