"""What the peer sends: TSN tracking, reassembly, ordering, the receive window, and when to acknowledge.

RFC 9260 sections 6.2 (SACK and window), 6.5, 6.6, 6.7, 6.9; RFC 7053 (I bit). An in-order message in one
chunk becomes an event at once; structures exist only for fragments and for messages that wait for earlier
ones.

When to acknowledge. At once for gaps, duplicates and the I bit; after ``sack_delay`` otherwise; and every
``sack_frequency``-th packet (section 6.2: SHOULD be every second one) for as long as the sender's window is
likely to be growing: for ``YOUNG`` packets from the start, after each loss and after a pause. In steady bulk
it is one SACK for each batch of packets that the driver hands over between two calls of ``output()``, but at
least one for ``sack_batch`` packets; ``sack_batch = sack_frequency`` gives the literal rule throughout.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from ..wire import causes
from ..wire.chunks import BEGIN, END, IMMEDIATE, SACK, SACK_HEADER_SIZE, UNORDERED, WHOLE, pack_gap, pack_sack
from .events import Message, PartialDeliveryAborted, new_message
from .ranges import RangeSet
from .serial import HALF, MASK

if TYPE_CHECKING:
    from .association import Association
    from .path import Path

YOUNG = 256  # packets acknowledged by the letter after start, loss or pause
PAUSE = 1.0  # seconds without data that count as a pause
MAX_RANGES = 2048  # more islands of TSNs are refused: they cost memory, and no SACK could name them
MAX_DUPLICATES = 64
REACH = 65535  # chunks further beyond the cumulative TSN are refused: no gap block could name them
CHUNK_COST = 256  # bytes that a chunk counts at least, on an average, about what it costs; see window()
CHUNKS_FREE = 256  # so many do not
CHUNKS_HELD = 65536  # more chunks are held only for a large window


class Run:
    """Consecutive fragments of one message; complete when it has both ``begin`` and ``end``."""

    __slots__ = ("begin", "end", "first", "last", "parts", "ppid", "size", "ssn", "stream", "unordered")

    def __init__(self, tsn: int, flags: int, stream: int, ssn: int, ppid: int, data: bytes) -> None:
        self.first = self.last = tsn
        self.begin = bool(flags & BEGIN)
        self.end = bool(flags & END)
        self.unordered = bool(flags & UNORDERED)
        self.stream = stream
        self.ssn = ssn
        self.ppid = ppid
        self.parts = [data]
        self.size = len(data)


class Inbound:
    """Receiver state of an association. ``cum`` is the cumulative TSN, ``held`` the bytes not yet consumed."""

    __slots__ = (
        "advertised", "backlog", "chunks", "cum", "data_at", "duplicates", "granted", "held", "highest", "partial",
        "ranges", "runs_by_end", "runs_by_start", "sack_now", "source", "ssns", "t_sack", "unacked", "waiting",
        "young",
    )  # fmt: skip

    def __init__(self, initial_tsn: int, window: int) -> None:
        self.cum = initial_tsn - 1
        self.highest = self.cum
        self.ranges = RangeSet()  # received beyond cum
        self.duplicates: list[int] = []
        self.held = 0
        self.chunks = 0  # about how many chunks ``held`` came in
        self.granted = window  # the largest window that the peer may count on
        self.advertised = window  # the a_rwnd last sent
        self.unacked = 0  # packets with DATA since the last SACK
        self.sack_now = False
        self.t_sack = inf
        self.source: Path | None = None  # where the last DATA came from
        self.young = YOUNG
        self.data_at = 0.0
        self.ssns: dict[int, int] = {}  # stream -> SSN expected; absent: 0
        self.waiting: dict[int, dict[int, Message]] = {}  # stream -> SSN -> complete message
        self.runs_by_start: dict[int, Run] = {}
        self.runs_by_end: dict[int, Run] = {}
        self.partial: Run | None = None  # the message under partial delivery
        self.backlog: list[Message] = []  # messages that wait for its end


def on_data(
    a: Association, flags: int, tsn: int, stream: int, ssn: int, ppid: int, data: bytes, start: int, end: int
) -> None:
    """Take one DATA chunk; user data is ``data[start:end]``, not empty. ``tsn`` as on the wire."""
    i = a.inbound
    delta = (tsn - i.cum) & MASK
    if delta == 1 and not i.ranges.starts and i.held < a.config.receive_buffer:
        i.cum = full_tsn = i.cum + 1
        i.highest = full_tsn
    else:
        full_tsn = i.cum + delta
        if not _track(a, i, full_tsn, delta, tsn):
            return
    if stream >= a.inbound_streams:
        # Acknowledged, but not delivered (section 6.5).
        a.report_error(causes.invalid_stream(stream))
        a.engine.counters.drop("invalid stream")
        return
    i.held += end - start
    i.chunks += 1
    if flags != WHOLE:
        if flags & IMMEDIATE:
            i.sack_now = True
        if flags & WHOLE != WHOLE:
            _fragment(a, i, Run(full_tsn, flags, stream, ssn, ppid, data[start:end]))
            return
        if flags & UNORDERED:
            _deliver(a, i, new_message(a, stream, 0, ppid, full_tsn, i.cum, True, True, data[start:end]))
            return
    message = new_message(a, stream, ssn, ppid, full_tsn, i.cum, False, True, data[start:end])
    if ssn == i.ssns.get(stream, 0) and i.partial is None:
        i.ssns[stream] = (ssn + 1) & 0xFFFF
        a.events.append(message)
        if i.waiting and stream in i.waiting:
            _release(a, i, stream)
    else:
        _ordered(a, i, message)


def _track(a: Association, i: Inbound, full_tsn: int, delta: int, tsn: int) -> bool:
    """Record a TSN that is not simply the next one; False if the chunk must not be taken."""
    counters = a.engine.counters
    if delta >= HALF or delta == 0 or full_tsn in i.ranges:
        counters.duplicate_tsns += 1
        if len(i.duplicates) < MAX_DUPLICATES:
            i.duplicates.append(tsn)
        i.sack_now = True
        return False
    if delta > REACH:
        counters.drop("TSN out of reach")
        i.sack_now = True
        return False
    if full_tsn > i.highest:
        # A closed window refuses what is beyond the highest TSN (section 6.2), but a hole may be filled.
        if i.held >= a.config.receive_buffer:
            counters.drop("receive window closed")
            i.sack_now = True
            return False
        if len(i.ranges) >= MAX_RANGES and full_tsn > i.highest + 1:
            counters.drop("too many gaps")
            i.sack_now = True
            return False
        i.highest = full_tsn
    elif i.held >= 2 * max(i.granted, a.config.receive_buffer):
        counters.drop("receive window overrun")  # whoever obeys the window never gets here
        return False
    i.young = YOUNG
    i.sack_now = True  # section 6.7: acknowledge at once while there are holes, and when one is filled
    if delta == 1:
        i.cum = i.ranges.take_first(full_tsn + 1)
    else:
        i.ranges.add(full_tsn)
    return True


def _fragment(a: Association, i: Inbound, run: Run) -> None:
    """Join a new fragment to its neighbours; deliver the message if that completes it (section 6.9)."""
    if not run.begin:
        left = i.runs_by_end.pop(run.first - 1, None)
        if left is not None:
            if left.end or not _same(left, run):
                a.violation_later(b"fragments of one message differ")
                return
            left.parts += run.parts
            left.last, left.end = run.last, run.end
            left.size += run.size
            run = left
    if not run.end:
        right = i.runs_by_start.pop(run.last + 1, None)
        if right is not None:
            if right.begin or not _same(run, right):
                a.violation_later(b"fragments of one message differ")
                return
            run.parts += right.parts
            run.last, run.end = right.last, right.end
            run.size += right.size
    if run is i.partial:
        i.runs_by_end[run.last] = run
        _partial_piece(a, i, run)
    elif run.begin and run.end:
        i.runs_by_start.pop(run.first, None)
        i.runs_by_end.pop(run.last, None)
        a.engine.counters.reassembled_messages += 1
        data = b"".join(run.parts)
        ssn = 0 if run.unordered else run.ssn
        message = new_message(a, run.stream, ssn, run.ppid, run.first, i.cum, run.unordered, True, data)
        if run.unordered:
            _deliver(a, i, message)
        else:
            _ordered(a, i, message)
    else:
        i.runs_by_start[run.first] = run
        i.runs_by_end[run.last] = run
        if run.begin and i.partial is None and run.size >= partial_point(a):
            _begin_partial(a, i, run)


def _same(left: Run, right: Run) -> bool:
    return (
        left.stream == right.stream
        and left.unordered == right.unordered
        and (left.unordered or left.ssn == right.ssn)
    )


def _ordered(a: Association, i: Inbound, message: Message) -> None:
    """Deliver an ordered message, or keep it until those before it are there (section 6.6)."""
    stream, ssn = message.stream, message.ssn
    if ssn == i.ssns.get(stream, 0):
        i.ssns[stream] = (ssn + 1) & 0xFFFF
        _deliver(a, i, message)
        if stream in i.waiting:
            _release(a, i, stream)
        return
    queue = i.waiting.setdefault(stream, {})
    if ssn in queue:
        a.violation_later(b"a stream sequence number was used twice")
        return
    queue[ssn] = message


def _release(a: Association, i: Inbound, stream: int) -> None:
    """Deliver what waited on a stream and is in order now."""
    queue = i.waiting[stream]
    expected = i.ssns.get(stream, 0)
    while expected in queue:
        message = queue.pop(expected)
        message.cumulative_tsn = i.cum
        expected = (expected + 1) & 0xFFFF
        i.ssns[stream] = expected
        _deliver(a, i, message)
    if not queue:
        del i.waiting[stream]
    elif i.partial is None:
        for run in list(i.runs_by_start.values()):
            if run.begin and run.stream == stream and run.size >= partial_point(a) and i.partial is None:
                _begin_partial(a, i, run)


def skip(a: Association, stream: int, ssn: int) -> None:
    """Expect nothing more up to this SSN (RFC 3758 section 3.6); deliver what is there of it, and what follows."""
    i = a.inbound
    expected = i.ssns.get(stream, 0)
    steps = (ssn - expected) & 0xFFFF
    if steps >= 0x8000 or stream >= a.inbound_streams:
        return
    i.ssns[stream] = (ssn + 1) & 0xFFFF
    queue = i.waiting.get(stream)
    if queue is not None:
        for number in sorted(queue, key=lambda number: (number - expected) & 0xFFFF):
            if (number - expected) & 0xFFFF > steps:
                break
            message = queue.pop(number)
            message.cumulative_tsn = i.cum
            _deliver(a, i, message)
        _release(a, i, stream)


def _deliver(a: Association, i: Inbound, message: Message) -> None:
    # Nothing comes between the parts of a message (RFC 6458 section 8.1.20, level 0).
    (a.events if i.partial is None else i.backlog).append(message)


# Partial delivery (RFC 9260 section 6.9, RFC 6458 section 8.1.21)


def partial_point(a: Association) -> int:
    """Return the size in bytes from which an incomplete message is delivered in parts.

    Never above half the window: a message larger than the window could not arrive otherwise.
    """
    half = a.config.receive_buffer // 2
    return min(a.config.partial_delivery_point or half, half)


def _begin_partial(a: Association, i: Inbound, run: Run) -> None:
    if run.unordered or run.ssn == i.ssns.get(run.stream, 0):
        i.partial = run
        i.runs_by_start.pop(run.first, None)  # nothing can join before its first fragment
        _partial_piece(a, i, run)


def _partial_piece(a: Association, i: Inbound, run: Run) -> None:
    """Hand on what is there if it is worth an event, and end the partial delivery with the last fragment."""
    if not run.end and run.size < min(partial_point(a) // 2, 65536):
        return
    ssn = 0 if run.unordered else run.ssn
    data = b"".join(run.parts)
    a.events.append(new_message(a, run.stream, ssn, run.ppid, run.first, i.cum, run.unordered, run.end, data))
    run.parts = []
    run.size = 0
    if not run.end:
        return
    i.runs_by_end.pop(run.last, None)
    i.partial = None
    a.engine.counters.reassembled_messages += 1
    a.events.extend(i.backlog)
    i.backlog = []
    if not run.unordered:
        i.ssns[run.stream] = (run.ssn + 1) & 0xFFFF
        if run.stream in i.waiting:
            _release(a, i, run.stream)


def give_up_partial(a: Association) -> None:
    """Say that the rest of a message under partial delivery will not come; what waited for its end goes out."""
    i = a.inbound
    run, i.partial = i.partial, None
    if run is not None:
        a.events.append(PartialDeliveryAborted(a, run.stream, 0 if run.unordered else run.ssn))
        a.events.extend(i.backlog)
        i.backlog = []


# Acknowledging (section 6.2)


def packet_done(a: Association, path: Path, now: float) -> None:
    """Decide about a SACK after all chunks of a packet that had DATA."""
    i = a.inbound
    i.source = path
    i.unacked += 1
    if now - i.data_at > PAUSE:
        i.young = YOUNG
    i.data_at = now
    if i.chunks > CHUNKS_HELD and i.chunks > a.config.receive_buffer // 64:
        a.violation(now, b"more data than the window allows")
        return
    if i.young:
        i.young -= 1
        if i.sack_now or i.ranges.starts or i.unacked >= a.config.sack_frequency:
            a.send_sack(now)
            return
    elif i.sack_now or i.unacked >= a.config.sack_frequency:
        if i.unacked >= a.config.sack_batch:
            a.send_sack(now)
            return
        i.sack_now = True
        a.touch()
        return
    if i.t_sack == inf:
        i.t_sack = when = now + a.config.sack_delay
        if when < a.scheduled:
            a.arm(when)


def window(a: Association) -> int:
    """Return the a_rwnd to advertise, in bytes; none below what is worth a packet (RFC 1122 section 4.2.3.3).

    Each chunk costs memory beside its user data: a million messages of one byte fill a window many times.
    """
    i = a.inbound
    size = a.config.receive_buffer
    free = size - i.held
    if i.chunks > CHUNKS_FREE:
        free = min(free, size - CHUNK_COST * (i.chunks - CHUNKS_FREE))
    return free if free >= 1500 or free >= size >> 2 else 0


def encode_sack(a: Association, room: int) -> bytes:
    """Return a SACK of the present state, at most ``room`` bytes long, and take all as acknowledged."""
    i = a.inbound
    i.unacked = 0
    i.sack_now = False
    i.t_sack = inf
    size = a.config.receive_buffer
    a_rwnd = size - i.held
    if i.chunks > CHUNKS_FREE or a_rwnd < size >> 2:
        a_rwnd = window(a)
    i.advertised = a_rwnd
    if not i.ranges.starts and not i.duplicates:
        return pack_sack(SACK, 0, SACK_HEADER_SIZE, i.cum & MASK, a_rwnd, 0, 0)
    space = (room - SACK_HEADER_SIZE) // 4
    cum = i.cum
    blocks = [
        pack_gap(start - cum, min(end - cum, 65535))
        for start, end in zip(i.ranges.starts[:space], i.ranges.ends)
        if start - cum <= 65535
    ]
    duplicates = i.duplicates[: space - len(blocks)]
    i.duplicates = []
    length = SACK_HEADER_SIZE + 4 * (len(blocks) + len(duplicates))
    head = pack_sack(SACK, 0, length, cum & MASK, a_rwnd, len(blocks), len(duplicates))
    return b"".join((head, *blocks, *(d.to_bytes(4, "big") for d in duplicates)))


def consumed(a: Association, n: int, now: float) -> None:
    """Say that the user took ``n`` bytes of received data: the window opens by as much.

    The peer is told if that is worth it (RFC 1122 section 4.2.3.3). Also a method of `Association`.
    """
    i = a.inbound
    held = i.held
    if n < held:
        i.chunks -= i.chunks * n // held  # its share
        i.held = held = held - n
    else:  # all, or messages from before a restart
        i.chunks = i.held = held = 0
    size = a.config.receive_buffer
    if size - held - i.advertised >= size >> 4 and i.source is not None:  # it may be, else look closer
        gain = window(a) - i.advertised
        if gain >= size >> 4 and (gain >= 1500 or gain >= size >> 1):
            i.sack_now = True
            a.touch()
