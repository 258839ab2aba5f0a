"""The parameters of ASAP and ENRP: bytes <-> the values of `types`.

RFC 5354 section 3; RSPLIB's private handle resolution option; the UDP port parameter of docs/design.md section 5.
Which parameters a message has is in `asap` and `enrp`. Address scopes are not judged here.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from struct import Struct

from . import causes, policies, tlv
from .types import (
    DCCP,
    MAX_ADDRESSES,
    MAX_POOL_HANDLE,
    OPAQUE,
    SCTP,
    TCP,
    UDP,
    UDP_LITE,
    DecodeError,
    Policy,
    PoolElement,
    ServerInformation,
    Transport,
)

IPV4_ADDRESS = 0x0001
IPV6_ADDRESS = 0x0002
DCCP_TRANSPORT = 0x0003
SCTP_TRANSPORT = 0x0004
TCP_TRANSPORT = 0x0005
UDP_TRANSPORT = 0x0006
UDP_LITE_TRANSPORT = 0x0007
POLICY = 0x0008
POOL_HANDLE = 0x0009
POOL_ELEMENT = 0x000A
SERVER_INFORMATION = 0x000B
OPERATION_ERROR = 0x000C
COOKIE = 0x000D
PE_IDENTIFIER = 0x000E
PE_CHECKSUM = 0x000F
OPAQUE_TRANSPORT = 0x0010
HANDLE_RESOLUTION_OPTION = 0x803F
HANDLE_RESOLUTION_OPTION_PLAIN = 0x003F  # accepted, never sent
UDP_PORT = 0x9B27

_U16 = Struct(">H")
_U32 = Struct(">L")
_PORT = Struct(">HH")
_DCCP = Struct(">HHL")
_ELEMENT = Struct(">LLL")  # identifier, home registrar, registration life
_WHOLE_IDENTIFIER = Struct(">HHL")  # a PE identifier parameter with its header

_PROTOCOLS = {
    SCTP: SCTP_TRANSPORT,
    TCP: TCP_TRANSPORT,
    UDP: UDP_TRANSPORT,
    DCCP: DCCP_TRANSPORT,
    UDP_LITE: UDP_LITE_TRANSPORT,
}
_TRANSPORTS = {parameter: protocol for protocol, parameter in _PROTOCOLS.items()}
_SINGLE = frozenset((TCP, UDP, DCCP, UDP_LITE))  # exactly one address (RFC 5354 sections 3.3 to 3.7)
_HAS_USE = frozenset((SCTP, TCP))
_SMALL = 128  # bytes of a transport parameter that is worth keeping: 15 IPv4 addresses


# Addresses and transports


@lru_cache(maxsize=4096)
def encode_address(address: str) -> bytes:
    """Return an address parameter; an IPv4-mapped IPv6 address is written as IPv4. ValueError if it is none."""
    if (packed := _dotted(address)) is not None:
        return tlv.encode(IPV4_ADDRESS, packed)
    value = ip_address(address)
    if isinstance(value, IPv6Address) and value.ipv4_mapped is not None:
        value = value.ipv4_mapped
    return tlv.encode(IPV4_ADDRESS if value.version == 4 else IPV6_ADDRESS, value.packed)


def _dotted(address: str) -> bytes | None:
    """The bytes of a canonical IPv4 address, None for anything else; much faster than ipaddress."""
    try:
        packed = bytes(map(int, address.split(".")))
    except ValueError:
        return None
    return packed if len(packed) == 4 and ".".join(map(str, packed)) == address else None


@lru_cache(maxsize=4096)
def _address_text(packed: bytes) -> str:
    if len(packed) == 4:
        return ".".join(map(str, packed))  # much faster than ipaddress
    value = IPv6Address(packed)
    return str(value.ipv4_mapped) if value.ipv4_mapped is not None else str(value)


@lru_cache(maxsize=4096)
def encode_transport(transport: Transport) -> bytes:
    """Return a transport parameter. ValueError if it has no address, or more than its protocol may have."""
    addresses = transport.addresses
    protocol = transport.protocol
    if protocol == OPAQUE:
        return tlv.encode(OPAQUE_TRANSPORT, transport.opaque)
    if not addresses or (protocol in _SINGLE and len(addresses) > 1) or len(addresses) > MAX_ADDRESSES:
        raise ValueError(f"{len(addresses)} addresses in a transport of protocol {protocol}")
    kind = _PROTOCOLS.get(protocol)
    if kind is None:
        raise ValueError(f"protocol {protocol} has no transport parameter")
    if protocol == DCCP:
        head = _DCCP.pack(transport.port, 0, transport.service_code)
    else:
        head = _PORT.pack(transport.port, int(transport.control_channel and protocol in _HAS_USE))
    return tlv.encode(kind, head + b"".join(map(encode_address, addresses)))


def decode_transport(data: bytes, position: int, end: int) -> tuple[Transport, int]:
    """Return the transport parameter at ``position`` and the position after it. DecodeError."""
    kind, stop = tlv.header(data, position, end)
    whole = data[position:stop]
    if kind in _TRANSPORTS:
        # Pool elements repeat theirs. What a stranger fills with skippable parameters is not kept.
        transport = _kept_transport(whole) if len(whole) <= _SMALL else _transport(whole)
    elif kind == OPAQUE_TRANSPORT:
        transport = Transport(OPAQUE, 0, (), opaque=whole[4:])
    else:
        raise DecodeError(f"parameter 0x{kind:04x} is not a transport", causes.UNRECOGNIZED_PARAMETER, silent=True)
    return transport, (stop + 3) & ~3


def _transport(whole: bytes) -> Transport:
    """Decode one transport parameter (complete, unpadded)."""
    kind = _U16.unpack_from(whole)[0]
    protocol = _TRANSPORTS[kind]
    end = len(whole)
    service_code = 0
    head = 12 if protocol == DCCP else 8
    if end < head:
        raise DecodeError("transport parameter is too short", causes.INVALID_VALUE, whole)
    port, use = _PORT.unpack_from(whole, 4)
    if protocol == DCCP:
        service_code = _U32.unpack_from(whole, 8)[0]
    addresses: list[str] = []
    position = head
    while position < end:
        inner, stop = tlv.header(whole, position, end)
        size = stop - position - 4
        if inner == IPV4_ADDRESS and size >= 4:
            addresses.append(_address_text(whole[position + 4 : position + 8]))
        elif inner == IPV6_ADDRESS and size >= 16:
            addresses.append(_address_text(whole[position + 4 : position + 20]))
        elif inner in (IPV4_ADDRESS, IPV6_ADDRESS):
            raise DecodeError("address parameter is too short", causes.INVALID_VALUE, whole)
        else:
            tlv.unknown(whole, position, stop)
        if len(addresses) > MAX_ADDRESSES:
            raise DecodeError("too many addresses", causes.INVALID_VALUE, whole)
        position = (stop + 3) & ~3
    if not addresses:
        raise DecodeError("transport without an address", causes.INVALID_VALUE, whole)
    if protocol in _SINGLE and len(addresses) > 2:
        raise DecodeError("too many addresses for the protocol", causes.INVALID_VALUE, whole)
    return Transport(protocol, port, tuple(addresses), use == 1 and protocol in _HAS_USE, service_code)


_kept_transport = lru_cache(maxsize=4096)(_transport)


# Pool element, policy, handle, identifiers


def encode_udp_port(port: int | None) -> bytes:
    """Return the UDP port parameter, nothing for None."""
    return b"" if port is None else tlv.encode(UDP_PORT, _PORT.pack(port, 0))


def decode_udp_port(data: bytes, position: int, end: int) -> int | None:
    """Look for the UDP port parameter among surplus parameters; what is not understood is skipped."""
    while end - position >= 4:
        kind, length = tlv.HEADER.unpack_from(data, position)
        if length < 4 or position + length > end:
            return None
        if kind == UDP_PORT and length >= 6:
            return int(_U16.unpack_from(data, position + 4)[0]) or None
        position += (length + 3) & ~3
    return None


def decode_policy(data: bytes, start: int, end: int) -> Policy:
    """Return the policy in ``data[start:end]``, a parameter's value. DecodeError."""
    return policies.decode(data, start, end)


@lru_cache(maxsize=256)
def encode_policy(policy: Policy) -> bytes:
    """Return a policy parameter. ValueError for an unknown type."""
    return tlv.encode(POLICY, policies.encode(policy))


def encode_element(element: PoolElement) -> bytes:
    """Return a pool element parameter."""
    value = b"".join(
        (
            _ELEMENT.pack(element.identifier, element.home, element.life),
            encode_transport(element.user_transport),
            encode_policy(element.policy),
            encode_transport(element.asap_transport) if element.asap_transport is not None else b"",
            encode_udp_port(element.udp_port),
        )
    )
    return tlv.encode(POOL_ELEMENT, value)


def decode_element(data: bytes, start: int, end: int) -> PoolElement:
    """Return the pool element in ``data[start:end]``, a parameter's value. DecodeError."""
    if end - start < 12:
        raise DecodeError("pool element is too short", causes.INVALID_VALUE, data[start - 4 : end])
    identifier, home, life = _ELEMENT.unpack_from(data, start)
    user_transport, position = decode_transport(data, start + 12, end)
    kind, stop = tlv.header(data, position, end)
    if kind != POLICY:
        raise DecodeError("pool element without a policy", causes.INVALID_TLV, data[position:stop])
    policy = policies.decode(data, position + 4, stop)
    position = (stop + 3) & ~3
    asap_transport = udp_port = None
    if end - position >= 4:
        if _U16.unpack_from(data, position)[0] == SCTP_TRANSPORT:
            asap_transport, position = decode_transport(data, position, end)
        udp_port = decode_udp_port(data, position, end)
    return PoolElement(identifier, home, life, user_transport, policy, asap_transport, udp_port)


@lru_cache(maxsize=1024)
def encode_handle(handle: bytes) -> bytes:
    """Return a pool handle parameter. ValueError unless it has 1 to 32 bytes."""
    if not 0 < len(handle) <= MAX_POOL_HANDLE:
        raise ValueError(f"a pool handle of {len(handle)} bytes; 1 to {MAX_POOL_HANDLE} are allowed")
    return tlv.encode(POOL_HANDLE, handle)


def find_handle(data: bytes, position: int, end: int) -> tuple[bytes, int]:
    """Return the pool handle at ``position``, after skippable parameters, and the position after it."""
    if end - position >= 8:  # nearly always it stands there, with others behind it
        kind, length = tlv.HEADER.unpack_from(data, position)
        stop = position + length
        if kind == POOL_HANDLE and 4 < length <= 4 + MAX_POOL_HANDLE and stop <= end:
            return data[position + 4 : stop], (stop + 3) & ~3
    start, stop, position = tlv.find(data, position, end, POOL_HANDLE)
    if not 0 < stop - start <= MAX_POOL_HANDLE:
        raise DecodeError(f"pool handle of {stop - start} bytes", causes.INVALID_VALUE, data[start - 4 : stop])
    return data[start:stop], position


def find_element(data: bytes, position: int, end: int) -> tuple[PoolElement, int]:
    """Return the pool element at ``position``, after skippable parameters, and the position after it."""
    start, stop, position = tlv.find(data, position, end, POOL_ELEMENT, invalid=True)
    return decode_element(data, start, stop), position


def encode_identifier(identifier: int) -> bytes:
    """Return a PE identifier parameter."""
    return _WHOLE_IDENTIFIER.pack(PE_IDENTIFIER, 8, identifier)


def find_identifier(data: bytes, position: int, end: int) -> tuple[int, int]:
    """Return the PE identifier at ``position``, after skippable parameters, and the position after it."""
    if end - position == 8:  # the last one, as mostly
        kind, length, identifier = _WHOLE_IDENTIFIER.unpack_from(data, position)
        if kind == PE_IDENTIFIER and length == 8:
            return identifier, end
    start, stop, position = tlv.find(data, position, end, PE_IDENTIFIER, invalid=True)
    if stop - start < 4:
        raise DecodeError("PE identifier is too short", causes.INVALID_VALUE, data[start - 4 : stop])
    return int(_U32.unpack_from(data, start)[0]), position


# The rest


def encode_error(code: int | None, data: bytes = b"") -> bytes:
    """Return an operation error parameter with one cause, nothing for None."""
    return b"" if code is None else tlv.encode(OPERATION_ERROR, causes.encode(code, data))


def find_error(data: bytes, position: int, end: int) -> tuple[int | None, bytes]:
    """Return code and data of the operation error among the last parameters, ``(None, b"")`` without one."""
    code, detail = None, b""
    while position < end:
        kind, stop = tlv.header(data, position, end)
        if kind != OPERATION_ERROR:
            tlv.unknown(data, position, stop)
        elif code is None:
            code, detail = causes.decode(data, position + 4, stop)
        position = (stop + 3) & ~3
    return code, detail


def only_error(data: bytes, position: int, end: int) -> tuple[int, bytes]:
    """Return code and data of the operation error of an ERROR message; whatever is wrong there is silent."""
    try:
        code, detail = find_error(data, position, end)
    except DecodeError as error:
        raise DecodeError(str(error), error.cause, error.tlv, silent=True) from None
    if code is None:
        raise DecodeError("error message without an operation error", causes.INVALID_MESSAGE, silent=True)
    return code, detail


def encode_server(server: ServerInformation) -> bytes:
    """Return a server information parameter."""
    value = _U32.pack(server.identifier) + encode_transport(server.transport) + encode_udp_port(server.udp_port)
    return tlv.encode(SERVER_INFORMATION, value)


def decode_server(data: bytes, start: int, end: int) -> ServerInformation:
    """Return the server information in ``data[start:end]``, a parameter's value. DecodeError."""
    if end - start < 8:
        raise DecodeError("server information is too short", causes.INVALID_MESSAGE)
    transport, position = decode_transport(data, start + 4, end)
    if transport.protocol == OPAQUE:
        raise DecodeError("server information without a port", causes.INVALID_VALUE, data[start - 4 : end])
    return ServerInformation(
        int(_U32.unpack_from(data, start)[0]), transport, decode_udp_port(data, position, end)
    )


def encode_checksum(checksum: int) -> bytes:
    """Return a PE checksum parameter."""
    return tlv.encode(PE_CHECKSUM, _U16.pack(checksum))


def find_checksum(data: bytes, position: int, end: int) -> tuple[int, int]:
    """Return the PE checksum at ``position`` and the position after it."""
    start, stop, position = tlv.find(data, position, end, PE_CHECKSUM)
    if stop - start != 2:
        raise DecodeError("PE checksum is not 2 bytes", causes.INVALID_VALUE, data[start - 4 : stop])
    return int(_U16.unpack_from(data, start)[0]), position


def encode_items(items: int) -> bytes:
    """Return RSPLIB's handle resolution option: how many pool elements are wanted."""
    return tlv.encode(HANDLE_RESOLUTION_OPTION, _U32.pack(items))
