"""SOCKETAPI's calls for descriptors of any kind: close, open, pipe, and waiting for them mixed with SCTP's."""

from __future__ import annotations

import os
import select
from collections.abc import Sequence
from dataclasses import dataclass

from .descriptors import Ref, c_call, closing, enter, entry, lock, table


@dataclass(slots=True)
class PollFd:
    """struct pollfd."""

    fd: int
    events: int
    revents: int = 0


@c_call
def ext_close(fd: int) -> int:
    """Close a descriptor of any kind; never waits."""
    with lock:
        found = entry(fd)  # under the lock: of two threads that close it one gets EBADF
        table.pop(fd, None)
        for forget in closing:
            forget(fd)
    if isinstance(found, int):
        os.close(found)
    else:
        found.close()
    return 0


@c_call
def ext_open(path: str, flags: int, mode: int = 0o777) -> int:
    """Open a file."""
    return enter(os.open(path, flags, mode))


@c_call
def ext_creat(path: str, mode: int) -> int:
    """Create a file for writing."""
    return enter(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, mode))


@c_call
def ext_pipe(descriptors: Ref) -> int:
    """Make a pipe; (reading end, writing end) goes into the Ref."""
    read, write = os.pipe()
    descriptors.value = (enter(read), enter(write))
    return 0


def _wait(reads: set[int], writes: set[int], seconds: float | None) -> tuple[set[int], set[int]]:
    """Wait until one of the descriptors can be read or written; SCTP and system descriptors mixed."""
    numbers = {}
    for fd in reads | writes:
        found = entry(fd)
        numbers[fd] = found if isinstance(found, int) else found.fileno()
    ready = select.select({numbers[fd] for fd in reads}, {numbers[fd] for fd in writes}, [], seconds)
    return {fd for fd in reads if numbers[fd] in ready[0]}, {fd for fd in writes if numbers[fd] in ready[1]}


@c_call
def ext_select(
    n: int,
    readfds: set[int] | None = None,
    writefds: set[int] | None = None,
    exceptfds: set[int] | None = None,
    timeout: float | None = None,
) -> int:
    """Wait for descriptors below n; the sets are changed to those that are ready; timeout in seconds."""
    reads = {fd for fd in readfds or () if fd < n}
    writes = {fd for fd in writefds or () if fd < n}
    readable, writable = _wait(reads, writes, timeout)
    for given, ready in ((readfds, readable), (writefds, writable), (exceptfds, set[int]())):
        if given is not None:
            given.intersection_update(ready)
    return len(readable) + len(writable)


@c_call
def ext_poll(descriptors: Sequence[PollFd], count: int, timeout: int) -> int:
    """Wait for descriptors; timeout in ms, negative: for ever. Negative descriptors are passed over (POSIX)."""
    for one in (given := list(descriptors)[:count]):
        one.revents = 0
    used = [one for one in given if one.fd >= 0]
    known = [one for one in used if one.fd in table or one.fd in (0, 1, 2)]
    reads = {one.fd for one in known if one.events & select.POLLIN}
    writes = {one.fd for one in known if one.events & select.POLLOUT}
    bad = len(known) != len(used)
    readable, writable = _wait(reads, writes, 0.0 if bad else None if timeout < 0 else timeout / 1000)
    for one in used:
        one.revents = (select.POLLIN if one.fd in readable else 0) | (select.POLLOUT if one.fd in writable else 0)
        if one not in known:
            one.revents = select.POLLNVAL
    return sum(1 for one in used if one.revents)
