"""The fractal service, pool user's side: one rectangle over one session, whatever becomes of its servers.

RSPLIB's service. Parameters are sent once; after a failover the cookie makes the next server go on, and where no
server has sent one, the parameters are sent again. Formats are in `fractal`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

from rserpool.services import fractal
from rserpool.session import Data, Failover, Session
from rserpool.wire.types import DecodeError

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0  # seconds, after servers that left without any point


@dataclass(slots=True)
class Timeouts:
    """Seconds: until a message must be taken, and until the next one must come."""

    send: float = 5.0
    receive: float = 5.0


class Drawing:
    """One rectangle of ``parameter``'s size; what is known of its progress is in the attributes.

    ``take(offset, points)`` gets points as they come, some of them twice: ``offset`` counts along x and then along
    the lines. ``say`` gets sentences about failures.
    """

    def __init__(
        self,
        parameter: fractal.Parameter,
        take: Callable[[int, tuple[int, ...]], None],
        say: Callable[[str], None],
        timeouts: Timeouts,
    ) -> None:
        self.parameter = parameter
        self.packets = 0
        self.elements: list[int] = []  # identifiers of the pool elements used, in order
        self.waiting = False  # no pool element at present
        self.failovers = 0
        self._take = take
        self._say = say
        self._timeouts = timeouts
        self._size = parameter.width * parameter.height
        self._have = bytearray(self._size)
        self.missing = self._size  # points that have not come yet
        self._pause = 0.0

    async def run(self, session: Session) -> None:
        """Draw over a session, which is connected or about to be. Returns when no point is missing."""
        if session.connected:
            await self._begin(session)
        while self.missing:
            try:
                async with asyncio.timeout(self._timeouts.receive):
                    event = await session.recv()
            except TimeoutError:
                self._say(f"PE ${session.identifier:08x} is silent for {self._timeouts.receive:g} s: failover")
                await self._fail_over(session, unreachable=True)
                continue
            if event is None:
                raise BrokenPipeError("the session is closed")
            if isinstance(event, Failover):
                await self._on_failover(session, event)
            elif isinstance(event, Data):
                try:
                    await self._on_data(session, event)
                except DecodeError as error:
                    self._say(f"Bad message from PE ${session.identifier:08x}: {error}: failover")
                    await self._fail_over(session)

    async def _begin(self, session: Session) -> None:
        """Note the new pool element; send it the parameters, unless it has them by a cookie."""
        self.waiting = False
        self.elements.append(session.identifier)
        if not session.has_cookie:
            await self._send_parameter(session)

    async def _send_parameter(self, session: Session) -> None:
        try:
            async with asyncio.timeout(self._timeouts.send):
                await session.send(fractal.encode(self.parameter), ppid=fractal.PPID)
        except TimeoutError:
            await self._fail_over(session, unreachable=True)
        except OSError:
            pass  # the next event is the failover

    async def _fail_over(self, session: Session, unreachable: bool = False) -> None:
        if not self.waiting and self.elements:
            self.failovers += 1
        self.waiting = True
        if self._pause:
            # Servers that are full close at once; without a pause all users would run in circles between them.
            await asyncio.sleep(self._pause * random.uniform(0.5, 1.0))
        self._pause = min(max(2 * self._pause, FIRST_PAUSE), LONGEST_PAUSE)
        await session.force_failover(unreachable)

    async def _on_failover(self, session: Session, event: Failover) -> None:
        if event.complete:
            words = "goes on by its cookie" if event.has_cookie else "begins again"
            self._say(f"PE ${session.identifier:08x} {words}")
            await self._begin(session)
            return
        if not self.waiting and self.elements:
            self._say(f"PE ${session.identifier:08x} has gone: failover")
        await self._fail_over(session)

    async def _on_data(self, session: Session, event: Data) -> None:
        message = fractal.decode(event.data)
        if not isinstance(message, fractal.Data):
            raise DecodeError("parameters from a server")
        self.packets += 1
        if message.end:
            if self.missing:
                # A server that failed may have sent a cookie and lost the data before it.
                self._say(f"{self.missing} points are missing: asking PE ${session.identifier:08x} for all")
                await self._send_parameter(session)
            return
        self._pause = 0.0
        offset = message.y * self.parameter.width + message.x
        if message.x >= self.parameter.width or offset + len(message.points) > self._size:
            raise DecodeError(f"points from ({message.x}, {message.y}) on are not in the image")
        end = offset + len(message.points)
        self.missing -= self._have.count(0, offset, end)
        self._have[offset:end] = b"\x01" * (end - offset)
        self._take(offset, tuple(message.points))
