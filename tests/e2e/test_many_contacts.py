"""One line to the server that waits for many contacts and services at once."""

import pytest

from ctl_helper import BUILD
from live import World, until

PROGRAM = BUILD / "tests/support/many_contacts"
COUNT = 200
SERVICES = ["talk", "pipe", "file", "forward"]
REFUSED = 8


class Many(World):
    """`ann`, who has exchanged cards with p000, p001 and so on."""

    def __init__(self, tmp):
        super().__init__(tmp)
        self.ctl.ok("invite", "others", "-o", "others.fp")
        self.ann = self.person("ann")
        self.run_program([PROGRAM, "make", "others.fp", COUNT], env=self.of_ann(), cwd=self.tmp).end(0, limit=300)

    def of_ann(self):
        return {"CYPHERNET_HOME": str(self.ann.home)}

    def answering(self, calls):
        return self.run_program([PROGRAM, "answer", calls, *SERVICES], env=self.of_ann(), cwd=self.tmp)

    def call(self, name, *words, **options):
        return self.run_program([BUILD / "cyphernet", *words, "--wait", 60], cwd=self.tmp,
                                env={"CYPHERNET_HOME": str(self.tmp / name)}, **options)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    world = Many(tmp_path_factory.mktemp("many"))
    yield world
    world.close()


def tells(running, text):
    until(lambda: text in running.got().decode() or running.process.poll() is not None, text)
    assert text in running.got().decode(), (running.got(), running.said())


def piped(many, name):
    call = many.call(name, "pipe", "ann", stdin=f"I am {name}".encode())
    call.end(0)
    assert call.got() == f"I am {name}".encode()


def test_whoever_of_two_hundred_calls_for_whatever_has_the_line(many):
    many.serve("[waiting]\ntags_per_line = 2048\n")
    ann = many.answering(6)
    tells(ann, f"waiting for {COUNT * len(SERVICES)}\n")
    for name in ("p000", "p199", "p120"):
        piped(many, name)
        tells(ann, f"joined {name} pipe\nclosed {name}: success\n")
    many.call("p033", "talk", "ann", stdin=b"hello\n").end(REFUSED)
    tells(ann, "joined p033 talk\n")
    (many.tmp / "a-file").write_text("of p150")
    many.call("p150", "send", "ann", "a-file").end(REFUSED)
    tells(ann, "joined p150 file\n")
    many.call("p151", "connect", "ann", "127.0.0.1:9").end(REFUSED)
    tells(ann, "joined p151 forward\n")
    ann.end(0)


def test_a_server_that_allows_fewer_says_how_many_and_several_lines_do(many):
    many.server.stop()
    many.serve("[waiting]\ntags_per_line = 1000\n")
    ann = many.answering(3)
    tells(ann, f"limit 500 of {COUNT * len(SERVICES)}\n")
    tells(ann, "waiting for 500\n")
    tells(ann, "waiting for 300\n")
    for name in ("p000", "p199", "p120"):
        piped(many, name)
    ann.end(0)


def test_a_contact_that_cannot_be_called_is_named(many):
    many.ann.ok("contact", "offer", "somebody")
    try:
        ann = many.answering(1)
        ann.end(1)
        assert ann.got() == b"failed open: not there: somebody\n"
    finally:
        many.ann.ok("contact", "remove", "somebody", "--yes")
