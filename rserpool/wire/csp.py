"""The Component Status Protocol: the report that a component sends to a monitor by UDP, RSPLIB's own format.

One report per datagram, no answer. Nothing here knows sockets or the clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from struct import Struct

from . import causes
from .types import DecodeError

PORT = 2960
VERSION = 0x0200
REPORT = 1
FINAL = 0x01

REGISTRAR, POOL_ELEMENT, POOL_USER = 1, 2, 3
GROUPS = {REGISTRAR: "registrar", POOL_ELEMENT: "pool element", POOL_USER: "pool user"}
OBJECT_MASK = (1 << 56) - 1
UNKNOWN_DURATION = (1 << 64) - 1
NO_WORKLOAD = 0xFFFF
TEXT = 128  # bytes of a text field; a full one has no terminator

_HEAD = Struct(f">BBHLQQL{TEXT}s{TEXT}sHH")
_ASSOCIATION = Struct(">QQHHL")
MAX_ASSOCIATIONS = (0xFFFF - _HEAD.size) // _ASSOCIATION.size


@dataclass(slots=True)
class Association:
    """One association of the sender. ``duration`` in microseconds; None if unknown. ``protocol``: IP number."""

    receiver: int
    duration: int | None
    protocol: int
    ppid: int
    flags: int = 0


@dataclass(slots=True)
class Report:
    """A component's state. ``uptime`` and ``interval`` in microseconds; ``workload`` 0.0..1.0, None: none.

    ``final``: the component ends; monitors forget it.
    """

    sender: int
    uptime: int
    interval: int
    location: str = ""
    status: str = ""
    workload: float | None = None
    associations: Sequence[Association] = field(default_factory=tuple)
    final: bool = False


def component(group: int, identifier: int) -> int:
    """Return the number of a component: its group and its identifier."""
    return group << 56 | identifier & OBJECT_MASK


def group_of(number: int) -> int:
    """Return the group of a component's number: REGISTRAR, POOL_ELEMENT, POOL_USER."""
    return number >> 56


def identifier_of(number: int) -> int:
    """Return the identifier in a component's number."""
    return number & OBJECT_MASK


def _text(value: str) -> bytes:
    data = value.encode()
    if len(data) < TEXT:
        return data
    return data[: TEXT - 1].decode(errors="ignore").encode()  # not in the midst of a character


def encode(report: Report) -> bytes:
    """Return a datagram. Texts are cut to 127 bytes; ValueError for too many associations or a wrong workload."""
    count = len(report.associations)
    if count > MAX_ASSOCIATIONS:
        raise ValueError(f"{count} associations in a report; {MAX_ASSOCIATIONS} are the limit")
    if report.workload is None:
        workload = NO_WORKLOAD
    elif 0 <= report.workload <= 1:
        workload = round(report.workload * 0xFFFE)
    else:
        raise ValueError(f"workload {report.workload} is not in 0..1")
    parts = [
        _HEAD.pack(
            REPORT,
            FINAL if report.final else 0,
            _HEAD.size + count * _ASSOCIATION.size,
            VERSION,
            report.sender,
            report.uptime,
            report.interval,
            _text(report.location),
            _text(report.status),
            workload,
            count,
        )
    ]
    for a in report.associations:
        duration = UNKNOWN_DURATION if a.duration is None else a.duration
        parts.append(_ASSOCIATION.pack(a.receiver, duration, a.flags, a.protocol, a.ppid))
    return b"".join(parts)


def decode(data: bytes) -> Report:
    """Return the report in a datagram. DecodeError; the length field is not looked at, as in RSPLIB."""
    if len(data) < _HEAD.size:
        raise DecodeError(f"a report of {len(data)} bytes", causes.INVALID_MESSAGE, silent=True)
    kind, flags, _, version, sender, uptime, interval, location, status, load, count = _HEAD.unpack_from(data)
    if kind != REPORT or version != VERSION:
        raise DecodeError(f"type {kind} version 0x{version:04x} is no report", causes.INVALID_MESSAGE, silent=True)
    if len(data) != _HEAD.size + count * _ASSOCIATION.size:
        raise DecodeError(f"{count} associations in {len(data)} bytes", causes.INVALID_MESSAGE, silent=True)
    associations = [
        Association(receiver, None if duration == UNKNOWN_DURATION else duration, protocol, ppid, bits)
        for receiver, duration, bits, protocol, ppid in _ASSOCIATION.iter_unpack(data[_HEAD.size :])
    ]
    return Report(
        sender,
        uptime,
        interval,
        _shown(location),
        _shown(status),
        None if load == NO_WORKLOAD else load / 0xFFFE,
        associations,
        bool(flags),
    )


def _shown(field: bytes) -> str:
    return field.partition(b"\0")[0].decode(errors="replace")
