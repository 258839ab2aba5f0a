"""Many deadlines, of which only the next matters: a heap with lazy re-arming.

Moving a deadline away, the common case (each re-registration does it), touches no heap: the old entry
comes up, finds a later deadline and is queued again. No protocol knowledge here.
"""

from __future__ import annotations

from collections.abc import Hashable
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class TimerQueue(Generic[Key]):
    """Deadlines in seconds of any monotonic clock, at most one for each key."""

    __slots__ = ("_armed", "_heap", "_queued", "_serial")

    def __init__(self) -> None:
        self._armed: dict[Key, float] = {}  # what the user asked for
        self._queued: dict[Key, float] = {}  # the earliest entry in the heap; never later than armed
        self._heap: list[tuple[float, int, Key]] = []
        self._serial = 0  # equal deadlines fire in the order of arming; keys are never compared

    def __len__(self) -> int:
        return len(self._armed)

    def __contains__(self, key: Key) -> bool:
        return key in self._armed

    def arm(self, key: Key, deadline: float) -> None:
        """Set the one deadline of ``key``, replacing an earlier one."""
        self._armed[key] = deadline
        queued = self._queued.get(key)
        if queued is None or deadline < queued:
            self._push(key, deadline)

    def cancel(self, key: Key) -> bool:
        """Forget the deadline of ``key``; False if there is none."""
        if self._armed.pop(key, None) is None:
            return False
        # Cancelled entries hold their keys alive; keep them a minority.
        if len(self._heap) > 64 and len(self._heap) > 2 * len(self._armed):
            self._rebuild()
        return True

    def when(self, key: Key) -> float | None:
        """The deadline of ``key``, if armed."""
        return self._armed.get(key)

    def deadline(self) -> float | None:
        """A time at which `due` should be called; None while nothing is armed. It may find nothing due then."""
        heap = self._heap
        if heap and self._armed.get(heap[0][2]) != heap[0][0]:
            self._settle()
        return heap[0][0] if heap else None

    def due(self, now: float) -> list[Key]:
        """Remove and return the keys whose deadline is reached, in the order of their deadlines."""
        found: list[Key] = []
        heap, queued, armed = self._heap, self._queued, self._armed
        while heap and heap[0][0] <= now:
            at, _, key = heappop(heap)
            if queued.get(key) != at:
                continue  # superseded by an earlier one
            wanted = armed.get(key)
            if wanted is None:
                del queued[key]
            elif wanted > at:
                self._push(key, wanted)  # if it is due as well, others may be before it
            else:
                del queued[key], armed[key]
                found.append(key)
        return found

    def verify(self) -> None:
        """Raise `RuntimeError` if the indices disagree (for tests)."""
        entries: dict[Key, set[float]] = {}
        for at, _, key in self._heap:
            entries.setdefault(key, set()).add(at)
        for key, at in self._queued.items():
            if at not in entries.get(key, ()):
                raise RuntimeError("queued deadline is not in the heap")
        for key, at in self._armed.items():
            if key not in self._queued or self._queued[key] > at:
                raise RuntimeError("armed deadline would fire late")

    def _push(self, key: Key, deadline: float) -> None:
        self._queued[key] = deadline
        self._serial += 1
        heappush(self._heap, (deadline, self._serial, key))

    def _settle(self) -> None:
        """Bring an entry to the top that means what it says."""
        heap, queued, armed = self._heap, self._queued, self._armed
        while heap:
            at, _, key = heap[0]
            if queued.get(key) != at:  # superseded by an earlier one
                heappop(heap)
                continue
            wanted = armed.get(key)
            if wanted == at:
                return
            heappop(heap)
            if wanted is None:
                del queued[key]
            else:
                self._push(key, wanted)

    def _rebuild(self) -> None:
        self._queued = dict(self._armed)
        self._heap = [(at, serial, key) for serial, (key, at) in enumerate(self._armed.items(), self._serial)]
        self._serial += len(self._heap)
        heapify(self._heap)
