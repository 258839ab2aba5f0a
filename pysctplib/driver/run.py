"""The smallest driver: waits for a stack's descriptors and deadline, and hands on its events.

For programs and tests without an event loop. docs/design.md section 3 has the contract.
"""

from __future__ import annotations

import selectors
from collections.abc import Callable

from ..core.events import Event
from .stack import Stack

LONGEST = 1.0  # seconds of one wait, so that descriptors that were replaced are seen


def turn(stack: Stack, at_most: float = LONGEST) -> list[Event]:
    """Flush, wait at most that many seconds for packets or a timer, take them in; return the events."""
    stack.flush()
    deadline = stack.deadline()
    wait = at_most if deadline is None else min(at_most, max(0.0, deadline - stack.now()))
    with selectors.DefaultSelector() as selector:
        for fd in stack.filenos():
            selector.register(fd, selectors.EVENT_READ)
        ready = selector.select(wait)
    for key, _ in ready:
        stack.readable(key.fd)
    deadline = stack.deadline()
    if deadline is not None and deadline <= stack.now():
        stack.expire()
    return stack.events()


def run(
    stack: Stack, until: Callable[[], bool], timeout: float, handle: Callable[[Event], None] | None = None
) -> None:
    """Drive a stack until ``until()`` is true; events go to ``handle``. TimeoutError after ``timeout`` seconds."""
    end = stack.now() + timeout
    while not until():
        if stack.now() > end:
            raise TimeoutError(f"not done after {timeout} s")
        for event in turn(stack, max(0.0, min(LONGEST, end - stack.now()))):
            if handle is not None:
                handle(event)
    stack.flush()
