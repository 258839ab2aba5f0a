"""The asyncio interface: one-to-many endpoints (docs/design.md section 4)."""

import asyncio
import errno
import gc

import pytest

from pysocketapi import aio
from pysocketapi import constants as c
from pysocketapi.notifications import AssocChange, SendFailedEvent

from .aio_support import HOST, TRANSPORT, change_of, data_of, endpoint, serve
from .support import options


def test_an_endpoint_that_is_dropped_is_closed(run):
    async def case():
        dropped, other = await endpoint(), await endpoint()
        assoc_id = await other.connect(HOST, dropped.port, timeout=20)
        with pytest.warns(ResourceWarning, match="unclosed SCTP endpoint"):
            del dropped
            gc.collect()
        while not isinstance(note := await other.recv(), AssocChange) or note.state != c.SCTP_SHUTDOWN_COMP:
            pass
        assert note.assoc_id == assoc_id
        await other.close()

    run(case())


def test_endpoint_connects_sends_and_answers(run):
    async def case():
        async with await endpoint() as left, await endpoint() as right:
            assoc_id = await left.connect(HOST, right.port, timeout=20)
            await left.send(b"hello", assoc_id, stream=2, ppid=7)
            message = await data_of(right)
            assert (message.data, message.stream, message.ppid) == (b"hello", 2, 7)
            await right.send(b"answer", message.assoc_id)
            answer = await data_of(left)
            assert answer.data == b"answer" and answer.assoc_id == assoc_id
            assert left.associations == [assoc_id]
            assert left.peer_port(assoc_id) == right.port
            assert HOST in left.peer_addresses(assoc_id) and left.local_addresses(assoc_id)
            assert left.status(assoc_id).state == c.SCTP_ESTABLISHED

    run(case())


def test_endpoint_sets_up_by_sending(run):
    async def case():
        async with await endpoint() as left, await endpoint() as right:
            first = await left.send(b"one", (HOST, right.port))
            assert await left.send(b"two", ([HOST], right.port)) == first
            assert (await data_of(right)).data == b"one"
            assert (await data_of(right)).data == b"two"

    run(case())


def test_endpoint_is_told_of_associations(run):
    async def case():
        async with await endpoint() as left, await endpoint() as right:
            assoc_id = await left.connect(HOST, right.port, timeout=20)
            up = await change_of(right, c.SCTP_COMM_UP)
            assert up.outbound_streams > 0 and up.inbound_streams > 0
            left.shutdown(assoc_id)
            assert (await change_of(right, c.SCTP_SHUTDOWN_COMP)).assoc_id == up.assoc_id
            assert (await change_of(left, c.SCTP_SHUTDOWN_COMP)).assoc_id == assoc_id

    run(case())


def test_endpoint_abort_with_reason(run):
    async def case():
        async with await endpoint() as left, await endpoint() as right:
            assoc_id = await left.connect(HOST, right.port, timeout=20)
            left.abort(assoc_id, b"that is why")
            lost = await change_of(right, c.SCTP_COMM_LOST)
            assert lost.error == 12 and b"that is why" in lost.info

    run(case())


def test_endpoint_connection_refused(run):
    async def case():
        async with await endpoint() as left:
            async with await endpoint() as gone:
                port = gone.port
            with pytest.raises(ConnectionRefusedError):
                await left.connect(HOST, port, timeout=20)

    run(case())


def test_endpoint_that_does_not_listen_refuses(run):
    async def case():
        silent = await aio.open_endpoint(HOST, transport=TRANSPORT, listen=False, options=options())
        async with silent, await endpoint() as left:
            with pytest.raises(ConnectionRefusedError):
                await left.connect(HOST, silent.port, timeout=20)

    run(case())


def test_connecting_while_another_task_receives(run):
    async def case():
        async with await endpoint() as left, await endpoint() as right:
            receiver = asyncio.create_task(data_of(left))
            await asyncio.sleep(0)
            assoc_id = await left.connect(HOST, right.port, timeout=20)
            up = await change_of(right, c.SCTP_COMM_UP)
            await right.send(b"found you", up.assoc_id)
            message = await receiver
            assert message.data == b"found you" and message.assoc_id == assoc_id

    run(case())


def test_peeloff(run):
    async def case():
        async with await endpoint() as left, await endpoint() as right:
            assoc_id = await left.connect(HOST, right.port, timeout=20)
            await left.send(b"first", assoc_id)
            message = await data_of(right)
            connection = right.peeloff(message.assoc_id)
            await left.send(b"second", assoc_id)
            assert (await connection.recv()).data == b"second"
            await connection.send(b"third")
            assert (await data_of(left)).data == b"third"
            assert right.associations == []
            connection.close()
            await connection.wait_closed()

    run(case())


@pytest.mark.feature("own-send-buffers")
def test_a_slow_peer_does_not_hold_up_the_others(run):
    async def case():
        async with await endpoint() as hub:

            async def idle(connection):
                await asyncio.Event().wait()

            slow_server = await serve(idle)
            async with await serve() as quick_server:
                slow = await hub.connect(HOST, slow_server.port, timeout=20)
                quick = await hub.connect(HOST, quick_server.port, timeout=20)
                for _ in range(100_000):
                    if not hub.send_nowait(bytes(10_000), slow):
                        break
                stuck = asyncio.create_task(hub.send(bytes(10_000), slow))
                await asyncio.sleep(0)
                await hub.send(b"quick", quick)
                assert (await data_of(hub)).data == b"quick"
                stuck.cancel()
                hub.abort(slow)
                hub.abort(quick)
                slow_server.close()

    run(case())


def test_a_closed_endpoint_says_so(run):
    async def case():
        ep = await endpoint()
        task = asyncio.create_task(ep.recv())
        await asyncio.sleep(0)
        await ep.close()
        with pytest.raises(OSError) as caught:
            await task
        assert caught.value.errno == errno.EBADF
        await ep.close()

    run(case())


def test_undelivered_messages_come_back(run):
    async def case():
        async with await endpoint() as left, await endpoint() as right:
            assoc_id = await left.connect(HOST, right.port, timeout=20)
            while left.send_nowait(bytes(30_000), assoc_id, stream=1, ppid=5):
                pass
            left.abort(assoc_id)
            while not isinstance(item := await left.recv(), SendFailedEvent):
                pass
            assert item.info.sid == 1 and item.info.ppid == 5 and item.data.strip(b"\0") == b""

    run(case())
