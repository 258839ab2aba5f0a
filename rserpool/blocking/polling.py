"""Waiting for several descriptors at once, RSerPool sockets and mapped ones together."""

from __future__ import annotations

import errno
import select
import socket
import time
from collections.abc import Sequence

from rserpool.blocking import table
from rserpool.blocking.sockets import Mapped, RspSocket, fail, remaining
from rserpool.blocking.structures import SESSION_SETSIZE


def ready(thing: RspSocket, events: int) -> int:
    """Return which of the events a socket has."""
    found = 0
    if events & select.POLLIN and thing.readable():
        found |= select.POLLIN
    if events & select.POLLOUT and thing.writable():
        found |= select.POLLOUT
    return found


def poll(wanted: Sequence[tuple[int, int]], timeout: int) -> list[tuple[int, int]]:
    """Wait until a descriptor has one of its events; return those that have, with the events.

    ``timeout`` in ms, negative: none. Descriptors that are not known are ignored. OSError(EINVAL) for too many.
    """
    if len(wanted) > SESSION_SETSIZE:
        raise fail(errno.EINVAL)
    sockets: list[tuple[int, RspSocket, int]] = []
    system = select.poll()
    mapped: dict[int, list[int]] = {}
    for number, events in wanted:
        thing = table.descriptors.get(number)
        if isinstance(thing, RspSocket):
            sockets.append((number, thing, events))
        elif isinstance(thing, Mapped):
            mapped.setdefault(thing.descriptor, []).append(number)
            system.register(thing.descriptor, events)
    end = None if timeout < 0 else time.monotonic() + timeout / 1000.0
    changes = table.runtime().changes
    wake, waker = socket.socketpair()
    wake.setblocking(False)
    waker.setblocking(False)
    changes.add(waker)
    system.register(wake.fileno(), select.POLLIN)
    try:
        while True:
            found = [(number, has) for number, thing, events in sockets if (has := ready(thing, events))]
            happened = dict(system.poll(0 if found else remaining(end)))
            if happened.pop(wake.fileno(), 0):
                wake.recv(4096)
            found += [(number, has) for fd, has in happened.items() for number in mapped[fd]]
            if found or remaining(end) == 0:
                return found
    finally:
        changes.remove(waker)
        wake.close()
        waker.close()
