"""Running a program: event loop, signals, an end in time, exit status.

SIGINT and SIGTERM cancel the program's main task, whose clean-up (deregistration, closing) may take `GRACE`
seconds; then a thread ends the process, whatever hangs: the event loop, a write to a terminal that was stopped, a
thread that computes. Associations have `GRACEFUL` seconds to end, then they are aborted: a peer that is silent or
takes no data would keep us until the end, and not be told of it. Further signals change nothing. What signals do
before that is in `start`.
"""

from __future__ import annotations

import _thread
import asyncio
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from pysocketapi.ending import abort_associations, end_associations

from .terminals import keep_output

GRACE = 1.6  # seconds from the signal to the end at the latest
GRACEFUL = 1.2  # seconds from the signal until what is left of the associations is aborted
_SIGNALS = ("SIGINT", "SIGTERM")
_SHOW_CURSOR = "\x1b[0m\x1b[?25h"
_LEAVE_SCREEN = "\x1b[?1049l"

_at_cut: list[Callable[[], None]] = []
_woken: list[socket.socket] = []  # becomes readable at a signal
_kept: list[Callable[[], None]] = []  # undoes `keep_output`


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """uvloop's loop where it runs, else asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def _numbers() -> list[int]:
    return [getattr(signal, name) for name in _SIGNALS]


def say_break(number: int) -> None:
    """Say that a signal ends the program, as RSPLIB's do."""
    _say(f"\n*** Break ***    Signal #{number}\n")


def _say(text: str) -> None:
    try:
        print(text, flush=True)
    except (OSError, ValueError):
        pass  # nobody listens any more


def signal_descriptor() -> int | None:
    """What becomes readable at a signal while `run` lasts, else None. It is not to be read.

    For event loops of others that run within a callback of ours: to return to Python, where handlers are called.
    """
    return _woken[0].fileno() if _woken else None


@contextmanager
def at_cut(act: Callable[[], None]) -> Iterator[None]:
    """While the block lasts: call ``act`` where the process is ended in the middle of its clean-up.

    It must neither wait nor write to standard output, which may be what hangs.
    """
    _at_cut.append(act)
    try:
        yield
    finally:
        _at_cut.remove(act)


@contextmanager
def full_screen() -> Iterator[None]:
    """While the block lasts, the terminal's other screen is left, too, where the process is ended at once."""
    with at_cut(lambda: _to_terminal(_LEAVE_SCREEN)):
        yield


def _to_terminal(text: str) -> None:
    """Write to the terminal without ever waiting for it."""
    try:
        if os.isatty(1):
            os.set_blocking(1, False)
            os.write(1, text.encode())
            os.set_blocking(1, True)
    except OSError:
        pass


def _cut(status: int) -> None:
    """End the process now. By any thread, so nothing here takes a lock that another may hold."""
    for act in [*reversed(_at_cut)]:
        try:
            act()
        except OSError:
            pass
    _to_terminal(_SHOW_CURSOR)
    _release()
    os._exit(status)


def _release() -> None:
    for undo in [*_kept]:
        undo()
    _kept.clear()


def _watch() -> None:
    time.sleep(GRACE)
    _cut(0)


def run(main: Callable[[], Coroutine[Any, Any, int]], *, quiet: bool = False) -> int:
    """Run ``main`` until it returns its exit status, or a signal ends it (status 0). OSError is for the caller.

    ``quiet``: say nothing about signals.
    """
    signalled: list[float] = []
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            status = runner.run(_guarded(main, quiet, signalled))
        if signalled:
            end_associations(max(0.0, signalled[0] + GRACEFUL - time.monotonic()))
        if not quiet:
            _say("\nTerminated!")
        return status
    finally:
        if signalled:
            # The interpreter's own end would make them deadly again.
            for number in _numbers():
                signal.signal(number, signal.SIG_IGN)
        _release()


async def _guarded(main: Callable[[], Coroutine[Any, Any, int]], quiet: bool, signalled: list[float]) -> int:
    loop = asyncio.get_running_loop()
    task = loop.create_task(main())
    with _signals(loop, task, quiet, signalled):
        try:
            return await task
        except asyncio.CancelledError:
            if signalled:
                return 0
            raise


@contextmanager
def _signals(
    loop: asyncio.AbstractEventLoop, task: asyncio.Task[int], quiet: bool, signalled: list[float]
) -> Iterator[None]:
    """While the block lasts, the first signal cancels the task and bounds the time to the process's end.

    The time of that signal is put into ``signalled``. The handlers are Python's; the loop's would wait for its
    next turn.
    """

    def cancel(number: int) -> None:
        task.cancel()
        loop.call_at(loop.time() + GRACEFUL, abort_associations, loop)
        if not quiet:
            say_break(number)

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if signalled:
            return
        signalled.append(time.monotonic())
        if undo := keep_output():
            _kept.append(undo)
        # Not a threading.Thread: its start takes locks that the main thread may hold just now.
        _thread.start_new_thread(_watch, ())
        loop.call_soon_threadsafe(cancel, number)

    def wake() -> None:
        # Python code, not the bare method: only between its instructions handlers are called.
        reader.recv(4096)

    numbers = _numbers()
    # A signal may come when the loop has looked for the last time before it sleeps: the byte wakes it.
    reader, writer = socket.socketpair()
    with reader, writer:
        for end in reader, writer:
            end.setblocking(False)
        loop.add_reader(reader, wake)
        wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        before = {number: signal.signal(number, on_signal) for number in numbers}
        _woken.append(reader)
        try:
            yield
        finally:
            _woken.remove(reader)
            for number in numbers:
                if not signalled:  # else the handler stays, and does nothing: the rest of our life is bounded
                    signal.signal(number, before[number])
            signal.set_wakeup_fd(wakeup)
            loop.remove_reader(reader)


async def in_time(work: Coroutine[Any, Any, None], seconds: float) -> int:
    """Run ``work``, which has no end of its own, for so many seconds; return exit status 0."""
    try:
        async with asyncio.timeout(seconds):
            await work
    except TimeoutError:
        pass
    return 0


async def in_cycles(work: Callable[[], Awaitable[int]], uptime: float | None, downtime: float | None) -> int:
    """Run ``work``; with a mean up time in seconds, end it after a random time, pause likewise, and so on."""
    if uptime is None:
        return await work()
    while True:
        try:
            async with asyncio.timeout(random.expovariate(1 / uptime)):
                return await work()
        except TimeoutError:
            await asyncio.sleep(random.expovariate(1 / (downtime or uptime)))


def go_to_background(pid_file: str) -> bool:
    """Fork; the parent writes the child's process number to a file and gets False, the child goes on with True.

    Raises OSError if the file cannot be written; then there is no child.
    """
    with open(pid_file, "w", encoding="ascii") as file:
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child:
            file.write(f"{child}\n")
            return False
    os.setsid()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    return True
