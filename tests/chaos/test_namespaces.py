"""Networks of their own: addresses that change, and wires that are pulled out. PROTOCOL.md 6.5"""

import pytest

from live import World
from talks import Pipe
from wire import NAME, Wire

SERVER, FIRST, SECOND = "10.77.0.1", "10.77.0.2", "10.77.0.3"


class Away(World):
    """A server at one end of a wire, where bob is, too; ann is at the other."""

    def __init__(self, tmp, wire):
        self.near, self.far = wire.ends
        super().__init__(tmp, SERVER)
        self.far.ip("address", "add", f"{SERVER}/24", "dev", NAME)
        self.near.ip("address", "add", f"{FIRST}/24", "dev", NAME)
        self.serve(under=self.far.under())
        self.ann, self.bob = self.pair()

    def start(self, person, *words, **options):
        return super().start(person, *words, under=(self.near if person is self.ann else self.far).under(), **options)


@pytest.fixture
def wire():
    made = Wire()
    yield made
    made.close()


@pytest.fixture
def away(tmp_path, wire):
    world = Away(tmp_path / "away", wire)
    yield world
    world.close()


def test_a_call_goes_on_when_the_address_of_an_interface_changes(away):
    pipe = Pipe(away, away.ann, away.bob)
    away.near.ip("address", "del", f"{FIRST}/24", "dev", NAME)
    away.near.ip("address", "add", f"{SECOND}/24", "dev", NAME)
    pipe.ann.says("is lost; reconnecting")  # by what the system says, long before its patience ends
    for who in (0, 1):
        pipe.write(who, b"meanwhile\n")
    pipe.arrives()
    pipe.close()
    assert pipe.lost() == [1, 1]


def test_a_call_goes_on_when_an_interface_goes_and_comes_back_with_another_address(away):
    pipe = Pipe(away, away.ann, away.bob)
    away.near.ip("address", "del", f"{FIRST}/24", "dev", NAME)
    pipe.ann.says("is lost; reconnecting")
    pipe.write(0, b"said while there was no address at all\n")
    pipe.write(1, b"and what nobody could hear\n")
    pipe.bob.says("is lost; reconnecting")
    away.near.ip("address", "add", f"{SECOND}/24", "dev", NAME)
    pipe.arrives()
    pipe.close()


@pytest.mark.parametrize("longer", [False, True], ids=["for a moment", "for longer than the patience of both"])
def test_a_call_goes_on_when_a_wire_is_pulled_out_and_put_back(away, wire, longer):
    pipe = Pipe(away, away.ann, away.bob)
    wire.pulled = True
    for who in (0, 1):
        pipe.write(who, b"meanwhile\n")
    pipe.says("nothing is heard of")
    if longer:
        pipe.says("is lost; reconnecting")
    wire.pulled = False
    pipe.arrives()
    if not longer:
        pipe.says("is heard again")
    pipe.close()


def test_packets_that_take_their_time(away, wire):
    wire.delay_s = 0.05
    pipe = Pipe(away, away.ann, away.bob)
    pipe.word(b"much of this and that" * 20_000)
    assert pipe.lost() == [0, 0]
    pipe.close()
