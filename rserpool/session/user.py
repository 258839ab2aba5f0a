"""A pool user's session with a pool, over one pool element after the other.

RFC 5352 sections 3.2 (resolution), 3.5 (unreachable elements), 3.7 (cookies); RSPLIB's order of events. When to
fail over is the application's decision, told by `Failover` events.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator

from pysocketapi.aio import Message, SctpConnection, SocketOptions, open_connection
from rserpool.asap.client import Handle, as_handle
from rserpool.errors import RSerPoolError, UnknownPool
from rserpool.session.events import COMPLETE, NECESSARY, Data, Failover, session_options, whole_message
from rserpool.session.library import Library
from rserpool.wire import asap, causes
from rserpool.wire.types import SCTP, DecodeError, PoolElement

log = logging.getLogger("rserpool.session")

CONNECT_TIMEOUT = 5.0
RETRY_DELAY = 0.25


class Session:
    """See docs/reference/rserpool.md. Times in seconds. One task at a time may receive."""

    def __init__(
        self,
        library: Library,
        handle: Handle,
        *,
        stale: float = 0.0,
        connect_timeout: float = CONNECT_TIMEOUT,
        retry_delay: float = RETRY_DELAY,
        options: SocketOptions | None = None,
    ) -> None:
        self.library = library
        self.handle = as_handle(handle)
        self.element: PoolElement | None = None
        self.cookie: bytes | None = None
        self.failovers = 0
        self.since = 0.0  # time.monotonic() of the connect
        self.ppid = 0  # of the last message that was sent
        self._stale = stale
        self._connect_timeout = connect_timeout
        self._retry_delay = retry_delay
        self._options = options or session_options()
        self._connection: SctpConnection | None = None
        self._events: deque[Failover] = deque()
        self._parts: list[Message] = []
        self._moving = asyncio.Lock()
        self._closed = False
        self._failure: OSError | RSerPoolError | None = None

    async def __aenter__(self) -> Session:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    async def __aiter__(self) -> AsyncIterator[Data | Failover]:
        while (event := await self.recv()) is not None:
            yield event

    @property
    def connected(self) -> bool:
        """Whether there is an association to a pool element."""
        return self._connection is not None

    @property
    def identifier(self) -> int:
        """The identifier of the pool element in use, or of the last one; 0: there was none."""
        return self.element.identifier if self.element is not None else 0

    @property
    def has_cookie(self) -> bool:
        """Whether a pool element has sent a cookie."""
        return self.cookie is not None

    @property
    def connection(self) -> SctpConnection | None:
        """The association to the pool element."""
        return self._connection

    @property
    def failure(self) -> OSError | RSerPoolError | None:
        """Why the last attempt to reach a pool element failed; None if it did not."""
        return self._failure

    async def connect(self, patient: bool = True) -> bool:
        """Connect to a pool element for the first time; whether it worked.

        Where it does not: with ``patient`` the first event is Failover(NECESSARY), else it raises OSError,
        UnknownPool or another RSerPoolError.
        """
        if self not in self.library.sessions:
            self.library.sessions.append(self)
        async with self._moving:
            done = await self._move()
        if not done and not patient and self._failure is not None:
            raise self._failure
        return done

    async def force_failover(self, unreachable: bool = False, stale: float | None = None) -> bool:
        """Leave the pool element and look for another; whether there is one. ``unreachable``: report the old one.

        ``stale``: another stale time from now on. Without success it takes at least the retry delay, and
        `failure` says why. Events that were not taken are dropped.
        """
        if self._closed:
            return False
        if stale is not None:
            self._stale = stale
        async with self._moving:
            self._events.clear()
            old = self._connection
            self._connection = None
            if old is not None:
                old.abort()
            if unreachable and self.element is not None:
                self.library.asap.report_unreachable(self.handle, self.element.identifier)
            if not await self._move():
                return False
            self.failovers += 1
            self._events.append(Failover(COMPLETE, self.has_cookie, self.identifier))
            return True

    async def _move(self) -> bool:
        """Resolve, connect, bring the cookie."""
        self._failure = None
        began = time.monotonic()
        try:
            element = (await self.library.asap.resolve(self.handle, 1, self._stale))[0]
        except RSerPoolError as error:
            self._failure = error
            if isinstance(error, UnknownPool):
                log.info("Pool %r is not known", self.handle)
            else:
                log.warning("Cannot resolve pool %r: %s", self.handle, error)
            await self._pause(began)
            return False
        try:
            connection = await self._open(element)
        except (OSError, RSerPoolError) as error:
            log.info("Cannot connect to pool element $%08x: %s", element.identifier, error)
            self._failure = error
            if isinstance(error, OSError):
                self.library.asap.report_unreachable(self.handle, element.identifier)
            await self._pause(began)
            return False
        if self._closed:
            connection.abort()
            return False
        self.element, self._connection, self.since = element, connection, time.monotonic()
        self._parts = []
        return True

    async def _open(self, element: PoolElement) -> SctpConnection:
        transport = element.user_transport
        if transport.protocol != SCTP:
            raise RSerPoolError(causes.WRONG_PROTOCOL, f"IP protocol {transport.protocol} cannot carry a session")
        connection = await open_connection(
            transport.addresses,
            transport.port,
            transport=self.library.settings.transport,
            options=self._options,
            remote_udp_port=element.udp_port,
            timeout=self._connect_timeout,
        )
        if self.cookie is not None:
            try:
                await connection.send(asap.encode(asap.CookieEcho(self.cookie)), ppid=asap.PPID)
            except BaseException:
                connection.abort()
                raise
        return connection

    async def _pause(self, began: float) -> None:
        await asyncio.sleep(max(0.0, began + self._retry_delay - time.monotonic()))

    async def recv(self) -> Data | Failover | None:
        """Return the next event, None once closed. Cancelled: nothing is lost."""
        while not self._closed:
            if self._moving.locked():
                async with self._moving:
                    pass
                continue
            if self._events:
                return self._events.popleft()
            connection = self._connection
            if connection is None:
                return Failover(NECESSARY, self.has_cookie, self.identifier)
            try:
                message = await whole_message(connection, self._parts)
            except OSError as error:
                log.info("Session with pool element $%08x: %s", self.identifier, error)
                message = None
            if message is None:
                if self._connection is connection:
                    self._connection = None
                    connection.close()
                continue
            if message.ppid != asap.PPID:
                return Data(message.data, message.ppid, message.stream, self.identifier)
            self._control(message.data)
        return None

    def _control(self, data: bytes) -> None:
        try:
            message = asap.decode(data)
        except DecodeError as error:
            log.warning("Bad message on the control channel: %s", error)
            return
        if isinstance(message, asap.Cookie):
            self.cookie = message.cookie  # only the latest counts (RFC 5352 section 3.7)
        else:
            log.debug("%s on the control channel is ignored", type(message).__name__)

    async def send(
        self,
        data: bytes,
        *,
        ppid: int = 0,
        stream: int = 0,
        unordered: bool = False,
        lifetime: float | None = None,
    ) -> None:
        """Send a message; ``lifetime`` in seconds. OSError if there is no association: a failover is necessary."""
        connection = self._connection
        if connection is None:
            raise BrokenPipeError("the session has no pool element")
        self.ppid = ppid
        await connection.send(data, ppid=ppid, stream=stream, unordered=unordered, lifetime=lifetime)

    def set_status(self, text: str | None) -> None:
        """Set the status text of the library's reports."""
        self.library.set_status(text)

    def close(self) -> None:
        """End gracefully: what was sent is delivered before. Safe to call twice."""
        if not self._closed:
            if self._connection is not None:
                self._connection.close()
            self._end()

    def abort(self, reason: bytes = b"") -> None:
        """End by an SCTP ABORT: nobody is waited for, what was sent may be lost. Safe to call twice."""
        if not self._closed:
            if self._connection is not None:
                self._connection.abort(reason)
            self._end()

    def _end(self) -> None:
        self._closed = True
        if self in self.library.sessions:
            self.library.sessions.remove(self)

    async def wait_closed(self) -> None:
        """Wait until the association has ended."""
        if self._connection is not None:
            await self._connection.wait_closed()
