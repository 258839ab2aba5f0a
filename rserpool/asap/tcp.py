"""ASAP between pool users and registrars over TCP, for users that have no SCTP (RFC 5352 section 2).

Both ends: connections with numbers below 0, so that they cannot be taken for SCTP associations. A message is as
long as its header says, padded to 4 bytes. Pool elements need SCTP; that is the caller's rule.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

BUFFER = 1 << 18  # bytes that a peer may leave unread before nothing more is taken for it
LIMIT = 10_000  # connections


@dataclass(slots=True)
class _Connection:
    writer: asyncio.StreamWriter
    task: asyncio.Task[None] | None
    address: str
    port: int


class TcpConnections:
    """``up``, ``message`` and ``lost`` are called with a connection's number. ``idle``: seconds, None: any."""

    def __init__(
        self,
        up: Callable[[int], None],
        message: Callable[[int, bytes], None],
        lost: Callable[[int], None],
        *,
        idle: float | None = None,
        limit: int = LIMIT,
    ) -> None:
        self._up = up
        self._message = message
        self._lost = lost
        self._idle = idle
        self._limit = limit
        self._connections: dict[int, _Connection] = {}
        self._last = 0
        self._server: asyncio.Server | None = None

    async def listen(self, address: str | None, port: int) -> None:
        """Accept connections. Raises OSError."""
        self._server = await asyncio.start_server(self._accepted, address, port)

    @property
    def port(self) -> int:
        """The TCP port; 0 without `listen`."""
        return int(self._server.sockets[0].getsockname()[1]) if self._server is not None else 0

    async def connect(self, addresses: Sequence[str], port: int, timeout: float) -> int:
        """Connect to the first address that answers and return the connection's number. Raises OSError."""
        error: OSError = TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        for address in addresses:
            try:
                async with asyncio.timeout(timeout):
                    reader, writer = await asyncio.open_connection(address, port)
            except OSError as failure:
                error = failure
                continue
            return self._begin(reader, writer)
        raise error

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= self._limit:
            writer.transport.abort()
            return
        self._begin(reader, writer)

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        self._last -= 1
        number = self._last
        peer = writer.get_extra_info("peername") or ("", 0)
        address = str(peer[0]).partition("%")[0].removeprefix("::ffff:")
        self._connections[number] = connection = _Connection(writer, None, address, int(peer[1]))
        self._up(number)
        connection.task = asyncio.get_running_loop().create_task(self._read(number, reader))
        return number

    async def _read(self, number: int, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                async with asyncio.timeout(self._idle):
                    header = await reader.readexactly(4)
                    length = int.from_bytes(header[2:4], "big")
                    if length < 4:
                        break
                    body = await reader.readexactly(((length + 3) & ~3) - 4)
                self._message(number, header + body)
        except (OSError, EOFError):
            pass  # gone, or idle for too long
        finally:
            if (connection := self._connections.pop(number, None)) is not None:
                connection.writer.close()
                self._lost(number)

    def send_nowait(self, data: bytes, number: int) -> bool:
        """Send a message; False if there is no room. Raises OSError for a connection that is gone."""
        writer = self._known(number).writer
        if writer.transport.get_write_buffer_size() > BUFFER:
            return False
        writer.write(data + bytes(-len(data) % 4))
        return True

    def peer(self, number: int) -> tuple[str, int]:
        """Return the peer's address and port. Raises OSError for a connection that is gone."""
        connection = self._known(number)
        return connection.address, connection.port

    def _known(self, number: int) -> _Connection:
        connection = self._connections.get(number)
        if connection is None or connection.writer.transport.is_closing():
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        return connection

    def end(self, number: int, *, abort: bool = False) -> None:
        """Close a connection, at once (``abort``) or after what was sent; `lost` is not called."""
        connection = self._connections.pop(number, None)
        if connection is None:
            return
        if connection.task is not None:
            connection.task.cancel()
        if abort:
            connection.writer.transport.abort()
        else:
            connection.writer.close()

    async def close(self) -> None:
        """Close everything."""
        if self._server is not None:
            self._server.close()
        tasks = [c.task for c in self._connections.values() if c.task is not None]
        for number in list(self._connections):
            self.end(number)
        await asyncio.gather(*tasks, return_exceptions=True)
