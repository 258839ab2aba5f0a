"""A pump: one userland Stack, the channels that share it, and who hands events to whom.

How it is driven is the driver's affair: `drive_loop` (an event loop) or `drive_threads` (the threads that use it).
There is one pump for each event loop and transport, and one for all threads and a transport. Nothing of
RFC 6458 is here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from pysctplib.core import events as e
from pysctplib.driver import Stack, StackConfig

from ..transport import Transport

if TYPE_CHECKING:
    from pysctplib.core.config import Config
    from pysctplib.core.endpoint import Endpoint

    from .userland import UserChannel


class Driver(Protocol):
    """Moves a pump's datagrams and time. All calls are made with the pump's lock held."""

    def touched(self, size: int) -> None:
        """Something may have to be sent; size: bytes that could wait for more, 0: nothing may wait."""

    def wait(self, ready: Callable[[], bool], timeout: float | None, channel: UserChannel) -> bool:
        """Block until ready() or the time is over (only where blocking is possible)."""

    def opened(self) -> None:
        """The pump has an endpoint now."""

    def unused(self) -> None:
        """The pump has no endpoint any more."""


class Closed:
    """Stands for the lock of a pump that cannot be used: every operation fails with a clear error."""

    def __init__(self, number: int, text: str) -> None:
        self._error = (number, text)

    def __enter__(self) -> None:
        raise OSError(*self._error)

    def __exit__(self, *_: object) -> None:
        pass


class Pump:
    """One Stack and its channels. ``lock`` guards all of it."""

    def __init__(self, transport: Transport, lock: Any) -> None:
        self.lock = lock
        self.stack = Stack(StackConfig(udp_port=transport.udp_port, hub=transport.hub, pcap=transport.pcap))
        self.now = self.stack.now
        self.bound: set[Endpoint] = set()
        self.closing: set[Endpoint] = set()
        self.writers: set[UserChannel] = set()
        self.driver: Driver

    def dispatch(self) -> None:
        """Hand the stack's events to the channels they are for, and wake those who wait to send."""
        message = e.Message
        for event in self.stack.events():
            # A channel is its associations' `user`: no look-up for a message.
            owner: Any = event.association.user
            if owner is None:
                owner = self._adopt(event)
                if owner is None:
                    continue
            if type(event) is message:
                owner.queue.append(event)
                wake = owner.read_wake
                if wake is not None:
                    owner.read_wake = None
                    wake()
            else:
                owner.on_event(event)
        if self.writers:
            for channel in list(self.writers):
                channel.look_for_room()

    def _adopt(self, event: e.Event) -> UserChannel | None:
        """Find the owner of an association that is new: the channel whose endpoint it came in at."""
        association = event.association
        channel: Any = association.endpoint.user
        if channel is None or type(event) is not e.CommunicationUp:
            return None
        owner: UserChannel | None = channel.adopt(association)
        if owner is None:
            association.abort(self.now())  # the backlog is full
        association.user = owner
        return owner

    def open(self, channel: UserChannel, port: int, addresses: Sequence[str], config: Config) -> Endpoint:
        """Claim a port for a channel. Raises OSError."""
        endpoint = self.stack.open_endpoint(port, tuple(addresses), config)
        endpoint.user = channel
        self.bound.add(endpoint)
        self.driver.opened()
        return endpoint

    def release(self, endpoint: Endpoint) -> None:
        """Give an endpoint's port back as soon as its associations are gone."""
        endpoint.user = None
        self.bound.discard(endpoint)
        self.closing.add(endpoint)
        self.stack.close_endpoint(endpoint, self.now())
        self.driver.touched(0)
        self.sweep()

    def channels(self) -> set[UserChannel]:
        """Return all channels."""
        users: list[Any] = [endpoint.user for endpoint in self.bound]
        users += [association.user for association in self.stack.engine.associations.values()]
        return {user for user in users if user is not None}

    def forget(self) -> None:
        """An association has ended."""
        if self.closing:
            self.sweep()

    def sweep(self) -> None:
        """Tell the driver when nothing is left to drive."""
        self.closing = {endpoint for endpoint in self.closing if endpoint.associations}
        if not self.bound and not self.closing:
            self.driver.unused()


_threads: dict[Transport, Pump] = {}
_loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Transport, Pump]] = weakref.WeakKeyDictionary()


def pump_for(transport: Transport, loop: asyncio.AbstractEventLoop | None) -> Pump:
    """Return the pump of a transport for an event loop, or (None) for threads. Raises OSError."""
    pumps = _threads if loop is None else _loops.setdefault(loop, {})
    pump = pumps.get(transport)
    if pump is None:
        pump = pumps[transport] = _start(transport, loop, lambda: pumps.pop(transport, None))
    return pump


def _start(transport: Transport, loop: asyncio.AbstractEventLoop | None, gone: Callable[[], Any]) -> Pump:
    if loop is None:
        from . import drive_threads

        return drive_threads.start(transport, gone)
    from . import drive_loop

    return drive_loop.start(transport, loop, gone)


def _after_fork() -> None:
    """Make the parent's sockets unusable in the child: two processes cannot speak for one association."""
    text = "this SCTP socket belongs to the parent process; open a new one after fork"
    for pumps in [_threads, *_loops.values()]:
        for pump in pumps.values():
            pump.lock = Closed(9, text)  # EBADF
            with contextlib.suppress(OSError, AttributeError):
                pump.stack.abandon()
        pumps.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
