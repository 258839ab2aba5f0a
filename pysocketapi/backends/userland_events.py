"""What the engine's events mean to a userland channel: its state, notifications, who is woken.

RFC 6458 section 6. Plain functions over a channel; its pump's lock is held. Messages do not come here.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from pysctplib.core import events as e

from .. import constants as c
from . import sending, translate, waking

if TYPE_CHECKING:
    from .userland import UserChannel


def take_in(channel: UserChannel, event: Any) -> None:
    """Take in an event that is no message."""
    kind = type(event)
    if kind is e.CommunicationUp:
        channel.connected = True
        waking.wake_writers(channel)
        if channel.watched:
            waking.wake_reader(channel)
    elif kind is e.PeerShutdown and not channel.one_to_many:
        # All that the peer sent is here already (RFC 9260 section 9.2).
        channel.ended = True
    elif kind in translate.ENDS:
        _lost(channel, event)
    row = translate.TABLE.get(kind)
    if row is not None and not channel.closed:
        assoc_id = event.association.id
        wanted = channel.wants(row[0], assoc_id)
        if kind is e.SendFailed:
            wanted = wanted or channel.wants(c.SCTP_SEND_FAILED, assoc_id)
        if wanted or kind is e.PartialDeliveryAborted:  # that one recv needs itself
            channel.queue.append(event)
            waking.wake_reader(channel)
    if kind in translate.ENDS:
        forget(channel, event.association.id)
    if channel.ended or channel.pending_error:
        waking.wake_reader(channel)
        waking.wake_writers(channel)


def _lost(channel: UserChannel, event: Any) -> None:
    association = event.association
    channel.associations.pop(association.id, None)
    channel.blocked.pop(association, None)
    if association.id in channel.watched:
        channel.watched[association.id] = getattr(event, "error", 0) or errno.ECONNRESET
    channel.pump.forget()
    if not channel.one_to_many:
        channel.ended = True
        channel.pending_error = getattr(event, "error", 0)
    if channel.closed and not channel.associations:
        gone(channel)
    waking.wake_writers(channel)


def gone(channel: UserChannel) -> None:
    """A closed channel has no association left: tell those who wait for that."""
    wakes, channel.closed_wakes = channel.closed_wakes, []
    for wake in wakes:
        wake()


def wants(channel: UserChannel, type_: int, assoc_id: int) -> bool:
    """Whether notifications of that type are wanted from that association (RFC 6458 section 6.2.2)."""
    if channel.chosen is not None:
        return channel.chosen.get((assoc_id, type_), type_ in channel.subscribed)
    return type_ in channel.subscribed


def context_of(channel: UserChannel, assoc_id: int) -> int:
    """Return the context of what an association's peer sends (RFC 6458 section 8.1.25)."""
    return channel.context if channel.contexts is None else channel.contexts.get(assoc_id, channel.context)


def forget(channel: UserChannel, assoc_id: int) -> None:
    """Drop the subscriptions for an association that is not this channel's any more."""
    if channel.chosen is not None:
        channel.chosen = {key: on for key, on in channel.chosen.items() if key[0] != assoc_id} or None


def set_subscription(channel: UserChannel, type_: int, on: bool, assoc_id: int = 0) -> None:
    """Switch one type of notifications on or off. Raises OSError(EINVAL)."""
    if not channel.one_to_many or assoc_id in (c.SCTP_FUTURE_ASSOC, c.SCTP_ALL_ASSOC):
        (channel.subscribed.add if on else channel.subscribed.discard)(type_)
        if channel.chosen is not None:
            channel.chosen = {key: value for key, value in channel.chosen.items() if key[1] != type_} or None
        meant = list(channel.associations.values())
        if type_ == c.SCTP_SENDER_DRY_EVENT and on:
            channel.config.sender_dry_events = True
    else:
        if assoc_id == c.SCTP_CURRENT_ASSOC:
            meant = list(channel.associations.values())
        else:
            meant = [sending.find(channel, assoc_id, errno.EINVAL)]
        channel.chosen = {**(channel.chosen or {}), **{(association.id, type_): on for association in meant}}
    if type_ == c.SCTP_SENDER_DRY_EVENT and on:
        for association in meant:
            association.config.sender_dry_events = True
            if not association.buffered:
                # Section 6.1.9: said at once when there is nothing to send.
                channel.queue.append(e.SenderDry(association))
                waking.wake_reader(channel)
