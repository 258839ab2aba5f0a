"""The thread with the event loop in which the library lives, and the ways from other threads into it.

One for a process, between rsp_initialize and rsp_cleanup.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from typing import Any, TypeVar

from rserpool.session import Library
from rserpool.settings import Settings

R = TypeVar("R")


class Changes:
    """Tells threads that something has become readable: a condition, and sockets for those in a poll."""

    def __init__(self) -> None:
        self.condition = threading.Condition()
        self._wakers: set[socket.socket] = set()

    def notify(self) -> None:
        """Wake all who wait. Called with the condition held."""
        self.condition.notify_all()
        for waker in self._wakers:
            try:
                waker.send(b"x")
            except BlockingIOError:
                pass  # it is awake already

    def add(self, waker: socket.socket) -> None:
        """Wake a socket as well."""
        with self.condition:
            self._wakers.add(waker)

    def remove(self, waker: socket.socket) -> None:
        """Wake it no longer."""
        with self.condition:
            self._wakers.discard(waker)


class Runtime:
    """A running library. Raises OSError if it cannot be started."""

    def __init__(self, settings: Settings) -> None:
        self.changes = Changes()
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="rserpool", daemon=True)
        self._thread.start()
        self.library = Library(settings)
        try:
            self.call(self.library.start())
        except BaseException:
            self._end()
            raise

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def call(self, coroutine: Coroutine[Any, Any, R], timeout: int = -1) -> R:
        """Run a coroutine in the loop and return its result.

        ``timeout`` in ms, negative: none; then TimeoutError with EAGAIN. Raises what the coroutine raises.
        """
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise OSError(errno.EDEADLK, "called from the library's own thread")
        future = asyncio.run_coroutine_threadsafe(_limited(coroutine, timeout), self.loop)
        try:
            return future.result()
        except CancelledError:
            raise OSError(errno.ECANCELED, "the library was cleaned up") from None
        except BaseException:
            future.cancel()  # such as KeyboardInterrupt
            raise

    def soon(self, function: Callable[..., object], *arguments: object) -> None:
        """Call a function in the loop, without waiting."""
        self.loop.call_soon_threadsafe(function, *arguments)

    def spawn(self, coroutine: Coroutine[Any, Any, object]) -> None:
        """Run a coroutine in the loop, without waiting."""
        asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def close(self) -> None:
        """End the library and the thread."""
        try:
            self.call(self.library.close())
        finally:
            self._end()

    def _end(self) -> None:
        try:
            self.call(_cancel_all())
        finally:
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join()
            self.loop.close()


async def _limited(coroutine: Coroutine[Any, Any, R], timeout: int) -> R:
    if timeout < 0:
        return await coroutine
    try:
        async with asyncio.timeout(timeout / 1000.0) as limit:
            return await coroutine
    except TimeoutError:
        if limit.expired():
            raise TimeoutError(errno.EAGAIN, "it took longer than the timeout") from None
        raise


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()
