"""The SCTP packet: common header, checksum, and the walk over its chunks.

RFC 9260 section 3 and 3.1 (common header, padding), section 6.8 and appendix A (CRC32c). The checksum is the
one field in little-endian order. What chunks mean, and whether a packet is acceptable, is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct

from ..errors import DecodeError
from .crc32c import crc32c, extend

HEADER = Struct(">HHL")  # source port, destination port, verification tag; the checksum follows
HEADER_SIZE = 12
CHUNK = Struct(">BBH")  # type, flags, length without padding
CHECKSUM = Struct("<L")
pack_checksum, unpack_checksum = CHECKSUM.pack, CHECKSUM.unpack_from  # see chunks.pack_data
PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")  # by length modulo 4
_ZERO = bytes(4)


def pack(source_port: int, destination_port: int, tag: int, chunks: Iterable[bytes]) -> bytes:
    """Return a packet of encoded (padded) chunks with its checksum."""
    return seal(HEADER.pack(source_port, destination_port, tag), b"".join(chunks))


def checksum_of(header: bytes) -> int:
    """Return the CRC32c of a packed ``HEADER`` and the zeros that stand for the checksum while it is computed.

    The packets of an association have one header in each direction, so that this part is computed once.
    """
    return crc32c(header + _ZERO)


def seal(header: bytes, body: bytes, begun: int | None = None) -> bytes:
    """Return the packet of a packed ``HEADER`` and joined chunks. ``begun``: ``checksum_of(header)``, if known."""
    if begun is None:
        begun = checksum_of(header)
    return b"".join((header, pack_checksum(extend(begun, body)), body))


def checksum_ok(data: bytes) -> bool:
    """Tell whether the checksum of a packet (at least 12 bytes) is right (RFC 9260 section 6.8)."""
    checksum: int = unpack_checksum(data, 8)[0]
    return extend(checksum_of(data[:8]), data[HEADER_SIZE:]) == checksum


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
