"""SOCKETAPI's calls about itself."""

from __future__ import annotations

import errno
import os

from .constants import VERSION
from .descriptors import c_call


def sctp_isavailable() -> int:
    """Say whether SCTP can be used: 1."""
    return 1


@c_call
def sctp_enableOOTBHandling(enable: int) -> int:
    """Accepted without effect: packets out of the blue are always answered by whom they concern."""
    return 0


@c_call
def sctp_enableCRC32(enable: int) -> int:
    """Checksums are CRC32c and cannot be anything else (RFC 9260 section 6.8): 0 gives EOPNOTSUPP."""
    if not enable:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    return 0


def socketAPIGetVersion() -> int:
    """Return SOCKETAPI's version number."""
    return VERSION
