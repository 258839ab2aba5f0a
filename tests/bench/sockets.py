"""Our sockets, blocking, over userland SCTP: what a program sees that uses ``pysocketapi.SctpSocket``.

    python -m tests.bench.sockets bulk|pingpong|setup|memory [--size N] [--seconds S] [--cores same|split]

The server ends when an association ends gracefully.
"""

from __future__ import annotations

import gc
import socket
from collections.abc import Callable
from typing import Any

from pysocketapi import SctpSocket, Transport
from pysocketapi import constants as c

from .twins import Result, cpu, now, options, pair, profiled, rss, show

LOOPBACK = "127.0.0.1"
LARGEST = 1 << 20


def free_udp_port() -> int:
    """Return a UDP port that was free a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((LOOPBACK, 0))
        port: int = s.getsockname()[1]
        return port


def new_socket(udp_port: int) -> SctpSocket:
    """Return a one-to-one socket with a private UDP port."""
    return SctpSocket(socket.AF_INET, socket.SOCK_STREAM, transport=Transport("userland", udp_port=udp_port))


def serve(ready: Callable[[Any], None], test: str, size: int) -> Result:
    """Take in, send back, or only accept, until an association ends gracefully."""
    udp = free_udp_port()
    with new_socket(udp) as listener:
        listener.bind((LOOPBACK, 0))
        listener.listen(128)
        before = rss()
        ready((listener.getsockname()[1], udp))
        if test == "memory":
            first, _ = listener.accept()
            first.recv(LARGEST)
            kept = [first]
            while first.recv(LARGEST):  # one message for each association of the others
                kept.append(listener.accept()[0])
            gc.collect()
            return {"rx_bytes_per_association": (rss() - before) / len(kept)}
        if test == "setup":
            graceful = False
            while not graceful:
                s, _ = listener.accept()
                with s:
                    try:
                        graceful = s.recv(LARGEST) == b""
                    except ConnectionResetError:
                        graceful = False
            return {}
        s, _ = listener.accept()
        with s:
            if test != "pingpong":
                return sink(s, size)
            at_once(s)
            return echo(s)


def at_once(s: SctpSocket) -> None:
    """Send what there is at once. Bulk senders let small messages share packets, as is the default."""
    s.setsockopt(c.IPPROTO_SCTP, c.SCTP_NODELAY, 1)


def echo(s: SctpSocket) -> Result:
    """Send every message back."""
    while message := s.recv(LARGEST):
        s.send(message)
    return {}


def sink(s: SctpSocket, size: int) -> Result:
    """Count what comes."""
    volume = 0
    message = s.recv(LARGEST)
    processor, begin = cpu(), now()
    while message:
        volume += len(message)
        end = now()
        message = s.recv(LARGEST)
    seconds = max(end - begin, 1e-9)
    rates = {"rx_MB_s": volume / 1e6 / seconds, "rx_msg_s": volume / size / seconds}
    return {**rates, "rx_cpu": (cpu() - processor) / seconds}


def dial(where: tuple[int, int], own_udp: int) -> SctpSocket:
    """Return a connected socket."""
    s = new_socket(own_udp)
    s.connectx([(LOOPBACK, where[0])], udp_port=where[1])
    return s


def end(s: SctpSocket) -> None:
    """End the association gracefully and wait until it is gone."""
    s.shutdown(socket.SHUT_WR)
    while s.recv(LARGEST):
        pass
    s.close()


def bulk(where: tuple[int, int], size: int, seconds: float) -> Result:
    """Send as fast as send() lets us."""
    s = dial(where, free_udp_port())
    message, send = bytes(size), s.send
    processor, begin = cpu(), now()
    while now() - begin < seconds:
        for _ in range(16):
            send(message)
    spent = now() - begin
    result = {"tx_cpu": (cpu() - processor) / spent}
    end(s)
    return result


def pingpong(where: tuple[int, int], size: int, seconds: float) -> Result:
    """Send one message, await its echo."""
    s = dial(where, free_udp_port())
    at_once(s)
    message, send, receive, trips = bytes(size), s.send, s.recv, 0
    processor, begin = cpu(), now()
    while now() - begin < seconds:
        send(message)
        receive(LARGEST)
        trips += 1
    spent = now() - begin
    result = {"trips_s": trips / spent, "us": spent * 1e6 / max(1, trips), "tx_cpu": (cpu() - processor) / spent}
    end(s)
    return result


def setup(where: tuple[int, int], seconds: float) -> Result:
    """Connect and abort, one after the other."""
    udp, count = free_udp_port(), 0
    processor, begin = cpu(), now()
    while now() - begin < seconds:
        s = dial(where, udp)
        s.abort()
        s.close()
        count += 1
    spent = now() - begin
    result = {"setups_s": count / spent, "tx_cpu": (cpu() - processor) / spent}
    end(dial(where, udp))
    return result


def memory(where: tuple[int, int], count: int) -> Result:
    """Hold many idle associations, each with a socket of its own."""
    udp = free_udp_port()
    first = dial(where, udp)
    first.send(b"first")
    gc.collect()
    before, kept = rss(), []
    for _ in range(count):
        kept.append(dial(where, udp))
        first.send(b"next")
    gc.collect()
    result = {"tx_bytes_per_association": (rss() - before) / len(kept)}
    end(first)
    return result


def main() -> None:
    o = options(("bulk", "pingpong", "setup", "memory"))
    client = {
        "bulk": lambda where: bulk(where, o.size, o.seconds),
        "pingpong": lambda where: pingpong(where, o.size, o.seconds),
        "setup": lambda where: setup(where, o.seconds),
        "memory": lambda where: memory(where, o.count),
    }[o.test]
    show(pair(o.cores, lambda r: serve(r, o.test, o.size), profiled(o.profile, client), o.seconds + 60))


if __name__ == "__main__":
    main()
