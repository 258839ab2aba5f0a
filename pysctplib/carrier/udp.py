"""UDP sockets as a carrier of SCTP packets (RFC 6951), in batches.

One carrier has a socket for IPv4, one for IPv6, or both, all at one UDP port. Reading takes many datagrams at a
wake-up, with UDP_GRO many in one system call; sending joins runs of equal size for one destination into one call
with UDP_SEGMENT. Where the system lacks these, the same calls move one datagram each. The address that a packet
was sent to is reported (PKTINFO), so that answers leave from it (RFC 6951 section 5.4 wants the peer to know us by
it). A packet that was sent to many hosts is dropped (RFC 9260 section 8.4 rule 1). What is in the packets is not
looked at. Errors of the network are counted, never raised.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import sys
from collections.abc import Callable, Iterable
from time import monotonic

from . import linux, routes

PathKey = tuple[str, int, str]
Datagram = tuple[bytes, PathKey]
Receive = Callable[[bytes, PathKey, float], None]

BUFFER = 65535
SOCKET_BUFFER = 8 << 20  # bytes asked for; the kernel gives what it allows
READS = 48  # system calls at one wake-up at most, so that timers get their turn
PATIENCE = 16  # wake-ups with one datagram each before a second one is asked for again
ROUTE_LIFE = 30.0  # seconds that a route's choice of source address is remembered
BACKLOG = 4096  # datagrams kept while the system's send buffer is full
MANY = "many"  # in place of the local address of a packet that was sent to many hosts

_Route = tuple[socket.socket, tuple[str, int], list[tuple[int, int, bytes]]]


def local_address(raw: bytes) -> str:
    """Return the own address of a received packet from the addresses in its PKTINFO; `MANY` if it is none.

    IPv6: the destination. IPv4: the address to answer from and the destination, which differ if that is a
    multicast or a broadcast address.
    """
    if len(raw) == 16:
        return MANY if raw[0] == 0xFF else socket.inet_ntop(socket.AF_INET6, raw)
    return socket.inet_ntop(socket.AF_INET, raw[:4]) if raw[:4] == raw[4:] else MANY


class Counters:
    """What happened to datagrams on their way."""

    __slots__ = ("not_unicast", "received", "send_errors", "sent", "sent_dropped")

    def __init__(self) -> None:
        self.received = 0
        self.not_unicast = 0  # read, but sent to many: dropped
        self.sent = 0
        self.send_errors: dict[int, int] = {}  # errno -> how often
        self.sent_dropped = 0  # send buffer full and the backlog too


def prepare(sock: socket.socket) -> socket.socket:
    """Set the options that the carrier wants on a UDP socket and return it."""
    sock.setblocking(False)
    for forced, plain in ((linux.SO_RCVBUFFORCE, socket.SO_RCVBUF), (linux.SO_SNDBUFFORCE, socket.SO_SNDBUF)):
        try:
            if not sys.platform.startswith("linux"):
                raise OSError
            sock.setsockopt(socket.SOL_SOCKET, forced, SOCKET_BUFFER)
        except OSError:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, plain, SOCKET_BUFFER)
    if sys.platform.startswith("linux"):
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, linux.IPV6_RECVPKTINFO, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, linux.IP_PKTINFO, 1)
        with contextlib.suppress(OSError):
            sock.setsockopt(linux.SOL_UDP, linux.UDP_GRO, 1)
    return sock


def open_sockets(port: int, addresses: Iterable[str] = ()) -> list[socket.socket]:
    """Return UDP sockets bound to a port (0: any, the same for all), for IPv4 and, where it works, IPv6.

    ``addresses``: bind to these instead of any; at most one per family. OSError if the port is taken.
    """
    wanted = [(socket.AF_INET6 if ":" in a else socket.AF_INET, a) for a in addresses]
    if not wanted:
        wanted = [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")]
    for attempt in range(16):
        sockets: list[socket.socket] = []
        chosen = port
        try:
            for family, address in wanted:
                try:
                    sock = socket.socket(family, socket.SOCK_DGRAM)
                except OSError:
                    if family == socket.AF_INET6 and sockets:
                        continue  # a host without IPv6
                    raise
                sockets.append(sock)
                if family == socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                try:
                    sock.bind((address, chosen))
                except OSError as error:
                    if family == socket.AF_INET6 and len(sockets) > 1 and error.errno == errno.EADDRNOTAVAIL:
                        sockets.pop().close()
                        continue
                    raise
                chosen = sock.getsockname()[1]
            return sockets
        except OSError as error:
            for sock in sockets:
                sock.close()
            if error.errno != errno.EADDRINUSE or port or attempt == 15:
                raise OSError(error.errno, f"UDP port {port}: {error.strerror}") from None
    raise AssertionError  # pragma: no cover - the loop returns or raises


class UdpCarrier:
    """Moves datagrams between UDP sockets and an engine. Makes no threads and never blocks."""

    def __init__(self, sockets: Iterable[socket.socket]) -> None:
        self.counters = Counters()
        self.sockets: dict[int, socket.socket] = {}
        self._by_family: dict[bool, socket.socket] = {}  # is it IPv6?
        self._budget: dict[int, int] = {}
        self._patience = 0  # wake-ups until a dialogue is looked at more closely
        self._names: dict[bytes, str] = {}  # PKTINFO, never of the size of a UDP_GRO -> own address
        self._routes: dict[PathKey, _Route | None] = {}
        self._routes_at = 0.0
        self.backlog: list[Datagram] = []  # waits for room in the system's send buffer
        self._segments = linux.segmentation_offload()
        self.replace(sockets)

    def replace(self, sockets: Iterable[socket.socket]) -> None:
        """Use these sockets from now on; the old ones are not closed."""
        self.sockets = {}
        self._by_family = {}
        for sock in sockets:
            prepare(sock)
            self.sockets[sock.fileno()] = sock
            self._by_family[sock.family == socket.AF_INET6] = sock
        self._budget = dict.fromkeys(self.sockets, 1)
        self._routes.clear()

    @property
    def port(self) -> int:
        """The local UDP port."""
        return int(next(iter(self.sockets.values())).getsockname()[1])

    def close(self) -> None:
        """Close the sockets."""
        for sock in self.sockets.values():
            sock.close()
        self.sockets = {}
        self._by_family = {}

    # ---- receiving

    def readable(self, fd: int, receive: Receive, now: float) -> bool:
        """Read what is there, a bounded number of datagrams, into ``receive``; False for a foreign ``fd``.

        After a wake-up that found one datagram, the next ones ask the kernel only once: a dialogue needs no second
        system call to learn that there is nothing more. A bulk transfer is read until it is drained.
        """
        sock = self.sockets.get(fd)
        if sock is None:
            return False
        recvmsg, names, counters = sock.recvmsg, self._names, self.counters
        budget = self._budget[fd]
        for count in range(budget):
            try:
                data, ancillary, _, source = recvmsg(BUFFER, 128)
            except BlockingIOError:
                if count <= 1:
                    self._budget[fd] = 1
                    self._patience = PATIENCE
                else:
                    self._budget[fd] = count
                return True
            except OSError as error:  # an ICMP error of an earlier send
                self._note(error.errno)
                continue
            size = segment = len(data)
            local = ""
            for level, kind, value in ancillary:
                known = names.get(value)
                if known is not None:
                    local = known
                elif kind == linux.UDP_GRO and level == linux.SOL_UDP:
                    segment = linux.INT.unpack_from(value)[0] or size
                else:
                    local = self._name(value)
            if local is MANY:
                counters.not_unicast += 1
                continue
            key = (source[0], source[1], local)
            if segment >= size:
                counters.received += 1
                receive(data, key, now)
            else:
                for start in range(0, size, segment):
                    counters.received += 1
                    receive(data[start : start + segment], key, now)
                if budget == 1:
                    budget = 2
        if budget == 1 and self._patience:
            self._patience -= 1
        else:
            self._budget[fd] = min(budget * 2, READS)
        return True

    def _name(self, info: bytes) -> str:
        """Return the own address of a PKTINFO, and remember it."""
        if len(self._names) > 1024:
            self._names.clear()
        name = local_address(info[4:] if len(info) == 12 else info[:16])
        self._names[info] = name
        return name

    # ---- sending

    def send(self, datagrams: list[Datagram]) -> None:
        """Send datagrams, in order; runs of equal size for one path go out in one system call."""
        if self.backlog:
            datagrams = self.backlog + datagrams
            self.backlog = []
        if len(datagrams) == 1:
            data, path = datagrams[0]
            if not self._send_one(data, path):
                self._keep(datagrams)
            return
        position, count, segments = 0, len(datagrams), self._segments
        while position < count:
            data, path = datagrams[position]
            size = len(data)
            end = position + 1
            if segments:
                last = min(count, position + linux.MAX_SEGMENTS, position + linux.MAX_BATCH // size)
                while end < last:
                    following, to = datagrams[end]
                    length = len(following)
                    if length > size or to != path:
                        break
                    end += 1
                    if length < size:  # only the last one of a run may be shorter
                        break
            if end - position == 1:
                sent = self._send_one(data, path)
            else:
                sent = self._send_run([d for d, _ in datagrams[position:end]], size, path)
            if not sent:
                self._keep(datagrams[position:])
                return
            position = end

    def _route(self, path: PathKey) -> _Route | None:
        """Return socket, destination and ancillary data for a path; None if there is no way."""
        now = monotonic()
        if now - self._routes_at > ROUTE_LIFE or len(self._routes) > 8192:
            self._routes.clear()
            self._routes_at = now
        elif path in self._routes:
            return self._routes[path]
        remote, port, local = path
        ipv6 = ":" in remote
        sock = self._by_family.get(ipv6)
        route: _Route | None = None
        if sock is not None:
            ancillary: list[tuple[int, int, bytes]] = []
            if local and sys.platform.startswith("linux") and routes.source(remote, port) != local:
                if ipv6:
                    raw = socket.inet_pton(socket.AF_INET6, local)
                    ancillary = [(socket.IPPROTO_IPV6, linux.IPV6_PKTINFO, linux.IN6_PKTINFO.pack(raw, 0))]
                else:
                    raw = socket.inet_pton(socket.AF_INET, local)
                    ancillary = [(socket.IPPROTO_IP, linux.IP_PKTINFO, linux.IN_PKTINFO.pack(0, raw, bytes(4)))]
            route = (sock, (remote, port), ancillary)
        self._routes[path] = route
        return route

    def _send_one(self, data: bytes, path: PathKey) -> bool:
        route = self._routes.get(path) or self._route(path)
        if route is None:
            self._note(errno.EAFNOSUPPORT)
            return True
        sock, address, ancillary = route
        try:
            if ancillary:
                sock.sendmsg((data,), ancillary, 0, address)
            else:
                sock.sendto(data, address)
        except BlockingIOError:
            return False
        except OSError as error:
            self._note(error.errno)
            return True
        self.counters.sent += 1
        return True

    def _send_run(self, run: list[bytes], size: int, path: PathKey) -> bool:
        route = self._routes.get(path) or self._route(path)
        if route is None:
            self._note(errno.EAFNOSUPPORT)
            return True
        sock, address, ancillary = route
        segment = (linux.SOL_UDP, linux.UDP_SEGMENT, linux.U16.pack(size))
        try:
            sock.sendmsg((b"".join(run),), [segment, *ancillary], 0, address)
        except BlockingIOError:
            return False
        except OSError:
            # An interface that cannot cut, or packets beyond its MTU: one by one, the kernel then fragments.
            return all(self._send_one(data, path) for data in run)
        self.counters.sent += len(run)
        return True

    def _keep(self, datagrams: list[Datagram]) -> None:
        self.backlog = datagrams[:BACKLOG]
        self.counters.sent_dropped += len(datagrams) - len(self.backlog)

    def _note(self, code: int | None) -> None:
        code = code or 0
        self.counters.send_errors[code] = self.counters.send_errors.get(code, 0) + 1
