"""A handlespace as text (as RSPLIB's hsdump prints it), as a table, as JSON."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rserpool.handlespace import Element, Handlespace, Pool, fold
from rserpool.wire.policies import NAMES
from rserpool.wire.types import DCCP, INFINITE_LIFE, SCTP, TCP, UDP, UDP_LITE, ServerInformation, Transport

_FULL = 0xFFFFFFFF
_PROTOCOLS = {SCTP: "SCTP", TCP: "TCP", UDP: "UDP", DCCP: "DCCP", UDP_LITE: "UDP-Lite"}


def protocol_name(number: int) -> str:
    """The name of an IP protocol."""
    return _PROTOCOLS.get(number, str(number))


def place(transport: Transport | None) -> str:
    """A transport address."""
    if transport is None:
        return "(none)"
    use = "+CtrlCh" if transport.control_channel else ""
    return f"{{{', '.join(transport.addresses)}}} {transport.port}/{protocol_name(transport.protocol)}{use}"


def handle_text(handle: bytes) -> str:
    """A pool handle, printable."""
    return handle.decode("utf-8", "backslashreplace")


def _fraction(value: int) -> str:
    return f"{100 * value / _FULL:.3f}%(${value:08x})"


def _real(value: int) -> str:
    return f"{value / _FULL:.6f}(${value:08x})"


def _life(value: int) -> str:
    return "infinite" if value == INFINITE_LIFE else f"{value}ms"


def element_lines(element: Element) -> list[str]:
    """What is known of a pool element."""
    policy, record = element.policy, element.record
    weight = policy.weight or policy.priority
    share = f"{element.selections / weight:.1f}" if weight else "-"
    return [
        f"chsum=${fold(element.weight):08x} home=${element.home:08x} life={_life(record.life)} "
        f"ur={element.reports}",
        f"t=${policy.type:02x} [w={weight} l={_fraction(policy.load)} ldeg={_fraction(policy.load_degradation)} "
        f"ldpf={_real(policy.load_dpf)} wdpf={_real(policy.weight_dpf)} dist={policy.distance}]",
        f"seq={element.sequence} rd={element.round} vrt={element.virtual} deg=${element.degradation:x} "
        f"{{sel={element.selections} s/w={share}}}",
        f"userT: {place(record.user_transport)}" + (f" UDP port {record.udp_port}" if record.udp_port else ""),
        f"regT:  {place(record.asap_transport)}",
    ]


def pool_line(pool: Pool) -> str:
    """What the elements of a pool share."""
    return (
        f'Pool "{handle_text(pool.handle)}", Policy "{pool.kind.name}", Protocol {protocol_name(pool.protocol)}, '
        f"CtrlCh={'yes' if pool.control_channel else 'no'}: ({len(pool)} nodes)"
    )


def _pools(space: Handlespace) -> list[Pool]:
    return sorted(space.pools.values(), key=lambda pool: pool.key)


def text_lines(space: Handlespace, home: int) -> list[str]:
    """The whole handlespace, as a dump of the registrar ``home`` begins and ends."""
    everything = fold(sum(e.weight for e in space.walk()))
    lines = [
        f"Handlespace[home=${home:08x}]: ({len(space.pools)} Pools, {space.size} PoolElements, "
        f"{space.count(home)} Owned)",
        f"-- Checksums: Handlespace=${everything:08x}, Ownership=${space.checksum(home):08x}",
    ]
    for title, short in (("Index", "idx"), ("Selection", "sel")):
        lines.append(f"*-- {title}:")
        for pool in _pools(space):
            lines += [f" +-- {pool_line(pool)}", f" +-- {title}:"]
            elements = (
                [pool.elements[i] for i in pool.identifiers] if short == "idx" else pool.selection.elements()
            )
            for number, element in enumerate(elements, 1):
                lines.append(f"   - {short}:#{number:04d}: ${element.identifier:08x}")
                lines += [f"     {line}" for line in element_lines(element)]
    lines.append("*-- Ownership:")
    for owner in sorted(space.homes()):
        for element in space.owned(owner):
            lines.append(f'   - ${owner:08x} -> "{handle_text(element.handle)}" / ${element.identifier:08x}')
    return lines


def peer_lines(peers: list[ServerInformation], own: int) -> list[str]:
    """The registrars that the dumped one knows."""
    lines = [f"PeerList of ${own:08x} ({len(peers)} peers)", " +-- Peers by Index:"]
    for number, peer in enumerate(sorted(peers, key=lambda p: p.identifier), 1):
        lines += [f"   - idx:#{number:04d}: ${peer.identifier:08x}", f"        addrs: {place(peer.transport)}"]
    return lines


def as_json(space: Handlespace, peers: list[ServerInformation], registrar: int) -> dict[str, Any]:
    """All of it, for programs; fractions as 0..1, times in milliseconds."""
    return {
        "registrar": f"${registrar:08x}",
        "peers": [{"id": f"${p.identifier:08x}", **_transport(p.transport, p.udp_port)} for p in peers],
        "pools": [
            {
                "handle": handle_text(pool.handle),
                "policy": pool.kind.name,
                "protocol": protocol_name(pool.protocol),
                "control_channel": pool.control_channel,
                "elements": [_element(pool.elements[i]) for i in pool.identifiers],
            }
            for pool in _pools(space)
        ],
        "checksums": {f"${home:08x}": f"0x{space.checksum(home):04x}" for home in sorted(space.homes())},
    }


def _transport(transport: Transport, udp_port: int | None) -> dict[str, Any]:
    return {
        "addresses": list(transport.addresses),
        "port": transport.port,
        "protocol": protocol_name(transport.protocol),
        **({"udp_port": udp_port} if udp_port else {}),
    }


def _element(element: Element) -> dict[str, Any]:
    policy, record = element.policy, element.record
    return {
        "id": f"${element.identifier:08x}",
        "home": f"${element.home:08x}",
        "life": None if record.life == INFINITE_LIFE else record.life,
        "policy": {
            "type": NAMES.get(policy.type, f"0x{policy.type:08x}"),
            "weight": policy.weight,
            "priority": policy.priority,
            "load": policy.load / _FULL,
            "load_degradation": policy.load_degradation / _FULL,
            "load_dpf": policy.load_dpf / _FULL,
            "weight_dpf": policy.weight_dpf / _FULL,
            "distance": policy.distance,
        },
        "user": _transport(record.user_transport, record.udp_port),
        "asap": None if record.asap_transport is None else _transport(record.asap_transport, None),
    }


def table(space: Handlespace, peers: list[ServerInformation], registrar: int) -> RenderableType:
    """All of it, for people."""
    grid = Table(expand=True, box=None, header_style="bold", padding=(0, 1))
    for title in ("Pool", "Element", "Home", "Policy", "Load", "Life", "Where"):
        grid.add_column(title, no_wrap=title != "Where")
    for pool in _pools(space):
        for place_in_pool, identifier in enumerate(pool.identifiers):
            element = pool.elements[identifier]
            policy = element.policy
            number = policy.weight or policy.priority
            grid.add_row(
                Text(handle_text(pool.handle) if place_in_pool == 0 else "", "bold"),
                Text(f"${identifier:08x}", "blue"), Text(f"${element.home:08x}", "red"),
                pool.kind.name + (f":{number}" if number else ""),
                f"{100 * policy.load / _FULL:.0f}%" if policy.type & 0x40000000 or policy.load else "",
                _life(element.record.life), place(element.record.user_transport).partition("+")[0],
            )  # fmt: skip
    words = ", ".join(
        f"{n} {noun}{'' if n == 1 else 's'}"
        for n, noun in ((len(space.pools), "pool"), (space.size, "pool element"), (len(peers), "other registrar"))
    )
    head = Text.assemble("Registrar ", (f"${registrar:08x}", "bold red"), f": {words}")
    others = [Text(f"  ${p.identifier:08x}  {place(p.transport)}", "dim") for p in peers]
    return Group(head, *others, Text(), grid)
