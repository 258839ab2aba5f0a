"""A SO_REUSEPORT group of UDP sockets of one IP version, and which member has which index in the kernel.

Members keep their index as long as no member is closed. After a hub died, the group has closed its gaps; then the
indices are learned: for each i a program that returns i is attached and a marked datagram sent; whoever gets it
tells. An index beyond the group makes the kernel choose by hash, so the lowest index that a member reports is its
own. Linux only. Processes and ports are not known here.
"""

from __future__ import annotations

import contextlib
import secrets
import select
import socket
from collections.abc import Mapping
from struct import Struct

from . import steering

_MARK = Struct("!8sBIH")  # nonce, IPv6?, generation, index
_WAIT = 5  # milliseconds for a datagram to ourselves


class Member:
    """One socket of a group; ``index`` is None as long as it is not known."""

    __slots__ = ("index", "sock")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.index: int | None = None


class Group:
    """The sockets at one UDP port, for one IP version. ``own`` is the hub's."""

    def __init__(self, family: int, port: int) -> None:
        """Bind the first socket and find its index. OSError if the port is taken or steering is missing."""
        self.family = family
        self.port = port
        self._nonce = secrets.token_bytes(8)
        self._generation = 0
        self.members: list[Member] = []
        self.steered = 0  # ports in the program that is attached
        self.own = self._bind()
        try:
            steering.attach(self.own.sock, steering.constant(0))
            self.size = self._find_own()
        except OSError:
            self.own.sock.close()
            raise
        self.found_others = self.size > 1

    def _bind(self) -> Member:
        sock = socket.socket(self.family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            if self.family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind(("::" if self.family == socket.AF_INET6 else "0.0.0.0", self.port))
        except OSError:
            sock.close()
            raise
        member = Member(sock)
        self.members.append(member)
        return member

    def _find_own(self) -> int:
        """Find the own index, the last one since we came last; return the size of the group."""
        for index in range(65536):
            if not self._mark(index):
                break
            if self._look(self.own):
                break
        else:
            self.own.index = 0
        if self.own.index is None:  # no way to send to ourselves
            self.own.index = 0
        return self.own.index + 1

    def _mark(self, index: int) -> bool:
        """Have the kernel give a marked datagram to the member with an index; False if it cannot be sent."""
        steering.attach(self.own.sock, steering.constant(index))
        mark = _MARK.pack(self._nonce, self.family == socket.AF_INET6, self._generation, index)
        with socket.socket(self.family, socket.SOCK_DGRAM) as sender:
            try:
                sender.sendto(mark, ("::1" if self.family == socket.AF_INET6 else "127.0.0.1", self.port))
            except OSError:
                return False
        return True

    def _look(self, member: Member) -> bool:
        """Look for marks in a member that nobody else reads; other datagrams are lost, as in any network."""
        poll = select.poll()
        poll.register(member.sock, select.POLLIN)
        found = False
        while poll.poll(0 if found else _WAIT):
            with contextlib.suppress(OSError):
                found = self.note(member, member.sock.recv(65535)) or found
        return found

    def note(self, member: Member, data: bytes) -> bool:
        """Take in a datagram that a member got; True if it was a mark."""
        if len(data) != _MARK.size or data[:8] != self._nonce:
            return False
        _, _, generation, index = _MARK.unpack(data)
        if generation == self._generation and (member.index is None or index < member.index):
            member.index = index
        return True

    def is_mark(self, data: bytes) -> bool:
        """Tell whether a datagram is a mark of this group."""
        return len(data) == _MARK.size and data[:8] == self._nonce

    def add(self) -> Member:
        """Make one more socket, known to nobody yet. OSError if the system has no more."""
        member = self._bind()
        if self._mark(self.size):
            self._look(member)
        else:
            member.index = self.size
        if member.index == self.size:
            self.size += 1
        else:  # a socket that we did not know of has gone
            self.size += 1
            self.learn([member])
        return member

    def adopt(self, sock: socket.socket) -> Member:
        """Take in a socket that is in the group already; its index is to be learned."""
        sock.setblocking(False)
        member = Member(sock)
        self.members.append(member)
        return member

    def learn(self, silent: list[Member]) -> None:
        """Learn all indices anew: at once of the own and the ``silent`` sockets, which nobody else reads.

        The others are known once their readers have reported the mark (`note`).
        """
        self._generation += 1
        for member in self.members:
            member.index = None
        for index in range(self.size):
            if not self._mark(index):
                return
        for member in [self.own, *silent]:
            self._look(member)
        if self.own.index is None:
            self.own.index = 0

    def steer(self, owners: Mapping[int, Member]) -> None:
        """Attach a program: port -> member. Ports of members whose index is not known go to the hub."""
        known = {port: m.index for port, m in owners.items() if m.index is not None}
        self.steered = steering.attach_ports(self.own.sock, known, self.own.index or 0)
