"""aiortc's SCTP as a contender: its transport without DTLS, over UDP on uvloop (asyncio where that is missing).

    python -m tests.bench.aiortc_peer bulk|pingpong [--size N] [--seconds S] [--cores same|split]

Its coroutines do not suspend while the lower layer does not, so each is run to its end at once.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

from aiortc.rtcsctptransport import RTCSctpCapabilities, RTCSctpTransport

from .twins import Result, cpu, now, options, pair, profiled, show

CAPABILITIES = RTCSctpCapabilities(maxMessageSize=1 << 20)
LOW_WATER = 64 * 1024
ENDING = b"the end"


def complete(coroutine: Coroutine[Any, Any, Any]) -> None:
    """Run a coroutine that never suspends."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise RuntimeError("the coroutine suspended")


async def nothing(*_: object) -> None:
    """Stand in for the server's own INIT."""


class Lower:
    """Stands where aiortc expects its DTLS transport."""

    state = "connected"

    def __init__(self, role: str, send: Callable[[bytes], None]) -> None:
        self._role = role
        self.role = "controlling" if role == "client" else "controlled"
        self.transport = self
        self.send = send

    async def _send_data(self, data: bytes) -> None:
        self.send(data)

    def _register_data_receiver(self, receiver: Any) -> None:
        pass

    _unregister_data_receiver = _register_data_receiver


class Wire(asyncio.DatagramProtocol):
    """One association over one connected UDP socket."""

    def __init__(self, role: str, on_message: Callable[[bytes], None]) -> None:
        self.role, self.on_message = role, on_message
        self.after: Callable[[], None] = lambda: None
        self.ended = asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        self.datagrams = transport
        self.sctp = sctp = RTCSctpTransport(Lower(self.role, transport.sendto), 5000)
        if self.role == "server":
            sctp._init = nothing

        async def receive(stream: int, ppid: int, data: bytes) -> None:
            self.on_message(data)

        sctp._receive = receive
        complete(sctp.start(CAPABILITIES, 5000))

    def datagram_received(self, data: bytes, address: Any) -> None:
        if data == ENDING:
            self.ended.set()
            return
        complete(self.sctp._handle_data(data))
        self.after()

    def send(self, message: bytes) -> None:
        complete(self.sctp._send(0, 51, message))

    def backlog(self) -> int:
        queue = self.sctp._outbound_queue
        return sum(len(c.user_data) for c in queue) if len(queue) < 8 else 1200 * len(queue)

    def up(self) -> bool:
        return bool(self.sctp._association_state == RTCSctpTransport.State.ESTABLISHED)


def run(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run on uvloop, or on asyncio."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(coroutine)
    return uvloop.run(coroutine)


async def wire(s: socket.socket, role: str, on_message: Callable[[bytes], None]) -> Wire:
    """Open the association's end on a socket."""
    loop = asyncio.get_running_loop()
    _, protocol = await loop.create_datagram_endpoint(lambda: Wire(role, on_message), sock=s)
    return protocol


async def serve(s: socket.socket, echo: bool) -> Result:
    """Take in, or send back, all messages until the end mark."""
    messages = volume = 0
    begin = end = processor = 0.0

    def take(message: bytes) -> None:
        nonlocal messages, volume, begin, end, processor
        if echo:
            w.send(message)
            return
        if not begin:
            begin, processor = now(), cpu()
        messages += 1
        volume += len(message)
        end = now()

    w = await wire(s, "server", take)
    await w.ended.wait()
    seconds = max(end - begin, 1e-9)
    rates = {"rx_MB_s": volume / 1e6 / seconds, "rx_msg_s": messages / seconds}
    return {**rates, "rx_cpu": (cpu() - processor) / seconds} if begin else {}


async def client(s: socket.socket, test: str, size: int, seconds: float) -> Result:
    """Send for so many seconds."""
    message, trips, busy = bytes(size), 0, True

    def pong(_: bytes) -> None:
        nonlocal trips
        trips += 1
        if busy:
            w.send(message)

    def fill() -> None:
        while busy and w.backlog() < LOW_WATER:
            w.send(message)

    w = await wire(s, "client", pong)
    while not w.up():
        await asyncio.sleep(0.005)
    processor, begin = cpu(), now()
    if test == "bulk":
        w.after = fill
        fill()
    else:
        w.send(message)
    await asyncio.sleep(seconds)
    spent, busy = now() - begin, False
    result = {"tx_cpu": (cpu() - processor) / spent}
    if test == "pingpong":
        result.update({"trips_s": trips / spent, "us": spent * 1e6 / max(1, trips)})
    else:
        await asyncio.sleep(0.2)
    w.datagrams.sendto(ENDING)
    await asyncio.sleep(0.05)
    return result


def main() -> None:
    o = options(("bulk", "pingpong"))
    a, b = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    for s in (a, b):
        s.bind(("127.0.0.1", 0))
        s.setblocking(False)
    a.connect(b.getsockname())
    b.connect(a.getsockname())

    def server(ready: Callable[[Any], None]) -> Result:
        ready(0)
        return run(serve(b, o.test == "pingpong"))

    show(pair(o.cores, server, profiled(o.profile, lambda _: run(client(a, o.test, o.size, o.seconds))), 60))


if __name__ == "__main__":
    main()
