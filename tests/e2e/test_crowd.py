"""Thousands of subscribers who wait at once: what they take of the server's memory, and of others' time."""

import statistics

import pytest

from ctl_helper import SANITIZED
from floods import Crowd, pss
from lines import counts

LINES = 4000
TAGS = 4
CONFIG = "[waiting]\nlines_max = 8000\ntags_max = 100000\n"


def joining_us(crowd, numbers):
    """Of the faster ones: what else this machine does is no matter here."""
    return statistics.quantiles((crowd.join(number) for number in numbers), n=5)[0]


def test_the_last_of_a_crowd_is_joined_as_fast_as_the_first(own):
    own.serve(CONFIG)
    few = Crowd(own, 100, TAGS)
    before = joining_us(few, range(50))
    crowd = Crowd(own, 500 if SANITIZED else LINES, TAGS)
    after = joining_us(few, range(50, 100))
    last = joining_us(crowd, range(0, 500, 10))
    if not SANITIZED:
        assert max(after, last) < 2 * before + 200, (before, after, last)


@pytest.mark.skipif(SANITIZED, reason="the sanitizers have a memory of their own")
def test_a_waiting_line_takes_1_kib_with_four_tags_and_64_octets_for_each_more(own):
    own.serve(CONFIG)
    Crowd(own, 100, TAGS).stop()  # what the first lines touch, all others find
    counts(own, waiting=0)
    before = pss(own)
    narrow = Crowd(own, LINES, TAGS)
    four = pss(own)
    assert four - before <= 1024 * LINES, (four - before) / LINES
    narrow.stop()
    counts(own, waiting=0)
    before = pss(own)
    Crowd(own, LINES, TAGS + 16)
    assert pss(own) - before <= 16 * 64 * LINES * 1.02 + 65536, (pss(own) - before) / LINES / 16
