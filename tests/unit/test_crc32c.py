"""CRC32c: published vectors, the ways against each other, and the choice between them."""

import random
import sys
from itertools import pairwise

import pytest

from pysctplib.wire import crc32c as module
from pysctplib.wire.crc32c import FOLDS, by_folding, by_table, crc32c

# The vectors of iSCSI, which has the same CRC, and the customary check value.
VECTORS = {
    b"": 0,
    b"123456789": 0xE3069283,
    bytes(32): 0x8A9136AA,
    b"\xff" * 32: 0x62A8AB43,
    bytes(range(32)): 0x46DD794E,
    bytes(range(31, -1, -1)): 0x113FDB5C,
}
WAYS = (crc32c, by_folding, by_table)


@pytest.mark.parametrize("way", WAYS)
def test_published_vectors(way):
    assert {data: way(data) for data in VECTORS} == VECTORS


def test_the_ways_agree_for_all_short_lengths_and_some_long_ones():
    rng = random.Random(1)
    for length in [*range(320), 1452, 8972, 65507, 65535, 70001]:
        data = rng.randbytes(length)
        assert by_folding(data) == crc32c(data) == by_table(data), length


@pytest.mark.parametrize("extend", [module.extend, lambda begun, data: by_folding(data, begun)])
def test_a_checksum_goes_on_from_that_of_what_came_before(extend):
    data = random.Random(2).randbytes(1500)
    for cut in (0, 1, 8, 12, 15, 16, 17, 700, 1484, 1499, 1500):
        assert extend(crc32c(data[:cut]), data[cut:]) == crc32c(data), cut


def test_leading_and_trailing_zeros_count():
    for length in (16, 64, 1400):
        results = {by_folding(bytes(n) + b"\1" * length + bytes(m)) for n in range(3) for m in range(3)}
        assert len(results) == 9


def test_folds_are_ascending_and_leave_no_gap():
    """Each fold must be possible from the size that the one before it may leave."""
    assert list(FOLDS) == sorted(set(FOLDS))
    assert all(high < 1.5 * low for low, high in pairwise(FOLDS))
    for bits in range(128, 8 * 65536, 4093):
        folds, left = module._plan(bits)
        assert 0 < left <= module._SHORT + 32
        assert all(head + 31 <= bits for head, _, _ in folds)


def test_pure_python_is_taken_where_no_package_is(monkeypatch):
    monkeypatch.setitem(sys.modules, "google_crc32c", None)
    monkeypatch.setitem(sys.modules, "crc32c", None)
    crc32c, extend = module._choose()
    assert crc32c is by_folding
    assert extend(by_table(b"1234"), b"56789") == 0xE3069283
