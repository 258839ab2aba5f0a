"""What pool user programs share: failovers with their notifications, words while there is nobody to talk to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from rserpool.session import Failover, Library, Session

from .library import no_element, no_registrar
from .logs import Output
from .options import Values

GREY = "39;47"
BLUE = "34"
COMPLAIN = (2.0, 10.0)  # seconds of an outage until the first, and between the next words about it


class FailoverKeeper:
    """Fails a session over when that is necessary, and tells the user, once for each outage.

    ``pace``: at least so many seconds from one failover to the next.
    """

    def __init__(
        self,
        session: Session,
        library: Library,
        values: Values,
        out: Output,
        words: Callable[[int], str],
        pace: float = 0.0,
    ) -> None:
        self.session = session
        self.library = library
        self.values = values
        self.out = out
        self.count = 0  # outages that a notification began
        self._words = words
        self._pace = pace
        self._completed = -pace
        self._since: float | None = None
        self._complained = 0.0

    @property
    def out_for(self) -> float:
        """Seconds since the outage began; 0 if there is none."""
        return 0.0 if self._since is None else time.monotonic() - self._since

    async def handle(self, event: Failover) -> None:
        """Do what a failover notification asks for."""
        if event.complete:
            self._since = None
            self._completed = time.monotonic()
            self._notify(event)
            return
        now = time.monotonic()
        if self._since is None:
            self._since, self._complained = now, now + COMPLAIN[0] - COMPLAIN[1]
            self.count += 1
            if self.session.identifier or self.count > 1:  # not the search at the beginning
                self._notify(event)
                self.out.line(self._words(self.count))
            if self.library.registrar is None:
                self._complain(now)
            await asyncio.sleep(max(0.0, self._completed + self._pace - now))
        elif now - self._complained >= COMPLAIN[1]:
            self._complain(now)
        await self.session.force_failover()

    def _complain(self, now: float) -> None:
        self._complained = now
        missing = self.library.registrar is None
        self.out.stamped(no_registrar(self.values) if missing else no_element(self.values.poolhandle))

    def _notify(self, event: Failover) -> None:
        state = "COMPLETE" if event.complete else "NECESSARY"
        cookie = "yes" if event.has_cookie else "no"
        self.out.line(
            f"Notification: RSERPOOL_FAILOVER for session 1, state=RSERPOOL_FAILOVER_{state}, cookie={cookie}",
            GREY,
        )
