"""One pool element as the handlespace holds it, and the rules for what may be registered (RFC 5352 §3.1).

The record is the wire's own immutable `PoolElement`; beside it stands what never travels: selection state,
the connection that registered it, unreachability reports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pysctplib.errors import SctpError
from rserpool.wire import causes
from rserpool.wire.types import MAX_ADDRESSES, MAX_POOL_HANDLE, SCTP, Policy, PoolElement

if TYPE_CHECKING:
    from rserpool.handlespace.pool import Pool


class Incompatible(SctpError):
    """A registration that the pool cannot take; ``cause`` is the error cause code to answer with."""

    def __init__(self, text: str, cause: int) -> None:
        super().__init__(text)
        self.cause = cause


class Element:
    """A pool element in a pool."""

    __slots__ = (
        "connection",
        "degradation",
        "forms",
        "generation",
        "local",
        "place",
        "pool",
        "record",
        "reports",
        "round",
        "selections",
        "sequence",
        "virtual",
        "weight",
    )

    def __init__(self, pool: Pool, record: PoolElement, weight: int) -> None:
        self.pool = pool
        self.record = record
        self.weight = weight  # its part of the checksum
        self.connection: int | None = None  # by which it was registered here
        self.local = False  # reachable on this host only; never told to other hosts
        self.generation = 0  # of its last registration; see Handlespace.generation
        self.reports = 0  # ENDPOINT_UNREACHABLE received (RFC 5352 §2.2.9)
        self.forms: tuple[PoolElement | None, PoolElement | None] | None = None  # the registrar's, of the record
        # Selection state (policies.py, selection.py)
        self.sequence = 0
        self.round = 0
        self.virtual = 0
        self.degradation = 0
        self.selections = 0
        self.place: Any = None  # where its selection structure keeps it

    @property
    def handle(self) -> bytes:
        """The pool's handle."""
        return self.pool.handle

    @property
    def identifier(self) -> int:
        """The PE identifier."""
        return self.record.identifier

    @property
    def home(self) -> int:
        """Identifier of the home registrar."""
        return self.record.home

    @property
    def policy(self) -> Policy:
        """The policy parameter of the last registration."""
        return self.record.policy

    def __repr__(self) -> str:
        return f"{self.pool.handle.decode('ascii', 'backslashreplace')}/${self.record.identifier:08x}"


def check_record(handle: bytes, record: PoolElement, *, asap_transport: bool = True) -> None:
    """Raise `Incompatible` unless ``record`` can stand in any pool.

    ``asap_transport`` False admits records without one, as handle resolution gives them to pool users.
    """
    if not 1 <= len(handle) <= MAX_POOL_HANDLE:
        raise Incompatible("pool handle must have 1 to 32 bytes", causes.INVALID_POOL_HANDLE)
    if record.identifier == 0:
        raise Incompatible("PE identifier must not be zero", causes.INVALID_IDENTIFIER)
    user = record.user_transport
    if not user.port or not 1 <= len(user.addresses) <= MAX_ADDRESSES:
        raise Incompatible("user transport needs a port and 1 to 64 addresses", causes.INVALID_ADDRESSES)
    if asap_transport:
        asap = record.asap_transport
        if asap is None or asap.protocol != SCTP or asap.control_channel or not asap.port or not asap.addresses:
            raise Incompatible(
                "ASAP transport must be SCTP, with port and address", causes.INVALID_REGISTRAR_TRANSPORT
            )
