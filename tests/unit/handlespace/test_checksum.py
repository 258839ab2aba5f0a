"""The PE checksum against the values that RSPLIB puts on the wire."""

import pytest

from rserpool.handlespace.checksum import EMPTY_CHECKSUM, checksum_of, fold, weigh


@pytest.mark.parametrize(
    "elements, expected",
    [
        ([], 0xFFFF),
        ([(b"EchoPool", 0x12345678)], 0x29A5),
        ([(b"ABC", 1)], 0x7BBC),
        ([(b"A", 0xFFFFFFFF)], 0xBEFF),
        ([(b"EchoPool", 0x12345678), (b"ABC", 1)], 0xA561),
    ],
)
def test_vectors(elements, expected):
    assert checksum_of(elements) == expected


def test_checksums_seen_in_a_dump_of_the_real_registrar():
    # hsdump of two elements, RSPLIB 3.4.4 (transcripts of scenario 03): it prints the folded words
    # in its host's order, hence the swap.
    swapped = [int.from_bytes(checksum_of([e]).to_bytes(2, "big"), "little") for e in TWO]
    assert swapped == [0x2F70, 0xB853]
    both = checksum_of(TWO)
    assert int.from_bytes(both.to_bytes(2, "big"), "little") == 0xE7C3


TWO = [(b"EchoPool", 0x11111111), (b"DaytimePool", 0x22222222)]


def test_incremental_equals_from_scratch():
    weight = sum(weigh(b"EchoPool", i) for i in range(1, 100_000))
    weight -= sum(weigh(b"EchoPool", i) for i in range(50, 100_000))
    assert fold(weight) == checksum_of((b"EchoPool", i) for i in range(1, 50))
    assert fold(0) == EMPTY_CHECKSUM
