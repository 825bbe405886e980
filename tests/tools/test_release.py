"""./run release: what a release consists of, and who it is from."""

import json
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from ctl_helper import BUILD, SANITIZED

ROOT = Path(__file__).parents[2]
SHIPPED = ("cyphernet", "cyphernetd", "cyphernetd-gate", "cyphernetd-metrics", "cyphernetd-switch", "cyphernetctl",
           "libcyphernet.so.0")


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)


@pytest.fixture(scope="module")
def committed(tmp_path_factory):
    """What is here, as one commit."""
    copy = tmp_path_factory.mktemp("committed") / "clone"
    shutil.copytree(ROOT, copy, symlinks=True,
                    ignore=lambda where, names: [n for n in names if n in (".git", "node_modules", "__pycache__")
                                                 or (Path(where) == ROOT and n.startswith("build"))])
    shutil.copy(ROOT / ".gitignore", copy)
    for words in (("init", "-q"), ("add", "-A"),
                  ("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "all")):
        assert run("git", "-C", copy, *words).returncode == 0
    return copy


@pytest.fixture
def clone(committed, tmp_path):
    """Of that."""
    assert run("git", "clone", "-q", committed, tmp_path / "clone").returncode == 0
    return tmp_path / "clone"


def release(clone, *words):
    return run("sh", clone / "packaging/release.sh", BUILD, *words)


def made(clone):
    return {path.name: path.read_bytes() for path in (clone / "build/release").glob("*")}


def test_the_archive_is_what_is_committed_and_always_the_same(clone):
    done = release(clone)
    assert done.returncode == 0, done.stderr
    assert "not signed" in done.stderr
    first = made(clone)
    [archive] = [name for name in first if name.endswith(".tar.xz")]
    with tarfile.open(clone / "build/release" / archive) as tar:
        names = {one.name.split("/", 1)[1] for one in tar.getmembers() if one.isfile() or one.issym()}
    assert names == set(run("git", "-C", clone, "ls-files").stdout.splitlines())
    sums = run("sha256sum", "-c", archive.replace(".tar.xz", ".sha256"), cwd=clone / "build/release")
    assert sums.returncode == 0 and sums.stdout.count("OK") == 2
    assert release(clone).returncode == 0
    assert made(clone) == first


def test_it_is_signed_and_what_was_changed_is_noticed(clone, tmp_path):
    secret, public = tmp_path / "secret", tmp_path / "public"
    assert run("minisign", "-G", "-W", "-s", secret, "-p", public).returncode == 0
    done = release(clone, "--key", secret)
    assert done.returncode == 0, done.stderr
    place = clone / "build/release"
    signed = [path for path in place.iterdir() if path.suffix != ".minisig"]
    assert len(signed) == 3
    for path in signed:
        assert run("minisign", "-V", "-p", public, "-m", path).returncode == 0
        path.write_bytes(path.read_bytes() + b"x")
        assert run("minisign", "-V", "-p", public, "-m", path).returncode != 0


@pytest.mark.parametrize("words, spoil, says", [
    ((), lambda clone: (clone / "README.md").write_text("other"), "something here is not committed"),
    ((), lambda clone: shutil.rmtree(clone / ".git"), "this is no clone"),
    (("--key", "/nowhere"), lambda clone: None, "no such key"),
    (("--sign",), lambda clone: None, "release takes"),
    (("--key",), lambda clone: None, "release takes"),
])
def test_what_cannot_be_a_release_is_none(clone, words, spoil, says):
    spoil(clone)
    done = release(clone, *words)
    assert done.returncode == 1
    assert says in done.stderr and "hint:" in done.stderr
    assert not (clone / "build").exists()


def test_all_that_is_linked_is_named():
    done = run("python3", ROOT / "packaging/sbom.py", BUILD)
    assert done.returncode == 0, done.stderr
    bill = json.loads(done.stdout)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    components = {one["bom-ref"]: one for one in bill["components"]}
    links = {one["ref"]: one["dependsOn"] for one in bill["dependencies"]}
    assert set(links) == set(SHIPPED)
    for name in SHIPPED:
        named = {prop["value"] for ref in links[name] for prop in components[ref].get("properties", [])}
        dynamic = run("readelf", "-dW", BUILD / name).stdout
        wanted = set(re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic)) - {"ld-linux-x86-64.so.2"}
        assert wanted and wanted <= named
        compiled_in = any(ref.startswith("pkg:npm/pqclean@") for ref in links[name])
        assert compiled_in == ("PQCLEAN_" in run("nm", BUILD / name).stdout)


@pytest.mark.skipif(SANITIZED, reason="the sanitizers' runtime tells where sources are")
@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_built_does_not_say_where(name):
    assert str(ROOT).encode() not in (BUILD / name).read_bytes()
