"""The floor: the least a Python sender and receiver of DATA and SACK chunks over UDP can cost.

    python -m tests.bench.floor bulk|pingpong [--size N] [--seconds S] [--cores same|split] [--mtu N]

NOT a protocol: real framing and CRC32c, packets in batches (UDP_SEGMENT, UDP_GRO where the kernel has them), one
record per chunk until it is acknowledged, one SACK for every second packet; no loss recovery, timers or states. A
bound for what this language can do, not evidence that a stack can reach it.
"""

from __future__ import annotations

import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Any

from google_crc32c import value as crc32c

from .twins import Client, Result, Server, cpu, now, options, pair, profiled, show

COMMON = struct.Struct(">HHII")
DATA = struct.Struct(">BBHIHHI")
SACK = struct.Struct(">BBHIIHH")
CRC = struct.Struct("<I")
UDP_SEGMENT, UDP_GRO, SO_RCVBUFFORCE = 103, 104, 33
HEAD = COMMON.pack(5000, 5000, 0x12345678, 0)
ENDING = b"the end"
WINDOW = 1 << 20


def bound() -> socket.socket:
    """Return a UDP socket on loopback with a timeout and a large buffer."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 0))
    for option, size in ((socket.SO_RCVBUF, 1 << 21), (SO_RCVBUFFORCE, 16 << 20)):
        try:
            s.setsockopt(socket.SOL_SOCKET, option, size)
        except PermissionError:
            pass
    s.settimeout(5.0)
    return s


def offload(s: socket.socket, option: int, value: int) -> bool:
    """Switch a UDP offload on if there is one."""
    try:
        s.setsockopt(socket.IPPROTO_UDP, option, value)
    except OSError:
        return False
    return True


def sealed(packet: bytes) -> bytes:
    """Put the checksum into a packet."""
    return packet[:8] + CRC.pack(crc32c(packet)) + packet[12:]


def genuine(packet: bytes) -> bool:
    """Whether the checksum is right."""
    return crc32c(packet[:8] + b"\0\0\0\0" + packet[12:]) == CRC.unpack_from(packet, 8)[0]


def serve_bulk(ready: Callable[[Any], None], message_size: int) -> Result:
    """Receive until the end mark."""
    s = bound()
    ready(s.getsockname()[1])
    gro = offload(s, UDP_GRO, 1)
    data, messages, volume, parts = DATA.unpack_from, 0, 0, []
    expected, pending = 1, 0
    begin = end = processor = 0.0
    buffer = bytearray(70000)
    view = memoryview(buffer)
    while True:
        length, ancillary, _, source = s.recvmsg_into([view], 32)
        if buffer.startswith(ENDING):
            break
        if not begin:
            begin, processor = now(), cpu()
        step = struct.unpack("i", ancillary[0][2][:4])[0] if gro and ancillary else length
        for start in range(0, length, step):
            packet = bytes(view[start : min(start + step, length)])
            if not genuine(packet):
                continue
            at = 12
            while at < len(packet):
                _, flags, size, tsn, _, _, _ = data(packet, at)
                if tsn == expected:
                    expected = expected + 1 & 0xFFFFFFFF
                    parts.append(packet[at + 16 : at + size])
                    if flags & 1:
                        volume += len(b"".join(parts))  # the copy that a user pays
                        messages += 1
                        parts = []
                at += size + 3 & ~3
            pending += 1
            if pending == 2:
                pending = 0
                sack = SACK.pack(3, 0, 16, expected - 1 & 0xFFFFFFFF, WINDOW, 0, 0)
                s.sendto(sealed(HEAD + sack), source)
        end = now()
    seconds = max(end - begin, 1e-9)
    return {
        "rx_MB_s": messages * message_size / 1e6 / seconds,  # without the padding of last pieces
        "rx_msg_s": messages / seconds,
        "rx_cpu": (cpu() - processor) / seconds,
    }


def bulk(port: int, size: int, seconds: float, mtu: int) -> Result:
    """Keep a window full of records."""
    s = bound()
    s.connect(("127.0.0.1", port))
    room = min(mtu, 65535) - 28 - 12 & ~3
    message = bytes(size)
    chunk = min(size, room - 16)
    pieces = [message[i : i + chunk] for i in range(0, size, chunk)]
    per_packet = max(1, room // (16 + (chunk + 3 & ~3)))
    full = 12 + per_packet * (16 + (chunk + 3 & ~3))
    packets = max(1, min(64, 65000 // full))
    gso = packets > 1 and offload(s, UDP_SEGMENT, full)
    flight: deque[tuple[int, bytes, float]] = deque()
    tsn, ssn, unacknowledged, piece, pack = 1, 0, 0, 0, DATA.pack
    last = len(pieces) - 1
    processor, begin = cpu(), now()
    while now() - begin < seconds:
        while unacknowledged < WINDOW:
            time = now()
            batch = []
            for _ in range(packets if gso else 1):
                chunks = [HEAD]
                for _ in range(per_packet):
                    user = pieces[piece]
                    flags = (piece == 0) << 1 | (piece == last)
                    # The last piece of a message is padded to the others' size: packets of one batch are equal.
                    user = user.ljust(chunk, b"\0")
                    encoded = pack(0, flags, 16 + chunk, tsn, 0, ssn, 0) + user + bytes(-chunk % 4)
                    flight.append((tsn, encoded, time))
                    chunks.append(encoded)
                    unacknowledged += chunk
                    tsn = tsn + 1 & 0xFFFFFFFF
                    piece += 1
                    if piece > last:
                        piece, ssn = 0, ssn + 1 & 0xFFFF
                batch.append(sealed(b"".join(chunks)))
            s.send(b"".join(batch))
        packet = s.recv(2048)
        if genuine(packet):
            cumulative = SACK.unpack_from(packet, 12)[3]
            while flight and cumulative - flight[0][0] & 0xFFFFFFFF < 1 << 31:
                flight.popleft()
                unacknowledged -= chunk
    spent = now() - begin
    if gso:
        offload(s, UDP_SEGMENT, 0)
    s.send(ENDING)
    return {"tx_cpu": (cpu() - processor) / spent}


def trip(s: socket.socket, tsn: int, peer: int, message: bytes) -> None:
    """Send SACK and DATA in one packet."""
    sack = SACK.pack(3, 0, 16, peer, WINDOW, 0, 0)
    data = DATA.pack(0, 3, 16 + len(message), tsn, 0, tsn & 0xFFFF, 0)
    s.send(sealed(b"".join((HEAD, sack, data, message, bytes(-len(message) % 4)))))


def serve_pingpong(ready: Callable[[Any], None]) -> Result:
    """Echo until the end mark."""
    s = bound()
    ready(s.getsockname()[1])
    tsn = 0
    while True:
        try:
            packet, source = s.recvfrom(70000)
        except ConnectionRefusedError:  # the last echo found the client gone; that comes before the end mark
            return {}
        if packet == ENDING:
            return {}
        if not tsn:
            s.connect(source)
        if genuine(packet):
            _, _, size, peer, _, _, _ = DATA.unpack_from(packet, 28)
            tsn += 1
            try:
                trip(s, tsn, peer, packet[44 : 28 + size])
            except ConnectionRefusedError:
                return {}


def pingpong(port: int, size: int, seconds: float) -> Result:
    """Send one message, await its echo."""
    s = bound()
    s.connect(("127.0.0.1", port))
    message, trips, peer = bytes(size), 0, 0
    processor, begin = cpu(), now()
    trip(s, 1, 0, message)
    while now() - begin < seconds:
        packet = s.recv(70000)
        if genuine(packet):
            peer = DATA.unpack_from(packet, 28)[3]
            trips += 1
            trip(s, trips + 1, peer, message)
    spent = now() - begin
    s.send(ENDING)
    return {"trips_s": trips / spent, "us": spent * 1e6 / max(1, trips), "tx_cpu": (cpu() - processor) / spent}


def main() -> None:
    o = options(("bulk", "pingpong"))
    tests: dict[str, tuple[Server, Client]] = {
        "bulk": (lambda r: serve_bulk(r, o.size), lambda port: bulk(port, o.size, o.seconds, o.mtu)),
        "pingpong": (serve_pingpong, lambda port: pingpong(port, o.size, o.seconds)),
    }
    server, client = tests[o.test]
    show(pair(o.cores, server, profiled(o.profile, client), o.seconds + 20))


if __name__ == "__main__":
    main()
