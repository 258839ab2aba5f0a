"""What the tests of the asyncio interface share: event loops, an echo server, connections, endpoints."""

import asyncio
from collections.abc import Callable

from pysocketapi import aio
from pysocketapi.aio import Message
from pysocketapi.notifications import AssocChange

from .support import AIO_TRANSPORT as TRANSPORT
from .support import HOSTS, options

HOST = HOSTS[2]


def _loops() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    loops: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
    try:
        import uvloop
    except ImportError:
        return loops
    return {**loops, "uvloop": uvloop.new_event_loop}


LOOPS = _loops()


async def echo(connection: aio.SctpConnection) -> None:
    async for message in connection:
        await connection.send(message.data, stream=message.stream, ppid=message.ppid, unordered=message.unordered)
    connection.close()


async def serve(handler=echo, host=HOST, **how):
    return await aio.start_server(handler, host, transport=TRANSPORT, **how)


async def connect(port, host=HOST, **values):
    return await aio.open_connection(host, port, transport=TRANSPORT, options=options(**values), timeout=20)


async def endpoint(host=HOST, **values):
    return await aio.open_endpoint(host, transport=TRANSPORT, options=options(**values))


async def data_of(one_to_many: aio.SctpEndpoint) -> Message:
    while not isinstance(item := await one_to_many.recv(), Message):
        pass
    return item


async def change_of(one_to_many: aio.SctpEndpoint, state: int) -> AssocChange:
    while True:
        item = await one_to_many.recv()
        if isinstance(item, AssocChange) and item.state == state:
            return item
