"""Makes a channel of the backend that a transport stands for. The backends are imported when first needed."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import sys

from ..transport import Transport, with_kind
from .contract import Channel


def open_channel(
    transport: Transport | str | None,
    family: int,
    one_to_many: bool,
    loop: asyncio.AbstractEventLoop | None = None,
) -> Channel:
    """Return a channel; loop: the event loop that will drive it, None: the threads that use it.

    Raises OSError if the transport cannot be had, ValueError for another family than IPv4 and IPv6.
    """
    if family not in (socket.AF_INET, socket.AF_INET6):
        raise ValueError(f"address family {family} is neither AF_INET nor AF_INET6")
    chosen = with_kind(transport)
    if chosen.kind == "kernel":
        if not sys.platform.startswith(("linux", "freebsd")):
            raise OSError(errno.EPROTONOSUPPORT, "the kernel backend knows the structures of Linux and FreeBSD")
        from .kernel import KernelChannel

        return KernelChannel(family, one_to_many)
    from .pumps import Closed, StackEnded, pump_for
    from .userland import UserChannel

    while True:
        pump = pump_for(chosen, loop)
        with contextlib.suppress(StackEnded), pump.lock:
            if not isinstance(pump.lock, Closed):  # the stack may have ended while we waited for the lock
                return UserChannel(pump, family, one_to_many)
