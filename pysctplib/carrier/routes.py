"""What the system knows of its own addresses and of the way to others: sources, MTUs, scopes.

RFC 9260 section 5.1.2 says to list addresses by scope: loopback addresses go to peers on this host only,
link-local ones to nobody, since their zone means nothing to the peer.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
from time import monotonic

from . import linux

LIFE = 5.0  # seconds that the list of addresses is remembered
DEFAULT_MTU = 1500
MIN_MTU, MAX_MTU = 576, 65535

_sources: dict[str, tuple[float, str]] = {}  # peer -> (when it was asked, source address)
_interfaces: tuple[float, tuple[str, ...]] = (float("-inf"), ())


def source(remote: str, port: int = 9) -> str:
    """Return the source address that the system takes towards ``remote``, "" if there is no route."""
    with socket.socket(socket.AF_INET6 if ":" in remote else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((remote, port or 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0])


def mtu(address: str) -> int:
    """Return the IP MTU in bytes of the route to an address: 1500 where the system does not tell."""
    if not sys.platform.startswith("linux"):
        return DEFAULT_MTU
    ipv6 = ":" in address
    with socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((address, 9))
            level, option = (socket.IPPROTO_IPV6, linux.IPV6_MTU) if ipv6 else (socket.IPPROTO_IP, linux.IP_MTU)
            return max(MIN_MTU, min(probe.getsockopt(level, option), MAX_MTU))
        except OSError:
            return DEFAULT_MTU


def own_addresses() -> tuple[str, ...]:
    """Return the addresses of all interfaces, in canonical form; remembered for some seconds."""
    global _interfaces
    now = monotonic()
    if now - _interfaces[0] > LIFE:
        import ifaddr  # takes its time to import, and few need it

        found: dict[str, None] = {}
        for adapter in ifaddr.get_adapters():
            for entry in adapter.ips:
                text = entry.ip if isinstance(entry.ip, str) else entry.ip[0]
                found[str(ipaddress.ip_address(text))] = None
        _interfaces = (now, tuple(found))
    return _interfaces[1]


def scope(address: str) -> int:
    """Return 0 for loopback, 1 for link-local, 2 for private, 3 for global addresses."""
    parsed = ipaddress.ip_address(address)
    if parsed.is_loopback:
        return 0
    if parsed.is_link_local:
        return 1
    return 2 if parsed.is_private else 3


def local_addresses(peer: str) -> list[str]:
    """Return the own addresses that a peer may use: the one that packets to it leave from comes first.

    A loopback peer gets the one loopback address; a peer at a private address private and global ones; a global
    peer global ones, and in any case the address that it sees.
    """
    now = monotonic()
    known = _sources.get(peer)
    if known is None or now - known[0] > LIFE:  # a socket for each set-up would be dear
        if len(_sources) > 4096:
            _sources.clear()
        known = _sources[peer] = (now, source(peer))
    first = known[1]
    if not first:
        return []
    least = scope(peer)
    if least == 0:
        return [first]  # a peer on this host needs no second way
    others = [a for a in own_addresses() if a != first and scope(a) >= max(2, least)]
    return [first, *others]
