"""A user message of SCTP, or a UDP datagram, explained by its protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pysctplib.trace.explain import Explanation
from rserpool.wire import asap, csp, enrp
from rserpool.wire.types import DecodeError

from . import asap as asap_words
from . import csp as csp_words
from . import enrp as enrp_words
from . import services

_TLS_RECORDS = range(20, 24)


@dataclass(slots=True, frozen=True)
class Explained:
    """A message in words. ``message`` is the decoded one; None if it does not decode, or of no known protocol."""

    protocol: str  # ASAP, ENRP, CSP, PingPong, Fractal, CalcApp, Scripting, Data, TLS
    explanation: Explanation
    message: Any = None
    monitoring: bool = False  # it only repeats that all is well
    malformed: bool = False


def explain_user_message(ppid: int, data: bytes) -> Explained:
    """Explain a user message of SCTP by its payload protocol identifier (in host order)."""
    if ppid in (asap.PPID, enrp.PPID) and _is_tls(data):
        told = Explanation("TLS", f"encrypted, {len(data)} bytes", "RFC 8446 section 5.1")
        return Explained("TLS", told)
    if ppid == asap.PPID:
        return _asap(data)
    if ppid == enrp.PPID:
        return _enrp(data)
    if ppid in services.SERVICES:
        protocol, decode, _, _ = services.SERVICES[ppid]
        try:
            message = decode(data)
        except DecodeError as error:
            return _malformed(protocol, str(error), services.SECTION)
        told, monitoring = services.explain(ppid, message)
        return Explained(protocol, told, message, monitoring)
    return Explained("Data", services.data(ppid, data))


def explain_datagram(source_port: int, destination_port: int, data: bytes) -> Explained | None:
    """Explain a UDP datagram by its ports: announces of ASAP and ENRP, reports of CSP; None for all others.

    Announces may use any port; what decodes as one is one.
    """
    if csp.PORT in (source_port, destination_port) or _is_report(data):
        try:
            report = csp.decode(data)
            return Explained("CSP", csp_words.explain(report), report, monitoring=not report.final)
        except DecodeError as error:
            if destination_port == csp.PORT:
                return _malformed("CSP", str(error), csp_words.SECTION)
    if destination_port == asap.PORT or data[:1] == bytes((asap.SERVER_ANNOUNCE,)):
        found = _asap(data)
        if destination_port == asap.PORT or isinstance(found.message, asap.ServerAnnounce):
            return found
    if destination_port == enrp.PORT or data[:1] == bytes((enrp.PRESENCE,)):
        found = _enrp(data)
        if destination_port == enrp.PORT or isinstance(found.message, enrp.Presence):
            return found
    return None


def _asap(data: bytes) -> Explained:
    try:
        message = asap.decode(data)
    except DecodeError as error:
        return _malformed("ASAP", str(error), "RFC 5352 section 2")
    told = asap_words.explain(message)
    if isinstance(message, (asap.Cookie, asap.CookieEcho)):
        inside = services.cookie(message.cookie)
        if inside:
            text = told.text.rpartition(", ")[0] + f": {inside}"
            told = Explanation(told.title, text, told.section, (*told.fields, ("content", inside)))
    return Explained("ASAP", told, message, asap_words.is_monitoring(message))


def _enrp(data: bytes) -> Explained:
    try:
        message = enrp.decode(data)
    except DecodeError as error:
        return _malformed("ENRP", str(error), "RFC 5353 section 2")
    return Explained("ENRP", enrp_words.explain(message), message, enrp_words.is_monitoring(message))


def _malformed(protocol: str, why: str, section: str) -> Explained:
    return Explained(protocol, Explanation("malformed message", why, section), malformed=True)


def _is_report(data: bytes) -> bool:
    return data[:1] == bytes((csp.REPORT,)) and data[4:8] == csp.VERSION.to_bytes(4, "big")


def _is_tls(data: bytes) -> bool:
    return len(data) >= 5 and data[0] in _TLS_RECORDS and data[1] == 3
