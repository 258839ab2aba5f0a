"""The messages of the Endpoint Handlespace Redundancy Protocol: bytes <-> one class for each.

RFC 5353 section 2; the takeover suggestion flag of its draft. `decode` takes what RSPLIB takes, and loopback
addresses besides. What to do with a message is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Any

from . import causes, framing, parameters, tlv
from .types import DecodeError, PoolElement, ServerInformation, UnknownMessage

PPID = 12
PORT = 9901

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

REPLY_REQUIRED = 0x01  # PRESENCE
OWN_CHILDREN = 0x01  # HANDLE_TABLE_REQUEST
REJECT = 0x01  # both responses
MORE = 0x02  # HANDLE_TABLE_RESPONSE
TAKEOVER_SUGGESTED = 0x01  # HANDLE_UPDATE

ADD_PE, DELETE_PE = 0, 1

_IDS = Struct(">LL")
_ACTION = Struct(">HH")
_U32 = Struct(">L")


@dataclass(slots=True)
class Presence:
    """PRESENCE (RFC 5353 section 2.1). ``checksum`` covers the elements that the sender owns."""

    sender: int
    receiver: int
    checksum: int
    information: ServerInformation
    reply_required: bool = False


@dataclass(slots=True)
class HandleTableRequest:
    """HANDLE_TABLE_REQUEST (section 2.2). ``own_only``: only elements whose home is the receiver."""

    sender: int
    receiver: int
    own_only: bool = False


@dataclass(slots=True)
class HandleTableResponse:
    """HANDLE_TABLE_RESPONSE (section 2.3). ``entries`` are (pool handle, pool element) in order."""

    sender: int
    receiver: int
    entries: Sequence[tuple[bytes, PoolElement]] = ()
    reject: bool = False
    more: bool = False


@dataclass(slots=True)
class HandleUpdate:
    """HANDLE_UPDATE (section 2.4). ``action``: ADD_PE, DELETE_PE or what else came."""

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
    """LIST_RESPONSE (section 2.6): the registrars that the sender knows."""

    sender: int
    receiver: int
    servers: Sequence[ServerInformation] = ()
    reject: bool = False


@dataclass(slots=True)
class InitTakeover:
    """INIT_TAKEOVER (section 2.7). ``target`` is the registrar that seems to be dead."""

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
    data: bytes = b""


Message = (
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
)


def decode(data: bytes) -> Message:
    """Return the message in ``data``. Raises DecodeError, for an unknown type its subclass UnknownMessage."""
    kind, flags, end = framing.decode(data)
    decoder = _DECODERS.get(kind)
    if decoder is None:
        raise UnknownMessage("ENRP", kind)
    if end < 12:
        raise DecodeError("ENRP message without its identifiers", causes.INVALID_MESSAGE, silent=kind == ERROR)
    sender, receiver = _IDS.unpack_from(data, 4)
    return decoder(data, flags, end, sender, receiver)


def encode(message: Message) -> bytes:
    """Return a message's bytes. ValueError for what has no form; TypeError if it is no message of ENRP."""
    encoder = _ENCODERS.get(type(message))
    if encoder is None:
        raise TypeError(f"{type(message).__name__} is not a message of ENRP")
    number, flags, parts = encoder(message)
    return framing.encode(number, flags, _IDS.pack(message.sender, message.receiver), *parts)


# Bytes to messages


def _presence(data: bytes, flags: int, end: int, sender: int, receiver: int) -> Presence:
    checksum, position = parameters.find_checksum(data, 12, end)
    start, stop, position = tlv.find(data, position, end, parameters.SERVER_INFORMATION)
    information = parameters.decode_server(data, start, stop)
    tlv.finish(data, position, end)
    return Presence(sender, receiver, checksum, information, bool(flags & REPLY_REQUIRED))


def _handle_table_request(data: bytes, flags: int, end: int, sender: int, receiver: int) -> HandleTableRequest:
    tlv.finish(data, 12, end)
    return HandleTableRequest(sender, receiver, bool(flags & OWN_CHILDREN))


def _registered(element: PoolElement) -> PoolElement:
    """Check what an element must have between registrars."""
    if element.asap_transport is None:
        raise DecodeError("pool element without ASAP transport", causes.INVALID_REGISTRAR_TRANSPORT)
    if element.home == 0:
        raise DecodeError("pool element without home registrar", causes.INVALID_VALUE)
    return element


def _handle_table_response(data: bytes, flags: int, end: int, sender: int, receiver: int) -> HandleTableResponse:
    entries: list[tuple[bytes, PoolElement]] = []
    handle: bytes | None = None
    position = 12
    while position < end:
        kind, stop = tlv.header(data, position, end)
        if kind == parameters.POOL_ELEMENT:
            if handle is None:
                raise DecodeError("pool element without a pool handle", causes.INVALID_MESSAGE)
            entries.append((handle, _registered(parameters.decode_element(data, position + 4, stop))))
        elif kind == parameters.POOL_HANDLE:
            handle, _ = parameters.find_handle(data, position, end)
        else:
            tlv.unknown(data, position, stop)
        position = (stop + 3) & ~3
    return HandleTableResponse(sender, receiver, entries, bool(flags & REJECT), bool(flags & MORE))


def _handle_update(data: bytes, flags: int, end: int, sender: int, receiver: int) -> HandleUpdate:
    if end < 16:
        raise DecodeError("handle update without an action", causes.INVALID_MESSAGE)
    action, _ = _ACTION.unpack_from(data, 12)
    handle, position = parameters.find_handle(data, 16, end)
    element, position = parameters.find_element(data, position, end)
    tlv.finish(data, position, end)
    suggested = bool(flags & TAKEOVER_SUGGESTED)
    return HandleUpdate(sender, receiver, action, handle, _registered(element), suggested)


def _list_request(data: bytes, flags: int, end: int, sender: int, receiver: int) -> ListRequest:
    tlv.finish(data, 12, end)
    return ListRequest(sender, receiver)


def _list_response(data: bytes, flags: int, end: int, sender: int, receiver: int) -> ListResponse:
    servers: list[ServerInformation] = []
    position = 12
    while position < end:
        kind, stop = tlv.header(data, position, end)
        if kind == parameters.SERVER_INFORMATION:
            servers.append(parameters.decode_server(data, position + 4, stop))
        else:
            tlv.unknown(data, position, stop)
        position = (stop + 3) & ~3
    return ListResponse(sender, receiver, servers, bool(flags & REJECT))


def _targeted(kind: Callable[[int, int, int], Any]) -> Callable[[bytes, int, int, int, int], Any]:
    def decoder(data: bytes, flags: int, end: int, sender: int, receiver: int) -> Any:
        if end < 16:
            raise DecodeError("takeover message without a target", causes.INVALID_MESSAGE)
        tlv.finish(data, 16, end)
        return kind(sender, receiver, _U32.unpack_from(data, 12)[0])

    return decoder


def _error(data: bytes, flags: int, end: int, sender: int, receiver: int) -> Error:
    return Error(sender, receiver, *parameters.only_error(data, 12, end))


_DECODERS: dict[int, Callable[[bytes, int, int, int, int], Message]] = {
    PRESENCE: _presence,
    HANDLE_TABLE_REQUEST: _handle_table_request,
    HANDLE_TABLE_RESPONSE: _handle_table_response,
    HANDLE_UPDATE: _handle_update,
    LIST_REQUEST: _list_request,
    LIST_RESPONSE: _list_response,
    INIT_TAKEOVER: _targeted(InitTakeover),
    INIT_TAKEOVER_ACK: _targeted(InitTakeoverAck),
    TAKEOVER_SERVER: _targeted(TakeoverServer),
    ERROR: _error,
}


# Messages to bytes: type, flags, what follows the identifiers

_Parts = tuple[int, int, Sequence[bytes]]


def _encode_presence(m: Presence) -> _Parts:
    flags = REPLY_REQUIRED if m.reply_required else 0
    return PRESENCE, flags, (parameters.encode_checksum(m.checksum), parameters.encode_server(m.information))


def _encode_table_request(m: HandleTableRequest) -> _Parts:
    return HANDLE_TABLE_REQUEST, OWN_CHILDREN if m.own_only else 0, ()


def _encode_table_response(m: HandleTableResponse) -> _Parts:
    parts: list[bytes] = []
    last: bytes | None = None
    for handle, element in m.entries:
        if handle != last:
            parts.append(parameters.encode_handle(handle))
            last = handle
        parts.append(parameters.encode_element(element))
    return HANDLE_TABLE_RESPONSE, (REJECT if m.reject else 0) | (MORE if m.more else 0), parts


def _encode_update(m: HandleUpdate) -> _Parts:
    flags = TAKEOVER_SUGGESTED if m.takeover_suggested else 0
    handle, element = parameters.encode_handle(m.handle), parameters.encode_element(m.element)
    return HANDLE_UPDATE, flags, (_ACTION.pack(m.action, 0), handle, element)


def _encode_list_request(m: ListRequest) -> _Parts:
    return LIST_REQUEST, 0, ()


def _encode_list_response(m: ListResponse) -> _Parts:
    return LIST_RESPONSE, REJECT if m.reject else 0, tuple(map(parameters.encode_server, m.servers))


def _encode_targeted(number: int) -> Callable[[Any], _Parts]:
    def encoder(m: InitTakeover | InitTakeoverAck | TakeoverServer) -> _Parts:
        return number, 0, (_U32.pack(m.target),)

    return encoder


def _encode_error(m: Error) -> _Parts:
    return ERROR, 0, (parameters.encode_error(m.error, m.data),)


_ENCODERS: dict[type, Callable[[Any], _Parts]] = {
    Presence: _encode_presence,
    HandleTableRequest: _encode_table_request,
    HandleTableResponse: _encode_table_response,
    HandleUpdate: _encode_update,
    ListRequest: _encode_list_request,
    ListResponse: _encode_list_response,
    InitTakeover: _encode_targeted(INIT_TAKEOVER),
    InitTakeoverAck: _encode_targeted(INIT_TAKEOVER_ACK),
    TakeoverServer: _encode_targeted(TAKEOVER_SERVER),
    Error: _encode_error,
}
