"""Which association a message of a userland channel goes to, and the rarer ways to send it.

RFC 6458 sections 3.1.1 (implicit set-up), 5.3.4 (flags) and 5.3.7 (partial reliability). Plain functions over a
channel; its pump's lock is held. The common way is in `userland.UserChannel.send`.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from .. import constants as c
from .. import structures as s

if TYPE_CHECKING:
    from pysctplib.core.association import Association

    from .userland import UserChannel


def fail(number: int, text: str = "") -> OSError:
    """Return an OSError with the system's text or another one."""
    return OSError(number, text or os.strerror(number))


def destination(channel: UserChannel, assoc_id: int, address: s.Address | None, flags: int) -> Association | None:
    """Find the association to send to; None: all of them (SCTP_SENDALL)."""
    channel.check()
    if not channel.one_to_many:
        if channel.pending_error:
            raise fail(channel.take_error())
        if channel.association is None and address is not None and not channel.listening:
            channel.connect_locked([address[0]], address[1], None)  # implicit set-up (RFC 6458 section 4.1.9)
            return channel.association
        if channel.association is None:
            raise fail(errno.ENOTCONN)
        raise fail(errno.EPIPE)
    if flags & c.SCTP_SENDALL:
        return None
    if address is not None:
        found = find_by_address(channel, *address)
        if found is not None:
            return found
        if flags & (c.SCTP_EOF | c.SCTP_ABORT):
            raise fail(errno.EINVAL)
        # Implicit set-up (RFC 6458 section 3.1.1).
        return channel.associations[channel.connect_locked([address[0]], address[1], None)]
    return find(channel, assoc_id)


def find(channel: UserChannel, assoc_id: int, missing: int = 0) -> Association:
    """Return an association by its identifier; one-to-one ignores it (RFC 6458 section 7.2).

    missing: the errno where a one-to-many channel has none; 0: what a send says (EPIPE or ENOTCONN).
    """
    if not channel.one_to_many:
        if channel.association is None or channel.association.id not in channel.associations:
            raise fail(errno.ENOTCONN)
        return channel.association
    association = channel.associations.get(assoc_id)
    if association is None:
        raise fail(missing or (errno.EPIPE if assoc_id >= c.FIRST_ASSOC_ID else errno.ENOTCONN))
    return association


def find_by_address(channel: UserChannel, host: str, port: int) -> Association | None:
    """Return the channel's association with a peer's address."""
    if channel.endpoint is None:
        return None
    found = channel.pump.stack.engine.find(channel.endpoint.port, (host,), port)
    return found if found is not None and found.user is channel else None


def send_all(
    channel: UserChannel, data: bytes, stream: int, ppid: int, flags: int, context: int, prinfo: s.PrInfo | None
) -> bool:
    """Send to all associations of a one-to-many channel (SCTP_SENDALL)."""
    rest = flags & ~c.SCTP_SENDALL
    for association in list(channel.associations.values()):
        try:
            send_special(channel, association, data, stream, ppid, rest, context, None, prinfo, None)
        except BlockingIOError:
            continue  # RFC 6458 section 5.3.4 leaves it open; those with room get it
    channel.pump.driver.touched(0)
    return True


def send_special(
    channel: UserChannel,
    association: Association,
    data: bytes,
    stream: int,
    ppid: int,
    flags: int,
    context: int,
    address: s.Address | None = None,
    prinfo: s.PrInfo | None = None,
    authinfo: s.AuthInfo | None = None,
) -> None:
    """Send with flags, a lifetime, or to a chosen address."""
    now = channel.pump.now()
    if authinfo is not None and authinfo.keynumber:
        raise fail(errno.EINVAL, "no such key")
    if flags & c.SCTP_ABORT:
        channel.pump.stack.flush()  # what was sent before is sent
        association.abort(now, data)
        return
    lifetime = None
    if prinfo is not None and prinfo.policy & c.SCTP_PR_SCTP_MASK:
        if prinfo.policy & c.SCTP_PR_SCTP_MASK != c.SCTP_PR_SCTP_TTL:
            raise fail(errno.EINVAL, "only lifetimes are known as policy of partial reliability")
        lifetime = prinfo.value / 1000
    path = address[0] if flags & c.SCTP_ADDR_OVER and address is not None else None
    if data or not flags & c.SCTP_EOF:
        association.send(
            data,
            stream,
            now,
            ppid,
            bool(flags & c.SCTP_UNORDERED),
            lifetime,
            context,
            path,
            bool(flags & c.SCTP_SACK_IMMEDIATELY),
        )
    if flags & c.SCTP_EOF:
        channel.shutdown_one(association)
