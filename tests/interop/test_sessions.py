"""Pool elements, pool users and registrars over SCTP in UDP on this host, all in one process.

Real time and real sockets: everything waits for conditions, with deadlines.
"""

import asyncio
import logging
import random
import socket
import time
from contextlib import asynccontextmanager

import pytest

from pysocketapi import constants as c
from pysocketapi.aio import Message, Transport, open_endpoint
from pysocketapi.notifications import AssocChange
from rserpool.errors import NoRegistrar, RequestTimeout, RSerPoolError, UnknownPool
from rserpool.registrar.config import RegistrarConfig
from rserpool.registrar.shell import open_registrar
from rserpool.session import CookieEcho, Data, Failover, Library, PoolElement, PoolUser, Session
from rserpool.settings import Settings, StaticRegistrar
from rserpool.wire import asap, causes, csp, policies
from rserpool.wire.types import SCTP, TCP, UDP, Policy
from rserpool.wire.types import PoolElement as Record
from rserpool.wire.types import Transport as Where
from tests.unit.rserpool_wire import mutation

DEADLINE = 20.0


def run(test):
    """Run a coroutine test with a deadline."""

    def runner():
        async def limited():
            async with asyncio.timeout(DEADLINE):
                await test()

        asyncio.run(limited())

    runner.__name__, runner.__doc__ = test.__name__, test.__doc__
    return runner


async def until(condition):
    while not condition():
        await asyncio.sleep(0.01)


@asynccontextmanager
async def registrar(transport, **settings):
    """A registrar that announces nothing, and the static entry for it."""
    settings.setdefault("mentor_timeout", 0.1)
    config = RegistrarConfig(asap_announce=None, enrp_announce=None, **settings)
    shell = await open_registrar(config, transport)
    try:
        yield shell
    finally:
        await shell.close()


def static(shell):
    return StaticRegistrar(("127.0.0.1",), shell.asap.endpoint.port, shell.asap.endpoint.udp_port)


def settings_for(transport, *shells, **more):
    return Settings([static(s) for s in shells], announce=None, transport=transport, **more)


async def serve(element, reply):
    async for session in element:
        task = asyncio.create_task(reply(session))
        element.tasks.add(task)
        task.add_done_callback(element.tasks.discard)


@asynccontextmanager
async def serving(library, handle, reply, **more):
    """A pool element whose sessions ``reply`` serves."""
    async with PoolElement(library, handle, **more) as element:
        element.tasks = set()
        element.tasks.add(asyncio.create_task(serve(element, reply)))
        try:
            yield element
        finally:
            for task in element.tasks:
                task.cancel()


async def echo(session):
    async with session:
        async for event in session:
            await session.send(event.data, ppid=event.ppid, stream=event.stream)


@run
async def test_register_resolve_use_deregister():
    t = Transport("userland", udp_port=0)
    async with registrar(t) as shell, Library(settings_for(t, shell)) as library:
        async with serving(library, "EchoPool", echo, identifier=0x1234) as element:
            assert element.registered and library.registrar.local
            async with Library(settings_for(t, shell)) as other, Session(other, b"EchoPool") as session:
                assert session.connected and session.identifier == 0x1234
                await session.send(b"hello", ppid=42, stream=3)
                assert await session.recv() == Data(b"hello", 42, 3, 0x1234)
                big = bytes(range(256)) * 400
                await session.send(big)
                assert (await session.recv()).data == big
                (record,) = await other.resolve("EchoPool", 5)
                assert (record.identifier, record.user_transport.port) == (0x1234, element.port)
                assert record.udp_port == shell.asap.endpoint.udp_port
                with pytest.raises(UnknownPool):
                    await other.resolve("NoPool")
            await until(lambda: not element.sessions)
        with pytest.raises(UnknownPool):
            await library.resolve("EchoPool")


@run
async def test_failover_with_cookie():
    """The count that one server began is continued by the next one."""
    t = Transport("userland", udp_port=0)

    async def count(session):
        n = 0
        async for event in session:
            if isinstance(event, CookieEcho):
                n = int.from_bytes(event.cookie)
                continue
            n += 1
            await session.send_cookie(n.to_bytes(4))
            await session.send(str(n).encode())
            if n % 3 == 0:
                session.abort(b"test")

    async with (
        registrar(t) as shell,
        Library(settings_for(t, shell)) as library,
        serving(library, "Count", count, identifier=1),
        serving(library, "Count", count, identifier=2),
        Session(library, "Count") as session,
    ):
        answers, servers, necessary = [], [], 0
        await session.send(b"?")
        while len(answers) < 9:
            event = await session.recv()
            if isinstance(event, Data):
                answers.append(int(event.data))
                servers.append(event.identifier)
            elif event.necessary:
                necessary += 1
                assert event.has_cookie
                assert await session.force_failover()
                continue
            else:
                assert event == Failover(2, True, session.identifier)
            try:
                await session.send(b"?")
            except OSError:
                pass  # the server has aborted meanwhile; the next event says so
        assert answers == list(range(1, 10))
        assert session.failovers == necessary == 2
        assert servers[0] != servers[3] != servers[6]


@run
async def test_elements_move_to_another_registrar():
    """A registrar that ends is replaced by one that is known, and learns the elements at once."""
    t = Transport("userland", udp_port=0)
    async with registrar(t) as first:
        async with registrar(t) as second:
            async with (
                Library(settings_for(t, first)) as library,
                PoolElement(library, "P", interval=300) as element,
            ):
                library.asap._table._statics.extend(Library(settings_for(t, second)).asap._table._statics)
                await first.close()
                await until(lambda: second.registrar.state.handlespace.size == 1)
                assert second.registrar.state.handlespace.find(b"P", element.identifier) is not None
                await until(lambda: library.registrar is not None)
                assert library.registrar.port == second.asap.endpoint.port
                assert [e.identifier for e in await library.resolve("P")] == [element.identifier]


@run
async def test_announces_are_found_on_loopback_and_elsewhere():
    t = Transport("userland", udp_port=0)
    group = ("239.77.1.1", free_udp_port())
    config = RegistrarConfig(
        asap_announce=group, enrp_announce=None, mentor_timeout=0.1, server_announce_cycle=0.2
    )
    shell = await open_registrar(config, t)
    try:
        async with Library(Settings(announce=group, transport=t)) as library:
            link = await library.wait_registrar(10)
            assert link.identifier == shell.registrar.identifier
            async with PoolElement(library, "P") as element:
                assert element.registered
    finally:
        await shell.close()


def free_udp_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@run
async def test_without_registrar():
    t = Transport("userland", udp_port=0)
    nobody = StaticRegistrar(("127.0.0.1",), 4242, free_udp_port())
    for settings in (
        Settings([nobody], announce=None, connect_timeout=0.3, transport=t),
        Settings([], announce=None, connect_timeout=0.3, transport=t),
    ):
        async with Library(settings) as library:
            with pytest.raises(NoRegistrar):
                await library.resolve("P")
            with pytest.raises(NoRegistrar):
                await library.wait_registrar(0.05)
            with pytest.raises(NoRegistrar):
                await PoolElement(library, "P").start()
            async with PoolElement(library, "P", daemon=True) as element:
                assert not element.registered


@run
async def test_session_without_pool_element():
    t = Transport("userland", udp_port=0)
    async with registrar(t) as shell, Library(settings_for(t, shell)) as library:
        async with Session(library, "P", retry_delay=0.1) as session:
            assert not session.connected
            with pytest.raises(OSError):
                await session.send(b"x")
            for _ in range(2):
                assert await session.recv() == Failover(1, False, 0)
            began = asyncio.get_running_loop().time()
            assert await session.force_failover() is False
            assert asyncio.get_running_loop().time() - began >= 0.09
            with pytest.raises(UnknownPool):
                await session.connect(patient=False)
            async with serving(library, "P", echo):
                assert await session.force_failover()
                assert (await session.recv()).complete
        assert await session.recv() is None
        assert library.sessions == []


@run
async def test_unreachable_elements_are_reported():
    """An element that nobody can connect to is removed after three reports."""
    t = Transport("userland", udp_port=0)
    async with registrar(t) as shell, Library(settings_for(t, shell)) as library:
        where = Where(SCTP, 4243, ("127.0.0.1",), True)  # nobody listens there
        udp_port = library.asap.udp_port
        policy = Policy(policies.ROUND_ROBIN)
        await library.asap.register(b"P", lambda local: Record(9, 0, 90000, where, policy, udp_port=udp_port))
        session = Session(library, "P", connect_timeout=0.5, retry_delay=0.01)
        assert [await session.connect() for _ in range(3)] == [False] * 3
        with pytest.raises(UnknownPool):
            await library.resolve("P")
        session.close()


@run
async def test_values_that_change_are_registered_again():
    t = Transport("userland", udp_port=0)
    policy = Policy(policies.LEAST_USED)
    async with registrar(t) as shell, Library(settings_for(t, shell)) as library:
        async with PoolElement(library, "P", policy=policy, interval=300) as element:
            handlespace = shell.registrar.state.handlespace

            def known():
                return handlespace.find(b"P", element.identifier).record

            element.set_load(0.5)
            await until(lambda: known().policy.load == 0x80000000)
            element.set_load(0.5)
            with pytest.raises(ValueError):
                element.set_load(1.5)
            assert known().life == 900_000
            assert shell.registrar.statistics.registrations == 2


@run
async def test_loads_are_registered_when_they_have_changed_by_one_percent():
    """RSPLIB's threshold; small steps add up."""
    t = Transport("userland", udp_port=0)
    policy = Policy(policies.LEAST_USED)
    async with registrar(t) as shell, Library(settings_for(t, shell)) as library:
        async with PoolElement(library, "P", policy=policy, interval=300) as element:
            for load in 0.004, 0.008:
                element.set_load(load)
            await library.resolve("P")
            assert shell.registrar.statistics.registrations == 1
            element.set_load(0.0101)
            record = shell.registrar.state.handlespace.find(b"P", element.identifier)
            await until(lambda: record.record.policy.load == round(0.0101 * 0xFFFFFFFF))
            element.set_load(0.014)
            await library.resolve("P")
            assert shell.registrar.statistics.registrations == 2


@run
async def test_a_registration_that_is_given_up_is_taken_back():
    """Regression: ended before the registrar's answer, an element stayed in the pool."""
    t = Transport("userland", udp_port=0)
    asked = asyncio.Event()

    def slow(message):
        asked.set()
        return asap.DeregistrationResponse(b"P", 7) if isinstance(message, asap.Deregistration) else None

    async with fake(t, slow) as (registrar, settings), Library(settings) as library:
        settings.response_timeout = 60.0
        registering = asyncio.create_task(PoolElement(library, "P", identifier=7).start())
        await asked.wait()
        registering.cancel()
        await asyncio.gather(registering, return_exceptions=True)
        assert [type(m) for m in registrar.got] == [asap.Registration, asap.Deregistration]
        assert library.elements == []


@run
async def test_refused_registration():
    """Another policy than the pool's; the pool keeps its elements."""
    t = Transport("userland", udp_port=0)
    async with registrar(t) as shell, Library(settings_for(t, shell)) as library:
        async with PoolElement(library, "P"):
            with pytest.raises(RSerPoolError) as caught:
                await PoolElement(library, "P", policy=Policy(policies.RANDOM)).start()
            assert caught.value.cause == causes.INCOMPATIBLE_POLICY
            assert len(library.elements) == 1


class Fake:
    """A registrar that answers as the test likes: ``answer(message) -> message, None, or "abort"``."""

    def __init__(self, endpoint, answer):
        self.endpoint, self.answer = endpoint, answer
        self.got, self.up, self.down = [], [], []
        self.task = asyncio.create_task(self.read())

    async def read(self):
        while True:
            item = await self.endpoint.recv()
            if isinstance(item, Message):
                message = asap.decode(item.data)
                self.got.append(message)
                reply = self.answer(message)
                if reply is not None:
                    await self.send(reply, item.assoc_id)
            elif isinstance(item, AssocChange):
                (self.up if item.state == c.SCTP_COMM_UP else self.down).append(item.assoc_id)

    async def connect(self, library):
        """An association to the endpoint of somebody's library, as a registrar makes that takes over."""
        theirs = library.asap._endpoint
        return await self.endpoint.connect(("127.0.0.1",), theirs.port, remote_udp_port=theirs.udp_port)

    async def send(self, message, to):
        data = message if isinstance(message, bytes) else asap.encode(message)
        return await self.endpoint.send(data, to, ppid=asap.PPID)


@asynccontextmanager
async def fake(transport, answer):
    endpoint = await open_endpoint(transport=transport)
    it = Fake(endpoint, answer)
    try:
        yield (
            it,
            Settings(
                [StaticRegistrar(("127.0.0.1",), endpoint.port, endpoint.udp_port)],
                announce=None,
                transport=transport,
                response_timeout=0.3,
                connect_timeout=2.0,
            ),
        )
    finally:
        it.task.cancel()
        await endpoint.close()


def polite(message):
    if isinstance(message, asap.Registration):
        return asap.RegistrationResponse(message.handle, message.element.identifier)
    if isinstance(message, asap.Deregistration):
        return asap.DeregistrationResponse(message.handle, message.identifier)
    return None


@run
async def test_a_silent_registrar_is_left():
    t = Transport("userland", udp_port=0)
    async with fake(t, lambda message: None) as (silent, settings), Library(settings) as library:
        with pytest.raises(RequestTimeout):
            await library.resolve("P")
        assert library.registrar is None
        await until(lambda: silent.down)


@run
async def test_a_request_is_sent_again_if_it_may():
    t = Transport("userland", udp_port=0)
    answers = iter([None, asap.HandleResolutionResponse(b"P", error=9)])
    async with fake(t, lambda message: next(answers)) as (server, settings):
        settings.request_trials = 2
        async with Library(settings) as library:
            with pytest.raises(UnknownPool):
                await library.resolve("P")
            assert len(server.got) == 2 and len(server.up) == 2


@pytest.mark.parametrize(
    "reply",
    [asap.HandleResolutionResponse(b"Q", error=9), asap.RegistrationResponse(b"P", 1), asap.Error(0x10)],
    ids=["other pool", "other response", "error"],
)
def test_a_confused_registrar_is_left(reply):
    @run
    async def test():
        t = Transport("userland", udp_port=0)
        async with fake(t, lambda message: reply) as (server, settings), Library(settings) as library:
            with pytest.raises(RSerPoolError):
                await library.resolve("P")
            await until(lambda: server.down)

    test()


@run
async def test_an_unreadable_answer_ends_its_request_only():
    t = Transport("userland", udp_port=0)
    broken = bytes.fromhex("0600000c 0009 0004 0000ffff")
    async with fake(t, lambda message: broken) as (server, settings), Library(settings) as library:
        with pytest.raises(RSerPoolError) as caught:
            await library.resolve("P")
        assert caught.value.cause == causes.INVALID_VALUE
        assert library.registrar is not None and not server.down


@run
async def test_keep_alives_are_answered():
    t = Transport("userland", udp_port=0)
    async with fake(t, polite) as (server, settings), Library(settings) as library:
        async with PoolElement(library, "P", identifier=7), PoolElement(library, "P", identifier=8):
            to = server.up[0]
            acks = lambda: [m.identifier for m in server.got if isinstance(m, asap.EndpointKeepAliveAck)]  # noqa: E731
            await server.send(asap.EndpointKeepAlive(99, b"P", 7), to)
            await until(lambda: acks() == [7])
            await server.send(asap.EndpointKeepAlive(99, b"P", 6), to)  # not ours: no answer
            await server.send(asap.EndpointKeepAlive(99, b"P"), to)  # the RFC's form: all of the pool
            await until(lambda: len(acks()) == 3)
            assert acks() == [7, 7, 8]
            assert library.registrar.identifier == 99


@run
async def test_takeover_changes_the_home():
    """ENDPOINT_KEEP_ALIVE with H by another registrar: it becomes the home, the old association is aborted."""
    t = Transport("userland", udp_port=0)
    async with fake(t, polite) as (old, settings), fake(t, polite) as (new, _), Library(settings) as library:
        async with PoolElement(library, "P", identifier=7, interval=300) as element:
            to = await new.connect(library)
            await new.send(asap.EndpointKeepAlive(0xBEEF, b"P", 7, home=True), to)
            await until(lambda: any(isinstance(m, asap.EndpointKeepAliveAck) for m in new.got))
            await until(lambda: old.down)
            assert library.registrar.identifier == 0xBEEF
            element.set_policy(Policy(policies.ROUND_ROBIN, weight=1))
            await until(lambda: any(isinstance(m, asap.Registration) for m in new.got))
            (registration,) = [m for m in new.got if isinstance(m, asap.Registration)]
            assert registration.element.home == 0xBEEF
        assert isinstance(new.got[-1], asap.Deregistration)


@run
async def test_keep_alive_of_a_stranger_does_not_change_the_home():
    """Without H the acknowledgement goes to the home registrar, as RSPLIB's does."""
    t = Transport("userland", udp_port=0)
    async with fake(t, polite) as (old, settings), fake(t, polite) as (new, _), Library(settings) as library:
        async with PoolElement(library, "P", identifier=7):
            to = await new.connect(library)
            await new.send(asap.EndpointKeepAlive(0xBEEF, b"P", 7), to)
            await until(lambda: any(isinstance(m, asap.EndpointKeepAliveAck) for m in old.got))
            assert not new.got and not old.down


@run
async def test_cache_spares_the_registrar():
    t = Transport("userland", udp_port=0)
    policy = Policy(policies.ROUND_ROBIN)
    where = Where(SCTP, 1, ("127.0.0.1",))
    records = [Record(i, 1, 90000, where, policy) for i in (1, 2, 3)]

    def answer(message):
        if isinstance(message, asap.HandleResolution):
            return asap.HandleResolutionResponse(message.handle, policy, records)
        return polite(message)

    async with fake(t, answer) as (server, settings), Library(settings) as library:
        found = [(await library.resolve("P", 1, stale=60))[0].identifier for _ in range(5)]
        assert found == [1, 2, 3, 1, 2]
        assert server.got == [asap.HandleResolution(b"P", None)]
        assert len(await library.resolve("P", 2)) == 2
        assert server.got[1:] == [asap.HandleResolution(b"P", 2)]
        await library.report_unreachable("P", 1)
        await until(lambda: len(server.got) == 3)
        assert server.got[2] == asap.EndpointUnreachable(b"P", 1)
        assert sorted(e.identifier for e in await library.resolve("P", 9, stale=60)) == [2, 3]


@run
async def test_status_reports():
    t = Transport("userland", udp_port=0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as monitor:
        monitor.bind(("127.0.0.1", 0))
        monitor.setblocking(False)
        loop = asyncio.get_running_loop()
        reporting = {"csp_server": monitor.getsockname(), "csp_interval": 0.05}
        async with registrar(t) as shell, Library(settings_for(t, shell, **reporting)) as library:
            policy = Policy(policies.LEAST_USED, load=0x80000000)
            async with serving(library, "P", echo, identifier=5, policy=policy) as element:
                async with Session(library, "P") as session:
                    library.set_status("busy")
                    await session.send(b"x", ppid=33)
                    while True:
                        report = csp.decode(await loop.sock_recv(monitor, 4096))
                        if len(report.associations) == 2 and report.associations[1].ppid == 33:
                            break
                    assert report.sender == csp.component(csp.POOL_ELEMENT, 5)
                    assert (report.status, round(report.workload, 3)) == ("busy", 0.5)
                    assert report.location.endswith("(local only)") or f":{element.port}" in report.location
                    first, second = report.associations
                    # A static registrar's identifier is known from its first keep-alive or announce on.
                    assert first.receiver == csp.component(csp.REGISTRAR, 0)
                    assert (first.protocol, first.ppid, second.receiver) == (SCTP, 11, report.sender)
        while not report.final:
            report = csp.decode(await loop.sock_recv(monitor, 4096))
        assert report.associations == [] and report.status == ""


@run
async def test_status_reports_of_users_and_elements_with_an_identifier_of_their_own():
    t = Transport("userland", udp_port=0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as monitor:
        monitor.bind(("127.0.0.1", 0))
        monitor.setblocking(False)
        loop = asyncio.get_running_loop()
        reporting = {"csp_server": monitor.getsockname(), "csp_interval": 0.05, "csp_identifier": 7}

        async def told(condition):
            while not condition(report := csp.decode(await loop.sock_recv(monitor, 4096))):
                pass
            return report

        async with registrar(t) as shell:
            async with Library(settings_for(t, shell, **reporting)):
                report = await told(lambda r: not r.final)
                assert report.sender == csp.component(csp.POOL_USER, 7)
            await told(lambda r: r.final)
            async with Library(settings_for(t, shell, **reporting, csp_element=True)) as library:
                assert (await told(lambda r: True)).sender == csp.component(csp.POOL_ELEMENT, 7)
                async with serving(library, "P", echo, identifier=5):
                    report = await told(lambda r: r.status == "0 Sessions in pool P")
                    assert report.sender == csp.component(csp.POOL_ELEMENT, 7)


@run
async def test_others_hear_of_no_loopback_address():
    t = Transport("userland", udp_port=0)
    async with registrar(t) as shell, Library(settings_for(t, shell)) as library:
        async with PoolElement(library, "P") as element:
            assert "127.0.0.1" in element._record(True).user_transport.addresses
            try:
                remote = element._record(False).user_transport.addresses
            except RSerPoolError as error:  # this host has only loopback
                assert error.cause == causes.NO_USABLE_USER_ADDRESSES
            else:
                assert not any(a.startswith("127.") or a == "::1" for a in remote)


@run
async def test_an_element_that_others_cannot_reach_says_so():
    t = Transport("userland", udp_port=0)
    async with fake(t, polite) as (_, settings), Library(settings) as library:
        async with PoolElement(library, "P", addresses=["127.0.0.1"]) as element:
            with pytest.raises(RSerPoolError) as caught:
                element._record(False)
            assert caught.value.cause == causes.NO_USABLE_USER_ADDRESSES
            library.registrar.local = False  # as if the registrar were elsewhere
            with pytest.raises(RSerPoolError) as caught:
                await library.asap.register(element.handle, element._record)
            assert caught.value.cause == causes.NO_USABLE_USER_ADDRESSES


@pytest.mark.parametrize("handle", ["", "x" * 33, b""])
def test_handles_have_1_to_32_bytes(handle):
    library = Library(Settings(announce=None))
    for kind in (Session, PoolElement):
        with pytest.raises(ValueError):
            kind(library, handle)


def by_tcp(transport, shell, **more):
    return Settings(
        [StaticRegistrar(("127.0.0.1",), shell.tcp.port, tcp=True)], announce=None, transport=transport, **more
    )


@run
async def test_pool_users_by_tcp():
    """Resolution and reports by TCP; the sessions themselves are SCTP as ever."""
    t = Transport("userland", udp_port=0)
    async with registrar(t, asap_tcp=("127.0.0.1", 0)) as shell, Library(settings_for(t, shell)) as library:
        async with serving(library, "P", echo, identifier=9), Library(by_tcp(t, shell)) as user:
            async with Session(user, "P") as session:
                await session.send(b"by both")
                assert (await session.recv()).data == b"by both"
                assert user.registrar.local and user.registrar.association < 0
                with pytest.raises(UnknownPool):
                    await user.resolve("Q")
                found = await asyncio.gather(*(user.resolve("P") for _ in range(100)))
                assert {e[0].identifier for e in found} == {9}
            for _ in range(3):
                await user.report_unreachable("P", 9)
            await until(lambda: shell.registrar.state.handlespace.size == 0)
            links = shell.registrar.state.links
            assert len([k for k in links if k[1] < 0]) == 1
        await until(lambda: not [k for k in links if k[1] < 0])


@run
async def test_pool_elements_need_sctp():
    t = Transport("userland", udp_port=0)
    async with registrar(t, asap_tcp=("127.0.0.1", 0)) as shell:
        async with Library(by_tcp(t, shell, connect_timeout=0.3)) as library:
            await library.wait_registrar(5)
            with pytest.raises(NoRegistrar):
                await PoolElement(library, "P").start()
        both = by_tcp(t, shell)
        both.registrars.append(static(shell))
        async with Library(both) as library, PoolElement(library, "P"):
            assert library.registrar.association > 0


@run
async def test_the_registrar_takes_only_what_is_for_tcp():
    t = Transport("userland", udp_port=0)
    async with registrar(t, asap_tcp=("127.0.0.1", 0)) as shell:
        for data in (
            asap.encode(asap.Deregistration(b"P", 1)),
            b"\x05\0\0\3",
            b"\x01\0\xff\xff" + bytes(0xFFFC),
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", shell.tcp.port)
            writer.write(data)
            with pytest.raises((ConnectionError, EOFError)):
                await reader.readexactly(1)
            writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", shell.tcp.port)
        request = asap.encode(asap.HandleResolution(b"P"))
        for part in (request[:3], request[3:7], request[7:] + request):
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)
        for _ in range(2):
            header = await reader.readexactly(4)
            answer = header + await reader.readexactly(int.from_bytes(header[2:]) - 4)
            assert asap.decode(answer) == asap.HandleResolutionResponse(b"P", error=9, elements=[])
        writer.close()


@run
async def test_a_registrar_by_tcp_that_ends_is_left():
    t = Transport("userland", udp_port=0)
    async with registrar(t, asap_tcp=("127.0.0.1", 0)) as shell:
        async with Library(by_tcp(t, shell, connect_timeout=0.3)) as user:
            await user.wait_registrar(5)
            await shell.close()
            await until(lambda: user.registrar is None)
            with pytest.raises(NoRegistrar):
                await user.resolve("P")


@pytest.mark.parametrize("protocol", [TCP, UDP, SCTP])
def test_servers_that_exist_already_are_registered(protocol):
    """A "mapped" service: found by its pool handle, connected to by the pool user itself."""

    @run
    async def test():
        t = Transport("userland", udp_port=0)
        async with registrar(t) as shell, Library(settings_for(t, shell)) as library:
            service = Where(protocol, 8080, ("127.0.0.1",))
            async with PoolElement(library, "Web", service=service) as element:
                assert (element.port, element.addresses) == (8080, ("127.0.0.1",))
                (record,) = await library.resolve("Web")
                assert record.user_transport == service
                if protocol != SCTP:
                    session = Session(library, "Web", retry_delay=0.01)
                    with pytest.raises(RSerPoolError) as caught:
                        await session.connect(patient=False)
                    assert caught.value.cause == causes.WRONG_PROTOCOL
                    session.close()
                    assert await library.resolve("Web")  # it was not reported as unreachable
            with pytest.raises(UnknownPool):
                await library.resolve("Web")

    test()


@run
async def test_a_registrar_that_vanishes_is_noticed_by_its_announces():
    """It neither announces itself nor answers any more, but its association stays: another one is taken."""
    t = Transport("userland", udp_port=0)
    group = ("239.77.1.2", free_udp_port())
    config = RegistrarConfig(
        asap_announce=group, enrp_announce=None, mentor_timeout=0.1, server_announce_cycle=0.1
    )
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        answers = [True]
        async with fake(t, lambda message: polite(message) if answers else None) as (old, settings):
            where = Where(SCTP, old.endpoint.port, ("127.0.0.1",))
            announce = asap.encode(asap.ServerAnnounce(0xDEAD, [where], old.endpoint.udp_port))
            settings.registrars.clear()
            settings.announce, settings.announce_timeout = group, 0.5
            async with Library(settings) as library, PoolElement(library, "P", daemon=True, interval=300):
                while library.registrar is None or not library.registrar.heard:
                    sock.sendto(announce, group)
                    await asyncio.sleep(0.05)
                shell = await open_registrar(config, t)
                try:
                    answers.clear()
                    began = loop.time()
                    await until(lambda: shell.registrar.state.handlespace.size == 1)
                    assert loop.time() - began < 5
                    assert library.registrar.port == shell.asap.endpoint.port
                finally:
                    await shell.close()


@run
async def test_without_any_way_to_a_registrar_nothing_spins():
    """Regression: the hunt of a daemon's element began again at once, for ever."""
    t = Transport("userland", udp_port=0)
    async with Library(Settings(announce=None, transport=t)) as library:
        async with PoolElement(library, "P", daemon=True):
            await asyncio.sleep(0.05)
            before = time.process_time()
            await asyncio.sleep(0.3)
            assert time.process_time() - before < 0.15


@run
async def test_no_message_of_a_registrar_upsets_the_library():
    """Mutated messages by the registrar in use and by others; afterwards everything works as before."""
    t = Transport("userland", udp_port=0)
    rng = random.Random(5)
    seeds = [data for protocol, data in mutation.seeds() if protocol is asap]
    logging.disable(logging.CRITICAL)
    try:
        async with registrar(t) as shell, Library(settings_for(t, shell)) as library:
            async with serving(library, "EchoPool", echo, identifier=0x12345678) as element:
                client = library.asap
                for number in range(4000):
                    link = client.registrar
                    association = link.association if link is not None and number % 2 else 4711
                    client._message(association, mutation.mutate(rng, rng.choice(seeds)))
                    if number % 200 == 0:
                        await asyncio.sleep(0)
                        await client.wait_registrar(10)
                await client.wait_registrar(10)
                await client.register(element.handle, element._record)
                async with Session(library, "EchoPool") as session:
                    await session.send(b"still here")
                    assert (await session.recv()).data == b"still here"
    finally:
        logging.disable(logging.NOTSET)


@run
async def test_a_session_is_aborted_without_waiting_for_an_element_that_reads_nothing():
    t = Transport("userland", udp_port=0)
    ended = []

    async def read_late(session):
        await until(lambda: session_aborted)
        while await session.recv() is not None:
            pass
        ended.append(session.reason)

    session_aborted = []
    async with registrar(t) as shell, Library(settings_for(t, shell)) as library:
        async with serving(library, "P", read_late):
            async with Library(settings_for(t, shell)) as other, Session(other, "P") as session:
                for _ in range(200):
                    try:
                        async with asyncio.timeout(0.2):
                            await session.send(bytes(32768))
                    except TimeoutError:
                        break
                else:
                    raise AssertionError("everything was taken")
                session.abort(b"enough")
                session.abort()
                assert await session.recv() is None
                assert session not in other.sessions
                async with asyncio.timeout(0.5):
                    await session.wait_closed()
                session_aborted.append(True)
                await until(lambda: ended)
            assert ended != ["the pool user has ended it"]


@run
async def test_pool_user_with_a_library_of_its_own_and_a_shared_one():
    t = Transport("userland", udp_port=0)
    async with registrar(t) as shell, Library(settings_for(t, shell)) as library:
        async with serving(library, "P", echo, identifier=3):
            for where in (settings_for(t, shell), library):
                async with PoolUser(where) as user, user.session("P") as session:
                    assert [e.identifier for e in await user.resolve("P")] == [session.identifier] == [3]
                    await session.send(b"x")
                    assert (await session.recv()).data == b"x"
            await PoolUser(library).report_unreachable("P", 3)
            assert library.registrar is not None  # a shared one is not closed
