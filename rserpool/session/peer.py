"""A pool element's side of a session: data and control channel over one association (RFC 5352 section 3.7)."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable

from pysocketapi.aio import Message, SctpConnection
from rserpool.session.events import CookieEcho, Data, whole_message
from rserpool.wire import asap
from rserpool.wire.types import DecodeError

log = logging.getLogger("rserpool.session")


class PeerSession:
    """One pool user. One task at a time may receive."""

    def __init__(
        self,
        connection: SctpConnection,
        number: int,
        identifier: int,
        control_channel: bool,
        gone: Callable[[PeerSession], None],
    ) -> None:
        self.connection = connection
        self.id = number
        self.identifier = identifier
        self.reason = ""  # why the session ended, as far as it is known
        self._control_channel = control_channel
        self._gone = gone
        self._parts: list[Message] = []
        self._ended = False
        try:
            self.peer_addresses = tuple(connection.peer_addresses)
            self.peer_port = connection.peer_port
        except (OSError, IndexError):  # gone before it was looked at
            self.peer_addresses, self.peer_port = (), 0

    async def __aenter__(self) -> PeerSession:
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    async def __aiter__(self) -> AsyncIterator[Data | CookieEcho]:
        while (event := await self.recv()) is not None:
            yield event

    async def recv(self) -> Data | CookieEcho | None:
        """Return the next message or cookie, None after the end. Cancelled: nothing is lost."""
        while not self._ended:
            try:
                message = await whole_message(self.connection, self._parts)
            except OSError as error:
                self._end(str(error))
                return None
            if message is None:
                self._end("the pool user has ended it")
                return None
            if message.ppid != asap.PPID or not self._control_channel:
                return Data(message.data, message.ppid, message.stream, self.identifier)
            try:
                control = asap.decode(message.data)
            except DecodeError as error:
                log.warning("Bad message on the control channel: %s", error)
                continue
            if isinstance(control, asap.CookieEcho):
                return CookieEcho(control.cookie)
            log.debug("%s on the control channel is ignored", type(control).__name__)
        return None

    async def send(
        self,
        data: bytes,
        *,
        ppid: int = 0,
        stream: int = 0,
        unordered: bool = False,
        lifetime: float | None = None,
    ) -> None:
        """Send a message; ``lifetime`` in seconds. Raises OSError if the association is gone."""
        await self.connection.send(data, ppid=ppid, stream=stream, unordered=unordered, lifetime=lifetime)

    async def send_cookie(self, cookie: bytes) -> None:
        """Give the pool user a state to bring to another element. Raises OSError, ValueError if it is too long."""
        await self.connection.send(asap.encode(asap.Cookie(cookie)), ppid=asap.PPID)

    def close(self) -> None:
        """End gracefully: what was sent is delivered."""
        self.connection.close()
        self._end("closed")

    def abort(self, reason: bytes = b"") -> None:
        """End by an SCTP ABORT."""
        self.connection.abort(reason)
        self._end("aborted")

    async def wait_closed(self) -> None:
        """Wait until the association has ended."""
        await self.connection.wait_closed()

    def _end(self, reason: str) -> None:
        if not self._ended:
            self._ended = True
            self.reason = reason
            self.connection.close()
            self._gone(self)
