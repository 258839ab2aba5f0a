"""Ping Pong: messages, state cookie (RSPLIB's service for showing failovers with cookies).

Ping and Pong: ``type u8 | flags u8 | length u16 | message number u64 | ...``; a Pong has the reply number next;
the rest is data. The cookie is ``<PP-TD1>`` and the number of the next reply. Who sends what when is not in here.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from rserpool.wire.types import DecodeError

PPID = 33
PING, PONG = 1, 2
COOKIE_ID = b"<PP-TD1>"
MAX_DATA = 0xFFFF - 20

_PING = Struct(">BBHQ")
_PONG = Struct(">BBHQQ")
_COOKIE = Struct(">8sQ")


@dataclass(slots=True)
class Ping:
    """A pool user's message."""

    number: int
    data: bytes = b""


@dataclass(slots=True)
class Pong:
    """The answer; ``reply`` counts the answers of the session, over all its servers."""

    number: int
    reply: int
    data: bytes = b""


def encode(message: Ping | Pong) -> bytes:
    """Return a message's bytes. ValueError if its data is too long."""
    if len(message.data) > MAX_DATA:
        raise ValueError(f"at most {MAX_DATA} bytes of data")
    if isinstance(message, Ping):
        return _PING.pack(PING, 0, _PING.size + len(message.data), message.number) + message.data
    return _PONG.pack(PONG, 0, _PONG.size + len(message.data), message.number, message.reply) + message.data


def decode(data: bytes) -> Ping | Pong:
    """Return the message. DecodeError if it is none."""
    if len(data) < _PING.size:
        raise DecodeError(f"{len(data)} bytes are no Ping Pong message")
    kind, _flags, length, number = _PING.unpack_from(data)
    if length != len(data):
        raise DecodeError(f"length {length} of a Ping Pong message of {len(data)} bytes")
    if kind == PING:
        return Ping(number, data[_PING.size :])
    if kind != PONG or length < _PONG.size:
        raise DecodeError(f"Ping Pong message of type {kind} with {length} bytes")
    return Pong(number, _PONG.unpack_from(data)[4], data[_PONG.size :])


def encode_cookie(next_reply: int) -> bytes:
    """Return the cookie that tells another server the number of the next reply."""
    return _COOKIE.pack(COOKIE_ID, next_reply & 0xFFFFFFFFFFFFFFFF)


def decode_cookie(cookie: bytes) -> int:
    """Return the number of the next reply. DecodeError if the cookie is not of this service."""
    if len(cookie) != _COOKIE.size or not cookie.startswith(COOKIE_ID):
        raise DecodeError("not a Ping Pong cookie")
    return int(_COOKIE.unpack(cookie)[1])
