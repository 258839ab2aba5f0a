"""asyncio's streams over SCTP: programs for TCP move by changing their import and the two calls.

``open_connection`` and ``start_server`` give readers and writers with asyncio's methods. Bytes travel as ordered
messages of at most CHUNK bytes on stream 0; boundaries mean nothing. SCTP has no half-closed state (RFC 9260
section 1.5.2), so as with TLS ``can_write_eof`` is False. What makes SCTP worth having is in `aio`, not here.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from . import aio
from .aio_connection import SctpConnection
from .options import SocketOptions
from .transport import Transport

CHUNK = 16384  # bytes in one message
HIGH_WATER = 65536  # bytes that write() may have queued before drain() waits
LIMIT = 65536  # bytes of a line at most, asyncio's default

Client = Callable[[asyncio.StreamReader, "StreamWriter"], Awaitable[None] | None]

__all__ = ["StreamWriter", "open_connection", "start_server"]


class _Gate:
    """What a StreamReader knows of its transport: to stop it, and to let it go on."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()

    def pause_reading(self) -> None:
        """The reader has enough for now."""
        self.open.clear()

    def resume_reading(self) -> None:
        """The reader wants more."""
        self.open.set()

    def is_closing(self) -> bool:
        """A reader asks before it resumes."""
        return False


class StreamWriter:
    """asyncio.StreamWriter's methods over one association."""

    def __init__(self, connection: SctpConnection, feeder: asyncio.Task[None]) -> None:
        self._connection = connection
        self._feeder = feeder
        self._queue: deque[bytes] = deque()
        self._size = 0
        self._sender: asyncio.Task[None] | None = None
        self._room = asyncio.Event()
        self._room.set()
        self._error: OSError | None = None
        self._closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Queue bytes; they go out even if nobody drains."""
        if self._closing:
            raise RuntimeError("the writer is closed")
        view = bytes(data)
        for start in range(0, len(view), CHUNK):
            self._queue.append(view[start : start + CHUNK])
        self._size += len(view)
        if self._size > HIGH_WATER:
            self._room.clear()
        if self._sender is None and self._queue:
            self._sender = asyncio.get_running_loop().create_task(self._send())

    def writelines(self, lines: Iterable[bytes]) -> None:
        """Queue several pieces."""
        self.write(b"".join(lines))

    async def drain(self) -> None:
        """Wait until not too much is queued. Raises OSError if the association is lost."""
        await self._room.wait()
        if self._error is not None:
            raise self._error.with_traceback(None)

    async def _send(self) -> None:
        try:
            while self._queue:
                data = self._queue.popleft()
                await self._connection.send(data)
                self._size -= len(data)
                if self._size <= HIGH_WATER // 2:
                    self._room.set()
        except OSError as error:
            self._error = error
            self._queue.clear()
            self._size = 0
        finally:
            self._sender = None
            self._room.set()
            if self._closing:
                self._connection.close()

    def can_write_eof(self) -> bool:
        """SCTP ends in both directions at once: False."""
        return False

    def write_eof(self) -> None:
        """Not possible, see can_write_eof."""
        raise NotImplementedError("SCTP has no half-closed state")

    def is_closing(self) -> bool:
        """Whether close was called."""
        return self._closing

    def close(self) -> None:
        """End the association once everything is sent."""
        if not self._closing:
            self._closing = True
            if self._sender is None:
                self._connection.close()

    async def wait_closed(self) -> None:
        """Wait for the end of the association."""
        if self._sender is not None:
            await asyncio.wait([self._sender])
        await self._connection.wait_closed()
        await asyncio.wait([self._feeder])

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return "peername", "sockname" or "connection" (the SctpConnection)."""
        connection = self._connection
        try:
            if name == "peername":
                return connection.peer_addresses[0], connection.peer_port
            if name == "sockname":
                return connection.local_addresses[0], connection.local_port
        except OSError:
            return default
        return connection if name == "connection" else default


def _streams(connection: SctpConnection, limit: int) -> tuple[asyncio.StreamReader, StreamWriter]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit, loop)
    gate = _Gate()
    reader.set_transport(gate)  # type: ignore[arg-type]

    async def feed() -> None:
        try:
            while (message := await connection.recv()) is not None:
                reader.feed_data(message.data)
                await gate.open.wait()
            reader.feed_eof()
        except OSError as error:
            reader.set_exception(error)

    return reader, StreamWriter(connection, loop.create_task(feed()))


async def open_connection(
    host: str | Sequence[str],
    port: int,
    *,
    limit: int = LIMIT,
    transport: Transport | str | None = None,
    options: SocketOptions | None = None,
    **how: Any,
) -> tuple[asyncio.StreamReader, StreamWriter]:
    """Like asyncio.open_connection; ``how`` as in `aio.open_connection`."""
    return _streams(await aio.open_connection(host, port, transport=transport, options=options, **how), limit)


async def start_server(
    client_connected_cb: Client,
    host: str | Sequence[str] | None = None,
    port: int = 0,
    *,
    limit: int = LIMIT,
    transport: Transport | str | None = None,
    options: SocketOptions | None = None,
) -> aio.SctpServer:
    """Like asyncio.start_server."""

    async def handle(connection: SctpConnection) -> None:
        reader, writer = _streams(connection, limit)
        result = client_connected_cb(reader, writer)
        if inspect.isawaitable(result):
            await result

    return await aio.start_server(handle, host, port, transport=transport, options=options)
