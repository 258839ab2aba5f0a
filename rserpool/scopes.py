"""Which addresses may be told to whom: RSPLIB's scopes and the rule for loopback.

One rule: whatever leaves this host carries no loopback and no link-local address. An association is *local*
if all addresses of its peer belong to this host. Over a local association loopback addresses are taken and
given; over any other they are left out, and pool elements that then have no address left are left out wholly,
of the checksum told there too, so that checksums agree with what was told.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from rserpool.wire.types import SCTP, PoolElement, Transport

LOOPBACK, LINK_LOCAL, SITE_LOCAL, GLOBAL = 2, 4, 6, 10

_SITE_LOCAL_V4 = tuple(ip_network(n) for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
_SITE_LOCAL_V6 = ip_network("fec0::/10")
_MINIMUM = {"auto": SITE_LOCAL, "loopback": SITE_LOCAL, "sitelocal": SITE_LOCAL, "global": GLOBAL}


@lru_cache(maxsize=4096)
def scope(address: str) -> int:
    """RSPLIB's scope number of an address; 0 for what is none.

    0 unspecified, 2 loopback, 4 link-local, 6 site-local, 7 and 8 multicast, 10 the rest.
    """
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return 0
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if isinstance(ip, IPv4Address):
        return _scope4(ip)
    return _scope6(ip)


def _scope4(ip: IPv4Address) -> int:
    if ip.is_unspecified:
        return 0
    if ip.packed[0] & 0x7F == 127:
        return LOOPBACK
    if ip.is_link_local:
        return LINK_LOCAL
    if any(ip in network for network in _SITE_LOCAL_V4):
        return SITE_LOCAL
    return 8 if ip.is_multicast else GLOBAL


def _scope6(ip: IPv6Address) -> int:
    if ip.is_unspecified:
        return 0
    if ip.is_multicast:
        return {1: 1, 2: 3, 5: 5, 8: 7}.get(ip.packed[1] & 0x0F, 8)
    if ip.is_loopback:
        return LOOPBACK
    if ip.is_link_local:
        return LINK_LOCAL
    return SITE_LOCAL if ip in _SITE_LOCAL_V6 else GLOBAL


def is_local(addresses: Iterable[str], host: Collection[str]) -> bool:
    """Whether a peer with these addresses is a program of this host, whose own addresses are ``host``."""
    known = False
    for address in addresses:
        if scope(address) != LOOPBACK and address not in host:
            return False
        known = True
    return known


def usable(addresses: tuple[str, ...], local: bool, setting: str = "auto") -> tuple[str, ...]:
    """The addresses that may pass over an association; ``setting`` is the configured minimum scope."""
    # Long lists are not kept: somebody could fill the memory with them.
    return (_kept_usable if len(addresses) <= 8 else _usable)(addresses, local, setting)


def _usable(addresses: tuple[str, ...], local: bool, setting: str) -> tuple[str, ...]:
    minimum = _MINIMUM[setting]
    loopback = local and setting in ("auto", "loopback")
    return tuple(
        address
        for address in addresses
        if ((at := scope(address)) >= minimum and at not in (7, 8)) or (loopback and at == LOOPBACK)
    )


_kept_usable = lru_cache(maxsize=65536)(_usable)


def narrow(transport: Transport, local: bool, setting: str = "auto") -> Transport | None:
    """The transport with its usable addresses only; None if none is left."""
    addresses = usable(transport.addresses, local, setting)
    if transport.protocol != SCTP:
        addresses = addresses[:1]  # all that their parameters can express (RFC 5354 §3.4, §3.5)
    if addresses == transport.addresses:
        return transport
    return replace(transport, addresses=addresses) if addresses else None


def narrow_record(record: PoolElement, local: bool, setting: str = "auto") -> PoolElement | None:
    """The record as it may be told over an association; None if it may not."""
    user = narrow(record.user_transport, local, setting)
    asap = record.asap_transport
    if asap is not None:
        asap = narrow(asap, local, setting)
        if asap is None:
            return None
    if user is None:
        return None
    if user is record.user_transport and asap is record.asap_transport:
        return record
    return replace(record, user_transport=user, asap_transport=asap)
