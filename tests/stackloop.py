"""The smallest driver's loop over ``pysctplib.driver.Stack``, for interop programs and benchmarks.

Design section 3: wait for descriptors or the deadline, read or expire, hand on events, flush.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import Any

from pysctplib.core import events
from pysctplib.driver import Stack


class Loop:
    """One stack and its poll object; ``turn`` is one wake-up."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.poll = select.epoll() if hasattr(select, "epoll") else select.poll()
        self.unit = 1.0 if hasattr(select, "epoll") else 1000.0
        for fd in stack.filenos():
            self.poll.register(fd, select.POLLIN)

    def turn(self, at_most: float = 1.0) -> list[Any]:
        """Flush, wait no longer than ``at_most`` seconds, take in what came; return the events."""
        stack = self.stack
        stack.flush()
        deadline = stack.deadline()
        wait = at_most
        if deadline is not None and (left := deadline - stack.now()) < wait:
            wait = left if left > 0.0 else 0.0
        ready = self.poll.poll(wait * self.unit)
        for fd, _ in ready:
            stack.readable(fd)
        if not ready or not wait:  # a deadline that came with what was read is seen in the next turn
            stack.expire()
        return stack.events()

    def until(self, handle: Callable[[Any], None], done: Callable[[], bool], seconds: float) -> None:
        """Handle events until ``done()``; TimeoutError after ``seconds``."""
        end = self.stack.now() + seconds
        while not done():
            if self.stack.now() > end:
                raise TimeoutError(f"not done after {seconds} s")
            for event in self.turn(max(0.0, min(1.0, end - self.stack.now()))):
                handle(event)
        self.stack.flush()

    def close(self) -> None:
        """Close the stack."""
        if hasattr(self.poll, "close"):
            self.poll.close()
        self.stack.close()


def established(loop: Loop, association: Any, seconds: float = 10.0) -> list[Any]:
    """Wait until an outgoing association is up and return what else came; OSError if it cannot be set up."""
    up: list[bool] = []
    rest: list[Any] = []

    def handle(event: Any) -> None:
        if isinstance(event, events.CommunicationUp) and event.association is association:
            up.append(True)
        elif isinstance(event, events.CannotStart | events.CommunicationLost) and event.association is association:
            raise OSError(event.error, f"the association could not be set up: {event}")
        else:
            rest.append(event)

    loop.until(handle, lambda: bool(up), seconds)
    return rest


def offer(
    association: Any, data: bytes, stream: int, ppid: int, now: float, lifetime: float | None = None
) -> bool:
    """Send a message if there is room for it; whether there was."""
    try:
        association.send(data, stream, now, ppid=ppid, lifetime=lifetime)
    except BlockingIOError:
        return False
    return True
