"""The PE checksum, kept incrementally (RFC 5353 §3.6.2, RFC 1071).

Each pool element weighs the 16-bit words of its pool handle (zero-padded) plus the two halves of its
identifier. A set of elements weighs the sum; `fold` makes the 16-bit checksum of it. Adding and taking away
an element is therefore one addition. Which elements belong to a set is the business of `space`.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import unpack

EMPTY_CHECKSUM = 0xFFFF  # of no element at all


def weigh_handle(handle: bytes) -> int:
    """Sum of the 16-bit words of a pool handle; an odd last byte is followed by a zero byte."""
    if len(handle) & 1:
        handle += b"\0"
    return sum(unpack(f"!{len(handle) >> 1}H", handle))


def weigh(handle: bytes, identifier: int) -> int:
    """Weight of the element ``identifier`` (32 bits) of the pool ``handle``."""
    return weigh_handle(handle) + (identifier >> 16) + (identifier & 0xFFFF)


def fold(weight: int) -> int:
    """The 16-bit checksum of a set of elements from its weight (a non-negative sum of `weigh`)."""
    while weight > 0xFFFF:
        weight = (weight >> 16) + (weight & 0xFFFF)
    return weight ^ 0xFFFF


def checksum_of(elements: Iterable[tuple[bytes, int]]) -> int:
    """The checksum of ``(pool handle, identifier)`` pairs, computed from scratch."""
    return fold(sum(weigh(handle, identifier) for handle, identifier in elements))
