"""Timers of the user, run by the event loop: sctp_startTimer, sctp_stopTimer, sctp_restartTimer.

A heap of due times; stopping a timer forgets it and leaves its entry in the heap to be skipped. One turn of the
loop runs at most one timer (``run_due``), as SCTPLIB does.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

from .library import Library, Refused, library

_NONE = 0


def sctp_startTimer(
    seconds: int,
    microseconds: int,
    timer_cb: Callable[[int, Any, Any], object],
    param1: Any = None,
    param2: Any = None,
) -> int:
    """Call ``timer_cb(timerID, param1, param2)`` once after the given time; return the timer's ID, 0 on error."""
    try:
        lib = library()
    except Refused:
        return _NONE
    return lib.add_timer(lib.now() + seconds + microseconds / 1e6, timer_cb, param1, param2)


def sctp_stopTimer(tid: int) -> int:
    """Stop a timer: 0, or 1 if it is not running; -1 before sctp_initLibrary. In its own callback: 0."""
    try:
        lib = library()
    except Refused:
        return -1
    if lib.timers.pop(tid, None) is not None or (lib.running_timer and lib.running_timer[0] == tid):
        return 0
    return 1


def sctp_restartTimer(timer_id: int, seconds: int, microseconds: int) -> int:
    """Set a timer anew, from now; return its new ID, or 0 if there is no such timer. Allowed in its callback."""
    try:
        lib = library()
    except Refused:
        return _NONE
    timer = lib.timers.pop(timer_id, None)
    if timer is None and lib.running_timer and lib.running_timer[0] == timer_id:
        timer = lib.running_timer[1]
    if timer is None:
        return _NONE
    due = lib.now() + seconds + microseconds / 1e6
    return lib.add_timer(due, timer.callback, timer.param1, timer.param2)


def next_due(lib: Library) -> float | None:
    """Return when the next timer is due, or None."""
    agenda = lib.agenda
    while agenda and agenda[0][1] not in lib.timers:
        heapq.heappop(agenda)
    return agenda[0][0] if agenda else None


def run_due(lib: Library) -> bool:
    """Run the first timer if it is due; return whether there was one."""
    due = next_due(lib)
    if due is None or due > lib.now():
        return False
    _, name = heapq.heappop(lib.agenda)
    timer = lib.timers.pop(name)
    lib.running_timer = (name, timer)
    try:
        timer.callback(name, timer.param1, timer.param2)
    finally:
        lib.running_timer = None
    return True
