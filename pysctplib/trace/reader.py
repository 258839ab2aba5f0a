"""Reads captures piece by piece: pcap (both byte orders, micro- and nanoseconds) and pcapng.

The formats are those of tcpdump and Wireshark (the IETF's draft-ietf-opsawg-pcap and -pcapng). A file that is
still being written can be fed as it grows. What cannot be read is counted; files and sockets are not known here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from struct import Struct
from typing import NamedTuple

from ..errors import SctpError

LARGEST = 1 << 24  # bytes of a packet or block; what claims more is damaged
_PCAP_HEAD, _PCAP_RECORD = 24, 16
_SECTION, _INTERFACE, _SIMPLE, _OLD_PACKET, _PACKET = 0x0A0D0D0A, 1, 3, 2, 6
_BYTE_ORDER = 0x1A2B3C4D
_RESOLUTION, _OFFSET = 9, 14  # options of an interface
_MAGIC = {  # the file's first bytes: byte order, seconds per unit
    bytes.fromhex("d4c3b2a1"): ("<", 1e-6),
    bytes.fromhex("a1b2c3d4"): (">", 1e-6),
    bytes.fromhex("4d3cb2a1"): ("<", 1e-9),
    bytes.fromhex("a1b23c4d"): (">", 1e-9),
}


class CaptureError(SctpError):
    """What was to be read is no capture."""


class Frame(NamedTuple):
    """A captured frame: seconds since 1970, the link type's number, the bytes."""

    time: float
    link: int
    data: bytes


class Reader:
    """Takes a capture's bytes in pieces of any size and gives its frames."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()  # what could not be read as it should, by reason
        self.damage = ""  # why the rest cannot be read; "" as long as it can
        self._rest = b""
        self._offset = 0  # of _rest in the file
        self._next: Callable[[bytes, int], tuple[int, list[Frame]] | None] = self._begin
        self._order = "<"
        self._unit = 1e-6
        self._link = 0
        self._interfaces: list[tuple[int, float, int]] = []  # link type, seconds per unit, seconds to add

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that are complete now. CaptureError if the beginning is that of no capture."""
        frames: list[Frame] = []
        if self.damage:
            return frames
        rest, position = self._rest + data, 0
        while not self.damage:
            step = self._next(rest, position)
            if step is None:
                break
            position, found = step
            frames += found
        self._offset += position
        self._rest = rest[position:]
        return frames

    def finish(self) -> None:
        """Note that no more comes. CaptureError if there was nothing at all that could be read."""
        if self._next == self._begin:
            size = len(self._rest)
            raise CaptureError("the file is empty" if not size else f"{size} bytes are no capture")
        if self._rest and not self.damage:
            self.counts["last packet cut off by the end of the file"] += 1

    def _broken(self, position: int, what: str) -> None:
        self.damage = f"damaged at byte {self._offset + position} ({what}); the rest of it cannot be read"

    def _begin(self, data: bytes, position: int) -> tuple[int, list[Frame]] | None:
        if len(data) < 4:
            return None
        magic = data[:4]
        if magic == _SECTION.to_bytes(4, "big"):
            self._next = self._block
            return 0, []
        if magic not in _MAGIC:
            raise CaptureError("neither pcap nor pcapng")
        if len(data) < _PCAP_HEAD:
            return None
        self._order, self._unit = _MAGIC[magic]
        # The upper bits say how long an Ethernet frame's own checksum is.
        self._link = Struct(self._order + "L").unpack_from(data, 20)[0] & 0xFFFF
        self._record_head = Struct(self._order + "LLLL")
        self._next = self._record
        return _PCAP_HEAD, []

    def _record(self, data: bytes, position: int) -> tuple[int, list[Frame]] | None:
        if len(data) - position < _PCAP_RECORD:
            return None
        seconds, fraction, size, original = self._record_head.unpack_from(data, position)
        if size > LARGEST:
            self._broken(position, f"a packet of {size} bytes")
            return None
        start = position + _PCAP_RECORD
        if len(data) < start + size:
            return None
        self._count_cut(size, original)
        return start + size, [Frame(seconds + fraction * self._unit, self._link, data[start : start + size])]

    def _count_cut(self, size: int, original: int) -> None:
        if size < original:
            self.counts["packets cut short by the capture (tcpdump -s)"] += 1

    def _block(self, data: bytes, position: int) -> tuple[int, list[Frame]] | None:
        if len(data) - position < 12:
            return None
        if data[position : position + 4] == _SECTION.to_bytes(4, "big"):
            order = data[position + 8 : position + 12]
            if int.from_bytes(order, "little") == _BYTE_ORDER:
                self._order = "<"
            elif int.from_bytes(order, "big") == _BYTE_ORDER:
                self._order = ">"
            else:
                self._broken(position, "a section without byte order")
                return None
            self._interfaces = []
        word = Struct(self._order + "L")
        kind, size = Struct(self._order + "LL").unpack_from(data, position)
        if size < 12 or size % 4 or size > LARGEST:
            self._broken(position, f"a block of {size} bytes")
            return None
        end = position + size
        if len(data) < end:
            return None
        if word.unpack_from(data, end - 4)[0] != size:
            self._broken(position, "a block whose two lengths differ")
            return None
        body = data[position + 8 : end - 4]
        frames: list[Frame] = []
        if kind == _INTERFACE and len(body) >= 8:
            self._interfaces.append(self._interface(body))
        elif kind in (_PACKET, _OLD_PACKET, _SIMPLE):
            frames = list(self._packet(kind, body))
        return end, frames

    def _interface(self, body: bytes) -> tuple[int, float, int]:
        unit, offset = 1e-6, 0
        for code, value in _options(self._order, body, 8):
            if code == _RESOLUTION and value:
                unit = 2.0 ** -(value[0] & 0x7F) if value[0] & 0x80 else 10.0 ** -value[0]
            elif code == _OFFSET and len(value) == 8:
                offset = Struct(self._order + "q").unpack(value)[0]
        return Struct(self._order + "H").unpack_from(body)[0], unit, offset

    def _packet(self, kind: int, body: bytes) -> Iterator[Frame]:
        head = 4 if kind == _SIMPLE else 20
        if len(body) < head:
            self.counts["blocks that are too short"] += 1
            return
        interface = high = low = 0
        if kind == _SIMPLE:
            (original,) = Struct(self._order + "L").unpack_from(body)
            size = min(original, len(body) - head)
        else:
            layout = "LLLLL" if kind == _PACKET else "HHLLLL"
            numbers = Struct(self._order + layout).unpack_from(body)
            interface, (high, low, size, original) = numbers[0], numbers[-4:]
        if interface >= len(self._interfaces) or size > len(body) - head:
            self.counts["packets of no interface, or longer than their block"] += 1
            return
        link, unit, offset = self._interfaces[interface]
        self._count_cut(size, original)
        yield Frame(((high << 32) | low) * unit + offset, link, body[head : head + size])


def _options(order: str, body: bytes, position: int) -> Iterator[tuple[int, bytes]]:
    head = Struct(order + "HH")
    while position + 4 <= len(body):
        code, size = head.unpack_from(body, position)
        if code == 0:
            return
        yield code, body[position + 4 : position + 4 + size]
        position += 4 + (size + 3 & ~3)
