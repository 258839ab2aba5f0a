"""The Fractal Generator Protocol: parameters, points, the cookie with which another server goes on.

RSPLIB's service. Parameter and Data begin ``type u8 | flags u8 | length u16``, all in network byte order, doubles
as IEEE 754 binary64. How the points are computed is in `fractal_images`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct

from rserpool.wire.types import DecodeError

PPID = 32
POOL = "FractalGeneratorPool"
PARAMETER, DATA = 1, 2
MANDELBROT, MANDELBROT_N = 1, 2  # algorithms; every other number is the test pattern
MAX_WIDTH = MAX_HEIGHT = 65536
MAX_ITERATIONS = 1_000_000
MAX_POINTS = 324  # per Data: what fits into one packet
END = 0xFFFFFFFF  # both coordinates of the Data that ends an image
COOKIE_ID = b"<FG-TD1>"

_PARAMETER = Struct(">BBHLLLLddddd")
_DATA = Struct(">BBHLLL")
_COOKIE = Struct(f">8s{_PARAMETER.size}sLL")
_COOKIE_LENGTH = 4  # what RSPLIB writes into the length field of the parameter inside a cookie


@dataclass(slots=True)
class Parameter:
    """What is to be computed: the rectangle from C1 to C2 of the complex plane, in width x height points."""

    width: int
    height: int
    max_iterations: int
    algorithm: int
    c1: complex
    c2: complex
    n: float = 2.0


@dataclass(slots=True)
class Data:
    """Iteration counts of points from (x, y) on, along x and then along the next lines."""

    x: int
    y: int
    points: Sequence[int] = ()

    @property
    def end(self) -> bool:
        """Whether the image is complete."""
        return not self.points and self.x == END and self.y == END


@dataclass(slots=True)
class Cookie:
    """A server's state: the next point to be computed."""

    parameter: Parameter
    x: int
    y: int


END_OF_IMAGE = Data(END, END)


def _pack(p: Parameter, length: int) -> bytes:
    c1, c2 = p.c1, p.c2
    return _PARAMETER.pack(
        PARAMETER,
        0,
        length,
        p.width,
        p.height,
        p.max_iterations,
        p.algorithm,
        c1.real,
        c1.imag,
        c2.real,
        c2.imag,
        p.n,
    )


def encode(message: Parameter | Data) -> bytes:
    """Return a message's bytes. ValueError for parameters or points beyond the limits."""
    if isinstance(message, Parameter):
        check(message)
        return _pack(message, _PARAMETER.size)
    count = len(message.points)
    if count > MAX_POINTS:
        raise ValueError(f"{count} points; {MAX_POINTS} are the limit")
    points = Struct(f">{count}L").pack(*message.points)
    return _DATA.pack(DATA, 0, _DATA.size + len(points), message.x, message.y, count) + points


def decode(data: bytes) -> Parameter | Data:
    """Return the message. DecodeError if it is none."""
    if len(data) < 4:
        raise DecodeError(f"{len(data)} bytes are no message of the fractal service")
    kind, length = data[0], int.from_bytes(data[2:4], "big")
    if length != len(data):
        raise DecodeError(f"length {length} of a message of {len(data)} bytes")
    if kind == PARAMETER:
        return _parameter(data)
    if kind != DATA or length < _DATA.size:
        raise DecodeError(f"message of type {kind} with {length} bytes")
    _, _, _, x, y, count = _DATA.unpack_from(data)
    if count > MAX_POINTS or length != _DATA.size + 4 * count:
        raise DecodeError(f"{count} points in {length} bytes")
    return Data(x, y, Struct(f">{count}L").unpack_from(data, _DATA.size))


def _parameter(data: bytes) -> Parameter:
    if len(data) != _PARAMETER.size:
        raise DecodeError(f"parameters of {len(data)} bytes")
    kind, _, _, width, height, iterations, algorithm, r1, i1, r2, i2, n = _PARAMETER.unpack(data)
    if kind != PARAMETER:
        raise DecodeError(f"type {kind} is not that of parameters")
    parameter = Parameter(width, height, iterations, algorithm, complex(r1, i1), complex(r2, i2), n)
    try:
        check(parameter)
    except ValueError as error:
        raise DecodeError(str(error)) from None
    return parameter


def check(p: Parameter) -> None:
    """Raise ValueError for parameters beyond the limits."""
    if not 0 < p.width <= MAX_WIDTH or not 0 < p.height <= MAX_HEIGHT:
        raise ValueError(f"an image of {p.width} x {p.height} points")
    if not 0 <= p.max_iterations <= MAX_ITERATIONS:
        raise ValueError(f"{p.max_iterations} iterations; {MAX_ITERATIONS} are the limit")


def encode_cookie(cookie: Cookie) -> bytes:
    """Return the cookie's bytes."""
    return _COOKIE.pack(COOKIE_ID, _pack(cookie.parameter, _COOKIE_LENGTH), cookie.x, cookie.y)


def decode_cookie(data: bytes) -> Cookie:
    """Return the state in a cookie. DecodeError if it is not of this service or beyond the limits."""
    if len(data) != _COOKIE.size or not data.startswith(COOKIE_ID):
        raise DecodeError("not a cookie of the fractal service")
    _, inner, x, y = _COOKIE.unpack(data)
    parameter = _parameter(inner)
    if x >= parameter.width or y > parameter.height:
        raise DecodeError(f"point ({x}, {y}) is not in the image")
    return Cookie(parameter, x, y)
