"""How pool elements and pool users find a registrar, keep it, and leave it (RFC 5352 section 3.6)."""

import asyncio
import logging
import random
import socket
import time

import pytest

from pysocketapi.aio import Transport
from rserpool.errors import NoRegistrar, RequestTimeout, RSerPoolError, UnknownPool
from rserpool.registrar.config import RegistrarConfig
from rserpool.registrar.shell import open_registrar
from rserpool.session import Library, PoolElement, Session
from rserpool.settings import Settings, StaticRegistrar
from rserpool.wire import asap, causes, policies
from rserpool.wire.types import SCTP, Policy
from rserpool.wire.types import Transport as Where
from tests.unit.rserpool_wire import mutation

from .pools import (
    echo,
    fake,
    free_udp_port,
    polite,
    registrar,
    run,
    serving,
    settings_for,
    until,
)


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
