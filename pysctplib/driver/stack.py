"""`Stack`: one engine, its carriers and its port space, ready to be driven by any loop.

The contract is in docs/design.md section 3. No event loop and no thread in here; the only clock is
``time.monotonic``. RFC 6951 section 4 (UDP encapsulation of all packets).
"""

from __future__ import annotations

import errno
import random
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic

from ..carrier import routes
from ..carrier.udp import UdpCarrier, open_sockets
from ..core.config import Config
from ..core.endpoint import Endpoint
from ..core.engine import Engine
from ..core.events import Event
from ..core.path import PathKey
from .capture import Capture

EPHEMERAL = range(32768, 61000)  # SCTP ports for those who do not ask for one
MTU_LIFE = 10.0  # seconds


@dataclass(slots=True)
class StackConfig:
    """How a stack reaches the network.

    ``udp_port``: None for the host's port 9899, shared by all processes; 0 for a private one that the system
    chooses; else a private one. ``hub``: "auto", "steer" or "forward", how packets at 9899 find their process.
    ``pcap``: file to write all packets to.
    """

    udp_port: int | None = None
    hub: str = "auto"
    pcap: str | None = None


class Stack:
    """One engine with its way to the network."""

    def __init__(self, config: StackConfig | None = None) -> None:
        self.config = config or StackConfig()
        self._mtus: dict[str, tuple[float, int]] = {}
        self.carrier = UdpCarrier(open_sockets(self.config.udp_port or 0))
        self.udp_port = self.carrier.port
        self.engine = Engine(mtu_of=self._mtu_of, now=monotonic(), local_addresses=routes.local_addresses)
        self.now = monotonic
        self._receive = self.engine.receive
        self._capture: Capture | None = None
        if self.config.pcap:
            self._capture = Capture(self.config.pcap, self.udp_port, routes.source)
            self._receive = self._receive_and_note

    def open_endpoint(self, port: int, addresses: Sequence[str] = (), config: Config | None = None) -> Endpoint:
        """Claim an SCTP port (0: any) and open an endpoint on it. OSError EADDRINUSE, EACCES, EADDRNOTAVAIL."""
        for address in addresses:
            _check_local(address)
        if port:
            return self.engine.open(port, addresses, config)
        for candidate in random.sample(EPHEMERAL, 64):
            if candidate not in self.engine.endpoints:
                return self.engine.open(candidate, addresses, config)
        raise OSError(errno.EADDRINUSE, "no SCTP port is free")

    def close_endpoint(self, endpoint: Endpoint, now: float) -> None:
        """Close an endpoint; its port is free once its last association is gone."""
        endpoint.close(now)

    def filenos(self) -> list[int]:
        """Return the descriptors to watch for reading."""
        return list(self.carrier.sockets)

    def readable(self, fd: int) -> None:
        """Read a bounded batch from a descriptor into the engine."""
        self.carrier.readable(fd, self._receive, monotonic())

    def flush(self) -> None:
        """Send what the engine has to say."""
        datagrams = self.engine.output(monotonic())
        if self._capture is not None:
            self._capture.sent(datagrams)
        if datagrams or self.carrier.congested:
            self.carrier.send(datagrams)

    def deadline(self) -> float | None:
        """Return when ``expire`` is due at the latest, on the clock of ``now``."""
        return self.engine.deadline()

    def expire(self) -> None:
        """Run due timers."""
        self.engine.expire(monotonic())

    def events(self) -> list[Event]:
        """Return what happened, in order."""
        return self.engine.events()

    def close(self) -> None:
        """Close the sockets; associations that are still up are forgotten without a word."""
        self.carrier.close()
        if self._capture is not None:
            self._capture.close()

    def abandon(self) -> None:
        """After a fork, in the child: close the descriptors; the parent's associations go on there."""
        self.carrier.close()

    def _receive_and_note(self, data: bytes, path: PathKey, now: float) -> None:
        if self._capture is not None:
            self._capture.received(data, path)
        self.engine.receive(data, path, now)

    def _mtu_of(self, address: str) -> int:
        now = monotonic()
        known = self._mtus.get(address)
        if known is not None and now - known[0] < MTU_LIFE:
            return known[1]
        if len(self._mtus) > 1024:
            self._mtus.clear()
        mtu = routes.mtu(address)
        self._mtus[address] = (now, mtu)
        return mtu


def _check_local(address: str) -> None:
    """Raise OSError EADDRNOTAVAIL unless this host has the address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError as error:
            raise OSError(error.errno, f"{address}: {error.strerror}") from None
