"""Who waits for a userland channel, and how they are told: callbacks, threads, and a descriptor for select.

Plain functions over a channel; its pump's lock is held. What there is to wait for is `userland`'s affair.
"""

from __future__ import annotations

import contextlib
import socket
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


class Signal:
    """A descriptor that select and its like may wait on: one end of a pair of sockets, used for its states only.

    It is readable while a byte from the other end waits in it, and writable unless its send buffer is full.
    """

    __slots__ = ("full", "inner", "outer")

    def __init__(self) -> None:
        self.outer, self.inner = socket.socketpair()
        self.full = False
        for end in (self.outer, self.inner):
            end.setblocking(False)
        self.outer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # the system makes it its smallest

    def readable(self, on: bool) -> None:
        """Make it readable or not."""
        with contextlib.suppress(BlockingIOError):
            if on:
                self.inner.send(b"r")
            while not on:
                self.outer.recv(4096)

    def writable(self, on: bool) -> None:
        """Make it writable or not."""
        if on is not self.full:
            return
        self.full = not on
        with contextlib.suppress(BlockingIOError):
            while on:
                self.inner.recv(65536)
            while not on:
                self.outer.send(bytes(4096))

    def close(self) -> None:
        """Close both ends."""
        self.outer.close()
        self.inner.close()


def raise_signal(channel: UserChannel) -> None:
    """Make the descriptor readable if the channel is."""
    if channel.signal is not None and readable(channel):
        channel.signal.readable(True)


def lower_signal(channel: UserChannel) -> None:
    """Make the descriptor unreadable if nothing is left to read."""
    if channel.signal is not None and not readable(channel):
        channel.signal.readable(False)
        channel.read_wake = channel.wake_sleepers


def signal_room(channel: UserChannel) -> None:
    """Make the descriptor writable if the channel is, else not."""
    if channel.signal is not None and not channel.closed:
        channel.signal.writable(writable(channel))


def wake_reader(channel: UserChannel) -> None:
    """Something can be read."""
    wake, channel.read_wake = channel.read_wake, None
    if wake is not None:
        wake()
    channel.pump.driver.nudge()


def wake_writers(channel: UserChannel) -> None:
    """Something can be sent, or never will be."""
    wakes, channel.write_wakes = channel.write_wakes, []
    for wake in wakes:
        wake()
    if channel.signal is not None:
        signal_room(channel)
    channel.pump.driver.nudge()


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
    """Return a descriptor with the channel's states; made when it is first asked for."""
    if channel.signal is None:
        channel.signal = Signal()
        arm(channel)
        raise_signal(channel)
        signal_room(channel)
    return channel.signal.outer.fileno()


def close_descriptor(channel: UserChannel) -> None:
    """Close it, if it was ever made."""
    if channel.signal is not None:
        channel.signal.close()
        channel.signal = None
