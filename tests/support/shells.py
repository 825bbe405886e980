"""An sshd of our own, ssh that gets there through a tunnel, and other programs of this machine."""

import getpass
import os
import subprocess
from pathlib import Path

from ctl_helper import BUILD
from live import free_port, until
from tunnels import connected


def run(*words, **options):
    """The finished program, which must end well."""
    options = {"capture_output": True, "timeout": 60, "stdin": subprocess.DEVNULL, **options}
    done = subprocess.run([str(word) for word in words], check=False, **options)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


def up(world, command, port, **options):
    """Start a server, and wait until somebody can connect to it."""
    running = world.run_program(command, **options)

    def answers():
        assert running.process.poll() is None, running.said()
        try:
            connected(port).close()
        except ConnectionRefusedError:
            return False
        return True

    until(answers, f"{command[0]} answers")
    return running


def sshd(world, tmp):
    """It runs, with keys in that directory: its port."""
    port = free_port()
    for key in ("host", "user"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp / key)
    (tmp / "known").write_text("there " + (tmp / "host.pub").read_text())
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    settings = {
        "ListenAddress": f"127.0.0.1:{port}", "HostKey": tmp / "host", "PidFile": "none", "UsePAM": "no",
        "AuthorizedKeysFile": tmp / "user.pub", "StrictModes": "no", "PermitRootLogin": "yes",
    }  # fmt: skip
    words = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    up(world, ["/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", *words], port)
    return port


def ssh(tmp, person, partner, port, *words):
    """The words with which this person's ssh gets there by `cyphernet connect`, and these for that."""
    proxy = ["env", f"CYPHERNET_HOME={person.home}", BUILD / "cyphernet", "connect", "-q", *words, partner, f"localhost:{port}"]
    options = {
        "ProxyCommand": " ".join(map(str, proxy)), "IdentityFile": tmp / "user", "UserKnownHostsFile": tmp / "known",
        "HostKeyAlias": "there", "BatchMode": "yes", "User": getpass.getuser(), "LogLevel": "ERROR",
    }  # fmt: skip
    (tmp / "ssh_config").write_text("Host *\n" + "".join(f"  {name} {value}\n" for name, value in options.items()))
    return ["ssh", "-F", str(tmp / "ssh_config")]
