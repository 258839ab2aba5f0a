"""Range sets against plain sets of integers; unwrapping of serial numbers."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pysctplib.core.ranges import RangeSet, difference, normalise
from pysctplib.core.serial import MASK, unwrap

PAIRS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=12)


def members(ranges):
    return {value for start, end in ranges for value in range(start, end + 1)}


def verify(ranges):
    for (_, end), (start, _) in pairwise(ranges):
        assert end + 1 < start
    assert all(start <= end for start, end in ranges)


@given(st.lists(st.integers(0, 60)))
def test_add_keeps_ranges_sorted_and_apart(values):
    ranges, plain = RangeSet(), set()
    for value in values:
        assert ranges.add(value) == (value not in plain)
        plain.add(value)
        assert members(ranges.pairs()) == plain
        verify(ranges.pairs())
    assert all((value in ranges) == (value in plain) for value in range(62))


@given(st.lists(st.integers(1, 30)))
def test_take_first_removes_what_follows_the_cumulative_tsn(values):
    ranges = RangeSet()
    for value in values:
        ranges.add(value)
    plain, expected = set(values), 0
    while expected + 1 in plain:
        expected += 1
    assert ranges.take_first(1) == expected
    assert members(ranges.pairs()) == {v for v in plain if v > expected}


@given(PAIRS)
def test_normalise_is_the_union(pairs):
    result = normalise(pairs)
    verify(result)
    assert members(result) == members(pairs)


@given(PAIRS, PAIRS)
def test_difference(left, right):
    left, right = normalise(left), normalise(right)
    result = difference(left, right)
    assert members(result) == members(left) - members(right)
    assert sum(end - start + 1 for start, end in result) == len(members(result))


@given(st.integers(0, 1 << 40), st.integers(-(1 << 31), (1 << 31) - 1))
def test_unwrap_inverts_the_wire_form(reference, distance):
    assert unwrap((reference + distance) & MASK, reference) == reference + distance
