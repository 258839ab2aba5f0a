"""A CalcApp job from its start to its completion: the dialogue with one server after the other, and its times."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from rserpool.services import calcapp
from rserpool.services.calcapp import Message
from rserpool.session import Data, Failover, Library, Session
from rserpool.wire.types import DecodeError

from .logs import Output
from .options import Values
from .poolusers import FailoverKeeper

PAUSE = 1.0  # seconds before a request is made again after a rejection


@dataclass(slots=True)
class Counters:
    """The messages of a run, keep-alives of both directions."""

    requests: int = 0
    accepts: int = 0
    rejects: int = 0
    completes: int = 0
    keepalives: int = 0
    keepalive_acks: int = 0


@dataclass(slots=True)
class Timers:
    """In seconds: between keep-alives, and for a keep-alive or a request to be answered."""

    interval: float
    timeout: float


@dataclass(slots=True)
class Job:
    """A job; times are those of the clock (seconds since 1970), 0 for what has not happened."""

    number: int
    size: int
    queued: float
    ahead: int = 0  # jobs in the queue when it came
    started: float = 0.0
    accepted: float = 0.0
    completed: float = 0.0

    @property
    def queuing(self) -> float:
        """Seconds in the queue."""
        return self.started - self.queued

    @property
    def startup(self) -> float:
        """Seconds until a server accepted it."""
        return self.accepted - self.started

    @property
    def processing(self) -> float:
        """Seconds from there to its completion."""
        return max(self.completed - self.accepted, 1e-6)

    @property
    def handling(self) -> float:
        """All of them."""
        return self.completed - self.queued


class Dialogue:
    """What is expected of the server next, and until when."""

    def __init__(self, job: Job, session: Session, timers: Timers, counters: Counters) -> None:
        self.job = job
        self.session = session
        self.timers = timers
        self.counters = counters
        self.working = False  # accepted by the server at hand
        self.awaiting = False  # a keep-alive is to be answered
        self.due = time.monotonic() + timers.timeout

    async def send(self, kind: int) -> None:
        """Send a message; if that fails, a failover event follows."""
        size = self.job.size if kind == calcapp.REQUEST else 0
        try:
            await self.session.send(calcapp.encode(Message(kind, self.job.number, size)), ppid=calcapp.PPID)
        except OSError:
            pass

    async def request(self) -> None:
        """Ask a server to take the job; one that got the cookie has been asked by that."""
        self.working = self.awaiting = False
        self.due = time.monotonic() + self.timers.timeout
        if self.session.has_cookie:
            # RSPLIB's server looks at a cookie not before another message comes.
            self.counters.keepalives += 1
            await self.send(calcapp.KEEP_ALIVE)
        else:
            self.counters.requests += 1
            await self.send(calcapp.REQUEST)

    def answered(self) -> None:
        """The server is alive."""
        self.awaiting = False
        self.due = time.monotonic() + self.timers.interval

    async def timeout(self) -> bool:
        """The time is over: send a keep-alive, or (False) give the server up."""
        if not self.working or self.awaiting:
            return False
        self.awaiting = True
        self.due = time.monotonic() + self.timers.timeout
        self.counters.keepalives += 1
        await self.send(calcapp.KEEP_ALIVE)
        return True


async def work_off(
    job: Job, library: Library, values: Values, timers: Timers, counters: Counters, out: Output
) -> None:
    """Have a job computed by the pool, whatever becomes of its servers."""

    def say(text: str) -> None:
        if not values.quiet:
            out.line(text)

    async with Session(library, values.poolhandle) as session:
        say(f"Request for job #{job.number} (job size {job.size:g})")
        dialogue = Dialogue(job, session, timers, counters)
        keeper = FailoverKeeper(session, library, values, out, lambda _: "FAILOVER...")
        if session.connected:
            await dialogue.request()
        while not job.completed:
            try:
                async with asyncio.timeout(max(0.0, dialogue.due - time.monotonic())):
                    event = await session.recv()
            except TimeoutError:
                if session.connected and not await dialogue.timeout():
                    say(f"PE ${session.identifier:08x} does not answer")
                    await session.force_failover(unreachable=True)
                continue
            if event is None:
                return
            if isinstance(event, Failover):
                dialogue.due = time.monotonic() + timers.timeout
                await keeper.handle(event)
                if event.complete:
                    await dialogue.request()
            elif isinstance(event, Data):
                await _answer(event, dialogue, say)


async def _answer(event: Data, dialogue: Dialogue, say: Callable[[str], None]) -> None:
    job, session, counters = dialogue.job, dialogue.session, dialogue.counters
    try:
        message = calcapp.decode(event.data)
    except DecodeError:
        return
    if message.job != job.number:
        await session.force_failover()
        return
    if message.type == calcapp.ACCEPT:
        counters.accepts += 1
        dialogue.working = True
        dialogue.answered()
        # The first time counts: what another server did before a failover was processing, too.
        job.accepted = job.accepted or time.time()
        say(f"Job #{job.number} accepted")
    elif message.type == calcapp.REJECT:
        counters.rejects += 1
        say(f"Job #{job.number} rejected")
        if not session.has_cookie:
            await asyncio.sleep(PAUSE)
        await session.force_failover()
    elif message.type == calcapp.COMPLETE:
        counters.completes += 1
        job.completed = time.time()
        job.accepted = job.accepted or job.completed
    elif message.type == calcapp.KEEP_ALIVE:
        counters.keepalive_acks += 1
        await dialogue.send(calcapp.KEEP_ALIVE_ACK)
    elif message.type == calcapp.KEEP_ALIVE_ACK:
        dialogue.answered()
