"""Who owns which SCTP port of the host: the rules of a kernel, as a table.

RFC 6056 section 3.3.1 (random ephemeral ports), RFC 6335 section 6 (their range). No sockets in here.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Callable

EPHEMERAL = range(49152, 65536)
FIRST_FREE_FOR_ALL = 1024


def _random(ports: range) -> int:
    return random.SystemRandom().choice(ports)


class Ports:
    """port -> owner (any object)."""

    def __init__(self, choose: Callable[[range], int] = _random) -> None:
        self._choose = choose
        self.owners: dict[int, object] = {}

    def claim(self, owner: object, port: int, privileged: bool) -> int:
        """Give a port (0: a free one) to an owner; return it.

        OSError: EADDRINUSE, EACCES (below 1024 without privilege). ValueError if it is no port.
        """
        if not isinstance(port, int) or not 0 <= port < 65536:
            raise ValueError(f"SCTP port {port!r}")
        if port == 0:
            port = self._free()
        elif port < FIRST_FREE_FOR_ALL and not privileged:
            raise OSError(errno.EACCES, f"SCTP port {port}: ports below 1024 are root's")
        elif port in self.owners:
            raise OSError(errno.EADDRINUSE, f"SCTP port {port} is in use")
        self.owners[port] = owner
        return port

    def release(self, owner: object, port: int) -> None:
        """Take a port back if it is the owner's."""
        if self.owners.get(port) is owner:
            del self.owners[port]

    def forget(self, owner: object) -> None:
        """Take back all ports of an owner."""
        for port in [port for port, o in self.owners.items() if o is owner]:
            del self.owners[port]

    def _free(self) -> int:
        for _ in range(64):
            port = self._choose(EPHEMERAL)
            if port not in self.owners:
                return port
        for port in EPHEMERAL:
            if port not in self.owners:
                return port
        raise OSError(errno.EADDRINUSE, "no SCTP port is free")
