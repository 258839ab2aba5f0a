"""Chunks: bytes <-> values.

RFC 9260 section 3.2 (format, the two high bits of the type) and 3.3 (the chunks). DATA and SACK have classes
for tools and tests; the engine reads and writes those two through the ``Struct`` objects here, without an
object per chunk. An unknown type decodes to ``Unknown``: what to do about it is the engine's matter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from struct import Struct
from typing import TypeAlias

from ..errors import DecodeError
from . import causes, packet, params

DATA = 0
INIT = 1
INIT_ACK = 2
SACK = 3
HEARTBEAT = 4
HEARTBEAT_ACK = 5
ABORT = 6
SHUTDOWN = 7
SHUTDOWN_ACK = 8
ERROR = 9
COOKIE_ECHO = 10
COOKIE_ACK = 11
SHUTDOWN_COMPLETE = 14
FORWARD_TSN = 192  # RFC 3758

NAMES = {
    DATA: "DATA", INIT: "INIT", INIT_ACK: "INIT ACK", SACK: "SACK", HEARTBEAT: "HEARTBEAT",
    HEARTBEAT_ACK: "HEARTBEAT ACK", ABORT: "ABORT", SHUTDOWN: "SHUTDOWN", SHUTDOWN_ACK: "SHUTDOWN ACK",
    ERROR: "ERROR", COOKIE_ECHO: "COOKIE ECHO", COOKIE_ACK: "COOKIE ACK", SHUTDOWN_COMPLETE: "SHUTDOWN COMPLETE",
    FORWARD_TSN: "FORWARD TSN",
}  # fmt: skip

# Flags of DATA (section 3.3.1; I: RFC 7053), and of ABORT and SHUTDOWN COMPLETE.
END, BEGIN, UNORDERED, IMMEDIATE = 1, 2, 4, 8
WHOLE = BEGIN | END  # a message in one chunk
T_BIT = 1

# What to do with an unknown type (section 3.2): stop at it or skip it, report it or not.
SKIP_BIT, REPORT_BIT = 0x80, 0x40

DATA_HEADER = Struct(">BBHLHHL")  # with the chunk header: type, flags, length, TSN, stream, SSN, PPID
DATA_HEADER_SIZE = 16
SACK_HEADER = Struct(">BBHLLHH")  # with the chunk header: ..., cumulative TSN, a_rwnd, gap blocks, duplicates
SACK_HEADER_SIZE = 16
GAP_BLOCK = Struct(">HH")
# Bound here once: a method of what was imported is looked up at each call.
pack_data, unpack_data = DATA_HEADER.pack, DATA_HEADER.unpack_from
pack_sack, unpack_sack = SACK_HEADER.pack, SACK_HEADER.unpack_from
pack_gap, unpack_gap = GAP_BLOCK.pack, GAP_BLOCK.unpack_from
INIT_BODY = Struct(">LLHHL")  # tag, a_rwnd, outbound streams, inbound streams, initial TSN
U32 = Struct(">L")
SKIPPED = Struct(">HH")  # of FORWARD TSN: stream, SSN


@dataclass(slots=True)
class Data:
    """DATA (section 3.3.1). ``ppid`` in host order."""

    flags: int
    tsn: int
    stream: int
    ssn: int
    ppid: int
    data: bytes


@dataclass(slots=True)
class Init:
    """INIT, or INIT ACK with ``ack`` set (sections 3.3.2, 3.3.3)."""

    tag: int
    a_rwnd: int
    outbound_streams: int
    inbound_streams: int
    initial_tsn: int
    parameters: list[params.Parameter] = field(default_factory=list)
    ack: bool = False
    flags: int = 0


@dataclass(slots=True)
class Sack:
    """SACK (section 3.3.4). Gap blocks are offsets (start, end) from the cumulative TSN; duplicates are TSNs."""

    cumulative_tsn: int
    a_rwnd: int
    gaps: list[tuple[int, int]] = field(default_factory=list)
    duplicates: list[int] = field(default_factory=list)
    flags: int = 0


@dataclass(slots=True)
class Heartbeat:
    """HEARTBEAT, or HEARTBEAT ACK with ``ack`` set (sections 3.3.5, 3.3.6)."""

    parameters: list[params.Parameter]
    ack: bool = False
    flags: int = 0


@dataclass(slots=True)
class Abort:
    """ABORT (section 3.3.7); ``flags`` may have T_BIT."""

    causes: list[causes.Cause] = field(default_factory=list)
    flags: int = 0


@dataclass(slots=True)
class Error:
    """ERROR (section 3.3.10)."""

    causes: list[causes.Cause]
    flags: int = 0


@dataclass(slots=True)
class Shutdown:
    """SHUTDOWN (section 3.3.8)."""

    cumulative_tsn: int
    flags: int = 0


@dataclass(slots=True)
class CookieEcho:
    """COOKIE ECHO (section 3.3.11)."""

    cookie: bytes
    flags: int = 0


@dataclass(slots=True)
class Bare:
    """SHUTDOWN ACK, COOKIE ACK or SHUTDOWN COMPLETE: chunks without a body (sections 3.3.9, .12, .13)."""

    kind: int
    flags: int = 0


@dataclass(slots=True)
class ForwardTsn:
    """FORWARD TSN (RFC 3758 section 3.2): the new cumulative TSN, and the last SSN skipped of each stream."""

    cumulative_tsn: int
    skipped: list[tuple[int, int]] = field(default_factory=list)
    flags: int = 0


@dataclass(slots=True)
class Unknown:
    """A chunk of a type that is not known here."""

    kind: int
    flags: int
    value: bytes


Chunk: TypeAlias = (
    Data | Init | Sack | Heartbeat | Abort | Error | Shutdown | CookieEcho | Bare | ForwardTsn | Unknown
)


def _need(value: bytes, size: int, what: str, exact: bool = False) -> None:
    if len(value) < size or (exact and len(value) != size):
        raise DecodeError(f"{what} of {len(value)} bytes")


def decode_init(value: bytes, ack: bool, flags: int = 0) -> Init:
    """Return an INIT or INIT ACK from its value; semantic checks (tag 0, streams 0) are the engine's."""
    _need(value, 16, "INIT")
    tag, a_rwnd, outbound, inbound, tsn = INIT_BODY.unpack_from(value)
    return Init(tag, a_rwnd, outbound, inbound, tsn, params.decode(value[16:]), ack, flags)


def _data(flags: int, value: bytes) -> Data:
    _need(value, 12, "DATA")
    _, _, _, tsn, stream, ssn, ppid = DATA_HEADER.unpack(b"\0\0\0\0" + value[:12])
    return Data(flags, tsn, stream, ssn, ppid, value[12:])


def _sack(flags: int, value: bytes) -> Sack:
    _need(value, 12, "SACK")
    _, _, _, cumulative, a_rwnd, blocks, duplicates = SACK_HEADER.unpack(b"\0\0\0\0" + value[:12])
    _need(value, 12 + 4 * (blocks + duplicates), "SACK", exact=True)
    gaps = [GAP_BLOCK.unpack_from(value, 12 + 4 * i) for i in range(blocks)]
    start = 12 + 4 * blocks
    return Sack(
        cumulative, a_rwnd, gaps, [U32.unpack_from(value, start + 4 * i)[0] for i in range(duplicates)], flags
    )


def _shutdown(flags: int, value: bytes) -> Shutdown:
    _need(value, 4, "SHUTDOWN", exact=True)
    return Shutdown(U32.unpack(value)[0], flags)


def decode_forward(value: bytes, flags: int = 0) -> ForwardTsn:
    """Return a FORWARD TSN from its value."""
    _need(value, 4, "FORWARD TSN")
    if len(value) & 3:
        raise DecodeError(f"FORWARD TSN of {len(value)} bytes")
    skipped = [SKIPPED.unpack_from(value, start) for start in range(4, len(value), 4)]
    return ForwardTsn(U32.unpack_from(value)[0], skipped, flags)


def _bare(kind: int) -> Callable[[int, bytes], Bare]:
    def build(flags: int, value: bytes) -> Bare:
        _need(value, 0, NAMES[kind], exact=True)
        return Bare(kind, flags)

    return build


DECODERS: dict[int, Callable[[int, bytes], Chunk]] = {
    DATA: _data,
    INIT: lambda flags, value: decode_init(value, False, flags),
    INIT_ACK: lambda flags, value: decode_init(value, True, flags),
    SACK: _sack,
    HEARTBEAT: lambda flags, value: Heartbeat(params.decode(value), False, flags),
    HEARTBEAT_ACK: lambda flags, value: Heartbeat(params.decode(value), True, flags),
    ABORT: lambda flags, value: Abort(causes.decode(value), flags),
    SHUTDOWN: _shutdown,
    SHUTDOWN_ACK: _bare(SHUTDOWN_ACK),
    ERROR: lambda flags, value: Error(causes.decode(value), flags),
    COOKIE_ECHO: lambda flags, value: CookieEcho(value, flags),
    COOKIE_ACK: _bare(COOKIE_ACK),
    SHUTDOWN_COMPLETE: _bare(SHUTDOWN_COMPLETE),
    FORWARD_TSN: lambda flags, value: decode_forward(value, flags),
}


def decode(kind: int, flags: int, value: bytes) -> Chunk:
    """Return the chunk of a type, flags and value as ``packet.walk`` yields them; raises only DecodeError."""
    decoder = DECODERS.get(kind)
    return decoder(flags, value) if decoder else Unknown(kind, flags, value)


def _value(chunk: Chunk) -> tuple[int, bytes]:
    match chunk:
        case Data():
            header = DATA_HEADER.pack(0, 0, 0, chunk.tsn, chunk.stream, chunk.ssn, chunk.ppid)
            return DATA, header[4:] + chunk.data
        case Init():
            body = INIT_BODY.pack(
                chunk.tag, chunk.a_rwnd, chunk.outbound_streams, chunk.inbound_streams, chunk.initial_tsn
            )
            return INIT_ACK if chunk.ack else INIT, body + params.encode(chunk.parameters)
        case Sack():
            head = SACK_HEADER.pack(
                0, 0, 0, chunk.cumulative_tsn, chunk.a_rwnd, len(chunk.gaps), len(chunk.duplicates)
            )
            blocks = [GAP_BLOCK.pack(*gap) for gap in chunk.gaps]
            return SACK, b"".join((head[4:], *blocks, *map(U32.pack, chunk.duplicates)))
        case Heartbeat():
            return HEARTBEAT_ACK if chunk.ack else HEARTBEAT, params.encode(chunk.parameters)
        case Abort():
            return ABORT, causes.encode(chunk.causes)
        case Error():
            return ERROR, causes.encode(chunk.causes)
        case Shutdown():
            return SHUTDOWN, U32.pack(chunk.cumulative_tsn)
        case CookieEcho():
            return COOKIE_ECHO, chunk.cookie
        case Bare():
            return chunk.kind, b""
        case ForwardTsn():
            pairs = [SKIPPED.pack(*pair) for pair in chunk.skipped]
            return FORWARD_TSN, b"".join((U32.pack(chunk.cumulative_tsn), *pairs))
        case Unknown():
            return chunk.kind, chunk.value


def encode(chunk: Chunk) -> bytes:
    """Return the encoded chunk, padded to a multiple of 4 bytes."""
    kind, value = _value(chunk)
    return packet.chunk(kind, chunk.flags, value)
