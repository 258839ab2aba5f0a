"""Numeric addresses: checking, families, IPv4-mapped IPv6, and name resolution for the blocking API.

RFC 6458 section 8.1.15 (mapped addresses). Formats of sockaddr are in `backends/kernel_layout.py`.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterable, Sequence
from typing import Any


def is_numeric(host: str) -> bool:
    """Say whether it is an address, not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def canonical(host: str) -> str:
    """Return the canonical form of a numeric address; mapped IPv4 becomes IPv4. Raises ValueError."""
    address = ipaddress.ip_address(host)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


def is_ipv6(host: str) -> bool:
    """Say whether a numeric address is of IPv6."""
    return ":" in host


def family_of(hosts: Iterable[str]) -> int:
    """Return AF_INET6 if one of the addresses is of IPv6, else AF_INET."""
    return socket.AF_INET6 if any(is_ipv6(host) for host in hosts) else socket.AF_INET


def for_family(host: str, family: int) -> str:
    """Return the address as a socket of that family wants it. Raises OSError(EAFNOSUPPORT)."""
    if family == socket.AF_INET6:
        return host if is_ipv6(host) else "::ffff:" + host
    if is_ipv6(host):
        raise OSError(errno.EAFNOSUPPORT, f"{host} is no IPv4 address")
    return host


def resolve(host: str, family: int = 0) -> str:
    """Return one numeric address for a name or address; "" stays. Raises socket.gaierror."""
    if not host or is_numeric(host):
        return canonical(host) if host else ""
    if family == socket.AF_INET6:
        family = 0
    found = socket.getaddrinfo(host, None, family, socket.SOCK_DGRAM)
    return canonical(str(found[0][4][0]))


def resolve_every(host: str) -> list[str]:
    """Return all numeric addresses of a name, in the system's order; "" stays. Raises socket.gaierror."""
    if not host or is_numeric(host):
        return [canonical(host) if host else ""]
    found = socket.getaddrinfo(host, None, 0, socket.SOCK_DGRAM)
    return list(dict.fromkeys(canonical(str(row[4][0])) for row in found))


def as_hosts(hosts: str | Sequence[str] | None) -> list[str]:
    """Return a list for one host, several, or none."""
    if hosts is None or hosts == "":
        return []
    if isinstance(hosts, str):
        return [hosts]
    return list(hosts)


def check(address: Sequence[Any], family: int) -> tuple[str, int]:
    """Return (numeric host, port) of a socket's address; longer tuples are taken.

    Raises TypeError, OverflowError for the port, socket.gaierror for a name.
    """
    if not isinstance(address, tuple | list) or len(address) < 2:
        raise TypeError("an address is a (host, port) tuple")
    host, port = address[0], address[1]
    if not isinstance(host, str) or not isinstance(port, int):
        raise TypeError("an address is a (host, port) tuple")
    if not 0 <= port <= 65535:
        raise OverflowError("port must be 0-65535")
    return resolve(host, family), port


def check_several(addresses: Iterable[Sequence[Any]], family: int) -> tuple[list[str], int]:
    """Return (numeric hosts, port) of one peer's addresses. Also raises OSError(EINVAL): none, or two ports."""
    pairs = [check(address, family) for address in addresses]
    if not pairs:
        raise OSError(errno.EINVAL, "no address was given")
    if len({port for _, port in pairs}) > 1:
        raise OSError(errno.EINVAL, "the ports of all addresses must be the same")
    return [host for host, _ in pairs], pairs[0][1]
