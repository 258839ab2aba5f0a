"""From what the engine reports to SCTPLIB's callbacks (RFC 9260 section 11.2). Called by the loop only.

``HANDLERS`` says which event does what. Notifications that calls of this API cause themselves wait in the same
queue, so no callback ever runs inside a call.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..core import events
from ..core.association import Association
from ..core.path import PathState
from ..core.states import State
from . import constants as c
from . import leftovers
from .library import Instance, Library, Received, Record

MAX_MESSAGE = 1 << 26  # bytes; a peer that sends more without an end is aborted


@dataclass(slots=True)
class SendRefused:
    """A message was refused because its stream does not exist."""

    record: Record
    data: bytes
    context: Any


@dataclass(slots=True)
class QueueChange:
    """The send queue reached its limit, or is below it again."""

    record: Record
    length: int


def deliver(lib: Library) -> int:
    """Call the callbacks for everything that happened up to now; return how many events there were.

    An event leaves the queue before its callback runs: after an exception in a callback the rest is still there.
    """
    pending = lib.pending
    pending.extend(lib.stack.events())
    _watch_queues(lib)
    count = len(pending)
    for _ in range(count):
        event = pending.popleft()
        if isinstance(event, SendRefused | QueueChange):
            if event.record.id in lib.records:
                _OWN[type(event)](event)
        else:
            HANDLERS[type(event)](lib, event)
    return count


def _watch_queues(lib: Library) -> None:
    """Notice send queues that fell below their limit."""
    for record in tuple(lib.over_limit):
        queued = len(record.association.outbound.queue)
        if queued < record.max_send_queue or record.ended or not record.max_send_queue:
            lib.over_limit.discard(record)
            lib.pending.append(QueueChange(record, queued))


def _record(association: Association) -> Record | None:
    user = association.user
    return user if isinstance(user, Record) else None


# Data


def _message(lib: Library, event: events.Message) -> None:
    record = _record(event.association)
    if record is None:
        return
    data, held = event.data, len(event.data)
    key = (event.stream, event.unordered)
    parts = record.parts.get(key)
    if parts is not None or not event.eor:
        # Whole messages only are handed out, so the window has to open for the rest (RFC 9260 section 6.9).
        parts = record.parts.setdefault(key, [])
        parts.append(data)
        event.association.consumed(held, lib.now())
        if not event.eor:
            if sum(map(len, parts)) > MAX_MESSAGE:
                event.association.abort(lib.now(), b"message too long")
            return
        data, held = b"".join(record.parts.pop(key)), 0
    queue = record.inbox.get(event.stream)
    if queue is None:
        queue = record.inbox[event.stream] = deque()
    queue.append(Received(data, event.ssn, event.tsn, _source(event.association), held))
    notify = record.instance.callbacks.dataArriveNotif
    if notify is not None:
        tsn = event.tsn & 0xFFFFFFFF
        notify(
            record.id, event.stream, len(data), event.ssn, tsn, event.ppid, int(event.unordered), record.ulp_data
        )


def _source(association: Association) -> int:
    """Return the index of the path that the latest data came on."""
    source = association.inbound.source
    return _index(association, source.address) if source is not None else 0


def _index(association: Association, address: str) -> int:
    addresses = list(association.paths)
    return addresses.index(address) if address in addresses else -1


def _partial_aborted(lib: Library, event: events.PartialDeliveryAborted) -> None:
    record = _record(event.association)
    if record is not None:
        record.parts.pop((event.stream, False), None)


def _send_failed(lib: Library, event: events.SendFailed) -> None:
    record = _record(event.association)
    if record is None or event.association.state is State.CLOSED:
        return  # sctp_receiveUnsent and sctp_receiveUnacked give it back
    notify = record.instance.callbacks.sendFailureNotif
    if notify is not None:
        notify(record.id, event.data, event.context, record.ulp_data)


# The life of an association


def _up(lib: Library, event: events.CommunicationUp) -> None:
    association = event.association
    record = _record(association)
    if record is None:
        instance = association.endpoint.user
        if not isinstance(instance, Instance):
            return
        present = sum(other.instance is instance for other in lib.records.values())
        if instance.max_associations and present >= instance.max_associations:
            association.abort(lib.now(), b"too many associations")
            return
        record = lib.add_record(instance, association, None)
    status = c.SCTP_COMM_UP_RECEIVED_VALID_COOKIE if event.incoming else c.SCTP_COMM_UP_RECEIVED_COOKIE_ACK
    _tell_up(record, status, event.inbound_streams, event.outbound_streams)
    notify = record.instance.callbacks.networkStatusChangeNotif
    if notify is not None:
        for index, path in enumerate(list(association.paths.values())):
            if path.state is PathState.ACTIVE:
                notify(record.id, index, c.SCTP_PATH_OK, record.ulp_data)


def _tell_up(record: Record, status: int, inbound: int, outbound: int) -> None:
    """Call communicationUpNotif; what it returns is the ulp_data from now on (None if there is no callback)."""
    record.up = True
    notify = record.instance.callbacks.communicationUpNotif
    paths = len(record.association.paths)
    record.ulp_data = (
        notify(record.id, status, paths, inbound, outbound, 0, record.ulp_data) if notify is not None else None
    )


def _restarted(lib: Library, event: events.Restarted) -> None:
    record = _record(event.association)
    if record is None:
        return
    record.parts.clear()
    if record.instance.callbacks.restartNotif is not None:
        record.instance.callbacks.restartNotif(record.id, record.ulp_data)
    _tell_up(record, c.SCTP_COMM_UP_RECEIVED_COOKIE_RESTART, event.inbound_streams, event.outbound_streams)


_LOST = {
    errno.ECONNRESET: c.SCTP_COMM_LOST_ABORTED,
    errno.ECONNABORTED: c.SCTP_COMM_LOST_ABORTED,
    errno.ECONNREFUSED: c.SCTP_COMM_LOST_ABORTED,
    errno.ETIMEDOUT: c.SCTP_COMM_LOST_EXCEEDED_RETRANSMISSIONS,
}


def _lost(lib: Library, event: events.CommunicationLost | events.CannotStart) -> None:
    association = event.association
    record = _record(association)
    if record is None:
        return
    _end(record)
    status = _LOST.get(event.error, c.SCTP_COMM_LOST_FAILURE)
    if event.error == errno.ETIMEDOUT and record.up and not any(p.usable for p in association.paths.values()):
        status = c.SCTP_COMM_LOST_ENDPOINT_UNREACHABLE
    notify = record.instance.callbacks.communicationLostNotif
    if notify is not None:
        notify(record.id, status, record.ulp_data)


def _end(record: Record) -> None:
    """Mark an association as ended; from now on only its data can be fetched, and it can be deleted."""
    record.ended = True
    record.parts.clear()
    record.unsent = leftovers.unsent(record.association)
    record.unacked = leftovers.unacked(record.association)


def _peer_shutdown(lib: Library, event: events.PeerShutdown) -> None:
    record = _record(event.association)
    if record is not None and record.instance.callbacks.peerShutdownReceivedNotif is not None:
        record.instance.callbacks.peerShutdownReceivedNotif(record.id, record.ulp_data)


def _shutdown_complete(lib: Library, event: events.ShutdownComplete) -> None:
    record = _record(event.association)
    if record is None:
        return
    _end(record)
    if record.instance.callbacks.shutdownCompleteNotif is not None:
        record.instance.callbacks.shutdownCompleteNotif(record.id, record.ulp_data)


# The rest

_PATH_STATES = {
    "available": c.SCTP_PATH_OK,
    "unreachable": c.SCTP_PATH_UNREACHABLE,
    "added": c.SCTP_PATH_ADDED,
    "removed": c.SCTP_PATH_REMOVED,
    "confirmed": c.SCTP_PATH_CONFIRMED,
}


def _path_change(lib: Library, event: events.PathChange) -> None:
    record = _record(event.association)
    state = _PATH_STATES.get(event.change)
    if record is None or state is None:
        return
    notify = record.instance.callbacks.networkStatusChangeNotif
    if notify is not None:
        notify(record.id, _index(event.association, event.address), state, record.ulp_data)


def _remote_error(lib: Library, event: events.RemoteError) -> None:
    record = _record(event.association)
    if record is not None and record.instance.callbacks.communicationErrorNotif is not None:
        record.instance.callbacks.communicationErrorNotif(record.id, event.cause, record.ulp_data)


def _unknown_to_sctplib(lib: Library, event: object) -> None:
    """SCTPLIB has no callback for this."""


def _tell_refused(event: SendRefused) -> None:
    record = event.record
    if record.instance.callbacks.sendFailureNotif is not None:
        record.instance.callbacks.sendFailureNotif(record.id, event.data, event.context, record.ulp_data)


def _tell_queue(event: QueueChange) -> None:
    record = event.record
    notify = record.instance.callbacks.queueStatusChangeNotif
    if notify is not None and not record.ended:
        notify(record.id, c.SCTP_SEND_QUEUE, 0, event.length, record.ulp_data)


_OWN: dict[type, Callable[[Any], None]] = {SendRefused: _tell_refused, QueueChange: _tell_queue}

HANDLERS: dict[type, Callable[[Library, Any], None]] = {
    events.Message: _message,
    events.CommunicationUp: _up,
    events.Restarted: _restarted,
    events.CommunicationLost: _lost,
    events.CannotStart: _lost,
    events.PeerShutdown: _peer_shutdown,
    events.ShutdownComplete: _shutdown_complete,
    events.PathChange: _path_change,
    events.SendFailed: _send_failed,
    events.RemoteError: _remote_error,
    events.Writable: _unknown_to_sctplib,
    events.SenderDry: _unknown_to_sctplib,
    events.PartialDeliveryAborted: _partial_aborted,
    events.AdaptationIndication: _unknown_to_sctplib,
}
