"""Outstanding DATA chunks: what SACKs acknowledge, what is lost, what is to be sent again.

RFC 9260 sections 6.2.1 (SACK), 6.3.2 (timer rules R2 to R4), 6.3.3 (T3-rtx) and 7.2.4 (fast retransmit). The
items lie in a deque by TSN without holes, so a cumulative acknowledgement pops a prefix and a gap block finds
its items by index; blocks that were there before are not looked at again. Sending is done in ``transmit``.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import TYPE_CHECKING

from ..wire.chunks import SACK_HEADER_SIZE, unpack_gap, unpack_sack
from . import forward
from .outbound import ABANDONED, ACKED, MARKED, SENT, Item
from .ranges import Ranges, difference, normalise
from .serial import HALF, MASK

if TYPE_CHECKING:
    from .association import Association
    from .path import Path

MISS_LIMIT = 3  # missing reports that start a fast retransmission (section 7.2.4)


class Flight:
    """The send window. TSNs are unwrapped integers; ``cum`` is the Cumulative TSN Ack Point."""

    __slots__ = (
        "a_rwnd", "abandoned", "closed", "cum", "gaps", "items", "marked", "next_tsn", "outstanding", "peer_rwnd",
        "probe", "probing", "recovery_exit", "sack_at",
    )  # fmt: skip

    def __init__(self, initial_tsn: int) -> None:
        self.items: deque[Item] = deque()
        self.next_tsn = initial_tsn
        self.cum = initial_tsn - 1
        self.outstanding = 0  # bytes in flight on all paths
        self.gaps: Ranges = []  # what gap blocks acknowledged
        self.marked: list[Item] = []  # to be sent again, by TSN; entries acknowledged meanwhile are skipped
        self.recovery_exit: int | None = None  # fast recovery ends when this TSN is acknowledged
        self.closed = False  # the peer has closed its window while data was in flight, which it may have dropped
        self.abandoned = 0  # how many items are, see forward
        self.peer_rwnd = 0
        self.a_rwnd = 0
        self.probe = False  # a zero window probe may be sent
        self.probing = False  # it was sent
        self.sack_at = 0.0


def on_sack(a: Association, data: bytes, position: int, end: int, now: float) -> int:
    """Process the SACK chunk at ``position`` of a packet that ends at ``end`` (section 6.2.1).

    Return its length, 0 if what follows cannot be found: the length field is wrong.
    """
    if position + SACK_HEADER_SIZE > end:
        a.engine.counters.drop("malformed chunk")
        return 0
    length: int
    _, _, length, cumulative, a_rwnd, blocks, duplicates = unpack_sack(data, position)
    if length != SACK_HEADER_SIZE or blocks or duplicates:
        if length < 4 or position + length > end:
            a.engine.counters.drop("malformed chunk")
            return 0
        if SACK_HEADER_SIZE + 4 * (blocks + duplicates) > length:
            a.engine.counters.drop("malformed SACK")
            return length
    f = a.flight
    delta = (cumulative - f.cum) & MASK
    if delta >= HALF:
        a.engine.counters.drop("old SACK")  # section 6.2.1 D i
        return length
    if delta > len(f.items):
        a.violation(now, b"SACK of a TSN that was not sent")
        return length
    skipping = f.abandoned
    if blocks or f.gaps or f.recovery_exit is not None:
        if delta:
            _advance(a, f, delta, now)
        _missing(a, f, data, position, blocks, delta, now)
    elif delta and (len(f.items) > 1 or not _lone(a, f, now)):
        _advance(a, f, delta, now)
        _credit(a, f, True, False, now)
    if f.closed and a_rwnd:
        _reopened(a, f, delta, a_rwnd, now)
    f.a_rwnd = a_rwnd
    f.sack_at = now
    outstanding = f.outstanding
    f.peer_rwnd = a_rwnd - outstanding if a_rwnd > outstanding else 0
    if a_rwnd:
        f.probing = f.probe = False
    elif outstanding:
        f.closed = True
    if skipping:
        forward.acknowledged(a, delta, now)
    a.sack_processed(delta, now)
    return length


def _missing(a: Association, f: Flight, data: bytes, position: int, blocks: int, delta: int, now: float) -> None:
    """Process a SACK with gaps, or after one: something may be lost (section 7.2.4)."""
    recovering = f.recovery_exit is not None
    fresh: Ranges = []
    if blocks or f.gaps:
        limit = len(f.items)
        reported = []
        for index in range(blocks):
            start, end = unpack_gap(data, position + SACK_HEADER_SIZE + 4 * index)
            if 0 < start <= end <= limit:
                reported.append((f.cum + start, f.cum + end))
        fresh = _apply_gaps(a, f, normalise(reported), now)
    if delta or fresh:
        _credit(a, f, bool(delta), recovering, now)
    if f.recovery_exit is not None and f.cum >= f.recovery_exit:
        f.recovery_exit = None
        recovering = False
    if f.gaps and (fresh or (recovering and delta)):
        _count_misses(a, f, f.gaps[-1][0] if recovering and delta else fresh[-1][1])


def _reopened(a: Association, f: Flight, delta: int, a_rwnd: int, now: float) -> None:
    """The window opens again: send at once what was dropped while it was closed, as T3 would a second later.

    That is what was sent longer ago than a round trip takes, and is not acknowledged. The congestion window stays:
    it was the peer that had no room, not the network.
    """
    if delta:
        f.closed = f.recovery_exit is not None
    if delta or a_rwnd <= f.a_rwnd:
        return  # an answer to data; only a window update tells that what it does not acknowledge is not on its way
    for path in a.paths.values():
        if path.flight and path.srtt and now - path.last_data > path.srtt + 4 * path.rttvar:
            mark_path(f, path, path)


def acknowledge(a: Association, cumulative: int, now: float) -> None:
    """Take the Cumulative TSN Ack of a SHUTDOWN chunk (section 9.2); a senseless one is ignored."""
    f = a.flight
    delta = (cumulative - f.cum) & MASK
    if 0 < delta <= len(f.items):
        recovering, skipping = f.recovery_exit is not None, f.abandoned
        _advance(a, f, delta, now)
        f.gaps = [(max(start, f.cum + 1), end) for start, end in f.gaps if end > f.cum]
        _credit(a, f, True, recovering, now)
        if skipping:
            forward.acknowledged(a, delta, now)
        a.sack_processed(delta, now)


def _advance(a: Association, f: Flight, delta: int, now: float) -> None:
    """Pop ``delta`` acknowledged items."""
    f.cum += delta
    pop = f.items.popleft
    user_bytes = acked = 0
    path: Path | None = None
    for _ in range(delta):
        item = pop()
        user_bytes += item.size
        if item.state == SENT:
            if item.path is not path:
                if path is not None:
                    _left(f, path, acked)
                path, acked = item.path, 0
            acked += item.length
            if item.timed:
                path.measured(now - item.timed)  # type: ignore[union-attr]
                path.timing = False  # type: ignore[union-attr]
        elif item.state == ABANDONED:
            f.abandoned -= 1
        item.state = ACKED
    if path is not None:  # as in _left
        path.flight -= acked
        path.acked += acked
        f.outstanding -= acked
        path.t3 = 0.0
    a.buffered -= user_bytes


def _lone(a: Association, f: Flight, now: float) -> bool:
    """Take the acknowledgement of the only chunk in flight, if it is that; else False.

    All those of a dialogue are such. The same as ``_advance`` and ``_credit``, without their loops.
    """
    item = f.items.pop()
    if item.state != SENT:
        f.items.append(item)
        return False
    f.cum = item.tsn
    item.state = ACKED
    path: Path = item.path  # type: ignore[assignment]
    acked = item.length
    a.buffered -= item.size
    a.error_count = path.flight = f.outstanding = 0
    path.t3 = inf
    path.burst_credit += acked
    path.one_packet = False
    if item.timed:
        path.measured(now - item.timed)
        path.timing = False
    path.congestion.acknowledged(path, acked, acked, True, False)
    if path.errors or not path.usable:
        a.path_answered(path, now)
    return True


def _left(f: Flight, path: Path, acked: int) -> None:
    """Take bytes that were acknowledged, the earliest ones among them, out of the flight of a path."""
    path.flight -= acked
    path.acked += acked
    f.outstanding -= acked
    path.t3 = 0.0  # rule R3; _credit sets the time


def _apply_gaps(a: Association, f: Flight, reported: Ranges, now: float) -> Ranges:
    """Take the gap blocks; return what they newly acknowledge."""
    base = f.cum + 1
    known = [(max(start, base), end) for start, end in f.gaps if end >= base]
    f.gaps = reported
    if reported == known:
        return []
    items = f.items
    fresh = difference(reported, known)
    for start, end in fresh:
        for index in range(start - base, end - base + 1):
            item = items[index]
            if item.state == SENT:
                path = item.path
                path.flight -= item.length  # type: ignore[union-attr]
                path.acked += item.length  # type: ignore[union-attr]
                f.outstanding -= item.length
                if item.timed:
                    path.measured(now - item.timed)  # type: ignore[union-attr]
                    path.timing = False  # type: ignore[union-attr]
                    item.timed = 0.0
            if item.state != ABANDONED:
                item.state = ACKED
    for start, end in difference(known, reported):
        # Reneged (section 6.2.1 D iii, rule R4): outstanding again, with one miss.
        for index in range(start - base, end - base + 1):
            item = items[index]
            if item.state == ABANDONED:
                continue
            a.engine.counters.reneged_tsns += 1
            item.state = SENT
            item.misses = 1
            path = item.path
            path.flight += item.length  # type: ignore[union-attr]
            f.outstanding += item.length
            if path.t3 == inf:  # type: ignore[union-attr]
                path.t3 = now + path.rto  # type: ignore[union-attr]
                a.arm(path.t3)  # type: ignore[union-attr]
    return fresh


def _credit(a: Association, f: Flight, advanced: bool, recovering: bool, now: float) -> None:
    """Give the newly acknowledged bytes to the paths: window, error counts, timers R2 and R3."""
    a.error_count = 0
    for path in a.paths.values():
        acked = path.acked
        if acked:
            path.acked = 0
            path.burst_credit += acked
            path.congestion.acknowledged(path, acked, path.flight + acked, advanced, recovering)
            if path.one_packet:
                path.one_packet = False
                if path.flight:
                    # The peer has seen the only packet in flight, and has dropped the rest of it for want of room.
                    mark_path(f, path, path)
            if path.errors or not path.usable:
                a.path_answered(path, now)
            if not path.flight:
                path.t3 = inf
            elif not path.t3:
                path.t3 = now + path.rto


def _count_misses(a: Association, f: Flight, upper: int) -> None:
    """Count a missing report for the holes below ``upper`` and mark what has three (section 7.2.4)."""
    base = f.cum + 1
    items = f.items
    lost: list[Item] = []
    hole = base
    for start, end in f.gaps:
        for index in range(hole - base, min(start, upper) - base):
            item = items[index]
            if item.state == SENT and not item.fast:
                item.misses += 1
                if item.misses >= MISS_LIMIT:
                    lost.append(item)
        hole = end + 1
        if hole > upper:
            break
    if not lost:
        return
    paths: set[Path] = set()
    for item in lost:
        item.fast = True
        paths.add(item.path)  # type: ignore[arg-type]
        mark(f, item)
    a.engine.counters.fast_retransmissions += len(lost)
    f.marked.sort(key=_by_tsn)
    if f.recovery_exit is None:
        for path in paths:
            path.congestion.lost(path)
            path.rtx_ignores_cwnd = True
        f.recovery_exit = f.next_tsn - 1


def _by_tsn(item: Item) -> int:
    return item.tsn


def mark(f: Flight, item: Item) -> None:
    """Mark an outstanding item for retransmission: it is no longer in flight (section 6.2.1 C)."""
    path = item.path
    item.state = MARKED
    item.misses = 0
    path.flight -= item.length  # type: ignore[union-attr]
    f.outstanding -= item.length
    if item.timed:  # Karn's rule: no measurement with a chunk sent twice (section 6.3.1 C5)
        item.timed = 0.0
        path.timing = False  # type: ignore[union-attr]
    f.marked.append(item)


def mark_path(f: Flight, path: Path, alternate: Path) -> int:
    """Mark all in flight on ``path``, to be sent again to ``alternate`` (section 6.3.3 E3); return how many."""
    count = 0
    for item in f.items:
        if item.state == SENT and item.path is path:
            mark(f, item)
            item.path = alternate
            count += 1
        elif item.state == MARKED and item.path is path:
            item.path = alternate
    f.marked = sorted((item for item in f.marked if item.state == MARKED), key=_by_tsn)
    f.recovery_exit = None
    f.peer_rwnd = max(f.a_rwnd - f.outstanding, 0)  # as after a SACK
    path.flight = 0
    path.timing = False
    return count
