"""Pool elements and the sessions of pool users, over SCTP in UDP on this host, all in one process."""

import asyncio
import socket

import pytest

from pysocketapi.aio import Transport
from rserpool.errors import RSerPoolError, UnknownPool
from rserpool.session import CookieEcho, Data, Failover, Library, PoolElement, PoolUser, Session
from rserpool.settings import Settings
from rserpool.wire import asap, causes, csp, policies
from rserpool.wire.types import SCTP, Policy
from rserpool.wire.types import PoolElement as Record
from rserpool.wire.types import Transport as Where

from .pools import (
    echo,
    fake,
    polite,
    registrar,
    run,
    serving,
    settings_for,
    until,
)


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
