"""SOCKETAPI's calls that set associations up, end them, and ask for addresses (RFC 6458 sections 3, 4 and 9)."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence

from .. import constants as c
from .. import structures as s
from ..sctpsocket import SctpSocket
from .constants import O_NONBLOCK
from .descriptors import Ref, c_call, enter, socket_of


@c_call
def ext_socket(domain: int, type_: int, protocol: int = c.IPPROTO_SCTP) -> int:
    """Open a socket; SOCK_DGRAM means one-to-many too."""
    if protocol != c.IPPROTO_SCTP:
        return enter(socket.socket(domain, type_, protocol).detach())
    style = socket.SOCK_SEQPACKET if type_ == socket.SOCK_DGRAM else type_
    if style not in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):
        raise OSError(errno.EINVAL, "SCTP has SOCK_STREAM and SOCK_SEQPACKET")
    sock = SctpSocket(domain, style)
    sock.settimeout(None)
    return enter(sock)


@c_call
def ext_bind(fd: int, address: s.Address) -> int:
    """Bind to one address."""
    socket_of(fd).bind(address)
    return 0


@c_call
def sctp_bindx(fd: int, addresses: Sequence[s.Address], count: int, flags: int) -> int:
    """Add or remove the first ``count`` addresses (RFC 6458 section 9.1)."""
    socket_of(fd).bindx(list(addresses)[:count], flags)
    return 0


@c_call
def ext_listen(fd: int, backlog: int) -> int:
    """Accept associations; 0 turns that off."""
    socket_of(fd).listen(backlog)
    return 0


@c_call
def ext_accept(fd: int, address: Ref | None = None) -> int:
    """Return a descriptor for the next association; O_NONBLOCK is inherited."""
    parent = socket_of(fd)
    sock, peer = parent.accept()
    sock.settimeout(parent.gettimeout())
    if address is not None:
        address.value = peer
    return enter(sock)


@c_call
def ext_connect(fd: int, address: s.Address) -> int:
    """Set up an association."""
    socket_of(fd).connect(address)
    return 0


@c_call
def sctp_connectx(fd: int, addresses: Sequence[s.Address], count: int, assoc_id: Ref | None = None) -> int:
    """Set up an association with a peer that has ``count`` addresses (section 9.9)."""
    try:
        number = socket_of(fd).connectx(list(addresses)[:count])
    except BlockingIOError as error:
        if assoc_id is not None:
            assoc_id.value = getattr(error, "assoc_id", 0)
        raise
    if assoc_id is not None:
        assoc_id.value = number
    return 0


ext_connectx = sctp_connectx


@c_call
def sctp_peeloff(fd: int, assoc_id: int) -> int:
    """Return a descriptor of its own for an association (section 9.2)."""
    parent = socket_of(fd)
    sock = parent.peeloff(assoc_id)
    sock.settimeout(parent.gettimeout())
    return enter(sock)


@c_call
def sctp_peeloff_flags(fd: int, assoc_id: int, flags: int) -> int:
    """Like sctp_peeloff; SOCK_NONBLOCK in the flags makes it non-blocking."""
    sock = socket_of(fd).peeloff(assoc_id)
    sock.setblocking(not flags & getattr(socket, "SOCK_NONBLOCK", O_NONBLOCK))
    return enter(sock)


@c_call
def ext_shutdown(fd: int, how: int) -> int:
    """End the association gracefully (SHUT_RD does nothing)."""
    socket_of(fd).shutdown(how)
    return 0


@c_call
def ext_getsockname(fd: int, address: Ref) -> int:
    """Give the first local address."""
    address.value = socket_of(fd).getsockname()
    return 0


@c_call
def ext_getpeername(fd: int, address: Ref) -> int:
    """Give the peer's primary address."""
    address.value = socket_of(fd).getpeername()
    return 0


@c_call
def sctp_getpaddrs(fd: int, assoc_id: int, addresses: Ref) -> int:
    """Give the peer's addresses; returns how many (section 9.3)."""
    addresses.value = socket_of(fd).getpaddrs(assoc_id)
    return len(addresses.value)


@c_call
def sctp_getladdrs(fd: int, assoc_id: int, addresses: Ref) -> int:
    """Give the local addresses; returns how many (section 9.5)."""
    addresses.value = socket_of(fd).getladdrs(assoc_id)
    return len(addresses.value)


def sctp_freepaddrs(addresses: Ref) -> None:
    """Forget the addresses (section 9.4)."""
    addresses.value = None


def sctp_freeladdrs(addresses: Ref) -> None:
    """Forget the addresses (section 9.6)."""
    addresses.value = None


@c_call
def sctp_getassocid(fd: int, address: s.Address) -> int:
    """Return the identifier of the association with a peer address."""
    sock = socket_of(fd)
    for assoc_id in sock.getsockopt(c.IPPROTO_SCTP, c.SCTP_GET_ASSOC_ID_LIST).ids:
        if tuple(address) in sock.getpaddrs(assoc_id):
            return int(assoc_id)
    raise OSError(errno.ENOENT, "no association with that peer")


@c_call
def sctp_getaddrlen(family: int) -> int:
    """Return the size of C's sockaddr of a family."""
    sizes: dict[int, int] = {socket.AF_INET: 16, socket.AF_INET6: 28}
    if family not in sizes:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    return sizes[family]
