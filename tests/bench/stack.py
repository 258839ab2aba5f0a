"""Our stack at the level of ``pysctplib.driver.Stack``: bulk, round trips, set-ups, memory; two processes.

    python -m tests.bench.stack bulk|pingpong|setup|memory [--size N] [--seconds S] [--cores same|split]

Defaults of the stack but for SCTP_NODELAY, which every contender sets. The server ends when an association ends
gracefully.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

from pysctplib.core import events
from pysctplib.core.config import Config
from pysctplib.driver import Stack, StackConfig

from ..stackloop import Loop, established
from .twins import Result, cpu, now, options, pair, profiled, rss, show

LOOPBACK = "127.0.0.1"


def echo(ready: Callable[[Any], None]) -> Result:
    """Send all messages back until an association ends gracefully."""
    stack = Stack(StackConfig(udp_port=0))
    loop = Loop(stack)
    endpoint = stack.open_endpoint(0, (LOOPBACK,), Config(nodelay=True))
    endpoint.listen(True)
    ready((endpoint.port, stack.udp_port))
    running = True
    while running:
        for event in loop.turn():
            if type(event) is events.Message:
                clock = stack.now()
                event.association.consumed(len(event.data), clock)
                event.association.send(event.data, event.stream, clock)
            elif isinstance(event, events.ShutdownComplete):
                running = False
    loop.turn(0.0)
    loop.close()
    return {}


def serve(ready: Callable[[Any], None]) -> Result:
    """Take in all messages until an association ends gracefully."""
    stack = Stack(StackConfig(udp_port=0))
    loop = Loop(stack)
    endpoint = stack.open_endpoint(0, (LOOPBACK,), Config(nodelay=True))
    endpoint.listen(True)
    before = rss()
    ready((endpoint.port, stack.udp_port))
    messages = volume = associations = 0
    begin = end = processor = 0.0
    peak = before
    running = True
    while running:
        for event in loop.turn():
            if type(event) is events.Message:
                if not begin:
                    begin, processor = now(), cpu()
                size = len(event.data)
                volume += size
                messages += event.eor
                clock = stack.now()
                event.association.consumed(size, clock)
                end = now()
            elif isinstance(event, events.CommunicationUp):
                associations += 1
            elif isinstance(event, events.PeerShutdown):
                gc.collect()
                peak = max(peak, rss())
            elif isinstance(event, events.ShutdownComplete):
                running = False
    loop.turn(0.0)
    seconds = max(end - begin, 1e-9)
    loop.close()
    return {
        "rx_MB_s": volume / 1e6 / seconds,
        "rx_msg_s": messages / seconds,
        "rx_cpu": (cpu() - processor) / seconds if begin else 0.0,
        "rx_bytes_per_association": (peak - before) / max(1, associations),
    }


class Client:
    """The client's stack and its endpoint."""

    def __init__(self, where: tuple[int, int]) -> None:
        self.port, self.udp = where
        self.stack = Stack(StackConfig(udp_port=0))
        self.loop = Loop(self.stack)
        self.endpoint = self.stack.open_endpoint(0, (LOOPBACK,), Config(nodelay=True))

    def connect(self, own_port: bool = False) -> Any:
        """Set up one association and wait for it; with ``own_port`` from an SCTP port of its own."""
        endpoint = self.stack.open_endpoint(0, (LOOPBACK,), Config()) if own_port else self.endpoint
        association = endpoint.connect((LOOPBACK,), self.port, self.stack.now(), udp_port=self.udp)
        established(self.loop, association)
        return association

    def shutdown(self, association: Any) -> None:
        """End the association gracefully, everything sent, and close the stack."""
        association.shutdown(self.stack.now())
        ends: list[Any] = []
        kinds = events.ShutdownComplete | events.CommunicationLost
        self.loop.until(lambda e: ends.append(e) if isinstance(e, kinds) else None, lambda: bool(ends), 30)
        self.loop.close()


def bulk(where: tuple[int, int], size: int, seconds: float) -> Result:
    """Send as fast as the buffer allows."""
    client = Client(where)
    association = client.connect()
    message = bytes(size)
    stack, turn, send = client.stack, client.loop.turn, association.send
    limit = association.config.send_buffer - size
    processor, begin = cpu(), now()
    while now() - begin < seconds:
        clock = stack.now()
        while association.buffered <= limit:
            send(message, 0, clock)
        turn()
    spent = now() - begin
    result = {"tx_cpu": (cpu() - processor) / spent}
    client.shutdown(association)
    return result


def pingpong(where: tuple[int, int], size: int, seconds: float) -> Result:
    """Send one message, await its echo."""
    client = Client(where)
    association = client.connect()
    message = bytes(size)
    stack, turn, send = client.stack, client.loop.turn, association.send
    trips = 0
    processor, begin = cpu(), now()
    send(message, 0, stack.now())
    while now() - begin < seconds:
        for event in turn():
            if type(event) is events.Message:
                trips += 1
                clock = stack.now()
                association.consumed(len(event.data), clock)
                send(message, 0, clock)
    spent = now() - begin
    result = {"trips_s": trips / spent, "us": spent * 1e6 / max(1, trips), "tx_cpu": (cpu() - processor) / spent}
    client.shutdown(association)
    return result


def setup(where: tuple[int, int], seconds: float) -> Result:
    """Set up one association after the other, each ended by ABORT."""
    client = Client(where)
    count = 0
    processor, begin = cpu(), now()
    while now() - begin < seconds:
        client.connect().abort(client.stack.now())
        count += 1
    spent = now() - begin
    result = {"setups_s": count / spent, "tx_cpu": (cpu() - processor) / spent}
    client.shutdown(client.connect())
    return result


def memory(where: tuple[int, int], count: int) -> Result:
    """Hold many idle associations."""
    client = Client(where)
    last = client.connect()
    gc.collect()
    before = rss()
    kept = [client.connect(own_port=True) for _ in range(count)]
    gc.collect()
    result = {"tx_bytes_per_association": (rss() - before) / len(kept)}
    client.shutdown(last)
    return result


def main() -> None:
    o = options(("bulk", "pingpong", "setup", "memory"))
    client = {
        "bulk": lambda where: bulk(where, o.size, o.seconds),
        "pingpong": lambda where: pingpong(where, o.size, o.seconds),
        "setup": lambda where: setup(where, o.seconds),
        "memory": lambda where: memory(where, o.count),
    }[o.test]
    server = echo if o.test == "pingpong" else serve
    show(pair(o.cores, server, profiled(o.profile, client), o.seconds + 60))


if __name__ == "__main__":
    main()
