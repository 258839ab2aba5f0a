"""The engine's events as RFC 6458's notifications (section 6.1), and states as its numbers.

A table from event class to (notification type, function). Queues and sockets are in `userland`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pysctplib.core import events as e

from .. import constants as c
from .. import notifications as n
from ..structures import SndInfo, SndRcvInfo

if TYPE_CHECKING:
    from pysctplib.core.association import Association

USER_INITIATED_ABORT = 12  # RFC 9260 section 3.3.10.12

STATES = {
    "CLOSED": c.SCTP_CLOSED,
    "COOKIE-WAIT": c.SCTP_COOKIE_WAIT,
    "COOKIE-ECHOED": c.SCTP_COOKIE_ECHOED,
    "ESTABLISHED": c.SCTP_ESTABLISHED,
    "SHUTDOWN-PENDING": c.SCTP_SHUTDOWN_PENDING,
    "SHUTDOWN-SENT": c.SCTP_SHUTDOWN_SENT,
    "SHUTDOWN-RECEIVED": c.SCTP_SHUTDOWN_RECEIVED,
    "SHUTDOWN-ACK-SENT": c.SCTP_SHUTDOWN_ACK_SENT,
}
PATH_STATES = {
    "unconfirmed": c.SCTP_UNCONFIRMED,
    "active": c.SCTP_ACTIVE,
    "inactive": c.SCTP_INACTIVE,
    "potentially-failed": c.SCTP_POTENTIALLY_FAILED,
}
_PATH_CHANGES = {
    "confirmed": c.SCTP_ADDR_CONFIRMED,
    "available": c.SCTP_ADDR_AVAILABLE,
    "unreachable": c.SCTP_ADDR_UNREACHABLE,
    "potentially-failed": c.SCTP_ADDR_POTENTIALLY_FAILED,
    "added": c.SCTP_ADDR_ADDED,
    "removed": c.SCTP_ADDR_REMOVED,
    "made-primary": c.SCTP_ADDR_MADE_PRIM,
}


def _id(association: Association) -> int:
    return association.id


def _up(event: e.CommunicationUp) -> n.Notification:
    a = event.association
    return n.AssocChange(_id(a), c.SCTP_COMM_UP, 0, event.outbound_streams, event.inbound_streams)


def _restarted(event: e.Restarted) -> n.Notification:
    a = event.association
    return n.AssocChange(_id(a), c.SCTP_RESTART, 0, event.outbound_streams, event.inbound_streams)


def _abort_info(cause: int, info: bytes) -> bytes:
    # sac_info is the ABORT's error cause as it came, like Linux has it (section 6.1.1).
    if not cause:
        return b""
    return cause.to_bytes(2, "big") + (4 + len(info)).to_bytes(2, "big") + info


def _lost(event: e.CommunicationLost) -> n.Notification:
    info = _abort_info(event.cause, event.info)
    a = event.association
    return n.AssocChange(_id(a), c.SCTP_COMM_LOST, event.cause, info=info, errno=event.error)


def _cannot(event: e.CannotStart) -> n.Notification:
    info = _abort_info(event.cause, event.info)
    a = event.association
    return n.AssocChange(_id(a), c.SCTP_CANT_STR_ASSOC, event.cause, info=info, errno=event.error)


def _complete(event: e.ShutdownComplete) -> n.Notification:
    return n.AssocChange(_id(event.association), c.SCTP_SHUTDOWN_COMP)


def _peer_shutdown(event: e.PeerShutdown) -> n.Notification:
    return n.ShutdownEvent(_id(event.association))


def _path(event: e.PathChange) -> n.Notification:
    a = event.association
    return n.PeerAddrChange(_id(a), (event.address, a.peer_port), _PATH_CHANGES[event.change], event.error)


def _flags(event: e.SendFailed) -> int:
    return c.SCTP_UNORDERED if event.unordered else 0


def _failed(event: e.SendFailed) -> n.Notification:
    a = _id(event.association)
    info = SndInfo(event.stream, _flags(event), event.ppid, event.context, a)
    sent = c.SCTP_DATA_SENT if event.sent else c.SCTP_DATA_UNSENT
    return n.SendFailedEvent(a, event.error, info, event.data, sent)


def failed_old(event: e.SendFailed) -> n.Notification:
    """Return the deprecated form (section 6.1.4)."""
    a = _id(event.association)
    info = SndRcvInfo(stream=event.stream, flags=_flags(event), ppid=event.ppid, context=event.context, assoc_id=a)
    sent = c.SCTP_DATA_SENT if event.sent else c.SCTP_DATA_UNSENT
    return n.SendFailedOld(a, event.error, info, event.data, sent)


def _remote(event: e.RemoteError) -> n.Notification:
    return n.RemoteErrorEvent(_id(event.association), event.cause, event.info)


def _dry(event: e.SenderDry) -> n.Notification:
    return n.SenderDryEvent(_id(event.association))


def _partial(event: e.PartialDeliveryAborted) -> n.Notification:
    a = _id(event.association)
    return n.PartialDeliveryEvent(a, c.SCTP_PARTIAL_DELIVERY_ABORTED, event.stream, event.ssn)


def _adaptation(event: e.AdaptationIndication) -> n.Notification:
    return n.AdaptationEvent(_id(event.association), event.indication)


TABLE: dict[type[Any], tuple[int, Callable[[Any], n.Notification]]] = {
    e.CommunicationUp: (c.SCTP_ASSOC_CHANGE, _up),
    e.Restarted: (c.SCTP_ASSOC_CHANGE, _restarted),
    e.CommunicationLost: (c.SCTP_ASSOC_CHANGE, _lost),
    e.CannotStart: (c.SCTP_ASSOC_CHANGE, _cannot),
    e.ShutdownComplete: (c.SCTP_ASSOC_CHANGE, _complete),
    e.PeerShutdown: (c.SCTP_SHUTDOWN_EVENT, _peer_shutdown),
    e.PathChange: (c.SCTP_PEER_ADDR_CHANGE, _path),
    e.SendFailed: (c.SCTP_SEND_FAILED_EVENT, _failed),
    e.RemoteError: (c.SCTP_REMOTE_ERROR, _remote),
    e.SenderDry: (c.SCTP_SENDER_DRY_EVENT, _dry),
    e.PartialDeliveryAborted: (c.SCTP_PARTIAL_DELIVERY_EVENT, _partial),
    e.AdaptationIndication: (c.SCTP_ADAPTATION_INDICATION, _adaptation),
}
ENDS = (e.CommunicationLost, e.CannotStart, e.ShutdownComplete)
