"""Two engines on a simulated network, for tests of the engine: who said what, and what came out."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from pysctplib.carrier.memory import Link, Network
from pysctplib.core import events
from pysctplib.core.association import Association
from pysctplib.core.config import Config
from pysctplib.core.engine import Engine
from pysctplib.wire import chunks, packet

PORT = 7


class World:
    """A client engine ``a`` and a listening server engine ``b``; every packet sent is in ``packets``."""

    def __init__(
        self,
        seed: int = 1,
        link: Link | None = None,
        a_addresses: tuple[str, ...] = ("10.0.0.1",),
        b_addresses: tuple[str, ...] = ("10.0.0.2",),
        config: Config | None = None,
        server_config: Config | None = None,
    ) -> None:
        self.net = Network(seed, link)
        self.a = Engine(random.Random(2 * seed + 1), local_addresses=lambda peer: a_addresses)
        self.b = Engine(random.Random(2 * seed + 2), local_addresses=lambda peer: b_addresses)
        self.host_a = self.net.host(self.a, a_addresses)
        self.host_b = self.net.host(self.b, b_addresses)
        self.b_addresses = b_addresses
        self.packets: list[tuple[float, str, str, bytes]] = []
        self.net.tap = lambda now, source, target, data: self.packets.append((now, source[0], target[0], data))
        self.client = self.a.open(5000, (), config)
        self.server = self.b.open(PORT, (), server_config or config)
        self.server.listen(True)
        self.log: dict[Engine, list[Any]] = {self.a: [], self.b: []}
        self.handlers: list[Callable[[Engine, Any], None]] = []
        self.consume = True

    def collect(self) -> None:
        """Take the events of both engines; messages count as consumed."""
        for engine in (self.a, self.b):
            for event in engine.events():
                self.log[engine].append(event)
                if self.consume and isinstance(event, events.Message):
                    event.association.consumed(len(event.data), self.net.now)
                for handler in self.handlers:
                    handler(engine, event)

    def run(self, until: Callable[[], bool] | None = None, seconds: float = 3600.0) -> bool:
        """Run the network and collect events."""
        done = self.net.run(until, seconds, self.collect)
        self.collect()
        return done

    def start(self, addresses: tuple[str, ...] | None = None) -> Association:
        """Begin the association; nothing has been sent yet."""
        return self.client.connect(addresses or self.b_addresses[:1], PORT, self.net.now)

    def establish(self) -> tuple[Association, Association]:
        """Set an association up and return both its ends."""
        a = self.start()
        assert self.run(
            lambda: self.seen(self.a, events.CommunicationUp) and self.seen(self.b, events.CommunicationUp)
        )
        self.net.run(lambda: False, 0.05)
        self.collect()
        return a, next(iter(self.server.associations.values()))

    def of(self, engine: Engine, kind: type) -> list[Any]:
        """Return the events of a kind that an engine reported."""
        return [event for event in self.log[engine] if isinstance(event, kind)]

    def seen(self, engine: Engine, kind: type) -> bool:
        """Tell whether an engine reported an event of a kind."""
        return any(isinstance(event, kind) for event in self.log[engine])

    def sent(self, source: str | None = None, kind: int | None = None) -> list[tuple[int, int, bytes]]:
        """Return the chunks sent so far, of a source and a type if given."""
        return [
            chunk
            for _, origin, _, data in self.packets
            if source in (None, origin)
            for chunk in packet.walk(data)
            if kind in (None, chunk[0])
        ]

    def sacks(self, source: str) -> list[chunks.Sack]:
        """Return the SACKs sent from an address."""
        return [chunks.decode(*chunk) for chunk in self.sent(source, chunks.SACK)]  # type: ignore[misc]

    def inject(self, target: Engine, association: Association, *body: bytes, tag: int | None = None) -> None:
        """Hand a packet to ``target`` as if the peer of its association had sent it."""
        path = association.primary
        tag = association.local_tag if tag is None else tag
        data = packet.pack(association.peer_port, association.endpoint.port, tag, body)
        target.receive(data, path.key, self.net.now)

    def idle(self) -> None:
        """Check that neither engine holds anything of an association any more."""
        for engine in (self.a, self.b):
            assert not engine.associations
            assert not engine.by_tag and not engine.by_header
            assert not engine.by_peer
            assert engine.counters.current_established == 0
