"""ASAP messages: bytes <-> values.

RFC 5352 section 2 (messages), with RSPLIB's forms: a PE identifier in ENDPOINT_KEEP_ALIVE, an option in
HANDLE_RESOLUTION, no S, A and R bits in resolutions. Tolerant where RSPLIB is, strict where its peers rely on it.
What to do about a message is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct
from typing import TypeAlias

from . import causes, parameters, policies, tlv
from .types import DecodeError, Policy, PoolElement, Transport

PORT = 3863  # SCTP, and UDP for announces
PPID = 11
ANNOUNCE_GROUP = "239.0.0.50"

REGISTRATION = 0x01
DEREGISTRATION = 0x02
REGISTRATION_RESPONSE = 0x03
DEREGISTRATION_RESPONSE = 0x04
HANDLE_RESOLUTION = 0x05
HANDLE_RESOLUTION_RESPONSE = 0x06
ENDPOINT_KEEP_ALIVE = 0x07
ENDPOINT_KEEP_ALIVE_ACK = 0x08
ENDPOINT_UNREACHABLE = 0x09
SERVER_ANNOUNCE = 0x0A
COOKIE = 0x0B
COOKIE_ECHO = 0x0C
BUSINESS_CARD = 0x0D
ERROR = 0x0E

REJECT = 0x01  # flag of REGISTRATION_RESPONSE
HOME = 0x01  # flag H of ENDPOINT_KEEP_ALIVE

NAMES = {
    REGISTRATION: "Registration", DEREGISTRATION: "Deregistration",
    REGISTRATION_RESPONSE: "RegistrationResponse", DEREGISTRATION_RESPONSE: "DeregistrationResponse",
    HANDLE_RESOLUTION: "HandleResolution", HANDLE_RESOLUTION_RESPONSE: "HandleResolutionResponse",
    ENDPOINT_KEEP_ALIVE: "EndpointKeepAlive", ENDPOINT_KEEP_ALIVE_ACK: "EndpointKeepAliveAck",
    ENDPOINT_UNREACHABLE: "EndpointUnreachable", SERVER_ANNOUNCE: "ServerAnnounce", COOKIE: "Cookie",
    COOKIE_ECHO: "CookieEcho", BUSINESS_CARD: "BusinessCard", ERROR: "Error",
}  # fmt: skip

HEADER = Struct(">BBH")
U32 = Struct(">L")


@dataclass(slots=True)
class Registration:
    """REGISTRATION (RFC 5352 section 2.2.1)."""

    handle: bytes
    element: PoolElement


@dataclass(slots=True)
class Deregistration:
    """DEREGISTRATION (section 2.2.2)."""

    handle: bytes
    identifier: int


@dataclass(slots=True)
class RegistrationResponse:
    """REGISTRATION_RESPONSE (section 2.2.3). ``error``: a cause code, 0 for none; ``tlv``: what it is about."""

    handle: bytes
    identifier: int
    reject: bool = False
    error: int = 0
    tlv: bytes = b""


@dataclass(slots=True)
class DeregistrationResponse:
    """DEREGISTRATION_RESPONSE (section 2.2.4)."""

    handle: bytes
    identifier: int
    error: int = 0
    tlv: bytes = b""


@dataclass(slots=True)
class HandleResolution:
    """HANDLE_RESOLUTION (section 2.2.5). ``items``: pool elements wanted; None: no option; 0: the default."""

    handle: bytes
    items: int | None = None


@dataclass(slots=True)
class HandleResolutionResponse:
    """HANDLE_RESOLUTION_RESPONSE (section 2.2.6): a policy and pool elements, or an error."""

    handle: bytes
    policy: Policy | None = None
    elements: list[PoolElement] | tuple[PoolElement, ...] = ()
    error: int = 0
    tlv: bytes = b""


@dataclass(slots=True)
class EndpointKeepAlive:
    """ENDPOINT_KEEP_ALIVE (section 2.2.7). ``home``: the sender is the home registrar now."""

    registrar: int
    handle: bytes
    identifier: int | None = None
    home: bool = False


@dataclass(slots=True)
class EndpointKeepAliveAck:
    """ENDPOINT_KEEP_ALIVE_ACK (section 2.2.8)."""

    handle: bytes
    identifier: int


@dataclass(slots=True)
class EndpointUnreachable:
    """ENDPOINT_UNREACHABLE (section 2.2.9)."""

    handle: bytes
    identifier: int


@dataclass(slots=True)
class ServerAnnounce:
    """SERVER_ANNOUNCE (section 2.2.10). Without a transport the datagram's source is the registrar's endpoint."""

    registrar: int
    transport: Transport | None = None
    udp_port: int | None = None


@dataclass(slots=True)
class Cookie:
    """COOKIE (section 2.2.11)."""

    cookie: bytes


@dataclass(slots=True)
class CookieEcho:
    """COOKIE_ECHO (section 2.2.12)."""

    cookie: bytes


@dataclass(slots=True)
class BusinessCard:
    """BUSINESS_CARD (section 2.2.13). RSPLIB rejects all of them: never send one to it."""

    handle: bytes
    policy: Policy
    elements: list[PoolElement] | tuple[PoolElement, ...]


@dataclass(slots=True)
class Error:
    """ERROR (section 2.2.14)."""

    error: int
    tlv: bytes = b""


@dataclass(slots=True)
class Unknown:
    """A message of a type that is not known: it is logged, never answered."""

    type: int
    flags: int
    body: bytes


Message: TypeAlias = (
    Registration
    | Deregistration
    | RegistrationResponse
    | DeregistrationResponse
    | HandleResolution
    | HandleResolutionResponse
    | EndpointKeepAlive
    | EndpointKeepAliveAck
    | EndpointUnreachable
    | ServerAnnounce
    | Cookie
    | CookieEcho
    | BusinessCard
    | Error
    | Unknown
)


def decode(data: bytes) -> Message:
    """Return the message in ``data``. DecodeError, and nothing else, if it does not parse."""
    if len(data) < 4:
        raise DecodeError(f"a message of {len(data)} bytes", causes.INVALID_MESSAGE, silent=True)
    kind, flags, length = HEADER.unpack_from(data)
    if length < 4 or length > len(data):
        raise DecodeError(f"message length {length} of {len(data)}", causes.INVALID_MESSAGE, silent=True)
    reader = _READERS.get(kind)
    if reader is None:
        return Unknown(kind, flags, data[4:length])
    return reader(data, length, flags)


def encode(message: Message) -> bytes:
    """Return the bytes of a message. ValueError if a value cannot be expressed."""
    kind, flags, body = _WRITERS[type(message)](message)
    length = 4 + len(body)
    if length > 0xFFFF:
        raise ValueError(f"a message of {length} bytes; 65535 is the limit")
    return HEADER.pack(kind, flags, length) + body


# Reading. Arguments: the message, its end, the flags.


def _registration(data: bytes, end: int, flags: int) -> Message:
    handle, position = parameters.find_handle(data, 4, end)
    element, position = parameters.find_element(data, position, end)
    tlv.finish(data, position, end, strict=True)
    return Registration(handle, element)


def _handle_and_identifier(data: bytes, position: int, end: int) -> tuple[bytes, int, int]:
    handle, position = parameters.find_handle(data, position, end)
    identifier, position = parameters.find_identifier(data, position, end)
    return handle, identifier, position


def _error(data: bytes, position: int, end: int) -> tuple[int, bytes]:
    """Read an optional operation error at the end of a message."""
    while position < end:
        kind, stop = tlv.header(data, position, end)
        if kind == parameters.OPERATION_ERROR:
            return causes.decode(data, position + 4, stop)
        tlv.unknown(data, position, stop)
        position = (stop + 3) & ~3
    return 0, b""


def _deregistration(data: bytes, end: int, flags: int) -> Message:
    handle, identifier, position = _handle_and_identifier(data, 4, end)
    tlv.finish(data, position, end)
    return Deregistration(handle, identifier)


def _registration_response(data: bytes, end: int, flags: int) -> Message:
    handle, identifier, position = _handle_and_identifier(data, 4, end)
    return RegistrationResponse(handle, identifier, bool(flags & REJECT), *_error(data, position, end))


def _deregistration_response(data: bytes, end: int, flags: int) -> Message:
    handle, identifier, position = _handle_and_identifier(data, 4, end)
    return DeregistrationResponse(handle, identifier, *_error(data, position, end))


def _handle_resolution(data: bytes, end: int, flags: int) -> Message:
    handle, position = parameters.find_handle(data, 4, end)
    items = None
    while position < end:
        kind, stop = tlv.header(data, position, end)
        if kind in (parameters.HANDLE_RESOLUTION_OPTION, parameters.HANDLE_RESOLUTION_OPTION_PLAIN):
            if stop - position < 8:
                raise DecodeError(
                    "handle resolution option is too short", causes.INVALID_VALUE, data[position:stop]
                )
            items = int(U32.unpack_from(data, position + 4)[0])
        else:
            tlv.unknown(data, position, stop)
        position = (stop + 3) & ~3
    return HandleResolution(handle, items)


def _policy_and_elements(
    data: bytes, position: int, end: int
) -> tuple[Policy | None, list[PoolElement], int, bytes]:
    policy: Policy | None = None
    elements: list[PoolElement] = []
    error, about = 0, b""
    while position < end:
        kind, stop = tlv.header(data, position, end)
        if kind == parameters.POOL_ELEMENT:
            elements.append(parameters.decode_element(data, position + 4, stop))
        elif kind == parameters.POLICY:
            policy = policies.decode(data, position + 4, stop)
        elif kind == parameters.OPERATION_ERROR:
            error, about = causes.decode(data, position + 4, stop)
        else:
            tlv.unknown(data, position, stop)
        position = (stop + 3) & ~3
    return policy, elements, error, about


def _handle_resolution_response(data: bytes, end: int, flags: int) -> Message:
    handle, position = parameters.find_handle(data, 4, end)
    return HandleResolutionResponse(handle, *_policy_and_elements(data, position, end))


def _endpoint_keep_alive(data: bytes, end: int, flags: int) -> Message:
    if end < 8:
        raise DecodeError("keep-alive without a registrar identifier", causes.INVALID_MESSAGE)
    handle, position = parameters.find_handle(data, 8, end)
    identifier = None
    while position < end:
        kind, stop = tlv.header(data, position, end)
        if kind == parameters.PE_IDENTIFIER and stop - position >= 8:
            identifier = int(U32.unpack_from(data, position + 4)[0])
        else:
            tlv.unknown(data, position, stop)
        position = (stop + 3) & ~3
    return EndpointKeepAlive(int(U32.unpack_from(data, 4)[0]), handle, identifier, bool(flags & HOME))


def _endpoint_keep_alive_ack(data: bytes, end: int, flags: int) -> Message:
    handle, identifier, position = _handle_and_identifier(data, 4, end)
    tlv.finish(data, position, end)
    return EndpointKeepAliveAck(handle, identifier)


def _endpoint_unreachable(data: bytes, end: int, flags: int) -> Message:
    handle, identifier, position = _handle_and_identifier(data, 4, end)
    tlv.finish(data, position, end)
    return EndpointUnreachable(handle, identifier)


def _server_announce(data: bytes, end: int, flags: int) -> Message:
    if end < 8:
        raise DecodeError("announce without a registrar identifier", causes.INVALID_MESSAGE)
    registrar = int(U32.unpack_from(data, 4)[0])
    transport: Transport | None = None
    udp_port: int | None = None
    position = 8
    while position < end:
        kind, stop = tlv.header(data, position, end)
        if kind == parameters.SCTP_TRANSPORT:
            transport = transport or parameters.decode_transport(data, position, end)[0]
        elif kind == parameters.SERVER_INFORMATION:
            server = parameters.decode_server(data, position + 4, stop)
            transport, udp_port = server.transport, server.udp_port
        elif kind == parameters.UDP_PORT:
            udp_port = parameters.decode_udp_port(data, position, end)
        else:
            tlv.unknown(data, position, stop)
        position = (stop + 3) & ~3
    return ServerAnnounce(registrar, transport, udp_port)


def _cookie(data: bytes, end: int, flags: int) -> Message:
    start, stop, _ = tlv.find(data, 4, end, parameters.COOKIE)
    return Cookie(data[start:stop])


def _cookie_echo(data: bytes, end: int, flags: int) -> Message:
    start, stop, _ = tlv.find(data, 4, end, parameters.COOKIE)
    return CookieEcho(data[start:stop])


def _business_card(data: bytes, end: int, flags: int) -> Message:
    handle, position = parameters.find_handle(data, 4, end)
    policy, elements, _, _ = _policy_and_elements(data, position, end)
    if policy is None or not elements:
        raise DecodeError("business card without policy or pool elements", causes.INVALID_MESSAGE)
    return BusinessCard(handle, policy, elements)


def _error_message(data: bytes, end: int, flags: int) -> Message:
    try:
        start, stop, _ = tlv.find(data, 4, end, parameters.OPERATION_ERROR)
        return Error(*causes.decode(data, start, stop))
    except DecodeError as error:  # an error message is never answered with another
        raise DecodeError(str(error), error.cause, silent=True) from None


_READERS: dict[int, Callable[[bytes, int, int], Message]] = {
    REGISTRATION: _registration,
    DEREGISTRATION: _deregistration,
    REGISTRATION_RESPONSE: _registration_response,
    DEREGISTRATION_RESPONSE: _deregistration_response,
    HANDLE_RESOLUTION: _handle_resolution,
    HANDLE_RESOLUTION_RESPONSE: _handle_resolution_response,
    ENDPOINT_KEEP_ALIVE: _endpoint_keep_alive,
    ENDPOINT_KEEP_ALIVE_ACK: _endpoint_keep_alive_ack,
    ENDPOINT_UNREACHABLE: _endpoint_unreachable,
    SERVER_ANNOUNCE: _server_announce,
    COOKIE: _cookie,
    COOKIE_ECHO: _cookie_echo,
    BUSINESS_CARD: _business_card,
    ERROR: _error_message,
}


# Writing: type, flags and body of a message.


def _optional_error(error: int, about: bytes) -> bytes:
    return parameters.encode_error(error, about) if error else b""


def _about(handle: bytes, identifier: int) -> bytes:
    return parameters.encode_handle(handle) + parameters.encode_identifier(identifier)


def _write_registration(m: Registration) -> tuple[int, int, bytes]:
    return REGISTRATION, 0, parameters.encode_handle(m.handle) + parameters.encode_element(m.element)


def _write_deregistration(m: Deregistration) -> tuple[int, int, bytes]:
    return DEREGISTRATION, 0, _about(m.handle, m.identifier)


def _write_registration_response(m: RegistrationResponse) -> tuple[int, int, bytes]:
    body = _about(m.handle, m.identifier) + _optional_error(m.error, m.tlv)
    return REGISTRATION_RESPONSE, REJECT if m.reject else 0, body


def _write_deregistration_response(m: DeregistrationResponse) -> tuple[int, int, bytes]:
    return DEREGISTRATION_RESPONSE, 0, _about(m.handle, m.identifier) + _optional_error(m.error, m.tlv)


def _write_handle_resolution(m: HandleResolution) -> tuple[int, int, bytes]:
    body = parameters.encode_handle(m.handle)
    return HANDLE_RESOLUTION, 0, body if m.items is None else body + parameters.encode_items(m.items)


def _write_handle_resolution_response(m: HandleResolutionResponse) -> tuple[int, int, bytes]:
    parts = [parameters.encode_handle(m.handle)]
    if m.policy is not None:
        parts.append(parameters.encode_policy(m.policy))
    parts.extend(map(parameters.encode_element, m.elements))
    parts.append(_optional_error(m.error, m.tlv))
    return HANDLE_RESOLUTION_RESPONSE, 0, b"".join(parts)


def _write_endpoint_keep_alive(m: EndpointKeepAlive) -> tuple[int, int, bytes]:
    body = U32.pack(m.registrar) + parameters.encode_handle(m.handle)
    if m.identifier is not None:
        body += parameters.encode_identifier(m.identifier)
    return ENDPOINT_KEEP_ALIVE, HOME if m.home else 0, body


def _write_endpoint_keep_alive_ack(m: EndpointKeepAliveAck) -> tuple[int, int, bytes]:
    return ENDPOINT_KEEP_ALIVE_ACK, 0, _about(m.handle, m.identifier)


def _write_endpoint_unreachable(m: EndpointUnreachable) -> tuple[int, int, bytes]:
    return ENDPOINT_UNREACHABLE, 0, _about(m.handle, m.identifier)


def _write_server_announce(m: ServerAnnounce) -> tuple[int, int, bytes]:
    body = U32.pack(m.registrar)
    if m.transport is not None:
        body += parameters.encode_transport(m.transport)
    return SERVER_ANNOUNCE, 0, body + parameters.encode_udp_port(m.udp_port)


def _write_cookie(m: Cookie) -> tuple[int, int, bytes]:
    return COOKIE, 0, tlv.encode(parameters.COOKIE, m.cookie)


def _write_cookie_echo(m: CookieEcho) -> tuple[int, int, bytes]:
    return COOKIE_ECHO, 0, tlv.encode(parameters.COOKIE, m.cookie)


def _write_business_card(m: BusinessCard) -> tuple[int, int, bytes]:
    parts = [parameters.encode_handle(m.handle), parameters.encode_policy(m.policy)]
    parts.extend(map(parameters.encode_element, m.elements))
    return BUSINESS_CARD, 0, b"".join(parts)


def _write_error(m: Error) -> tuple[int, int, bytes]:
    return ERROR, 0, parameters.encode_error(m.error, m.tlv)


def _write_unknown(m: Unknown) -> tuple[int, int, bytes]:
    return m.type, m.flags, m.body


_WRITERS: dict[type, Callable[..., tuple[int, int, bytes]]] = {
    Registration: _write_registration,
    Deregistration: _write_deregistration,
    RegistrationResponse: _write_registration_response,
    DeregistrationResponse: _write_deregistration_response,
    HandleResolution: _write_handle_resolution,
    HandleResolutionResponse: _write_handle_resolution_response,
    EndpointKeepAlive: _write_endpoint_keep_alive,
    EndpointKeepAliveAck: _write_endpoint_keep_alive_ack,
    EndpointUnreachable: _write_endpoint_unreachable,
    ServerAnnounce: _write_server_announce,
    Cookie: _write_cookie,
    CookieEcho: _write_cookie_echo,
    BusinessCard: _write_business_card,
    Error: _write_error,
    Unknown: _write_unknown,
}
