"""ENRP messages: bytes <-> values.

RFC 5353 section 2 (messages), the takeover suggestion flag of the ENRP takeover draft. Every message begins with
the identifiers of sender and receiver (0: unknown or all). What to do about a message is decided in the registrar.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from struct import Struct
from typing import TypeAlias

from . import causes, parameters, tlv
from .types import DecodeError, PoolElement, ServerInformation

PORT = 9901
PPID = 12
PRESENCE_GROUP = "239.0.0.51"

PRESENCE = 0x01
HANDLE_TABLE_REQUEST = 0x02
HANDLE_TABLE_RESPONSE = 0x03
HANDLE_UPDATE = 0x04
LIST_REQUEST = 0x05
LIST_RESPONSE = 0x06
INIT_TAKEOVER = 0x07
INIT_TAKEOVER_ACK = 0x08
TAKEOVER_SERVER = 0x09
ERROR = 0x0A

REPLY_REQUIRED = 0x01  # flag R of PRESENCE
OWN_CHILDREN_ONLY = 0x01  # flag W of HANDLE_TABLE_REQUEST
REJECT = 0x01  # flag R of HANDLE_TABLE_RESPONSE and LIST_RESPONSE
MORE = 0x02  # flag M of HANDLE_TABLE_RESPONSE
TAKEOVER_SUGGESTED = 0x01  # flag T of HANDLE_UPDATE

ADD_PE, DELETE_PE = 0, 1  # actions of HANDLE_UPDATE

NAMES = {
    PRESENCE: "Presence", HANDLE_TABLE_REQUEST: "HandleTableRequest", HANDLE_TABLE_RESPONSE: "HandleTableResponse",
    HANDLE_UPDATE: "HandleUpdate", LIST_REQUEST: "ListRequest", LIST_RESPONSE: "ListResponse",
    INIT_TAKEOVER: "InitTakeover", INIT_TAKEOVER_ACK: "InitTakeoverAck", TAKEOVER_SERVER: "TakeoverServer",
    ERROR: "Error",
}  # fmt: skip

HEADER = Struct(">BBHLL")  # type, flags, length, sender, receiver
_U32 = Struct(">L")
_ACTION = Struct(">HH")


@dataclass(slots=True)
class Presence:
    """PRESENCE (RFC 5353 section 2.1). The checksum covers the pool elements that the sender owns."""

    sender: int
    receiver: int
    checksum: int
    information: ServerInformation
    reply_required: bool = False


@dataclass(slots=True)
class HandleTableRequest:
    """HANDLE_TABLE_REQUEST (section 2.2)."""

    sender: int
    receiver: int
    own_only: bool = False


@dataclass(slots=True)
class HandleTableResponse:
    """HANDLE_TABLE_RESPONSE (section 2.3): pool elements with their pool handles, in order."""

    sender: int
    receiver: int
    entries: Sequence[tuple[bytes, PoolElement]] = field(default_factory=list)
    reject: bool = False
    more: bool = False


@dataclass(slots=True)
class HandleUpdate:
    """HANDLE_UPDATE (section 2.4). ``action``: ADD_PE or DELETE_PE; others are kept as they are."""

    sender: int
    receiver: int
    action: int
    handle: bytes
    element: PoolElement
    takeover_suggested: bool = False


@dataclass(slots=True)
class ListRequest:
    """LIST_REQUEST (section 2.5)."""

    sender: int
    receiver: int


@dataclass(slots=True)
class ListResponse:
    """LIST_RESPONSE (section 2.6)."""

    sender: int
    receiver: int
    servers: Sequence[ServerInformation] = field(default_factory=list)
    reject: bool = False


@dataclass(slots=True)
class InitTakeover:
    """INIT_TAKEOVER (section 2.7)."""

    sender: int
    receiver: int
    target: int


@dataclass(slots=True)
class InitTakeoverAck:
    """INIT_TAKEOVER_ACK (section 2.8)."""

    sender: int
    receiver: int
    target: int


@dataclass(slots=True)
class TakeoverServer:
    """TAKEOVER_SERVER (section 2.9)."""

    sender: int
    receiver: int
    target: int


@dataclass(slots=True)
class Error:
    """ERROR (section 2.10)."""

    sender: int
    receiver: int
    error: int
    tlv: bytes = b""


@dataclass(slots=True)
class Unknown:
    """A message of a type that is not known: it is logged, never answered."""

    type: int
    flags: int
    body: bytes
    sender: int = 0
    receiver: int = 0


Message: TypeAlias = (
    Presence
    | HandleTableRequest
    | HandleTableResponse
    | HandleUpdate
    | ListRequest
    | ListResponse
    | InitTakeover
    | InitTakeoverAck
    | TakeoverServer
    | Error
    | Unknown
)


def decode(data: bytes) -> Message:
    """Return the message in ``data``. DecodeError, and nothing else, if it does not parse."""
    if len(data) < HEADER.size:
        raise DecodeError(f"a message of {len(data)} bytes", causes.INVALID_MESSAGE, silent=True)
    kind, flags, length, sender, receiver = HEADER.unpack_from(data)
    if length < HEADER.size or length > len(data):
        raise DecodeError(f"message length {length} of {len(data)}", causes.INVALID_MESSAGE, silent=True)
    reader = _READERS.get(kind)
    if reader is None:
        return Unknown(kind, flags, data[HEADER.size : length], sender, receiver)
    return reader(data, length, flags, sender, receiver)


def encode(message: Message) -> bytes:
    """Return the bytes of a message. ValueError if a value cannot be expressed."""
    kind, flags, body = _WRITERS[type(message)](message)
    length = HEADER.size + len(body)
    if length > 0xFFFF:
        raise ValueError(f"a message of {length} bytes; 65535 is the limit")
    return HEADER.pack(kind, flags, length, message.sender, message.receiver) + body


# Reading. Arguments: the message, its end, the flags, sender and receiver.

_START = HEADER.size


def _presence(data: bytes, end: int, flags: int, sender: int, receiver: int) -> Message:
    if data[_START : _START + 2] == parameters.SERVER_INFORMATION.to_bytes(2, "big"):
        raise DecodeError("presence without a checksum", causes.INVALID_MESSAGE)
    checksum, position = parameters.find_checksum(data, _START, end)
    start, stop, position = tlv.find(data, position, end, parameters.SERVER_INFORMATION)
    information = parameters.decode_server(data, start, stop)
    tlv.finish(data, position, end)
    return Presence(sender, receiver, checksum, information, bool(flags & REPLY_REQUIRED))


def _handle_table_request(data: bytes, end: int, flags: int, sender: int, receiver: int) -> Message:
    tlv.finish(data, _START, end)
    return HandleTableRequest(sender, receiver, bool(flags & OWN_CHILDREN_ONLY))


def _checked(element: PoolElement) -> PoolElement:
    """Check what ENRP asks of a pool element: an ASAP transport and a home registrar."""
    if element.asap_transport is None:
        raise DecodeError("pool element without an ASAP transport", causes.INVALID_REGISTRAR_TRANSPORT)
    if not element.home:
        raise DecodeError("pool element without a home registrar", causes.INVALID_VALUE)
    return element


def _handle_table_response(data: bytes, end: int, flags: int, sender: int, receiver: int) -> Message:
    entries: list[tuple[bytes, PoolElement]] = []
    handle = b""
    position = _START
    while position < end:
        kind, stop = tlv.header(data, position, end)
        if kind == parameters.POOL_HANDLE:
            handle, _ = parameters.find_handle(data, position, end)
        elif kind == parameters.POOL_ELEMENT:
            if not handle:
                raise DecodeError("pool element before a pool handle", causes.INVALID_MESSAGE)
            entries.append((handle, _checked(parameters.decode_element(data, position + 4, stop))))
        else:
            tlv.unknown(data, position, stop)
        position = (stop + 3) & ~3
    return HandleTableResponse(sender, receiver, entries, bool(flags & REJECT), bool(flags & MORE))


def _handle_update(data: bytes, end: int, flags: int, sender: int, receiver: int) -> Message:
    if end < _START + 4:
        raise DecodeError("handle update without an action", causes.INVALID_MESSAGE)
    action, _ = _ACTION.unpack_from(data, _START)
    handle, position = parameters.find_handle(data, _START + 4, end)
    element, position = parameters.find_element(data, position, end)
    tlv.finish(data, position, end)
    return HandleUpdate(sender, receiver, action, handle, _checked(element), bool(flags & TAKEOVER_SUGGESTED))


def _list_request(data: bytes, end: int, flags: int, sender: int, receiver: int) -> Message:
    tlv.finish(data, _START, end)
    return ListRequest(sender, receiver)


def _list_response(data: bytes, end: int, flags: int, sender: int, receiver: int) -> Message:
    servers: list[ServerInformation] = []
    position = _START
    while position < end:
        kind, stop = tlv.header(data, position, end)
        if kind == parameters.SERVER_INFORMATION:
            servers.append(parameters.decode_server(data, position + 4, stop))
        else:
            tlv.unknown(data, position, stop)
        position = (stop + 3) & ~3
    return ListResponse(sender, receiver, servers, bool(flags & REJECT))


def _takeover(
    kind: type[InitTakeover] | type[InitTakeoverAck] | type[TakeoverServer],
) -> Callable[[bytes, int, int, int, int], Message]:
    def read(data: bytes, end: int, flags: int, sender: int, receiver: int) -> Message:
        if end < _START + 4:
            raise DecodeError("takeover message without a target", causes.INVALID_MESSAGE)
        tlv.finish(data, _START + 4, end)
        return kind(sender, receiver, int(_U32.unpack_from(data, _START)[0]))

    return read


def _error(data: bytes, end: int, flags: int, sender: int, receiver: int) -> Message:
    try:
        start, stop, _ = tlv.find(data, _START, end, parameters.OPERATION_ERROR)
        return Error(sender, receiver, *causes.decode(data, start, stop))
    except DecodeError as error:  # an error message is never answered with another
        raise DecodeError(str(error), error.cause, silent=True) from None


_READERS: dict[int, Callable[[bytes, int, int, int, int], Message]] = {
    PRESENCE: _presence,
    HANDLE_TABLE_REQUEST: _handle_table_request,
    HANDLE_TABLE_RESPONSE: _handle_table_response,
    HANDLE_UPDATE: _handle_update,
    LIST_REQUEST: _list_request,
    LIST_RESPONSE: _list_response,
    INIT_TAKEOVER: _takeover(InitTakeover),
    INIT_TAKEOVER_ACK: _takeover(InitTakeoverAck),
    TAKEOVER_SERVER: _takeover(TakeoverServer),
    ERROR: _error,
}


# Writing: type, flags and body (after the identifiers) of a message.


def _write_presence(m: Presence) -> tuple[int, int, bytes]:
    body = parameters.encode_checksum(m.checksum) + parameters.encode_server(m.information)
    return PRESENCE, REPLY_REQUIRED if m.reply_required else 0, body


def _write_handle_table_request(m: HandleTableRequest) -> tuple[int, int, bytes]:
    return HANDLE_TABLE_REQUEST, OWN_CHILDREN_ONLY if m.own_only else 0, b""


def _write_handle_table_response(m: HandleTableResponse) -> tuple[int, int, bytes]:
    parts: list[bytes] = []
    last: bytes | None = None
    for handle, element in m.entries:
        if handle != last:
            parts.append(parameters.encode_handle(handle))
            last = handle
        parts.append(parameters.encode_element(element))
    flags = (REJECT if m.reject else 0) | (MORE if m.more else 0)
    return HANDLE_TABLE_RESPONSE, flags, b"".join(parts)


def _write_handle_update(m: HandleUpdate) -> tuple[int, int, bytes]:
    body = _ACTION.pack(m.action, 0) + parameters.encode_handle(m.handle) + parameters.encode_element(m.element)
    return HANDLE_UPDATE, TAKEOVER_SUGGESTED if m.takeover_suggested else 0, body


def _write_list_request(m: ListRequest) -> tuple[int, int, bytes]:
    return LIST_REQUEST, 0, b""


def _write_list_response(m: ListResponse) -> tuple[int, int, bytes]:
    return LIST_RESPONSE, REJECT if m.reject else 0, b"".join(map(parameters.encode_server, m.servers))


def _write_takeover(
    kind: int,
) -> Callable[[InitTakeover | InitTakeoverAck | TakeoverServer], tuple[int, int, bytes]]:
    def write(m: InitTakeover | InitTakeoverAck | TakeoverServer) -> tuple[int, int, bytes]:
        return kind, 0, _U32.pack(m.target)

    return write


def _write_error(m: Error) -> tuple[int, int, bytes]:
    return ERROR, 0, parameters.encode_error(m.error, m.tlv)


def _write_unknown(m: Unknown) -> tuple[int, int, bytes]:
    return m.type, m.flags, m.body


_WRITERS: dict[type, Callable[..., tuple[int, int, bytes]]] = {
    Presence: _write_presence,
    HandleTableRequest: _write_handle_table_request,
    HandleTableResponse: _write_handle_table_response,
    HandleUpdate: _write_handle_update,
    ListRequest: _write_list_request,
    ListResponse: _write_list_response,
    InitTakeover: _write_takeover(INIT_TAKEOVER),
    InitTakeoverAck: _write_takeover(INIT_TAKEOVER_ACK),
    TakeoverServer: _write_takeover(TAKEOVER_SERVER),
    Error: _write_error,
    Unknown: _write_unknown,
}
