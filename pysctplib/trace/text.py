"""Packets as text: one line each, and message sequences as text or as a Mermaid diagram.

RFC 9260 section 3.3 names the chunks. For people: what is malformed is said to be so, never raised.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from typing import NamedTuple

from ..errors import DecodeError
from ..wire.chunks import NAMES
from ..wire.packet import HEADER, HEADER_SIZE, walk

Address = tuple[str, int]
_DATA = Struct(">LHHL")
_SACK = Struct(">LLHH")


class Packet(NamedTuple):
    """One packet as it was seen: seconds, addresses with UDP ports (0: none), the SCTP packet."""

    time: float
    source: Address
    destination: Address
    data: bytes


def chunk_text(kind: int, flags: int, value: bytes) -> str:
    """Return a chunk in words, e.g. ``DATA tsn=5 sid=0 ssn=1 ppid=0 UBE 100 bytes``."""
    name = NAMES.get(kind, f"chunk-{kind}").replace(" ", "_")
    if kind == 0 and len(value) >= 12:
        tsn, stream, ssn, ppid = _DATA.unpack_from(value)
        letters = "".join(letter for bit, letter in ((8, "I"), (4, "U"), (2, "B"), (1, "E")) if flags & bit)
        return f"{name} tsn={tsn} sid={stream} ssn={ssn} ppid={ppid} {letters or '-'} {len(value) - 12} bytes"
    if kind == 3 and len(value) >= 12:
        cumulative, window, gaps, duplicates = _SACK.unpack_from(value)
        extra = (f" gaps={gaps}" if gaps else "") + (f" dups={duplicates}" if duplicates else "")
        return f"{name} cum={cumulative} a_rwnd={window}{extra}"
    return name


def summary(data: bytes) -> str:
    """Return ports and chunks of a packet in words."""
    if len(data) < HEADER_SIZE:
        return f"malformed: {len(data)} bytes"
    source, destination, tag = HEADER.unpack_from(data)
    parts = []
    try:
        for kind, flags, value in walk(data):
            parts.append(chunk_text(kind, flags, value))
    except DecodeError as error:
        parts.append(f"malformed: {error}")
    return f"{source} > {destination} tag={tag:08x} " + ", ".join(parts)


def line(packet: Packet) -> str:
    """Return a packet as one line: time, addresses, ports, chunks."""
    return f"{packet.time:.6f} {_address(packet.source)} > {_address(packet.destination)} {summary(packet.data)}"


def sequence(packets: Iterable[Packet], width: int = 60) -> str:
    """Return a message sequence as text: time, an arrow between the two hosts, chunks."""
    lines = []
    first: Address | None = None
    start = 0.0
    for packet in packets:
        if first is None:
            first, start = packet.source, packet.time
            lines.append(f"{'':>10}  {_address(packet.source):<{width // 2}}{_address(packet.destination)}")
        label = f" {_chunks(packet.data)} "
        if packet.source == first:
            arrow = "|" + label.center(width, "-") + ">|"
        else:
            arrow = "|<" + label.center(width, "-") + "|"
        lines.append(f"{packet.time - start:10.6f}  {arrow}")
    return "\n".join(lines)


def mermaid(packets: Iterable[Packet]) -> str:
    """Return a message sequence as a Mermaid diagram."""
    names: dict[Address, str] = {}
    arrows = []
    for packet in packets:
        ends = [names.setdefault(end, f"h{len(names) + 1}") for end in (packet.source, packet.destination)]
        arrows.append(f"    {ends[0]}->>{ends[1]}: {_chunks(packet.data)}")
    heads = [f"    participant {name} as {_address(end)}" for end, name in names.items()]
    return "\n".join(["sequenceDiagram", *heads, *arrows])


def _chunks(data: bytes) -> str:
    return summary(data).partition(" tag=")[2].partition(" ")[2] or summary(data)


def _address(address: Address) -> str:
    host, port = address
    return host if not port else f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
