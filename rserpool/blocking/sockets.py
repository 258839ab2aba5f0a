"""RSerPool sockets: what a descriptor of rsp_socket stands for, and its inbox.

Stream sockets listen and accept, or are one session; the other type has all sessions of a pool element, or one of
a pool user, with notifications. Coroutines here run in the library's thread; what receives runs in the user's.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import time
from collections import deque
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, fields
from typing import Any

from pysocketapi.aio import SocketOptions
from rserpool.blocking import structures as s
from rserpool.blocking.runtime import Runtime
from rserpool.session import CookieEcho, Data, Failover, PeerSession, PoolElement, Session
from rserpool.session.events import session_options

INBOX = 64  # items that are read ahead
SESSION = 1  # the number of a pool user's session
SCTP_UNORDERED, SCTP_ABORT, SCTP_EOF = 1 << 0, 1 << 2, 1 << 9

_PARAMETERS = {  # rserpool_session_parameters -> SocketOptions, and ms per unit
    "sp_rto_initial": ("rto_initial", 1000.0),
    "sp_rto_min": ("rto_min", 1000.0),
    "sp_rto_max": ("rto_max", 1000.0),
    "sp_assoc_max_rxt": ("max_retrans", 0.0),
    "sp_path_max_rxt": ("path_max_retrans", 0.0),
    "sp_hbinterval": ("heartbeat", 1000.0),
}


def fail(number: int) -> OSError:
    """Return an OSError with the usual text."""
    return OSError(number, os.strerror(number))


@dataclass(slots=True)
class Item:
    """Something to be received. ``data`` None: the end."""

    data: bytes | s.rserpool_notification | None
    info: s.rsp_sndrcvinfo
    flags: int = 0


class RspSocket:
    """One RSerPool socket. ``stream``: SOCK_STREAM, without notifications."""

    def __init__(self, runtime: Runtime, stream: bool) -> None:
        self.runtime = runtime
        self.stream = stream
        self.options: SocketOptions = session_options()
        self.element: PoolElement | None = None
        self.handle: bytes | None = None  # under which the element is registered
        self.session: Session | None = None  # pool user
        self.peers: dict[int, PeerSession] = {}  # pool element's sessions
        self.peer: PeerSession | None = None  # accepted
        self.arrived: deque[PeerSession] = deque()
        self.bound: tuple[tuple[str, ...], int] | None = None
        self.closed = False
        self._inbox: deque[Item] = deque()
        self._room = asyncio.Event()  # of the loop
        self._resume = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()

    # Options

    def parameters(self, wanted: s.rserpool_session_parameters | None) -> s.rserpool_session_parameters:
        """Set what is not 0, return what is in force."""
        if wanted is not None:
            changes = {}
            for name, (ours, unit) in _PARAMETERS.items():
                value = getattr(wanted, name)
                if value < 0:
                    raise fail(errno.EINVAL)
                if value:
                    changes[ours] = value / unit if unit else value
            known = {f.name: getattr(self.options, f.name) for f in fields(self.options)}
            self.options = SocketOptions(**{**known, **changes})
        now = s.rserpool_session_parameters()
        for name, (ours, unit) in _PARAMETERS.items():
            value = getattr(self.options, ours) or 0
            setattr(now, name, round(value * unit) if unit else value)
        return now

    # The inbox

    async def _put(self, item: Item) -> None:
        while len(self._inbox) >= INBOX and not self.closed:
            self._room.clear()
            await self._room.wait()
        self._put_now(item)

    def _put_now(self, item: Item) -> None:
        changes = self.runtime.changes
        with changes.condition:
            self._inbox.append(item)
            changes.notify()

    def readable(self) -> bool:
        """Whether there is something to receive or accept."""
        return bool(self._inbox or self.arrived)

    def writable(self) -> bool:
        """Whether there is somebody to send to."""
        if self.session is not None:
            return self.session.connected
        return bool(self.peers) or self.peer is not None

    def take(self, length: int, timeout: int) -> Item:
        """Return the next item, or so much of it as fits into ``length`` bytes; the rest comes next.

        ``timeout`` in ms, negative: none. TimeoutError (EAGAIN), OSError (EBADF).
        """
        changes = self.runtime.changes
        with changes.condition:
            seconds = None if timeout < 0 else timeout / 1000.0
            if not changes.condition.wait_for(lambda: self._inbox or self.closed, seconds):
                raise TimeoutError(errno.EAGAIN, "nothing was received within the timeout")
            if self.closed:
                raise fail(errno.EBADF)
            item = self._inbox[0]
            if item.data is None:
                return item  # the end stays the end
            if isinstance(item.data, bytes) and len(item.data) > length:
                part = Item(item.data[:length], item.info, item.flags & ~socket.MSG_EOR)
                item.data = item.data[length:]
                return part
            self._inbox.popleft()
        self.runtime.soon(self._room.set)
        return item

    def drop_notifications(self) -> None:
        """Forget notifications that were not received yet."""
        with self.runtime.changes.condition:
            kept = [item for item in self._inbox if not item.flags & s.MSG_RSERPOOL_NOTIFICATION]
            self._inbox.clear()
            self._inbox.extend(kept)

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Pool elements

    async def listen(self) -> None:
        """Bind and listen as a pool element whose handle comes later."""
        if self.element is None:
            addresses, port = self.bound or ((), 0)
            element = PoolElement(
                self.runtime.library, b"\0", addresses=addresses, port=port, options=self.options
            )
            await element.listen()
            self.element = element
            self._spawn(self._accept(element))

    async def _accept(self, element: PoolElement) -> None:
        changes = self.runtime.changes
        async for session in element:
            if self.stream:
                with changes.condition:
                    self.arrived.append(session)
                    changes.notify()
            else:
                self.peers[session.id] = session
                self._spawn(self._serve(session))

    async def _serve(self, session: PeerSession) -> None:
        """Receive what one session of a one-to-many pool element brings."""
        number = session.id
        await self._put(self._change(number, s.RSERPOOL_SESSION_ADD))
        while (event := await session.recv()) is not None:
            await self._put(self._of(event, number))
        self.peers.pop(number, None)
        if session.reason == "the pool user has ended it":
            await self._put(Item(s.rserpool_shutdown_event(number), self._info(number), _NOTE))
        await self._put(self._change(number, s.RSERPOOL_SESSION_REMOVE))

    def _change(self, number: int, state: int) -> Item:
        return Item(s.rserpool_session_change(state, number), self._info(number), _NOTE)

    def _info(self, number: int) -> s.rsp_sndrcvinfo:
        identifier = self.element.identifier if self.element is not None else 0
        return s.rsp_sndrcvinfo(number, 0, identifier)

    def _of(self, event: Data | CookieEcho, number: int) -> Item:
        if isinstance(event, CookieEcho):
            return Item(event.cookie, self._info(number), s.MSG_RSERPOOL_COOKIE_ECHO | socket.MSG_EOR)
        info = s.rsp_sndrcvinfo(number, event.ppid, event.identifier, 0, event.stream)
        return Item(event.data, info, int(socket.MSG_EOR))

    def accept(self, timeout: int) -> PeerSession:
        """Return the session of the next pool user of a stream socket. TimeoutError (EAGAIN)."""
        changes = self.runtime.changes
        with changes.condition:
            seconds = None if timeout < 0 else timeout / 1000.0
            if not changes.condition.wait_for(lambda: self.arrived or self.closed, seconds):
                raise TimeoutError(errno.EAGAIN, "no pool user has come within the timeout")
            if self.closed:
                raise fail(errno.EBADF)
            return self.arrived.popleft()

    async def adopt(self, session: PeerSession) -> None:
        """Be the socket of an accepted session."""
        self.peer = session
        self._spawn(self._receive(session))

    async def _receive(self, session: PeerSession) -> None:
        while (event := await session.recv()) is not None:
            await self._put(self._of(event, 0))
        await self._put(Item(None, s.rsp_sndrcvinfo()))

    # Pool users

    async def connect(self, handle: bytes, stale: float) -> None:
        """Begin a pool user's session; it exists afterwards even if this raises."""
        session = Session(self.runtime.library, handle, stale=stale, options=self.options)
        self.session = session
        try:
            await session.connect(patient=False)
        finally:
            self._spawn(self._follow(session))

    async def _follow(self, session: Session) -> None:
        """Receive what a pool user's session brings; after a loss wait for the forced failover."""
        while (event := await session.recv()) is not None:
            info = s.rsp_sndrcvinfo(0 if self.stream else SESSION, 0, session.identifier)
            if isinstance(event, Data):
                info.rinfo_ppid, info.rinfo_stream, info.rinfo_pe_id = event.ppid, event.stream, event.identifier
                await self._put(Item(event.data, info, int(socket.MSG_EOR)))
                continue
            if self.stream and event.complete:
                continue  # stream sockets have no notifications
            self._resume.clear()
            await self._put(self._failover(event, info))
            if event.necessary:
                await self._resume.wait()
                if self.stream:
                    self._forget_the_end()

    def _failover(self, event: Failover, info: s.rsp_sndrcvinfo) -> Item:
        if self.stream and event.necessary:
            return Item(None, info)
        return Item(s.rserpool_failover(event.state, info.rinfo_session, event.has_cookie), info, _NOTE)

    def _forget_the_end(self) -> None:
        with self.runtime.changes.condition:
            kept = [item for item in self._inbox if item.data is not None]
            self._inbox.clear()
            self._inbox.extend(kept)

    async def failover(self, unreachable: bool, stale: float) -> None:
        """Force a failover. OSError: ENOENT if there is no pool element, EIO if it cannot be reached."""
        session = self.session
        if session is None:
            raise fail(errno.EBADF)
        self.drop_notifications()
        done = await session.force_failover(unreachable, stale)
        self._resume.set()
        if not done:
            raise session.failure or fail(errno.EIO)

    # Both

    async def send(
        self, data: bytes, number: int, ppid: int, stream: int, lifetime: float | None, flags: int
    ) -> None:
        """Send a message to a session, or end it. OSError: EBADF for an unknown session, EIO for a lost one."""
        target = self._target(number)
        if flags & SCTP_ABORT:
            if isinstance(target, PeerSession):
                target.abort(data)
            elif target.connection is not None:
                target.connection.abort(data)
            return
        if data or not flags & SCTP_EOF:
            unordered = bool(flags & SCTP_UNORDERED)
            await target.send(data, ppid=ppid, stream=stream, unordered=unordered, lifetime=lifetime)
        if flags & SCTP_EOF:
            target.close()

    async def send_cookie(self, cookie: bytes, number: int) -> None:
        """Send a cookie to a pool user."""
        target = self._target(number)
        if not isinstance(target, PeerSession):
            raise fail(errno.EINVAL)
        await target.send_cookie(cookie)

    def _target(self, number: int) -> PeerSession | Session:
        target: PeerSession | Session | None = self.session or self.peer
        if target is None:
            if number == 0 and len(self.peers) == 1:
                return next(iter(self.peers.values()))
            target = self.peers.get(number)
        elif not self.stream and number not in (0, SESSION):
            target = None
        if target is None:
            raise fail(errno.EBADF)
        return target

    async def close(self) -> None:
        """Deregister, end the sessions, give everything back."""
        if self.closed:
            return
        changes = self.runtime.changes
        with changes.condition:
            self.closed = True
            changes.notify()
        for task in list(self._tasks):
            task.cancel()
        if self.element is not None:
            await self.element.close()
        if self.session is not None:
            self.session.close()
        if self.peer is not None:
            self.peer.close()
        for session in self.arrived:
            session.close()


_NOTE = s.MSG_RSERPOOL_NOTIFICATION | int(socket.MSG_EOR)


class Mapped:
    """A descriptor of the system in RSPLIB's descriptor space."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor


def remaining(end: float | None) -> int:
    """Return the ms until ``end`` on time.monotonic(), -1 for None."""
    return -1 if end is None else max(0, round((end - time.monotonic()) * 1000))


def pack_addresses(addresses: Sequence[tuple[str, int]]) -> tuple[tuple[str, ...], int]:
    """Return addresses and their port; OSError(EINVAL) if there are different ones."""
    ports = {port for _, port in addresses}
    if len(ports) > 1:
        raise fail(errno.EINVAL)
    return tuple(address for address, _ in addresses), ports.pop() if ports else 0
