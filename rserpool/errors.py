"""The exceptions of Reliable Server Pooling; their causes are those of the wire (RFC 5354 section 3.12)."""

from __future__ import annotations

from pysctplib.errors import SctpError
from rserpool.wire import causes


class RSerPoolError(SctpError):
    """Something that could not be done. ``cause`` is a code of `rserpool.wire.causes`."""

    def __init__(self, cause: int, text: str = "") -> None:
        super().__init__(text or causes.text(cause))
        self.cause = cause


class UnknownPool(RSerPoolError):
    """There is no pool with this handle."""


class NoRegistrar(RSerPoolError):
    """No registrar was found, or the association to it was lost."""


class RequestTimeout(RSerPoolError):
    """The registrar did not answer in time."""


_KINDS: dict[int, type[RSerPoolError]] = {
    causes.UNKNOWN_POOL_HANDLE: UnknownPool,
    causes.NO_REGISTRAR: NoRegistrar,
    causes.TIMEOUT: RequestTimeout,
}


def error_of(cause: int, text: str = "") -> RSerPoolError:
    """Return the exception for a cause."""
    return _KINDS.get(cause, RSerPoolError)(cause, text)
