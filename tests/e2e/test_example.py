"""The example program, against the library alone."""

import os

from ctl_helper import BUILD


def test_echo_sends_back_what_it_gets(own_pair, own):
    ann, bob = own_pair
    data = os.urandom(3_000_000)
    echo = own.run_program([BUILD / "examples" / "echo", "ann"], env={"CYPHERNET_HOME": str(bob.home)})
    pipe = own.start(ann, "pipe", "bob", stdin=data)
    pipe.end(0)
    echo.end(0)
    assert pipe.got() == data


def test_echo_says_what_is_wrong(own):
    echo = own.run_program([BUILD / "examples" / "echo", "nobody"], env={"CYPHERNET_HOME": str(own.tmp / "none")})
    echo.end(1)
    assert "not there" in echo.said()
