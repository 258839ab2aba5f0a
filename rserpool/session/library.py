"""What the pool elements and sessions of one program share: registrar, cache, status reports."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING

from rserpool.asap import AsapClient, RegistrarLink
from rserpool.asap.client import Handle, as_handle
from rserpool.csp import Reporter, location
from rserpool.settings import Settings
from rserpool.wire import asap, csp, policies
from rserpool.wire.types import SCTP, PoolElement

if TYPE_CHECKING:
    from rserpool.session.element import PoolElement as Element
    from rserpool.session.user import Session

LOOKING = "Looking for Registrar ..."


class Library:
    """``async with Library(settings) as library``; see docs/reference/rserpool.md."""

    def __init__(self, settings: Settings | None = None, *, rng: random.Random | None = None) -> None:
        self.settings = settings or Settings()
        self.asap = AsapClient(self.settings, rng)
        self.elements: list[Element] = []
        self.sessions: list[Session] = []
        self._status: str | None = None
        self._reporter: Reporter | None = None
        self._began = time.monotonic()
        self._object = self.settings.csp_identifier or self.asap.rng.randrange(1, 1 << 56)

    async def __aenter__(self) -> Library:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def start(self) -> None:
        """Open what is needed. Raises OSError if there is no SCTP."""
        await self.asap.start()
        server, interval = self.settings.csp_server, self.settings.csp_interval
        if server is not None and interval > 0:
            self._reporter = Reporter(server, interval, self._describe)

    async def close(self) -> None:
        """Close elements and sessions that are left, then end the association to the registrar."""
        await asyncio.gather(*(element.close() for element in self.elements))
        for session in list(self.sessions):
            session.close()
        if self._reporter is not None:
            self._reporter.close()
            self._reporter = None
        await self.asap.close()

    @property
    def registrar(self) -> RegistrarLink | None:
        """The registrar in use."""
        return self.asap.registrar

    async def wait_registrar(self, timeout: float | None = None) -> RegistrarLink:
        """Wait until there is a registrar. Raises NoRegistrar after ``timeout`` seconds."""
        return await self.asap.wait_registrar(timeout)

    async def resolve(self, handle: Handle, items: int = 1, stale: float = 0.0) -> list[PoolElement]:
        """Return up to ``items`` pool elements, best first. ``stale``: seconds for which the cache is good.

        Raises UnknownPool, NoRegistrar, RequestTimeout, RSerPoolError; ValueError for a bad handle.
        """
        return await self.asap.resolve(as_handle(handle), items, stale)

    async def report_unreachable(self, handle: Handle, identifier: int) -> None:
        """Report that an element cannot be reached (ENDPOINT_UNREACHABLE); no answer is awaited."""
        self.asap.report_unreachable(as_handle(handle), identifier)

    def set_status(self, text: str | None) -> None:
        """Set the text of status reports; None: the usual one."""
        self._status = text

    # Status reports

    def _describe(self) -> csp.Report:
        settings, now = self.settings, time.monotonic()
        element = self.elements[0] if self.elements else None
        if element is not None:
            identifier = settings.csp_identifier or element.identifier
            sender = csp.component(csp.POOL_ELEMENT, identifier)
            where = location(element.port)
        else:
            group = csp.POOL_ELEMENT if settings.csp_element else csp.POOL_USER
            sender, where = csp.component(group, self._object), location()
        workload = None
        if element is not None and "load" in policies.LAYOUTS.get(element.policy.type, ("", ()))[1]:
            workload = element.policy.load / 0xFFFFFFFF
        return csp.Report(
            sender,
            round((now - self._began) * 1e6),
            round(settings.csp_interval * 1e6),
            where,
            self._status_text(),
            workload,
            self._associations(now),
        )

    def _status_text(self) -> str:
        if self.registrar is None:
            return LOOKING
        if self._status is not None:
            return self._status
        count = len(self.sessions) + sum(len(element.sessions) for element in self.elements)
        words = f"{count} Session{'' if count == 1 else 's'}"
        # Reports have no field for the pool, but monitors show who is in which one.
        pool = self.elements[0].handle if self.elements else b""
        return f"{words} in pool {pool.decode(errors='replace')}" if pool else words

    def _associations(self, now: float) -> list[csp.Association]:
        found = []
        link = self.registrar
        if link is not None:
            receiver = csp.component(csp.REGISTRAR, link.identifier)
            found.append(csp.Association(receiver, round((now - link.since) * 1e6), SCTP, asap.PPID))
        for session in self.sessions:
            if session.connected:
                receiver = csp.component(csp.POOL_ELEMENT, session.identifier)
                found.append(csp.Association(receiver, round((now - session.since) * 1e6), SCTP, session.ppid))
        return found
