"""The pool user's cache of pool elements (RFC 5352 section 3.2's "cache", RSPLIB's stale cache value).

Selection from it goes by the pool's policy, with unlimited increment, so that a pool user continues round robin
by itself. Sans-IO.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from rserpool.handlespace import Handlespace, Incompatible
from rserpool.wire.types import PoolElement

UNLIMITED = 1_000_000_000


class Cache:
    """Pool elements, each for as long as its finder said."""

    def __init__(self, rng: Random) -> None:
        self._space = Handlespace(rng, asap_transport=False)

    def __len__(self) -> int:
        return self._space.size

    def put(self, handle: bytes, records: Sequence[PoolElement], stale: float, now: float) -> None:
        """Keep an answer for ``stale`` seconds. Elements that do not fit together are left out."""
        for record in records:
            try:
                self._space.register(handle, record, now, life=stale)
            except Incompatible:
                self.forget(handle)  # the pool has changed its policy since: only the newest answer counts
                try:
                    self._space.register(handle, record, now, life=stale)
                except Incompatible:
                    continue

    def select(self, handle: bytes, items: int, now: float) -> list[PoolElement]:
        """Return up to ``items`` elements that are not stale, best first."""
        for element in self._space.expired(now):
            self._space.remove(element)
        return [element.record for element in self._space.select(handle, items, UNLIMITED)]

    def remove(self, handle: bytes, identifier: int) -> None:
        """Forget an element, as it failed."""
        element = self._space.find(handle, identifier)
        if element is not None:
            self._space.remove(element)

    def forget(self, handle: bytes) -> None:
        """Forget a pool."""
        pool = self._space.pools.get(handle)
        for element in list(pool.elements.values()) if pool is not None else ():
            self._space.remove(element)
