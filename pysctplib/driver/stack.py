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
from ..carrier.raw import RawCarrier, open_raw_sockets
from ..carrier.udp import UdpCarrier, open_sockets
from ..core.config import Config
from ..core.endpoint import Endpoint
from ..core.engine import Engine
from ..core.events import Event
from ..core.path import PathKey
from ..host.client import PortSpace
from .capture import Capture

EPHEMERAL = range(32768, 61000)  # SCTP ports for those who do not ask for one
MTU_LIFE = 10.0  # seconds
FULL_WAIT = 0.001  # seconds until the next attempt when the system's send buffer was full


@dataclass(slots=True)
class StackConfig:
    """How a stack reaches the network.

    ``udp_port``: None for the host's port, shared by all processes; 0 for a private one that the system chooses;
    else a private one. ``hub``: "auto", "steer" or "forward", how packets at the shared port find their process.
    ``pcap``: file to write all packets to. ``shared_port``: the host's port, 9899 (RFC 6951 section 7). ``raw``:
    plain SCTP over IP besides, for peers at UDP port 0; then nothing out of the blue is answered, since it may be
    for another process.
    """

    udp_port: int | None = None
    hub: str = "auto"
    pcap: str | None = None
    shared_port: int = 9899
    raw: bool = False


class Stack:
    """One engine with its way to the network."""

    def __init__(self, config: StackConfig | None = None) -> None:
        self.config = config or StackConfig()
        self._mtus: dict[str, tuple[float, int]] = {}
        self._space: PortSpace | None = None
        self._closing: set[int] = set()  # shared ports to give back once the engine has done with them
        self._raw = RawCarrier(open_raw_sockets()) if self.config.raw else None
        if self.config.udp_port is None:
            self._space = PortSpace(self.config.shared_port, self.config.hub)
            self._sockets = self._space.sockets
        else:
            self._sockets = open_sockets(self.config.udp_port)
        self.carrier = UdpCarrier(self._sockets)
        self.udp_port = self.carrier.port
        self.engine = Engine(mtu_of=self._mtu_of, now=monotonic(), local_addresses=routes.local_addresses)
        self.engine.answer_ootb = self._raw is None
        self.now = monotonic
        self._deliver = self._receive = self.engine.receive
        self._capture: Capture | None = None
        if self.config.pcap:
            try:
                self._capture = Capture(self.config.pcap, self.udp_port, routes.source)
            except OSError:
                self._leave()
                raise
            self._deliver = self._receive = self._receive_and_note
        if self._space is not None:
            self._receive = self._receive_shared

    def open_endpoint(self, port: int, addresses: Sequence[str] = (), config: Config | None = None) -> Endpoint:
        """Claim an SCTP port (0: any) and open an endpoint on it. OSError EADDRINUSE, EACCES, EADDRNOTAVAIL."""
        for address in addresses:
            _check_local(address)
        if self._space is not None:
            return self._open_shared(self._space, port, addresses, config)
        if port:
            return self.engine.open(port, addresses, config)
        for candidate in (random.choice(EPHEMERAL) for _ in range(64)):
            if candidate not in self.engine.endpoints:
                return self.engine.open(candidate, addresses, config)
        raise OSError(errno.EADDRINUSE, "no SCTP port is free")

    def close_endpoint(self, endpoint: Endpoint, now: float) -> None:
        """Close an endpoint; its port is free once its last association is gone."""
        endpoint.close(now)
        if self._space is not None:
            self._closing.add(endpoint.port)
            self._give_back(self._space)

    @property
    def epoch(self) -> int:
        """Grows when the descriptors of `filenos` were replaced, by others that may have the same numbers."""
        return 0 if self._space is None else self._space.epoch

    def filenos(self) -> list[int]:
        """Return the descriptors to watch for reading; when ``epoch`` grows, forget the old ones, watch these."""
        space = self._space
        raw = self._raw.sockets if self._raw is not None else ()
        if space is None:
            return [*self.carrier.sockets, *raw]
        return [*(self.carrier.sockets if space.steered else ()), *space.filenos(), *raw]

    def readable(self, fd: int) -> None:
        """Read a bounded batch from a descriptor into the engine."""
        if self.carrier.readable(fd, self._receive, monotonic()):
            return
        if self._raw is not None and fd in self._raw.sockets:
            self._raw.readable(fd, self._deliver, monotonic())
        elif self._space is not None:
            space = self._space
            if space.relay is not None and fd == space.relay.fileno():
                space.relayed(self._deliver, monotonic())
            elif space.control is not None and fd == space.control.fileno():
                space.check()
                self._follow(space)

    def flush(self) -> None:
        """Send what the engine has to say."""
        if self._closing and self._space is not None:
            self._give_back(self._space)
        datagrams = self.engine.output(monotonic())
        if self._capture is not None:
            self._capture.sent(datagrams)
        if self._raw is not None:
            plain = [datagram for datagram in datagrams if not datagram[1][1]]
            if plain:
                datagrams = [datagram for datagram in datagrams if datagram[1][1]]
            if plain or self._raw.congested:
                self._raw.send(plain)
        if datagrams or self.carrier.backlog:
            self.carrier.send(datagrams)

    def deadline(self) -> float | None:
        """Return when ``expire`` is due at the latest, on the clock of ``now``."""
        heap = self.engine.heap
        deadline = heap[0][0] if heap else None  # engine.deadline() without the call
        if self.carrier.backlog or (self._raw is not None and self._raw.congested):
            soon = monotonic() + FULL_WAIT
            deadline = soon if deadline is None else min(deadline, soon)
        if self._space is not None and self._space.retry_at is not None:
            again = self._space.retry_at
            deadline = again if deadline is None else min(deadline, again)
        return deadline

    def expire(self) -> None:
        """Run due timers."""
        now = monotonic()
        self.engine.expire(now)
        space = self._space
        if space is not None and space.retry_at is not None and space.retry_at <= now:
            space.rejoin()
            self._follow(space)

    def events(self) -> list[Event]:
        """Return what happened, in order."""
        return self.engine.events()

    def close(self) -> None:
        """Close the sockets; associations that are still up are forgotten without a word."""
        self._leave()
        if self._capture is not None:
            self._capture.close()

    def abandon(self) -> None:
        """After a fork, in the child: close the descriptors; the parent's associations go on there."""
        self._leave()

    def _leave(self) -> None:
        self.carrier.close()
        if self._raw is not None:
            self._raw.close()
        if self._space is not None:
            self._space.close()

    # ---- the shared port space

    def _open_shared(
        self, space: PortSpace, port: int, addresses: Sequence[str], config: Config | None
    ) -> Endpoint:
        if port and port in self.engine.endpoints:
            raise OSError(errno.EADDRINUSE, f"SCTP port {port} is in use")
        port = space.claim(port)
        self._follow(space)
        try:
            endpoint = self.engine.open(port, addresses, config)
        except BaseException:
            space.release(port)
            raise
        self._closing.discard(port)
        return endpoint

    def _give_back(self, space: PortSpace) -> None:
        for port in [port for port in self._closing if port not in self.engine.endpoints]:
            self._closing.discard(port)
            space.release(port)
            self._follow(space)

    def _follow(self, space: PortSpace) -> None:
        """Use the sockets that a new hub has given, if it has."""
        if space.sockets is not self._sockets:
            self._sockets = space.sockets
            self.carrier.replace(self._sockets)

    def _receive_shared(self, data: bytes, path: PathKey, now: float) -> None:
        """Take what is for our ports; the hub has the rest (it may have come while ports changed hands)."""
        if self._space is None or data[2:4] in self._space.ports:
            self._deliver(data, path, now)
        else:
            self._space.foreign(data, path)

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
