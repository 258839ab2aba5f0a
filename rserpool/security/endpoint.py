"""A one-to-many SCTP endpoint all of whose associations speak TLS: `SctpEndpoint`'s methods, as far as ASAP and
ENRP need them, with messages and notifications of proven peers only.

An association is unknown to the user until its handshake is over: then comes its SCTP_COMM_UP. RFC 3436: one
session for stream 0 (the only one that ASAP and ENRP use), one record for each SCTP message, ordered. Towards
registrars, pool elements and users are always TLS clients, whoever has begun the association, so that their
certificates need but one usage. Between registrars, who begins is the client; if both do, the greater ClientHello
wins.
Strangers are refused, counted and logged, without any state in the registrar (RFC 5355 section 2.15).
"""

from __future__ import annotations

import asyncio
import enum
import errno
import logging
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pysocketapi import constants as c
from pysocketapi.addresses import canonical
from pysocketapi.aio import Message, SctpEndpoint
from pysocketapi.notifications import AssocChange, Notification, SendFailedEvent, SendFailedOld
from rserpool.security.refusal import answer_in_clear
from rserpool.security.tls import (
    BROKEN,
    CLOSED,
    NO_TLS,
    TIMEOUT,
    Tls,
    TlsError,
    TlsSession,
    is_hello,
    outranks,
    records,
)

if TYPE_CHECKING:
    from pysocketapi import structures as s

log = logging.getLogger("rserpool.security")

SETUP = 15.0  # seconds for an association that a message makes, with its handshake
HANDSHAKE = 5.0  # seconds for the handshake
FAREWELL = 2.0  # seconds for a refused peer to read why, before its association is aborted
DRAIN = 0.01  # seconds between attempts to send what an association had no room for
AHEAD = 256  # items that may wait for the user before nothing more is read
REPEAT = 60.0  # seconds for which the same refusal is logged but once
MAX_SAID = 1024
_EARLY_END = "it ended the association before there was a TLS session"
_ENDED = (c.SCTP_COMM_LOST, c.SCTP_SHUTDOWN_COMP, c.SCTP_CANT_STR_ASSOC)


def _plain(address: str) -> str:
    return canonical(address.partition("%")[0])


class Side(enum.Enum):
    """What the endpoint is: that of registrars for ASAP, of their clients, or of registrars for ENRP."""

    REGISTRAR = "registrar"
    CLIENT = "client"
    PEER = "peer"


@dataclass(slots=True, eq=False)
class _Link:
    """One association. ``session`` is made when there is something to say or to hear."""

    association: int
    host: str = ""
    where: str = ""  # the peer's addresses and port, for people
    session: TlsSession | None = None
    hello: bytes = b""  # our own ClientHello
    up: bool = False  # the user knows it
    refused: bool = False
    event: AssocChange | None = None  # its SCTP_COMM_UP, held back
    ppid: int = 0
    queue: deque[bytes] = field(default_factory=deque)  # records that the association had no room for
    waiters: list[asyncio.Future[None]] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None
    draining: asyncio.TimerHandle | None = None


class SecureEndpoint:
    """TLS over an endpoint, which belongs to it from now on. Needs a running loop.

    ``ppid``: the protocol's payload protocol identifier. ``refused``: called with a reason for each peer that is
    refused; all are counted in `refusals`, too.
    """

    def __init__(
        self,
        inner: SctpEndpoint,
        tls: Tls,
        side: Side,
        ppid: int,
        refused: Callable[[str], None] | None = None,
    ) -> None:
        self.inner = inner
        self.refused = refused
        self.refusals: Counter[str] = Counter()
        self._tls = tls
        self._side = side
        self._ppid = ppid
        self._loop = asyncio.get_running_loop()
        self._links: dict[int, _Link] = {}
        self._ready: deque[Message | Notification] = deque()
        self._news, self._room = asyncio.Event(), asyncio.Event()
        self._error: OSError | None = None
        self._said: dict[tuple[str, str], float] = {}
        self._tasks: set[asyncio.Task[int]] = set()
        self._reader = self._loop.create_task(self._read())

    # What the user calls

    @property
    def port(self) -> int:
        """The SCTP port."""
        return self.inner.port

    @property
    def udp_port(self) -> int:
        """The local UDP port (RFC 6951)."""
        return self.inner.udp_port

    def peer_addresses(self, assoc_id: int) -> list[str]:
        """Return an association's peer addresses. Raises OSError if it is gone."""
        return self.inner.peer_addresses(assoc_id)

    def peer_port(self, assoc_id: int) -> int:
        """Return an association's peer port. Raises OSError if it is gone."""
        return self.inner.peer_port(assoc_id)

    def status(self, assoc_id: int) -> s.Status:
        """Return an association's status. Raises OSError if it is gone."""
        return self.inner.status(assoc_id)

    async def recv(self) -> Message | Notification:
        """Return the next whole message or notification. Raises OSError once the endpoint has failed."""
        while not self._ready:
            if self._error is not None:
                raise self._error
            self._news.clear()
            await self._news.wait()
        item = self._ready.popleft()
        if len(self._ready) < AHEAD:
            self._room.set()
        return item

    def send_nowait(self, data: bytes, assoc_id: int, *, ppid: int = 0) -> bool:
        """Send one message if the association has room; False: it has not, nothing was queued.

        Raises OSError, TlsError among them, for an association that is gone or not proven.
        """
        link = self._links.get(assoc_id)
        if link is None or not link.up or link.session is None:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        if link.queue:
            self._flush(link)
            if link.queue:
                return False
        link.ppid = ppid or self._ppid
        link.queue.extend(records(link.session.wrap(data)))
        self._flush(link)
        return True

    async def send(self, data: bytes, to: int | tuple[str | Sequence[str], int], *, ppid: int = 0) -> int:
        """Send one message to an association, or to (addresses, port), which sets one up if there is none.

        Returns the association's identifier. Waits while there is no room. Raises OSError. Cancelled while an
        association is set up: the message goes all the same, once there is one, as `SctpEndpoint` has it.
        """
        if isinstance(to, int):
            return await self._send(data, to, ppid)
        hosts = [to[0]] if isinstance(to[0], str) else list(to[0])
        task = self._loop.create_task(self._send_to(data, hosts, to[1], ppid))
        self._tasks.add(task)
        task.add_done_callback(self._sent)
        return await asyncio.shield(task)

    async def _send(self, data: bytes, assoc_id: int, ppid: int) -> int:
        while not self.send_nowait(data, assoc_id, ppid=ppid):
            await asyncio.sleep(DRAIN)
        return assoc_id

    async def _send_to(self, data: bytes, hosts: list[str], port: int, ppid: int) -> int:
        return await self._send(data, await self._association(hosts, port), ppid)

    def _sent(self, task: asyncio.Task[int]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever still waits has it

    async def connect(
        self,
        addresses: str | Sequence[str],
        port: int,
        *,
        remote_udp_port: int | None = None,
        timeout: float | None = None,
    ) -> int:
        """Set up an association and its TLS session; return its identifier. timeout in seconds.

        Raises TlsError if the peer is not what it should be or refuses us, other OSError as `SctpEndpoint`.
        """
        deadline = None if timeout is None else self._loop.time() + timeout
        assoc_id = await self.inner.connect(addresses, port, remote_udp_port=remote_udp_port, timeout=timeout)
        try:
            async with asyncio.timeout_at(deadline):
                await self._proven(assoc_id)
        except BaseException as error:
            link = self._links.get(assoc_id)
            if link is not None and not link.up and not link.refused:
                self._give_up(link, "TLS handshake given up")
            if isinstance(error, TimeoutError) and not error.errno:
                raise TlsError(TIMEOUT, f"no TLS session within {timeout} s") from None
            raise
        return assoc_id

    def abort(self, assoc_id: int, reason: bytes = b"") -> None:
        """Abort an association with a reason for the peer. Raises OSError if it is gone."""
        self._forget(assoc_id, "the association was aborted")
        self.inner.abort(assoc_id, reason)

    def shutdown(self, assoc_id: int) -> None:
        """End an association gracefully. Raises OSError if it is gone."""
        link = self._links.get(assoc_id)
        if link is not None:
            self._goodbye(link)
        self.inner.shutdown(assoc_id)

    async def close(self) -> None:
        """End all associations gracefully; returns when that is done."""
        tasks = [self._reader, *self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for link in list(self._links.values()):
            self._goodbye(link)
            self._forget(link.association, "the endpoint was closed")
        self._fail(OSError(errno.EBADF, "the endpoint is closed"))
        await self.inner.close()

    # Associations

    async def _association(self, hosts: list[str], port: int) -> int:
        known = self._find(hosts, port)
        if known is None:
            try:
                return await self.connect(hosts, port, timeout=SETUP)
            except OSError as error:
                # Somebody else has begun one, such as the peer at the same moment.
                if error.errno != errno.EISCONN or (known := self._find(hosts, port)) is None:
                    raise
        await self._proven(known)
        return known

    def _find(self, hosts: Sequence[str], port: int) -> int | None:
        """The association with one of these addresses; identifiers may be in use for those that are setting up."""
        wanted = {_plain(host) for host in hosts}
        for assoc_id in self.inner.associations:
            try:
                if self.inner.peer_port(assoc_id) == port and wanted.intersection(
                    _plain(a) for a in self.inner.peer_addresses(assoc_id)
                ):
                    return assoc_id
            except OSError:
                continue  # gone meanwhile
        return None

    async def _proven(self, assoc_id: int) -> None:
        """Wait for the end of an association's handshake, beginning it if nobody has. Raises OSError."""
        link = self._link(assoc_id)
        if link.up:
            return
        if link.refused:
            raise TlsError(BROKEN, "the association was refused")
        if link.session is None and self._side is not Side.REGISTRAR:
            self._greet(link)
        future: asyncio.Future[None] = self._loop.create_future()
        link.waiters.append(future)
        await future

    def _link(self, assoc_id: int) -> _Link:
        link = self._links.get(assoc_id)
        if link is None:
            link = self._links[assoc_id] = _Link(assoc_id, ppid=self._ppid)
            link.timer = self._loop.call_later(HANDSHAKE, self._expired, link)
            link.host = link.where = f"association {assoc_id}"
            try:
                addresses = self.inner.peer_addresses(assoc_id)
                link.host = addresses[0]
                link.where = f"{', '.join(addresses)} port {self.inner.peer_port(assoc_id)}"
            except OSError:
                pass  # it is gone already
        return link

    def _session(self, link: _Link, server: bool) -> TlsSession:
        context = self._tls.server if server else self._tls.client

        def check(certificate: bytes) -> None:
            try:
                addresses = self.inner.peer_addresses(link.association)
            except OSError:
                # What it sent is read after its end. Of the endpoint, that says nothing.
                raise TlsError(CLOSED, _EARLY_END) from None
            self._tls.check(certificate, self._side is not Side.REGISTRAR, addresses)

        link.session = TlsSession(context, server, check)
        return link.session

    def _greet(self, link: _Link) -> None:
        """Begin the handshake as its client."""
        link.hello = self._session(link, False).output()
        self._queue(link, link.hello)

    def _expired(self, link: _Link) -> None:
        link.timer = None
        if link.session is not None and link.session.presume():
            self._established(link)
        else:
            self._refuse(link, TlsError(TIMEOUT, f"no TLS session within {HANDSHAKE:g} s"))

    def _stop(self, link: _Link) -> None:
        for timer in (link.timer, link.draining):
            if timer is not None:
                timer.cancel()
        link.timer = link.draining = None

    def _forget(self, assoc_id: int, why: str) -> _Link | None:
        link = self._links.pop(assoc_id, None)
        if link is not None:
            self._stop(link)
            self._answer(link, TlsError(CLOSED, why))
        return link

    def _answer(self, link: _Link, error: TlsError | None) -> None:
        for future in link.waiters:
            if future.done():
                continue
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)
        link.waiters.clear()

    def _established(self, link: _Link) -> None:
        if link.timer is not None:
            link.timer.cancel()
            link.timer = None
        link.up = True
        self._deliver(link.event or AssocChange(link.association, c.SCTP_COMM_UP))
        self._answer(link, None)

    def _refuse(self, link: _Link, error: TlsError, clear: bytes = b"") -> None:
        """Tell a peer why, as far as it can understand, and end its association. ``clear``: sent without TLS."""
        self._stop(link)
        link.refused = True
        self._report(link, error)
        session = link.session
        if session is not None and error.reason != NO_TLS:
            self._queue(link, session.output())
        if link.up:
            link.up = False
            self._deliver(AssocChange(link.association, c.SCTP_COMM_LOST))
        self._answer(link, error)
        try:
            if clear:
                self.inner.send_nowait(clear, link.association, ppid=self._ppid)
            self.inner.shutdown(link.association)
        except OSError:
            pass  # it is gone already
        link.timer = self._loop.call_later(FAREWELL, self._give_up, link, str(error))

    def _report(self, link: _Link, error: TlsError) -> None:
        self.refusals[error.reason] += 1
        if self.refused is not None:
            self.refused(f"TLS: {error.reason}")
        now = time.monotonic()
        if now < self._said.get((link.host, str(error)), 0.0):
            return  # whoever tries again and again must not fill the log
        if len(self._said) >= MAX_SAID:
            self._said.clear()
        self._said[link.host, str(error)] = now + REPEAT
        # A client without its registrar has a problem; a registrar with a stranger has none.
        if self._side is Side.CLIENT:
            log.error("TLS: no session with the registrar at %s: %s", link.where, error)
        else:
            log.warning("TLS: refused %s: %s", link.where, error)

    def _give_up(self, link: _Link, why: str) -> None:
        link.timer = None
        try:
            self.inner.abort(link.association, why.encode()[:200])
        except OSError:
            pass  # it is gone already
        self._forget(link.association, why)

    def _goodbye(self, link: _Link) -> None:
        if link.up and link.session is not None:
            link.session.close()
            self._queue(link, link.session.output())

    # Going out

    def _queue(self, link: _Link, data: bytes) -> None:
        link.queue.extend(records(data))
        self._flush(link)

    def _flush(self, link: _Link) -> None:
        """Send the records that wait; they must go in order, so one without room holds up the rest."""
        try:
            while link.queue:
                if not self.inner.send_nowait(link.queue[0], link.association, ppid=link.ppid):
                    if link.draining is None:
                        link.draining = self._loop.call_later(DRAIN, self._drain, link)
                    return
                link.queue.popleft()
        except OSError:
            link.queue.clear()  # it is gone; the notification of that is under way

    def _drain(self, link: _Link) -> None:
        link.draining = None
        self._flush(link)

    # Coming in

    async def _read(self) -> None:
        try:
            while True:
                item = await self.inner.recv()
                if type(item) is Message:
                    self._message(item)
                elif isinstance(item, AssocChange):
                    self._changed(item)
                elif not isinstance(item, SendFailedEvent | SendFailedOld) and self._is_up(item):
                    self._deliver(item)
                while len(self._ready) >= AHEAD:
                    self._room.clear()
                    await self._room.wait()
        except OSError as error:
            self._fail(error)

    def _is_up(self, item: Any) -> bool:
        link = self._links.get(item.assoc_id)
        return link is not None and link.up

    def _fail(self, error: OSError) -> None:
        self._error = error
        self._news.set()

    def _deliver(self, item: Message | Notification) -> None:
        self._ready.append(item)
        self._news.set()

    def _changed(self, change: AssocChange) -> None:
        if change.state in _ENDED:
            link = self._forget(change.assoc_id, _EARLY_END)
            if link is not None and link.up:
                self._deliver(change)
            elif link is not None and link.event is not None and not link.refused:
                self._report(link, TlsError(CLOSED, _EARLY_END))
        elif change.state == c.SCTP_RESTART:
            # Another program, which has no part in the old session: for the user, it is another association.
            link = self._forget(change.assoc_id, "the peer has restarted")
            if link is not None and link.up:
                self._deliver(AssocChange(change.assoc_id, c.SCTP_COMM_LOST))
            self._began(AssocChange(change.assoc_id, c.SCTP_COMM_UP))
        elif change.state == c.SCTP_COMM_UP:
            self._began(change)
        elif self._is_up(change):
            self._deliver(change)

    def _began(self, change: AssocChange) -> None:
        link = self._link(change.assoc_id)
        link.event = change
        if self._side is Side.CLIENT and link.session is None:
            self._greet(link)

    def _message(self, message: Message) -> None:
        link = self._links.get(message.assoc_id)
        if link is None or link.refused:
            return  # what was under way when we ended it
        session = link.session
        if message.stream or message.unordered:
            self._refuse(link, TlsError(BROKEN, "it sends out of the one ordered stream"))
            return
        if session is None:
            session = self._session(link, True)
        elif link.hello and self._side is Side.PEER and not link.up and is_hello(message.data):
            if outranks(link.hello, message.data):
                return  # the peer gives way, and answers ours
            link.hello = b""
            session = self._session(link, True)
        try:
            messages = session.feed(message.data)
        except TlsError as error:
            clear = answer_in_clear(self._ppid, message.data) if error.reason == NO_TLS else b""
            self._refuse(link, error, clear if self._side is Side.REGISTRAR else b"")
            return
        self._queue(link, session.output())
        if session.established and not link.up:
            self._established(link)
        for data in messages:
            self._deliver(
                Message(
                    data,
                    ppid=message.ppid,
                    assoc_id=message.assoc_id,
                    address=message.address,
                    port=message.port,
                )
            )
        if session.closed:
            self._ended_by_peer(link)

    def _ended_by_peer(self, link: _Link) -> None:
        self._forget(link.association, "the peer has ended the TLS session")
        if link.up:
            self._deliver(AssocChange(link.association, c.SCTP_COMM_LOST))
        try:
            self.inner.shutdown(link.association)
        except OSError:
            pass  # it is gone already
