"""The containers from which a pool selects: a ring, an ordered list, uniform and weighted draws.

One class for each way of selecting, all with the same four calls:

    add(element)            links it
    remove(element)         unlinks it
    changed(element)        its policy values are new: it is linked anew
    select(n, increment)    up to n elements, best first; the first ``increment`` of them are moved back

Each call is logarithmic or better in the size of the pool. Which container a policy needs: `container`.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice
from random import Random
from typing import Protocol

from sortedcontainers import SortedList

from rserpool.handlespace.element import Element
from rserpool.handlespace.policies import PolicyKind


class Selection(Protocol):
    """What all containers can do."""

    def add(self, element: Element) -> None:
        """Link a new element."""

    def remove(self, element: Element) -> None:
        """Unlink an element."""

    def changed(self, element: Element) -> None:
        """Take the new policy values of an element."""

    def select(self, n: int, increment: int) -> list[Element]:
        """Up to ``n`` elements, best first; the first ``increment`` are moved back."""

    def elements(self) -> list[Element]:
        """All of them."""

    def verify(self) -> None:
        """Raise `RuntimeError` if the container is inconsistent (for tests)."""


class Ring:
    """Round Robin: an ordered dictionary, whose move to the end takes constant time.

    A plain dict would walk over all the deleted slots at its front.
    """

    __slots__ = ("_ring",)

    def __init__(self) -> None:
        self._ring: OrderedDict[Element, None] = OrderedDict()

    def add(self, element: Element) -> None:
        """Link at the end."""
        self._ring[element] = None

    def remove(self, element: Element) -> None:
        """Unlink."""
        del self._ring[element]

    def changed(self, element: Element) -> None:
        """Round Robin has no values that could change."""

    def select(self, n: int, increment: int) -> list[Element]:
        """The next ``n`` in turn."""
        ring = self._ring
        chosen = list(islice(ring, n))
        for element in chosen if increment >= n else chosen[:increment]:
            element.selections += 1
            ring.move_to_end(element)
        return chosen

    def elements(self) -> list[Element]:
        """All, in order."""
        return list(self._ring)

    def verify(self) -> None:
        """Nothing can disagree here."""


class Ordered:
    """Sorted policies: by the policy's order, then by the sequence of selection (RSPLIB's sequence numbers)."""

    __slots__ = ("_kind", "_order", "_sequence", "_sorted")

    def __init__(self, kind: PolicyKind) -> None:
        if kind.order is None:
            raise ValueError(f"{kind.name} has no order")
        self._kind = kind
        self._order = kind.order
        self._sorted: SortedList = SortedList()
        self._sequence = 0

    def add(self, element: Element) -> None:
        """Link with the next sequence number."""
        self._sequence += 1
        element.sequence = self._sequence
        self._initialise(element)
        self._link(element)

    def remove(self, element: Element) -> None:
        """Unlink."""
        self._sorted.remove(element.place)
        element.place = None

    def changed(self, element: Element) -> None:
        """Forget the degradation of the old values (RFC 5356 §5.2.2), keep sequence and round."""
        self.remove(element)
        if self._kind.degrades:
            self._initialise(element)
        self._link(element)

    def select(self, n: int, increment: int) -> list[Element]:
        """The best ``n``; they go behind their equals."""
        chosen = [place[2] for place in islice(self._sorted, n)]
        update = self._kind.update
        for element in chosen if increment >= n else chosen[:increment]:
            self._sorted.remove(element.place)
            self._sequence += 1
            element.sequence = self._sequence
            element.selections += 1
            if update is not None:
                update(element)
            self._link(element)
        return chosen

    def elements(self) -> list[Element]:
        """All, in order."""
        return [place[2] for place in self._sorted]

    def verify(self) -> None:
        """Raise `RuntimeError` if an element does not stand where its key says."""
        last = None
        for place in self._sorted:
            element = place[2]
            if element.place is not place or place[:2] != (self._order(element), element.sequence):
                raise RuntimeError(f"{element!r} is out of place")
            if last is not None and not last < place[:2]:
                raise RuntimeError("selection is not in order")
            last = place[:2]

    def _initialise(self, element: Element) -> None:
        if self._kind.initialise is not None:
            self._kind.initialise(element, self._sorted[0][2] if self._sorted else None)

    def _link(self, element: Element) -> None:
        # Linking updates too: RSPLIB does, and only so are the sequences the same.
        if self._kind.update is not None:
            self._kind.update(element)
        element.place = place = (self._order(element), element.sequence, element)
        self._sorted.add(place)


class Uniform:
    """Random: a list with swap-remove; ``place`` is the index."""

    __slots__ = ("_list", "_rng")

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._list: list[Element] = []

    def add(self, element: Element) -> None:
        """Append."""
        element.place = len(self._list)
        self._list.append(element)

    def remove(self, element: Element) -> None:
        """Fill the gap with the last one."""
        last = self._list.pop()
        if last is not element:
            self._list[element.place] = last
            last.place = element.place
        element.place = None

    def changed(self, element: Element) -> None:
        """All are equal."""

    def select(self, n: int, increment: int) -> list[Element]:
        """``n`` different ones, each equally likely."""
        everyone = self._list
        if n == 1 and everyone:
            chosen = [everyone[int(self._rng.random() * len(everyone))]]
        else:
            chosen = self._rng.sample(everyone, min(n, len(everyone)))
        for element in chosen[:increment]:
            element.selections += 1
        return chosen

    def elements(self) -> list[Element]:
        """All, in no meaningful order."""
        return list(self._list)

    def verify(self) -> None:
        """Raise `RuntimeError` if an element does not know its place."""
        if any(element.place != at for at, element in enumerate(self._list)):
            raise RuntimeError("place of a drawn element is wrong")


class Weighted:
    """Draws by value without replacement: a binary tree of sums above a list with swap-remove."""

    __slots__ = ("_capacity", "_list", "_rng", "_tree", "_value")

    def __init__(self, kind: PolicyKind, rng: Random) -> None:
        if kind.value is None:
            raise ValueError(f"{kind.name} has no values")
        self._value = kind.value
        self._rng = rng
        self._list: list[Element] = []
        self._capacity = 4
        self._tree = [0] * 8  # node i sums nodes 2i and 2i+1; leaves from _capacity on

    def add(self, element: Element) -> None:
        """Append; the tree doubles when full."""
        at = len(self._list)
        if at == self._capacity:
            self._grow()
        element.place = at
        self._list.append(element)
        self._set(at, self._value(element))

    def remove(self, element: Element) -> None:
        """Fill the gap with the last one."""
        last = self._list.pop()
        end = len(self._list)
        if last is not element:
            at = element.place
            self._list[at] = last
            last.place = at
            self._set(at, self._tree[self._capacity + end])
        self._set(end, 0)
        element.place = None

    def changed(self, element: Element) -> None:
        """Take the new value."""
        self._set(element.place, self._value(element))

    def select(self, n: int, increment: int) -> list[Element]:
        """Up to ``n`` different ones; fewer where the values left are all zero."""
        tree, capacity = self._tree, self._capacity
        drawn: list[tuple[int, int]] = []
        while len(drawn) < n and tree[1] > 0:
            mark = self._rng.randrange(tree[1])
            node = 1
            while node < capacity:
                node += node
                if mark >= tree[node]:
                    mark -= tree[node]
                    node += 1
            at = node - capacity
            drawn.append((at, tree[node]))
            if len(drawn) < n:
                self._set(at, 0)
        for at, value in drawn:
            self._set(at, value)
        chosen = [self._list[at] for at, _ in drawn]
        for element in chosen[:increment]:
            element.selections += 1
        return chosen

    def elements(self) -> list[Element]:
        """All, in no meaningful order."""
        return list(self._list)

    def verify(self) -> None:
        """Raise `RuntimeError` if a place, a value or a sum is wrong."""
        tree, capacity = self._tree, self._capacity
        for at, element in enumerate(self._list):
            if element.place != at or tree[capacity + at] != self._value(element):
                raise RuntimeError(f"{element!r} is out of place")
        if any(tree[capacity + len(self._list) :]):
            raise RuntimeError("value without element")
        if any(tree[node] != tree[2 * node] + tree[2 * node + 1] for node in range(1, capacity)):
            raise RuntimeError("sum is wrong")

    def _set(self, at: int, value: int) -> None:
        tree = self._tree
        node = self._capacity + at
        difference = value - tree[node]
        if difference:
            while node:
                tree[node] += difference
                node >>= 1

    def _grow(self) -> None:
        leaves = self._tree[self._capacity :]
        self._capacity *= 2
        self._tree = [0] * self._capacity + leaves + [0] * (self._capacity - len(leaves))
        for node in range(self._capacity - 1, 0, -1):
            self._tree[node] = self._tree[2 * node] + self._tree[2 * node + 1]


def container(kind: PolicyKind, rng: Random) -> Selection:
    """An empty container for a policy; ``rng`` makes the draws of random policies."""
    if kind.order is not None:
        return Ordered(kind)
    if kind.uniform:
        return Uniform(rng)
    if kind.value is not None:
        return Weighted(kind, rng)
    return Ring()
