"""Raw IP sockets as a carrier: plain SCTP, protocol 132, for kernels and equipment without UDP encapsulation.

RFC 9260 section 3 over IPv4 and IPv6. Needs CAP_NET_RAW, and a host whose kernel does not speak SCTP: such a
kernel would abort our associations as out of the blue. Every process with such a socket gets every SCTP packet of
the host, so ports are not shared through a hub here, and packets for ports of others are not answered. Path keys
have UDP port 0. Nothing of a packet is looked at but the length of its IPv4 header.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket

from . import linux
from .udp import BUFFER, MANY, READS, SOCKET_BUFFER, Counters, Datagram, PathKey, Receive, local_address

PROTOCOL = 132
KERNEL_SCTP = "/proc/net/sctp"  # there while the kernel's SCTP is loaded

__all__ = ["KERNEL_SCTP", "PROTOCOL", "RawCarrier", "open_raw_sockets"]


def open_raw_sockets() -> list[socket.socket]:
    """Return raw sockets for IPv4 and, where it works, IPv6.

    OSError: EPERM without CAP_NET_RAW; EADDRINUSE where the kernel speaks SCTP itself; EPROTONOSUPPORT.
    """
    if os.path.exists(KERNEL_SCTP):
        text = "this host's kernel speaks SCTP and would abort ours: use it (kernel), or UDP (RFC 6951)"
        raise OSError(errno.EADDRINUSE, text)
    sockets: list[socket.socket] = []
    try:
        for family in (socket.AF_INET, socket.AF_INET6):
            try:
                sock = socket.socket(family, socket.SOCK_RAW, PROTOCOL)
            except OSError as error:
                if error.errno in (errno.EPERM, errno.EACCES):
                    text = "raw IP needs root or CAP_NET_RAW; SCTP over UDP does not"
                    raise OSError(errno.EPERM, text) from None
                if family == socket.AF_INET6 and sockets:
                    continue  # a host without IPv6
                raise
            sockets.append(sock)
            sock.setblocking(False)
            for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, linux.IPV6_RECVPKTINFO, 1)
            else:
                sock.setsockopt(socket.IPPROTO_IP, linux.IP_PKTINFO, 1)
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return sockets


class RawCarrier:
    """Moves SCTP packets between raw sockets and an engine; the same calls as the UDP carrier's."""

    def __init__(self, sockets: list[socket.socket]) -> None:
        self.counters = Counters()
        self.sockets = {sock.fileno(): sock for sock in sockets}
        self._by_family = {sock.family == socket.AF_INET6: sock for sock in sockets}
        self._buffer = bytearray(BUFFER)
        self._view = memoryview(self._buffer)
        self._backlog: list[Datagram] = []

    @property
    def congested(self) -> bool:
        """Whether packets wait for room in the system's send buffer."""
        return bool(self._backlog)

    def close(self) -> None:
        """Close the sockets."""
        for sock in self.sockets.values():
            sock.close()
        self.sockets = {}
        self._by_family = {}

    def readable(self, fd: int, receive: Receive, now: float) -> None:
        """Read what is there, a bounded number of packets, and hand each to ``receive``."""
        sock = self.sockets.get(fd)
        if sock is None:
            return
        ipv6 = sock.family == socket.AF_INET6
        for _ in range(READS):
            try:
                size, ancillary, _, source = sock.recvmsg_into([self._buffer], 128)
            except BlockingIOError:
                return
            except OSError as error:
                self._note(error.errno)
                continue
            start = 0
            if not ipv6:  # IPv4 raw sockets deliver the IP header
                start = (self._buffer[0] & 15) * 4
                if start < 20 or start > size:
                    continue
            local = ""
            for _, _, value in ancillary:
                local = local_address(value[4:] if len(value) == 12 else value[:16])
            if local is MANY:
                self.counters.not_unicast += 1
                continue
            self.counters.received += 1
            receive(bytes(self._view[start:size]), (source[0].partition("%")[0], 0, local), now)

    def send(self, datagrams: list[Datagram]) -> None:
        """Send packets, in order."""
        datagrams = self._backlog + datagrams
        self._backlog = []
        for position, (data, path) in enumerate(datagrams):
            try:
                self._send(data, path)
            except BlockingIOError:
                self._backlog = datagrams[position:]
                return
            except OSError as error:
                self._note(error.errno)

    def _send(self, data: bytes, path: PathKey) -> None:
        remote, _, local = path
        ipv6 = ":" in remote
        sock = self._by_family.get(ipv6)
        if sock is None:
            raise OSError(errno.EAFNOSUPPORT, remote)
        ancillary: list[tuple[int, int, bytes]] = []
        if local and ipv6:
            packed = linux.IN6_PKTINFO.pack(socket.inet_pton(socket.AF_INET6, local), 0)
            ancillary = [(socket.IPPROTO_IPV6, linux.IPV6_PKTINFO, packed)]
        elif local:
            packed = linux.IN_PKTINFO.pack(0, socket.inet_pton(socket.AF_INET, local), bytes(4))
            ancillary = [(socket.IPPROTO_IP, linux.IP_PKTINFO, packed)]
        sock.sendmsg((data,), ancillary, 0, (remote, 0))
        self.counters.sent += 1

    def _note(self, code: int | None) -> None:
        code = code or 0
        self.counters.send_errors[code] = self.counters.send_errors.get(code, 0) + 1
