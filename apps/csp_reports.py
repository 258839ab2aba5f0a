"""Receiving component status reports: the socket of a monitor."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Sequence

from .components import Monitor


class _Receiver(asyncio.DatagramProtocol):
    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._monitor.receive(data, time.monotonic())


async def receive(monitor: Monitor, listener: socket.socket) -> asyncio.DatagramTransport:
    """Let the monitor have what comes in, until the result is closed."""
    loop = asyncio.get_running_loop()
    receiver, _ = await loop.create_datagram_endpoint(lambda: _Receiver(monitor), sock=listener)
    return receiver


def open_socket(choices: Sequence[tuple[str, int]]) -> socket.socket:
    """A socket for reports at the first of some (address, port) that can be had; IPv6 with IPv4 where the host has
    both. Raises OSError.
    """
    failure: OSError | None = None
    for host, port in choices:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            listener = socket.socket(family, socket.SOCK_DGRAM)
        except OSError as error:
            failure = error
            continue
        try:
            if family == socket.AF_INET6 and host == "::":
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            listener.bind((host, port))
            listener.setblocking(False)
            return listener
        except OSError as error:
            listener.close()
            failure = error
    raise failure or OSError("no socket for reports")
