"""The hunt for a registrar (RFC 5352 section 3.6): three at a time, in rounds, until one is found.

Who is tried is the table's affair, how to connect and what to do with a registrar the client's.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from rserpool.asap.registrars import Known, RegistrarTable

log = logging.getLogger("rserpool.asap")

SIMULTANEOUS = 3  # registrars that are tried at a time (SH1)
RETRY = 1.0  # seconds before one that refused is tried again


@dataclass(slots=True)
class Quarry:
    """What the hunt needs of the client."""

    needed: Callable[[], bool]  # is a registrar still wanted?
    tcp: Callable[[], bool]  # would one do that is reached by TCP?
    usable: Callable[[], list[int]]  # associations that are up and would do
    connect: Callable[[Known], Awaitable[int]]
    use: Callable[[int, int], None]  # association and identifier of the registrar: the hunt is over
    spare: Callable[[int], None]  # an association that is not used
    in_vain: Callable[[], None]  # the trials are over: whoever waits must not wait longer


class Hunt:
    """``timeout``: seconds of one round; ``trials``: rounds; ``listening``: whether announces are heard."""

    def __init__(
        self,
        table: RegistrarTable,
        quarry: Quarry,
        timeout: float,
        trials: int,
        listening: bool,
        rng_choice: Callable[[list[int]], int],
    ) -> None:
        self._table = table
        self._quarry = quarry
        self._timeout = timeout
        self._trials = trials
        self._listening = listening
        self._choice = rng_choice
        self._trying: dict[asyncio.Task[int], Known] = {}
        self._news = asyncio.Event()
        self._over = False

    def news(self) -> None:
        """An announce was heard, an association is up, or nobody needs a registrar any more."""
        self._news.set()

    def stop(self) -> None:
        """A registrar has come by itself: the hunt is over."""
        self._over = True
        self._news.set()

    async def run(self) -> None:
        """Hunt until a registrar is found or none is needed."""
        quarry = self._quarry
        rounds, end = 0, time.monotonic() + self._timeout
        try:
            while not self._over:
                if usable := quarry.usable():
                    quarry.use(self._choice(usable), 0)
                    break
                now = time.monotonic()
                self._begin(now)
                if not self._trying and (now >= end or self._hopeless()):
                    rounds += 1
                    if rounds >= self._trials or self._hopeless():
                        quarry.in_vain()
                        rounds = 0
                    if not quarry.needed():
                        break
                    end = now + self._timeout
                await self._something_happens(end)
                self._reap()
        finally:
            for task in self._trying:
                task.cancel()
            await asyncio.gather(*self._trying, return_exceptions=True)

    def _hopeless(self) -> bool:
        return not self._listening and self._table.retry_at() is None

    def _begin(self, now: float) -> None:
        """Begin to connect to as many as may be tried at a time."""
        tried = {id(known) for known in self._trying.values()}
        for known in self._table.candidates(now, tried, self._quarry.tcp()):
            if len(self._trying) >= SIMULTANEOUS:
                break
            self._trying[asyncio.ensure_future(self._quarry.connect(known))] = known

    async def _something_happens(self, end: float) -> None:
        """Wait for a connect's end, news, or the time of the next trial."""
        self._news.clear()
        news = asyncio.ensure_future(self._news.wait())
        now = time.monotonic()
        times = [end - now if end > now else RETRY]
        retry = self._table.retry_at()
        if retry is not None and retry > now and len(self._trying) < SIMULTANEOUS:
            times.append(retry - now)
        try:
            await asyncio.wait(
                {news, *self._trying}, timeout=max(0.01, min(times)), return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            news.cancel()

    def _reap(self) -> None:
        """Look at the connects that have ended: the first that would do is used."""
        quarry = self._quarry
        for task in [t for t in self._trying if t.done()]:
            known = self._trying.pop(task)
            error = task.exception()
            if error is not None:
                known.not_before = time.monotonic() + RETRY
                log.info("Registrar %s port %d: %s", known.addresses[0], known.port, error)
            elif not self._over and task.result() in quarry.usable():
                quarry.use(task.result(), known.identifier)
                self._over = True
            else:
                quarry.spare(task.result())
