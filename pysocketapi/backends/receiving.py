"""The rarer ways to receive from a userland channel: peeking, messages in parts, notifications, what comes next.

RFC 6458 sections 5.3.6, 6 and 8.1.20. Plain functions over a channel; its pump's lock is held. The common way is
in `userland.UserChannel.recv`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pysctplib.core import events as e

from .. import constants as c
from .. import structures as s
from ..message import Message
from ..notifications import Notification
from . import translate
from .contract import Received

if TYPE_CHECKING:
    from .userland import UserChannel


def told(channel: UserChannel, event: e.PartialDeliveryAborted) -> bool:
    """Forget the parts of a message that will not be whole; say whether the user wants to know."""
    channel.parts.pop((event.association.id, event.stream), None)
    return channel.wants(c.SCTP_PARTIAL_DELIVERY_EVENT, event.association.id)


def peek(channel: UserChannel, event: Any, limit: int) -> Received:
    """Return what recv would give, leaving it there."""
    if type(event) is not e.Message:
        return notification(channel, event)
    association = event.association
    data = event.data[:limit] if limit else event.data
    eor = event.eor and len(data) == len(event.data)
    return Message(
        data, event.stream, event.ppid, association.id, event.unordered, event.ssn, event.tsn,
        event.cumulative_tsn, channel.context_of(association.id), association.primary.address,
        association.peer_port, eor,
    )  # fmt: skip


def complete(channel: UserChannel, event: e.Message, data: bytes) -> bytes | None:
    """Join the parts of a message that came by partial delivery; None: it is not whole yet."""
    key = (event.association.id, event.stream)
    parts = channel.parts.get(key)
    if not event.eor:
        channel.parts.setdefault(key, []).append(data)
        return None
    if parts is None:
        return data
    del channel.parts[key]
    parts.append(data)
    return b"".join(parts)


def prune(channel: UserChannel) -> None:
    """The queue is empty: no more will be read of associations that have ended."""
    # The rest of what they began to send will not come.
    channel.parts = {key: part for key, part in channel.parts.items() if key[0] in channel.associations}
    if channel.contexts is not None:
        channel.contexts = {
            key: value for key, value in channel.contexts.items() if key in channel.associations
        } or None


def notification(channel: UserChannel, event: Any) -> Notification:
    """Return the notification of an event."""
    type_, make = translate.TABLE[type(event)]
    if type_ == c.SCTP_SEND_FAILED_EVENT and not channel.wants(type_, event.association.id):
        return translate.failed_old(event)
    made: Notification = make(event)
    return made


def next_info(channel: UserChannel) -> s.NxtInfo | None:
    """Describe the message that the next recv would give, where SCTP_RECVNXTINFO is on."""
    if not channel.values.get(c.SCTP_RECVNXTINFO) or not channel.queue:
        return None
    event = channel.queue[0]
    if type(event) is not e.Message:
        return s.NxtInfo(flags=c.SCTP_NOTIFICATION, assoc_id=event.association.id)
    flags = (c.SCTP_UNORDERED if event.unordered else 0) | (c.SCTP_COMPLETE if event.eor else 0)
    return s.NxtInfo(event.stream, flags, event.ppid, len(event.data), event.association.id)
