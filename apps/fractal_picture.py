"""A fractal image as it grows: its parts, the points that have come, their colours; and as a PNG file.

One part for each session, as RSPLIB's pool user splits an image. Knows no session and no screen.
"""

from __future__ import annotations

import colorsys
import zlib
from array import array
from contextlib import suppress
from dataclasses import dataclass, replace
from math import isqrt
from pathlib import Path
from struct import pack

from rserpool.services import fractal

from .runtime import at_cut

COLOURS = 72
EMPTY = COLOURS  # the colour of points that have not come yet
RUN_MARK, FAILOVER_MARK, SESSION_MARK = 2, 5, 3  # steps along the colours, as in the original
EMPTY_SHADES = ((26, 26, 34), (38, 38, 48))


def _hue(step: int) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(step * 5 % 360 / 360, 1.0, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


PALETTE = (*(_hue(step) for step in range(COLOURS)), *EMPTY_SHADES)


@dataclass(frozen=True, slots=True)
class Part:
    """A rectangle of the image, in points, and the parameters of its corner of the plane."""

    number: int
    x: int
    y: int
    parameter: fractal.Parameter


def split(p: fractal.Parameter, parts: int) -> list[Part]:
    """Split an image in rows of parts; the last row takes the remainder. ValueError if a part has no point."""
    rows = isqrt(parts)
    columns = [parts // rows] * rows
    columns[-1] += parts % rows
    if rows > p.height or columns[-1] > p.width:
        raise ValueError(f"an image of {p.width} x {p.height} points has no {parts} parts")
    across, down = (p.c2.real - p.c1.real) / p.width, (p.c2.imag - p.c1.imag) / p.height
    found: list[Part] = []
    for row, count in enumerate(columns):
        top, bottom = row * p.height // rows, (row + 1) * p.height // rows
        for column in range(count):
            left, right = column * p.width // count, (column + 1) * p.width // count
            corner = replace(
                p,
                width=right - left,
                height=bottom - top,
                c1=complex(p.c1.real + left * across, p.c1.imag + top * down),
                c2=complex(p.c1.real + right * across, p.c1.imag + bottom * down),
            )
            found.append(Part(len(found), left, top, corner))
    return found


class Picture:
    """The points of an image: ``counts`` the iterations, ``shades`` the index of each point's colour."""

    def __init__(self, width: int, height: int, parts: list[Part]) -> None:
        self.width = width
        self.height = height
        self.parts = parts
        self.counts = array("I", bytes(array("I").itemsize * width * height))
        self.shades = bytearray(width * height)
        for part in parts:
            empty = bytes([EMPTY + part.number % 2]) * part.parameter.width
            for y in range(part.y, part.y + part.parameter.height):
                at = y * width + part.x
                self.shades[at : at + part.parameter.width] = empty

    def put(self, part: Part, offset: int, points: tuple[int, ...], mark: int = 0) -> None:
        """Take points of a part from ``offset`` in it on; ``mark`` moves their colours."""
        place = 0
        while place < len(points):
            y, x = divmod(offset + place, part.parameter.width)
            run = points[place : place + part.parameter.width - x]
            at = (part.y + y) * self.width + part.x + x
            self.counts[at : at + len(run)] = array("I", run)
            self.shades[at : at + len(run)] = bytes((v + mark) % COLOURS for v in run)
            place += len(run)

    def samples(self, columns: int, rows: int) -> list[bytes]:
        """The colours of the image made smaller (or larger) to so many columns and rows."""
        xs = [(2 * c + 1) * self.width // (2 * columns) for c in range(columns)]
        lines = []
        for r in range(rows):
            at = (2 * r + 1) * self.height // (2 * rows) * self.width
            line = self.shades[at : at + self.width]
            lines.append(bytes(line[x] for x in xs))
        return lines

    def png(self) -> bytes:
        """The image as a PNG file (ISO/IEC 15948) with a palette."""

        def chunk(kind: bytes, data: bytes) -> bytes:
            return pack(">L", len(data)) + kind + data + pack(">L", zlib.crc32(kind + data))

        lines = b"".join(b"\x00" + self.shades[y * self.width : (y + 1) * self.width] for y in range(self.height))
        return (
            b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", pack(">LLBBBBB", self.width, self.height, 8, 3, 0, 0, 0))
            + chunk(b"PLTE", bytes(v for colour in PALETTE for v in colour))
            + chunk(b"IDAT", zlib.compress(lines, 9))
            + chunk(b"IEND", b"")
        )

    def save(self, path: Path) -> None:
        """Write the image as PNG, all of it or nothing. OSError."""
        draft = path.with_name(path.name + ".part")
        data = self.png()
        with at_cut(lambda: draft.unlink(missing_ok=True)):
            try:
                draft.write_bytes(data)
                draft.replace(path)
            except OSError:
                with suppress(OSError):
                    draft.unlink(missing_ok=True)
                raise
