"""SOCKETAPI's names: every ``ext_*`` and ``sctp_*`` function, so that C programs can be carried over call by call.

As in C, descriptors are ints, a failure is -1 with the reason in `ext_errno()` (an errno of the calling thread),
data is received into buffers (bytearray, memoryview), and what C returns through pointers goes into a `Ref`.
Addresses are ``(host, port)``; structures are those of `structures`. RFC 6458 section 9 where it has the function.

Kept from SOCKETAPI: names, argument order, descriptors from the top of a table down, one queue in order. Different
on purpose: autoclose is off by default, connect fails with ECONNREFUSED or ETIMEDOUT (not EIO), unknown options
give ENOPROTOOPT both ways, recv's flags work, payload protocol identifiers are in host order.
"""

from __future__ import annotations

import errno
import functools
import os
import select
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ParamSpec

from . import constants as c
from . import structures as s
from .message import Message
from .sctpsocket import SctpSocket

FD_SETSIZE = 1024
VERSION = 0x22200
O_NONBLOCK = getattr(os, "O_NONBLOCK", 0x800)
F_GETFL, F_SETFL = 3, 4

# SOCKETAPI's flags that RFC 6458 names otherwise.
MSG_UNORDERED = c.SCTP_UNORDERED
MSG_ADDR_OVER = c.SCTP_ADDR_OVER
MSG_ABORT = c.SCTP_ABORT
MSG_EOF = MSG_SHUTDOWN = c.SCTP_EOF
MSG_SEND_TO_ALL = c.SCTP_SENDALL
MSG_PR_SCTP_TTL = c.SCTP_PR_SCTP_TTL
MSG_UNBUNDLED = 0  # no such flag in RFC 6458: SCTP_NODELAY is for the whole socket
MSG_NOTIFICATION = c.MSG_NOTIFICATION
MSG_EOR = c.MSG_EOR
SCTP_SET_DEFAULT_SEND_PARAM = c.SCTP_DEFAULT_SEND_PARAM
SCTP_SET_STREAM_TIMEOUTS = 1014  # SOCKETAPI's own, with its number

_SEND_FLAGS = (
    c.SCTP_UNORDERED
    | c.SCTP_ADDR_OVER
    | c.SCTP_ABORT
    | c.SCTP_SACK_IMMEDIATELY
    | c.SCTP_SENDALL
    | c.SCTP_EOF
    | c.SCTP_PR_SCTP_MASK
)
_P = ParamSpec("_P")
_local = threading.local()
_table: dict[int, SctpSocket | int] = {}
_stream_timeouts: dict[int, list[SetStrmTimeout]] = {}  # by descriptor
_lock = threading.Lock()


@dataclass(slots=True)
class Ref:
    """What C calls a pointer to a result."""

    value: Any = None


@dataclass(slots=True)
class MsgHdr:
    """struct msghdr: name (address or None), buffers, ancillary data with structures, flags of what came."""

    name: Any = None
    iov: list[bytearray] = field(default_factory=list)
    control: list[tuple[int, int, Any]] = field(default_factory=list)
    flags: int = 0
    notification: Any = None


@dataclass(slots=True)
class SetStrmTimeout:
    """struct sctp_setstrm_timeout of SCTP_SET_STREAM_TIMEOUTS: lifetime in ms of messages on a range of streams.

    It is that of messages which are sent without one; 0: none. The newest setting of a stream counts.
    """

    ssto_assoc_id: int = 0
    ssto_timeout: int = 0
    ssto_streamid_start: int = 0
    ssto_streamid_end: int = 0


@dataclass(slots=True)
class PollFd:
    """struct pollfd."""

    fd: int
    events: int
    revents: int = 0


def ext_errno() -> int:
    """Return the errno of this thread's last call that returned -1."""
    return getattr(_local, "errno", 0)


def _c_call(function: Callable[_P, int]) -> Callable[_P, int]:
    """Give a function C's way to fail."""

    @functools.wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> int:
        try:
            return function(*args, **kwargs)
        except BlockingIOError as error:
            _local.errno = error.errno or errno.EAGAIN
        except TimeoutError as error:
            _local.errno = error.errno or errno.ETIMEDOUT
        except OSError as error:
            _local.errno = error.errno or errno.EIO
        except (ValueError, TypeError, OverflowError):
            _local.errno = errno.EINVAL
        return -1

    return call


def _enter(item: SctpSocket | int) -> int:
    with _lock:
        for fd in range(FD_SETSIZE - 1, 2, -1):
            if fd not in _table:
                _table[fd] = item
                return fd
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def _entry(fd: int) -> SctpSocket | int:
    found = _table.get(fd)
    if found is None:
        if fd in (0, 1, 2):
            return fd
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return found


def _sctp(fd: int) -> SctpSocket:
    found = _entry(fd)
    if isinstance(found, int):
        raise OSError(errno.EOPNOTSUPP, "not an SCTP descriptor")
    return found


def socket_of(fd: int) -> SctpSocket:
    """Return the SctpSocket behind a descriptor. Raises OSError(EBADF, EOPNOTSUPP)."""
    return _sctp(fd)


def _fill(buffers: Sequence[bytearray | memoryview], data: bytes) -> int:
    offset = 0
    for buffer in buffers:
        view = memoryview(buffer).cast("B")
        part = data[offset : offset + len(view)]
        view[: len(part)] = part
        offset += len(part)
    return offset


# Set-up


@_c_call
def ext_socket(domain: int, type_: int, protocol: int = c.IPPROTO_SCTP) -> int:
    """Open a socket; SOCK_DGRAM means one-to-many too."""
    if protocol != c.IPPROTO_SCTP:
        return _enter(socket.socket(domain, type_, protocol).detach())
    style = socket.SOCK_SEQPACKET if type_ == socket.SOCK_DGRAM else type_
    if style not in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):
        raise OSError(errno.EINVAL, "SCTP has SOCK_STREAM and SOCK_SEQPACKET")
    sock = SctpSocket(domain, style)
    sock.settimeout(None)
    return _enter(sock)


@_c_call
def ext_bind(fd: int, address: s.Address) -> int:
    """Bind to one address."""
    _sctp(fd).bind(address)
    return 0


@_c_call
def sctp_bindx(fd: int, addresses: Sequence[s.Address], count: int, flags: int) -> int:
    """Add or remove the first ``count`` addresses (RFC 6458 section 9.1)."""
    _sctp(fd).bindx(list(addresses)[:count], flags)
    return 0


@_c_call
def ext_listen(fd: int, backlog: int) -> int:
    """Accept associations; 0 turns that off."""
    _sctp(fd).listen(backlog)
    return 0


@_c_call
def ext_accept(fd: int, address: Ref | None = None) -> int:
    """Return a descriptor for the next association; O_NONBLOCK is inherited."""
    parent = _sctp(fd)
    sock, peer = parent.accept()
    sock.settimeout(parent.gettimeout())
    if address is not None:
        address.value = peer
    return _enter(sock)


@_c_call
def ext_connect(fd: int, address: s.Address) -> int:
    """Set up an association."""
    _sctp(fd).connect(address)
    return 0


@_c_call
def sctp_connectx(fd: int, addresses: Sequence[s.Address], count: int, assoc_id: Ref | None = None) -> int:
    """Set up an association with a peer that has ``count`` addresses (section 9.9)."""
    try:
        number = _sctp(fd).connectx(list(addresses)[:count])
    except BlockingIOError as error:
        if assoc_id is not None:
            assoc_id.value = getattr(error, "assoc_id", 0)
        raise
    if assoc_id is not None:
        assoc_id.value = number
    return 0


ext_connectx = sctp_connectx


@_c_call
def sctp_peeloff(fd: int, assoc_id: int) -> int:
    """Return a descriptor of its own for an association (section 9.2)."""
    parent = _sctp(fd)
    sock = parent.peeloff(assoc_id)
    sock.settimeout(parent.gettimeout())
    return _enter(sock)


@_c_call
def sctp_peeloff_flags(fd: int, assoc_id: int, flags: int) -> int:
    """Like sctp_peeloff; SOCK_NONBLOCK in the flags makes it non-blocking."""
    sock = _sctp(fd).peeloff(assoc_id)
    sock.setblocking(not flags & getattr(socket, "SOCK_NONBLOCK", O_NONBLOCK))
    return _enter(sock)


# Ends


@_c_call
def ext_shutdown(fd: int, how: int) -> int:
    """End the association gracefully (SHUT_RD does nothing)."""
    _sctp(fd).shutdown(how)
    return 0


@_c_call
def ext_close(fd: int) -> int:
    """Close a descriptor of any kind; never waits."""
    found = _entry(fd)
    with _lock:
        _table.pop(fd, None)
        _stream_timeouts.pop(fd, None)
    if isinstance(found, int):
        os.close(found)
    else:
        found.close()
    return 0


# Addresses


@_c_call
def ext_getsockname(fd: int, address: Ref) -> int:
    """Give the first local address."""
    address.value = _sctp(fd).getsockname()
    return 0


@_c_call
def ext_getpeername(fd: int, address: Ref) -> int:
    """Give the peer's primary address."""
    address.value = _sctp(fd).getpeername()
    return 0


@_c_call
def sctp_getpaddrs(fd: int, assoc_id: int, addresses: Ref) -> int:
    """Give the peer's addresses; returns how many (section 9.3)."""
    addresses.value = _sctp(fd).getpaddrs(assoc_id)
    return len(addresses.value)


@_c_call
def sctp_getladdrs(fd: int, assoc_id: int, addresses: Ref) -> int:
    """Give the local addresses; returns how many (section 9.5)."""
    addresses.value = _sctp(fd).getladdrs(assoc_id)
    return len(addresses.value)


def sctp_freepaddrs(addresses: Ref) -> None:
    """Forget the addresses (section 9.4)."""
    addresses.value = None


def sctp_freeladdrs(addresses: Ref) -> None:
    """Forget the addresses (section 9.6)."""
    addresses.value = None


@_c_call
def sctp_getassocid(fd: int, address: s.Address) -> int:
    """Return the identifier of the association with a peer address."""
    sock = _sctp(fd)
    for assoc_id in sock.getsockopt(c.IPPROTO_SCTP, c.SCTP_GET_ASSOC_ID_LIST).ids:
        if tuple(address) in sock.getpaddrs(assoc_id):
            return int(assoc_id)
    raise OSError(errno.ENOENT, "no association with that peer")


@_c_call
def sctp_getaddrlen(family: int) -> int:
    """Return the size of C's sockaddr of a family (section 9.10)."""
    sizes: dict[int, int] = {socket.AF_INET: 16, socket.AF_INET6: 28}
    if family not in sizes:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    return sizes[family]


# Options


@_c_call
def ext_fcntl(fd: int, command: int, argument: int = 0) -> int:
    """F_GETFL and F_SETFL with O_NONBLOCK."""
    sock = _sctp(fd)
    if command == F_GETFL:
        return 0 if sock.getblocking() else O_NONBLOCK
    if command == F_SETFL:
        sock.setblocking(not argument & O_NONBLOCK)
        return 0
    raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))


@_c_call
def ext_ioctl(fd: int, request: int, argument: Any = None) -> int:
    """Nothing of it is there for SCTP: EOPNOTSUPP."""
    _sctp(fd)
    raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))


@_c_call
def ext_getsockopt(fd: int, level: int, option: int, value: Ref) -> int:
    """Get an option; ``value.value`` may name the association or address that is asked about."""
    value.value = _sctp(fd).getsockopt(level, option, value.value)
    return 0


@_c_call
def ext_setsockopt(fd: int, level: int, option: int, value: Any) -> int:
    """Set an option; SCTP_SET_STREAM_TIMEOUTS takes a `SetStrmTimeout`."""
    sock = _sctp(fd)
    if level == c.IPPROTO_SCTP and option == SCTP_SET_STREAM_TIMEOUTS:
        _set_stream_timeouts(fd, value)
    else:
        sock.setsockopt(level, option, value)
    return 0


def _set_stream_timeouts(fd: int, value: Any) -> None:
    if not isinstance(value, SetStrmTimeout):
        raise TypeError("SCTP_SET_STREAM_TIMEOUTS takes SetStrmTimeout")
    first, last = value.ssto_streamid_start, value.ssto_streamid_end
    if not 0 <= first <= last <= 65535 or not 0 <= value.ssto_timeout < 1 << 32:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    with _lock:
        kept = _stream_timeouts.setdefault(fd, [])
        # A setting that this one covers has no effect any more.
        kept[:] = [
            old
            for old in kept
            if old.ssto_assoc_id != value.ssto_assoc_id
            or old.ssto_streamid_start < first
            or old.ssto_streamid_end > last
        ]
        kept.append(replace(value))


def _stream_timeout(fd: int, assoc_id: int, stream: int) -> int:
    """Return the lifetime in ms of a message without one; 0: none."""
    for kept in reversed(_stream_timeouts.get(fd, ())):
        if kept.ssto_assoc_id in (0, assoc_id) and kept.ssto_streamid_start <= stream <= kept.ssto_streamid_end:
            return kept.ssto_timeout
    return 0


_SETS = (c.SCTP_PRIMARY_ADDR, c.SCTP_SET_PEER_PRIMARY_ADDR, c.SCTP_PEER_ADDR_PARAMS)


@_c_call
def sctp_opt_info(fd: int, assoc_id: int, option: int, value: Ref) -> int:
    """Get an option of an association (section 9.7).

    As in SOCKETAPI, a filled structure for PRIMARY_ADDR, SET_PEER_PRIMARY_ADDR or PEER_ADDR_PARAMS is set instead.
    """
    sock = _sctp(fd)
    filled = value.value is not None and any(
        getattr(value.value, name, None) for name in ("addr", "flags", "hbinterval", "pathmaxrxt")
    )
    if option == SCTP_SET_STREAM_TIMEOUTS:
        if isinstance(value.value, SetStrmTimeout):
            value.value.ssto_assoc_id = assoc_id
        _set_stream_timeouts(fd, value.value)
    elif option in _SETS and filled:
        value.value.assoc_id = assoc_id
        sock.setsockopt(c.IPPROTO_SCTP, option, value.value)
    else:
        value.value = sock.opt_info(assoc_id, option, value.value)
    return 0


# Sending


def _flags_of(flags: int) -> tuple[int, int]:
    """Part one number space into SCTP's flags and those of messages."""
    return flags & _SEND_FLAGS, flags & ~_SEND_FLAGS


@_c_call
def ext_send(fd: int, data: bytes, length: int, flags: int = 0) -> int:
    """Send one message with the default parameters."""
    return _send(fd, data, length, None, flags, [])


@_c_call
def ext_write(fd: int, data: bytes, length: int) -> int:
    """Write to a descriptor of any kind."""
    found = _entry(fd)
    if isinstance(found, int):
        return os.write(found, data[:length])
    return found.send(bytes(data[:length]))


@_c_call
def ext_sendto(fd: int, data: bytes, length: int, flags: int, to: s.Address | None) -> int:
    """Send one message to an address, setting up an association if there is none."""
    return _send(fd, data, length, None, flags, [] if to is None else [to])


@_c_call
def ext_sendmsg(fd: int, message: MsgHdr, flags: int = 0) -> int:
    """Send one message made of buffers, with ancillary data."""
    return _sctp(fd).sendmsg([bytes(part) for part in message.iov], message.control, flags, message.name)


@_c_call
def sctp_send(fd: int, data: bytes, length: int, info: s.SndRcvInfo | None, flags: int = 0) -> int:
    """Send one message as described (section 9.11, deprecated there)."""
    return _send(fd, data, length, info, flags, [])


@_c_call
def sctp_sendx(
    fd: int,
    data: bytes,
    length: int,
    addresses: Sequence[s.Address],
    count: int,
    info: s.SndRcvInfo | None,
    flags: int = 0,
) -> int:
    """Send one message to a peer with several addresses (section 9.12 of the drafts)."""
    return _send(fd, data, length, info, flags, list(addresses)[:count])


@_c_call
def sctp_sendmsg(
    fd: int,
    data: bytes,
    length: int,
    to: s.Address | None,
    ppid: int,
    flags: int,
    stream: int,
    timetolive: int,
    context: int,
) -> int:
    """Send one message (section 9.10, deprecated there); ppid in host order, timetolive in ms."""
    info = s.SndRcvInfo(stream, 0, flags & _SEND_FLAGS, ppid, context, timetolive)
    return _send(fd, data, length, info, 0, [] if to is None else [to])


@_c_call
def sctp_sendv(
    fd: int,
    iov: Iterable[bytes],
    addresses: Sequence[s.Address] = (),
    count: int = 0,
    info: Any = None,
    flags: int = 0,
) -> int:
    """Send one message (section 9.12)."""
    return _sctp(fd).sendv([bytes(part) for part in iov], list(addresses)[:count], info, flags)


def _send(fd: int, data: bytes, length: int, info: s.SndRcvInfo | None, flags: int, to: list[s.Address]) -> int:
    sock = _sctp(fd)
    bits, rest = _flags_of(flags)
    payload = bytes(data[:length])
    if info is None and not bits and fd not in _stream_timeouts:
        return sock.sendto(payload, rest, to[0]) if to else sock.send(payload, rest)
    info = info or s.SndRcvInfo()
    policy = (info.flags | bits) & c.SCTP_PR_SCTP_MASK
    snd = s.SndInfo(
        info.stream, (info.flags | bits) & ~c.SCTP_PR_SCTP_MASK, info.ppid, info.context, info.assoc_id
    )
    lifetime = info.timetolive or _stream_timeout(fd, info.assoc_id, info.stream)
    prinfo = s.PrInfo(policy or c.SCTP_PR_SCTP_TTL, lifetime) if lifetime else None
    return sock.sendv([payload], to, s.SendvSpa(snd, prinfo), rest)


# Receiving


@_c_call
def ext_recv(fd: int, buffer: bytearray | memoryview, length: int, flags: int = 0) -> int:
    """Receive into a buffer; notifications are skipped."""
    return _sctp(fd).recv_into(buffer, min(length, len(buffer)), flags)


@_c_call
def ext_read(fd: int, buffer: bytearray | memoryview, length: int) -> int:
    """Read from a descriptor of any kind."""
    found = _entry(fd)
    if isinstance(found, int):
        return _fill([buffer], os.read(found, min(length, len(buffer))))
    return found.recv_into(buffer, min(length, len(buffer)))


@_c_call
def ext_recvfrom(
    fd: int, buffer: bytearray | memoryview, length: int, flags: int = 0, address: Ref | None = None
) -> int:
    """Receive into a buffer, with the peer's address; notifications are skipped."""
    count, peer = _sctp(fd).recvfrom_into(buffer, min(length, len(buffer)), flags)
    if address is not None:
        address.value = peer
    return count


def _receive(fd: int, message: MsgHdr, flags: int, with_notifications: bool) -> int:
    sock = _sctp(fd)
    room = sum(len(part) for part in message.iov)
    while True:
        data, message.control, message.flags, message.name = sock.recvmsg(room, 0, flags)
        if isinstance(data, bytes):
            message.notification = None
            return _fill(message.iov, data)
        if with_notifications:
            message.notification = data
            return 1


@_c_call
def ext_recvmsg(fd: int, message: MsgHdr, flags: int = 0) -> int:
    """Receive data or a notification: the latter is put into ``message.notification``, and 1 is returned."""
    return _receive(fd, message, flags, True)


@_c_call
def ext_recvmsg2(fd: int, message: MsgHdr, flags: int, with_notifications: int) -> int:
    """Like ext_recvmsg, skipping notifications if they are not wanted."""
    return _receive(fd, message, flags, bool(with_notifications))


@_c_call
def sctp_recvmsg(
    fd: int,
    buffer: bytearray | memoryview,
    length: int,
    address: Ref | None = None,
    info: s.SndRcvInfo | None = None,
    flags: Ref | None = None,
) -> int:
    """Receive with all that is known (section 9.11 of the drafts).

    A notification sets MSG_NOTIFICATION in ``flags.value`` and is put into ``address.value``; 1 is returned.
    """
    sock = _sctp(fd)
    item = sock.receive_part(min(length, len(buffer)), (flags.value or 0) if flags is not None else 0)
    if item is None:
        return 0
    if not isinstance(item, Message):
        if flags is not None:
            flags.value = c.MSG_NOTIFICATION | c.MSG_EOR
        if address is not None:
            address.value = item
        return 1
    if flags is not None:
        flags.value = c.MSG_EOR if item.eor else 0
    if address is not None:
        address.value = (item.address, item.port)
    if info is not None:
        info.stream, info.ssn, info.ppid, info.context = item.stream, item.ssn, item.ppid, item.context
        info.flags = c.SCTP_UNORDERED if item.unordered else 0
        info.tsn, info.cumtsn, info.assoc_id = item.tsn, item.cumtsn, item.assoc_id
    return _fill([buffer], item.data)


@_c_call
def sctp_recvv(fd: int, iov: Sequence[bytearray], address: Ref, info: Ref, infotype: Ref, flags: Ref) -> int:
    """Receive with information (section 9.13); a notification is put into ``info.value``, and 1 is returned."""
    result = _sctp(fd).recvv(sum(len(part) for part in iov), flags.value or 0)
    address.value, infotype.value, flags.value = result.address, result.infotype, result.flags
    if not isinstance(result.data, bytes):
        info.value = result.data
        return 1
    info.value = result.info
    return _fill(iov, result.data)


# Waiting


def _wait(reads: set[int], writes: set[int], seconds: float | None) -> tuple[set[int], set[int]]:
    """Wait until one of the descriptors can be read or written; SCTP and system descriptors mixed."""
    numbers = {}
    for fd in reads | writes:
        found = _entry(fd)
        numbers[fd] = found if isinstance(found, int) else found.fileno()
    ready = select.select({numbers[fd] for fd in reads}, {numbers[fd] for fd in writes}, [], seconds)
    return {fd for fd in reads if numbers[fd] in ready[0]}, {fd for fd in writes if numbers[fd] in ready[1]}


@_c_call
def ext_select(
    n: int,
    readfds: set[int] | None = None,
    writefds: set[int] | None = None,
    exceptfds: set[int] | None = None,
    timeout: float | None = None,
) -> int:
    """Wait for descriptors below n; the sets are changed to those that are ready; timeout in seconds."""
    reads = {fd for fd in readfds or () if fd < n}
    writes = {fd for fd in writefds or () if fd < n}
    readable, writable = _wait(reads, writes, timeout)
    for given, ready in ((readfds, readable), (writefds, writable), (exceptfds, set[int]())):
        if given is not None:
            given.intersection_update(ready)
    return len(readable) + len(writable)


@_c_call
def ext_poll(descriptors: Sequence[PollFd], count: int, timeout: int) -> int:
    """Wait for descriptors; timeout in ms, negative: for ever."""
    used = list(descriptors)[:count]
    known = [entry for entry in used if entry.fd in _table or entry.fd in (0, 1, 2)]
    reads = {entry.fd for entry in known if entry.events & select.POLLIN}
    writes = {entry.fd for entry in known if entry.events & select.POLLOUT}
    bad = len(known) != len(used)
    readable, writable = _wait(reads, writes, 0.0 if bad else None if timeout < 0 else timeout / 1000)
    for entry in used:
        entry.revents = (select.POLLIN if entry.fd in readable else 0) | (
            select.POLLOUT if entry.fd in writable else 0
        )
        if entry not in known:
            entry.revents = select.POLLNVAL
    return sum(1 for entry in used if entry.revents)


# System calls that SOCKETAPI wraps, so that their descriptors may be mixed in ext_select


@_c_call
def ext_open(path: str, flags: int, mode: int = 0o777) -> int:
    """Open a file."""
    return _enter(os.open(path, flags, mode))


@_c_call
def ext_creat(path: str, mode: int) -> int:
    """Create a file for writing."""
    return _enter(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, mode))


@_c_call
def ext_pipe(descriptors: Ref) -> int:
    """Make a pipe; (reading end, writing end) goes into the Ref."""
    read, write = os.pipe()
    descriptors.value = (_enter(read), _enter(write))
    return 0


# SOCKETAPI's own


def sctp_isavailable() -> int:
    """Say whether SCTP can be used: 1."""
    return 1


@_c_call
def sctp_enableOOTBHandling(enable: int) -> int:
    """Accepted without effect: packets out of the blue are always answered by whom they concern."""
    return 0


@_c_call
def sctp_enableCRC32(enable: int) -> int:
    """Checksums are CRC32c and cannot be anything else (RFC 9260 section 6.8): 0 gives EOPNOTSUPP."""
    if not enable:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    return 0


def socketAPIGetVersion() -> int:
    """Return SOCKETAPI's version number."""
    return VERSION
