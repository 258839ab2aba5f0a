"""Error cause codes and the operation error parameter.

RFC 5354 section 3.12 (codes below 0x10); the others are RSPLIB's, and only those that it sends are listed as wire
codes. No exceptions here but DecodeError.
"""

from __future__ import annotations

from struct import Struct

from .types import DecodeError

UNSPECIFIED = 0
UNRECOGNIZED_PARAMETER = 1
UNRECOGNIZED_MESSAGE = 2
INVALID_TLV = 3  # "invalid values" in RFC 5354
NON_UNIQUE_IDENTIFIER = 4
INCOMPATIBLE_POLICY = 5
LACK_OF_RESOURCES = 6
INCONSISTENT_TRANSPORT = 7
INCONSISTENT_CONTROL_CHANNEL = 8
UNKNOWN_POOL_HANDLE = 9
REJECTED_FOR_SECURITY = 10
INVALID_MESSAGE = 0x10
INVALID_VALUE = 0x11
NOT_INITIALIZED = 0x1000
BUFFER_SIZE_EXCEEDED = 0x1001
READ_ERROR = 0x1003
WRITE_ERROR = 0x1004
SOCKET_ERROR = 0x1005
CONNECT_ERROR = 0x1006
NO_REGISTRAR = 0x1007
TIMEOUT = 0x1008
UNRECOGNIZED_SILENT = 0x1009
WRONG_PROTOCOL = 0x100A
UNSUPPORTED_POLICY = 0x100B
INVALID_IDENTIFIER = 0xF000
OWN_IDENTIFIER = 0xF001
DUPLICATE_IDENTIFIER = 0xF002
INVALID_POLICY = 0xF003
INVALID_POOL_HANDLE = 0xF004
INVALID_ADDRESSES = 0xF005
INVALID_REGISTRAR_TRANSPORT = 0xF006
NO_USABLE_ASAP_ADDRESSES = 0xF007
NO_USABLE_USER_ADDRESSES = 0xF008

TEXTS: dict[int, str] = {
    UNSPECIFIED: "okay",
    UNRECOGNIZED_PARAMETER: "unrecognized parameter",
    UNRECOGNIZED_MESSAGE: "unrecognized message",
    INVALID_TLV: "invalid values",
    NON_UNIQUE_IDENTIFIER: "non-unique pool element identifier",
    INCOMPATIBLE_POLICY: "incompatible pool policy",
    LACK_OF_RESOURCES: "lack of resources",
    INCONSISTENT_TRANSPORT: "inconsistent transport type",
    INCONSISTENT_CONTROL_CHANNEL: "inconsistent data/control configuration",
    UNKNOWN_POOL_HANDLE: "unknown pool handle",
    REJECTED_FOR_SECURITY: "rejected for security reasons",
    INVALID_MESSAGE: "invalid message",
    INVALID_VALUE: "invalid value",
    NOT_INITIALIZED: "library not initialised",
    BUFFER_SIZE_EXCEEDED: "buffer size exceeded",
    READ_ERROR: "read error",
    WRITE_ERROR: "write error",
    SOCKET_ERROR: "socket error",
    CONNECT_ERROR: "connection establishment failed",
    NO_REGISTRAR: "no registrar available",
    TIMEOUT: "timeout",
    UNRECOGNIZED_SILENT: "unrecognized parameter (silent)",
    WRONG_PROTOCOL: "wrong transport protocol for the pool",
    UNSUPPORTED_POLICY: "unsupported pool policy",
    INVALID_IDENTIFIER: "invalid identifier",
    OWN_IDENTIFIER: "own identifier",
    DUPLICATE_IDENTIFIER: "duplicate identifier",
    INVALID_POLICY: "invalid pool policy",
    INVALID_POOL_HANDLE: "invalid pool handle",
    INVALID_ADDRESSES: "invalid addresses",
    INVALID_REGISTRAR_TRANSPORT: "invalid ASAP transport",
    NO_USABLE_ASAP_ADDRESSES: "no usable ASAP transport addresses",
    NO_USABLE_USER_ADDRESSES: "no usable user transport addresses",
}

_CAUSE = Struct(">HH")
# RSPLIB gives no data with the last two, for which RFC 5354 sections 3.12.6 and 3.12.8 have the pool's values.
_WITH_DATA = frozenset(
    (
        UNRECOGNIZED_PARAMETER,
        UNRECOGNIZED_MESSAGE,
        INVALID_TLV,
        INVALID_VALUE,
        INCOMPATIBLE_POLICY,
        INCONSISTENT_TRANSPORT,
    )
)
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")


def text(code: int) -> str:
    """Return what a cause code means."""
    return TEXTS.get(code, f"error 0x{code:04x}")


def encode(code: int, data: bytes = b"") -> bytes:
    """Return one error cause: the value of an operation error parameter."""
    if code not in _WITH_DATA:
        data = b""
    length = 4 + len(data)
    return _CAUSE.pack(code, length) + data + _PADDING[length & 3]


def decode(data: bytes, start: int, end: int) -> tuple[int, bytes]:
    """Return code and data of the first cause, as RSPLIB reads it; DecodeError."""
    if end - start < 4:
        raise DecodeError("operation error without a cause", INVALID_MESSAGE)
    code, length = _CAUSE.unpack_from(data, start)
    if length < 4 or start + length > end:
        raise DecodeError(f"error cause of length {length}", INVALID_MESSAGE)
    return code, data[start + 4 : start + length]
