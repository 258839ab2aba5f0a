"""Reads captures for tests: pcap and pcapng; Ethernet, Linux cooked (v1, v2), BSD loopback, raw IP.

``packets`` gives UDP datagrams and SCTP packets, ``sctp_packets`` the SCTP ones with or without UDP around them
(RFC 6951), ``chunks`` splits a packet (RFC 9260 section 3.2), ``user_messages`` reassembles DATA (section 6.9).
A tool of the tests, on purpose not made of the project's own decoders: it judges them.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import NamedTuple

UDP, SCTP = 17, 132
SCTP_UDP_PORT = 9899
DATA = 0

FILE = str | PathLike[str]


class Packet(NamedTuple):
    """A UDP datagram (payload without UDP header) or an SCTP packet (payload with its common header)."""

    time: float
    ip_proto: int
    src: str
    sport: int
    dst: str
    dport: int
    payload: bytes


class SctpPacket(NamedTuple):
    """An SCTP packet; ``udp`` is (source port, destination port) of the UDP header around it, or None."""

    time: float
    src: str
    sport: int
    dst: str
    dport: int
    tag: int
    payload: bytes
    udp: tuple[int, int] | None


class UserMessage(NamedTuple):
    """A reassembled user message; ``time`` is that of the packet which completed it."""

    ppid: int
    data: bytes
    stream: int
    ssn: int
    unordered: bool
    time: float
    src: str
    sport: int
    dst: str
    dport: int


def frames(path: FILE) -> Iterator[tuple[float, int, bytes]]:
    """Yield (time, link type, frame) for every captured frame that is whole."""
    raw = Path(path).read_bytes()
    magic = raw[:4]
    if magic == b"\x0a\x0d\x0d\x0a":
        yield from _pcapng_frames(raw)
        return
    for order in "<", ">":
        (number,) = struct.unpack(order + "I", magic)
        if number in (0xA1B2C3D4, 0xA1B23C4D):
            yield from _pcap_frames(raw, order, 1e-6 if number == 0xA1B2C3D4 else 1e-9)
            return
    raise ValueError(f"{path}: neither pcap nor pcapng")


def _pcap_frames(raw: bytes, order: str, unit: float) -> Iterator[tuple[float, int, bytes]]:
    (link,) = struct.unpack_from(order + "I", raw, 20)
    offset = 24
    while offset + 16 <= len(raw):
        seconds, fraction, length, original = struct.unpack_from(order + "IIII", raw, offset)
        offset += 16
        if length == original and offset + length <= len(raw):
            yield seconds + fraction * unit, link & 0xFFFF, raw[offset : offset + length]
        offset += length


def _pcapng_frames(raw: bytes) -> Iterator[tuple[float, int, bytes]]:
    order, offset = "<", 0
    links: list[tuple[int, float]] = []
    while offset + 12 <= len(raw):
        if raw[offset : offset + 4] == b"\x0a\x0d\x0d\x0a":
            order = "<" if raw[offset + 8 : offset + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            links = []
        kind, length = struct.unpack_from(order + "II", raw, offset)
        if length < 12 or length % 4 or offset + length > len(raw):
            raise ValueError(f"pcapng: bad block length {length} at {offset}")
        body = raw[offset + 8 : offset + length - 4]
        if kind == 1:
            links.append((struct.unpack_from(order + "H", body)[0], _resolution(body, order)))
        elif kind == 6:
            interface, high, low, captured, original = struct.unpack_from(order + "IIIII", body)
            link, unit = links[interface]
            if captured == original:
                yield ((high << 32) | low) * unit, link, body[20 : 20 + captured]
        elif kind == 3:
            (original,) = struct.unpack_from(order + "I", body)
            if original <= len(body) - 4:
                yield 0.0, links[0][0], body[4 : 4 + original]
        offset += length


def _resolution(body: bytes, order: str) -> float:
    """Return the interface's unit of time in seconds (option if_tsresol, 9)."""
    offset = 8
    while offset + 4 <= len(body):
        code, length = struct.unpack_from(order + "HH", body, offset)
        if code == 9 and length:
            value = body[offset + 4]
            return 2.0 ** -(value & 0x7F) if value & 0x80 else 10.0**-value
        offset += 4 + (length + 3 & ~3)
        if code == 0:
            break
    return 1e-6


def _ip_of(link: int, frame: bytes) -> bytes:
    """Return the IP packet in a frame, b"" if there is none."""
    if link == 1:  # Ethernet, VLAN tags skipped
        offset = 12
        while frame[offset : offset + 2] in (b"\x81\x00", b"\x88\xa8"):
            offset += 4
        return frame[offset + 2 :] if frame[offset : offset + 2] in (b"\x08\x00", b"\x86\xdd") else b""
    if link == 113:
        return frame[16:] if frame[14:16] in (b"\x08\x00", b"\x86\xdd") else b""
    if link == 276:
        return frame[20:] if frame[:2] in (b"\x08\x00", b"\x86\xdd") else b""
    if link in (0, 108):
        return frame[4:]
    if link in (12, 14, 101, 228, 229):
        return frame
    raise ValueError(f"unknown link type {link}")


def _ip_payload(ip: bytes) -> tuple[int, str, str, bytes] | None:
    """Return (protocol, source, destination, payload); None for fragments and what is not IP."""
    version = ip[0] >> 4 if ip else 0
    if version == 4 and len(ip) >= 20:
        header, total = (ip[0] & 15) * 4, int.from_bytes(ip[2:4], "big")
        if int.from_bytes(ip[6:8], "big") & 0x3FFF:
            return None
        source, destination = (str(ipaddress.IPv4Address(ip[o : o + 4])) for o in (12, 16))
        return ip[9], source, destination, ip[header : total or len(ip)]
    if version == 6 and len(ip) >= 40:
        length, following, offset = int.from_bytes(ip[4:6], "big"), ip[6], 40
        end = 40 + length if length else len(ip)
        while following in (0, 43, 60):
            following, offset = ip[offset], offset + 8 + ip[offset + 1] * 8
        source, destination = (str(ipaddress.IPv6Address(ip[o : o + 16])) for o in (8, 24))
        return following, source, destination, ip[offset:end]
    return None


def packets(path: FILE) -> Iterator[Packet]:
    """Yield the UDP datagrams and SCTP packets of a capture, in its order."""
    for time, link, frame in frames(path):
        found = _ip_payload(_ip_of(link, frame))
        if found is None:
            continue
        protocol, source, destination, payload = found
        if protocol == UDP and len(payload) >= 8:
            sport, dport, length = struct.unpack_from(">HHH", payload)
            yield Packet(time, UDP, source, sport, destination, dport, payload[8 : length or len(payload)])
        elif protocol == SCTP and len(payload) >= 12:
            sport, dport = struct.unpack_from(">HH", payload)
            yield Packet(time, SCTP, source, sport, destination, dport, payload)


def sctp_packets(path: FILE, udp_ports: tuple[int, ...] = (SCTP_UDP_PORT,)) -> Iterator[SctpPacket]:
    """Yield SCTP packets, native or in UDP datagrams that come from or go to one of ``udp_ports``."""
    for p in packets(path):
        udp = None
        if p.ip_proto == UDP:
            if (p.sport not in udp_ports and p.dport not in udp_ports) or len(p.payload) < 12:
                continue
            udp = (p.sport, p.dport)
        sport, dport, tag = struct.unpack_from(">HHI", p.payload)
        yield SctpPacket(p.time, p.src, sport, p.dst, dport, tag, p.payload, udp)


def chunks(packet: bytes) -> list[tuple[int, int, bytes]]:
    """Split an SCTP packet into (type, flags, value); ValueError if a length does not fit."""
    offset, found = 12, []
    while offset < len(packet):
        if offset + 4 > len(packet):
            raise ValueError(f"chunk header cut at {offset}")
        kind, flags, length = struct.unpack_from(">BBH", packet, offset)
        if length < 4 or offset + length > len(packet):
            raise ValueError(f"chunk type {kind} at {offset} says length {length}")
        found.append((kind, flags, packet[offset + 4 : offset + length]))
        offset += length + 3 & ~3
    return found


def user_messages(
    path: FILE, ppids: tuple[int, ...] = (), udp_ports: tuple[int, ...] = (SCTP_UDP_PORT,)
) -> Iterator[UserMessage]:
    """Yield every user message once, when it is complete; all PPIDs (host order), or those named."""
    flows: dict[tuple[int, int, int], _Reassembly] = {}
    for p in sctp_packets(path, udp_ports):
        for kind, flags, value in chunks(p.payload):
            if kind == DATA and len(value) >= 12:
                flow = flows.setdefault((p.tag, p.sport, p.dport), _Reassembly())
                for ppid, stream, ssn, unordered, data in flow.add(flags, value):
                    if not ppids or ppid in ppids:
                        yield UserMessage(
                            ppid, data, stream, ssn, unordered, p.time, p.src, p.sport, p.dst, p.dport
                        )


class _Reassembly:
    """Fragments of one direction of one association, by TSN; retransmissions count once."""

    def __init__(self) -> None:
        self.seen: set[int] = set()
        self.parts: dict[int, tuple[int, bytes]] = {}

    def add(self, flags: int, value: bytes) -> Iterator[tuple[int, int, int, bool, bytes]]:
        (tsn,) = struct.unpack_from(">I", value)
        if tsn in self.seen:
            return
        self.seen.add(tsn)
        self.parts[tsn] = (flags, value)
        first = last = tsn
        while not self.parts[first][0] & 2:
            first = first - 1 & 0xFFFFFFFF
            if first not in self.parts:
                return
        while not self.parts[last][0] & 1:
            last = last + 1 & 0xFFFFFFFF
            if last not in self.parts:
                return
        whole = []
        while True:
            whole.append(self.parts.pop(first))
            if first == last:
                break
            first = first + 1 & 0xFFFFFFFF
        head_flags, head = whole[0]
        _, stream, ssn, ppid = struct.unpack_from(">IHHI", head)
        yield ppid, stream, ssn, bool(head_flags & 4), b"".join(v[12:] for _, v in whole)
