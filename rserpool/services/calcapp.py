"""CalcApp: the messages of a service that computes for a while, and its cookie (RSPLIB's service).

One form for all: ``type u8 | flags u8 | length u16 | job u32 | size u64 | completed u64``; sizes are in
calculations. Who sends what when is in `calcapp_server`.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from rserpool.wire.types import DecodeError

PPID = 34
POOL = "CalcAppPool"
REQUEST, ACCEPT, REJECT, ABORT, COMPLETE, KEEP_ALIVE, KEEP_ALIVE_ACK = range(1, 8)
NAMES = {
    REQUEST: "Request",
    ACCEPT: "Accept",
    REJECT: "Reject",
    ABORT: "Abort",
    COMPLETE: "Complete",
    KEEP_ALIVE: "KeepAlive",
    KEEP_ALIVE_ACK: "KeepAliveAck",
}

_MESSAGE = Struct(">BBHLQQ")
_COOKIE = Struct(">LQQ")


@dataclass(slots=True)
class Message:
    """One message; ``type`` is one of the names above or what else came."""

    type: int
    job: int = 0
    size: int = 0
    completed: int = 0


@dataclass(slots=True)
class Cookie:
    """A job's progress, for another server."""

    job: int
    size: int
    completed: int


def encode(message: Message) -> bytes:
    """Return a message's 24 bytes."""
    return _MESSAGE.pack(message.type, 0, _MESSAGE.size, message.job, message.size, message.completed)


def decode(data: bytes) -> Message:
    """Return the message. DecodeError if it is none."""
    if len(data) != _MESSAGE.size:
        raise DecodeError(f"{len(data)} bytes are no CalcApp message")
    kind, _, length, job, size, completed = _MESSAGE.unpack(data)
    if length != len(data):
        raise DecodeError(f"length {length} of a CalcApp message")
    return Message(kind, job, size, completed)


def encode_cookie(cookie: Cookie) -> bytes:
    """Return the cookie's 20 bytes."""
    return _COOKIE.pack(cookie.job, cookie.size, cookie.completed)


def decode_cookie(data: bytes) -> Cookie:
    """Return the progress in a cookie. DecodeError if it is not of this service."""
    if len(data) != _COOKIE.size:
        raise DecodeError("not a CalcApp cookie")
    cookie = Cookie(*_COOKIE.unpack(data))
    if cookie.completed > cookie.size:
        raise DecodeError("more was completed than there is")
    return cookie
