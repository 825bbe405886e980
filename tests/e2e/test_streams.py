"""Many streams in one call, through a real server."""

import json

from ctl_helper import BUILD, SANITIZED

COUNT = 1000  # that each end opens
PEAK_KIB = 100_000  # of each program; two thousand windows of 16 KiB are a third of it


def test_a_thousand_streams_of_each_end_are_open_at_once_and_each_keeps_its_octets(world):
    ends = [world.run_program([BUILD / "tests/support/many_streams", name, str(COUNT)],
                              env={"CYPHERNET_HOME": str(person.home)})
            for name, person in (("bob", world.ann), ("ann", world.bob))]
    for end in ends:
        end.end(0, limit=100)
        found = json.loads(end.got())
        assert 0 < found.pop("peak_kib") < (2 * PEAK_KIB if SANITIZED else PEAK_KIB)
        assert found == {"whole": 2 * COUNT * 7 // 10, "unread": 2 * COUNT * 2 // 10, "lost": 2 * COUNT // 10}
