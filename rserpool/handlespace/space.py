"""The handlespace: all pools, and their elements by handle, identifier, home, connection and expiry.

RFC 5353 §3.3 (updates), §3.6 (checksums by home registrar), RFC 5352 §3.1 (registration life). Everything but
`verify` and operations that name a whole set (all elements of a home) is logarithmic in the number of
elements. Who may register, and what is told to whom, is the registrar's business.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

from sortedcontainers import SortedList

from rserpool.handlespace.checksum import checksum_of, fold
from rserpool.handlespace.element import Element, check_record
from rserpool.handlespace.pool import Pool
from rserpool.handlespace.timers import TimerQueue
from rserpool.wire.types import INFINITE_LIFE, PoolElement

PoolKey = tuple[int, bytes]  # (length of the handle, handle)
Position = tuple[PoolKey, int]  # pool key and PE identifier: where a walk continues


class Ownership:
    """The elements of one home registrar, by identifier then pool, and their weights."""

    __slots__ = ("elements", "public_weight", "weight")

    def __init__(self) -> None:
        self.elements: SortedList = SortedList()  # (identifier, pool key)
        self.weight = 0
        self.public_weight = 0  # of those that are not local to this host


class Handlespace:
    """``rng`` draws for random policies. ``asap_transport`` False: a pool user's cache (see `check_record`)."""

    def __init__(self, rng: Random, *, asap_transport: bool = True) -> None:
        self.pools: dict[bytes, Pool] = {}
        self.size = 0  # number of elements
        self.generation = 0  # stamped on elements as they are registered; raise it before a synchronisation
        self._rng = rng
        self._asap_transport = asap_transport
        self._keys: SortedList = SortedList()  # pool keys
        self._owners: dict[int, Ownership] = {}
        self._connections: dict[int, dict[Element, None]] = {}
        self._expiry: TimerQueue[Element] = TimerQueue()

    # Registration

    def register(
        self,
        handle: bytes,
        record: PoolElement,
        now: float,
        *,
        connection: int | None = None,
        local: bool = False,
        life: float | None = None,
    ) -> tuple[Element, bool]:
        """Register or re-register; returns the element and whether it is new.

        The element expires ``life`` seconds from now; None: its registration life, which may be infinite.
        ``local``: it can be reached on this host only. Raises `Incompatible`; then nothing has changed.
        """
        check_record(handle, record, asap_transport=self._asap_transport)
        pool = self.pools.get(handle)
        if pool is None:
            pool = Pool(handle, record, self._rng)
            self.pools[handle] = pool
            self._keys.add(pool.key)
        else:
            pool.check(record)
        element = pool.elements.get(record.identifier)
        new = element is None
        if element is None:
            element = pool.add(record)
            element.local = local
            self.size += 1
            self._own(element)
        else:
            if record.home != element.record.home or local != element.local:
                self._disown(element)
                element.local = local
                pool.update(element, record)
                self._own(element)
            else:
                pool.update(element, record)
        element.generation = self.generation
        self.connect(element, connection)
        if life is None and record.life != INFINITE_LIFE:
            life = record.life / 1000.0
        if life is None:
            self._expiry.cancel(element)
        else:
            self._expiry.arm(element, now + life)
        return element, new

    def remove(self, element: Element) -> None:
        """Remove an element; its pool goes with the last one."""
        pool = element.pool
        self._expiry.cancel(element)
        self.connect(element, None)
        self._disown(element)
        pool.remove(element)
        self.size -= 1
        if not pool.elements:
            del self.pools[pool.handle]
            self._keys.remove(pool.key)

    def connect(self, element: Element, connection: int | None) -> None:
        """Say by which connection an element is registered; None: by none."""
        old = element.connection
        if old == connection:
            return
        if old is not None:
            group = self._connections[old]
            del group[element]
            if not group:
                del self._connections[old]
        element.connection = connection
        if connection is not None:
            self._connections.setdefault(connection, {})[element] = None

    def set_home(self, element: Element, home: int) -> None:
        """Give an element to another home registrar."""
        if element.record.home != home:
            self._disown(element)
            element.record = replace(element.record, home=home)
            element.forms = None
            self._own(element)

    # Looking up

    def find(self, handle: bytes, identifier: int) -> Element | None:
        """The element, if registered."""
        pool = self.pools.get(handle)
        return pool.elements.get(identifier) if pool is not None else None

    def select(self, handle: bytes, n: int, increment: int = 0) -> list[Element]:
        """Up to ``n`` elements by the pool's policy, best first; none if the pool is unknown.

        The first ``increment`` of them are moved back in the order; 0: the policy's default, 1.
        """
        pool = self.pools.get(handle)
        return pool.select(n, increment) if pool is not None else []

    def connected(self, connection: int) -> list[Element]:
        """The elements registered by a connection."""
        return list(self._connections.get(connection, ()))

    def owned(self, home: int) -> list[Element]:
        """The elements of a home registrar, by identifier then pool handle."""
        owner = self._owners.get(home)
        return [self.pools[key[1]].elements[i] for i, key in owner.elements] if owner is not None else []

    def count(self, home: int) -> int:
        """How many elements a home registrar owns."""
        owner = self._owners.get(home)
        return len(owner.elements) if owner is not None else 0

    def checksum(self, home: int, *, public: bool = False) -> int:
        """The PE checksum of a home registrar (RFC 5353 §3.6.2); ``public``: without local ones."""
        owner = self._owners.get(home)
        if owner is None:
            return fold(0)
        return fold(owner.public_weight if public else owner.weight)

    def homes(self) -> list[int]:
        """The identifiers of all registrars that own something."""
        return list(self._owners)

    # Walking, for handle tables

    def walk(self, after: Position | None = None) -> Iterator[Element]:
        """All elements by pool handle (shorter first), then identifier, behind the position ``after``.

        The handlespace must not change while the iterator is in use; positions stay good across changes.
        """
        start = None
        if after is not None:
            start, identifier = after
            pool = self.pools.get(start[1])
            if pool is not None:
                for i in pool.identifiers.irange(identifier, None, (False, True)):
                    yield pool.elements[i]
        for key in self._keys.irange(start, None, (False, True)):
            pool = self.pools[key[1]]
            for i in pool.identifiers:
                yield pool.elements[i]

    def walk_owned(self, home: int, after: Position | None = None) -> Iterator[Element]:
        """The elements of ``home`` by identifier, then pool handle, behind the position ``after``; see `walk`."""
        owner = self._owners.get(home)
        if owner is None:
            return
        start = None if after is None else (after[1], after[0])
        for i, key in owner.elements.irange(start, None, (False, True)):
            yield self.pools[key[1]].elements[i]

    @staticmethod
    def position(element: Element) -> Position:
        """The position of an element, from which a walk goes on."""
        return element.pool.key, element.record.identifier

    # Time

    def deadline(self) -> float | None:
        """When `expired` should be called next; None: nothing expires."""
        return self._expiry.deadline()

    def expired(self, now: float) -> list[Element]:
        """The elements whose life is over; the caller removes them."""
        return self._expiry.due(now)

    def expires(self, element: Element) -> float | None:
        """When an element expires, if it does."""
        return self._expiry.when(element)

    # Checking

    def verify(self) -> None:
        """Raise `RuntimeError` if any two indices disagree; linear in the number of elements (for tests)."""
        everyone = [element for pool in self.pools.values() for element in pool.elements.values()]
        _expect(len(everyone) == self.size, "size")
        _expect(list(self._keys) == sorted(pool.key for pool in self.pools.values()), "pool order")
        for handle, pool in self.pools.items():
            _expect(handle == pool.handle and len(pool.elements) > 0, "pool")
            _expect(list(pool.identifiers) == sorted(pool.elements), "identifiers")
            _expect(set(pool.selection.elements()) == set(pool.elements.values()), "selection")
            pool.selection.verify()
            for identifier, element in pool.elements.items():
                _expect(element.pool is pool and element.identifier == identifier, "element")
                pool.check(element.record)
        owned: dict[int, list[Element]] = {}
        for element in everyone:
            owned.setdefault(element.home, []).append(element)
            if element.connection is not None:
                _expect(element in self._connections[element.connection], "connection")
        _expect(owned.keys() == self._owners.keys(), "owners")
        for home, elements in owned.items():
            owner = self._owners[home]
            _expect(list(owner.elements) == sorted((e.identifier, e.pool.key) for e in elements), "ownership")
            whole = checksum_of((e.handle, e.identifier) for e in elements)
            public = checksum_of((e.handle, e.identifier) for e in elements if not e.local)
            _expect(whole == self.checksum(home), "checksum")
            _expect(public == self.checksum(home, public=True), "public checksum")
        connected = sum(len(group) for group in self._connections.values())
        _expect(connected == sum(e.connection is not None for e in everyone), "connections")
        _expect(all(self._connections.values()), "empty connection")
        self._expiry.verify()
        finite = {e for e in everyone if self._expiry.when(e) is not None}
        _expect(len(finite) == len(self._expiry), "expiry")

    def _own(self, element: Element) -> None:
        owner = self._owners.get(element.record.home)
        if owner is None:
            owner = self._owners[element.record.home] = Ownership()
        owner.elements.add((element.record.identifier, element.pool.key))
        owner.weight += element.weight
        if not element.local:
            owner.public_weight += element.weight

    def _disown(self, element: Element) -> None:
        home = element.record.home
        owner = self._owners[home]
        owner.elements.remove((element.record.identifier, element.pool.key))
        owner.weight -= element.weight
        if not element.local:
            owner.public_weight -= element.weight
        if not owner.elements:
            del self._owners[home]


def _expect(condition: bool, what: str) -> None:
    if not condition:
        raise RuntimeError(f"handlespace is inconsistent: {what}")
