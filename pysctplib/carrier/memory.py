"""A simulated network in virtual time: hosts with several addresses, links that lose, delay, reorder, duplicate.

It drives engines by the five calls of docs/design.md section 2. The clock jumps to the next packet or timer, so a
run takes no longer than its work; everything is drawn from one seed, so each run can be repeated. Chunks are
looked at only by the filters that callers hand in (`nth_chunk`).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Protocol, TypeAlias

PathKey: TypeAlias = tuple[str, int, str]
Datagram: TypeAlias = tuple[bytes, PathKey]
Filter: TypeAlias = Callable[[bytes], bool]

UDP_PORT = 9899


class Engine(Protocol):
    """What is driven: four of the five calls; events are taken by whoever runs the network."""

    def receive(self, data: bytes, path: PathKey, now: float, /) -> None:
        """Process one packet."""

    def output(self, now: float, /) -> list[Datagram]:
        """Return packets to send."""

    def deadline(self) -> float | None:
        """Return the time of the next timer."""

    def expire(self, now: float, /) -> None:
        """Run due timers."""


@dataclass(slots=True)
class Link:
    """One direction from an address to an address. Times in seconds, chances 0..1, sizes in bytes."""

    delay: float = 0.01
    jitter: float = 0.0  # added, evenly distributed: reorders when it is above the distance of packets
    loss: float = 0.0
    duplicate: float = 0.0
    corrupt: float = 0.0  # one bit is turned over
    reorder: float = 0.0  # the packet is held back by 1 to 4 delays
    mtu: int = 65535  # of IP; larger packets vanish
    rate: float = 0.0  # bytes a second; 0: unlimited
    queue: int = 1 << 20  # bytes that wait before a link with a rate; more are lost
    up: bool = True

    def check(self) -> None:
        """Raise ValueError if a setting makes no sense."""
        for name in ("loss", "duplicate", "corrupt", "reorder"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is a chance, 0..1")
        if min(self.delay, self.jitter, self.rate, self.queue, self.mtu) < 0:
            raise ValueError("negative delay, jitter, rate, queue or MTU")


@dataclass(slots=True)
class Counters:
    """What the network did with packets."""

    sent: int = 0
    delivered: int = 0
    lost: int = 0
    duplicated: int = 0
    corrupted: int = 0
    reordered: int = 0
    too_big: int = 0
    unroutable: int = 0
    filtered: int = 0
    overflowed: int = 0


class Host:
    """An engine at its addresses."""

    __slots__ = ("addresses", "engine", "name", "udp_port")

    def __init__(self, name: str, engine: Engine, addresses: tuple[str, ...], udp_port: int) -> None:
        self.name = name
        self.engine = engine
        self.addresses = addresses
        self.udp_port = udp_port


class Network:
    """Hosts, the links between them, and the clock ``now`` (seconds)."""

    def __init__(self, seed: int = 0, link: Link | None = None) -> None:
        """Make a network whose links are like ``link`` unless `set_link` says otherwise."""
        self.now = 0.0
        self.rng = random.Random(seed)
        self.link = link or Link()
        self.link.check()
        self.counters = Counters()
        self.hosts: list[Host] = []
        self.tap: Callable[[float, PathKey, PathKey, bytes], None] | None = None
        """Called with (now, source key, destination key, packet) for every packet sent, lost ones too."""
        self._at: dict[str, Host] = {}
        self._links: dict[tuple[str, str], Link] = {}
        self._sources: dict[tuple[int, str], str] = {}
        self._busy: dict[tuple[str, str], float] = {}  # until when a link with a rate sends
        self._filters: list[Filter] = []
        self._flying: list[tuple[float, int, Host, bytes, PathKey]] = []
        self._number = 0

    # ---- making it

    def host(
        self, engine: Engine, addresses: Sequence[str], udp_port: int = UDP_PORT, name: str | None = None
    ) -> Host:
        """Connect an engine at its addresses (canonical form). ValueError if one is taken."""
        if not addresses or any(a in self._at for a in addresses):
            raise ValueError(f"addresses {addresses}: none, or taken")
        host = Host(name or f"host{len(self.hosts) + 1}", engine, tuple(addresses), udp_port)
        self.hosts.append(host)
        self._at.update(dict.fromkeys(addresses, host))
        self._sources.clear()
        return host

    def remove(self, host: Host) -> None:
        """Take a host off the network, as if its power were cut."""
        self.hosts.remove(host)
        for address in host.addresses:
            del self._at[address]
        self._sources.clear()

    def set_link(self, source: str, destination: str, link: Link, both_ways: bool = True) -> None:
        """Set what happens to packets from an address to an address."""
        link.check()
        self._links[source, destination] = link
        if both_ways:
            self._links[destination, source] = link

    def partition(self, one: Iterable[str], other: Iterable[str], up: bool = False) -> None:
        """Cut (or with ``up`` mend) all links between two groups of addresses, both ways."""
        other = tuple(other)
        for a in one:
            for b in other:
                for pair in ((a, b), (b, a)):
                    known = self._links.get(pair, self.link)
                    values = {name: getattr(known, name) for name in Link.__slots__}
                    self._links[pair] = Link(**{**values, "up": up})

    def drop(self, match: Filter) -> None:
        """Lose every packet for which ``match(packet)`` is true; see `nth_chunk`."""
        self._filters.append(match)

    # ---- running it

    def flush(self, host: Host) -> None:
        """Send what a host has to say."""
        datagrams = host.engine.output(self.now)
        if datagrams:
            self.send(host, datagrams)

    def send(self, host: Host, datagrams: list[Datagram]) -> None:
        """Put packets of a host on the way."""
        now, counters, chance, flying = self.now, self.counters, self.rng.random, self._flying
        for data, (remote, port, local) in datagrams:
            counters.sent += 1
            target = self._at.get(remote)
            source = local or self._source(host, remote)
            if self.tap is not None:
                self.tap(now, (source, host.udp_port, ""), (remote, port, ""), data)
            if target is None or target.udp_port != port or self._at.get(source) is not host:
                counters.unroutable += 1
                continue
            # Every filter sees every packet: they count.
            if self._filters and True in [match(data) for match in self._filters]:
                counters.filtered += 1
                continue
            link = self._links.get((source, remote), self.link) if self._links else self.link
            if not link.up or (link.loss and chance() < link.loss):
                counters.lost += 1
                continue
            if len(data) + (48 if ":" in remote else 28) > link.mtu:
                counters.too_big += 1
                continue
            arrival = now + link.delay
            if link.rate:
                begin = max(now, self._busy.get((source, remote), now))
                if (begin - now) * link.rate > link.queue:
                    counters.overflowed += 1
                    continue
                done = self._busy[source, remote] = begin + len(data) / link.rate
                arrival += done - now
            if link.jitter:
                arrival += link.jitter * chance()
            if link.reorder and chance() < link.reorder:
                counters.reordered += 1
                arrival += link.delay * (1 + 3 * chance())
            if link.corrupt and chance() < link.corrupt:
                counters.corrupted += 1
                data = self._corrupted(data)
            key = (source, host.udp_port, remote)
            self._number += 1
            heappush(flying, (arrival, self._number, target, data, key))
            if link.duplicate and chance() < link.duplicate:
                counters.duplicated += 1
                self._number += 1
                heappush(flying, (arrival + link.delay * chance(), self._number, target, data, key))

    def _source(self, host: Host, remote: str) -> str:
        """Return the address that a host sends from: the one beside the peer's on the same network."""
        key = (id(host), remote)
        known = self._sources.get(key)
        if known is None:
            same = [a for a in host.addresses if (":" in a) == (":" in remote)]
            peer = self._at.get(remote)
            peers = [a for a in peer.addresses if (":" in a) == (":" in remote)] if peer else []
            index = peers.index(remote) if remote in peers else 0
            known = "" if not same else same[index] if index < len(same) else same[0]
            self._sources[key] = known
        return known

    def _corrupted(self, data: bytes) -> bytes:
        damaged = bytearray(data)
        bit = self.rng.randrange(8 * len(data))
        damaged[bit >> 3] ^= 1 << (bit & 7)
        return bytes(damaged)

    def step(self) -> bool:
        """Go to the next thing that happens, do all of it that happens at that time; False if nothing will."""
        for host in self.hosts:
            self.flush(host)
        flying = self._flying
        when = flying[0][0] if flying else None
        for host in self.hosts:
            deadline = host.engine.deadline()
            if deadline is not None and (when is None or deadline < when):
                when = deadline
        if when is None:
            return False
        now = self.now = max(self.now, when)
        while flying and flying[0][0] <= now:
            _, _, host, data, key = heappop(flying)
            if self._at.get(key[2]) is host:
                self.counters.delivered += 1
                host.engine.receive(data, key, now)
        for host in self.hosts:
            deadline = host.engine.deadline()
            if deadline is not None and deadline <= now:
                host.engine.expire(now)
        return True

    def run(
        self,
        until: Callable[[], bool] | None = None,
        seconds: float = 3600.0,
        each: Callable[[], None] | None = None,
    ) -> bool:
        """Run until ``until()`` is true, nothing is left to happen, or ``seconds`` of virtual time are over.

        ``each`` is called after each step: there the user takes events and sends. Returns whether ``until()``
        became true. Without ``until``, at the end of the time the clock stands at that end.
        """
        end = self.now + seconds
        while True:
            if each is not None:
                each()
            if until is not None and until():
                return True
            following = self._next()
            if following is None or following > end:
                self.now = max(self.now, end)
                return False
            self.step()

    def _next(self) -> float | None:
        for host in self.hosts:
            self.flush(host)
        times = [self._flying[0][0]] if self._flying else []
        times += [d for d in (host.engine.deadline() for host in self.hosts) if d is not None]
        return min(times) if times else None


def nth_chunk(kind: int, *numbers: int) -> Filter:
    """Return a filter for `Network.drop`: the n-th packets (1 is the first) that hold a chunk of type ``kind``."""
    seen = 0

    def match(data: bytes) -> bool:
        nonlocal seen
        if kind not in chunk_types(data):
            return False
        seen += 1
        return seen in numbers

    return match


def chunk_types(data: bytes) -> list[int]:
    """Return the types of the chunks of a packet (RFC 9260 section 3.2), up to the first that is cut off."""
    types, position = [], 12
    while position + 4 <= len(data):
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        types.append(data[position])
        if length < 4:
            break
        position += (length + 3) & ~3
    return types
