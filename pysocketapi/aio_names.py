"""Name resolution for asyncio: names become one numeric address each."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

from .addresses import canonical, is_numeric


async def resolve_all(loop: asyncio.AbstractEventLoop, hosts: Sequence[str], family: int = 0) -> list[str]:
    """Return numeric addresses for hosts; family AF_INET restricts names to IPv4. Raises socket.gaierror."""
    found = []
    for host in hosts:
        if is_numeric(host):
            found.append(canonical(host))
            continue
        wanted = family if family == socket.AF_INET else 0
        answers = await loop.getaddrinfo(host, None, family=wanted, type=socket.SOCK_DGRAM)
        found.append(canonical(str(answers[0][4][0])))
    return found
