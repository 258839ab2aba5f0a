"""The seeded messages of the interop tests, the same as in usrsctp/peer.c: any index can be made by itself.

Most are small, one in a thousand has up to 64 KiB, every 10,000th exactly 64 KiB: 2 MB in 10,000 messages.
"""

from __future__ import annotations

import functools
import re
import struct

LARGEST = 65536
PPID = 0x70000000  # of message 0; that of message i is i higher; no dissector knows them
MASK = 0xFFFFFFFF


@functools.cache
def pool(seed: int) -> bytes:
    """Return 128 KiB of xorshift32 output; every message is cut out of it."""
    x = (seed * 2654435761 + 1) & MASK or 1
    words = []
    for _ in range(2 * LARGEST // 4):
        x ^= x << 13 & MASK
        x ^= x >> 17
        x ^= x << 5 & MASK
        words.append(x)
    return struct.pack(f">{len(words)}I", *words)


def mix(index: int, seed: int) -> int:
    """Return 32 well mixed bits of the two numbers."""
    h = (index * 2654435761 + seed * 40503) & MASK
    h ^= h >> 16
    h = h * 0x45D9F3B & MASK
    h ^= h >> 16
    h = h * 0x45D9F3B & MASK
    return h ^ h >> 16


def message(index: int, seed: int) -> bytes:
    """Return message number ``index``; its first four bytes, if it has them, are the index."""
    h = mix(index, seed)
    kind, spread = h % 1000, h // 1000
    if index % 10000 == 9999:
        size = LARGEST
    elif kind < 900:
        size = 1 + spread % 100
    elif kind < 990:
        size = 101 + spread % 1400
    elif kind < 999:
        size = 1501 + spread % 6692
    else:
        size = 8193 + spread % 57344
    start = (h >> 7) % LARGEST
    data = pool(seed)[start : start + size]
    return struct.pack(">I", index) + data[4:] if size >= 4 else data


def expires(index: int) -> bool:
    """Tell whether message number ``index`` gets a lifetime where some do; in five streams, half of each one's."""
    return index % 2 == 0


class Checker:
    """Compares what arrives on each stream with the messages that were sent there, in order.

    With ``gaps`` those that have a lifetime may be missing.
    """

    def __init__(self, count: int, seed: int, streams: int, gaps: bool = False) -> None:
        self.count, self.seed, self.streams, self.gaps = count, seed, streams, gaps
        self.next = list(range(streams))
        self.received = self.bytes = 0

    def add(self, stream: int, ppid: int, data: bytes) -> None:
        """Take one message; ValueError says how it differs from the one expected."""
        index = self.next[stream]
        while self.gaps and index < ppid - PPID and expires(index):
            index += self.streams
        if ppid != PPID + index or data != message(index, self.seed):
            raise ValueError(f"stream {stream}: message {index} expected, {ppid - PPID} of {len(data)} bytes came")
        self.next[stream] = index + self.streams
        self.received += 1
        self.bytes += len(data)

    @property
    def complete(self) -> bool:
        """Whether every message has come that must."""
        if not self.gaps:
            return self.received == self.count
        return all(expires(index) for first in self.next for index in range(first, self.count, self.streams))


# What is to be seen where messages have a lifetime and the network loses packets


def _missing(output: str, count: int) -> int:
    """Return how many messages a sink did not get; it has checked itself that no other one is missing."""
    assert "end shutdown" in output
    return count - int(output.split("received ")[1].split()[0])


def gave_up(output: str, sink: str, count: int) -> None:
    """Check that our stack as the source gave messages up after they were sent, and the sink missed no others."""
    found = re.search(r"abandoned (\d+) of (\d+) failed", output)
    assert found is not None and int(found[1]) > 10, output
    assert 0 < _missing(sink, count) <= int(found[2])


def skipped(output: str, count: int) -> None:
    """Check that our stack as the sink was told by FORWARD TSN what will not come."""
    found = re.search(r"forwarded (\d+)", output)
    assert found is not None and int(found[1]) > 10, output
    assert _missing(output, count) > 0
