"""The message header that ASAP and ENRP share (RFC 5354 section 2): type, flags, length of the whole message.

Which types there are is in `asap` and `enrp`, each with a number space of its own.
"""

from __future__ import annotations

from struct import Struct

from . import causes
from .types import DecodeError

HEADER = Struct(">BBH")
MAX_MESSAGE = 0xFFFF


def decode(data: bytes) -> tuple[int, int, int]:
    """Return ``(type, flags, end)`` of a message. DecodeError, silent, if its length cannot be right."""
    size = len(data)
    if size < 4:
        raise DecodeError(f"a message of {size} bytes", causes.INVALID_MESSAGE, silent=True)
    kind, flags, length = HEADER.unpack_from(data)
    # Some leave the padding of the last parameter out of the length; RSPLIB counts it.
    if length < 4 or length > size or size - length > 3:
        raise DecodeError(f"length {length} in a message of {size} bytes", causes.INVALID_MESSAGE, silent=True)
    return kind, flags, length


def encode(kind: int, flags: int, *parts: bytes) -> bytes:
    """Return a message with its header. ValueError if it is longer than 65535 bytes."""
    body = b"".join(parts)
    length = 4 + len(body)
    if length > MAX_MESSAGE:
        raise ValueError(f"a message of {length} bytes; {MAX_MESSAGE} is the limit")
    return HEADER.pack(kind, flags, length) + body
