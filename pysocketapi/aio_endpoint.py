"""A one-to-many endpoint as an asyncio object (RFC 6458 section 3): many associations, one queue.

Opening one is `aio`'s work.
"""

from __future__ import annotations

import asyncio
import errno
import os
import warnings
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from . import constants as c
from . import structures as s
from .addresses import as_hosts
from .aio_connection import SctpConnection
from .aio_names import resolve_all
from .aio_waiting import Writers, closed, readable
from .ancillary import lifetime_info
from .backends.contract import PENDING
from .message import Message
from .notifications import AssocChange, Notification

if TYPE_CHECKING:
    from .backends.contract import Channel

_ENDED = (c.SCTP_COMM_LOST, c.SCTP_SHUTDOWN_COMP, c.SCTP_CANT_STR_ASSOC)


class SctpEndpoint:
    """One-to-many. One task at a time may receive; any number may send and connect."""

    __slots__ = ("_channel", "_closed", "_connecting", "_inbox", "_loop", "_peers", "_reader", "_writers", "_wake")

    def __init__(self, channel: Channel, loop: asyncio.AbstractEventLoop) -> None:
        self._channel = channel
        self._loop = loop
        self._writers: dict[int, Writers] = {}
        self._inbox: deque[Message | Notification] = deque()
        self._connecting: dict[int, asyncio.Future[int]] = {}
        self._peers: dict[tuple[str, int], int] = {}
        self._reader: asyncio.Task[None] | None = None
        self._wake: asyncio.Future[None] | None = None
        self._closed = False

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            warnings.warn("unclosed SCTP endpoint", ResourceWarning, source=self, stacklevel=2)
            self._channel.orphaned()

    async def __aenter__(self) -> SctpEndpoint:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def send(
        self,
        data: bytes,
        to: int | tuple[str | Sequence[str], int],
        *,
        stream: int = 0,
        ppid: int = 0,
        unordered: bool = False,
        lifetime: float | None = None,
        context: int = 0,
        flags: int = 0,
        prinfo: s.PrInfo | None = None,
    ) -> int:
        """Send one message to an association, or to (addresses, port), which sets one up if there is none.

        Returns the association's identifier. Waits while the buffer is full. Raises OSError as a socket would:
        EPIPE or ENOTCONN or EINVAL for an association that is gone.
        """
        if unordered:
            flags |= c.SCTP_UNORDERED
        if lifetime is not None:
            prinfo = lifetime_info(lifetime)
        assoc_id = to if isinstance(to, int) else await self._association(*to)
        # One peer that takes nothing must not hold up those who send to others: a queue for each association.
        waiting = self._writers.get(assoc_id)
        if waiting is not None or not self._channel.send(
            data, stream, ppid, flags, context, assoc_id, None, prinfo
        ):
            if waiting is None:
                waiting = self._writers[assoc_id] = Writers(self._channel, self._loop)
            try:
                await waiting.send(data, stream, ppid, flags, context, assoc_id, None, prinfo)
            finally:
                if not waiting.waiting:
                    self._writers.pop(assoc_id, None)
        return assoc_id

    def send_nowait(self, data: bytes, assoc_id: int, *, stream: int = 0, ppid: int = 0) -> bool:
        """Send one message to an association if its buffer has room; False: it has not, nothing was queued.

        For programs that must not wait for one slow peer; they keep the order of what they send themselves.
        Raises OSError as `send`.
        """
        return self._channel.send(data, stream, ppid, 0, 0, assoc_id, None, None)

    async def _association(self, addresses: str | Sequence[str], port: int) -> int:
        hosts = await resolve_all(self._loop, as_hosts(addresses), self._channel.family)
        for host in hosts:
            known = self._peers.get((host, port))
            if known is not None:
                return known
        try:
            assoc_id = self._channel.start_connect(hosts, port)
        except OSError as error:
            if error.errno != errno.EISCONN:
                raise
            assoc_id = self._find(hosts, port)
        for host in hosts:
            self._peers[(host, port)] = assoc_id
        return assoc_id

    def _find(self, hosts: Sequence[str], port: int) -> int:
        """Find the association with one of these peer addresses. Raises OSError(ENOTCONN)."""
        wanted = {(host, port) for host in hosts}
        for assoc_id in self._channel.getopt(c.SCTP_GET_ASSOC_ID_LIST).ids:
            if wanted.intersection(self._channel.peer_addresses(assoc_id)):
                return int(assoc_id)
        raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))

    async def connect(
        self,
        addresses: str | Sequence[str],
        port: int,
        *,
        remote_udp_port: int | None = None,
        timeout: float | None = None,
    ) -> int:
        """Set up an association and return its identifier when it is up.

        timeout in seconds. Raises ConnectionRefusedError, TimeoutError, or OSError(EISCONN) if there is one.
        """
        self._check()
        hosts = await resolve_all(self._loop, as_hosts(addresses), self._channel.family)
        assoc_id = self._channel.start_connect(hosts, port, remote_udp_port)
        future: asyncio.Future[int] = self._loop.create_future()
        self._connecting[assoc_id] = future
        if self._reader is None:
            self._reader = self._loop.create_task(self._read_while_connecting())
        try:
            async with asyncio.timeout(timeout):
                await future
        except BaseException as error:
            if not isinstance(error, OSError) or (isinstance(error, TimeoutError) and not error.errno):
                self._abort_quietly(assoc_id)
            if isinstance(error, TimeoutError) and not error.errno:
                raise TimeoutError(errno.ETIMEDOUT, f"no association within {timeout} s") from None
            raise
        finally:
            self._connecting.pop(assoc_id, None)
        for host in hosts:
            self._peers[(host, port)] = assoc_id
        return assoc_id

    def _abort_quietly(self, assoc_id: int) -> None:
        try:
            self._channel.abort(assoc_id)
        except OSError:
            pass  # it is gone already

    async def _read_while_connecting(self) -> None:
        """Nobody may be receiving while a connect waits: the answer to it comes through the same queue."""
        try:
            while self._connecting and not self._closed:
                item = self._take()
                if item is None:
                    await readable(self._channel, self._loop)
                    continue
                self._inbox.append(item)
                self._wake_receiver()
        except OSError as error:
            for future in self._connecting.values():
                if not future.done():
                    future.set_exception(error)
        finally:
            self._reader = None
            self._wake_receiver()

    def _wake_receiver(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def _take(self) -> Message | Notification | None:
        """Take one item off the channel, noting what it says about associations; None: nothing there."""
        item = self._channel.recv()
        if item is PENDING or item is None:
            return None
        if type(item) is AssocChange:
            self._note(item)
        return item

    def _note(self, change: AssocChange) -> None:
        future = self._connecting.get(change.assoc_id)
        if future is not None and not future.done():
            if change.state == c.SCTP_COMM_UP:
                future.set_result(change.assoc_id)
            elif change.state in _ENDED:
                number = change.errno or errno.ECONNREFUSED
                future.set_exception(OSError(number, os.strerror(number)))
        if change.state in _ENDED:
            for key in [key for key, assoc_id in self._peers.items() if assoc_id == change.assoc_id]:
                del self._peers[key]

    async def recv(self) -> Message | Notification:
        """Return the next message or notification of any association, in order of arrival.

        Cancelled: nothing is lost. Raises OSError(EBADF) once the endpoint is closed.
        """
        if self._wake is not None:
            raise RuntimeError("another task is receiving on this endpoint already")
        while True:
            if self._inbox:
                return self._inbox.popleft()
            self._check()
            if self._reader is None:
                item = self._take()
                if item is not None:
                    return item
            self._wake = self._loop.create_future()
            try:
                if self._reader is None:
                    self._channel.watch_read(self._loop, self._wake_receiver)
                await self._wake
            except BaseException:
                if self._reader is None:
                    self._channel.watch_read(self._loop, None)
                raise
            finally:
                self._wake = None

    def _check(self) -> None:
        if self._closed:
            raise OSError(errno.EBADF, "the endpoint is closed")

    def peeloff(self, assoc_id: int) -> SctpConnection:
        """Make a connection of an association (RFC 6458 section 9.2). What it sent already goes with it."""
        channel = self._channel.peeloff(assoc_id)
        connection = SctpConnection(channel, self._loop)
        for key in [key for key, known in self._peers.items() if known == assoc_id]:
            del self._peers[key]
        return connection

    def abort(self, assoc_id: int, reason: bytes = b"") -> None:
        """Abort an association with a reason for the peer. Raises OSError if it is gone."""
        self._channel.abort(assoc_id, reason)

    def shutdown(self, assoc_id: int) -> None:
        """End an association gracefully. Raises OSError if it is gone."""
        self._channel.shutdown(assoc_id)

    def getopt(self, option: int, value: Any = None) -> Any:
        """Get a socket option (see `options`)."""
        return self._channel.getopt(option, value)

    def setopt(self, option: int, value: Any) -> None:
        """Set a socket option (see `options`)."""
        self._channel.setopt(option, value)

    @property
    def port(self) -> int:
        """The SCTP port."""
        return self._channel.local_addresses()[0][1]

    @property
    def udp_port(self) -> int:
        """The local UDP port of the encapsulation (RFC 6951); 9899 also where the kernel has none."""
        return self._channel.udp_port()

    @property
    def addresses(self) -> list[str]:
        """The local addresses; a wildcard if all are bound."""
        return [host for host, _ in self._channel.local_addresses()]

    @property
    def associations(self) -> list[int]:
        """The identifiers of the associations."""
        return list(self._channel.getopt(c.SCTP_GET_ASSOC_ID_LIST).ids)

    def peer_addresses(self, assoc_id: int) -> list[str]:
        """Return an association's peer addresses. Raises OSError if it is gone."""
        return [host for host, _ in self._channel.peer_addresses(assoc_id)]

    def local_addresses(self, assoc_id: int) -> list[str]:
        """Return an association's local addresses. Raises OSError if it is gone."""
        return [host for host, _ in self._channel.local_addresses(assoc_id)]

    def peer_port(self, assoc_id: int) -> int:
        """Return an association's peer port. Raises OSError if it is gone."""
        return self._channel.peer_addresses(assoc_id)[0][1]

    def status(self, assoc_id: int) -> s.Status:
        """Return an association's status (RFC 6458 section 8.2.1). Raises OSError if it is gone."""
        status: s.Status = self._channel.getopt(c.SCTP_STATUS, s.Status(assoc_id=assoc_id))
        return status

    async def close(self) -> None:
        """End all associations gracefully and give the port back; returns when that is done."""
        if self._closed:
            return
        self._closed = True
        for future in self._connecting.values():
            if not future.done():
                future.set_exception(OSError(errno.EBADF, "the endpoint was closed"))
        self._wake_receiver()
        self._channel.close()
        await closed(self._channel, self._loop)
