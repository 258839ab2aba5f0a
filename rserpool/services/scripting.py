"""The scripting service's messages: work packages up, results down (RSPLIB's service).

All begin ``type u8 | flags u8 | length u16``. Who sends what when is not in here.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from rserpool.wire.types import DecodeError

PPID = 35
POOL = "ScriptingPool"
NOT_READY, READY, UPLOAD, DOWNLOAD, KEEP_ALIVE, KEEP_ALIVE_ACK, STATUS, ENVIRONMENT = range(8)
FULLY_LOADED, OUT_OF_RESOURCES = 1, 2  # reasons of NotReady
MAX_INFO = 64
MAX_DATA = 16384
HASH = 20  # bytes of SHA-1
UPLOAD_NEEDED = 0x01

_HEADER = Struct(">BBH")
_U32 = Struct(">L")


@dataclass(slots=True)
class NotReady:
    """A server that cannot take a session, and why."""

    reason: int
    info: str = ""


@dataclass(slots=True)
class Ready:
    """A server that waits for work; ``info`` is its host's name."""

    info: str = ""


@dataclass(slots=True)
class Upload:
    """A piece of a file for the server; an empty one ends it."""

    data: bytes = b""


@dataclass(slots=True)
class Download:
    """A piece of the result; an empty one ends it."""

    data: bytes = b""


@dataclass(slots=True)
class KeepAlive:
    """Asks whether the other end is alive."""


@dataclass(slots=True)
class KeepAliveAck:
    """The answer; servers add a status."""

    status: int | None = None


@dataclass(slots=True)
class Status:
    """0: accepted, working; later the exit code of the script."""

    status: int


@dataclass(slots=True)
class Environment:
    """The hash of an environment file; in the answer whether it has to be uploaded."""

    hash: bytes
    upload_needed: bool = False


Message = NotReady | Ready | Upload | Download | KeepAlive | KeepAliveAck | Status | Environment


def encode(message: Message) -> bytes:
    """Return a message's bytes. ValueError for what is too long."""
    flags = 0
    if isinstance(message, NotReady):
        kind, body = NOT_READY, _U32.pack(message.reason) + _info(message.info)
    elif isinstance(message, Ready):
        kind, body = READY, _info(message.info)
    elif isinstance(message, (Upload, Download)):
        kind, body = UPLOAD if isinstance(message, Upload) else DOWNLOAD, message.data
        if len(body) > MAX_DATA:
            raise ValueError(f"{len(body)} bytes of data; {MAX_DATA} are the limit")
    elif isinstance(message, KeepAlive):
        kind, body = KEEP_ALIVE, b""
    elif isinstance(message, KeepAliveAck):
        kind, body = KEEP_ALIVE_ACK, b"" if message.status is None else _U32.pack(message.status)
    elif isinstance(message, Status):
        kind, body = STATUS, _U32.pack(message.status)
    else:
        if len(message.hash) != HASH:
            raise ValueError(f"a hash of {len(message.hash)} bytes; SHA-1 has {HASH}")
        kind, body, flags = ENVIRONMENT, message.hash, UPLOAD_NEEDED if message.upload_needed else 0
    return _HEADER.pack(kind, flags, _HEADER.size + len(body)) + body


def _info(text: str) -> bytes:
    return text.encode()[:MAX_INFO].decode(errors="ignore").encode()


def decode(data: bytes) -> Message:
    """Return the message. DecodeError if it is none."""
    if len(data) < _HEADER.size:
        raise DecodeError(f"{len(data)} bytes are no message of the scripting service")
    kind, flags, length = _HEADER.unpack_from(data)
    if length != len(data):
        raise DecodeError(f"length {length} of a message of {len(data)} bytes")
    body = data[_HEADER.size :]
    if kind in (UPLOAD, DOWNLOAD):
        if len(body) > MAX_DATA:
            raise DecodeError(f"{len(body)} bytes of data")
        return Upload(body) if kind == UPLOAD else Download(body)
    if kind == KEEP_ALIVE:
        return KeepAlive()
    if kind == KEEP_ALIVE_ACK:
        return KeepAliveAck(_U32.unpack_from(body)[0] if len(body) >= 4 else None)
    if kind == READY:
        return Ready(body[:MAX_INFO].decode(errors="replace"))
    if kind in (NOT_READY, STATUS):
        if len(body) < 4:
            raise DecodeError(f"message of type {kind} with {length} bytes")
        value = _U32.unpack_from(body)[0]
        return (
            Status(value) if kind == STATUS else NotReady(value, body[4 : 4 + MAX_INFO].decode(errors="replace"))
        )
    if kind == ENVIRONMENT:
        if len(body) != HASH:
            raise DecodeError(f"a hash of {len(body)} bytes")
        return Environment(body, bool(flags & UPLOAD_NEEDED))
    raise DecodeError(f"message of unknown type {kind}")
