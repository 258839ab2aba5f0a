"""How `SctpSocket` sends what is more than plain data: defaults, ancillary data, addresses, explicit EOR.

RFC 6458 sections 5.3, 8.1.13, 8.1.26, 8.1.31. A plain `send` does not come here.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Sequence
from typing import Any

from . import constants as c
from . import structures as s
from .ancillary import Sending
from .backends.contract import Channel
from .shared import Shared

_DEFAULT_INFO = s.SndInfo()


def as_bytes(data: Any) -> bytes:
    """Return the bytes of any buffer. Raises TypeError for what is none, text above all."""
    if isinstance(data, bytes):
        return data
    try:
        return memoryview(data).tobytes()
    except TypeError:
        raise TypeError(f"a bytes-like object is required, not {type(data).__name__}") from None


def transmit(
    channel: Channel,
    kept: Shared,
    data: bytes,
    sending: Sending,
    flags: int,
    where: tuple[list[str], int] | None,
    wait: Callable[[int], None],
) -> int:
    """Send one message, or with explicit EOR a part of it; return its size in bytes.

    where: (hosts, port) of the peer, several for a set-up. wait(assoc_id) returns when there is room, or raises.
    """
    size = len(data)
    info = sending.info
    assoc_id = info.assoc_id if info is not None else 0
    if info is None:
        info = kept.defaults.get(assoc_id) or kept.defaults.get(0) or _DEFAULT_INFO
    prinfo = sending.prinfo or kept.default_pr.get(assoc_id) or kept.default_pr.get(0)
    before: s.InitMsg | None = None
    if sending.init is not None:  # for the association that this message sets up, section 5.3.1
        before = channel.getopt(c.SCTP_INITMSG)
        channel.setopt(c.SCTP_INITMSG, sending.init)
    parts: bytearray | None = None
    address: s.Address | None = None
    try:
        if where is not None:
            address, assoc_id = _destination(channel, *where, assoc_id)
        key = (assoc_id, address, info.sid)
        if kept.explicit_eor:
            parts = _gather(channel, kept, data, key)
            if not (info.flags & (c.SCTP_EOR | c.SCTP_ABORT | c.SCTP_EOF) or flags & c.MSG_EOR):
                return size
            data = bytes(parts)
        try:
            while not channel.send(
                data,
                info.sid,
                info.ppid,
                info.flags & ~c.SCTP_EOR,
                info.context,
                assoc_id,
                address,
                prinfo,
                sending.authinfo,
            ):
                wait(assoc_id)
        except BaseException:
            if parts is not None:  # this part was not taken: it can be sent again
                del parts[len(parts) - size :]
            raise
    finally:
        if before is not None:
            channel.setopt(c.SCTP_INITMSG, before)
    if parts is not None:
        del kept.parts[key]
    return size


def _destination(channel: Channel, hosts: Sequence[str], port: int, assoc_id: int) -> tuple[s.Address | None, int]:
    """Return the address, or the association that several addresses stand for, set up if need be."""
    if len(hosts) == 1:
        return (hosts[0], port), assoc_id
    try:
        return None, channel.start_connect(hosts, port)
    except OSError as error:
        if error.errno != errno.EISCONN:
            raise
    return (hosts[0], port), assoc_id


def _gather(channel: Channel, kept: Shared, data: bytes, key: tuple[int, s.Address | None, int]) -> bytearray:
    """Explicit EOR (section 8.1.26): add a part of a message to those before it."""
    parts = kept.parts.setdefault(key, bytearray())
    if len(parts) + len(data) > channel.get_buffer(socket.SO_SNDBUF):
        raise OSError(errno.EMSGSIZE, "all parts of a message must fit into the send buffer")
    parts += data
    return parts
