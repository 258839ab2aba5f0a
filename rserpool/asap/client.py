"""The IO shell towards registrars: one SCTP endpoint, the announces, hunting, requests, keep-alives.

RFC 5352 sections 3.1 to 3.6 and 3.8; RSPLIB's behaviour where they leave room. Which registrars there are is in
`registrars`, the order of requests in `requests`, what was found in `cache`.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pysocketapi import constants as c
from pysocketapi.aio import Message, SctpEndpoint, SocketOptions, open_endpoint
from pysocketapi.notifications import AssocChange, ShutdownEvent
from rserpool.asap.cache import Cache
from rserpool.asap.hunt import Hunt, Quarry
from rserpool.asap.registrars import Known, RegistrarTable
from rserpool.asap.requests import RESPONSES, Request, RequestQueue
from rserpool.asap.tcp import TcpConnections
from rserpool.errors import NoRegistrar, RSerPoolError, error_of
from rserpool.multicast import Receiver, all_interfaces, host_addresses, interfaces
from rserpool.scopes import is_local
from rserpool.security.endpoint import SecureEndpoint, Side
from rserpool.settings import Settings
from rserpool.wire import asap, causes
from rserpool.wire.types import DecodeError, PoolElement

log = logging.getLogger("rserpool.asap")

JOIN = 10.0  # seconds between looks for new interfaces
CLOSING = 0.7  # seconds for the graceful end of the association
UDP_PORT = 9899
RESPONSE_TYPES: dict[int, type] = {
    asap.REGISTRATION_RESPONSE: asap.RegistrationResponse,
    asap.DEREGISTRATION_RESPONSE: asap.DeregistrationResponse,
    asap.HANDLE_RESOLUTION_RESPONSE: asap.HandleResolutionResponse,
}
GONE = (c.SCTP_COMM_LOST, c.SCTP_SHUTDOWN_COMP, c.SCTP_CANT_STR_ASSOC)

Handle = bytes | str
R = TypeVar("R")


@dataclass(slots=True)
class RegistrarLink:
    """The association to the registrar in use. ``local``: it is on this host. ``since``: time.monotonic()."""

    association: int
    identifier: int
    addresses: tuple[str, ...]
    port: int
    local: bool
    since: float
    heard: bool = False  # whether announces of it are heard


def as_handle(handle: Handle) -> bytes:
    """Return a pool handle's bytes. ValueError unless it has 1 to 32."""
    value = handle.encode() if isinstance(handle, str) else bytes(handle)
    if not 1 <= len(value) <= 32:
        raise ValueError(f"a pool handle has 1 to 32 bytes, not {len(value)}")
    return value


class AsapClient:
    """One for a program: all its pool elements and users share the association to the registrar."""

    def __init__(self, settings: Settings, rng: random.Random | None = None) -> None:
        settings.validate()
        self.settings = settings
        self.rng = rng or random.Random(secrets.randbits(128))
        self.registrar: RegistrarLink | None = None
        self._table = RegistrarTable(settings.registrars, settings.announce_timeout, self.rng)
        self._requests = RequestQueue(settings.response_timeout, settings.request_trials)
        self._cache = Cache(self.rng)
        self._elements: dict[tuple[bytes, int], Callable[[], None]] = {}
        self._incoming: set[int] = set()  # associations that others, or our own hunt, have set up
        self._partial: dict[int, bytes] = {}
        self._endpoint: SctpEndpoint | SecureEndpoint | None = None
        self._tcp = TcpConnections(lambda _: None, self._message, self._gone)
        self._receiver: Receiver | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._hunt: Hunt | None = None
        self._awaited = 0  # how many wait for a registrar, whatever it is for
        self._found = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._stuck = 0.0
        self._closed = False
        self._rejoin: asyncio.TimerHandle | None = None

    # Life

    async def start(self) -> None:
        """Open the endpoint and listen to announces. Raises OSError."""
        options = SocketOptions(nodelay=True, sack_frequency=1)
        self._endpoint = endpoint = await open_endpoint(transport=self.settings.transport, options=options)
        if self.settings.tls is not None:
            self._endpoint = SecureEndpoint(endpoint, self.settings.tls, Side.CLIENT, asap.PPID)
        self._loop = asyncio.get_running_loop()
        if self.settings.announce is not None:
            try:
                self._receiver = Receiver(self.settings.announce)
            except OSError as error:
                log.warning("Cannot listen to announces of %s:%d: %s", *self.settings.announce, error)
            else:
                self._loop.add_reader(self._receiver.fileno(), self._announced)
                self._join()
        self._spawn(self._read())

    async def close(self) -> None:
        """End the association to the registrar, without an abort if that is quickly possible."""
        if self._closed:
            return
        self._closed = True
        self._requests.give_up()
        if self._receiver is not None:
            self._loop.remove_reader(self._receiver.fileno())
            self._receiver.close()
        for timer in (self._timer, self._retry, self._rejoin):
            if timer is not None:
                timer.cancel()
        endpoint = self._endpoint
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._tcp.close()
        if endpoint is None:
            return
        closing = asyncio.ensure_future(endpoint.close())
        done, _ = await asyncio.wait({closing}, timeout=CLOSING)
        if not done:
            closing.cancel()
            await asyncio.gather(closing, return_exceptions=True)
        self.registrar = None

    def _spawn(self, coroutine: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    @property
    def udp_port(self) -> int | None:
        """The UDP port at which SCTP is reached here, None for the well-known one."""
        port = self._endpoint.udp_port if self._endpoint is not None else UDP_PORT
        return None if port == UDP_PORT else port

    # What users want

    async def register(self, handle: bytes, build: Callable[[bool], PoolElement]) -> None:
        """Register or re-register; ``build`` makes the record, told whether the registrar is on this host.

        Raises RSerPoolError.
        """

        def message() -> bytes:
            link = self.registrar
            return asap.encode(asap.Registration(handle, build(link is not None and link.local)))

        response = await self._request(handle, asap.Registration, message)
        if response.reject or response.error:
            raise error_of(response.error or causes.UNSPECIFIED, self._refusal(response, "registration refused"))

    async def deregister(self, handle: bytes, identifier: int) -> None:
        """Deregister. Raises RSerPoolError."""
        data = asap.encode(asap.Deregistration(handle, identifier))
        response = await self._request(handle, asap.Deregistration, lambda: data)
        if response.reject or response.error:
            raise error_of(response.error or causes.UNSPECIFIED, self._refusal(response, "deregistration refused"))

    @staticmethod
    def _refusal(response: Any, what: str) -> str:
        return f"{what}: {causes.text(response.error)}" if response.error else what

    async def resolve(self, handle: bytes, items: int = 1, stale: float = 0.0) -> list[PoolElement]:
        """Return up to ``items`` pool elements, best first; ``stale``: seconds for which the cache is good.

        Raises UnknownPool, NoRegistrar, RSerPoolError.
        """
        if stale > 0 and (found := self._cache.select(handle, items, time.monotonic())):
            return found
        option = None if stale > 0 else max(items, 1)
        data = asap.encode(asap.HandleResolution(handle, option))
        response = await self._request(handle, asap.HandleResolution, lambda: data)
        if response.error is not None or not response.elements:
            raise error_of(response.error or causes.UNKNOWN_POOL_HANDLE)
        if stale <= 0:
            return list(response.elements[:items])
        now = time.monotonic()
        self._cache.put(handle, response.elements, stale, now)
        return self._cache.select(handle, items, now) or list(response.elements[:items])

    def report_unreachable(self, handle: bytes, identifier: int) -> None:
        """Tell the registrar that an element cannot be reached, and forget it; no answer is awaited."""
        self._cache.remove(handle, identifier)
        data = asap.encode(asap.EndpointUnreachable(handle, identifier))
        self._add(Request(handle, None, lambda: data, lambda _: None, lambda _: None))

    def add_element(self, handle: bytes, identifier: int, moved: Callable[[], None]) -> None:
        """Answer keep-alives for an element; ``moved`` is called when another registrar has to be told of it."""
        self._elements[(handle, identifier)] = moved
        self._need_sctp()
        self._want()

    def remove_element(self, handle: bytes, identifier: int) -> None:
        """Answer keep-alives for an element no longer."""
        self._elements.pop((handle, identifier), None)

    async def wait_registrar(self, timeout: float | None = None) -> RegistrarLink:
        """Wait until there is a registrar. Raises NoRegistrar after ``timeout`` seconds."""
        self._awaited += 1
        try:
            async with asyncio.timeout(timeout):
                while self.registrar is None:
                    self._hunt_on()
                    self._found.clear()
                    await self._found.wait()
        except TimeoutError:
            raise NoRegistrar(causes.NO_REGISTRAR) from None
        finally:
            self._awaited -= 1
        return self.registrar

    async def _request(self, handle: bytes, kind: type, build: Callable[[], bytes]) -> Any:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def done(message: Any) -> None:
            if not future.done():
                future.set_result(message)

        def failed(cause: int) -> None:
            if not future.done():
                future.set_exception(error_of(cause))

        request = Request(handle, RESPONSES[kind], build, done, failed)
        self._add(request)
        try:
            return await future
        finally:
            request.cancelled = True

    def _add(self, request: Request) -> None:
        if self._closed or self._endpoint is None:
            request.failed(causes.NOT_INITIALIZED)
            return
        self._requests.add(request)
        if request.response is asap.RegistrationResponse:
            self._need_sctp()
        self._want()
        self._pump()

    # Requests and answers

    def _pump(self) -> None:
        """Send what is queued; all of it, without waiting for answers."""
        link = self.registrar
        if link is None:
            return
        now = time.monotonic()
        while (request := self._requests.next()) is not None:
            try:
                data = request.build()
            except (ValueError, RSerPoolError) as error:
                log.warning("Cannot send a request: %s", error)
                self._requests.drop_next(getattr(error, "cause", causes.INVALID_VALUE))
                continue
            try:
                sent = self._transmit(data, link.association)
            except OSError:
                self._lost(link.association, causes.NO_REGISTRAR)
                return
            if not sent:
                self._wait_for_room(now)
                return
            self._stuck = 0.0
            self._requests.sent(now)
        self._set_timer()

    def _transmit(self, data: bytes, association: int) -> bool:
        """Send without waiting; False if there is no room. Raises OSError if the association is gone."""
        if association < 0:
            return self._tcp.send_nowait(data, association)
        if self._endpoint is None:
            raise OSError("closed")
        return self._endpoint.send_nowait(data, association, ppid=asap.PPID)

    def _wait_for_room(self, now: float) -> None:
        self._stuck = self._stuck or now
        if now - self._stuck > self.settings.request_timeout:
            self._drop_registrar("it takes no requests", causes.TIMEOUT)
        elif self._retry is None:
            self._retry = self._loop.call_later(0.02, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self._pump()

    def _set_timer(self) -> None:
        deadline = self._requests.deadline()
        if deadline is not None and self._timer is None:
            self._timer = self._loop.call_later(max(0.0, deadline - time.monotonic()), self._expire)

    def _expire(self) -> None:
        self._timer = None
        deadline = self._requests.deadline()
        if deadline is not None and deadline <= time.monotonic():
            self._drop_registrar("it does not answer", causes.TIMEOUT)
        self._set_timer()

    async def _read(self) -> None:
        endpoint = self._endpoint
        if endpoint is None:
            return
        while True:
            item = await endpoint.recv()
            if type(item) is Message:
                data = self._whole(item)
                if data is not None:
                    self._message(item.assoc_id, data)
            elif isinstance(item, AssocChange):
                if item.state == c.SCTP_COMM_UP:
                    self._incoming.add(item.assoc_id)
                elif item.state in GONE:
                    self._lost(item.assoc_id, causes.NO_REGISTRAR)
                elif item.state == c.SCTP_RESTART and self._is_current(item.assoc_id):
                    # The registrar behind it is a new one, which knows nothing of us.
                    self._drop_registrar("it has restarted", causes.NO_REGISTRAR)
            elif isinstance(item, ShutdownEvent):
                self._lost(item.assoc_id, causes.NO_REGISTRAR)

    def _whole(self, message: Message) -> bytes | None:
        if message.ppid != asap.PPID:
            return None
        data = self._partial.pop(message.assoc_id, b"") + message.data
        if message.eor:
            return data
        if len(data) <= 0x10000:
            self._partial[message.assoc_id] = data
        return None

    def _is_current(self, association: int) -> bool:
        return self.registrar is not None and self.registrar.association == association

    def _message(self, association: int, data: bytes) -> None:
        try:
            message = asap.decode(data)
        except DecodeError as error:
            log.warning("Bad message of a registrar: %s", error)
            response = RESPONSE_TYPES.get(data[0]) if data else None
            if self._is_current(association) and response is not None:
                if self._requests.unreadable(response, error.cause):
                    return
                self._drop_registrar("its answers do not parse", causes.INVALID_MESSAGE)
            return
        if isinstance(message, asap.EndpointKeepAlive):
            self._keep_alive(association, message)
        elif not self._is_current(association):
            log.debug("%s by a registrar that is not ours", type(message).__name__)
        elif type(message) in RESPONSE_TYPES.values():
            if not self._requests.answered(message):
                self._drop_registrar("its answer does not fit any request", causes.INVALID_MESSAGE)
        elif isinstance(message, asap.Error):
            self._drop_registrar(f"it reports an error: {causes.text(message.error)}", causes.INVALID_MESSAGE)

    def _keep_alive(self, association: int, message: asap.EndpointKeepAlive) -> None:
        mine = [
            identifier
            for handle, identifier in self._elements
            if handle == message.handle and message.identifier in (None, 0, identifier)
        ]
        if not mine:
            return  # not ours: no answer (RSPLIB gives none, and the registrar forgets the element)
        if not self._is_current(association) and (message.home or self.registrar is None):
            self._move(association, message.registrar)
        elif self.registrar is not None and self._is_current(association):
            self.registrar.identifier = message.registrar
        link = self.registrar
        if link is None:
            return
        for identifier in mine:
            ack = asap.encode(asap.EndpointKeepAliveAck(message.handle, identifier))
            try:
                self._transmit(ack, link.association)
            except OSError:
                self._lost(link.association, causes.NO_REGISTRAR)
                return

    def _move(self, association: int, identifier: int) -> None:
        """A registrar has taken us over (RFC 5352 section 3.4, H flag): it is our home now."""
        old = self.registrar
        if old is not None:
            self.registrar = None
            self._abort(old.association)
            self._requests.lost(causes.NO_REGISTRAR)
        self._use(association, identifier, told=True)

    # Finding a registrar

    def _want(self) -> None:
        if self.registrar is None:
            self._hunt_on()

    def _needed(self) -> bool:
        return bool(self._elements) or len(self._requests) > 0 or self._awaited > 0

    def _hunt_on(self) -> None:
        if self._closed or self._hunt is not None or self._endpoint is None:
            return
        settings = self.settings
        quarry = Quarry(
            self._needed,
            lambda: not self._sctp_only(),
            self._usable,
            self._connect,
            lambda association, identifier: self._use(association, identifier, told=False),
            self._spare,
            self._requests.give_up,
        )
        self._hunt = Hunt(
            self._table,
            quarry,
            settings.connect_timeout,
            settings.connect_trials,
            self._receiver is not None,
            self.rng.choice,
        )
        self._spawn(self._hunt.run()).add_done_callback(self._hunt_ended)

    def _hunt_ended(self, task: asyncio.Task[None]) -> None:
        self._hunt = None
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            log.error("The hunt for a registrar failed: %s", error, exc_info=error)
            self._requests.give_up()
        elif self.registrar is None and self._needed():
            self._hunt_on()  # lost again before the hunt had ended

    def _spare(self, association: int) -> None:
        if not self._is_current(association):
            self._shutdown(association)

    async def _connect(self, known: Known) -> int:
        endpoint = self._endpoint
        if endpoint is None:
            raise OSError("closed")
        timeout = self.settings.connect_timeout
        if known.tcp:
            association = await self._tcp.connect(known.addresses, known.port, timeout)
        else:
            association = await endpoint.connect(
                known.addresses, known.port, remote_udp_port=known.udp_port, timeout=timeout
            )
        self._incoming.add(association)
        return association

    def _use(self, association: int, identifier: int, *, told: bool) -> None:
        """Make an association that of our registrar. ``told``: it knows our elements already."""
        endpoint = self._endpoint
        if endpoint is None:
            return
        try:
            addresses, port = self._peer(endpoint, association)
        except OSError:
            self._incoming.discard(association)
            return
        local = is_local(addresses, host_addresses(all_interfaces()))
        identifier = identifier or self._table.identifier_of(addresses, port)
        self.registrar = RegistrarLink(association, identifier, addresses, port, local, time.monotonic())
        log.info("Registrar $%08x at %s port %d", identifier, ", ".join(addresses), port)
        self._found.set()
        if self._hunt is not None:
            self._hunt.stop()
        if not told:
            for moved in list(self._elements.values()):
                moved()
        self._pump()

    def _peer(self, endpoint: SctpEndpoint | SecureEndpoint, association: int) -> tuple[tuple[str, ...], int]:
        if association < 0:
            address, port = self._tcp.peer(association)
            return (address,), port
        return tuple(endpoint.peer_addresses(association)), endpoint.peer_port(association)

    def _sctp_only(self) -> bool:
        """Whether there is something that TCP is not for: registrations (RFC 5352 section 2)."""
        return bool(self._elements) or self._requests.registering()

    def _usable(self) -> list[int]:
        """The associations that are up and would do."""
        return sorted(a for a in self._incoming if a > 0 or not self._sctp_only())

    def _need_sctp(self) -> None:
        link = self.registrar
        if link is not None and link.association < 0:
            log.info("Leaving the registrar that is reached by TCP: pool elements need SCTP")
            self._shutdown(link.association)
            self._lost(link.association, causes.NO_REGISTRAR)

    def _gone(self, association: int) -> None:
        self._lost(association, causes.NO_REGISTRAR)

    def _drop_registrar(self, why: str, cause: int) -> None:
        link = self.registrar
        if link is not None:
            log.warning("Leaving registrar $%08x: %s", link.identifier, why)
            self._abort(link.association)
            self._lost(link.association, cause)

    def _abort(self, association: int) -> None:
        if association < 0:
            self._tcp.end(association, abort=True)
        elif self._endpoint is not None:
            try:
                self._endpoint.abort(association)
            except OSError:
                pass  # it is gone already
        self._incoming.discard(association)

    def _shutdown(self, association: int) -> None:
        self._incoming.discard(association)
        if association < 0:
            self._tcp.end(association)
        elif self._endpoint is not None:
            try:
                self._endpoint.shutdown(association)
            except OSError:
                pass  # it is gone already

    def _lost(self, association: int, cause: int) -> None:
        self._incoming.discard(association)
        self._partial.pop(association, None)
        if not self._is_current(association):
            return
        self.registrar = None
        self._stuck = 0.0
        self._requests.lost(cause)
        if self._elements or len(self._requests):
            self._hunt_on()

    # Announces

    def _join(self) -> None:
        if self._receiver is not None and not self._closed:
            self._receiver.join(interfaces())
            self._rejoin = self._loop.call_later(JOIN, self._join)

    def _announced(self) -> None:
        link = self.registrar
        for _ in range(64):
            received = self._receiver.receive_from() if self._receiver is not None else None
            if received is None:
                break
            data, source, port = received
            try:
                message = asap.decode(data)
            except DecodeError as error:
                log.debug("Bad announce from %s: %s", source, error)
                continue
            if isinstance(message, asap.ServerAnnounce):
                if self._table.heard(message, source, port, time.monotonic()):
                    log.info("Registrar $%08x announces itself from %s port %d", message.registrar, source, port)
                elif link is not None and link.identifier == message.registrar:
                    link.heard = True
                if self._hunt is not None:
                    self._hunt.news()
        if link is None:
            return
        if not link.identifier:
            link.identifier = self._table.identifier_of(link.addresses, link.port)
        if link.heard and not self._table.knows(link.identifier, time.monotonic()):
            # Others announce themselves, ours not any more. A registration shows whether it is there, long before
            # the next one is due; if it is not, the response timeout leads to a new hunt.
            link.heard = False
            for moved in list(self._elements.values()):
                moved()
