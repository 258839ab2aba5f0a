"""SOCKETAPI's calls that send and receive (RFC 6458 sections 3.1, 4.1, 9.7 to 9.13)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .. import constants as c
from .. import structures as s
from ..message import Message
from ..received import room_in, scatter
from .descriptors import Ref, c_call, entry, socket_of
from .options import stream_timeout, stream_timeouts

_SEND_FLAGS = (
    c.SCTP_UNORDERED
    | c.SCTP_ADDR_OVER
    | c.SCTP_ABORT
    | c.SCTP_SACK_IMMEDIATELY
    | c.SCTP_SENDALL
    | c.SCTP_EOF
    | c.SCTP_PR_SCTP_MASK
)


@dataclass(slots=True)
class MsgHdr:
    """struct msghdr: name (address or None), buffers, ancillary data with structures, flags of what came."""

    name: Any = None
    iov: list[bytearray] = field(default_factory=list)
    control: list[tuple[int, int, Any]] = field(default_factory=list)
    flags: int = 0
    notification: Any = None


def _flags_of(flags: int) -> tuple[int, int]:
    """Part one number space into SCTP's flags and those of messages."""
    return flags & _SEND_FLAGS, flags & ~_SEND_FLAGS


@c_call
def ext_send(fd: int, data: bytes, length: int, flags: int = 0) -> int:
    """Send one message with the default parameters."""
    return _send(fd, data, length, None, flags, [])


@c_call
def ext_write(fd: int, data: bytes, length: int) -> int:
    """Write to a descriptor of any kind."""
    found = entry(fd)
    if isinstance(found, int):
        return os.write(found, data[:length])
    return found.send(bytes(data[:length]))


@c_call
def ext_sendto(fd: int, data: bytes, length: int, flags: int, to: s.Address | None) -> int:
    """Send one message to an address, setting up an association if there is none."""
    return _send(fd, data, length, None, flags, [] if to is None else [to])


@c_call
def ext_sendmsg(fd: int, message: MsgHdr, flags: int = 0) -> int:
    """Send one message made of buffers, with ancillary data."""
    return socket_of(fd).sendmsg([bytes(part) for part in message.iov], message.control, flags, message.name)


@c_call
def sctp_send(fd: int, data: bytes, length: int, info: s.SndRcvInfo | None, flags: int = 0) -> int:
    """Send one message as described (section 9.10, deprecated there)."""
    return _send(fd, data, length, info, flags, [])


@c_call
def sctp_sendx(
    fd: int,
    data: bytes,
    length: int,
    addresses: Sequence[s.Address],
    count: int,
    info: s.SndRcvInfo | None,
    flags: int = 0,
) -> int:
    """Send one message to a peer with several addresses (section 9.11, deprecated there)."""
    return _send(fd, data, length, info, flags, list(addresses)[:count])


@c_call
def sctp_sendmsg(
    fd: int,
    data: bytes,
    length: int,
    to: s.Address | None,
    ppid: int,
    flags: int,
    stream: int,
    timetolive: int,
    context: int,
) -> int:
    """Send one message (section 9.7, deprecated there); ppid in host order, timetolive in ms."""
    info = s.SndRcvInfo(stream, 0, flags & _SEND_FLAGS, ppid, context, timetolive)
    return _send(fd, data, length, info, 0, [] if to is None else [to])


@c_call
def sctp_sendv(
    fd: int,
    iov: Iterable[bytes],
    addresses: Sequence[s.Address] = (),
    count: int = 0,
    info: Any = None,
    flags: int = 0,
) -> int:
    """Send one message (section 9.12)."""
    return socket_of(fd).sendv([bytes(part) for part in iov], list(addresses)[:count], info, flags)


def _send(fd: int, data: bytes, length: int, info: s.SndRcvInfo | None, flags: int, to: list[s.Address]) -> int:
    sock = socket_of(fd)
    bits, rest = _flags_of(flags)
    payload = bytes(data[:length])
    if info is None and not bits and fd not in stream_timeouts:
        return sock.sendto(payload, rest, to[0]) if to else sock.send(payload, rest)
    info = info or s.SndRcvInfo()
    policy = (info.flags | bits) & c.SCTP_PR_SCTP_MASK
    snd = s.SndInfo(
        info.stream, (info.flags | bits) & ~c.SCTP_PR_SCTP_MASK, info.ppid, info.context, info.assoc_id
    )
    lifetime = info.timetolive or stream_timeout(fd, info.assoc_id, info.stream)
    prinfo = s.PrInfo(policy or c.SCTP_PR_SCTP_TTL, lifetime) if lifetime else None
    return sock.sendv([payload], to, s.SendvSpa(snd, prinfo), rest)


def _fill(buffers: Sequence[bytearray | memoryview], data: bytes) -> int:
    return scatter([room_in(buffer) for buffer in buffers], data)


@c_call
def ext_recv(fd: int, buffer: bytearray | memoryview, length: int, flags: int = 0) -> int:
    """Receive into a buffer; notifications are skipped."""
    return socket_of(fd).recv_into(buffer, min(length, len(buffer)), flags)


@c_call
def ext_read(fd: int, buffer: bytearray | memoryview, length: int) -> int:
    """Read from a descriptor of any kind."""
    found = entry(fd)
    if isinstance(found, int):
        return _fill([buffer], os.read(found, min(length, len(buffer))))
    return found.recv_into(buffer, min(length, len(buffer)))


@c_call
def ext_recvfrom(
    fd: int, buffer: bytearray | memoryview, length: int, flags: int = 0, address: Ref | None = None
) -> int:
    """Receive into a buffer, with the peer's address; notifications are skipped."""
    count, peer = socket_of(fd).recvfrom_into(buffer, min(length, len(buffer)), flags)
    if address is not None:
        address.value = peer
    return count


def _receive(fd: int, message: MsgHdr, flags: int, with_notifications: bool) -> int:
    sock = socket_of(fd)
    room = sum(len(part) for part in message.iov)
    while True:
        data, message.control, message.flags, message.name = sock.recvmsg(room, 0, flags)
        if isinstance(data, bytes):
            message.notification = None
            return _fill(message.iov, data)
        if with_notifications:
            message.notification = data
            return 1


@c_call
def ext_recvmsg(fd: int, message: MsgHdr, flags: int = 0) -> int:
    """Receive data or a notification: the latter is put into ``message.notification``, and 1 is returned."""
    return _receive(fd, message, flags, True)


@c_call
def ext_recvmsg2(fd: int, message: MsgHdr, flags: int, with_notifications: int) -> int:
    """Like ext_recvmsg, skipping notifications if they are not wanted."""
    return _receive(fd, message, flags, bool(with_notifications))


@c_call
def sctp_recvmsg(
    fd: int,
    buffer: bytearray | memoryview,
    length: int,
    address: Ref | None = None,
    info: s.SndRcvInfo | None = None,
    flags: Ref | None = None,
) -> int:
    """Receive with all that is known (section 9.8, deprecated there).

    A notification sets MSG_NOTIFICATION in ``flags.value`` and is put into ``address.value``; 1 is returned.
    """
    sock = socket_of(fd)
    item = sock.receive_part(min(length, len(buffer)), (flags.value or 0) if flags is not None else 0)
    if item is None:
        return 0
    if not isinstance(item, Message):
        if flags is not None:
            flags.value = c.MSG_NOTIFICATION | c.MSG_EOR
        if address is not None:
            address.value = item
        return 1
    if flags is not None:
        flags.value = c.MSG_EOR if item.eor else 0
    if address is not None:
        address.value = (item.address, item.port)
    if info is not None:
        info.stream, info.ssn, info.ppid, info.context = item.stream, item.ssn, item.ppid, item.context
        info.flags = c.SCTP_UNORDERED if item.unordered else 0
        info.tsn, info.cumtsn, info.assoc_id = item.tsn, item.cumtsn, item.assoc_id
    return _fill([buffer], item.data)


@c_call
def sctp_recvv(fd: int, iov: Sequence[bytearray], address: Ref, info: Ref, infotype: Ref, flags: Ref) -> int:
    """Receive with information (section 9.13); a notification is put into ``info.value``, and 1 is returned."""
    result = socket_of(fd).recvv(sum(len(part) for part in iov), flags.value or 0)
    address.value, infotype.value, flags.value = result.address, result.infotype, result.flags
    if not isinstance(result.data, bytes):
        info.value = result.data
        return 1
    info.value = result.info
    return _fill(iov, result.data)
