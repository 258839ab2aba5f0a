"""Serial number arithmetic (RFC 9260 section 2.6) without wrapping.

The engine counts TSNs in unbounded integers; only the low 32 bits go on the wire. So they compare, sort and
subtract like any integers. Nothing else lives here.
"""

from __future__ import annotations

MASK = 0xFFFFFFFF
HALF = 0x80000000


def unwrap(value: int, reference: int) -> int:
    """Return the integer next to ``reference`` whose low 32 bits are ``value`` (within -2^31 .. 2^31 - 1)."""
    return reference + (((value - reference + HALF) & MASK) - HALF)
