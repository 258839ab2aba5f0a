"""Waiting on a channel from coroutines: shared by connections, servers and endpoints.

A wait that is cancelled leaves nothing behind and takes nothing away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from .backends.contract import Channel


async def readable(channel: Channel, loop: asyncio.AbstractEventLoop) -> None:
    """Return when the channel may be readable."""
    await _once(channel.watch_read, loop)


async def _once(watch: Callable[..., None], loop: asyncio.AbstractEventLoop) -> None:
    future: asyncio.Future[None] = loop.create_future()

    def fire() -> None:
        if not future.done():
            future.set_result(None)

    watch(loop, fire)
    try:
        await future
    except BaseException:
        watch(loop, None)
        raise


async def closed(channel: Channel, loop: asyncio.AbstractEventLoop) -> None:
    """Return when a channel that was closed has ended its associations."""
    future: asyncio.Future[None] = loop.create_future()

    def fire() -> None:
        if not future.done():
            future.set_result(None)

    channel.watch_closed(loop, fire)
    await future


class Writers:
    """Those who wait until a channel takes more: any number, served in their order."""

    __slots__ = ("_channel", "_loop", "_turn")

    def __init__(self, channel: Channel, loop: asyncio.AbstractEventLoop) -> None:
        self._channel = channel
        self._loop = loop
        self._turn = asyncio.Lock()

    async def send(self, *args: Any) -> None:
        """Wait until ``channel.send(*args)`` took the message; cancelled: it did not."""
        async with self._turn:
            channel = self._channel
            spins = 0
            while not channel.send(*args):
                await _once(channel.watch_write, self._loop)
                spins += 1
                if spins > 1:
                    # A one-to-many kernel socket is writable while this one association is not.
                    await asyncio.sleep(0.002)

    async def writable(self) -> None:
        """Wait until the channel is writable, as after a connect."""
        await _once(self._channel.watch_write, self._loop)

    @property
    def waiting(self) -> bool:
        """Whether somebody waits already, so that a newcomer must queue behind."""
        return self._turn.locked()
