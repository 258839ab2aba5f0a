"""Parameters (TLVs) of INIT, INIT ACK and other chunks: bytes <-> values.

RFC 9260 section 3.2.1 (format, the two high bits of the type) and 3.3.2.1, 3.3.3.1 (the parameters). Types of
extensions are named here so that they are recognised; their rules live with the extension.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from struct import Struct
from typing import TypeAlias

from ..errors import DecodeError
from .packet import PADDING

HEARTBEAT_INFO = 1
IPV4_ADDRESS = 5
IPV6_ADDRESS = 6
STATE_COOKIE = 7
UNRECOGNIZED_PARAMETER = 8
COOKIE_PRESERVATIVE = 9
HOST_NAME_ADDRESS = 11
SUPPORTED_ADDRESS_TYPES = 12
ECN_CAPABLE = 0x8000
ZERO_CHECKSUM = 0x8001  # RFC 9653
RANDOM = 0x8002  # RFC 4895
CHUNK_LIST = 0x8003
HMAC_ALGORITHM = 0x8004
PADDING_PARAMETER = 0x8005  # RFC 4820
SUPPORTED_EXTENSIONS = 0x8008  # RFC 5061
FORWARD_TSN_SUPPORTED = 0xC000  # RFC 3758
ADAPTATION_INDICATION = 0xC006  # RFC 5061

STOP_BIT, REPORT_BIT = 0x8000, 0x4000  # stop: bit clear; report: bit set (RFC 9260 section 3.2.1)
HEADER = Struct(">HH")
U16 = Struct(">H")
U32 = Struct(">L")

Parameter: TypeAlias = tuple[int, bytes]  # type and value, without padding


def decode(data: bytes) -> list[Parameter]:
    """Return the parameters in ``data``; DecodeError if a length is wrong. Padding of the last may be missing."""
    result = []
    position, end = 0, len(data)
    while position < end:
        if end - position < 4:
            raise DecodeError(f"{end - position} bytes left over after the parameters")
        kind, length = HEADER.unpack_from(data, position)
        if length < 4 or position + length > end:
            raise DecodeError(f"parameter {kind:#x} has length {length}, {end - position} bytes are left")
        result.append((kind, data[position + 4 : position + length]))
        position += (length + 3) & ~3
    return result


def encode(parameters: Iterable[Parameter]) -> bytes:
    """Return the parameters; all but the last are padded (RFC 9260 section 3.2)."""
    out: list[bytes] = []
    padding = b""
    for kind, value in parameters:
        length = 4 + len(value)
        out += (padding, HEADER.pack(kind, length), value)
        padding = PADDING[length & 3]
    return b"".join(out)


def fitting(parameters: Iterable[Parameter], room: int) -> list[Parameter]:
    """Return those at the beginning whose encoded form fits into ``room`` bytes: whole ones only."""
    result = []
    for kind, value in parameters:
        room -= 4 + len(value)
        if room < 0:
            break
        result.append((kind, value))
        room -= -len(value) & 3
    return result


def encode_address(address: str) -> Parameter:
    """Return the IPv4 or IPv6 address parameter of a canonical address string without a scope."""
    packed = ipaddress.ip_address(address).packed
    return (IPV4_ADDRESS if len(packed) == 4 else IPV6_ADDRESS, packed)


def decode_address(kind: int, value: bytes) -> str:
    """Return the canonical string of an address parameter; DecodeError if its length is wrong."""
    if (kind, len(value)) not in ((IPV4_ADDRESS, 4), (IPV6_ADDRESS, 16)):
        raise DecodeError(f"address parameter {kind} of {len(value)} bytes")
    address = ipaddress.ip_address(value)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
