"""Pool users that ask by TCP (RFC 5352 §2.1), pool elements that serve by TCP or UDP (RFC 5354 §3)."""

import asyncio

import pytest

from pysocketapi.aio import Transport
from rserpool.errors import NoRegistrar, RSerPoolError, UnknownPool
from rserpool.session import Library, PoolElement, Session
from rserpool.wire import asap, causes
from rserpool.wire.types import SCTP, TCP, UDP
from rserpool.wire.types import Transport as Where

from .pools import (
    by_tcp,
    echo,
    registrar,
    run,
    serving,
    settings_for,
    static,
    until,
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
