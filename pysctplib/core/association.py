"""One association: its state and the user's calls.

RFC 9260 sections 4, 8.1, 8.2 and 11.1. The procedures live in ``dispatch`` (incoming packets), ``setup``,
``teardown``, ``flight``, ``inbound``, ``transmit``, ``heartbeat`` and ``timers``; this module holds what they
share.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from heapq import heappush
from math import inf
from typing import TYPE_CHECKING

from ..wire import causes, chunks, packet
from ..wire.chunks import DATA_HEADER_SIZE
from . import flight, heartbeat, inbound, setup, teardown
from .addresses import canonical
from .config import Config
from .events import Event, PathChange, SenderDry, SendFailed, Writable
from .flight import Flight
from .inbound import Inbound
from .outbound import ABANDONED, ACKED, Item, Outbound, new_item
from .path import ACTIVE, INACTIVE, Path, PathKey
from .serial import MASK
from .states import (
    CLOSED,
    SENDS_DATA,
    SETTING_UP,
    SHUTDOWN_SENT,
    TAKES_DATA,
    TRANSITIONS,
    State,
)
from .transmit import emit, sack_path

if TYPE_CHECKING:
    from .endpoint import Endpoint
    from .engine import Engine


@dataclass(slots=True)
class Status:
    """A snapshot for the user (RFC 9260 section 11.1.8, RFC 6458 section 8.2.1). Sizes in bytes."""

    state: State
    peer_rwnd: int
    unacknowledged_chunks: int
    queued_bytes: int
    inbound_streams: int
    outbound_streams: int
    fragment_size: int
    primary: Path


class Association:
    """State of one association. Attributes of design.md section 2 are the user's; the rest is the engine's."""

    __slots__ = (
        "above_half", "buffered", "bundle_one", "checksum_in", "checksum_out", "closing", "config", "control",
        "current", "dirty", "doomed", "endpoint", "engine", "error_count", "established", "events", "flight",
        "forward_tsn", "fragment_size", "header", "header_in", "id", "inbound", "inbound_streams",
        "last_activity", "local_tag", "outbound", "outbound_streams", "paths", "peer_adaptation", "peer_port",
        "peer_tag", "pending", "primary", "reply_path", "scheduled", "sends_data", "shutdown_count", "state", "t1",
        "t2", "t5", "t_autoclose", "takes_data", "ties", "user",
    )  # fmt: skip

    current: Path  # where new data goes
    primary: Path  # where the user wants it to go

    def __init__(
        self, endpoint: Endpoint, identifier: int, peer_port: int, local_tag: int, config: Config
    ) -> None:
        self.engine: Engine = endpoint.engine
        self.endpoint = endpoint
        self.id = identifier
        self.config = config
        self.events: list[Event] = self.engine.queued_events
        self.state = CLOSED
        self.sends_data = self.takes_data = False
        self.peer_port = peer_port
        self.local_tag = local_tag
        self.peer_tag = 0
        self.ties = (0, 0)  # tie-tags of section 5.2.2; (0, 0) until an unexpected INIT
        self.paths: dict[str, Path] = {}
        self.outbound_streams = config.outbound_streams
        self.inbound_streams = config.max_inbound_streams
        self.outbound = Outbound()
        self.flight = Flight(0)
        self.inbound = Inbound(0, config.receive_buffer)
        self.buffered = 0
        self.above_half = False
        self.control: list[bytes] = []  # encoded chunks for the next packet
        self.reply_path: Path | None = None  # where they go; None: where data goes
        self.forward_tsn = False  # both ends know RFC 3758
        self.bundle_one = False  # COOKIE-ECHOED: one packet of DATA may go with COOKIE ECHO
        self.pending: setup.Pending | None = None
        self.peer_adaptation: int | None = None
        self.error_count = 0
        self.shutdown_count = 0
        self.closing = False
        self.established = False  # was, at some time
        self.doomed = b""
        self.dirty = False
        self.fragment_size = 0
        self.last_activity = 0.0
        self.t1 = self.t2 = self.t5 = self.t_autoclose = inf
        self.scheduled = inf  # the time of this association's valid entry in the engine's heap
        self.user: object = None  # for whoever drives the engine
        self.set_peer_tag(0)
        self.header_in = packet.HEADER.pack(peer_port, endpoint.port, local_tag)
        self.checksum_in = packet.checksum_of(self.header_in)

    def __repr__(self) -> str:
        return f"<Association {self.id} {self.state.value} port {self.endpoint.port} to {self.peer_port}>"

    # ---- the user's calls (section 11.1)

    def send(
        self,
        data: bytes,
        stream: int,
        now: float,
        ppid: int = 0,
        unordered: bool = False,
        lifetime: float | None = None,
        context: int = 0,
        path: str | None = None,
        immediate: bool = False,
    ) -> None:
        """Queue one message (section 11.1.5).

        ``ppid`` is in host order, ``lifetime`` in seconds, after which it is not sent any more (to peers that know
        RFC 3758 not again either), ``path`` an address of the peer to prefer. OSError: EPIPE after shutdown,
        EAGAIN if the buffer is full, EINVAL for an empty message, a bad stream or ppid, EMSGSIZE if fragmentation
        is disabled and needed, EADDRNOTAVAIL.
        """
        if self.closing or (not self.sends_data and self.state not in SETTING_UP):
            code = errno.ENOTCONN if self.state is CLOSED else errno.EPIPE
            raise OSError(code, "the association is closed or being shut down")
        if type(data) is not bytes:
            data = bytes(memoryview(data))
        size = len(data)
        if not size or stream & 0xFFFF != stream or stream >= self.outbound_streams:
            raise OSError(errno.EINVAL, "empty message" if not size else f"no stream {stream}")
        if ppid and ppid & MASK != ppid:
            raise OSError(errno.EINVAL, f"payload protocol identifier {ppid}")
        limit = self.config.send_buffer
        buffered = self.buffered
        if buffered >= limit:  # like kernels: any room takes a whole message
            self.above_half = True
            raise OSError(errno.EAGAIN, "the send buffer is full")
        flags = chunks.UNORDERED if unordered else 0
        if immediate:
            flags |= chunks.IMMEDIATE
        target = None
        if path is not None:
            target = self.paths.get(canonical(path))
            if target is None:
                raise OSError(errno.EADDRNOTAVAIL, f"{path} is not an address of the peer")
        if size > self.fragment_size and self.config.disable_fragments:
            raise OSError(errno.EMSGSIZE, f"{size} bytes do not fit into one chunk")
        expires = inf if lifetime is None else now + lifetime
        item = new_item(data, size, stream, ppid, flags, context, target, expires)
        outbound = self.outbound
        outbound.queue.append(item)
        outbound.bytes += size
        self.buffered = buffered = buffered + size
        if buffered > limit >> 1:
            self.above_half = True
        self.last_activity = now
        if not self.dirty:
            self.dirty = True
            self.engine.dirty.append(self)

    consumed = inbound.consumed  # (n, now): no second call for each message

    def shutdown(self, now: float) -> None:
        """Begin a graceful shutdown (section 11.1.3)."""
        teardown.begin(self, now)

    def abort(self, now: float, reason: bytes = b"") -> None:
        """Abort (section 11.1.4); ``reason`` goes to the peer."""
        if self.state is not CLOSED:
            teardown.abort(self, [(causes.USER_ABORT, bytes(reason))], errno.ECONNABORTED)

    def set_primary(self, address: str) -> None:
        """Prefer a destination (section 11.1.6). OSError EINVAL if it is unknown or not confirmed."""
        path = self.paths.get(canonical(address))
        if path is None or not path.confirmed:
            raise OSError(errno.EINVAL, f"{address} is not a confirmed address of the peer")
        self.primary = path
        self.events.append(PathChange(self, path.address, "made-primary"))
        self.choose_current()

    def request_heartbeat(self, address: str, now: float) -> None:
        """Send a heartbeat at once (section 11.1.10). OSError EINVAL for an unknown address."""
        path = self.paths.get(canonical(address))
        if path is None:
            raise OSError(errno.EINVAL, f"{address} is not an address of the peer")
        heartbeat.send(self, path, now)

    def status(self) -> Status:
        """Return a snapshot (section 11.1.8)."""
        f = self.flight
        return Status(
            self.state, f.peer_rwnd, len(f.items), self.outbound.bytes, self.inbound_streams,
            self.outbound_streams, self.fragment_size, self.primary,
        )  # fmt: skip

    # ---- shared by the procedures

    def touch(self) -> None:
        """Have ``output`` look at this association."""
        if not self.dirty:
            self.dirty = True
            self.engine.dirty.append(self)

    def arm(self, when: float) -> None:
        """Make sure that the engine wakes this association at ``when`` at the latest."""
        if when < self.scheduled:
            self.scheduled = when
            heappush(self.engine.heap, (when, self.id))

    def move(self, cause: str) -> None:
        """Go to the next state by ``states.TRANSITIONS``."""
        state = TRANSITIONS[self.state, cause]
        self.state = state
        self.sends_data = state in SENDS_DATA
        self.takes_data = state in TAKES_DATA

    def set_peer_tag(self, tag: int) -> None:
        """Set the tag that goes into outgoing packets."""
        self.peer_tag = tag
        self.header = packet.HEADER.pack(self.endpoint.port, self.peer_port, tag)
        self.checksum_out = packet.checksum_of(self.header)

    def replace_tag(self, tag: int) -> None:
        """Take a new local tag (restart)."""
        by_tag, by_header = self.engine.by_tag, self.engine.by_header
        del by_tag[self.local_tag], by_header[self.header_in]
        self.local_tag = tag
        self.header_in = packet.HEADER.pack(self.peer_port, self.endpoint.port, tag)
        self.checksum_in = packet.checksum_of(self.header_in)
        by_tag[tag] = by_header[self.header_in] = self

    def ensure_ties(self) -> None:
        """Give this association tie-tags (section 5.2.2): random, not 0."""
        if self.ties == (0, 0):
            rng = self.engine.rng
            self.ties = (rng.getrandbits(32) or 1, rng.getrandbits(32) or 1)

    def add_path(self, key: PathKey, confirmed: bool) -> Path:
        """Return the path to an address, new if it was not known."""
        path = self.paths.get(key[0])
        if path is None:
            mtu = self.config.path_mtu or self.engine.mtu_of(key[0])
            path = self.paths[key[0]] = Path(key, mtu, self.config, confirmed)
            self.engine.by_peer[self.endpoint.port, key[0], self.peer_port] = self
        elif confirmed and not path.confirmed:
            path.set_state(ACTIVE)
        return path

    def drop_path(self, path: Path) -> None:
        """Forget an address of the peer."""
        del self.paths[path.address]
        self.engine.by_peer.pop((self.endpoint.port, path.address, self.peer_port), None)

    def refresh_fragment_size(self) -> None:
        """Set the user bytes per chunk: what fits all paths (AMDCS, section 6.9), or less if configured."""
        size = min(path.payload for path in self.paths.values()) - DATA_HEADER_SIZE
        self.fragment_size = min(size, self.config.max_fragment) if self.config.max_fragment else size

    def adopt(self, tsn: int, peer_tsn: int, peer_rwnd: int, outbound_streams: int, inbound_streams: int) -> None:
        """Start the transfer state with negotiated values; messages already queued stay."""
        self.flight = Flight(tsn)
        self.flight.peer_rwnd = self.flight.a_rwnd = peer_rwnd
        self.inbound = Inbound(peer_tsn, self.config.receive_buffer)
        self.outbound_streams = outbound_streams
        self.inbound_streams = inbound_streams

    def forget_transfer(self) -> None:
        """Drop all transfer state and timers (restart)."""
        inbound.give_up_partial(self)
        self.outbound = Outbound()
        self.buffered = self.error_count = self.shutdown_count = 0
        self.above_half = self.closing = False
        self.control = []
        self.reply_path = None
        self.t1 = self.t2 = self.t5 = inf

    def mark_path(self, path: Path, alternate: Path) -> int:
        """Mark what is in flight on a path for retransmission."""
        return flight.mark_path(self.flight, path, alternate)

    def requeue_all(self) -> None:
        """Put unacknowledged messages back into the queue: their TSNs are void (collision, stale cookie)."""
        o = self.outbound
        for item in reversed(self.flight.items):
            if item.state == ABANDONED:
                self.buffered -= item.size
                continue
            message = item.message or item
            if item.message is None:
                item.data = item.chunk[DATA_HEADER_SIZE : DATA_HEADER_SIZE + item.size]
            if message.offset or item.message is None:
                if not o.queue or o.queue[0] is not message:
                    o.queue.appendleft(message)
                message.offset = 0
                message.path = None
        o.bytes = self.buffered
        o.ssns = {}
        for path in self.paths.values():
            path.flight = 0
            path.t3 = inf
            path.timing = False
        self.flight = Flight(0)

    def start_autoclose(self, now: float) -> None:
        """Start the autoclose timer if the user wants one (RFC 6458 section 8.1.8)."""
        if self.config.autoclose:
            self.t_autoclose = now + self.config.autoclose
            self.arm(self.t_autoclose)

    def report_error(self, cause: causes.Cause) -> None:
        """Queue an ERROR chunk, capped to what a packet may hold."""
        room = self.current.payload // 2
        if sum(map(len, self.control)) < room:
            self.control.append(packet.chunk(chunks.ERROR, 0, causes.encode([cause], room - 4)))
            self.touch()

    def violation(self, now: float, text: bytes) -> None:
        """Abort because of a protocol violation (cause 13)."""
        teardown.abort(self, [(causes.PROTOCOL_VIOLATION, text)], errno.ECONNABORTED)

    def violation_later(self, text: bytes) -> None:
        """The same, once the packet in work is done."""
        self.doomed = text

    def send_sack(self, now: float) -> None:
        """Send a SACK of the present state at once."""
        path = sack_path(self)
        if self.state is SHUTDOWN_SENT:
            return  # SHUTDOWN says it, see packet_done
        emit(self, path, [inbound.encode_sack(self, path.payload)])

    def sack_processed(self, delta: int, now: float) -> None:
        """After a SACK: tell the user, go on with a shutdown, send more."""
        if delta:
            self.last_activity = now
            if self.above_half and self.buffered <= self.config.send_buffer >> 1:
                self.above_half = False
                self.events.append(Writable(self))
            if not self.flight.items and not self.outbound.queue:
                if self.config.sender_dry_events:
                    self.events.append(SenderDry(self))
                if self.closing:
                    teardown.progress(self, now)
                return
        if self.outbound.queue or self.flight.marked:
            self.touch()

    def choose_current(self) -> None:
        """Choose where data goes: the primary if it works, else one alternate (sections 6.4.1 and 8.2)."""
        if self.primary.usable:
            self.current = self.primary
        elif not self.current.usable:
            candidates = [path for path in self.paths.values() if path.usable]
            if candidates:
                self.current = candidates[0]
            else:  # all are inactive: keep trying the one that failed least
                confirmed = [path for path in self.paths.values() if path.confirmed]
                self.current = min(confirmed, key=_errors, default=self.primary)

    def alternate(self, path: Path) -> Path:
        """Return another usable path than the one that failed, if there is one (section 6.4)."""
        for other in self.paths.values():
            if other is not path and other.usable:
                return other
        return path

    def path_failed(self, path: Path, now: float, counts: bool) -> bool:
        """Count an error of a path, and of the association if it ``counts``; False if the association is lost."""
        if counts:
            self.error_count += 1
            if self.error_count > self.config.association_max_retrans:
                teardown.lose(self, errno.ETIMEDOUT)
                return False
        if path.errors <= path.max_retrans:
            path.errors += 1
            if path.errors > path.max_retrans and path.state is not INACTIVE:
                path.set_state(INACTIVE)
                self.events.append(PathChange(self, path.address, "unreachable", errno.ETIMEDOUT))
                self.choose_current()
        return True

    def path_answered(self, path: Path, now: float) -> None:
        """An address answered: clear its errors, mark it active (section 8.2)."""
        path.errors = 0
        if not path.usable:
            change = "available" if path.state is INACTIVE and path.confirmed else "confirmed"
            path.set_state(ACTIVE)
            self.events.append(PathChange(self, path.address, change))
            self.choose_current()

    def fail_streams(self) -> None:
        """Return messages on streams that the negotiation took away."""
        o = self.outbound
        bad = [item for item in o.queue if item.stream >= self.outbound_streams and not item.offset]
        for item in bad:
            o.queue.remove(item)
            o.bytes -= item.size
            self.buffered -= item.size
            self.failed(item, item.data, False, errno.EINVAL)

    def give_up_first(self, now: float) -> None:
        """Return the first message of the queue to the user: its lifetime is over (section 11.1.5)."""
        item = self.outbound.queue[0]
        self.outbound.drop(item)
        self.buffered -= item.size
        self.failed(item, item.data, False, errno.ETIMEDOUT)
        self.sack_processed(1, now)

    def fail_unsent(self, code: int) -> None:
        """Return every message that was not wholly acknowledged to the user (section 11.2.2)."""
        # What was given up was told already.
        seen = {id(item.message or item) for item in self.flight.items if item.state == ABANDONED}
        for item in [*self.flight.items, *self.outbound.queue]:
            message = item.message or item
            if id(message) in seen:
                continue
            if item.message is None and item.data == b"":
                if item.state != ACKED:
                    self.failed(item, item.chunk[DATA_HEADER_SIZE : DATA_HEADER_SIZE + item.size], True, code)
                continue
            seen.add(id(message))
            self.failed(message, message.data, message.offset > 0, code)

    def failed(self, item: Item, data: bytes, sent: bool, code: int) -> None:
        """Return a message to the user (section 11.2.2)."""
        unordered = bool(item.flags & chunks.UNORDERED)
        event = SendFailed(self, data, item.stream, item.ppid, item.context, unordered, sent, code)
        self.events.append(event)

    def remove(self) -> None:
        """Forget the association; its events still reach the user."""
        self.scheduled = inf
        self.inbound.t_sack = inf
        self.t1 = self.t2 = self.t5 = self.t_autoclose = inf
        self.engine.forget(self)


def _errors(path: Path) -> int:
    return path.errors
