"""SCTP for asyncio, over kernel and userland SCTP alike: connections, servers, one-to-many endpoints.

RFC 6458's two styles in the manner of asyncio's streams, but with messages. Works on uvloop too. The objects are
in `aio_connection` and `aio_endpoint`; the transports' own work is in `backends`.
"""

from __future__ import annotations

import asyncio
import errno
import inspect
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from . import constants as c
from .addresses import as_hosts, family_of
from .aio_connection import NOTIFICATIONS, SctpConnection
from .aio_endpoint import SctpEndpoint
from .aio_names import resolve_all, resolve_every
from .aio_waiting import readable, writable
from .backends.contract import Channel
from .backends.opening import open_channel
from .message import Message
from .options import SocketOptions, as_structures
from .transport import Transport, resolve_transport

Handler = Callable[[SctpConnection], Awaitable[None] | None]

__all__ = [
    "Message",
    "SctpConnection",
    "SctpEndpoint",
    "SctpServer",
    "SocketOptions",
    "Transport",
    "open_connection",
    "open_endpoint",
    "resolve_transport",
    "start_server",
]


def _prepare(channel: Channel, options: SocketOptions | None) -> None:
    for type_ in NOTIFICATIONS:
        channel.subscribe(type_, True)
    if options is None:
        return
    for option, value in as_structures(options):
        channel.setopt(option, value)
    if options.send_buffer is not None:
        channel.set_buffer(socket.SO_SNDBUF, options.send_buffer)
    if options.receive_buffer is not None:
        channel.set_buffer(socket.SO_RCVBUF, options.receive_buffer)


async def open_connection(
    peers: str | Sequence[str],
    port: int,
    *,
    transport: Transport | str | None = None,
    local: str | Sequence[str] = (),
    local_port: int = 0,
    options: SocketOptions | None = None,
    remote_udp_port: int | None = None,
    timeout: float | None = None,
) -> SctpConnection:
    """Set up an association with a peer, which may have several addresses or names.

    A single name is tried at all its addresses, one after the other. remote_udp_port: RFC 6951, 0 for plain SCTP;
    timeout in seconds, for each try. Raises ConnectionRefusedError, TimeoutError, other OSError, ValueError.
    """
    loop = asyncio.get_running_loop()
    names = as_hosts(peers)
    if not names:
        raise ValueError("no peer address was given")
    own = await resolve_all(loop, as_hosts(local))
    if len(names) > 1:
        tries = [await resolve_all(loop, names)]
    else:
        tries = [[host] for host in await resolve_every(loop, names[0])]
    first: OSError | None = None
    for hosts in tries:
        try:
            return await _connect(loop, hosts, port, transport, own, local_port, options, remote_udp_port, timeout)
        except OSError as error:
            first = first or error
    raise first or OSError(errno.EADDRNOTAVAIL, f"{names[0]} has no address")


async def _connect(
    loop: asyncio.AbstractEventLoop,
    hosts: list[str],
    port: int,
    transport: Transport | str | None,
    own: list[str],
    local_port: int,
    options: SocketOptions | None,
    remote_udp_port: int | None,
    timeout: float | None,
) -> SctpConnection:
    channel = open_channel(transport, family_of(hosts + own), False, loop)
    try:
        _prepare(channel, options)
        if own or local_port:
            channel.bind(own, local_port)
        async with asyncio.timeout(timeout):
            channel.start_connect(hosts, port, remote_udp_port)
            while not channel.connect_result():
                await writable(channel, loop)
    except BaseException as error:
        channel.set_linger(True, 0)
        channel.close()
        if isinstance(error, TimeoutError) and not error.errno:
            raise TimeoutError(errno.ETIMEDOUT, f"no association within {timeout} s") from None
        raise
    return SctpConnection(channel, loop)


class SctpServer:
    """A listening one-to-one socket, calling a handler for each association."""

    def __init__(self, channel: Channel, handler: Handler, loop: asyncio.AbstractEventLoop) -> None:
        self._channel = channel
        self._handler = handler
        self._loop = loop
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._accepting = loop.create_task(self._accept())

    async def __aenter__(self) -> SctpServer:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()
        await self.wait_closed()

    async def _accept(self) -> None:
        while not self._closed:
            try:
                channel = self._channel.accept()
            except ConnectionError:
                continue  # that one was gone before it was taken
            except OSError as error:
                self._loop.call_exception_handler({"message": "SCTP accept failed", "exception": error})
                await asyncio.sleep(0.1)  # such as EMFILE: others may close something
                continue
            if channel is None:
                await readable(self._channel, self._loop)
                continue
            self._serve(channel)

    def _serve(self, channel: Channel) -> None:
        connection = SctpConnection(channel, self._loop)
        try:
            for type_ in NOTIFICATIONS:
                channel.subscribe(type_, True)
            result = self._handler(connection)
        except Exception as error:
            self._failed(connection, error)
            return
        if inspect.isawaitable(result):
            task = self._loop.create_task(self._handle(result, connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _handle(self, result: Awaitable[None], connection: SctpConnection) -> None:
        try:
            await result
        except (ConnectionError, TimeoutError):
            connection.close()  # the peer went away: nothing to tell anybody
        except Exception as error:
            self._failed(connection, error)
        except asyncio.CancelledError:
            connection.close()
            raise

    def _failed(self, connection: SctpConnection, error: Exception) -> None:
        connection.abort()
        self._loop.call_exception_handler(
            {"message": "exception in the handler of an SCTP server", "exception": error}
        )

    @property
    def port(self) -> int:
        """The SCTP port."""
        return self._channel.local_addresses()[0][1]

    @property
    def addresses(self) -> list[str]:
        """The local addresses; a wildcard if all are bound."""
        return [host for host, _ in self._channel.local_addresses()]

    @property
    def udp_port(self) -> int:
        """The local UDP port of the encapsulation (RFC 6951); 9899 also where the kernel has none."""
        return self._channel.udp_port()

    @property
    def sockets(self) -> tuple[SctpServer, ...]:
        """Itself, for programs that ask an asyncio server's sockets for their names."""
        return () if self._closed else (self,)

    def getsockname(self) -> tuple[str, int]:
        """Return (address, port)."""
        return self._channel.local_addresses()[0]

    def is_serving(self) -> bool:
        """Whether it still accepts associations."""
        return not self._closed

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return its event loop."""
        return self._loop

    async def start_serving(self) -> None:
        """Nothing to do: it accepts from the beginning, as asyncio's servers do by default."""

    async def serve_forever(self) -> None:
        """Wait until the server is closed or this is cancelled."""
        try:
            await asyncio.shield(self._accepting)
        except asyncio.CancelledError:
            self.close()
            if not self._accepting.cancelled():
                raise

    def close(self) -> None:
        """Accept no more. Connections that were handed out live on."""
        if not self._closed:
            self._closed = True
            self._accepting.cancel()
            self._channel.close()

    async def wait_closed(self) -> None:
        """Wait until the handlers have returned."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))


async def start_server(
    handler: Handler,
    host: str | Sequence[str] | None = None,
    port: int = 0,
    *,
    transport: Transport | str | None = None,
    options: SocketOptions | None = None,
    backlog: int = 128,
) -> SctpServer:
    """Listen on all addresses or the given ones and call the handler, a function or coroutine, for each peer.

    Raises OSError: EADDRINUSE, EADDRNOTAVAIL, EACCES.
    """
    loop = asyncio.get_running_loop()
    hosts = await resolve_all(loop, as_hosts(host))
    channel = open_channel(transport, _listening_family(hosts), False, loop)
    try:
        _prepare(channel, options)
        channel.bind(hosts, port)
        channel.listen(backlog)
    except BaseException:
        channel.close()
        raise
    return SctpServer(channel, handler, loop)


def _listening_family(hosts: Sequence[str]) -> int:
    if hosts:
        return family_of(hosts)
    return socket.AF_INET6 if socket.has_ipv6 and _ipv6_works() else socket.AF_INET


def _ipv6_works() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::", 0))
    except OSError:
        return False
    return True


async def open_endpoint(
    addresses: str | Sequence[str] = (),
    port: int = 0,
    *,
    transport: Transport | str | None = None,
    listen: bool = True,
    options: SocketOptions | None = None,
) -> SctpEndpoint:
    """Open a one-to-many endpoint on all addresses or the given ones.

    listen: whether peers may begin associations. Raises OSError: EADDRINUSE, EADDRNOTAVAIL, EACCES.
    """
    loop = asyncio.get_running_loop()
    hosts = await resolve_all(loop, as_hosts(addresses))
    channel = open_channel(transport, _listening_family(hosts), True, loop)
    try:
        _prepare(channel, options)
        channel.subscribe(c.SCTP_SENDER_DRY_EVENT, False)
        channel.bind(hosts, port)
        if listen:
            channel.listen(128)
    except BaseException:
        channel.close()
        raise
    return SctpEndpoint(channel, loop)
