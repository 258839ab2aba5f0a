"""A pool user: resolves pool handles and opens sessions, with a library of its own or a shared one (RFC 5352)."""

from __future__ import annotations

from rserpool.asap.client import Handle
from rserpool.session.library import Library
from rserpool.session.user import Session
from rserpool.settings import Settings
from rserpool.wire.types import PoolElement


class PoolUser:
    """``async with PoolUser(settings)`` or ``PoolUser(library)``; see docs/reference/rserpool.md."""

    def __init__(self, where: Library | Settings | None = None) -> None:
        self.library = where if isinstance(where, Library) else Library(where)
        self._own = not isinstance(where, Library)

    async def __aenter__(self) -> PoolUser:
        if self._own:
            await self.library.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._own:
            await self.library.close()

    async def resolve(self, handle: Handle, items: int = 1, stale: float = 0.0) -> list[PoolElement]:
        """Return pool elements, best first: `Library.resolve`."""
        return await self.library.resolve(handle, items, stale)

    async def report_unreachable(self, handle: Handle, identifier: int) -> None:
        """Report a pool element: `Library.report_unreachable`."""
        await self.library.report_unreachable(handle, identifier)

    def session(self, handle: Handle, *, stale: float = 0.0) -> Session:
        """Return a session with a pool, not connected yet: for ``async with``."""
        return Session(self.library, handle, stale=stale)
