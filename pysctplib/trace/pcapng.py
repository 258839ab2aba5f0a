"""Writes SCTP packets into a pcapng file, each in an IP and UDP header as on the wire, as tshark wants it.

RFC 6951 section 3 (the encapsulation), RFC 791 and RFC 1071 (IPv4 header checksum), RFC 8200 section 8.1 (the UDP
checksum, which IPv6 demands). Packets without UDP (port 0 at either end) get an IP header with protocol 132. The
link type is raw IP. Time stamps are microseconds since 1970. Sockets and clocks are not known here.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from pathlib import Path
from struct import Struct
from typing import BinaryIO

_SECTION = Struct("=IIIHHqI")
_INTERFACE = Struct("=IIHHIHHB3xHHI")
_PACKET = Struct("=IIIIIII")
_IPV4 = Struct(">BBHHHBBH4s4s")
_IPV6 = Struct(">IHBB16s16s")
_UDP = Struct(">HHHH")
_LENGTH = Struct("=I")
LINKTYPE_RAW = 101
UDP, SCTP = 17, 132
_TTL = 64
_LONGEST = 65535

Address = tuple[str, int]  # IP address, UDP port (0: none)


def _interface() -> bytes:
    # Option 9 (if_tsresol) = 6: microseconds.
    return _INTERFACE.pack(1, 32, LINKTYPE_RAW, 0, 0, 9, 1, 6, 0, 0, 32)


class Writer:
    """A pcapng file, opened by name. ``append`` starts a new section in a file that is there."""

    def __init__(self, name: str | Path, append: bool = False) -> None:
        """Open the file and write its head. OSError if it cannot be written."""
        if not append:
            with open(name, "wb"):
                pass
        # Several writers may share the file: each block goes to the end of what is there.
        self._file: BinaryIO = open(name, "ab", buffering=0)  # noqa: SIM115
        self._blocks = [_SECTION.pack(0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28), _interface()]
        self.flush()

    def add(self, time: float, source: Address, destination: Address, data: bytes) -> None:
        """Note one packet at a time (seconds since 1970). It is in the file after `flush`."""
        frame = encapsulate(source, destination, data)
        size = len(frame)
        padded = (size + 3) & ~3
        stamp = int(time * 1_000_000)
        head = _PACKET.pack(6, 32 + padded, 0, stamp >> 32, stamp & 0xFFFFFFFF, size, size)
        self._blocks.append(head + frame + bytes(padded - size) + _LENGTH.pack(32 + padded))

    def flush(self) -> None:
        """Write what was noted: whole blocks only, so that the file is sound whenever the process ends."""
        if self._blocks:
            data, self._blocks = b"".join(self._blocks), []
            self._file.write(data)

    def close(self) -> None:
        """Write the rest and close the file."""
        self.flush()
        self._file.close()


def encapsulate(source: Address, destination: Address, data: bytes) -> bytes:
    """Return an IP packet that carries ``data``. ValueError if the addresses are not of one family."""
    one, other = _packed(source[0]), _packed(destination[0])
    if len(one) != len(other):
        raise ValueError(f"{source[0]} and {destination[0]} are not of one family")
    protocol = UDP if source[1] and destination[1] else SCTP
    length = len(data) + (8 if protocol == UDP else 0)
    udp = b""
    if len(one) == 4:
        if length + 20 > _LONGEST:
            raise ValueError(f"{length} bytes are too many for an IP packet")
        if protocol == UDP:
            udp = _UDP.pack(source[1], destination[1], length, 0)  # 0: no checksum, as IPv4 allows
        fields = (0x45, 0, 20 + length, 0, 0x4000, _TTL, protocol)
        checksum = ones_complement(_IPV4.pack(*fields, 0, one, other))
        return b"".join((_IPV4.pack(*fields, checksum, one, other), udp, data))
    if length > _LONGEST:
        raise ValueError(f"{length} bytes are too many for an IP packet")
    if protocol == UDP:
        pseudo = one + other + length.to_bytes(4, "big") + UDP.to_bytes(4, "big")
        udp = _UDP.pack(source[1], destination[1], length, 0)
        checksum = ones_complement(b"".join((pseudo, udp, data))) or 0xFFFF
        udp = _UDP.pack(source[1], destination[1], length, checksum)
    return b"".join((_IPV6.pack(6 << 28, length, protocol, _TTL, one, other), udp, data))


def ones_complement(data: bytes) -> int:
    """Return the Internet checksum of ``data`` (RFC 1071)."""
    if len(data) & 1:
        data += b"\0"
    # The sum of 16-bit words with end-around carry is the number modulo 65535, where only all zeros give 0.
    number = int.from_bytes(data, "big")
    rest = number % 0xFFFF
    if not rest and number:
        rest = 0xFFFF
    return rest ^ 0xFFFF


@lru_cache(maxsize=4096)
def _packed(address: str) -> bytes:
    return ipaddress.ip_address(address.partition("%")[0]).packed
