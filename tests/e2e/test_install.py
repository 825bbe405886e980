"""`meson install` gives everything, and a program builds against it."""

import os
import subprocess
from pathlib import Path

import pytest
from ctl_helper import BUILD

EXPECTED = [
    "bin/cyphernet",
    "bin/cyphernetctl",
    "bin/cyphernetd",
    "include/cyphernet.h",
    "include/cyphernet/err.h",
    "include/cyphernet/files.h",
    "lib/systemd/system/cyphernetd.service",
    "lib/systemd/system/cyphernetd.socket",
    "lib/systemd/user/cyphernet-agent.service",
    "lib/sysusers.d/cyphernetd.conf",
    "share/bash-completion/completions/cyphernet",
    "share/bash-completion/completions/cyphernetctl",
    "share/cyphernet/alerts.yml",
    "share/cyphernet/grafana.json",
    "share/fish/vendor_completions.d/cyphernet.fish",
    "share/fish/vendor_completions.d/cyphernetctl.fish",
    "share/man/man1/cyphernet.1",
    "share/man/man1/cyphernet-pipe.1",
    "share/man/man3/libcyphernet.3",
    "share/man/man5/cyphernetd.conf.5",
    "share/man/man8/cyphernetctl.8",
    "share/man/man8/cyphernetctl-invite.8",
    "share/man/man8/cyphernetd.8",
    "share/zsh/site-functions/_cyphernet",
    "share/zsh/site-functions/_cyphernetctl",
    "include/cyphernet/tunnel.h",
]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    place = tmp_path_factory.mktemp("installed")
    subprocess.run(
        ["meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", place],
        check=True,
        capture_output=True,
        timeout=120,
    )
    return place / "usr/local"


@pytest.mark.parametrize("path", EXPECTED)
def test_is_installed(installed, path):
    assert (installed / path).is_file()


def test_the_units_start_the_installed_programs(installed):
    agent = (installed / "lib/systemd/user/cyphernet-agent.service").read_text()
    assert "ExecStart=/usr/local/bin/cyphernet agent\n" in agent
    assert "ExecReload=/usr/local/bin/cyphernet agent --check\n" in agent
    assert "ExecStart=/usr/local/bin/cyphernetd" in (installed / "lib/systemd/system/cyphernetd.service").read_text()


def test_the_library_is_where_pkg_config_looks(installed):
    searched = subprocess.run(
        ["pkg-config", "--variable", "pc_path", "pkg-config"], check=True, capture_output=True, text=True
    ).stdout.strip()
    [described] = installed.rglob("libcyphernet.pc")
    assert f"/usr/local/{described.parent.relative_to(installed)}" in searched.split(":")
    for name in ("libcyphernet.a", "libcyphernet.so", "libcyphernet.so.0"):
        assert (described.parents[1] / name).is_file()
    assert described.read_text().count("-lcyphernet") == 1


def test_a_program_builds_with_pkg_config_alone(installed, tmp_path):
    directory = next(installed.rglob("libcyphernet.pc")).parent
    env = dict(os.environ, PKG_CONFIG_PATH=str(directory), PKG_CONFIG_SYSROOT_DIR=str(installed.parents[1]))
    flags = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "libcyphernet"], env=env, check=True, capture_output=True, text=True
    ).stdout.split()
    source = Path(__file__).parents[2] / "examples/echo.c"
    program = tmp_path / "echo"
    subprocess.run(["cc", "-Wl,--allow-shlib-undefined", "-o", program, source, *flags], check=True, timeout=60)
    assert program.is_file()
