"""Rate limits against flooding pool users (RFC 5355 §2.1 and §2.2 name the threats; figures are RSPLIB's).

Each association has one table of 64 buckets, by pool handle; a bucket remembers the last 16 events. Two pools
in one bucket share its limit. The memory of one association is bounded whatever the peer does.
"""

from __future__ import annotations

from collections import deque
from struct import unpack

BUCKETS = 64
EVENTS = 16


def bucket_of(handle: bytes) -> int:
    """XOR of the 32-bit words of the zero-padded handle, modulo the number of buckets."""
    padded = handle + b"\0" * (-len(handle) % 4)
    mixed = 0
    for word in unpack(f"!{len(padded) // 4}I", padded):
        mixed ^= word
    return mixed % BUCKETS


class RateLimit:
    """Events of one kind from one pool user."""

    __slots__ = ("_buckets",)

    def __init__(self) -> None:
        self._buckets: dict[int, deque[float]] = {}

    def admit(self, handle: bytes, limit: float, now: float) -> bool:
        """Count an event; False if the pool's rate then exceeds ``limit`` per second (<= 0: no limit)."""
        if limit <= 0:
            return True
        stamps = self._buckets.setdefault(bucket_of(handle), deque(maxlen=EVENTS))
        stamps.append(now)
        span = now - stamps[0]
        # One event has no rate; several at the same instant have an infinite one. RSPLIB divides the number of
        # events, not of the intervals between them, and so refuses calm users at first.
        return len(stamps) < 2 or (span > 0 and (len(stamps) - 1) / span <= limit)
