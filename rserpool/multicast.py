"""UDP sockets for announces: sending to a group by every interface, receiving a group on every interface.

IPv4 and IPv6. Which messages travel: RFC 5352 §3.8 (SERVER_ANNOUNCE), RFC 5353 §3.1 (PRESENCE).
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import ip_address

import ifaddr

from rserpool.scopes import LINK_LOCAL, LOOPBACK, scope

MAX_DATAGRAM = 65536
VARIABLE = "RSERPOOL_INTERFACES"  # names, comma-separated; "loopback": what never leaves this host


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface with its addresses (canonical text)."""

    name: str
    index: int
    addresses: tuple[str, ...]

    @property
    def loopback(self) -> bool:
        """Whether all its addresses are loopback addresses."""
        return all(scope(address) == LOOPBACK for address in self.addresses)


def all_interfaces() -> list[Interface]:
    """The interfaces of this host that have an address."""
    found = []
    for adapter in ifaddr.get_adapters():
        addresses = tuple(ip.ip if isinstance(ip.ip, str) else ip.ip[0] for ip in adapter.ips)
        if addresses:
            found.append(Interface(adapter.name, adapter.index or 0, addresses))
    return found


def interfaces() -> list[Interface]:
    """The interfaces for announces: all, or those that RSERPOOL_INTERFACES names."""
    wanted = {name.strip() for name in os.environ.get(VARIABLE, "").split(",")} - {""}
    return [
        interface
        for interface in all_interfaces()
        if not wanted or interface.name in wanted or (interface.loopback and "loopback" in wanted)
    ]


def host_addresses(among: Collection[Interface]) -> tuple[str, ...]:
    """All unicast addresses of the host but link-local ones, which mean nothing without an interface."""
    return tuple(a for i in among for a in i.addresses if scope(a) != LINK_LOCAL)


def announcing(among: Collection[Interface], bound: Collection[str]) -> list[Interface]:
    """The interfaces by which to announce what is bound to the addresses ``bound`` (none: any).

    Loopback is used if the endpoint is bound to it, or if there is nothing else: who hears an announce twice
    might otherwise come by loopback, and be known to this host only.
    """
    specific = [a for a in bound if not ip_address(a).is_unspecified]
    if specific:
        return [i for i in among if set(i.addresses) & set(specific)]
    outside = [i for i in among if not i.loopback]
    return outside or list(among)


class Sender:
    """The UDP socket from which announces leave; its port is that of the SCTP endpoint."""

    def __init__(self, group: tuple[str, int], port: int, ttl: int, bound: Collection[str] = ()) -> None:
        self._group = group
        self._v6 = ip_address(group[0]).version == 6
        family = socket.AF_INET6 if self._v6 else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self.failures = 0
        try:
            self._socket.setblocking(False)
            own = [a for a in bound if (ip_address(a).version == 6) == self._v6]
            any_address = "::" if self._v6 else "0.0.0.0"
            if self._v6:
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, ttl)
            else:
                self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
            self._socket.bind((own[0] if len(own) == 1 else any_address, port))
        except BaseException:
            self._socket.close()
            raise

    def send(self, data: bytes, interface: Interface) -> bool:
        """Send by one interface; False (and counted) if it cannot."""
        try:
            if self._v6:
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, interface.index)
            else:
                address = next((a for a in interface.addresses if ip_address(a).version == 4), None)
                if address is None:
                    return False
                self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
            self._socket.sendto(data, self._group)
        except OSError:
            self.failures += 1
            return False
        return True

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class Receiver:
    """A UDP socket bound to a group; other programs may be bound to it as well."""

    def __init__(self, group: tuple[str, int]) -> None:
        self._group = group
        self._v6 = ip_address(group[0]).version == 6
        family = socket.AF_INET6 if self._v6 else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._joined: set[int | str] = set()
        try:
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if hasattr(socket, "SO_REUSEPORT") and sys.platform != "linux":
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            try:
                self._socket.bind(group)  # keeps what is sent to other groups out
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    raise
                self._socket.bind(("", group[1]))
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """The descriptor to watch."""
        return self._socket.fileno()

    def join(self, among: Collection[Interface]) -> int:
        """Join the group on every interface, also on those that have come up since; how many are joined."""
        for interface in among:
            key: int | str = interface.index if self._v6 else interface.name
            if key in self._joined:
                continue
            try:
                self._join(interface)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:  # joined already
                    continue
            self._joined.add(key)
        self._joined &= {i.index if self._v6 else i.name for i in among}
        return len(self._joined)

    def _join(self, interface: Interface) -> None:
        address = self._group[0]
        if self._v6:
            request = socket.inet_pton(socket.AF_INET6, address) + struct.pack("@I", interface.index)
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
            return
        own = next((a for a in interface.addresses if ip_address(a).version == 4), None)
        if own is None:
            raise OSError(errno.EADDRNOTAVAIL, "no IPv4 address")
        request = socket.inet_aton(address) + socket.inet_aton(own)
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)

    def receive(self) -> tuple[bytes, str] | None:
        """The next datagram and its source address; None: none is there."""
        received = self.receive_from()
        return None if received is None else received[:2]

    def receive_from(self) -> tuple[bytes, str, int] | None:
        """The next datagram, its source address and port; None: none is there."""
        try:
            data, source = self._socket.recvfrom(MAX_DATAGRAM)
        except (BlockingIOError, InterruptedError, ConnectionError):
            return None
        return data, str(source[0]).partition("%")[0], int(source[1])

    def close(self) -> None:
        """Leave the group and close the socket."""
        self._socket.close()
