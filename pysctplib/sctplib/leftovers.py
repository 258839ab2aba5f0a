"""What an association could not deliver, chunk by chunk, taken from the engine's queues when it has ended.

RFC 9260 sections 11.1.14 and 11.1.15 (RECEIVE UNSENT and UNACKNOWLEDGED MESSAGE). The engine's SendFailed events
name messages; this API hands out chunks with their TSNs, so the queues themselves are read here.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from ..core.outbound import ACKED, Item
from ..wire.chunks import BEGIN, DATA_HEADER, DATA_HEADER_SIZE, END, UNORDERED
from .library import Leftover

if TYPE_CHECKING:
    from ..core.association import Association


def unsent(association: Association) -> deque[Leftover]:
    """Return messages, or rests of messages, that were not sent at all."""
    return deque(_queued(item) for item in association.outbound.queue)


def unacked(association: Association) -> deque[Leftover]:
    """Return the DATA chunks that were sent and not acknowledged, by TSN."""
    return deque(_sent(item) for item in association.flight.items if item.state < ACKED)


def _queued(item: Item) -> Leftover:
    flags = (item.flags & UNORDERED) | END | (0 if item.offset else BEGIN)
    return Leftover(item.data[item.offset :], 0, item.stream, 0, item.ppid, flags, item.context)


def _sent(item: Item) -> Leftover:
    _, flags, _, tsn, stream, ssn, ppid = DATA_HEADER.unpack_from(item.chunk)
    data = item.chunk[DATA_HEADER_SIZE : DATA_HEADER_SIZE + item.size]
    return Leftover(data, tsn, stream, ssn, ppid, flags, item.context)
