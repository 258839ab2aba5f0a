"""The SCTP packet: common header, checksum, and the walk over its chunks.

RFC 9260 section 3 and 3.1 (common header, padding), section 6.8 and appendix A (CRC32c). The checksum is the
one field in little-endian order. What chunks mean, and whether a packet is acceptable, is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct

from ..errors import DecodeError
from .crc32c import crc32c

HEADER = Struct(">HHL")  # source port, destination port, verification tag; the checksum follows
HEADER_SIZE = 12
CHUNK = Struct(">BBH")  # type, flags, length without padding
CHECKSUM = Struct("<L")
PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")  # by length modulo 4
_ZERO = bytes(4)


def pack(source_port: int, destination_port: int, tag: int, chunks: Iterable[bytes]) -> bytes:
    """Return a packet of encoded (padded) chunks with its checksum."""
    return seal(HEADER.pack(source_port, destination_port, tag), b"".join(chunks))


def seal(header: bytes, body: bytes) -> bytes:
    """Return the packet of a packed ``HEADER`` and joined chunks; the checksum is made here."""
    return b"".join((header, CHECKSUM.pack(crc32c(b"".join((header, _ZERO, body)))), body))


def checksum_ok(data: bytes) -> bool:
    """Tell whether the checksum of a packet (at least 12 bytes) is right (RFC 9260 section 6.8)."""
    return CHECKSUM.pack(crc32c(b"".join((data[:8], _ZERO, data[12:])))) == data[8:12]


def chunk(kind: int, flags: int, value: bytes) -> bytes:
    """Return an encoded chunk, padded. ``value`` is everything after the chunk header, at most 65531 bytes."""
    length = 4 + len(value)
    return b"".join((CHUNK.pack(kind, flags, length), value, PADDING[length & 3]))


def walk(data: bytes, start: int = HEADER_SIZE) -> Iterator[tuple[int, int, bytes]]:
    """Yield ``(type, flags, value)`` for each chunk from offset ``start``.

    Raises DecodeError at a chunk whose length field is below 4 or beyond the end. The padding of the last
    chunk may be missing.
    """
    position, end = start, len(data)
    while position < end:
        if end - position < 4:
            raise DecodeError(f"{end - position} bytes left over at offset {position}")
        kind, flags, length = CHUNK.unpack_from(data, position)
        if length < 4 or position + length > end:
            raise DecodeError(f"chunk length {length} at offset {position} of {end}")
        yield kind, flags, data[position + 4 : position + length]
        position += (length + 3) & ~3
