"""The sans-IO engine driven by anyio, and so by asyncio or trio: an echo server and a client in one program.

    python docs/examples/anyio_engine.py [asyncio|trio]

`pysctplib.core.engine.Engine` knows no sockets, clocks or tasks. A driver is therefore short: ``Driver`` moves
packets between the engine and one UDP socket (RFC 6951), keeps its deadline, and hands its events on.
``Connection`` makes an association a thing to await. Nothing else is needed; the engine is the same that the
sockets of this project use.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import anyio
from anyio.abc import UDPSocket

from pysctplib.core import events
from pysctplib.core.association import Association
from pysctplib.core.config import Config
from pysctplib.core.engine import Engine

Connected: TypeAlias = "Callable[[Connection], Coroutine[Any, Any, None]]"

LOCAL = "127.0.0.1"
PORT = 7


class Connection:
    """An association: ``send``, ``receive`` and ``end``, safe to cancel."""

    def __init__(self, driver: Driver, association: Association) -> None:
        self.driver = driver
        self.association = association
        self.arrived: deque[events.Message] = deque()  # limited by the receive window, which ``receive`` opens
        self.over = False
        self.news = anyio.Event()

    def tell(self) -> None:
        """Have everybody who waits look again."""
        self.news.set()
        self.news = anyio.Event()

    async def send(self, data: bytes, stream: int = 0, ppid: int = 0) -> None:
        """Send a message; waits while the send buffer is full. OSError when the association has ended."""
        association = self.association
        while association.buffered >= association.config.send_buffer and not self.over:
            await self.news.wait()
        association.send(data, stream, self.driver.now(), ppid)
        self.driver.changed()

    async def receive(self) -> events.Message | None:
        """Return the next message, or None when the association has ended."""
        while not self.arrived:
            if self.over:
                return None
            await self.news.wait()
        message = self.arrived.popleft()
        self.association.consumed(len(message.data), self.driver.now())
        self.driver.changed()
        return message

    async def end(self) -> None:
        """Shut the association down and wait until it has ended."""
        self.association.shutdown(self.driver.now())
        self.driver.changed()
        while not self.over:
            await self.news.wait()


class Driver:
    """One engine at one UDP socket. ``connected`` is called with every association that comes up."""

    def __init__(self, udp: UDPSocket, connected: Connected) -> None:
        self.now = anyio.current_time
        self.udp = udp
        self.udp_port = udp.extra(anyio.abc.SocketAttribute.local_port)
        self.connected = connected
        self.engine = Engine(now=self.now())
        self.wake = anyio.Event()

    def changed(self) -> None:
        """Have the driver look at the engine: after every call that may make it say something."""
        self.wake.set()

    async def read(self) -> None:
        """Put every packet that comes into the engine."""
        async for data, (address, port) in self.udp:
            self.engine.receive(data, (address, port, ""), self.now())
            self.changed()

    async def work(self) -> None:
        """Hand on events, send what the engine has to say, and wait for its deadline or a change."""
        async with anyio.create_task_group() as handlers:
            while True:
                self.wake = anyio.Event()
                for event in self.engine.events():
                    self.handle(event, handlers)
                for data, (address, port, _) in self.engine.output(self.now()):
                    await self.udp.sendto(data, address, port)
                deadline = self.engine.deadline()
                with anyio.move_on_after(None if deadline is None else max(0.0, deadline - self.now())):
                    await self.wake.wait()
                self.engine.expire(self.now())

    def handle(self, event: events.Event, handlers: anyio.abc.TaskGroup) -> None:
        """Give an event to the connection that it belongs to."""
        connection = event.association.user
        if isinstance(event, events.CommunicationUp):
            event.association.user = connection = Connection(self, event.association)
            handlers.start_soon(self.connected, connection)
        elif isinstance(event, events.CannotStart):
            raise OSError(event.error, "the association could not be set up")
        elif isinstance(connection, Connection):
            if isinstance(event, events.Message):
                connection.arrived.append(event)
            elif isinstance(event, events.ShutdownComplete | events.CommunicationLost):
                connection.over = True
            connection.tell()


@asynccontextmanager
async def driver(connected: Connected) -> AsyncIterator[Driver]:
    """Run a driver at a UDP port of its own while the block lasts."""
    async with await anyio.create_udp_socket(local_host=LOCAL) as udp, anyio.create_task_group() as tasks:
        running = Driver(udp, connected)
        tasks.start_soon(running.read)
        tasks.start_soon(running.work)
        yield running
        tasks.cancel_scope.cancel()


async def echo(connection: Connection) -> None:
    """Send every message back."""
    while (message := await connection.receive()) is not None:
        await connection.send(message.data, message.stream, message.ppid)


async def main(count: int = 1000, size: int = 2000) -> int:
    """Let a client send messages to an echo server and compare what comes back; return how many did."""
    up = anyio.Event()
    peers: list[Connection] = []
    echoed = 0

    async def connected(connection: Connection) -> None:
        peers.append(connection)
        up.set()

    async def send(connection: Connection) -> None:
        for number in range(count):
            await connection.send(number.to_bytes(4, "big") * (size // 4), number % 10)

    async with driver(echo) as server, driver(connected) as client:
        server.engine.open(PORT, (), Config(nodelay=True)).listen(True)
        endpoint = client.engine.open(5000, (), Config(nodelay=True, send_buffer=1 << 16))
        endpoint.connect((LOCAL,), PORT, client.now(), udp_port=server.udp_port)
        client.changed()
        await up.wait()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send, peers[0])
            following = list(range(10))  # per stream: the number that comes next
            while echoed < count:
                message = await peers[0].receive()
                if message is None:
                    raise ConnectionError("the association ended early")
                number = following[message.stream]
                if message.data != number.to_bytes(4, "big") * (size // 4):
                    raise ValueError(f"message {number} came back changed")
                following[message.stream] += 10
                echoed += 1
        await peers[0].end()
    return echoed


if __name__ == "__main__":
    backend = sys.argv[1] if len(sys.argv) > 1 else "asyncio"
    print(f"{anyio.run(main, backend=backend)} messages echoed on {backend}")
