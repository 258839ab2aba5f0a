"""rspserver's CalcApp service: options, timer, statistics files around `rserpool.services.calcapp_server`."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterator
from contextlib import asynccontextmanager, contextmanager

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


class Totals:
    """The statistics of a run, which go on over cycles of up and down time."""

    def __init__(self, values: Values) -> None:
        self.values = values
        self.uptime = 0.0  # seconds, of the cycles that have ended
        self.used = 0.0  # calculations, likewise
        self.accepted = 0
        self.rejected = 0
        self.vector = VectorFile(values.capvector, HEADER)

    def add(self, server: Server, lasted: float) -> None:
        """Take over what a server has done in so many seconds."""
        self.uptime += lasted
        self.used += server.used
        self.accepted += server.accepted
        self.rejected += server.rejected

    def write(self) -> None:
        """Write the totals. Raises OSError."""
        values = self.values
        self.vector.close()
        capacity = self.uptime * values.capcapacity
        write_scalars(values.capscalar, values.capobject, [
            ("CalcAppPE Service Uptime", self.uptime),
            ("CalcAppPE Service Capacity", round(values.capcapacity)),
            ("CalcAppPE Service Max Jobs", values.capmaxjobs),
            ("CalcAppPE Total Used Capacity", round(self.used)),
            ("CalcAppPE Total Wasted Capacity", max(0, round(capacity - self.used))),
            ("CalcAppPE Total Jobs Accepted", self.accepted),
            ("CalcAppPE Total Jobs Rejected", self.rejected),
            ("CalcAppPE Utilization", self.used / capacity if capacity else 0.0),
        ])  # fmt: skip


class Bench:
    """The jobs of one cycle: the sans-IO server, a timer, the sessions."""

    def __init__(self, values: Values, out: Output, element: PoolElement) -> None:
        self._values = values
        self._out = out
        self._element = element
        self._totals: Totals = values.captotals
        self._began = time.monotonic()
        self.server = Server(settings_of(values), self._began)
        self._sessions: dict[Hashable, PeerSession] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._sending: set[asyncio.Task[None]] = set()

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
            totals = self._totals
            lasted = totals.uptime + time.monotonic() - self._began
            available, used = lasted * self._values.capcapacity, totals.used + self.server.used
            totals.vector.row(
                f"{self._values.capobject} {os.getpid()} 0x{self._element.identifier:08x} {time.time():.6f} "
                f"{lasted:.6f}   {available:.0f} {used:.0f} {used / available:.6f}   "
                f"{running} {self._values.capmaxjobs}"
            )

    async def close(self) -> None:
        """Send what the next servers need, perhaps; the totals get what was done."""
        server, now = self.server, time.monotonic()
        if random.random() < self._values.capcleanshutdownprobability:
            server.finish(now)
            self._turn()
            await asyncio.gather(*self._sending, return_exceptions=True)
        else:
            server.expire(now)
        if self._timer is not None:
            self._timer.cancel()
        self._totals.add(server, now - self._began)


@contextmanager
def prepared(values: Values) -> Iterator[None]:
    """The statistics files around the service, whatever cycles it runs in. Raises OSError."""
    values.captotals = Totals(values)
    try:
        yield
    finally:
        values.captotals.write()


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
