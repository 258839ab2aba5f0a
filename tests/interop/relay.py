"""A bad wire on loopback: a UDP relay between one client and one server that drops packets from a seed.

    python -m tests.interop.relay --server UDP-PORT [--loss 0.05] [--seed 1]

SHUTDOWN COMPLETE is never dropped: who has sent it is gone, so nobody would answer the next SHUTDOWN ACK (RFC 9260
section 8.4 rule 5), and the other end would go on for minutes.

Prints ``port N``: where the client sends to. The server sees the relay's second port and answers to it. Ends on
SIGTERM with the counts ``forwarded F dropped D``. One process, so that neither end pays for it.
"""

from __future__ import annotations

import argparse
import random
import selectors
import signal
import socket
import sys

from pysctplib.wire.chunks import SHUTDOWN_COMPLETE

LOOPBACK = "127.0.0.1"


def bound() -> socket.socket:
    """Return a non-blocking UDP socket on loopback whose buffer does not add losses of its own."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for option in socket.SO_RCVBUF, socket.SO_SNDBUF:
        s.setsockopt(socket.SOL_SOCKET, option, 4 << 20)
    s.bind((LOOPBACK, 0))
    s.setblocking(False)
    return s


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", type=int, required=True)
    parser.add_argument("--loss", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    rng = random.Random(options.seed)
    front, back = bound(), bound()
    targets = {front: None, back: (LOOPBACK, options.server)}
    counts = [0, 0]

    def stop(*_: object) -> None:
        print(f"forwarded {counts[0]} dropped {counts[1]}", flush=True)
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    selector = selectors.DefaultSelector()
    selector.register(front, selectors.EVENT_READ, back)
    selector.register(back, selectors.EVENT_READ, front)
    print(f"port {front.getsockname()[1]}", flush=True)
    while True:
        for key, _ in selector.select():
            incoming, outgoing = key.fileobj, key.data
            for _ in range(64):
                try:
                    data, source = incoming.recvfrom(65535)
                except BlockingIOError:
                    break
                except ConnectionRefusedError:
                    continue
                if incoming is front:
                    targets[front] = source
                lost = rng.random() < options.loss and data[12:13] != bytes([SHUTDOWN_COMPLETE])
                target = targets[outgoing]
                counts[lost] += 1
                if lost or target is None:
                    continue
                try:
                    outgoing.sendto(data, target)
                except (BlockingIOError, ConnectionRefusedError):
                    pass


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
