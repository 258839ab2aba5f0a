"""A pool element: it listens, is registered while it lives, and gives out a session for each pool user.

RFC 5352 sections 3.1 (registration, re-registration), 3.3 (deregistration). Keep-alives are answered in `asap`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from ipaddress import ip_address

from pysocketapi.aio import SctpConnection, SctpServer, SocketOptions, start_server
from rserpool.asap.client import Handle, as_handle
from rserpool.errors import RSerPoolError
from rserpool.multicast import all_interfaces, host_addresses
from rserpool.scopes import usable
from rserpool.session.events import session_options
from rserpool.session.library import Library
from rserpool.session.peer import PeerSession
from rserpool.wire import causes, policies
from rserpool.wire.types import INFINITE_LIFE, MAX_ADDRESSES, SCTP, Policy, Transport
from rserpool.wire.types import PoolElement as Record

log = logging.getLogger("rserpool.session")

INTERVAL = 30.0  # seconds between registrations
LIVES = 3  # a registration lives for so many intervals
DEREGISTRATION = 1.0  # seconds that leaving may take
RETRY = 2.0  # seconds until a registration that failed is tried again
FULL = 0xFFFFFFFF  # a load of 100 %
LOAD_STEP = FULL // 100  # changes of the load below that wait for the next registration


class PoolElement:
    """See docs/reference/rserpool.md. ``interval`` and ``life`` in seconds."""

    def __init__(
        self,
        library: Library,
        handle: Handle,
        *,
        policy: Policy | None = None,
        identifier: int = 0,
        addresses: Sequence[str] = (),
        port: int = 0,
        interval: float = INTERVAL,
        life: float | None = None,
        control_channel: bool = True,
        daemon: bool = False,
        options: SocketOptions | None = None,
        service: Transport | None = None,
    ) -> None:
        if not 0 <= identifier <= 0xFFFFFFFF:
            raise ValueError("a pool element identifier has 32 bits")
        if not interval > 0:
            raise ValueError("the re-registration interval must be greater than 0 s")
        self.library = library
        self.handle = as_handle(handle)
        self.policy = policy or Policy(policies.ROUND_ROBIN)
        self.identifier = identifier or library.asap.rng.randrange(1, 1 << 32)
        self.control_channel = control_channel
        self.sessions: list[PeerSession] = []
        self.registered = False
        self.port = service.port if service is not None else 0
        self._service = service
        self._addresses = tuple(addresses)
        self._port = port
        self._interval = interval
        self._life = min(round((life or interval * LIVES) * 1000), INFINITE_LIFE)
        self._daemon = daemon
        self._options = options or session_options()
        self._server: SctpServer | None = None
        self._arrived: asyncio.Queue[PeerSession | None] = asyncio.Queue()
        self._again = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._count = 0
        self._member = False
        self._asked = False  # a first registration is on its way
        self._told = self.policy.load  # by the latest registration

    async def __aenter__(self) -> PoolElement:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def __aiter__(self) -> AsyncIterator[PeerSession]:
        while (session := await self.accept()) is not None:
            yield session

    # Life

    async def start(self) -> None:
        """Listen and register. Raises OSError, RSerPoolError (not with ``daemon``)."""
        await self.listen()
        try:
            await self.register()
        except BaseException:
            await self.close()
            raise

    async def listen(self) -> None:
        """Bind and listen only; `register` may follow. Raises OSError."""
        self._member = True
        self.library.elements.append(self)
        if self._service is not None:
            return
        try:
            await self._listen()
        except BaseException:
            await self.close()
            raise

    async def _listen(self) -> None:
        self._server = await start_server(
            self._accepted,
            self._addresses or None,
            self._port,
            transport=self.library.settings.transport,
            options=self._options,
        )
        self.port = self._server.port

    def rename(self, handle: Handle, policy: Policy, interval: float, *, daemon: bool = False) -> None:
        """Give an element that is not registered another pool and other values. ValueError, RuntimeError."""
        if self._keeper is not None:
            raise RuntimeError("the element is registered")
        if not interval > 0:
            raise ValueError("the re-registration interval must be greater than 0 s")
        self.handle, self.policy, self._daemon = as_handle(handle), policy, daemon
        self._interval = interval
        self._life = min(round(interval * LIVES * 1000), INFINITE_LIFE)

    async def register(self) -> None:
        """Register, and keep registered from now on. Raises RSerPoolError (not with ``daemon``)."""
        if self._keeper is not None:
            self._again.set()
            return
        self._asked = True
        try:
            await self.library.asap.register(self.handle, self._record)
            self.registered = True
        except RSerPoolError as error:
            self._asked = False
            if not self._daemon:
                raise
            log.warning("Cannot register: %s; trying again", error)
            self._again.set()
        self._asked = False  # where we are cancelled before the answer, `deregister` takes it back
        self.library.asap.add_element(self.handle, self.identifier, self._again.set)
        self._keeper = asyncio.get_running_loop().create_task(self._keep())

    async def _keep(self) -> None:
        """Re-register at each interval, and at once when something has changed."""
        wait = RETRY if not self.registered else self._interval
        if not self.registered:
            self._again.clear()
        while True:
            try:
                async with asyncio.timeout(wait):
                    await self._again.wait()
            except TimeoutError:
                pass
            self._again.clear()
            try:
                await self.library.asap.register(self.handle, self._record)
            except RSerPoolError as error:
                log.warning("Cannot re-register: %s", error)
                self.registered = False
                wait = min(RETRY, self._interval)
                # Whatever asked for it meanwhile is served by the next trial, not by one without pause.
                self._again.clear()
            else:
                self.registered = True
                wait = self._interval

    async def deregister(self) -> None:
        """Leave the pool; sessions and new associations are still served. Safe to call twice."""
        if self._keeper is None and not self._asked:
            return
        keeper, handle = self._keeper, self.handle
        self._keeper, self._asked = None, False
        if keeper is not None:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
        client = self.library.asap
        client.remove_element(handle, self.identifier)
        self.registered = False
        if client.registrar is None:
            return  # nobody knows us, or will within the registration's life
        try:
            async with asyncio.timeout(DEREGISTRATION):
                await client.deregister(handle, self.identifier)
        except (RSerPoolError, TimeoutError) as error:
            log.warning("Cannot deregister: %s", error or "no answer in time")

    async def close(self) -> None:
        """Deregister, accept no more, end the sessions gracefully."""
        await self.deregister()
        if self._server is not None:
            self._server.close()
            self._server = None
        for session in list(self.sessions):
            session.close()
        if self._member:
            self._member = False
            self.library.elements.remove(self)
            self._arrived.put_nowait(None)

    # Sessions

    def _accepted(self, connection: SctpConnection) -> None:
        self._count += 1
        session = PeerSession(connection, self._count, self.identifier, self.control_channel, self._gone)
        self.sessions.append(session)
        self._arrived.put_nowait(session)

    def _gone(self, session: PeerSession) -> None:
        if session in self.sessions:
            self.sessions.remove(session)

    async def accept(self) -> PeerSession | None:
        """Return the session of the next pool user, None once closed."""
        session = await self._arrived.get()
        if session is None:
            self._arrived.put_nowait(None)
        return session

    # Registration

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses at which the element listens."""
        return self._bound()

    def _bound(self) -> tuple[str, ...]:
        if self._service is not None:
            return self._service.addresses
        bound = self._server.addresses if self._server is not None else []
        specific = tuple(a for a in bound if not ip_address(a).is_unspecified)
        if specific:
            return specific
        found = host_addresses(all_interfaces())
        if bound and all(ip_address(a).version == 4 for a in bound):
            found = tuple(a for a in found if ip_address(a).version == 4)
        return found

    def _record(self, local: bool) -> Record:
        """The registration; ``local``: for a registrar on this host. Others get no loopback addresses."""
        addresses = usable(self._bound(), local)[:MAX_ADDRESSES]
        if not addresses:
            raise RSerPoolError(causes.NO_USABLE_USER_ADDRESSES)
        if self._service is not None:
            transport = replace(self._service, addresses=addresses)
        else:
            transport = Transport(SCTP, self.port, addresses, self.control_channel)
        home = self.library.registrar.identifier if self.library.registrar is not None else 0
        self._told = self.policy.load
        return Record(
            self.identifier,
            home,
            self._life,
            transport,
            self.policy,
            udp_port=self.library.asap.udp_port,
        )

    def set_policy(self, policy: Policy) -> None:
        """Change the policy's values; re-registered at once if they are new."""
        if policy != self.policy:
            self.policy = policy
            if self._keeper is not None:
                self._again.set()

    def set_load(self, fraction: float) -> None:
        """Set the load, 0.0..1.0, of a policy that has one; re-registered at once if it changed by 1 % or more
        since the latest registration (RSPLIB's threshold). ValueError."""
        if not 0.0 <= fraction <= 1.0:
            raise ValueError(f"load {fraction} is not in 0..1")
        if "load" in policies.LAYOUTS[self.policy.type][1]:
            policy = replace(self.policy, load=round(fraction * FULL))
            if abs(policy.load - self._told) >= LOAD_STEP:
                self.set_policy(policy)
            else:
                self.policy = policy
