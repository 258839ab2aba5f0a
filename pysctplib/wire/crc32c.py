"""CRC32c, the checksum of SCTP packets (RFC 9260 section 6.8 and appendix A).

``crc32c(data)`` and ``extend(begun, data)``, which goes on from the CRC32c of what came before, have three
makers: the package google-crc32c, the package crc32c, or pure Python, whichever is there first. The pure one takes
the packet as one polynomial over GF(2), kept in one big integer, and folds the leading part h(x) of
h(x) * x^d + t(x) into t(x) by multiplying it with x^d mod P(x). For the d in ``FOLDS`` that remainder has few
terms, so each fold, which about halves the packet, is a few shifts and XORs. Where the checksum stands in a packet
is not known here.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from functools import cache, lru_cache

_POLYNOMIAL = 0x11EDC6F41  # x^32 + x^28 + x^27 + ... + 1
_REFLECTED = 0x82F63B78
_ONES = 0xFFFFFFFF

# Exponents d for which x^d mod P has few terms: the fewest in each sixth of an octave.
FOLDS = (
    75, 86, 91, 110, 120, 128, 144, 163, 200, 220, 235, 256, 309, 334, 398, 412, 464, 523, 593, 685, 759, 887,
    918, 1030, 1266, 1425, 1463, 1662, 1863, 2082, 2313, 2798, 3196, 3418, 3867, 4149, 4765, 5264, 6305, 6587,
    7363, 8308, 9210, 10596, 12350, 13664, 14684, 16625, 19236, 21038, 23343, 26054, 29493, 32910, 41258, 41483,
    49862, 52741, 62530, 73444, 75817, 89494, 93329, 105552, 118996, 132359, 150048, 165551, 203189, 211458,
    234395, 262165,
)  # fmt: skip
_SHORT = 96  # bits below which the byte table is the cheaper way


def _make_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (_REFLECTED if value & 1 else 0)
        table.append(value)
    return tuple(table)


_TABLE = _make_table()


def by_table(data: bytes, begun: int = 0) -> int:
    """Return the CRC32c of ``data``, byte by byte: the plain definition. ``begun``: of what came before."""
    return _run(data, begun ^ _ONES) ^ _ONES


def _run(data: bytes, register: int) -> int:
    table = _TABLE
    for byte in data:
        register = table[(register ^ byte) & 255] ^ register >> 8
    return register


@cache
def _power(exponent: int) -> tuple[int, ...]:
    """Return the exponents of the terms of x^exponent mod P."""
    remainder = 1
    for bit in bin(exponent)[2:]:
        square = 0
        for i in range(32):
            if remainder >> i & 1:
                square |= 1 << 2 * i
        square <<= bit == "1"
        for i in range(square.bit_length() - 1, 31, -1):
            if square >> i & 1:
                square ^= _POLYNOMIAL << i - 32
        remainder = square
    return tuple(i for i in range(32) if remainder >> i & 1)


@lru_cache(maxsize=4096)
def _plan(bits: int) -> tuple[tuple[tuple[int, int, tuple[int, ...]], ...], int]:
    """Return the folds (head's size, its mask, shifts of the head) for a packet of ``bits``, and the bits left.

    Integers are reflected: bit j of a polynomial of n bits is the coefficient of x^(n-1-j).
    """
    folds = []
    while bits > _SHORT:
        # The product has bits - d + 31 terms, which must fit into the tail of d.
        index = bisect_left(FOLDS, (bits + 32) // 2)
        if index == len(FOLDS):
            d = (bits + 32) // 2  # longer than any packet: right, though with more terms
        else:
            d = FOLDS[index]
        head = bits - d
        folds.append((head, (1 << head) - 1, tuple(d - head - k for k in _power(d))))
        bits = d
    return tuple(folds), bits


def by_folding(data: bytes, begun: int = 0) -> int:
    """Return the CRC32c of ``data`` by folding big integers: the fast way without compiled code."""
    length = len(data)
    if length < 16:
        return by_table(data, begun)
    folds, bits = _plan(8 * length)
    number = int.from_bytes(data, "little") ^ begun ^ _ONES
    for head, mask, shifts in folds:
        leading = number & mask
        number >>= head
        for shift in shifts:
            number ^= leading << shift
    # Zero coefficients in front of the leading term change nothing: fill up to whole bytes.
    number <<= -bits & 7
    return _run(number.to_bytes((bits + 7) >> 3, "little"), 0) ^ _ONES


def _choose() -> tuple[Callable[[bytes], int], Callable[[int, bytes], int]]:
    try:
        import google_crc32c

        if google_crc32c.implementation == "c":  # its own pure fallback goes byte by byte
            return google_crc32c.value, google_crc32c.extend
    except ImportError:
        pass
    try:
        import crc32c as package
    except ImportError:
        return by_folding, lambda begun, data: by_folding(data, begun)
    return package.crc32c, lambda begun, data: package.crc32c(data, begun)


crc32c: Callable[[bytes], int]
"""Return the CRC32c of ``data`` (bytes), 0..2^32-1."""
extend: Callable[[int, bytes], int]
"""Return the CRC32c of what has the CRC32c of the first argument, and then ``data``."""
crc32c, extend = _choose()
