"""Takes captured frames apart: link layer, IPv4 or IPv6, UDP, and SCTP with or without UDP around it.

RFC 791, RFC 8200 (section 4: extension headers), RFC 768, RFC 6951. Link types by their numbers at tcpdump.org:
Ethernet, Linux cooked (both), BSD loopback, raw IP, bare SCTP. What is left out is counted by reason.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable, Collection
from functools import lru_cache
from struct import Struct
from typing import NamedTuple

from ..errors import DecodeError
from ..wire.packet import HEADER_SIZE, checksum_ok, walk
from .pcapng import SCTP, UDP, Address
from .reader import Frame

ENCAPSULATION = 9899  # RFC 6951 section 7
_UDP = Struct(">HHH")
_IPV4, _IPV6 = b"\x08\x00", b"\x86\xdd"
_VLANS = (b"\x81\x00", b"\x88\xa8", b"\x91\x00")
_LOOPBACK_DEVICE, _OUTGOING = 772, 4  # ARP hardware type and packet type of Linux cooked captures
_EXTENSIONS = (0, 43, 60, 135)  # IPv6 headers that are passed over: hop-by-hop, routing, destination, mobility
_FRAGMENT = 44
_NAMES = {1: "ICMP", 2: "IGMP", 6: "TCP", 58: "ICMPv6"}
FRAGMENTS = "IP fragments, which are not put together"
USER = range(147, 163)  # link types for private use: taken for bare SCTP


class Datagram(NamedTuple):
    """A UDP datagram's payload (``protocol`` 17), or an SCTP packet (132; UDP port 0 at both ends if native)."""

    time: float
    source: Address
    destination: Address
    protocol: int
    data: bytes


def datagram(frame: Frame, counts: Counter[str], udp_ports: Collection[int] = (ENCAPSULATION,)) -> Datagram | None:
    """Return what a frame carries, None if it is neither UDP nor SCTP; then the reason is counted.

    SCTP in UDP is recognised by ``udp_ports``, and at other ports by its checksum (CRC32c).
    """
    time, link, data = frame
    if link == 248 or link in USER:
        return Datagram(time, ("", 0), ("", 0), SCTP, data)
    layer = _LINKS.get(link)
    if layer is None:
        counts[f"frames of link type {link}, which is not known"] += 1
        return None
    ip = layer(data)
    if ip is None:
        return None  # the same packet is in the capture twice
    version = ip[0] >> 4 if ip else 0
    if version == 4 and len(ip) >= 20:
        found = _ipv4(ip, counts)
    elif version == 6 and len(ip) >= 40:
        found = _ipv6(ip, counts)
    else:
        counts["frames without IP"] += 1
        return None
    if found is None:
        return None
    protocol, source, destination, payload = found
    if protocol == SCTP:
        return Datagram(time, (source, 0), (destination, 0), SCTP, payload)
    if protocol != UDP:
        counts[f"{_NAMES.get(protocol, f'IP protocol {protocol}')} packets"] += 1
        return None
    if len(payload) < 8:
        counts["UDP datagrams that are too short"] += 1
        return None
    source_port, destination_port, length = _UDP.unpack_from(payload)
    data = payload[8 : max(length, 8) if length else len(payload)]
    inner = UDP
    if is_sctp(data, source_port in udp_ports or destination_port in udp_ports):
        inner = SCTP
    return Datagram(time, (source, source_port), (destination, destination_port), inner, data)


def is_sctp(data: bytes, expected: bool) -> bool:
    """Tell whether a UDP payload is an SCTP packet; an ``expected`` one needs no right checksum."""
    if len(data) < HEADER_SIZE + 4:
        return expected and len(data) >= HEADER_SIZE
    if expected:
        return True
    try:
        for _ in walk(data):
            pass
    except DecodeError:
        return False
    return checksum_ok(data)


def _ethernet(frame: bytes) -> bytes | None:
    offset = 12
    while frame[offset : offset + 2] in _VLANS:
        offset += 4
    return frame[offset + 2 :] if frame[offset : offset + 2] in (_IPV4, _IPV6) else b""


def _cooked(device: int, kind: int, kind_size: int, protocol: int, head: int) -> Callable[[bytes], bytes | None]:
    def take(frame: bytes) -> bytes | None:
        if frame[protocol : protocol + 2] not in (_IPV4, _IPV6):
            return b""
        loopback = int.from_bytes(frame[device : device + 2], "big") == _LOOPBACK_DEVICE
        if loopback and int.from_bytes(frame[kind : kind + kind_size], "big") == _OUTGOING:
            return None  # it comes in again
        return frame[head:]

    return take


def _after(size: int) -> Callable[[bytes], bytes | None]:
    return lambda frame: frame[size:]


_LINKS: dict[int, Callable[[bytes], bytes | None]] = {
    0: _after(4),
    108: _after(4),
    1: _ethernet,
    12: _after(0),
    14: _after(0),
    101: _after(0),
    228: _after(0),
    229: _after(0),
    113: _cooked(2, 0, 2, 14, 16),
    276: _cooked(8, 10, 1, 0, 20),
}


@lru_cache(maxsize=4096)
def _address(packed: bytes) -> str:
    return str(ipaddress.ip_address(packed))


def _ipv4(ip: bytes, counts: Counter[str]) -> tuple[int, str, str, bytes] | None:
    head, total = (ip[0] & 15) * 4, int.from_bytes(ip[2:4], "big")
    if int.from_bytes(ip[6:8], "big") & 0x3FFF:
        counts[FRAGMENTS] += 1
        return None
    if head < 20 or (total and total < head):
        counts["malformed IP packets"] += 1
        return None
    # A length of 0 comes from network cards that cut large packets themselves.
    return ip[9], _address(ip[12:16]), _address(ip[16:20]), ip[head : total or len(ip)]


def _ipv6(ip: bytes, counts: Counter[str]) -> tuple[int, str, str, bytes] | None:
    length, following, offset = int.from_bytes(ip[4:6], "big"), ip[6], 40
    end = min(40 + length if length else len(ip), len(ip))
    while following in _EXTENSIONS and offset + 8 <= end:
        following, offset = ip[offset], offset + 8 + ip[offset + 1] * 8
    if following == _FRAGMENT:
        counts[FRAGMENTS] += 1
        return None
    if offset > end:
        counts["malformed IP packets"] += 1
        return None
    return following, _address(ip[8:24]), _address(ip[24:40]), ip[offset:end]
