"""The event loop: sctp_eventLoop, sctp_extendedEventLoop and sctp_getEvents.

Everything is called from here: callbacks of associations, timers, descriptors. One turn is: notifications that
are due, one timer that is due, a wait (none if there was something), descriptors, the stack's timers,
notifications again.
"""

from __future__ import annotations

import selectors
from collections.abc import Callable
from typing import Any

from . import descriptors
from .library import Library, answers, library
from .notifications import deliver
from .timers import next_due, run_due

MAX_WAIT = 1.0  # seconds; a turn ends at the latest then
CONGESTED_WAIT = 0.001  # seconds until the next attempt to send what the system's buffer had no room for


def _nothing(data: Any) -> None:
    """Lock nothing."""


def _turn(
    lib: Library,
    wait: bool,
    timers: bool,
    lock: Callable[[Any], object] = _nothing,
    unlock: Callable[[Any], object] = _nothing,
    data: Any = None,
) -> int:
    """Make one turn; return how many notifications and descriptors were handled."""
    if lib.dispatching or lib.waiting:
        raise RuntimeError("the event loop runs already: this is a callback or another thread")
    lib.dispatching = True
    try:
        count = deliver(lib)
        ran = timers and run_due(lib)
        lib.stack.flush()
        ready = _wait(lib, 0.0 if count or ran or not wait else _timeout(lib), lock, unlock, data)
        for fd, mask in ready:
            if fd in lib.stack_fds:
                lib.stack.readable(fd)
            elif fd == lib.alarm.fileno():
                lib.alarm.recv(4096)
            else:
                count += descriptors.dispatch(lib, fd, mask)
        deadline = lib.stack.deadline()
        if timers and deadline is not None and deadline <= lib.now():
            lib.stack.expire()
        return count + deliver(lib)
    finally:
        lib.dispatching = False
        lib.stack.flush()


def _timeout(lib: Library) -> float:
    """Return how long to wait: until the next timer of the user or the stack."""
    if lib.always_ready or lib.pending:
        return 0.0
    times = [t for t in (lib.stack.deadline(), next_due(lib)) if t is not None]
    limit = CONGESTED_WAIT if lib.stack.carrier.backlog else MAX_WAIT
    return max(0.0, min([lib.now() + limit, *times]) - lib.now())


def _wait(
    lib: Library, timeout: float, lock: Callable[[Any], object], unlock: Callable[[Any], object], data: Any
) -> list[tuple[int, int]]:
    """Wait without the lock; other threads may make calls meanwhile, which take effect at once."""
    _watch_stack(lib)
    lib.dispatching = False
    lib.waiting = True
    unlock(data)
    try:
        found = lib.selector.select(timeout)
    finally:
        lock(data)
        lib.waiting = False
        lib.dispatching = True
    ready = [(key.fd, mask) for key, mask in found]
    return ready + [(fd, selectors.EVENT_READ | selectors.EVENT_WRITE) for fd in sorted(lib.always_ready)]


def _watch_stack(lib: Library) -> None:
    """Follow the stack's descriptors, which may change; others may come back under the numbers of old ones."""
    if lib.watched_epoch == lib.stack.epoch:
        return
    lib.watched_epoch = lib.stack.epoch
    for fd in lib.stack_fds:
        lib.selector.unregister(fd)
    lib.stack_fds = set(lib.stack.filenos())
    for fd in lib.stack_fds:
        lib.selector.register(fd, selectors.EVENT_READ)


# The functions of the API


@answers()
def sctp_eventLoop() -> int:
    """Make one turn of the loop: wait for the next event or timer and handle it, at most for a second.

    Returns how many notifications and descriptors were handled, 0 if none (a timer ran, or nothing happened);
    SCTP_LIBRARY_NOT_INITIALIZED. RuntimeError from within a callback or another thread.
    """
    return _turn(library(), wait=True, timers=True)


@answers()
def sctp_extendedEventLoop(
    lock: Callable[[Any], object], unlock: Callable[[Any], object], data: Any = None
) -> int:
    """The same for programs with threads: the loop holds the user's lock, by ``lock(data)`` and ``unlock(data)``,
    but for the wait. Other threads may make calls while they hold it.
    """
    lib = library()
    lock(data)
    try:
        return _turn(lib, True, True, lock, unlock, data)
    finally:
        unlock(data)


@answers()
def sctp_getEvents() -> int:
    """Handle what is there, without waiting and without timers: 1 if there was something, else 0."""
    return int(_turn(library(), wait=False, timers=False) > 0)
