"""Who waits for a userland channel, and how they are told: callbacks, threads, and a descriptor for select.

Plain functions over a channel; its pump's lock is held. What there is to wait for is `userland`'s affair.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pysctplib.core.association import Association

    from .userland import UserChannel


def arm(channel: UserChannel) -> None:
    """Threads sleep on this channel, or its descriptor is used: wake them at the next event."""
    channel.read_wake = channel.wake_sleepers
    if channel.wake_sleepers not in channel.write_wakes:
        channel.write_wakes.append(channel.wake_sleepers)


def wake_sleepers(channel: UserChannel) -> None:
    """Wake the threads that sleep on the channel, and raise its descriptor's signal."""
    for wake in list(channel.sleepers):
        wake()
    if channel.signal is not None:
        raise_signal(channel)


def raise_signal(channel: UserChannel) -> None:
    """Make the descriptor readable if the channel is."""
    if channel.signal is not None and readable(channel):
        try:
            os.write(channel.signal[1], b"\1\0\0\0\0\0\0\0")
        except BlockingIOError:
            pass  # it is raised already


def lower_signal(channel: UserChannel) -> None:
    """Make the descriptor unreadable if nothing is left to read."""
    if channel.signal is not None and not readable(channel):
        try:
            os.read(channel.signal[0], 4096)
        except BlockingIOError:
            pass
        channel.read_wake = channel.wake_sleepers


def wake_reader(channel: UserChannel) -> None:
    """Something can be read."""
    wake, channel.read_wake = channel.read_wake, None
    if wake is not None:
        wake()


def wake_writers(channel: UserChannel) -> None:
    """Something can be sent, or never will be."""
    wakes, channel.write_wakes = channel.write_wakes, []
    for wake in wakes:
        wake()


def look_for_room(channel: UserChannel) -> None:
    """Wake those who wait to send, if an association has the room now that somebody missed."""
    free = [association for association, size in channel.blocked.items() if has_room(association, size)]
    if free:
        for association in free:
            del channel.blocked[association]
        if not channel.blocked:
            channel.pump.writers.discard(channel)
        wake_writers(channel)


def readable(channel: UserChannel) -> bool:
    """Whether recv or accept would give something, be it an error."""
    return bool(channel.queue or channel.accepting or channel.ended or channel.pending_error or channel.closed)


def writable(channel: UserChannel, assoc_id: int = 0) -> bool:
    """Whether send would queue something, or fail with a reason; one-to-many: to this association, 0: to all."""
    if channel.one_to_many:
        if not assoc_id:
            return not channel.blocked
        known = channel.associations.get(assoc_id)
        return known is None or known not in channel.blocked
    association = channel.association
    if association is None or channel.ended or channel.pending_error or channel.sent_end:
        return True
    if not channel.connected:
        return False
    return has_room(association, channel.blocked.get(association, 1))


def has_room(association: Association, size: int) -> bool:
    """Whether somebody who waits to send so many bytes to an association should try again."""
    buffered = association.buffered
    limit = association.config.send_buffer
    # Half empty, not just a little: else a sender would be woken for every acknowledged message.
    return not buffered or (buffered <= limit >> 1 and buffered + size <= limit)


def descriptor(channel: UserChannel) -> int:
    """Return a descriptor that is readable when the channel is; made when it is first asked for."""
    if channel.signal is None:
        if hasattr(os, "eventfd"):
            fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            channel.signal = (fd, fd)
        else:
            channel.signal = os.pipe()
            os.set_blocking(channel.signal[0], False)
            os.set_blocking(channel.signal[1], False)
        arm(channel)
        raise_signal(channel)
    return channel.signal[0]


def close_descriptor(channel: UserChannel) -> None:
    """Close it, if it was ever made."""
    if channel.signal is not None:
        for fd in set(channel.signal):
            os.close(fd)
        channel.signal = None
