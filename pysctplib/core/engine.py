"""The engine: five calls that drive everything, and the way from a packet to its association.

RFC 9260 sections 8.4 (out of the blue), 8.5 (verification tag), 6.10 (what may not be bundled) and 5.1.2 D;
RFC 6951 section 5.4 (UDP ports are learned only from packets whose tag was checked). No clock, no socket:
``now`` is an argument, datagrams go in and come out. The contract is in docs/design.md section 2.
"""

from __future__ import annotations

import errno
import secrets
from collections.abc import Callable, Iterable
from heapq import heapify, heappop
from math import inf
from typing import Protocol, TypeAlias

from ..errors import DecodeError
from ..wire import causes, chunks, packet, params
from ..wire.crc32c import extend
from ..wire.packet import HEADER, HEADER_SIZE, checksum_of, unpack_checksum
from . import setup, teardown, timers
from .addresses import canonical
from .association import Association
from .config import Config
from .cookie import Jar
from .counters import Counters
from .dispatch import receive
from .endpoint import Endpoint
from .events import Event
from .path import PathKey
from .states import SETTING_UP, SHUTDOWN_ACK_SENT
from .transmit import flush

Datagram: TypeAlias = tuple[bytes, PathKey]

OOTB_RATE = 100.0  # answers a second to packets out of the blue, so that nobody can use us to flood a third
OOTB_BURST = 200.0
DEFAULT_MTU = 1500


class Rng(Protocol):
    """What the engine needs of a source of randomness."""

    def getrandbits(self, k: int, /) -> int:
        """Return an integer of ``k`` random bits."""

    def random(self) -> float:
        """Return a number in 0 <= x < 1."""


def _no_addresses(peer: str) -> list[str]:
    return []


def _default_mtu(address: str) -> int:
    return DEFAULT_MTU


class Engine:
    """All endpoints and associations of one driver."""

    def __init__(
        self,
        rng: Rng | None = None,
        mtu_of: Callable[[str], int] | None = None,
        now: float = 0.0,
        local_addresses: Callable[[str], Iterable[str]] | None = None,
    ) -> None:
        """Make an engine.

        ``rng``: None for the system's secure source. ``mtu_of(address)``: IP MTU in bytes towards an address.
        ``local_addresses(peer)``: own addresses that this peer may use, for endpoints bound to any.
        """
        self.rng: Rng = rng or secrets.SystemRandom()
        self.mtu_of = mtu_of or _default_mtu
        self.local_addresses = local_addresses or _no_addresses
        self.counters = Counters()
        self.answer_ootb = True
        self.endpoints: dict[int, Endpoint] = {}
        self.associations: dict[int, Association] = {}
        self.by_tag: dict[int, Association] = {}
        self.by_header: dict[bytes, Association] = {}  # ports and tag of the packets that are for it
        self.by_peer: dict[tuple[int, str, int], Association] = {}  # local port, remote address, remote port
        self.dirty: list[Association] = []
        self.outbox: list[Datagram] = []
        self.queued_events: list[Event] = []
        self.heap: list[tuple[float, int]] = []  # (time, association id); entries may be out of date
        self.jar = Jar(lambda n: self.rng.getrandbits(8 * n).to_bytes(n, "big"), now)
        self._last_id = 2  # RFC 6458 section 7.2 gives 0 to 2 a meaning of their own
        self._ootb_credit = OOTB_BURST
        self._ootb_at = now

    # ---- the five calls

    def receive(self, data: bytes, path: PathKey, now: float) -> None:
        """Process one SCTP packet; never raises because of what is in it."""
        counters = self.counters
        counters.in_packets += 1
        size = len(data)
        counters.in_octets += size
        if size < HEADER_SIZE + 4:
            counters.drop("short packet")
            return
        a = self.by_header.get(data[:8])
        begun = checksum_of(data[:8]) if a is None else a.checksum_in  # else as in packet.checksum_ok
        if extend(begun, data[HEADER_SIZE:]) != unpack_checksum(data, 8)[0]:
            counters.checksum_errors += 1
            counters.drop("bad checksum")
            return
        if a is None or data[12] in _SETUP_CHUNKS:
            peer_port, local_port, tag = HEADER.unpack_from(data)
            self._receive_special(data, path, local_port, peer_port, tag, now)
            return
        known = a.paths.get(path[0])
        if known is None:
            counters.drop("right tag from a foreign address")
            return
        if known.key != path:
            known.learn(path)
        receive(a, data, known, HEADER_SIZE, now)

    def output(self, now: float) -> list[Datagram]:
        """Return what is to be sent."""
        if self.dirty:
            dirty, self.dirty = self.dirty, []
            for a in dirty:
                a.dirty = False
                if a.local_tag in self.by_tag:
                    flush(a, now)
        out, self.outbox = self.outbox, []
        return out

    def deadline(self) -> float | None:
        """Return when ``expire`` is to be called at the latest, None if there is no need."""
        return self.heap[0][0] if self.heap else None

    def expire(self, now: float) -> None:
        """Run due timers."""
        heap = self.heap
        while heap and heap[0][0] <= now:
            when, identifier = heappop(heap)
            a = self.associations.get(identifier)
            if a is not None and a.scheduled == when:
                a.scheduled = inf
                timers.run(a, now)
        if len(heap) > 64 + 4 * len(self.associations):
            self.heap = [(a.scheduled, a.id) for a in self.associations.values() if a.scheduled < inf]
            heapify(self.heap)

    def events(self) -> list[Event]:
        """Return what happened since the last call, in order."""
        events = self.queued_events
        if not events:
            return []
        result = events[:]
        events.clear()
        return result

    # ---- endpoints

    def open(self, port: int, addresses: Iterable[str] = (), config: Config | None = None) -> Endpoint:
        """Return a new endpoint on an SCTP port (1..65535). OSError EADDRINUSE; ValueError for bad arguments."""
        if not 0 < port < 65536:
            raise ValueError(f"SCTP port {port}")
        if port in self.endpoints:
            raise OSError(errno.EADDRINUSE, f"SCTP port {port} is in use")
        config = config.copy() if config is not None else Config()
        config.check()
        endpoint = Endpoint(self, port, tuple(map(canonical, addresses)), config)
        self.endpoints[port] = endpoint
        return endpoint

    # ---- shared by the procedures

    def new_id(self) -> int:
        """Return an association identifier, never used before."""
        self._last_id += 1
        return self._last_id

    def new_tag(self) -> int:
        """Return a random verification tag, not 0, not in use, nor used a moment ago (section 5.3.1)."""
        while True:
            tag = self.rng.getrandbits(32)
            if tag and tag not in self.by_tag and not self.jar.spent(tag):
                return tag

    def find(self, local_port: int, addresses: Iterable[str], peer_port: int) -> Association | None:
        """Return the association with a peer that has one of these addresses (section 5.1.2 D)."""
        for address in addresses:
            a = self.by_peer.get((local_port, address, peer_port))
            if a is not None:
                return a
        return None

    def forget(self, a: Association) -> None:
        """Drop an association from all tables, and its endpoint if that was waiting for it."""
        if self.associations.pop(a.id, None) is None:
            return
        self.by_tag.pop(a.local_tag, None)
        self.by_header.pop(a.header_in, None)
        for path in a.paths.values():
            self.by_peer.pop((a.endpoint.port, path.address, a.peer_port), None)
        if a.established:
            self.counters.current_established -= 1
        endpoint = a.endpoint
        endpoint.associations.pop(a.id, None)
        if endpoint.closed and not endpoint.associations:
            self.endpoints.pop(endpoint.port, None)

    def reply(self, path: PathKey, local_port: int, peer_port: int, tag: int, chunk: bytes) -> None:
        """Send one encoded chunk outside of an association's order."""
        data = packet.pack(local_port, peer_port, tag, (chunk,))
        self.outbox.append((data, path))
        self.counters.out_packets += 1
        self.counters.out_octets += len(data)
        self.counters.out_control_packets += 1

    def refuse(
        self, path: PathKey, local_port: int, peer_port: int, tag: int, listed: list[causes.Cause], flags: int = 0
    ) -> None:
        """Send an ABORT to somebody without an association."""
        value = causes.encode(listed, setup.REFUSAL)
        self.reply(path, local_port, peer_port, tag, packet.chunk(chunks.ABORT, flags, value))

    def _may_answer(self, now: float) -> bool:
        """Token bucket for answers to what is out of the blue (RFC 5062 section 5)."""
        credit = min(self._ootb_credit + (now - self._ootb_at) * OOTB_RATE, OOTB_BURST)
        self._ootb_at = now
        self._ootb_credit = credit - 1 if credit >= 1 else credit
        if credit < 1:
            self.counters.drop("answer out of the blue: over the rate")
        return credit >= 1

    # ---- packets that are not simply the next one of an association

    def _receive_special(
        self, data: bytes, path: PathKey, local_port: int, peer_port: int, tag: int, now: float
    ) -> None:
        """Packets of the set-up, packets with another tag than ours, packets out of the blue."""
        drop = self.counters.drop
        try:
            contents = list(packet.walk(data))
        except DecodeError:
            drop("malformed packet")
            return
        kind, flags, value = contents[0]
        if not local_port or not peer_port:
            drop("port 0")
            return
        if kind == chunks.INIT or tag == 0:
            if kind != chunks.INIT or tag or len(contents) > 1:  # section 8.5.1 A
                drop("INIT that is bundled or has a tag, or no tag")
            else:
                setup.on_init(self, local_port, peer_port, value, path, now)
            return
        if kind == chunks.COOKIE_ECHO:
            a = setup.on_cookie_echo(self, local_port, peer_port, tag, value, path, now)
            if a is not None and path[0] in a.paths:
                known = a.paths[path[0]]
                if known.key != path:
                    known.learn(path)
                receive(a, data, known, HEADER_SIZE + ((4 + len(value) + 3) & ~3), now)
            return
        a = self.by_tag.get(tag)
        if a is not None and a.peer_port == peer_port and a.endpoint.port == local_port:
            # The tag is right: INIT ACK, perhaps from another address than the INIT went to, or a chunk that
            # must be alone.
            if len(contents) > 1:
                drop("bundled INIT ACK or SHUTDOWN COMPLETE")
            elif kind == chunks.INIT_ACK:
                setup.on_init_ack(a, flags, value, a.paths.get(path[0]), path, now)
            elif path[0] in a.paths:
                receive(a, data, a.paths[path[0]], HEADER_SIZE, now)
            else:
                drop("right tag from a foreign address")
            return
        a = self.by_peer.get((local_port, path[0], peer_port))
        if a is None:
            self._out_of_the_blue(contents, path, local_port, peer_port, tag, now)
        elif kind in (chunks.ABORT, chunks.SHUTDOWN_COMPLETE) and flags & chunks.T_BIT and tag == a.peer_tag:
            # Reflected tag (section 8.5.1 B and C).
            if kind == chunks.ABORT:
                teardown.on_abort(a, flags, value, a.paths[path[0]], now)
            elif a.state is SHUTDOWN_ACK_SENT:
                teardown.on_shutdown_complete(a, flags, value, a.paths[path[0]], now)
            else:
                drop("SHUTDOWN COMPLETE in a wrong state")
        elif kind == chunks.SHUTDOWN_ACK and a.state in SETTING_UP:
            self._shutdown_complete(path, local_port, peer_port, tag, now)  # section 9.2
        else:
            drop("wrong verification tag")

    def _shutdown_complete(self, path: PathKey, local_port: int, peer_port: int, tag: int, now: float) -> None:
        if self._may_answer(now):
            self.reply(path, local_port, peer_port, tag, packet.chunk(chunks.SHUTDOWN_COMPLETE, chunks.T_BIT, b""))

    def _out_of_the_blue(
        self,
        contents: list[tuple[int, int, bytes]],
        path: PathKey,
        local_port: int,
        peer_port: int,
        tag: int,
        now: float,
    ) -> None:
        """Answer by the rules of section 8.4."""
        self.counters.out_of_the_blue += 1
        if not self.answer_ootb and local_port not in self.endpoints:
            self.counters.drop("out of the blue, foreign port")
            return
        kinds = {kind for kind, _, _ in contents}
        stale = any(kind == chunks.ERROR and _is_stale(value) for kind, _, value in contents)
        if chunks.ABORT in kinds:  # rule 2
            self.counters.drop("out of the blue, no answer due")
        elif chunks.SHUTDOWN_ACK in kinds:  # rule 5
            self._shutdown_complete(path, local_port, peer_port, tag, now)
        elif stale or kinds & _OOTB_SILENT:  # rules 6 and 7
            self.counters.drop("out of the blue, no answer due")
        elif self._may_answer(now):
            self.refuse(path, local_port, peer_port, tag, [], chunks.T_BIT)


_SETUP_CHUNKS = frozenset((chunks.INIT, chunks.INIT_ACK, chunks.COOKIE_ECHO, chunks.SHUTDOWN_COMPLETE))
_OOTB_SILENT = frozenset((chunks.SHUTDOWN_COMPLETE, chunks.COOKIE_ACK))


def _is_stale(value: bytes) -> bool:
    return len(value) >= 2 and params.U16.unpack_from(value)[0] == causes.STALE_COOKIE
