"""SCTP chunks in words: what each one is for, its fields, and where the RFC tells more.

RFC 9260 section 3.3. For people who read traces; what decodes is told, and DecodeError passes through.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import DecodeError
from ..wire import causes, chunks, params

Fields = tuple[tuple[str, str], ...]

_PARAMETERS = {
    params.HEARTBEAT_INFO: "Heartbeat Info",
    params.IPV4_ADDRESS: "IPv4 Address",
    params.IPV6_ADDRESS: "IPv6 Address",
    params.STATE_COOKIE: "State Cookie",
    params.UNRECOGNIZED_PARAMETER: "Unrecognized Parameter",
    params.COOKIE_PRESERVATIVE: "Cookie Preservative",
    params.HOST_NAME_ADDRESS: "Host Name Address",
    params.SUPPORTED_ADDRESS_TYPES: "Supported Address Types",
    params.ECN_CAPABLE: "ECN Capable",
    params.ZERO_CHECKSUM: "Zero Checksum Acceptable",
    params.RANDOM: "Random",
    params.CHUNK_LIST: "Chunk List",
    params.HMAC_ALGORITHM: "Requested HMAC Algorithm",
    params.PADDING_PARAMETER: "Padding",
    params.SUPPORTED_EXTENSIONS: "Supported Extensions",
    params.FORWARD_TSN_SUPPORTED: "Forward TSN Supported",
    params.ADAPTATION_INDICATION: "Adaptation Layer Indication",
}


@dataclass(slots=True, frozen=True)
class Explanation:
    """A message for people: its name on the wire, a sentence, where it is specified, its fields in order."""

    title: str
    text: str
    section: str
    fields: Fields = ()


def explain(kind: int, flags: int, value: bytes) -> Explanation:
    """Return a chunk in words. DecodeError if it does not parse."""
    title = chunks.NAMES.get(kind, f"chunk {kind}")
    teller = _TELLERS.get(kind)
    if teller is None:
        return Explanation(title, f"a chunk of another RFC, {len(value)} bytes", "RFC 9260 section 3.2")
    section, words = teller
    text, fields = words(chunks.decode(kind, flags, value))
    where = section if section.startswith("RFC") else f"RFC 9260 section {section}"
    return Explanation(title, text, where, fields)


def cause_text(found: list[causes.Cause]) -> str:
    """Return error causes in words; a user's reason with its text."""
    words = []
    for code, value in found:
        name = causes.NAMES.get(code, f"cause {code}")
        reason = value.decode("utf-8", "replace").strip("\0") if code == causes.USER_ABORT else ""
        words.append(f"{name}: {reason}" if reason and reason.isprintable() else name)
    return ", ".join(words)


def addresses_of(init: chunks.Init) -> list[str]:
    """Return the addresses that an INIT or INIT ACK lists (section 3.3.2.1); wrong ones are left out."""
    found = []
    for kind, value in init.parameters:
        if kind in (params.IPV4_ADDRESS, params.IPV6_ADDRESS):
            try:
                found.append(params.decode_address(kind, value))
            except DecodeError:
                continue
    return found


def span(first: int, last: int) -> str:
    """Return a range of TSNs as text."""
    return str(first) if first == last else f"{first}-{last}"


def gaps_of(sack: chunks.Sack) -> list[tuple[int, int]]:
    """Return the ranges of TSNs that arrived beyond the cumulative one."""
    top = sack.cumulative_tsn
    return [((top + start) & 0xFFFFFFFF, (top + end) & 0xFFFFFFFF) for start, end in sack.gaps]


def missing_of(sack: chunks.Sack) -> list[tuple[int, int]]:
    """Return the ranges of TSNs that a SACK shows as missing."""
    found, expected = [], (sack.cumulative_tsn + 1) & 0xFFFFFFFF
    for first, last in gaps_of(sack):
        if first != expected:
            found.append((expected, (first - 1) & 0xFFFFFFFF))
        expected = (last + 1) & 0xFFFFFFFF
    return found


def _spans(ranges: list[tuple[int, int]]) -> str:
    shown = ", ".join(span(*r) for r in ranges[:4])
    return shown + (f" and {len(ranges) - 4} more ranges" if len(ranges) > 4 else "")


def _parameters(found: list[params.Parameter]) -> str:
    return ", ".join(_PARAMETERS.get(kind, f"0x{kind:04x}") for kind, _ in found) or "none"


def _init(c: chunks.Init) -> tuple[str, Fields]:
    text = (
        "answers with a signed cookie and keeps no state yet" if c.ack else "asks for an association"
    )  # section 5.1.3
    fields = (
        ("initiate tag", f"0x{c.tag:08x}"),
        ("a_rwnd", f"{c.a_rwnd} bytes"),
        ("streams", f"{c.outbound_streams} out, at most {c.inbound_streams} in"),
        ("initial TSN", str(c.initial_tsn)),
        ("addresses", ", ".join(addresses_of(c)) or "that of the packet"),
        ("parameters", _parameters(c.parameters)),
    )
    return text, fields


def _data(c: chunks.Data) -> tuple[str, Fields]:
    place = {3: "whole message", 2: "first fragment", 1: "last fragment", 0: "middle fragment"}[c.flags & 3]
    order = "unordered" if c.flags & chunks.UNORDERED else f"SSN {c.ssn}"
    return f"{place} of {len(c.data)} bytes", (
        ("TSN", str(c.tsn)),
        ("stream", f"{c.stream}, {order}"),
        ("PPID", str(c.ppid)),
        ("flags", "".join(n for bit, n in ((8, "I"), (4, "U"), (2, "B"), (1, "E")) if c.flags & bit) or "none"),
    )


def _sack(c: chunks.Sack) -> tuple[str, Fields]:
    text = f"all up to TSN {c.cumulative_tsn} has arrived"
    missing = missing_of(c)
    if missing:
        text += f"; TSN {_spans(missing)} missing, {_spans(gaps_of(c))} there"
    if c.duplicates:
        text += f"; {len(c.duplicates)} arrived twice"
    return text, (
        ("cumulative TSN", str(c.cumulative_tsn)),
        ("a_rwnd", f"{c.a_rwnd} bytes"),
        ("gap blocks", _spans(gaps_of(c)) or "none"),
        ("duplicate TSNs", ", ".join(map(str, c.duplicates[:8])) or "none"),
    )


def _heartbeat(c: chunks.Heartbeat) -> tuple[str, Fields]:
    size = sum(len(value) for _, value in c.parameters)
    text = "this path works" if c.ack else "does this path still work?"
    return text, (("heartbeat information", f"{size} bytes"),)


def _abort(c: chunks.Abort) -> tuple[str, Fields]:
    told = cause_text(c.causes)
    reflected = "yes: the sender knows no association" if c.flags & chunks.T_BIT else "no"
    return f"ends the association at once{f': {told}' if told else ''}", (
        ("causes", told or "none"),
        ("T bit (reflected tag)", reflected),
    )


def _error(c: chunks.Error) -> tuple[str, Fields]:
    told = cause_text(c.causes)
    return f"reports {told or 'nothing'}; the association goes on", (("causes", told or "none"),)


def _shutdown(c: chunks.Shutdown) -> tuple[str, Fields]:
    return "has nothing more to send and wants to end", (("cumulative TSN", str(c.cumulative_tsn)),)


def _forward(c: chunks.ForwardTsn) -> tuple[str, Fields]:
    streams = ", ".join(f"{stream} up to SSN {ssn}" for stream, ssn in c.skipped[:8])
    return f"does not send again what is missing up to TSN {c.cumulative_tsn}", (
        ("new cumulative TSN", str(c.cumulative_tsn)),
        ("streams", streams or "none"),
    )


def _cookie(c: chunks.CookieEcho) -> tuple[str, Fields]:
    return "gives the cookie back: the sender is where it says", (("cookie", f"{len(c.cookie)} bytes"),)


def _plain(text: str) -> Callable[[Any], tuple[str, Fields]]:
    return lambda chunk: (text, ())


_TELLERS: dict[int, tuple[str, Callable[[Any], tuple[str, Fields]]]] = {
    chunks.DATA: ("3.3.1", _data),
    chunks.INIT: ("3.3.2", _init),
    chunks.INIT_ACK: ("3.3.3", _init),
    chunks.SACK: ("3.3.4", _sack),
    chunks.HEARTBEAT: ("3.3.5", _heartbeat),
    chunks.HEARTBEAT_ACK: ("3.3.6", _heartbeat),
    chunks.ABORT: ("3.3.7", _abort),
    chunks.SHUTDOWN: ("3.3.8", _shutdown),
    chunks.SHUTDOWN_ACK: ("3.3.9", _plain("has nothing more to send either")),
    chunks.ERROR: ("3.3.10", _error),
    chunks.COOKIE_ECHO: ("3.3.11", _cookie),
    chunks.COOKIE_ACK: ("3.3.12", _plain("the association is up at both ends")),
    chunks.SHUTDOWN_COMPLETE: ("3.3.13", _plain("the association is gone")),
    chunks.FORWARD_TSN: ("RFC 3758 section 3.2", _forward),
}
