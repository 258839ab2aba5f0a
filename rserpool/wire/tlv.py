"""Type-length-value parameters: the walk over them and what to do with unknown ones.

RFC 5354 section 2: the two high bits of an unknown type say whether to stop or to skip, and whether to report.
Which parameters there are is in `parameters`.
"""

from __future__ import annotations

from struct import Struct

from . import causes
from .types import DecodeError

HEADER = Struct(">HH")
STOP_SILENT, STOP_REPORT = 0x0000, 0x4000
HIGH_BITS = 0xC000
SKIP_BIT = 0x8000
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")


def encode(kind: int, value: bytes) -> bytes:
    """Return one parameter, padded; its length field counts header and value. ValueError if it is too long."""
    length = 4 + len(value)
    if length > 0xFFFF:
        raise ValueError(f"a parameter of {length} bytes; 65535 is the limit")
    return HEADER.pack(kind, length) + value + _PADDING[length & 3]


def header(data: bytes, position: int, end: int) -> tuple[int, int]:
    """Return ``(type, end of the value)`` of the parameter at ``position``. DecodeError if it does not fit."""
    if end - position < 4:
        raise DecodeError(f"{end - position} bytes where a parameter should be", causes.INVALID_MESSAGE)
    kind, length = HEADER.unpack_from(data, position)
    if length < 4 or position + length > end:
        raise DecodeError(
            f"parameter 0x{kind:04x} has length {length} of {end - position}", causes.INVALID_MESSAGE
        )
    return kind, position + length


def unknown(data: bytes, position: int, stop: int, invalid: bool = False) -> None:
    """Obey the high bits of the unknown parameter in ``data[position:stop]``: return to skip it.

    DecodeError to stop: silent, or with the cause "unrecognized parameter"; with ``invalid``, in the midst of
    parameters that are expected, "invalid TLV" in both cases, as RSPLIB does.
    """
    kind = HEADER.unpack_from(data, position)[0]
    if kind & SKIP_BIT:
        return
    text = f"unexpected parameter 0x{kind:04x}"
    tlv = data[position:stop]
    if invalid:
        raise DecodeError(text, causes.INVALID_TLV, tlv)
    if kind & HIGH_BITS == STOP_SILENT:
        raise DecodeError(text, causes.UNRECOGNIZED_PARAMETER, silent=True)
    raise DecodeError(text, causes.UNRECOGNIZED_PARAMETER, tlv)


def find(data: bytes, position: int, end: int, wanted: int, invalid: bool = False) -> tuple[int, int, int]:
    """Find parameter ``wanted`` at ``position``, after skippable unknown ones.

    Returns ``(start of value, end of value, position after the padding)``. DecodeError if it is not there.
    """
    while True:
        if position >= end:
            raise DecodeError(f"parameter 0x{wanted:04x} is missing", causes.INVALID_MESSAGE)
        kind, stop = header(data, position, end)
        if kind == wanted:
            return position + 4, stop, (stop + 3) & ~3
        unknown(data, position, stop, invalid)
        position = (stop + 3) & ~3


def finish(data: bytes, position: int, end: int, strict: bool = False) -> None:
    """Check what is left after the last expected parameter: unknown ones by their high bits.

    ``strict``: nothing may be left (REGISTRATION, where RSPLIB answers "invalid message").
    """
    while position < end:
        if strict:
            raise DecodeError("surplus parameters at the end", causes.INVALID_MESSAGE)
        _, stop = header(data, position, end)
        unknown(data, position, stop)
        position = (stop + 3) & ~3
