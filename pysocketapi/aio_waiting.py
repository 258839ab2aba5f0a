"""Waiting on a channel from coroutines: shared by connections, servers and endpoints.

A wait that is cancelled leaves nothing behind and takes nothing away.
"""

from __future__ import annotations

import asyncio
from typing import Any

from .backends.contract import Channel


async def readable(channel: Channel, loop: asyncio.AbstractEventLoop) -> None:
    """Return when the channel may be readable."""
    future: asyncio.Future[None] = loop.create_future()
    channel.watch_read(loop, lambda: _settle(future))
    try:
        await future
    except BaseException:
        channel.watch_read(loop, None)
        raise


async def writable(channel: Channel, loop: asyncio.AbstractEventLoop) -> None:
    """Return when the channel may be writable."""
    future: asyncio.Future[None] = loop.create_future()

    def fire() -> None:
        _settle(future)

    channel.watch_write(loop, fire)
    try:
        await future
    except BaseException:
        channel.unwatch_write(loop, fire)
        raise


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def closed(channel: Channel, loop: asyncio.AbstractEventLoop) -> None:
    """Return when a channel that was closed has ended its associations."""
    future: asyncio.Future[None] = loop.create_future()
    channel.watch_closed(loop, lambda: _settle(future))
    await future


class Writers:
    """Those who wait until an association takes more: any number, served in their order."""

    __slots__ = ("_channel", "_loop", "_turn")

    def __init__(self, channel: Channel, loop: asyncio.AbstractEventLoop) -> None:
        self._channel = channel
        self._loop = loop
        self._turn = asyncio.Lock()

    async def send(self, *args: Any) -> None:
        """Wait until ``channel.send(*args)`` took the message; cancelled: it did not."""
        async with self._turn:
            spins = 0
            while not self._channel.send(*args):
                await writable(self._channel, self._loop)
                spins += 1
                if spins > 1:
                    # A one-to-many kernel socket is writable while this one association is not.
                    await asyncio.sleep(0.002)

    @property
    def waiting(self) -> bool:
        """Whether somebody waits already, so that a newcomer must queue behind."""
        return self._turn.locked()
