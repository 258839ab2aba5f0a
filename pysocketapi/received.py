"""What recvmsg and sctp_recvv say of a message (RFC 6458 sections 5.3 and 9.13), and buffers to receive into."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from . import constants as c
from . import structures as s
from .message import Message
from .notifications import Notification

Buffer = bytearray | memoryview
Item = tuple[int, int, Any]  # (level, type, structure) of ancillary data


class RecvvResult(NamedTuple):
    """What sctp_recvv gives: ``info`` is None, RcvInfo, NxtInfo or RecvvRn, ``infotype`` says which."""

    data: bytes | Notification
    address: s.Address | None
    info: s.RcvInfo | s.NxtInfo | s.RecvvRn | None
    infotype: int
    flags: int


def recvv_result(
    data: bytes | Notification, found: Iterable[Item], flags: int, address: s.Address | None
) -> RecvvResult:
    """Return recvmsg's result in the form of sctp_recvv."""
    by_type = {type_: value for _, type_, value in found}
    rcv, nxt = by_type.get(c.SCTP_RCVINFO), by_type.get(c.SCTP_NXTINFO)
    if rcv is not None and nxt is not None:
        return RecvvResult(data, address, s.RecvvRn(rcv, nxt), c.SCTP_RECVV_RN, flags)
    if rcv is not None:
        return RecvvResult(data, address, rcv, c.SCTP_RECVV_RCVINFO, flags)
    if nxt is not None:
        return RecvvResult(data, address, nxt, c.SCTP_RECVV_NXTINFO, flags)
    return RecvvResult(data, address, None, c.SCTP_RECVV_NOINFO, flags)


def rcvinfo(message: Message) -> s.RcvInfo:
    """Describe a message by SCTP_RCVINFO (section 5.3.5)."""
    return s.RcvInfo(
        message.stream,
        message.ssn,
        c.SCTP_UNORDERED if message.unordered else 0,
        message.ppid,
        message.tsn,
        message.cumtsn,
        message.context,
        message.assoc_id,
    )


_NEXT_FLAGS = (
    (c.SCTP_UNORDERED, c.SCTP_NEXT_MSG_IS_UNORDERED),
    (c.SCTP_COMPLETE, c.SCTP_NEXT_MSG_ISCOMPLETE),
    (c.SCTP_NOTIFICATION, c.SCTP_NEXT_MSG_IS_NOTIFICATION),
)


def deprecated(message: Message, extended: bool, following: s.NxtInfo | None) -> Item:
    """Describe a message by SCTP_SNDRCV or SCTP_EXTRCV (RFC 6458 sections 5.3.2 and 5.3.3)."""
    stream, ssn, flags = message.stream, message.ssn, c.SCTP_UNORDERED if message.unordered else 0
    ppid, context, tsn, cumtsn = message.ppid, message.context, message.tsn, message.cumtsn
    if not extended:
        plain = s.SndRcvInfo(stream, ssn, flags, ppid, context, 0, tsn, cumtsn, message.assoc_id)
        return c.IPPROTO_SCTP, c.SCTP_SNDRCV, plain
    info = s.ExtRcvInfo(stream, ssn, flags, ppid, context, 0, tsn, cumtsn, assoc_id=message.assoc_id)
    if following is not None and message.eor:
        info.next_flags = c.SCTP_NEXT_MSG_AVAIL
        for bit, meaning in _NEXT_FLAGS:
            info.next_flags |= meaning if following.flags & bit else 0
        info.next_stream, info.next_aid = following.sid, following.assoc_id
        info.next_length, info.next_ppid = following.length, following.ppid
    return c.IPPROTO_SCTP, c.SCTP_EXTRCV, info


def room_in(buffer: Buffer, nbytes: int = 0) -> memoryview:
    """Return the first nbytes (0: all) of a buffer to receive into.

    What cannot be used is refused before anything is received: TypeError for read-only ones, ValueError for sizes.
    """
    view = memoryview(buffer)
    if view.readonly:
        raise TypeError(f"a read-write bytes-like object is required, not {type(buffer).__name__}")
    view = view.cast("B")
    if nbytes < 0:
        raise ValueError("negative buffer size")
    if nbytes > len(view):
        raise ValueError("the buffer is too small for the requested bytes")
    return view[:nbytes] if nbytes else view


def scatter(views: Sequence[memoryview], data: bytes) -> int:
    """Put data into buffers, one after the other; return how many bytes found room."""
    offset = 0
    for view in views:
        part = data[offset : offset + len(view)]
        view[: len(part)] = part
        offset += len(part)
    return offset
