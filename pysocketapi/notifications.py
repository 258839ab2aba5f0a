"""Every notification of RFC 6458 section 6.1 as a class of its own, with those of RFC 6525.

``type`` is the number on the class; ``flags`` and ``assoc_id`` as in the RFC. Field names are the RFC's without
prefixes. Formats in memory are the backends' affair.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from . import constants as c
from .structures import Address, SndInfo, SndRcvInfo


@dataclass(slots=True)
class AssocChange:
    """SCTP_ASSOC_CHANGE, section 6.1.1.

    ``error`` is the cause code of RFC 9260 (0: none), ``info`` the ABORT's rest or supported features.
    ``errno`` is ours: the errno that a socket would give, 0 where nothing failed or the backend cannot tell.
    """

    type: ClassVar[int] = c.SCTP_ASSOC_CHANGE
    assoc_id: int
    state: int
    error: int = 0
    outbound_streams: int = 0
    inbound_streams: int = 0
    info: bytes = b""
    flags: int = 0
    errno: int = 0


@dataclass(slots=True)
class PeerAddrChange:
    """SCTP_PEER_ADDR_CHANGE, section 6.1.2."""

    type: ClassVar[int] = c.SCTP_PEER_ADDR_CHANGE
    assoc_id: int
    address: Address | None
    state: int
    error: int = 0
    flags: int = 0


@dataclass(slots=True)
class RemoteErrorEvent:
    """SCTP_REMOTE_ERROR, section 6.1.3: a cause that the peer sent in an ERROR chunk."""

    type: ClassVar[int] = c.SCTP_REMOTE_ERROR
    assoc_id: int
    error: int
    data: bytes = b""
    flags: int = 0


@dataclass(slots=True)
class SendFailedOld:
    """SCTP_SEND_FAILED (deprecated), section 6.1.4."""

    type: ClassVar[int] = c.SCTP_SEND_FAILED
    assoc_id: int
    error: int
    info: SndRcvInfo
    data: bytes = b""
    flags: int = 0


@dataclass(slots=True)
class ShutdownEvent:
    """SCTP_SHUTDOWN_EVENT, section 6.1.5: the peer sent SHUTDOWN; nothing more may be sent."""

    type: ClassVar[int] = c.SCTP_SHUTDOWN_EVENT
    assoc_id: int
    flags: int = 0


@dataclass(slots=True)
class AdaptationEvent:
    """SCTP_ADAPTATION_INDICATION, section 6.1.6."""

    type: ClassVar[int] = c.SCTP_ADAPTATION_INDICATION
    assoc_id: int
    adaptation_ind: int
    flags: int = 0


@dataclass(slots=True)
class PartialDeliveryEvent:
    """SCTP_PARTIAL_DELIVERY_EVENT, section 6.1.7: the rest of a message will not come."""

    type: ClassVar[int] = c.SCTP_PARTIAL_DELIVERY_EVENT
    assoc_id: int
    indication: int
    stream: int = 0
    seq: int = 0
    flags: int = 0


@dataclass(slots=True)
class AuthenticationEvent:
    """SCTP_AUTHENTICATION_EVENT, section 6.1.8."""

    type: ClassVar[int] = c.SCTP_AUTHENTICATION_EVENT
    assoc_id: int
    keynumber: int
    altkeynumber: int
    indication: int
    flags: int = 0


@dataclass(slots=True)
class SenderDryEvent:
    """SCTP_SENDER_DRY_EVENT, section 6.1.9: all user data was acknowledged."""

    type: ClassVar[int] = c.SCTP_SENDER_DRY_EVENT
    assoc_id: int
    flags: int = 0


@dataclass(slots=True)
class NotificationsStoppedEvent:
    """SCTP_NOTIFICATIONS_STOPPED_EVENT, section 6.1.10: memory ran out, notifications were lost."""

    type: ClassVar[int] = c.SCTP_NOTIFICATIONS_STOPPED_EVENT
    assoc_id: int = 0
    flags: int = 0


@dataclass(slots=True)
class SendFailedEvent:
    """SCTP_SEND_FAILED_EVENT, section 6.1.11; flags: SCTP_DATA_SENT or SCTP_DATA_UNSENT."""

    type: ClassVar[int] = c.SCTP_SEND_FAILED_EVENT
    assoc_id: int
    error: int
    info: SndInfo
    data: bytes = b""
    flags: int = 0


@dataclass(slots=True)
class StreamResetEvent:
    """SCTP_STREAM_RESET_EVENT, RFC 6525 section 6.1.1; no streams: all of them."""

    type: ClassVar[int] = c.SCTP_STREAM_RESET_EVENT
    assoc_id: int
    streams: tuple[int, ...] = ()
    flags: int = 0


@dataclass(slots=True)
class AssocResetEvent:
    """SCTP_ASSOC_RESET_EVENT, RFC 6525 section 6.1.2."""

    type: ClassVar[int] = c.SCTP_ASSOC_RESET_EVENT
    assoc_id: int
    local_tsn: int = 0
    remote_tsn: int = 0
    flags: int = 0


@dataclass(slots=True)
class StreamChangeEvent:
    """SCTP_STREAM_CHANGE_EVENT, RFC 6525 section 6.1.3."""

    type: ClassVar[int] = c.SCTP_STREAM_CHANGE_EVENT
    assoc_id: int
    instrms: int = 0
    outstrms: int = 0
    flags: int = 0


Notification: TypeAlias = (
    AssocChange
    | PeerAddrChange
    | RemoteErrorEvent
    | SendFailedOld
    | ShutdownEvent
    | AdaptationEvent
    | PartialDeliveryEvent
    | AuthenticationEvent
    | SenderDryEvent
    | NotificationsStoppedEvent
    | SendFailedEvent
    | StreamResetEvent
    | AssocResetEvent
    | StreamChangeEvent
)

ALL: tuple[type[Notification], ...] = (
    AssocChange,
    PeerAddrChange,
    RemoteErrorEvent,
    SendFailedOld,
    ShutdownEvent,
    AdaptationEvent,
    PartialDeliveryEvent,
    AuthenticationEvent,
    SenderDryEvent,
    NotificationsStoppedEvent,
    SendFailedEvent,
    StreamResetEvent,
    AssocResetEvent,
    StreamChangeEvent,
)
BY_TYPE: dict[int, type[Notification]] = {cls.type: cls for cls in ALL}
