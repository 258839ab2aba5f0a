"""Computing the points of fractal images, as RSPLIB's server does; the formats are in `fractal`.

The same points for the same parameters wherever an image is begun, so that several servers, RSPLIB's among them,
can share one. A count is that of the iterations that did not escape.
"""

from __future__ import annotations

from collections.abc import Iterator

from rserpool.services.fractal import MANDELBROT, MANDELBROT_N, Parameter

ESCAPE = 2.0  # of the squared absolute value
PERIODS = 120  # a multiple of many periods with which points inside a set repeat themselves
WORK = {MANDELBROT: 150_000, MANDELBROT_N: 40_000}  # iterations that take some milliseconds
MOST = 324  # points of one piece


def line(p: Parameter, y: int, start: int = 0, stop: int | None = None) -> list[int]:
    """Return the iteration counts of the points ``start`` to ``stop`` (excluded) of line ``y``."""
    stop = p.width if stop is None else stop
    if p.algorithm == MANDELBROT:
        return _mandelbrot(p, y, start, stop)
    if p.algorithm == MANDELBROT_N:
        return _mandelbrot_n(p, y, start, stop)
    return [(x * y) % 256 for x in range(start, stop)]


def _mandelbrot(p: Parameter, y: int, start: int, stop: int) -> list[int]:
    """z := z^2 - c from 0 on, until |z|^2 >= 2.

    A point whose z is bit by bit what it was `PERIODS` iterations ago repeats itself for ever: it gets the limit
    at once, as it would by counting on.
    """
    left, step = p.c1.real, (p.c2.real - p.c1.real) / p.width
    ci = p.c1.imag + y * (p.c2.imag - p.c1.imag) / p.height
    limit = p.max_iterations
    found = []
    for x in range(start, stop):
        cr = left + x * step
        zr = zi = rr = ii = 0.0
        i = done = 0
        while done < limit:
            before_r, before_i = zr, zi
            end = min(done + PERIODS, limit)
            for i in range(done, end):  # noqa: B007 - the count
                zi = 2.0 * zr * zi - ci
                zr = rr - ii - cr
                rr = zr * zr
                ii = zi * zi
                if rr + ii >= ESCAPE:
                    break
            else:
                i = done = end
                if zr == before_r and zi == before_i:
                    i = done = limit
                continue
            break
        found.append(i)
    return found


def _mandelbrot_n(p: Parameter, y: int, start: int, stop: int) -> list[int]:
    """z := z^N - c from 0 on, until |z|^2 >= 2."""
    left, step = p.c1.real, (p.c2.real - p.c1.real) / p.width
    ci = p.c1.imag + y * (p.c2.imag - p.c1.imag) / p.height
    limit, n = p.max_iterations, p.n
    found = []
    for x in range(start, stop):
        c = complex(left + x * step, ci)
        z = 0j
        i = 0
        while i < limit:
            try:
                z = z**n - c
                escaped = z.real * z.real + z.imag * z.imag >= ESCAPE
            except (OverflowError, ZeroDivisionError):
                escaped = True
            if escaped:
                break
            i += 1
        found.append(i)
    return found


def span(p: Parameter) -> int:
    """How many points may be computed at a stretch, so that it takes milliseconds."""
    work = WORK.get(p.algorithm)
    return MOST if work is None else max(1, min(MOST, work // max(1, p.max_iterations)))


def points(p: Parameter, x: int = 0, y: int = 0) -> Iterator[tuple[int, int, list[int]]]:
    """Yield ``(x, y, counts)`` from point (x, y) to the end, in pieces of one line that take milliseconds."""
    most = span(p)
    while y < p.height:
        while x < p.width:
            stop = min(x + most, p.width)
            yield x, y, line(p, y, x, stop)
            x = stop
        x = 0
        y += 1
