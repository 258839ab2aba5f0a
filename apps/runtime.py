"""Running a program: event loop, signals, an end in time, exit status.

SIGINT and SIGTERM cancel the program's main task, whose clean-up (deregistration, closing) may take `GRACE`
seconds; then the process ends whatever is still open. A second signal ends it at once.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

GRACE = 1.6  # seconds from the signal to the end at the latest
_SIGNALS = ("SIGINT", "SIGTERM")


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """uvloop's loop where it runs, else asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def say_break(number: int) -> None:
    """Say that a signal ends the program, as RSPLIB's do."""
    _say(f"\n*** Break ***    Signal #{number}\n")


def _say(text: str) -> None:
    try:
        print(text, flush=True)
    except (BrokenPipeError, ValueError):
        pass


def _end_now(status: int) -> None:
    """Leave without any further clean-up."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (BrokenPipeError, ValueError):
            pass
    os._exit(status)


def run(main: Callable[[], Coroutine[Any, Any, int]], *, quiet: bool = False) -> int:
    """Run ``main`` until it returns its exit status, or a signal ends it (status 0). OSError is for the caller.

    ``quiet``: say nothing about signals.
    """
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        status = runner.run(_guarded(main, quiet))
    if not quiet:
        _say("\nTerminated!")
    return status


async def _guarded(main: Callable[[], Coroutine[Any, Any, int]], quiet: bool) -> int:
    loop = asyncio.get_running_loop()
    task = loop.create_task(main())
    signalled: list[int] = []

    def on_signal(number: int) -> None:
        if signalled:
            _end_now(128 + number)
        signalled.append(number)
        if not quiet:
            say_break(number)
        loop.call_later(GRACE, _end_now, 0)
        task.cancel()

    for name in _SIGNALS:
        loop.add_signal_handler(getattr(signal, name), on_signal, getattr(signal, name))
    try:
        return await task
    except asyncio.CancelledError:
        if signalled:
            return 0
        raise


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
