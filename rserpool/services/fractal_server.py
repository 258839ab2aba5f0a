"""The fractal service, pool element's side: image after image, the state in cookies (RSPLIB's service).

Computes in pieces of some milliseconds and lets the event loop run between them, so that one process serves many
sessions and answers its registrar. Formats are in `fractal`, the points in `fractal_images`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from rserpool.services import fractal, fractal_images
from rserpool.session import CookieEcho, Data, PeerSession
from rserpool.wire.types import DecodeError

SLICE = 0.004  # seconds of computing until others have their turn
TEST_PATTERN = 0  # an algorithm that is none: (x * y) mod 256


@dataclass(slots=True)
class Settings:
    """What RSPLIB's -fgp... options set; times in seconds. ``failure_after``: Data messages, 0: never."""

    transmit_timeout: float = 2.5
    data_max_time: float = 1.0
    cookie_max_time: float = 1.0
    cookie_max_packets: int = 10
    failure_after: int = 0
    test_mode: bool = False


class _Image:
    """One image on its way: what is computed and not yet sent, what the last cookie covers."""

    def __init__(self, session: PeerSession, settings: Settings, p: fractal.Parameter, x: int, y: int) -> None:
        self.session = session
        self.settings = settings
        self.parameter = p
        self.x, self.y = x, y  # the first point that was not sent
        self.points: list[int] = []
        self.packets = 0  # since the last cookie
        self.data_time = self.cookie_time = time.monotonic()

    async def flush(self) -> None:
        """Send the points at hand."""
        if self.points:
            message = fractal.encode(fractal.Data(self.x, self.y, self.points))
            await self._send(self.session.send(message, ppid=fractal.PPID))
            row, self.x = divmod(self.x + len(self.points), self.parameter.width)
            self.y += row
            self.points = []
            self.packets += 1
        self.data_time = time.monotonic()

    async def cookie(self) -> None:
        """Send a cookie. It never claims points that were not sent before it on the same stream."""
        state = fractal.Cookie(self.parameter, self.x, self.y)
        await self._send(self.session.send_cookie(fractal.encode_cookie(state)))
        self.packets = 0
        self.cookie_time = time.monotonic()

    async def cookie_if_due(self) -> None:
        """Send a cookie where enough packets or time have gone by since the last."""
        waited = time.monotonic() - self.cookie_time
        if self.packets >= self.settings.cookie_max_packets or waited >= self.settings.cookie_max_time:
            await self.cookie()

    async def _send(self, sending: Awaitable[None]) -> None:
        async with asyncio.timeout(self.settings.transmit_timeout):
            await sending


async def serve(session: PeerSession, settings: Settings, say: Callable[[str], None]) -> None:
    """Serve one session to its end. Raises OSError if the pool user has gone. ``say`` gets lines for people."""
    sent = 0
    first = True
    while (event := await session.recv()) is not None:
        try:
            parameter, x, y = _task(event, first)
        except DecodeError as error:
            say(f"Aborting session {session.id}: {error}")
            session.abort(b"bad message")
            return
        first = False
        if isinstance(event, CookieEcho):
            say(f"Got CookieEcho on session {session.id}:\n{describe(parameter, x, y)}")
        else:
            say(f"Got Parameter on session {session.id}:\n{describe(parameter)}")
        try:
            sent = await _draw(_Image(session, settings, parameter, x, y), sent)
        except TimeoutError:
            say(f"Aborting session {session.id}: the pool user takes no data for {settings.transmit_timeout:g}s")
            session.abort(b"transmission timeout")
            return
        if sent < 0:
            say(f"Failure Tester on session {session.id} -> Disconnecting after {settings.failure_after} packets!")
            session.close()
            await session.wait_closed()
            return


def _task(event: Data | CookieEcho, first: bool) -> tuple[fractal.Parameter, int, int]:
    """What is to be computed, and from where on. DecodeError if the message is no task."""
    if isinstance(event, CookieEcho):
        if not first:
            raise DecodeError("a cookie in the middle of a session")
        cookie = fractal.decode_cookie(event.cookie)
        return cookie.parameter, cookie.x, cookie.y
    message = fractal.decode(event.data)
    if not isinstance(message, fractal.Parameter):
        raise DecodeError("Data from a pool user")
    return message, 0, 0


def describe(p: fractal.Parameter, x: int | None = None, y: int | None = None) -> str:
    """Parameters in RSPLIB's words; with the point where to go on."""
    place = "" if x is None else f", startX={x} startY={y}"
    return (
        f"w={p.width} h={p.height} c1=({p.c1.real:g},{p.c1.imag:g}) c2=({p.c2.real:g},{p.c2.imag:g}), n={p.n:f}, "
        f"maxIterations={p.max_iterations}, algorithmID={p.algorithm}{place}"
    )


async def _draw(image: _Image, sent: int) -> int:
    """Compute and send an image to its end; return how many Data were sent, -1 where the failure test is due."""
    settings = image.settings
    parameter = replace(image.parameter, algorithm=TEST_PATTERN) if settings.test_mode else image.parameter

    async def send() -> bool:
        """Send the points; whether the session shall go on."""
        nonlocal sent
        await image.flush()
        sent += 1
        if settings.failure_after and sent >= settings.failure_after:
            await image.cookie()
            return False
        return True

    await image.cookie()
    turn = time.monotonic()
    try:
        for _, _, counts in fractal_images.points(parameter, image.x, image.y):
            image.points += counts
            while len(image.points) >= fractal.MAX_POINTS:
                rest = image.points[fractal.MAX_POINTS :]
                del image.points[fractal.MAX_POINTS :]
                if not await send():
                    return -1
                image.points = rest
            now = time.monotonic()
            if now - image.data_time >= settings.data_max_time and image.points and not await send():
                return -1
            await image.cookie_if_due()
            if now - turn >= SLICE:
                await asyncio.sleep(0)
                turn = time.monotonic()
        if image.points and not await send():
            return -1
        await image.session.send(fractal.encode(fractal.END_OF_IMAGE), ppid=fractal.PPID)
    except asyncio.CancelledError:
        # The server ends: what is done goes to the pool user, and the state for the next server.
        await image.flush()
        await image.cookie()
        raise
    return sent
