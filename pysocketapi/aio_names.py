"""Name resolution for asyncio: names become numeric addresses."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

from .addresses import canonical, is_numeric


async def resolve_all(loop: asyncio.AbstractEventLoop, hosts: Sequence[str], family: int = 0) -> list[str]:
    """Return numeric addresses for hosts; family AF_INET restricts names to IPv4. Raises socket.gaierror."""
    return [(await resolve_every(loop, host, family))[0] for host in hosts]


async def resolve_every(loop: asyncio.AbstractEventLoop, host: str, family: int = 0) -> list[str]:
    """Return all numeric addresses of one host, in the system's order. Raises socket.gaierror."""
    if is_numeric(host):
        return [canonical(host)]
    wanted = family if family == socket.AF_INET else 0
    answers = await loop.getaddrinfo(host, None, family=wanted, type=socket.SOCK_DGRAM)
    return list(dict.fromkeys(canonical(str(row[4][0])) for row in answers))
