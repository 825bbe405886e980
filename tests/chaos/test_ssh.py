"""A login over a tunnel keeps its session while lines are cut under it."""

import subprocess

from live import until
from shells import ssh, sshd

CUTS = 10
RESUME = 60


def test_a_login_outlives_ten_cuts(line, tmp_path):
    world, proxy, ann, bob = line
    port = sshd(world, tmp_path)
    serving = world.start(bob, "serve", "ann", "--allow", f"localhost:{port}", resume=RESUME)
    serving.says("waiting for ann")
    login = world.run_program([*ssh(tmp_path, ann, "bob", port, "--resume-for", RESUME), "-T", "there", "sh"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def answer(number):
        """The same shell each time: it knows what it was told first."""
        login.stdin.write(b"token=${token:-$$}; echo $token answer %d\n" % number)
        login.stdin.flush()
        shell, *rest = login.stdout.readline().split()
        assert rest == [b"answer", b"%d" % number], (rest, login.said())
        return shell

    shells = {answer(0)}
    for number in range(1, CUTS + 1):
        for one in proxy.of(("ann", "bob")[number % 2]):
            one.reset()
        until(lambda at=number: serving.said().count("is lost; reconnecting") >= at, "that is noticed")
        shells.add(answer(number))
    assert len(shells) == 1
    login.stdin.write(b"exit 3\n")
    login.stdin.close()
    login.end(3)
