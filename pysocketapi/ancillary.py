"""Ancillary data of sendmsg and sctp_sendv as one description of how to send (RFC 6458 sections 5.3 and 9.12).

Python gives and takes the structures themselves in place of bytes: ``(IPPROTO_SCTP, SCTP_SNDINFO, SndInfo(...))``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from . import constants as c
from . import structures as s

LIFETIMES = 4294967  # seconds: a lifetime is 32 bits of milliseconds
_TYPES: dict[int, type[Any]] = {
    c.SCTP_INIT: s.InitMsg,
    c.SCTP_SNDRCV: s.SndRcvInfo,
    c.SCTP_SNDINFO: s.SndInfo,
    c.SCTP_PRINFO: s.PrInfo,
    c.SCTP_AUTHINFO: s.AuthInfo,
    c.SCTP_DSTADDRV4: str,
    c.SCTP_DSTADDRV6: str,
}


@dataclass(slots=True)
class Sending:
    """How one message is to be sent. ``hosts``: further addresses for an implicit set-up."""

    info: s.SndInfo | None = None
    prinfo: s.PrInfo | None = None
    authinfo: s.AuthInfo | None = None
    init: s.InitMsg | None = None
    hosts: list[str] = field(default_factory=list)


def lifetime_info(lifetime: float | None) -> s.PrInfo | None:
    """Return the partial reliability of a lifetime in seconds (RFC 3758 section 4.1). Raises ValueError."""
    if lifetime is None:
        return None
    if not 0 <= lifetime < LIFETIMES:
        raise ValueError(f"a lifetime is 0 to {LIFETIMES} seconds")
    return s.PrInfo(c.SCTP_PR_SCTP_TTL, max(1, round(lifetime * 1000)))


def from_sndrcvinfo(value: s.SndRcvInfo, sending: Sending) -> None:
    """Take over the deprecated structure; a time to live is a policy of its own (section 5.3.2)."""
    sending.info = s.SndInfo(value.stream, value.flags, value.ppid, value.context, value.assoc_id)
    if value.timetolive:
        sending.prinfo = s.PrInfo(c.SCTP_PR_SCTP_TTL, value.timetolive)


def read(ancdata: Iterable[tuple[int, int, Any]]) -> Sending:
    """Return what ancillary data says. Raises ValueError for unknown items, TypeError for wrong types."""
    sending = Sending()
    for level, type_, value in ancdata:
        wanted = _TYPES.get(type_) if level == c.IPPROTO_SCTP else None
        if wanted is None:
            raise ValueError(f"ancillary data of level {level}, type {type_} cannot be sent")
        if not isinstance(value, wanted):
            raise TypeError(f"ancillary data of type {type_} must be {wanted.__name__}")
        if type_ == c.SCTP_INIT:
            sending.init = value
        elif type_ == c.SCTP_SNDRCV:
            from_sndrcvinfo(value, sending)
        elif type_ == c.SCTP_SNDINFO:
            sending.info = value
        elif type_ == c.SCTP_PRINFO:
            sending.prinfo = value
        elif type_ == c.SCTP_AUTHINFO:
            sending.authinfo = value
        else:
            sending.hosts.append(value)
    return sending


def from_sendv(info: Any) -> Sending:
    """Return what sctp_sendv's info says. Raises TypeError."""
    sending = Sending()
    if info is None:
        return sending
    if isinstance(info, s.SndInfo):
        sending.info = info
    elif isinstance(info, s.PrInfo):
        sending.prinfo = info
    elif isinstance(info, s.AuthInfo):
        sending.authinfo = info
    elif isinstance(info, s.SendvSpa):
        sending.info, sending.prinfo, sending.authinfo = info.sndinfo, info.prinfo, info.authinfo
    else:
        raise TypeError(f"{type(info).__name__} is no SndInfo, PrInfo, AuthInfo or SendvSpa")
    return sending
