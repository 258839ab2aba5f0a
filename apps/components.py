"""The components that a monitor knows from their status reports: who is there, how old the news is, what it means.

No sockets, no terminal; time is a parameter, in seconds. The report's format is in `rserpool.wire.csp`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from rserpool.wire import csp
from rserpool.wire.types import DecodeError

PURGE = 30.0  # seconds without a report until a component is forgotten, at most
PURGE_REPORTS = 10  # and as many of its report intervals
FADE_REPORTS = 2.5  # a component without reports for so many of their intervals is probably dead
LETTERS = {csp.REGISTRAR: "PR", csp.POOL_ELEMENT: "PE", csp.POOL_USER: "PU"}
SORTS = ("group", "location", "uptime", "age", "associations", "load")

MOST_SERVICES = 10_000  # pool elements whose service is remembered
POOL = re.compile(r"\bin pool (.{1,32})$")  # our servers' statuses end so; RSPLIB's reports name no pools
PPIDS = {0: "Data", 11: "ASAP", 12: "ENRP", 32: "FractGen", 33: "PingPong", 34: "CalcApp", 35: "Scripting"}
PROTOCOLS = {132: "SCTP", 6: "TCP", 17: "UDP", 33: "DCCP", 136: "UDP-Lite"}


@dataclass(slots=True)
class Component:
    """One component, by its latest report."""

    report: csp.Report
    first: float
    last: float

    @property
    def group(self) -> int:
        """Registrar, pool element or pool user."""
        return csp.group_of(self.report.sender)

    @property
    def name(self) -> str:
        """Its identifier as it is printed."""
        return name_of(self.report.sender)

    @property
    def interval(self) -> float:
        """Seconds between its reports."""
        return self.report.interval / 1e6

    @property
    def pool(self) -> str | None:
        """The handle of a pool element's pool, if its status tells it."""
        found = POOL.search(self.report.status) if self.group == csp.POOL_ELEMENT else None
        return found[1] if found else None

    def age(self, now: float) -> float:
        """Seconds since its last report."""
        return max(0.0, now - self.last)

    def fading(self, now: float) -> bool:
        """Whether it is probably dead."""
        return self.age(now) > max(FADE_REPORTS * self.interval, 0.5)


def name_of(number: int) -> str:
    """A component's identifier as it is printed: 14 digits for pool users, whose numbers are long, else 8."""
    identifier = csp.identifier_of(number)
    return f"${identifier:014x}" if csp.group_of(number) == csp.POOL_USER else f"${identifier:08x}"


def letters_of(number: int) -> str:
    """PR, PE or PU."""
    return LETTERS.get(csp.group_of(number), "??")


def protocol_name(association: csp.Association) -> str:
    """What an association carries, over what: ``ASAP/SCTP``."""
    upper = PPIDS.get(association.ppid, f"${association.ppid:08x}")
    return f"{upper}/{PROTOCOLS.get(association.protocol, str(association.protocol))}"


@dataclass(slots=True)
class Monitor:
    """The components that report; ``purge`` as in `PURGE`."""

    purge: float = PURGE
    components: dict[int, Component] = field(default_factory=dict)
    services: dict[int, str] = field(default_factory=dict)  # of pool elements, by what their users speak
    dropped: int = 0  # datagrams that were no reports

    def receive(self, data: bytes, now: float) -> None:
        """Take a datagram; what is no report is counted."""
        try:
            report = csp.decode(data)
        except DecodeError:
            self.dropped += 1
            return
        if report.final:
            self._forget(report.sender)
            return
        for a in report.associations:
            if csp.group_of(a.receiver) == csp.POOL_ELEMENT and a.ppid and len(self.services) < MOST_SERVICES:
                self.services[a.receiver] = PPIDS.get(a.ppid, f"${a.ppid:08x}")
        known = self.components.get(report.sender)
        if known is None:
            self.components[report.sender] = Component(report, now, now)
        else:
            known.report, known.last = report, now

    def forget_silent(self, now: float) -> None:
        """Forget components that have not reported for long."""
        for number, component in list(self.components.items()):
            if component.age(now) > min(self.purge, PURGE_REPORTS * max(component.interval, 0.1)):
                self._forget(number)

    def _forget(self, number: int) -> None:
        self.components.pop(number, None)
        self.services.pop(number, None)

    def selected(self, now: float, sort: str = "group", words: str = "") -> list[Component]:
        """The components that contain all ``words``, in the order ``sort``."""
        found = [c for c in self.components.values() if _matches(c, words.lower().split())]
        found.sort(key=lambda c: (c.group, c.report.location, c.report.sender))
        if sort == "location":
            found.sort(key=lambda c: c.report.location)
        elif sort in ("uptime", "associations", "load"):
            found.sort(key=lambda c: _measure(c, sort), reverse=True)
        elif sort == "age":
            found.sort(key=lambda c: c.age(now), reverse=True)
        return found


def _matches(component: Component, words: Iterable[str]) -> bool:
    report = component.report
    text = f"{letters_of(report.sender)} {component.name} {report.location} {report.status}".lower()
    return all(word in text for word in words)


def _measure(component: Component, sort: str) -> float:
    report = component.report
    if sort == "uptime":
        return report.uptime
    if sort == "associations":
        return len(report.associations)
    return -1.0 if report.workload is None else report.workload


def as_json(components: Iterable[Component], now: float, monitor: Monitor) -> list[dict[str, Any]]:
    """What is known, for programs; times in seconds. ``service``: what a pool element's users speak, if known."""
    return [
        {
            "id": c.name,
            "group": csp.GROUPS.get(c.group, str(c.group)),
            "location": c.report.location,
            "status": c.report.status,
            "pool": c.pool,
            "service": monitor.services.get(c.report.sender),
            "uptime": c.report.uptime / 1e6 + c.age(now),
            "age": round(c.age(now), 3),
            "interval": c.interval,
            "workload": c.report.workload,
            "fading": c.fading(now),
            "associations": [
                {
                    "to": name_of(a.receiver),
                    "group": csp.GROUPS.get(csp.group_of(a.receiver), str(csp.group_of(a.receiver))),
                    "protocol": protocol_name(a),
                    "duration": None if a.duration is None else a.duration / 1e6,
                }
                for a in c.report.associations
            ],
        }
        for c in components
    ]


def uptime_text(seconds: float) -> str:
    """``hh:mm:ss``, from 100 hours on in days and hours."""
    whole = int(seconds)
    if whole >= 100 * 3600:
        return f"{whole // 86400:3d}d {whole % 86400 // 3600:02d}h"
    return f"{whole // 3600:02d}:{whole % 3600 // 60:02d}:{whole % 60:02d}"


def cut(text: str, size: int) -> str:
    """A text of at most ``size`` characters."""
    return text if len(text) <= size else text[: max(0, size - 3)] + "..."


def line_of(component: Component, now: float, width: int, size: int) -> str:
    """A component in one line, in RSPLIB's form. ``width`` is that of the first part, ``size`` of locations."""
    report = component.report
    head = head_of(component, size)
    load = "" if report.workload is None else f" L={100 * report.workload:3.0f}%"
    return (
        f"{head:<{width}} U={uptime_text(report.uptime / 1e6 + component.age(now))} l={component.age(now):.1f}s "
        f'A={len(report.associations)}{load} "{report.status}"'
    )


def head_of(component: Component, size: int) -> str:
    """The part of the line that says who and where."""
    return f"{letters_of(component.report.sender)} {component.name} [{cut(component.report.location, size)}]"


def association_lines(component: Component, now: float) -> list[str]:
    """The lines of its associations, in RSPLIB's form."""
    lines = []
    for a in component.report.associations:
        line = f"   -> {letters_of(a.receiver)} {name_of(a.receiver)} {protocol_name(a):<18}"
        if a.duration is not None:
            whole = int(a.duration / 1e6 + component.age(now))
            line += f"duration={whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"
        lines.append(line.rstrip())
    return lines
