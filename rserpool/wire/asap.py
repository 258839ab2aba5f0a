"""The messages of the Aggregate Server Access Protocol: bytes <-> one class for each.

RFC 5352 section 2.2; RSPLIB's additions: the handle resolution option, the PE identifier in ENDPOINT_KEEP_ALIVE.
`decode` takes what RSPLIB takes, and loopback addresses and business cards besides. What to do with a message is
not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Any

from . import causes, framing, parameters, tlv
from .types import DecodeError, Policy, PoolElement, Transport, UnknownMessage

PPID = 11
PORT = 3863

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

REJECT = 0x01  # in both responses to pool elements
HOME = 0x01  # in ENDPOINT_KEEP_ALIVE

_U32 = Struct(">L")


@dataclass(slots=True)
class Registration:
    """REGISTRATION (RFC 5352 section 2.2.1): a pool element to its registrar."""

    handle: bytes
    element: PoolElement


@dataclass(slots=True)
class Deregistration:
    """DEREGISTRATION (section 2.2.2)."""

    handle: bytes
    identifier: int


@dataclass(slots=True)
class RegistrationResponse:
    """REGISTRATION_RESPONSE (section 2.2.3). ``error``: a cause code, None without operation error."""

    handle: bytes
    identifier: int
    reject: bool = False
    error: int | None = None
    error_data: bytes = b""


@dataclass(slots=True)
class DeregistrationResponse:
    """DEREGISTRATION_RESPONSE (section 2.2.4)."""

    handle: bytes
    identifier: int
    reject: bool = False
    error: int | None = None
    error_data: bytes = b""


@dataclass(slots=True)
class HandleResolution:
    """HANDLE_RESOLUTION (section 2.2.5). ``items``: RSPLIB's option, how many elements are wanted at most."""

    handle: bytes
    items: int | None = None


@dataclass(slots=True)
class HandleResolutionResponse:
    """HANDLE_RESOLUTION_RESPONSE (section 2.2.6): policy and elements in order of preference, or an error."""

    handle: bytes
    policy: Policy | None = None
    elements: Sequence[PoolElement] = ()
    error: int | None = None
    error_data: bytes = b""


@dataclass(slots=True)
class EndpointKeepAlive:
    """ENDPOINT_KEEP_ALIVE (section 2.2.7). ``home``: the sender is the home registrar from now on.

    ``identifier`` is RSPLIB's addition; None where the RFC's form was received.
    """

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
    """SERVER_ANNOUNCE (section 2.2.10), by UDP. Without transports its source address and port are meant."""

    registrar: int
    transports: Sequence[Transport] = ()
    udp_port: int | None = None


@dataclass(slots=True)
class Cookie:
    """COOKIE (section 2.2.11): a pool element's state, for the pool user to keep."""

    cookie: bytes


@dataclass(slots=True)
class CookieEcho:
    """COOKIE_ECHO (section 2.2.12): the latest cookie, to the next pool element."""

    cookie: bytes


@dataclass(slots=True)
class BusinessCard:
    """BUSINESS_CARD (section 2.2.13): where a pool user may turn when this element fails."""

    handle: bytes
    policy: Policy
    elements: Sequence[PoolElement]


@dataclass(slots=True)
class Error:
    """ERROR (section 2.2.14). ``data`` is the offending parameter, where the cause has one."""

    error: int
    data: bytes = b""


Message = (
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
)


def decode(data: bytes) -> Message:
    """Return the message in ``data``. Raises DecodeError, for an unknown type its subclass UnknownMessage."""
    kind, flags, end = framing.decode(data)
    decoder = _DECODERS.get(kind)
    if decoder is None:
        raise UnknownMessage("ASAP", kind)
    return decoder(data, flags, end)


def encode(message: Message) -> bytes:
    """Return a message's bytes. ValueError for what has no form; TypeError if it is no message of ASAP."""
    encoder = _ENCODERS.get(type(message))
    if encoder is None:
        raise TypeError(f"{type(message).__name__} is not a message of ASAP")
    return encoder(message)


# Bytes to messages


def _registration(data: bytes, flags: int, end: int) -> Registration:
    handle, position = parameters.find_handle(data, 4, end)
    element, position = parameters.find_element(data, position, end)
    tlv.finish(data, position, end, strict=True)
    return Registration(handle, element)


def _handle_and_identifier(kind: Callable[[bytes, int], Any]) -> Callable[[bytes, int, int], Any]:
    def decoder(data: bytes, flags: int, end: int) -> Any:
        handle, position = parameters.find_handle(data, 4, end)
        identifier, position = parameters.find_identifier(data, position, end)
        tlv.finish(data, position, end)
        return kind(handle, identifier)

    return decoder


def _response(kind: type[RegistrationResponse] | type[DeregistrationResponse]) -> Callable[[bytes, int, int], Any]:
    def decoder(data: bytes, flags: int, end: int) -> Any:
        handle, position = parameters.find_handle(data, 4, end)
        identifier, position = parameters.find_identifier(data, position, end)
        error, error_data = parameters.find_error(data, position, end)
        return kind(handle, identifier, bool(flags & REJECT), error, error_data)

    return decoder


def _handle_resolution(data: bytes, flags: int, end: int) -> HandleResolution:
    handle, position = parameters.find_handle(data, 4, end)
    items = None
    while position < end:
        kind, stop = tlv.header(data, position, end)
        if kind in (parameters.HANDLE_RESOLUTION_OPTION, parameters.HANDLE_RESOLUTION_OPTION_PLAIN):
            if stop - position < 8:
                raise DecodeError(
                    "handle resolution option is too short", causes.INVALID_VALUE, data[position:stop]
                )
            items = _U32.unpack_from(data, position + 4)[0]
        else:
            tlv.unknown(data, position, stop)
        position = (stop + 3) & ~3
    return HandleResolution(handle, items)


def _pool(data: bytes, end: int) -> HandleResolutionResponse:
    """A handle, then a policy and elements, or an error."""
    handle, position = parameters.find_handle(data, 4, end)
    response = HandleResolutionResponse(handle)
    elements: list[PoolElement] = []
    while position < end:
        kind, stop = tlv.header(data, position, end)
        if kind == parameters.POOL_ELEMENT:
            elements.append(parameters.decode_element(data, position + 4, stop))
        elif kind == parameters.POLICY:
            response.policy = parameters.decode_policy(data, position + 4, stop)
        elif kind == parameters.OPERATION_ERROR:
            if response.error is None:
                response.error, response.error_data = causes.decode(data, position + 4, stop)
        else:
            tlv.unknown(data, position, stop)
        position = (stop + 3) & ~3
    response.elements = elements
    return response


def _handle_resolution_response(data: bytes, flags: int, end: int) -> HandleResolutionResponse:
    response = _pool(data, end)
    if response.error is None and response.policy is None:
        raise DecodeError("handle resolution response without policy and error", causes.INVALID_MESSAGE)
    return response


def _business_card(data: bytes, flags: int, end: int) -> BusinessCard:
    response = _pool(data, end)
    if response.policy is None or not response.elements:
        raise DecodeError("business card without policy or pool element", causes.INVALID_MESSAGE)
    return BusinessCard(response.handle, response.policy, response.elements)


def _endpoint_keep_alive(data: bytes, flags: int, end: int) -> EndpointKeepAlive:
    if end < 8:
        raise DecodeError("keep-alive without a registrar identifier", causes.INVALID_MESSAGE)
    handle, position = parameters.find_handle(data, 8, end)
    identifier = None
    while position < end:
        kind, stop = tlv.header(data, position, end)
        if kind == parameters.PE_IDENTIFIER:
            identifier, _ = parameters.find_identifier(data, position, end)
        else:
            tlv.unknown(data, position, stop)
        position = (stop + 3) & ~3
    return EndpointKeepAlive(_U32.unpack_from(data, 4)[0], handle, identifier, bool(flags & HOME))


def _server_announce(data: bytes, flags: int, end: int) -> ServerAnnounce:
    if end < 8:
        raise DecodeError("announce without a registrar identifier", causes.INVALID_MESSAGE)
    transports: list[Transport] = []
    udp_port = None
    position = 8
    while position < end:
        kind, stop = tlv.header(data, position, end)
        if kind == parameters.SCTP_TRANSPORT:
            transports.append(parameters.decode_transport(data, position, end)[0])
        elif kind == parameters.SERVER_INFORMATION:
            server = parameters.decode_server(data, position + 4, stop)
            transports.append(server.transport)
            udp_port = server.udp_port or udp_port
        elif kind == parameters.UDP_PORT:
            udp_port = parameters.decode_udp_port(data, position, stop) or udp_port
        else:
            tlv.unknown(data, position, stop)
        position = (stop + 3) & ~3
    return ServerAnnounce(_U32.unpack_from(data, 4)[0], transports, udp_port)


def _opaque(kind: type[Cookie] | type[CookieEcho]) -> Callable[[bytes, int, int], Any]:
    def decoder(data: bytes, flags: int, end: int) -> Any:
        start, stop, position = tlv.find(data, 4, end, parameters.COOKIE)
        tlv.finish(data, position, end)
        return kind(data[start:stop])

    return decoder


def _error(data: bytes, flags: int, end: int) -> Error:
    return Error(*parameters.only_error(data, 4, end))


_DECODERS: dict[int, Callable[[bytes, int, int], Message]] = {
    REGISTRATION: _registration,
    DEREGISTRATION: _handle_and_identifier(Deregistration),
    REGISTRATION_RESPONSE: _response(RegistrationResponse),
    DEREGISTRATION_RESPONSE: _response(DeregistrationResponse),
    HANDLE_RESOLUTION: _handle_resolution,
    HANDLE_RESOLUTION_RESPONSE: _handle_resolution_response,
    ENDPOINT_KEEP_ALIVE: _endpoint_keep_alive,
    ENDPOINT_KEEP_ALIVE_ACK: _handle_and_identifier(EndpointKeepAliveAck),
    ENDPOINT_UNREACHABLE: _handle_and_identifier(EndpointUnreachable),
    SERVER_ANNOUNCE: _server_announce,
    COOKIE: _opaque(Cookie),
    COOKIE_ECHO: _opaque(CookieEcho),
    BUSINESS_CARD: _business_card,
    ERROR: _error,
}


# Messages to bytes


def _encode_registration(m: Registration) -> bytes:
    return framing.encode(
        REGISTRATION, 0, parameters.encode_handle(m.handle), parameters.encode_element(m.element)
    )


def _encode_named(number: int) -> Callable[[Any], bytes]:
    def encoder(m: Deregistration | EndpointKeepAliveAck | EndpointUnreachable) -> bytes:
        return framing.encode(
            number, 0, parameters.encode_handle(m.handle), parameters.encode_identifier(m.identifier)
        )

    return encoder


def _encode_response(number: int) -> Callable[[Any], bytes]:
    def encoder(m: RegistrationResponse | DeregistrationResponse) -> bytes:
        return framing.encode(
            number,
            REJECT if m.reject else 0,
            parameters.encode_handle(m.handle),
            parameters.encode_identifier(m.identifier),
            parameters.encode_error(m.error, m.error_data),
        )

    return encoder


def _encode_handle_resolution(m: HandleResolution) -> bytes:
    option = b"" if m.items is None else parameters.encode_items(m.items)
    return framing.encode(HANDLE_RESOLUTION, 0, parameters.encode_handle(m.handle), option)


def _encode_handle_resolution_response(m: HandleResolutionResponse) -> bytes:
    policy = b"" if m.policy is None else parameters.encode_policy(m.policy)
    return framing.encode(
        HANDLE_RESOLUTION_RESPONSE,
        0,
        parameters.encode_handle(m.handle),
        policy,
        *map(parameters.encode_element, m.elements),
        parameters.encode_error(m.error, m.error_data),
    )


def _encode_keep_alive(m: EndpointKeepAlive) -> bytes:
    identifier = b"" if m.identifier is None else parameters.encode_identifier(m.identifier)
    return framing.encode(
        ENDPOINT_KEEP_ALIVE,
        HOME if m.home else 0,
        _U32.pack(m.registrar),
        parameters.encode_handle(m.handle),
        identifier,
    )


def _encode_announce(m: ServerAnnounce) -> bytes:
    return framing.encode(
        SERVER_ANNOUNCE,
        0,
        _U32.pack(m.registrar),
        *map(parameters.encode_transport, m.transports),
        parameters.encode_udp_port(m.udp_port),
    )


def _encode_cookie(number: int) -> Callable[[Any], bytes]:
    def encoder(m: Cookie | CookieEcho) -> bytes:
        return framing.encode(number, 0, tlv.encode(parameters.COOKIE, m.cookie))

    return encoder


def _encode_business_card(m: BusinessCard) -> bytes:
    return framing.encode(
        BUSINESS_CARD,
        0,
        parameters.encode_handle(m.handle),
        parameters.encode_policy(m.policy),
        *map(parameters.encode_element, m.elements),
    )


def _encode_error(m: Error) -> bytes:
    return framing.encode(ERROR, 0, parameters.encode_error(m.error, m.data))


_ENCODERS: dict[type, Callable[[Any], bytes]] = {
    Registration: _encode_registration,
    Deregistration: _encode_named(DEREGISTRATION),
    RegistrationResponse: _encode_response(REGISTRATION_RESPONSE),
    DeregistrationResponse: _encode_response(DEREGISTRATION_RESPONSE),
    HandleResolution: _encode_handle_resolution,
    HandleResolutionResponse: _encode_handle_resolution_response,
    EndpointKeepAlive: _encode_keep_alive,
    EndpointKeepAliveAck: _encode_named(ENDPOINT_KEEP_ALIVE_ACK),
    EndpointUnreachable: _encode_named(ENDPOINT_UNREACHABLE),
    ServerAnnounce: _encode_announce,
    Cookie: _encode_cookie(COOKIE),
    CookieEcho: _encode_cookie(COOKIE_ECHO),
    BusinessCard: _encode_business_card,
    Error: _encode_error,
}
