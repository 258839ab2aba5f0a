"""CRC32c of a packet (RFC 9260 appendix A)."""

from __future__ import annotations

import google_crc32c


def crc32c(data: bytes) -> int:
    """Return the CRC32c of ``data``."""
    return int(google_crc32c.value(data))
