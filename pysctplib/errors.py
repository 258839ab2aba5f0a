"""Exceptions of the SCTP stack. Sockets raise OSError; these stay below them."""

from __future__ import annotations


class SctpError(Exception):
    """Base of all errors of this package."""


class DecodeError(SctpError):
    """Bytes from the network that are not what they should be; the only exception of the wire decoders."""


__all__ = ["DecodeError", "SctpError"]
