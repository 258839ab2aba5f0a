"""What the engine reports to its user, in order, by ``Engine.events()``.

RFC 9260 section 11.2 (the ULP interface's upward calls); RFC 6458 section 6 names the same things for sockets.
No formats and no sockets here. User messages are events too, so that data and notifications keep their order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from .association import Association


class Message:
    """One user message, or one part of it under partial delivery. Not a dataclass, see `new_message`.

    ``eor`` is False on all parts of a message but the last. ``ppid`` is in host order. ``ssn`` is 0 for
    unordered messages. ``cumulative_tsn`` is the cumulative TSN at delivery. After taking the data the user
    calls ``association.consumed(len(data), now)``.
    """

    __slots__ = ("association", "cumulative_tsn", "data", "eor", "ppid", "ssn", "stream", "tsn", "unordered")

    association: Association
    stream: int
    ssn: int
    ppid: int
    tsn: int
    cumulative_tsn: int
    unordered: bool
    eor: bool
    data: bytes


def new_message(
    association: Association,
    stream: int,
    ssn: int,
    ppid: int,
    tsn: int,
    cumulative_tsn: int,
    unordered: bool,
    eor: bool,
    data: bytes,
) -> Message:
    """Return a new message. CPython calls a function much faster than an ``__init__``, once for each message."""
    made = Message()
    made.association = association
    made.stream = stream
    made.ssn = ssn
    made.ppid = ppid
    made.tsn = tsn
    made.cumulative_tsn = cumulative_tsn
    made.unordered = unordered
    made.eor = eor
    made.data = data
    return made


@dataclass(slots=True)
class CommunicationUp:
    """The association is established (RFC 9260 section 11.2.4). ``incoming``: the peer began it."""

    association: Association
    outbound_streams: int
    inbound_streams: int
    incoming: bool


@dataclass(slots=True)
class Restarted:
    """The peer restarted (RFC 9260 section 5.2.4 action A); stream numbers begin anew, unsent data is lost."""

    association: Association
    outbound_streams: int
    inbound_streams: int


@dataclass(slots=True)
class CommunicationLost:
    """The association ended by ABORT (own or peer's) or too many retransmissions (section 11.2.5).

    ``error`` is an errno: ECONNRESET (peer's ABORT), ECONNABORTED (own), ETIMEDOUT (gave up). ``cause`` is the
    first error cause's code of an ABORT or 0, ``info`` its value.
    """

    association: Association
    error: int
    cause: int = 0
    info: bytes = b""


@dataclass(slots=True)
class CannotStart:
    """The association could not be set up; ``error`` is an errno (ECONNREFUSED, ETIMEDOUT, ...)."""

    association: Association
    error: int
    cause: int = 0
    info: bytes = b""


@dataclass(slots=True)
class PeerShutdown:
    """The peer began a graceful shutdown; nothing more may be sent (RFC 6458 section 6.1.5)."""

    association: Association


@dataclass(slots=True)
class ShutdownComplete:
    """The association ended gracefully (RFC 9260 section 11.2.7)."""

    association: Association


@dataclass(slots=True)
class PathChange:
    """A peer address changed its state (section 11.2.3).

    ``change``: "confirmed", "available", "unreachable", "potentially-failed", "added", "removed",
    "made-primary".
    """

    association: Association
    address: str
    change: str
    error: int = 0


@dataclass(slots=True)
class SendFailed:
    """A message (or its rest) could not be delivered (section 11.2.2). ``sent``: some of it was transmitted."""

    association: Association
    data: bytes
    stream: int
    ppid: int
    context: int
    unordered: bool
    sent: bool
    error: int


@dataclass(slots=True)
class RemoteError:
    """The peer sent an ERROR chunk (section 11.2.6): code and value of one cause."""

    association: Association
    cause: int
    info: bytes


@dataclass(slots=True)
class Writable:
    """``association.buffered`` fell to half of ``config.send_buffer`` after having been above it."""

    association: Association


@dataclass(slots=True)
class SenderDry:
    """All data was acknowledged (RFC 6458 section 6.1.9)."""

    association: Association


@dataclass(slots=True)
class PartialDeliveryAborted:
    """The rest of a partly delivered message will not come (RFC 6458 section 6.1.7)."""

    association: Association
    stream: int
    ssn: int


@dataclass(slots=True)
class AdaptationIndication:
    """The peer's adaptation code point (RFC 5061 section 4.2.6)."""

    association: Association
    indication: int


Event: TypeAlias = (
    Message
    | CommunicationUp
    | Restarted
    | CommunicationLost
    | CannotStart
    | PeerShutdown
    | ShutdownComplete
    | PathChange
    | SendFailed
    | RemoteError
    | Writable
    | SenderDry
    | PartialDeliveryAborted
    | AdaptationIndication
)
