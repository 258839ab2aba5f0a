"""rspserver's CalcApp service: options, timer, statistics files around `rserpool.services.calcapp_server`."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager

from rserpool.services import calcapp
from rserpool.services.calcapp_server import Drop, Note, Send, SendCookie, Server, Settings
from rserpool.session import CookieEcho, Data, PeerSession, PoolElement
from rserpool.wire.types import DecodeError

from .logs import Output
from .options import Option, Values
from .scalars import VectorFile, write_scalars
from .values import integer, milliseconds, real, seconds, text

HEADER = (
    "ObjectName PID PoolElementIdentifier CurrentTimeStamp Runtime   "
    "AvailableCalculations UsedCalculations Utilization   CurrentJobs MaxJobs"
)
OPTIONS = (
    Option("capobject", "name in the statistics files", text, "scenario.calcapppoolelement[0]", "NAME"),
    Option("capvector", "statistics: a row for each job", text, "calcapppoolelement.vec", "FILE"),
    Option("capscalar", "statistics: totals at the end", text, "calcapppoolelement.sca", "FILE"),
    Option("capcapacity", "calculations per second", real(1, 1e18), "1000000", "N"),
    Option("capmaxjobs", "jobs at a time", integer(1, 1_000_000), "10", "N"),
    Option("capkeepalivetransmissioninterval", "time between keep-alives", milliseconds(100), "2500", "MS"),
    Option("capkeepalivetimeoutinterval", "time to answer one", milliseconds(100), "2500", "MS"),
    Option("capcookiemaxtime", "a cookie after so long", seconds(0.1), "5", "S"),
    Option("capcookiemaxcalculations", "or after so many calculations", real(1, 1e18), "5000000", "N"),
    Option("capcleanshutdownprobability", "probability of sending the progress of all jobs at the end", real(0, 1),
           "1", "0..1"),
)  # fmt: skip


def settings_of(values: Values) -> Settings:
    """The service's settings."""
    return Settings(
        values.capcapacity,
        values.capmaxjobs,
        values.capkeepalivetransmissioninterval,
        values.capkeepalivetimeoutinterval,
        values.capcookiemaxtime,
        values.capcookiemaxcalculations,
    )


def parameters(values: Values) -> list[tuple[str, str]]:
    """The service's parameters, for the text at the start."""
    return [
        ("Object Name", values.capobject),
        ("Vector File Name", values.capvector),
        ("Scalar File Name", values.capscalar),
        ("Max Jobs", str(values.capmaxjobs)),
        ("Capacity", f"{values.capcapacity:.1f} Calculations/s"),
        ("Clean Shutdown Prob.", f"{100 * values.capcleanshutdownprobability:.2f}%"),
        ("KA Transmission Interv.", f"{values.capkeepalivetransmissioninterval * 1000:.0f}ms"),
        ("KA Timeout Interval", f"{values.capkeepalivetimeoutinterval * 1000:.0f}ms"),
        ("Cookie Max Time", f"{values.capcookiemaxtime:.3f}s"),
        ("Cookie Max Calculations", f"{values.capcookiemaxcalculations:.0f} Calculations"),
    ]


class Bench:
    """The jobs of this program: the sans-IO server, a timer, the sessions, the files."""

    def __init__(self, values: Values, out: Output, element: PoolElement) -> None:
        self._values = values
        self._out = out
        self._element = element
        self._began = time.monotonic()
        self.server = Server(settings_of(values), self._began)
        self._sessions: dict[Hashable, PeerSession] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._sending: set[asyncio.Task[None]] = set()
        # In cycles of up and down time the rows go on.
        self._vector = VectorFile(values.capvector, HEADER, append=values.uptime is not None
                                  and os.path.exists(values.capvector))  # fmt: skip

    async def serve(self, session: PeerSession) -> None:
        """Serve one session."""
        self._sessions[session.id] = session
        try:
            while (event := await session.recv()) is not None:
                now = time.monotonic()
                try:
                    if isinstance(event, CookieEcho):
                        self.server.cookie_echo(session.id, calcapp.decode_cookie(event.cookie), now)
                    elif isinstance(event, Data):
                        self.server.request(session.id, calcapp.decode(event.data), now)
                except DecodeError as error:
                    self._out.stamped(f"Aborting session {session.id}: {error}")
                    session.abort(b"bad message")
                    return
                self._turn()
        finally:
            self._sessions.pop(session.id, None)
            self.server.lost(session.id, time.monotonic())
            self._turn()

    def _turn(self) -> None:
        for action in self.server.actions():
            if isinstance(action, Note):
                self._note(action)
                continue
            session = self._sessions.get(action.session)
            if session is None:
                continue
            if isinstance(action, Drop):
                self._out.stamped(f"Session {session.id} does not answer keep-alives")
                session.abort(b"keep-alive timeout")
                continue
            task = asyncio.ensure_future(self._send(session, action))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        self._element.set_load(self.server.load)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self.server.deadline()
        if due is not None:
            delay = max(0.0, due - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(delay, self._expire)

    def _expire(self) -> None:
        self._timer = None
        self.server.expire(time.monotonic())
        self._turn()

    @staticmethod
    async def _send(session: PeerSession, action: Send | SendCookie) -> None:
        try:
            if isinstance(action, Send):
                await session.send(calcapp.encode(action.message), ppid=calcapp.PPID)
            else:
                await session.send_cookie(calcapp.encode_cookie(action.cookie))
        except OSError:
            pass  # its end is told by recv

    def _note(self, note: Note) -> None:
        name = f"{note.job.session}/{note.job.number}"
        running = len(self.server.jobs)
        if not self._values.quiet:
            if note.what == "accepted":
                self._out.line(f" Job added ({running} are running)")
                self._out.line(f"Job {name} of size {note.job.size:g} accepted")
            elif note.what == "complete":
                self._out.line(f"Job {name} is complete!\n Job removed ({running} still running)")
            elif note.what == "rejected":
                self._out.line(f"Job {name} of size {note.job.size:g} rejected")
            else:
                self._out.line(f" Job removed ({running} still running)")
        if note.what == "complete":
            lasted = time.monotonic() - self._began
            available = lasted * self._values.capcapacity
            self._vector.row(
                f"{self._values.capobject} {os.getpid()} 0x{self._element.identifier:08x} {time.time():.6f} "
                f"{lasted:.6f}   {available:.0f} {self.server.used:.0f} {self.server.used / available:.6f}   "
                f"{running} {self._values.capmaxjobs}"
            )

    async def close(self) -> None:
        """Send what the next servers need, write the totals."""
        values, server = self._values, self.server
        if random.random() < values.capcleanshutdownprobability:
            server.finish(time.monotonic())
            self._turn()
            await asyncio.gather(*self._sending, return_exceptions=True)
        if self._timer is not None:
            self._timer.cancel()
        self._vector.close()
        lasted = time.monotonic() - self._began
        capacity = lasted * values.capcapacity
        write_scalars(values.capscalar, values.capobject, [
            ("CalcAppPE Service Uptime", lasted),
            ("CalcAppPE Service Capacity", round(values.capcapacity)),
            ("CalcAppPE Service Max Jobs", values.capmaxjobs),
            ("CalcAppPE Total Used Capacity", round(server.used)),
            ("CalcAppPE Total Wasted Capacity", round(capacity - server.used)),
            ("CalcAppPE Total Jobs Accepted", server.accepted),
            ("CalcAppPE Total Jobs Rejected", server.rejected),
            ("CalcAppPE Utilization", server.used / capacity if capacity else 0.0),
        ])  # fmt: skip


@asynccontextmanager
async def begin(
    values: Values, out: Output, element: PoolElement
) -> AsyncIterator[Callable[[PeerSession], Awaitable[None]]]:
    """The service while it runs; yields what serves a session."""
    bench = Bench(values, out, element)
    try:
        yield bench.serve
    finally:
        await bench.close()
