"""When a message leaves that is sent in an event loop: the first at once, more with it share packets."""

import asyncio
import contextlib

from pysocketapi import Transport
from pysocketapi import constants as c
from pysocketapi.aio import Message, open_endpoint
from pysocketapi.backends.pumps import pump_for

MANY = 40
TRANSPORT = Transport("userland", udp_port=0)


async def message(endpoint):
    while not isinstance(item := await endpoint.recv(), Message):
        pass
    return item


@contextlib.asynccontextmanager
async def asked():
    """Give a server with SCTP_NODELAY that was sent a message, its client, and the association at the server."""
    async with await open_endpoint("127.0.0.1", 0, transport=TRANSPORT) as server:
        server.setopt(c.SCTP_NODELAY, 1)
        async with await open_endpoint("127.0.0.1", 0, transport=TRANSPORT) as client:
            port, udp_port = server.port, server.udp_port
            association = await client.connect("127.0.0.1", port, remote_udp_port=udp_port, timeout=10)
            await client.send(b"go", association)
            peer = (await message(server)).assoc_id
            yield server, client, peer


async def conversation():
    """Send MANY answers in one turn of the loop, with SCTP_NODELAY; return how many packets, and the answers."""
    async with asked() as (server, client, peer):
        counters = pump_for(TRANSPORT, asyncio.get_running_loop()).stack.engine.counters
        assert server.send_nowait(b"at once", peer)
        before = counters.out_packets
        for number in range(MANY):
            assert server.send_nowait(b"%d" % number, peer)
        assert (await message(client)).data == b"at once"
        answers = [(await message(client)).data for _ in range(MANY)]
        return counters.out_packets - before, answers


def test_answers_of_one_turn_share_packets_even_with_nodelay():
    packets, answers = asyncio.run(conversation())
    assert answers == [b"%d" % number for number in range(MANY)]
    assert packets <= MANY // 4


async def farewell():
    """Send in one turn of the loop, then abort; return what arrived."""
    async with asked() as (server, client, peer):
        for data in (b"cookie", b"answer"):
            assert server.send_nowait(data, peer)
        server.abort(peer, b"test")
        return [(await asyncio.wait_for(message(client), 5)).data for _ in range(2)]


def test_what_was_sent_before_an_abort_has_left():
    """Messages that gathered until the end of the turn were thrown away by an abort in it."""
    assert asyncio.run(farewell()) == [b"cookie", b"answer"]
