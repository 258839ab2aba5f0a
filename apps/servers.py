"""The services that rspserver offers, as a table: names, titles, pools, options, and what one session does.

Behaviour towards pool users is RSPLIB's; message formats are in `rserpool.services`.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from dataclasses import dataclass

from rserpool.services import calcapp, fractal, pingpong, scripting
from rserpool.session import CookieEcho, Data, PeerSession, PoolElement
from rserpool.wire.types import DecodeError

from . import calcapp_service, fractal_service, scripting_service
from .logs import Output
from .options import Group, Option, Values
from .values import integer

CHARGEN_SIZE = 1024
CHARGEN_FIRST, CHARGEN_CYCLE = 30, 98  # bytes of the pattern, as RSPLIB sends it
THREADS = 4

Together = AbstractAsyncContextManager[Callable[[PeerSession], Awaitable[None]]]


@dataclass(frozen=True, slots=True)
class Service:
    """One service. ``limit``: the option with the most sessions it serves at a time; "" for no limit."""

    name: str
    title: str
    pool: str
    summary: str
    serve: Callable[[PeerSession, Values, Output], Awaitable[None]]
    starting: str = ""  # what RSPLIB says for "Starting service ..."
    options: tuple[Option, ...] = ()
    limit: str = ""
    parameters: Callable[[Values], list[tuple[str, str]]] = lambda _: []
    # What surrounds the server's life; it may complete the values.
    prepared: Callable[[Values], AbstractContextManager[None]] = lambda _: nullcontext()
    # The last words to a pool user for whom there is no room.
    refuse: Callable[[PeerSession, Values, Output], Awaitable[None]] | None = None
    # Instead of ``serve``, where the sessions have something in common: what yields their ``serve``.
    begin: Callable[[Values, Output, PoolElement], Together] | None = None


async def _by_itself(session: PeerSession, values: Values, out: Output) -> None:
    """For services that have ``begin`` instead."""


async def echo(session: PeerSession, values: Values, out: Output) -> None:
    """Send every message back: same bytes, same PPID, same stream (RFC 862's idea)."""
    while (event := await session.recv()) is not None:
        if isinstance(event, Data):
            await session.send(event.data, ppid=event.ppid, stream=event.stream)
            if not values.quiet:
                out.stamped(f"Echo {len(event.data)} bytes on session {session.id}")


async def discard(session: PeerSession, values: Values, out: Output) -> None:
    """Take every message (RFC 863's idea)."""
    while (event := await session.recv()) is not None:
        if isinstance(event, Data) and not values.quiet:
            out.stamped(f"Discard {len(event.data)} bytes on session {session.id}")


async def daytime(session: PeerSession, values: Values, out: Output) -> None:
    """Tell the time and end the session (RFC 867's idea)."""
    now = time.time()
    text = time.strftime("%A, %d-%B-%Y %H:%M:%S", time.localtime(now)) + f".{int(now % 1 * 1e6):06d}\n"
    await session.send(text.encode())
    session.close()
    await session.wait_closed()


def pattern() -> bytes:
    """One message of the character generator."""
    return bytes(CHARGEN_FIRST + i % CHARGEN_CYCLE for i in range(CHARGEN_SIZE))


async def chargen(session: PeerSession, values: Values, out: Output) -> None:
    """Send characters as fast as they are taken (RFC 864's idea)."""
    data = pattern()
    while True:
        await session.send(data)


async def ping_pong(session: PeerSession, values: Values, out: Output) -> None:
    """Answer pings, counting; the count goes to the pool user as a cookie and comes back from it."""
    reply = 1
    served = 0
    first = True
    while (event := await session.recv()) is not None:
        try:
            if isinstance(event, CookieEcho):
                if not first:
                    raise DecodeError("a cookie in the middle of a session")
                reply = pingpong.decode_cookie(event.cookie)
            elif isinstance(event, Data):
                ping = pingpong.decode(event.data)
                if not isinstance(ping, pingpong.Ping):
                    raise DecodeError("a Pong from a pool user")
                answer = pingpong.encode(pingpong.Pong(ping.number, reply, ping.data[: pingpong.MAX_DATA]))
                reply += 1
                # Before the answer, unlike RSPLIB: whoever has seen the answer can go on behind it elsewhere.
                await session.send_cookie(pingpong.encode_cookie(reply))
                await session.send(answer, ppid=pingpong.PPID)
                served += 1
                if values.pppfailureafter and served >= values.pppfailureafter:
                    out.stamped(f"Failure Tester on session {session.id} -> Disconnecting after {served} replies!")
                    session.abort(b"failure test")
                    return
        except DecodeError as error:
            out.stamped(f"Aborting session {session.id}: {error}")
            session.abort(b"bad message")
            return
        first = False


def _threads(prefix: str) -> Option:
    return Option(f"{prefix}maxthreads", "sessions at a time", integer(1, 100_000), str(THREADS), "N")


SERVICES = (
    Service("echo", "Echo Server - Version 1.0", "EchoPool", "send back what comes", echo, "Echo"),
    Service("discard", "Discard Server - Version 1.0", "DiscardPool", "throw away what comes", discard, "Discard"),
    Service("daytime", "Daytime Server - Version 1.0", "DaytimePool", "tell the time", daytime, "Daytime"),
    Service(
        "chargen",
        "Character Generator Server - Version 1.0",
        "CharGenPool",
        "send characters without end",
        chargen,
        "CharGen",
        (_threads("chargen"),),
        "chargenmaxthreads",
    ),
    Service(
        "pingpong",
        "Ping Pong Server - Version 1.0",
        "PingPongPool",
        "answer numbered messages; state in cookies",
        ping_pong,
        "",
        (
            _threads("ppp"),
            Option("pppfailureafter", "failure test: abort a session after so many replies, 0 never",
                   integer(0, 2**31), "0", "N"),
        ),
        "pppmaxthreads",
        lambda v: [("Failure After", f"{v.pppfailureafter} Replies")] if v.pppfailureafter else [],
    ),
    Service(
        "fractal",
        "Fractal Generator Server - Version 1.0",
        fractal.POOL,
        "compute images for fractalpooluser; state in cookies",
        fractal_service.serve,
        "",
        (_threads("fgp"), *fractal_service.OPTIONS),
        "fgpmaxthreads",
        fractal_service.parameters,
    ),
    Service(
        "calcapp",
        "CalcApp Server - Version 1.0",
        calcapp.POOL,
        "compute jobs for calcappclient, for measurements; progress in cookies",
        _by_itself,
        options=calcapp_service.OPTIONS,
        parameters=calcapp_service.parameters,
        prepared=calcapp_service.prepared,
        begin=calcapp_service.begin,
    ),
    Service(
        "scripting",
        "Scripting Server - Version 2.0",
        scripting.POOL,
        "run work packages of scriptingclient",
        scripting_service.serve,
        "",
        scripting_service.OPTIONS,
        "ssmaxthreads",
        scripting_service.parameters,
        prepared=scripting_service.prepared,
        refuse=scripting_service.refuse,
    ),
)  # fmt: skip


def option_groups() -> tuple[Group, ...]:
    """The options that choose the service, and those of each."""
    choose = tuple(Option(s.name, f"{s.summary} (pool {s.pool})", dest="service", value=s.name) for s in SERVICES)
    own = tuple(Group(s.title.partition(" - ")[0], s.options) for s in SERVICES if s.options)
    return (Group("Service", choose, "Without any of these: -echo."), *own)


def service_of(values: Values) -> Service:
    """The service that was chosen."""
    name = values.service or "echo"
    return next(s for s in SERVICES if s.name == name)
