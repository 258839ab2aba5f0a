"""Address strings: canonical form and scope (RFC 9260 section 5.1.2, RFC 8540 section 3.30).

Addresses are strings in the form of ``ipaddress`` throughout the engine; only here they are looked into.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache


@lru_cache(maxsize=4096)
def canonical(address: str) -> str:
    """Return the canonical form; IPv4-mapped IPv6 becomes IPv4. ValueError if it is not an address."""
    parsed = ipaddress.ip_address(address)
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)


@lru_cache(maxsize=4096)
def is_loopback(address: str) -> bool:
    """Tell whether an address is a loopback address."""
    return ipaddress.ip_address(address).is_loopback


@lru_cache(maxsize=4096)
def usable_destination(address: str, source: str) -> bool:
    """Tell whether a peer that sends from ``source`` can be reached at ``address``, which it listed.

    No multicast, broadcast or unspecified address; loopback only from loopback; no IPv6 link-local address, as its
    zone is not known.
    """
    parsed = ipaddress.ip_address(address)
    if parsed.is_multicast or parsed.is_unspecified or address == "255.255.255.255":
        return False
    if parsed.is_loopback:
        return is_loopback(source)
    return not (parsed.version == 6 and parsed.is_link_local)
