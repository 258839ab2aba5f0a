"""Drives a pump by an asyncio event loop: readers on the stack's descriptors, one timer, one flush per turn.

No coroutine, task or queue of callbacks for a packet: a wake-up reads a batch, flushes once, hands on the events.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..transport import Transport
from .pumps import Pump

if TYPE_CHECKING:
    from .userland import UserChannel


class _NoLock:
    """One thread, the loop's: nothing to guard."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


class LoopDriver:
    """See `pumps.Driver`. What may wait goes out at the end of the loop's turn.

    So the answers to 30 requests that came in one packet share a packet, too.
    """

    gathers = True

    def __init__(self, pump: Pump, loop: asyncio.AbstractEventLoop, gone: Callable[[], Any]) -> None:
        self._pump = pump
        self._stack = pump.stack
        self._loop = loop
        self._gone = gone
        self._readers: list[int] = []
        self._epoch = -1
        self._timer: asyncio.TimerHandle | None = None
        self._armed = float("inf")
        self._scheduled = False
        self._in_turn = False
        self._ending = False
        self._offset = loop.time() - self._stack.now()

    def opened(self) -> None:
        """See `pumps.Driver`."""
        self._watch()

    def _watch(self) -> None:
        if self._epoch != self._stack.epoch:
            self._epoch = self._stack.epoch
            # All of them, whatever their numbers: the system forgot the old ones when they were closed.
            for fd in self._readers:
                self._loop.remove_reader(fd)
            self._readers = self._stack.filenos()
            for fd in self._readers:
                self._loop.add_reader(fd, self._readable, fd)

    def _readable(self, fd: int) -> None:
        self._in_turn = True
        try:
            self._stack.readable(fd)
        finally:
            self._in_turn = False
        self._turn()

    def _turn(self) -> None:
        """Flush, hand on the events, set the timer."""
        self._scheduled = False
        if self._ending:
            return
        stack = self._stack
        stack.flush()
        self._in_turn = True
        try:
            self._pump.dispatch()
        finally:
            self._in_turn = False
        if self._scheduled:
            self._scheduled = False
            stack.flush()
        deadline = stack.deadline()
        if deadline is not None and deadline < self._armed:
            # A timer that comes too early only looks again; so it is never moved to a later time.
            if self._timer is not None:
                self._timer.cancel()
            self._armed = deadline
            self._timer = self._loop.call_at(deadline + self._offset, self._expired)
        if self._epoch != stack.epoch:
            self._watch()

    def _expired(self) -> None:
        self._timer = None
        self._armed = float("inf")
        deadline = self._stack.deadline()
        if deadline is not None and deadline <= self._stack.now() + 0.0005:
            self._stack.expire()
        self._turn()

    def touched(self, size: int) -> None:
        """See `pumps.Driver`: what may wait goes out with the rest of this turn of the loop."""
        if self._ending:
            return
        if self._in_turn:
            self._scheduled = True
        elif size == 0:
            self._turn()
        elif not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._later)

    def nudge(self) -> None:
        """See `pumps.Driver`: there is only one thread."""

    def kick(self) -> None:
        """See `pumps.Driver`."""
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._turn)

    def _later(self) -> None:
        if self._scheduled:
            self._turn()

    def wait(self, ready: Callable[[], bool], timeout: float | None, channel: UserChannel) -> bool:
        """Refuse: a blocking call would stop the loop."""
        raise RuntimeError("an asyncio channel cannot block")

    def dismiss(self) -> None:
        """See `pumps.Driver`."""
        self._ending = True
        if not self._loop.is_closed():
            for fd in self._readers:
                self._loop.remove_reader(fd)
        self._readers = []

    def unused(self) -> None:
        """See `pumps.Driver`: close the stack in the next turn, unless it is used again."""
        if not self._ending and not self._loop.is_closed():
            self._loop.call_soon(self._close_if_unused)

    def _close_if_unused(self) -> None:
        pump = self._pump
        if self._ending or not pump.idle():
            return
        with contextlib.suppress(OSError):
            self._stack.flush()
        self._ending = True
        if self._timer is not None:
            self._timer.cancel()
        for fd in self._readers:
            self._loop.remove_reader(fd)
        self._readers = []
        self._gone()
        self._stack.close()


def start(transport: Transport, loop: asyncio.AbstractEventLoop, gone: Callable[[], Any]) -> Pump:
    """Return a pump driven by the loop. Raises OSError."""
    pump = Pump(transport, _NoLock())
    pump.driver = LoopDriver(pump, loop, gone)
    return pump
