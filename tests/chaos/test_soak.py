"""./run soak works, and would fail if something grew."""

import pytest

from soak import Soak, grown, is_flat


def test_a_few_rounds_leave_nothing_behind(tmp_path):
    soak = Soak(tmp_path / "soak")
    try:
        soak.run(0, rounds=4)
        assert soak.calls == 20 and soak.killed == 4 and soak.cuts > 0
        counts = [values for (_, kind), values in soak.samples.items() if kind == "descriptors"]
        assert len(counts) == 4 and all(value > 0 for values in counts for value in values)
    finally:
        soak.close()


TIMES = list(range(100))


@pytest.mark.parametrize("kind, values, flat", [
    ("memory", [5000 + at % 7 * 100 for at in TIMES], True),
    ("memory", [5000 + min(at, 40) * 500 for at in TIMES], True),  # it comes to rest
    ("memory", [5000 + at * 30 for at in TIMES], False),
    ("memory", [5000 if at < 60 else 5000 + at * 100 for at in TIMES], False),
    ("descriptors", [40 + at % 2 for at in TIMES], True),
    ("descriptors", [40 + at // 10 for at in TIMES], False),
])
def test_what_grows_is_not_flat(kind, values, flat):
    assert is_flat(kind, TIMES, values) == flat


def test_too_few_samples_tell_nothing():
    with pytest.raises(ValueError):
        grown([1, 2, 3], [1, 1, 1])
