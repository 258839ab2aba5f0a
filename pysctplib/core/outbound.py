"""Messages waiting to be sent: the send queue, stream sequence numbers, and cutting into DATA chunks.

RFC 9260 sections 6.5, 6.6 and 6.9. A message is one ``Item`` from the user's call until it is acknowledged;
only a message that needs several chunks gets further items, one for each fragment. TSN and SSN are given when
a chunk is first made, so nothing unsent holds a number. What may be sent, and when, is decided in
``transmit``.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from ..wire.chunks import BEGIN, DATA, DATA_HEADER_SIZE, END, IMMEDIATE, UNORDERED, WHOLE, pack_data
from ..wire.packet import PADDING
from .serial import MASK

if TYPE_CHECKING:
    from .path import Path

QUEUED, SENT, MARKED, ACKED, ABANDONED = range(5)  # states of an item


class Item:
    """One message; or, once sent, one outstanding DATA chunk with its encoded bytes. Made by `new_item`.

    ``size`` counts user bytes, ``length`` bytes of the padded chunk. ``path`` is the user's choice while
    queued, the destination of the last transmission afterwards. ``timed`` is the sending time while its RTT is
    measured.
    """

    __slots__ = (
        "chunk", "context", "data", "expires", "fast", "flags", "length", "message", "misses", "offset", "path",
        "ppid", "size", "ssn", "state", "stream", "timed", "tsn",
    )  # fmt: skip

    data: bytes
    size: int
    stream: int
    ppid: int
    flags: int
    context: int
    path: Path | None
    expires: float
    offset: int
    message: Item | None
    ssn: int  # of a message in several chunks, set with the first one
    # Set when a chunk is made of it (``_encode``):
    chunk: bytes
    length: int
    tsn: int
    state: int
    misses: int
    fast: bool
    timed: float


def new_item(
    data: bytes, size: int, stream: int, ppid: int, flags: int, context: int, path: Path | None, expires: float
) -> Item:
    """Return a new item; why no ``__init__`` is told at `events.new_message`."""
    made = Item()
    made.data = data
    made.size = size
    made.stream = stream
    made.ppid = ppid
    made.flags = flags
    made.context = context
    made.path = path
    made.expires = expires
    made.offset = 0
    made.message = None
    return made


class Outbound:
    """The send queue of an association, first come first served. ``bytes``: what is not yet in chunks."""

    __slots__ = ("bytes", "queue", "ssns")

    def __init__(self) -> None:
        self.queue: deque[Item] = deque()
        self.bytes = 0
        self.ssns: dict[int, int] = {}  # stream -> next SSN; absent: 0

    def push(self, item: Item) -> None:
        """Queue a message."""
        self.queue.append(item)
        self.bytes += item.size

    def drop(self, item: Item) -> None:
        """Forget the first item of the queue, whatever is left of it."""
        self.queue.popleft()
        self.bytes -= item.size - item.offset

    def next_ssn(self, stream: int) -> int:
        """Return the SSN of the next ordered message on a stream, and count on."""
        ssn = self.ssns.get(stream, 0)
        self.ssns[stream] = (ssn + 1) & 0xFFFF
        return ssn

    def take_whole(self, tsn: int, extra: int) -> Item:
        """Turn the first message, which fits into one chunk, into an outstanding item. ``extra``: more flags."""
        item = self.queue.popleft()
        self.bytes -= item.size
        flags = item.flags
        if flags & UNORDERED:
            ssn = 0
        else:
            stream, ssns = item.stream, self.ssns
            ssn = ssns.get(stream, 0)
            ssns[stream] = (ssn + 1) & 0xFFFF
        _encode(item, item.data, flags | WHOLE | extra, tsn, ssn)
        item.data = b""  # the chunk has it
        return item

    def take_fragment(self, tsn: int, size: int, extra: int) -> Item:
        """Cut the next ``size`` bytes from the first message; it leaves the queue with its last fragment."""
        message = self.queue[0]
        start = message.offset
        flags = (message.flags & UNORDERED) | extra
        if not start:
            message.ssn = 0 if flags & UNORDERED else self.next_ssn(message.stream)
            flags |= BEGIN
        message.offset = end = start + size
        self.bytes -= size
        if end == message.size:
            self.queue.popleft()
            flags |= END | (message.flags & IMMEDIATE)
        item = new_item(
            b"", size, message.stream, message.ppid, message.flags, message.context, message.path, message.expires
        )
        item.message = message
        _encode(item, message.data[start:end], flags, tsn, message.ssn)
        return item


def _encode(item: Item, data: bytes, flags: int, tsn: int, ssn: int) -> None:
    length = DATA_HEADER_SIZE + item.size
    header = pack_data(DATA, flags, length, tsn & MASK, item.stream, ssn, item.ppid)
    item.chunk = chunk = b"".join((header, data, PADDING[length & 3])) if length & 3 else header + data
    item.length = len(chunk)
    item.tsn = tsn
    item.state = SENT
    item.misses = 0
    item.fast = False
    item.timed = 0.0
