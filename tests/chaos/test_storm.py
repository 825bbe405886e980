"""Small, what ./run chaos does in full: one pipe outlives cut lines and killed servers."""

from ctl_helper import SANITIZED
from storm import MIB, Storm


def test_a_pipe_outlives_many_cuts_and_dead_servers(tmp_path):
    storm = Storm(tmp_path / "storm", (16 if SANITIZED else 64) * MIB, cuts=20, kills=3, seed=1)
    try:
        storm.blow()
        assert min(storm.resumed()) >= 3
    finally:
        storm.close()
