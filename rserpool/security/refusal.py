"""What a registrar that requires TLS answers to somebody who speaks ASAP in clear (RFC 5352 section 9.3)."""

from __future__ import annotations

from rserpool.wire import asap, causes
from rserpool.wire.types import DecodeError

_CAUSE = causes.REJECTED_FOR_SECURITY


def answer_in_clear(ppid: int, data: bytes) -> bytes:
    """Return the answer to a message of ASAP, b"" if it is none. No state comes of it, and nothing is told.

    RFC 5352 section 9.3 would give pool users an answer that is not to be trusted. RFC 5355 section 2.15 has a
    secure registrar reject all that does not come by TLS, and section 2.10 keeps the handlespace confidential: so
    they get the cause, but no pool elements.
    """
    if ppid != asap.PPID:
        return b""
    try:
        message = asap.decode(data)
    except DecodeError:
        return b""
    if isinstance(message, asap.Registration):
        answer: asap.Message = asap.RegistrationResponse(message.handle, message.element.identifier, True, _CAUSE)
    elif isinstance(message, asap.Deregistration):
        answer = asap.DeregistrationResponse(message.handle, message.identifier, True, _CAUSE)
    elif isinstance(message, asap.HandleResolution):
        answer = asap.HandleResolutionResponse(message.handle, error=_CAUSE)
    else:
        answer = asap.Error(_CAUSE)
    return asap.encode(answer)
