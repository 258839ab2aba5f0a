"""The Component Status Protocol's reports in words (RSPLIB's own protocol, by UDP)."""

from __future__ import annotations

from pysctplib.trace.explain import Explanation
from rserpool.wire import csp

from .values import counted

SECTION = "RSPLIB's Component Status Protocol, no RFC"


def name(component: int) -> str:
    """A component: what it is, and its identifier."""
    group = csp.GROUPS.get(csp.group_of(component), f"group {csp.group_of(component)}")
    return f"{group} ${csp.identifier_of(component):08x}"


def explain(report: csp.Report) -> Explanation:
    """A report in words."""
    load = "" if report.workload is None else f", workload {100 * report.workload:.0f}%"
    links = f", {counted(len(report.associations), 'association')}" if report.associations else ""
    last = "; it ends" if report.final else ""
    status = f": {report.status}" if report.status else ""
    fields = [
        ("sender", name(report.sender)),
        ("up", f"{report.uptime / 1e6:.1f} s"),
        ("interval", f"{report.interval / 1e3:g} ms"),
        ("location", report.location or "none"),
        ("status", report.status or "none"),
        ("workload", "none" if report.workload is None else f"{100 * report.workload:.1f}%"),
    ]
    fields += [
        (
            "association",
            f"{name(a.receiver)}, PPID {a.ppid}"
            + ("" if a.duration is None else f", since {a.duration / 1e6:.1f} s"),
        )
        for a in report.associations[:16]
    ]
    return Explanation("CSP_REPORT", f"{name(report.sender)}{status}{load}{links}{last}", SECTION, tuple(fields))
