"""A pump: one userland Stack, the channels that share it, and who hands events to whom.

How it is driven is the driver's affair: `drive_loop` (an event loop) or `drive_threads` (the threads that use it).
There is one pump for each event loop and transport, and one for all threads and a transport. Nothing of
RFC 6458 is here.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import errno
import os
import select
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from pysctplib.core import events as e
from pysctplib.driver import Stack, StackConfig

from ..transport import Transport
from . import waking

if TYPE_CHECKING:
    from pysctplib.core.config import Config
    from pysctplib.core.endpoint import Endpoint

    from .userland import UserChannel


class Driver(Protocol):
    """Moves a pump's datagrams and time. All calls are made with the pump's lock held.

    ``gathers``: what may wait is sent soon, whatever comes of it, so that even SCTP_NODELAY allows it to wait.
    """

    gathers: bool

    def touched(self, size: int) -> None:
        """Something may have to be sent; size: bytes that could wait for more, 0: nothing may wait."""

    def wait(self, ready: Callable[[], bool], timeout: float | None, channel: UserChannel) -> bool:
        """Block until ready() or the time is over (only where blocking is possible)."""

    def opened(self) -> None:
        """The pump has an endpoint now."""

    def nudge(self) -> None:
        """A channel's state has changed: another thread that sleeps in the lead may be waiting for just that."""

    def kick(self) -> None:
        """Dispatch soon. Without the lock, from any thread, also from the garbage collector."""

    def dismiss(self) -> None:
        """Have no more to do with the stack; the calls above do nothing from now on."""

    def unused(self) -> None:
        """The pump is idle now (see `Pump.idle`)."""


class StackEnded(OSError):
    """The stack of a socket is gone."""


class Closed:
    """Stands for the lock of a pump that cannot be used: every operation fails with a clear error."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __enter__(self) -> None:
        raise StackEnded(errno.EBADF, self._text)

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
        self.channels: weakref.WeakSet[UserChannel] = weakref.WeakSet()  # not closed
        self.orphans: deque[UserChannel] = deque()  # whose users vanished without closing them
        self.writers: set[UserChannel] = set()
        self._dispatching = False
        self.driver: Driver

    def dispatch(self) -> None:
        """Hand the stack's events to the channels they are for, and wake those who wait to send."""
        if self._dispatching:
            return  # the call below us goes on with whatever comes up meanwhile
        self._dispatching = True
        message = e.Message
        try:
            while events := self.stack.events():
                for event in events:
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
                    waking.look_for_room(channel)
            while self.orphans:
                self.orphans.popleft().close_locked()
        finally:
            self._dispatching = False

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

    def all_channels(self) -> set[UserChannel]:
        """Return all channels that may have associations."""
        users: list[Any] = [endpoint.user for endpoint in self.bound]
        users += [association.user for association in self.stack.engine.associations.values()]
        return {user for user in users if user is not None}

    def drive_out(self, seconds: float) -> None:
        """Drive the stack without its driver until its associations have ended; then close it."""
        stack = self.stack
        self.driver.dismiss()
        poller = select.poll()
        for fd in stack.filenos():
            poller.register(fd, select.POLLIN)
        end = stack.now() + seconds
        while stack.engine.associations and (left := end - stack.now()) > 0:
            stack.flush()
            deadline = stack.deadline()
            wait = left if deadline is None else max(0.0, min(left, deadline - stack.now()))
            for fd, _ in poller.poll(int(wait * 1000) + 1):
                stack.readable(fd)
            if deadline is not None and stack.now() >= deadline:
                stack.expire()
            stack.flush()
            self.dispatch()
        for channel in self.all_channels():
            channel.abort_all()
        stack.flush()
        stack.close()

    def forget(self) -> None:
        """An association has ended."""
        if self.closing:
            self.sweep()

    def sweep(self) -> None:
        """Tell the driver when nothing is left to drive."""
        self.closing = {endpoint for endpoint in self.closing if endpoint.associations}
        if self.idle():
            self.driver.unused()

    def idle(self) -> bool:
        """Whether there is no open channel and no association that still has to end."""
        return not self.bound and not self.closing and not self.channels


_threads: dict[Transport, Pump] = {}
_loops: dict[asyncio.AbstractEventLoop, dict[Transport, Pump]] = {}
LAST_WORDS = 0.5  # seconds for the associations of an event loop that was closed to end gracefully
EXIT_TIME = 2.0  # the same at the end of the process


def pump_for(transport: Transport, loop: asyncio.AbstractEventLoop | None) -> Pump:
    """Return the pump of a transport for an event loop, or (None) for threads. Raises OSError."""
    end_associations(LAST_WORDS)
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


def abort_associations(loop: asyncio.AbstractEventLoop) -> None:
    """See `pysocketapi.ending`."""
    for pump in _loops.get(loop, {}).values():
        for channel in pump.all_channels():
            channel.abort_all()
        pump.driver.touched(0)


def end_associations(seconds: float) -> None:
    """See `pysocketapi.ending`."""
    for loop in [known for known in _loops if known.is_closed()]:
        _end_loop(loop, seconds)


def _end_loop(loop: asyncio.AbstractEventLoop, seconds: float) -> None:
    """End the stacks of a loop that will not run again: graceful shutdowns within the time, then aborts."""
    for pump in _loops.pop(loop, {}).values():
        for channel in pump.all_channels():
            channel.close_locked()
        pump.drive_out(seconds)


@atexit.register
def _at_exit() -> None:
    for loop in list(_loops):
        with contextlib.suppress(OSError, RuntimeError):
            _end_loop(loop, EXIT_TIME)


def _after_fork() -> None:
    """Make the parent's sockets unusable in the child: two processes cannot speak for one association."""
    text = "this SCTP socket belongs to the parent process; open a new one after fork"
    for pumps in [_threads, *_loops.values()]:
        for pump in pumps.values():
            pump.lock = Closed(text)
            with contextlib.suppress(OSError, AttributeError):
                pump.stack.abandon()
        pumps.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
