"""Component Status Protocol reports: bytes <-> values.

CSP is RSPLIB's own protocol: one UDP datagram per report to a monitor's port 2960, no answer. Who reports what and
when is decided in `rserpool.csp`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct

from .types import DecodeError

PORT = 2960
VERSION = 0x0200
REPORT = 1
FINAL = 0x01  # flag: the component ends

GROUP_REGISTRAR, GROUP_POOL_ELEMENT, GROUP_POOL_USER = 1, 2, 3
UNKNOWN_DURATION = 0xFFFFFFFFFFFFFFFF
_OBJECT_BITS = 56
_NO_WORKLOAD = 0xFFFF
_FULL_WORKLOAD = 0xFFFE

_REPORT = Struct(">BBHLQQL128s128sHH")
_ASSOCIATION = Struct(">QQHHL")


@dataclass(slots=True, frozen=True)
class AssociationReport:
    """One association of a component. ``duration`` in microseconds; ``protocol``: IP protocol number."""

    receiver: int
    duration: int
    protocol: int
    ppid: int
    flags: int = 0


@dataclass(slots=True)
class Report:
    """One status report. Times are microseconds; ``workload`` is 0.0 to 1.0, None if the component has none."""

    sender: int
    timestamp: int
    interval: int
    location: str = ""
    status: str = ""
    workload: float | None = None
    associations: Sequence[AssociationReport] = ()
    final: bool = False


def compound(group: int, identifier: int) -> int:
    """Return the component identifier of a group's object."""
    return group << _OBJECT_BITS | identifier & (1 << _OBJECT_BITS) - 1


def group_of(component: int) -> int:
    """Return the group of a component identifier."""
    return component >> _OBJECT_BITS


def object_of(component: int) -> int:
    """Return the object part of a component identifier."""
    return component & (1 << _OBJECT_BITS) - 1


def encode(report: Report) -> bytes:
    """Return the datagram of a report. Texts are cut to 127 bytes; ValueError for a bad number."""
    workload = _NO_WORKLOAD
    if report.workload is not None:
        if not 0.0 <= report.workload <= 1.0:
            raise ValueError(f"workload {report.workload} is not in 0..1")
        workload = round(report.workload * _FULL_WORKLOAD)
    length = _REPORT.size + _ASSOCIATION.size * len(report.associations)
    head = _REPORT.pack(
        REPORT, FINAL if report.final else 0, length, VERSION, report.sender, report.timestamp, report.interval,
        _text(report.location), _text(report.status), workload, len(report.associations),
    )  # fmt: skip
    return head + b"".join(
        _ASSOCIATION.pack(a.receiver, a.duration, a.flags, a.protocol, a.ppid) for a in report.associations
    )


def decode(data: bytes) -> Report:
    """Return the report in a datagram; DecodeError where RSPLIB's monitor would drop it."""
    if len(data) < _REPORT.size:
        raise DecodeError(f"a report of {len(data)} bytes", silent=True)
    kind, flags, _, version, sender, timestamp, interval, location, status, load, count = _REPORT.unpack_from(data)
    if kind != REPORT or version != VERSION:
        raise DecodeError(f"report of type {kind}, version 0x{version:04x}", silent=True)
    if len(data) != _REPORT.size + _ASSOCIATION.size * count:
        raise DecodeError(f"a report of {len(data)} bytes with {count} associations", silent=True)
    associations = []
    for receiver, duration, aflags, protocol, ppid in _ASSOCIATION.iter_unpack(data[_REPORT.size :]):
        associations.append(AssociationReport(receiver, duration, protocol, ppid, aflags))
    workload = None if load == _NO_WORKLOAD else min(load / _FULL_WORKLOAD, 1.0)
    return Report(
        sender,
        timestamp,
        interval,
        _string(location),
        _string(status),
        workload,
        associations,
        bool(flags & FINAL),
    )


def _text(text: str) -> bytes:
    raw = text.encode("utf-8", "replace")[:127]
    return raw.decode("utf-8", "ignore").encode()


def _string(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "replace")
