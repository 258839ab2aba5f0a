"""Registrars, pool elements and pool users in one process, over SCTP in UDP on this host: what their tests share.

Real time and real sockets: everything waits for conditions, with deadlines.
"""

import asyncio
import socket
from contextlib import asynccontextmanager

from pysocketapi import constants as c
from pysocketapi.aio import Message, open_endpoint
from pysocketapi.notifications import AssocChange
from rserpool.registrar.config import RegistrarConfig
from rserpool.registrar.shell import open_registrar
from rserpool.session import PoolElement
from rserpool.settings import Settings, StaticRegistrar
from rserpool.wire import asap

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


def free_udp_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


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


def by_tcp(transport, shell, **more):
    return Settings(
        [StaticRegistrar(("127.0.0.1",), shell.tcp.port, tcp=True)], announce=None, transport=transport, **more
    )
