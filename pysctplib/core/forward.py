"""Partial reliability: messages that are given up after they were sent, and the peer that is told to skip them.

RFC 3758 sections 3.5 (sender) and 3.6 (receiver); the policy is that of section 4.1, a lifetime. A message is
given up where one of its chunks would have to be sent again, and then all of it, also what is still in the queue.
Messages that were never sent are `transmit`'s affair. Other policies (RFC 7496) are not known.

The Advanced Peer Ack Point is not kept: it lies before the first item that is not abandoned.
"""

from __future__ import annotations

import errno
from math import inf
from typing import TYPE_CHECKING

from ..errors import DecodeError
from ..wire import chunks
from ..wire.chunks import DATA_HEADER_SIZE, UNORDERED, unpack_data
from . import inbound
from .outbound import ABANDONED, MARKED, SENT, Item
from .serial import HALF, MASK

if TYPE_CHECKING:
    from .association import Association
    from .inbound import Inbound, Run
    from .path import Path

# ---- the sender


def give_up_late(a: Association, now: float) -> None:
    """Abandon the messages whose lifetime is over among those to be sent again (section 3.5 A2, 4.1)."""
    f = a.flight
    late: dict[int, Item] = {}
    for item in f.marked:
        if item.state == MARKED and item.expires <= now:
            message = item.message or item
            late[id(message)] = message
    if not late:
        return
    for item in f.items:
        if id(item.message or item) in late and item.state != ABANDONED:
            if item.state == SENT:
                path: Path = item.path  # type: ignore[assignment]
                path.flight -= item.length
                f.outstanding -= item.length
                if item.timed:
                    item.timed = 0.0
                    path.timing = False
            item.state = ABANDONED
            f.abandoned += 1
    for message in late.values():
        data = message.data or message.chunk[DATA_HEADER_SIZE : DATA_HEADER_SIZE + message.size]
        if a.outbound.queue and a.outbound.queue[0] is message:
            _give_up_rest(a, message)
        a.failed(message, data, True, errno.ETIMEDOUT)
    a.engine.counters.abandoned_messages += len(late)
    send(a, now)


def _give_up_rest(a: Association, message: Item) -> None:
    """Drop what was not sent of a message, but give it a TSN.

    A late copy of the last fragment that was sent may still arrive. Only by a TSN behind it the peer can be told
    that no more will come.
    """
    f, o = a.flight, a.outbound
    item = o.take_fragment(f.next_tsn, min(message.size - message.offset, a.fragment_size), 0)
    item.state = ABANDONED
    f.items.append(item)
    f.next_tsn += 1
    f.abandoned += 1
    if o.queue and o.queue[0] is message:
        o.drop(message)
        a.buffered -= message.size - message.offset


def send(a: Association, now: float) -> None:
    """Have a FORWARD TSN sent if what was given up lies at the front (section 3.5 C2 to C5); T3 guards it."""
    f, path = a.flight, a.current
    skipped: dict[int, int] = {}
    room = (path.payload - 8) // 4
    count = 0
    for item in f.items:
        if item.state != ABANDONED or len(skipped) >= room:
            break
        count += 1
        if not item.flags & UNORDERED:
            _, _, _, _, stream, ssn, _ = unpack_data(item.chunk)
            skipped[stream] = ssn
    if not count:
        return
    made = chunks.encode(chunks.ForwardTsn((f.cum + count) & MASK, list(skipped.items())))
    a.control = [chunk for chunk in a.control if chunk[0] != chunks.FORWARD_TSN]
    a.control.append(made)
    if path.t3 == inf:
        path.t3 = now + path.rto
        a.arm(path.t3)
    a.touch()


def acknowledged(a: Association, delta: int, now: float) -> None:
    """A SACK has come while there was something to skip: stop T3 (rule R2), go on with what is left of it."""
    for path in a.paths.values():
        if not path.flight:
            path.t3 = inf
    if delta and a.current.errors:
        a.path_answered(a.current, now)
    send(a, now)


# ---- the receiver


def on_forward_tsn(a: Association, value: bytes, path: Path, now: float) -> None:
    """Take the peer's word for what will not come any more (section 3.6), and acknowledge it at once."""
    try:
        chunk = chunks.decode_forward(value)
    except DecodeError:
        a.engine.counters.drop("malformed FORWARD TSN")
        return
    i = a.inbound
    i.source = path
    i.sack_now = True  # also where it is an old one: the SACK may have been lost
    a.touch()
    a.last_activity = now
    delta = (chunk.cumulative_tsn - i.cum) & MASK
    if not 0 < delta < HALF:
        return
    target = i.cum + delta
    i.cum = i.ranges.forward(target)
    i.highest = max(i.highest, i.cum)
    skipped = dict(chunk.skipped)
    _drop_fragments(a, i, target, skipped, now)
    for stream, ssn in skipped.items():
        inbound.skip(a, stream, ssn)


def no_more(a: Association, now: float) -> None:
    """The peer shuts down, so all its data is acknowledged: what is missing was given up.

    Linux does not tell of what it gave up last.
    """
    i = a.inbound
    if i.ranges:
        i.cum = i.ranges.forward(i.highest)
        _drop_fragments(a, i, i.cum, {}, now)
        for stream, queue in list(i.waiting.items()):
            expected = i.ssns.get(stream, 0)
            inbound.skip(a, stream, max(queue, key=lambda ssn: (ssn - expected) & 0xFFFF))


def _drop_fragments(a: Association, i: Inbound, target: int, skipped: dict[int, int], now: float) -> None:
    """Forget the messages that can never be complete."""

    def dead(run: Run) -> bool:
        if (not run.begin and run.first - 1 <= target) or (not run.end and run.last + 1 <= target):
            return True
        last = None if run.unordered else skipped.get(run.stream)
        return last is not None and run.first <= target and (last - run.ssn) & 0xFFFF < 0x8000

    dropped = 0
    for run in [run for run in i.runs_by_start.values() if dead(run)]:
        i.runs_by_start.pop(run.first, None)
        i.runs_by_end.pop(run.last, None)
        dropped += run.size
    if i.partial is not None and dead(i.partial):
        i.runs_by_end.pop(i.partial.last, None)
        dropped += i.partial.size
        inbound.give_up_partial(a)
    if dropped:
        inbound.consumed(a, dropped, now)
