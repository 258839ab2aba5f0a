"""Making packets: what goes out on which path, bundled how.

RFC 9260 sections 6.1 (rules A to E), 6.4 (choice of path), 6.10 (bundling) and 7.2.4 rule 3. Called once for
each association that has something to say (``flush``), after a batch of input. Packets are joined once,
checksum last.

Max.Burst (rule D) limits by how much the flight may grow in one call: what the SACKs of this batch took out
may be replaced, and Max.Burst packets more. So one SACK for many packets does not strangle the sender, and
none bursts.

Nagle-like rule (section 6.1): unless ``nodelay`` is set, a packet that would not be full waits while anything
is in flight. The rest of a fragmented message never waits.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from ..wire.chunks import DATA_HEADER_SIZE, IMMEDIATE
from ..wire.packet import seal
from . import forward
from .inbound import encode_sack
from .outbound import MARKED, SENT, Item

if TYPE_CHECKING:
    from .association import Association
    from .flight import Flight
    from .path import Path

MIN_FRAGMENT = 512  # bytes of user data worth cutting off to fill a packet that has other chunks
WINDOW_ITEMS = 32767  # chunks in flight at most: SSNs stay unambiguous (section 6.1), gap blocks can name them all


def emit(a: Association, path: Path, parts: list[bytes]) -> None:
    """Send encoded chunks as one packet to a path."""
    engine = a.engine
    data = seal(a.header, b"".join(parts), a.checksum_out)
    engine.outbox.append((data, path.key))
    counters = engine.counters
    counters.out_packets += 1
    counters.out_octets += len(data)


def flush(a: Association, now: float) -> None:
    """Send what may be sent: retransmissions, new data, then whatever control chunks are left over."""
    if a.sends_data:
        f = a.flight
        if f.marked:
            _send_marked(a, now)
        queue = a.outbound.queue
        if (
            queue
            and not ((f.marked or f.closed) and _holes_first(f))
            and (len(queue) > 1 or f.items or not _send_lone(a, queue[0], now))
        ):
            _send_new(a, now)
        for path in a.paths.values():
            path.burst_credit = 0
    elif a.bundle_one and a.control:  # COOKIE ECHO with the first packet of DATA (section 5.1)
        if a.flight.marked:
            _send_marked(a, now)
        elif a.outbound.queue:
            _send_new(a, now)
    if a.inbound.sack_now or a.control:
        send_head(a)


def send_head(a: Association) -> None:
    """Send waiting control chunks and a due SACK without data."""
    control_path = a.reply_path or a.current
    parts, _ = _head(a, control_path)
    if parts:
        emit(a, control_path, parts)
    if a.inbound.sack_now:
        path = sack_path(a)
        emit(a, path, [encode_sack(a, path.payload)])


def sack_path(a: Association) -> Path:
    """Return where SACKs go: to where the last DATA came from (section 6.4), if it may be used."""
    source = a.inbound.source
    return source if source is not None and source.confirmed else a.current


def _head(a: Association, path: Path) -> tuple[list[bytes], int]:
    """Take the chunks that come before DATA in the next packet to ``path``; and the room they leave."""
    parts: list[bytes] = []
    i, room = a.inbound, path.payload
    if a.control and (a.reply_path or a.current) is path:
        parts = a.control
        a.control = []
        a.reply_path = None
        room -= sum(map(len, parts))
    if i.unacked and room >= 64 and a.takes_data:
        source = i.source
        if source is path if source is not None and source.confirmed else a.current is path:  # as in sack_path
            sack = encode_sack(a, room)
            parts.append(sack)
            room -= len(sack)
    return parts, room


def _start_t3(a: Association, path: Path, now: float, restart: bool = False) -> None:
    if path.t3 == inf or restart:
        path.t3 = when = now + path.rto
        if when < a.scheduled:
            a.arm(when)
    path.last_used = path.last_data = now


def _send_marked(a: Association, now: float) -> None:
    """Send chunks marked for retransmission, lowest TSN first, as the windows of path (rule C) and peer allow.

    Beyond the peer's window (it counts more than user data, and drops what is too much) only the packet of a fast
    retransmission goes, and one while nothing is in flight: T3 then serves as it does for zero window probes.
    """
    f = a.flight
    if a.forward_tsn and a.sends_data:
        forward.give_up_late(a, now)
    marked = [item for item in f.marked if item.state == MARKED]
    position, count = 0, len(marked)
    oldest = f.items[0] if f.items else None
    single = not a.sends_data
    while position < count:
        path = marked[position].path
        if path is None or not path.usable:
            path = a.current
        beyond = path.rtx_ignores_cwnd
        if beyond:
            path.rtx_ignores_cwnd = False
        elif path.flight >= path.cwnd or (path.one_packet and path.flight):
            break
        elif marked[position].length > f.peer_rwnd:
            if f.outstanding:
                break
            beyond = f.probing = path.one_packet = True
        parts, room = _head(a, path)
        if parts and marked[position].length > room and not single:
            emit(a, path, parts)
            parts, room = [], path.payload
        start, restart = position, False
        while position < count:
            item = marked[position]
            if (item.length > room and parts) or (
                item.path is not path and item.path is not None and item.path.usable
            ):
                break
            if item.length > f.peer_rwnd and not beyond:
                break
            room -= item.length
            parts.append(item.chunk)
            item.state = SENT
            item.path = path
            path.flight += item.length
            f.outstanding += item.length
            f.peer_rwnd = max(f.peer_rwnd - item.length, 0)
            restart = restart or item is oldest
            position += 1
        emit(a, path, parts)
        a.engine.counters.retransmitted_chunks += position - start
        _start_t3(a, path, now, restart)
        if single:
            break
    f.marked = marked[position:]


def _send_new(a: Association, now: float) -> None:
    """Send queued messages, in as few packets as may be, while the rules allow it."""
    o, f, config = a.outbound, a.flight, a.config
    queue, outstanding_items = o.queue, f.items
    fragment_limit, burst, nodelay = a.fragment_size, config.max_burst, config.nodelay
    single = not a.sends_data
    path: Path | None = None
    limit = 0
    chunks_before = f.next_tsn
    while queue:
        item = queue[0]
        if item.expires <= now and not item.offset:
            a.give_up_first(now)
            continue
        choice = item.path
        if choice is None or not choice.usable:
            choice = a.current
        if choice is not path:
            path = choice
            if now - path.last_data >= path.rto:
                path.decay(now)
            limit = path.cwnd
            if burst:  # rule D
                allowed = path.flight + path.burst_credit + burst * path.payload
                if allowed < limit:
                    limit = allowed
        in_flight = path.flight
        if (in_flight and (in_flight >= limit or path.one_packet)) or len(outstanding_items) >= WINDOW_ITEMS:
            break
        if not nodelay and f.outstanding and o.bytes < path.payload and _hold_back(a, path):
            break
        left = item.size - item.offset
        need = (left if left < fragment_limit else fragment_limit) + DATA_HEADER_SIZE
        rwnd = f.peer_rwnd
        if need > rwnd and not _may_probe(a, path, now):
            break
        parts, room = _head(a, path)
        if parts and room < need and (room < 128 or item.size <= fragment_limit):
            if single:
                emit(a, path, parts)
                break
            emit(a, path, parts)
            parts, room = [], path.payload
        extra = IMMEDIATE if path.one_packet else 0  # the peer should not delay this SACK (RFC 7053)
        sent, tsn = 0, f.next_tsn
        while True:
            if left <= fragment_limit and not item.offset:
                if sent:
                    need = DATA_HEADER_SIZE + ((left + 3) & ~3)
                    if need > room or need > rwnd:
                        break
                item = o.take_whole(tsn, extra)
            else:
                size = min(left, fragment_limit, max(room - DATA_HEADER_SIZE, 4))
                if size < left:
                    size &= ~3
                if sent and (size + DATA_HEADER_SIZE > rwnd or size < min(left, MIN_FRAGMENT)):
                    break
                if not item.offset:
                    a.engine.counters.fragmented_messages += 1
                item = o.take_fragment(tsn, size, extra)
            tsn += 1
            length = item.length
            room -= length
            sent += length
            rwnd -= length
            item.path = path
            outstanding_items.append(item)
            parts.append(item.chunk)
            if not path.timing:
                path.timing = True
                item.timed = now
            if room <= DATA_HEADER_SIZE or not queue:
                break
            item = queue[0]
            left = item.size - item.offset
            if item.path is not None and item.path is not path:
                break
            if item.expires <= now and not item.offset:
                break
        f.next_tsn = tsn
        f.peer_rwnd = rwnd if rwnd > 0 else 0
        path.flight = in_flight + sent
        f.outstanding += sent
        emit(a, path, parts)
        if path.t3 == inf:
            path.t3 = when = now + path.rto
            if when < a.scheduled:
                a.arm(when)
        path.last_used = path.last_data = now
        if single:
            break
    a.engine.counters.out_data_chunks += f.next_tsn - chunks_before


def _send_lone(a: Association, item: Item, now: float) -> bool:
    """Send the only message there is while nothing is in flight, if it is whole and has no wishes; else False.

    All the messages of a dialogue are such. The same as in ``_send_new``, without the rules that have nothing to
    decide then: congestion window, Max.Burst, the Nagle-like rule.
    """
    f = a.flight
    need = item.size + DATA_HEADER_SIZE
    if (
        need > f.peer_rwnd
        or item.size > a.fragment_size
        or item.offset
        or item.path is not None
        or item.expires <= now
    ):
        return False
    path = a.current
    if now - path.last_data >= path.rto:
        path.decay(now)
    parts, room = _head(a, path)
    if need > room:
        emit(a, path, parts)
        parts = []
    tsn = f.next_tsn
    a.outbound.take_whole(tsn, IMMEDIATE if path.one_packet else 0)
    f.next_tsn = tsn + 1
    length = item.length
    rwnd = f.peer_rwnd - length
    f.peer_rwnd = rwnd if rwnd > 0 else 0
    item.path = path
    f.items.append(item)
    path.flight = f.outstanding = length
    if not path.timing:
        path.timing = True
        item.timed = now
    parts.append(item.chunk)
    emit(a, path, parts)
    if path.t3 == inf:
        path.t3 = when = now + path.rto
        if when < a.scheduled:
            a.arm(when)
    path.last_used = path.last_data = now
    a.engine.counters.out_data_chunks += 1
    return True


def _holes_first(f: Flight) -> bool:
    """Tell whether new data would take the room that a peer short of memory needs to close its holes (rule C)."""
    return bool(f.marked and f.marked[0].length > f.peer_rwnd) or (f.closed and f.recovery_exit is not None)


def _hold_back(a: Association, path: Path) -> bool:
    """Nagle-like rule: tell whether the queue is too little for a packet while data is in flight."""
    o = a.outbound
    first = o.queue[0]
    return (
        not first.offset
        and not a.closing
        and not first.flags & IMMEDIATE
        and o.bytes + (DATA_HEADER_SIZE + 3) * len(o.queue) < path.payload
    )


def _may_probe(a: Association, path: Path, now: float) -> bool:
    """Rule A: the peer's window has no room for the next chunk; tell whether one may go nevertheless.

    Not while anything is in flight. Into a window that is open but smaller than the chunk, it goes at once. A zero
    window probe waits for one RTO, then doubles it: T3 serves as the timer, as nothing is in flight.
    """
    f = a.flight
    if f.outstanding or f.marked:
        return False
    if f.peer_rwnd:
        return True
    if f.probe:
        f.probe = False
        f.probing = True
        return True
    if path.t3 == inf:
        path.t3 = now + path.rto
        a.arm(path.t3)
    return False
