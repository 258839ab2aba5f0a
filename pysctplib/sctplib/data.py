"""User data: sctp_send, sctp_receive and what is left over when an association ends.

RFC 9260 sections 11.1.5 (SEND), 11.1.7 (RECEIVE), 11.1.14 and 11.1.15 (RECEIVE UNSENT and UNACKNOWLEDGED).
Received messages wait by stream; the window opens as they are read. Payload protocol identifiers are in host
order.
"""

from __future__ import annotations

import errno
from collections import deque
from typing import Any

from ..core.states import SETTING_UP
from . import constants as c
from .instances import MILLISECONDS
from .library import Leftover, Record, address_of, answers, library, living, record_of
from .notifications import QueueChange, SendRefused

_SEND_ERRORS = {
    errno.EAGAIN: c.SCTP_QUEUE_EXCEEDED,
    errno.EPIPE: c.SCTP_SPECIFIC_FUNCTION_ERROR,
    errno.ENOTCONN: c.SCTP_ASSOC_NOT_FOUND,
    errno.ENOBUFS: c.SCTP_OUT_OF_RESOURCES,
}


@answers()
def sctp_send(
    associationID: int,
    streamID: int,
    buffer: bytes,
    protocolId: int = c.SCTP_GENERIC_PAYLOAD_PROTOCOL_ID,
    path_id: int = c.SCTP_USE_PRIMARY,
    context: Any = c.SCTP_NO_CONTEXT,
    lifetime: int = c.SCTP_INFINITE_LIFETIME,
    unorderedDelivery: int = c.SCTP_ORDERED_DELIVERY,
    dontBundle: int = c.SCTP_BUNDLING_ENABLED,
) -> int:
    """Send one message.

    ``lifetime``: ms after which it is not sent any more, with PR-SCTP not again either; 0 and
    SCTP_INFINITE_LIFETIME: no limit.
    ``dontBundle``: no message after this one goes into the same packet, nor one before it if the windows have let
    it go.

    SCTP_SUCCESS; SCTP_PARAMETER_PROBLEM (no such path, PPID or stream, the last also told by sendFailureNotif; no
    data); SCTP_ASSOC_NOT_FOUND; SCTP_SPECIFIC_FUNCTION_ERROR (shutting down); SCTP_MODULE_NOT_FOUND (not up yet);
    SCTP_QUEUE_EXCEEDED (maxSendQueue); SCTP_OUT_OF_RESOURCES.
    """
    lib, record = library(), living(associationID)
    association = record.association
    data = buffer if isinstance(buffer, bytes) else bytes(memoryview(buffer))
    path = None if path_id == c.SCTP_USE_PRIMARY else address_of(record, path_id)
    if not 0 <= protocolId <= 0xFFFFFFFF or not 0 <= lifetime <= 0xFFFFFFFF:
        return c.SCTP_PARAMETER_PROBLEM
    if association.state in SETTING_UP:
        return c.SCTP_MODULE_NOT_FOUND
    if not 0 <= streamID < association.outbound_streams:
        lib.pending.append(SendRefused(record, data, context))
        lib.changed()
        return c.SCTP_PARAMETER_PROBLEM
    queued = len(association.outbound.queue)
    if 0 < record.max_send_queue <= queued:
        return c.SCTP_QUEUE_EXCEEDED
    limit = None if lifetime in (c.SCTP_NO_RETRANSMISSION, c.SCTP_INFINITE_LIFETIME) else lifetime * MILLISECONDS
    if dontBundle:
        lib.stack.flush()
    try:
        association.send(data, streamID, lib.now(), protocolId, bool(unorderedDelivery), limit, context, path)
    except OSError as error:
        return _SEND_ERRORS.get(error.errno or 0, c.SCTP_PARAMETER_PROBLEM)
    if dontBundle:
        lib.stack.flush()
    lib.changed()
    queued = len(association.outbound.queue)
    if 0 < record.max_send_queue <= queued and record not in lib.over_limit:
        lib.over_limit.add(record)
        lib.pending.append(QueueChange(record, queued))
    return c.SCTP_SUCCESS


sctp_send_private = sctp_send


def sctp_receive(
    associationID: int, streamID: int, length: int, flags: int = c.SCTP_MSG_DEFAULT
) -> tuple[int, bytes, int, int]:
    """Return (code, data, streamSN, tsn): as sctp_receivefrom, without the path."""
    return sctp_receivefrom(associationID, streamID, length, flags)[:4]


@answers(b"", 0, 0, 0)
def sctp_receivefrom(
    associationID: int, streamID: int, length: int, flags: int = c.SCTP_MSG_DEFAULT
) -> tuple[int, bytes, int, int, int]:
    """Return (code, data, streamSN, tsn, path): at most ``length`` bytes of the stream's oldest message.

    What does not fit stays for the next call; with SCTP_MSG_PEEK everything stays. Works on ended associations,
    too. SCTP_SUCCESS; SCTP_PARAMETER_PROBLEM (no such stream, ``length`` < 1, unknown flag);
    SCTP_NO_CHUNKS_IN_QUEUE; SCTP_MODULE_NOT_FOUND (not up yet); SCTP_ASSOC_NOT_FOUND.
    """
    lib, record = library(), record_of(associationID)
    association = record.association
    if not record.up:
        return c.SCTP_MODULE_NOT_FOUND, b"", 0, 0, 0
    if not 0 <= streamID < association.inbound_streams or length < 1 or flags & ~c.SCTP_MSG_PEEK:
        return c.SCTP_PARAMETER_PROBLEM, b"", 0, 0, 0
    queue = record.inbox.get(streamID)
    if not queue:
        return c.SCTP_NO_CHUNKS_IN_QUEUE, b"", 0, 0, 0
    message = queue[0]
    data = message.data[:length]
    if not flags & c.SCTP_MSG_PEEK:
        message.data = message.data[length:]
        freed = message.held - min(message.held, len(message.data))
        message.held -= freed
        if not message.data:
            queue.popleft()
            if not queue:
                del record.inbox[streamID]
        if freed and not record.ended:
            association.consumed(freed, lib.now())
            lib.changed()
    return c.SCTP_SUCCESS, data, message.ssn, message.tsn & 0xFFFFFFFF, message.path


@answers(b"", 0, 0, 0, 0, 0, None)
def sctp_receiveUnsent(associationID: int, length: int) -> tuple[int, bytes, int, int, int, int, int, Any]:
    """Return (code, data, tsn, streamID, streamSN, protocolId, flags, context) of the next message, or rest of
    one, that an ended association did not send; tsn and streamSN are 0.

    code >= 0: how many are left; SCTP_WRONG_STATE unless the association has ended; SCTP_NO_CHUNKS_IN_QUEUE;
    SCTP_BUFFER_TOO_SMALL if it has more than ``length`` bytes; SCTP_ASSOC_NOT_FOUND. ``flags`` are those of DATA.
    """
    return _take(record_of(associationID), record_of(associationID).unsent, length)


@answers(b"", 0, 0, 0, 0, 0, None)
def sctp_receiveUnacked(associationID: int, length: int) -> tuple[int, bytes, int, int, int, int, int, Any]:
    """Return the same for the next DATA chunk that was sent and not acknowledged."""
    return _take(record_of(associationID), record_of(associationID).unacked, length)


def _take(record: Record, queue: deque[Leftover], length: int) -> tuple[int, bytes, int, int, int, int, int, Any]:
    code = c.SCTP_SUCCESS
    if not record.ended:
        code = c.SCTP_WRONG_STATE
    elif not queue:
        code = c.SCTP_NO_CHUNKS_IN_QUEUE
    elif len(queue[0].data) > length:
        code = c.SCTP_BUFFER_TOO_SMALL
    if code:
        return code, b"", 0, 0, 0, 0, 0, None
    x = queue.popleft()
    return len(queue), x.data, x.tsn, x.stream, x.ssn, x.ppid, x.flags, x.context
