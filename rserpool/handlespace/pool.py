"""One pool: its elements by identifier and its selection (RFC 5352 §3.1: what all its elements share).

Ownership, connections and expiry are `space`'s.
"""

from __future__ import annotations

from random import Random

from sortedcontainers import SortedList

from rserpool.handlespace.checksum import weigh_handle
from rserpool.handlespace.element import Element, Incompatible
from rserpool.handlespace.policies import POLICIES
from rserpool.handlespace.selection import container
from rserpool.wire import causes
from rserpool.wire.types import PoolElement


class Pool:
    """Elements of the same handle, protocol, control channel use and policy type: those of the first one."""

    __slots__ = (
        "control_channel",
        "elements",
        "handle",
        "identifiers",
        "key",
        "kind",
        "protocol",
        "selection",
        "weight",
    )

    def __init__(self, handle: bytes, first: PoolElement, rng: Random) -> None:
        kind = POLICIES.get(first.policy.type)
        if kind is None:
            raise Incompatible(f"policy 0x{first.policy.type:08x} is not supported", causes.UNSUPPORTED_POLICY)
        self.handle = handle
        self.key = (len(handle), handle)  # RSPLIB's order of pool handles: shorter first
        self.kind = kind
        self.protocol = first.user_transport.protocol
        self.control_channel = first.user_transport.control_channel
        self.weight = weigh_handle(handle)
        self.elements: dict[int, Element] = {}
        self.identifiers: SortedList = SortedList()
        self.selection = container(kind, rng)

    def __len__(self) -> int:
        return len(self.elements)

    def check(self, record: PoolElement) -> None:
        """Raise `Incompatible` if ``record`` does not fit the pool."""
        if record.user_transport.protocol != self.protocol:
            raise Incompatible("the pool uses another transport protocol", causes.WRONG_PROTOCOL)
        if record.user_transport.control_channel != self.control_channel:
            raise Incompatible("the pool uses the control channel otherwise", causes.INCONSISTENT_CONTROL_CHANNEL)
        if record.policy.type != self.kind.type:
            raise Incompatible(f"the pool's policy is {self.kind.name}", causes.INCOMPATIBLE_POLICY)

    def add(self, record: PoolElement) -> Element:
        """Add a new element; the caller has checked that it is new and fits."""
        identifier = record.identifier
        element = Element(self, record, self.weight + (identifier >> 16) + (identifier & 0xFFFF))
        self.elements[identifier] = element
        self.identifiers.add(identifier)
        self.selection.add(element)
        return element

    def update(self, element: Element, record: PoolElement) -> None:
        """Replace the record of an element; new policy values restart its selection state.

        Degradation restarts with any re-registration (RFC 5356 §5.2.2).
        """
        policy, before = record.policy, element.record.policy
        restart = self.kind.degrades or (policy is not before and policy != before)
        element.record = record
        element.forms = None
        if restart:
            self.selection.changed(element)

    def remove(self, element: Element) -> None:
        """Remove an element of this pool."""
        del self.elements[element.identifier]
        self.identifiers.remove(element.identifier)
        self.selection.remove(element)

    def select(self, n: int, increment: int = 0) -> list[Element]:
        """Up to ``n`` elements by the pool's policy; ``increment`` as in `Handlespace.select`."""
        # RSPLIB's default increment is 1; the random policies keep no state and count nothing.
        return self.selection.select(n, increment or 1)
