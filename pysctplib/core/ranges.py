"""Sets of TSNs as sorted, disjoint, non-adjacent ranges with inclusive ends.

Used for what arrived beyond the cumulative TSN and for what the peer's gap blocks acknowledge (RFC 9260
sections 3.3.4 and 6.7). Values are unwrapped integers; nothing here knows chunks.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TypeAlias

Ranges: TypeAlias = list[tuple[int, int]]


class RangeSet:
    """A growing set of integers; ``starts`` and ``ends`` are parallel sorted lists."""

    __slots__ = ("ends", "starts")

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.ends: list[int] = []

    def __bool__(self) -> bool:
        return bool(self.starts)

    def __len__(self) -> int:
        return len(self.starts)

    def __contains__(self, value: int) -> bool:
        index = bisect_right(self.starts, value) - 1
        return index >= 0 and value <= self.ends[index]

    def add(self, value: int) -> bool:
        """Add a value; False if it was there."""
        starts, ends = self.starts, self.ends
        if not ends or value > ends[-1] + 1:
            starts.append(value)
            ends.append(value)
            return True
        if value == ends[-1] + 1:
            ends[-1] = value
            return True
        index = bisect_right(starts, value)  # the range before it, if any, is index - 1
        if index and value <= ends[index - 1]:
            return False
        joins_left = index > 0 and ends[index - 1] == value - 1
        joins_right = index < len(starts) and starts[index] == value + 1
        if joins_left and joins_right:
            ends[index - 1] = ends[index]
            del starts[index], ends[index]
        elif joins_left:
            ends[index - 1] = value
        elif joins_right:
            starts[index] = value
        else:
            starts.insert(index, value)
            ends.insert(index, value)
        return True

    def take_first(self, start: int) -> int:
        """Remove the first range if it begins at ``start`` and return its end; else ``start - 1``."""
        if self.starts and self.starts[0] == start:
            del self.starts[0]
            return self.ends.pop(0)
        return start - 1

    def forward(self, value: int) -> int:
        """Remove all up to ``value`` and what follows without a hole; return the last one, at least ``value``."""
        index = bisect_right(self.starts, value + 1)
        end = max(value, self.ends[index - 1]) if index else value
        del self.starts[:index], self.ends[:index]
        return end

    def pairs(self) -> Ranges:
        """Return the ranges as (start, end) pairs."""
        return list(zip(self.starts, self.ends))


def normalise(ranges: Ranges) -> Ranges:
    """Return the union of any (start, end) pairs, sorted and disjoint; empty ones (start > end) vanish."""
    result: Ranges = []
    for start, end in sorted(ranges):
        if start > end:
            continue
        if result and start <= result[-1][1] + 1:
            if end > result[-1][1]:
                result[-1] = (result[-1][0], end)
        else:
            result.append((start, end))
    return result


def difference(left: Ranges, right: Ranges) -> Ranges:
    """Return what is in ``left`` and not in ``right``, both normalised."""
    result: Ranges = []
    index, count = 0, len(right)
    for start, end in left:
        while index < count and right[index][1] < start:
            index += 1
        probe = index
        while probe < count and right[probe][0] <= end:
            if right[probe][0] > start:
                result.append((start, right[probe][0] - 1))
            start = right[probe][1] + 1
            probe += 1
        if start <= end:
            result.append((start, end))
    return result
