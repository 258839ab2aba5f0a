"""Descriptors of the user in the event loop: any descriptor, plain UDP sockets, standard input.

Descriptors that no selector takes (regular files on Linux) count as always ready, as poll() has it.
"""

from __future__ import annotations

import os
import selectors
import socket
import sys
from collections.abc import Callable
from typing import Any

from . import constants as c
from .library import Library, Refused, Watch, answers, library

_MAX_DATAGRAM = 65536


def _mask(events: int) -> int:
    reading = selectors.EVENT_READ if events & (c.POLLIN | c.POLLPRI) else 0
    return reading | (selectors.EVENT_WRITE if events & c.POLLOUT else 0)


def _apply(lib: Library, fd: int, events: int) -> None:
    """Make the selector watch ``fd`` for the poll events ``events``, none: not at all."""
    mask = _mask(events)
    known = fd in lib.selector.get_map()
    lib.always_ready.discard(fd)
    if not mask:
        if known:
            lib.selector.unregister(fd)
    elif known:
        lib.selector.modify(fd, mask)
    else:
        try:
            lib.selector.register(fd, mask)
        except PermissionError:  # epoll does not take files: they are ready at any time
            lib.always_ready.add(fd)
    if lib.waiting:
        lib.wake()


def _watch(lib: Library, fd: int, ready: Callable[[int, int], object], events: int) -> int:
    if fd < 0 or fd in lib.watches or fd in lib.selector.get_map():
        return -1
    try:
        _apply(lib, fd, events)
    except (OSError, ValueError):
        return -1
    lib.watches[fd] = Watch(ready, events)
    return 0


def _forget(fd: int) -> int:
    lib = library()
    if lib.watches.pop(fd, None) is None:
        return -1
    _apply(lib, fd, 0)
    return 0


def dispatch(lib: Library, fd: int, mask: int) -> bool:
    """Tell the user of ``fd`` what happened (a selector's mask); return whether there is one."""
    watch = lib.watches.get(fd)
    if watch is None:
        return False
    occurred = (c.POLLIN if mask & selectors.EVENT_READ else 0) | (
        c.POLLOUT if mask & selectors.EVENT_WRITE else 0
    )
    occurred &= watch.events
    if not occurred:
        return False
    watch.ready(fd, occurred)
    return True


# The functions of the API


def sctp_registerUserCallback(
    fd: int, sdf: Callable[[int, int, int, Any], int | None], userData: Any, eventMask: int
) -> int:
    """Call ``sdf(fd, events that occurred, events wanted, userData)`` from the loop; it returns the events
    wanted from now on, or None for the same.

    ``eventMask``: POLLIN, POLLOUT. Returns 0; -1 if the descriptor is registered already or unusable.
    """
    try:
        lib = library()
    except Refused:
        return -1

    def ready(fd: int, occurred: int) -> None:
        watch = lib.watches[fd]
        wanted = sdf(fd, occurred, watch.events, userData)
        if wanted is not None and wanted != watch.events and lib.watches.get(fd) is watch:
            watch.events = wanted
            _apply(lib, fd, wanted)

    return _watch(lib, fd, ready, eventMask)


@answers()
def sctp_unregisterUserCallback(fd: int) -> int:
    """Watch a descriptor no longer. Returns 0; -1 if it was not registered."""
    return _forget(fd)


def sctp_registerUdpCallback(me: str, my_port: int, scf: Callable[[int, bytes, str, int], object]) -> int:
    """Open a UDP socket bound to the numeric address ``me`` and call ``scf(fd, data, source, source port)``.

    Plain UDP for the application; nothing to do with encapsulated SCTP. Returns the descriptor or -1.
    """
    try:
        lib = library()
    except Refused:
        return -1
    try:
        opened = socket.socket(socket.AF_INET6 if ":" in me else socket.AF_INET, socket.SOCK_DGRAM)
    except OSError:
        return -1
    try:
        opened.bind((me, my_port))
    except (OSError, OverflowError):
        opened.close()
        return -1
    opened.setblocking(False)

    def ready(fd: int, occurred: int) -> None:
        try:
            data, source = opened.recvfrom(_MAX_DATAGRAM)
        except OSError:  # an ICMP error of an earlier datagram, or taken by another process
            return
        scf(fd, data, source[0], source[1])

    fd = opened.fileno()
    _watch(lib, fd, ready, c.POLLIN)
    lib.udp_sockets[fd] = opened
    return fd


@answers()
def sctp_unregisterUdpCallback(udp_sfd: int) -> int:
    """Close a UDP socket. Returns 0; -1 if it is none of sctp_registerUdpCallback."""
    opened = library().udp_sockets.pop(udp_sfd, None)
    if opened is None:
        return -1
    _forget(udp_sfd)
    opened.close()
    return 0


def sctp_sendUdpData(sfd: int, buf: bytes, destination: str, dest_port: int) -> int:
    """Send one datagram from a socket of sctp_registerUdpCallback; return the bytes sent or -1."""
    try:
        return library().udp_sockets[sfd].sendto(buf, (destination, dest_port))
    except (Refused, KeyError, OSError, OverflowError):
        return -1


def sctp_registerStdinCallback(sdf: Callable[[bytes], object], length: int) -> int:
    """Call ``sdf(data)`` with at most ``length`` bytes whenever standard input has some.

    ``b""`` says that it ended; it is not watched any longer then. Returns 0, or -1 if it is registered already.
    """
    try:
        lib = library()
    except Refused:
        return -1

    def ready(fd: int, occurred: int) -> None:
        data = os.read(fd, length)
        if not data:
            _forget(fd)
        sdf(data)

    return _watch(lib, _stdin(), ready, c.POLLIN)


@answers()
def sctp_unregisterStdinCallback() -> int:
    """Watch standard input no longer. Returns 0; -1 if it was not registered."""
    return _forget(_stdin())


def _stdin() -> int:
    """Return standard input's descriptor, 0 unless the program replaced sys.stdin by another file."""
    try:
        return sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):
        return 0
