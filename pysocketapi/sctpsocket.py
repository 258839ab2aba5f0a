"""`SctpSocket`: the methods of `socket.socket` plus RFC 6458's, over both backends, blocking or not.

One-to-one is SOCK_STREAM, one-to-many SOCK_SEQPACKET. Payload protocol identifiers are in host order; addresses
are ``(host, port)`` pairs, also for IPv6 (longer tuples are taken). `recv` and `recvfrom` skip notifications;
`recvmsg`, `recvv` and `recv_message` deliver them. How things are carried out is the channels' affair.

What differs from a kernel's descriptor on userland: `fileno` is only good for select and its relatives; `detach`
fails with EOPNOTSUPP; after fork a socket belongs to the parent alone.
"""

from __future__ import annotations

import errno
import os
import socket
import time
import warnings
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, NamedTuple

from . import addresses as names
from . import ancillary
from . import constants as c
from . import structures as s
from .ancillary import Sending
from .backends.contract import PENDING, Channel
from .backends.opening import open_channel
from .message import Message
from .notifications import Notification
from .options import OF_SOCKETS, OPTIONS
from .transport import Transport

_DEFAULT_INFO = s.SndInfo()


class RecvvResult(NamedTuple):
    """What sctp_recvv gives: ``info`` is None, RcvInfo, NxtInfo or RecvvRn, ``infotype`` says which."""

    data: bytes | Notification
    address: s.Address | None
    info: s.RcvInfo | s.NxtInfo | s.RecvvRn | None
    infotype: int
    flags: int


class SctpSocket:
    """An SCTP socket. Raises OSError with a socket's errno, TypeError and ValueError for bad arguments."""

    def __init__(
        self,
        family: int = socket.AF_INET,
        type: int = socket.SOCK_STREAM,
        *,
        transport: Transport | str | None = None,
        _channel: Channel | None = None,
    ) -> None:
        if type not in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):
            raise OSError(errno.ESOCKTNOSUPPORT, "SCTP has SOCK_STREAM and SOCK_SEQPACKET")
        self._type = type
        self._channel = _channel or open_channel(transport, family, type == socket.SOCK_SEQPACKET)
        self._timeout: float | None = socket.getdefaulttimeout()
        self._defaults: dict[int, s.SndInfo] = {}
        self._default_pr: dict[int, s.PrInfo] = {}
        self._rcvinfo = False
        self._nxtinfo = False
        self._data_io = False  # SCTP_SNDRCV or SCTP_EXTRCV comes with each message
        self._extended = False
        self._explicit_eor = False
        self._parts: dict[tuple[int, s.Address | None, int], bytearray] = {}
        self._closed = False

    # -- the object --------------------------------------------------------------------------------------------

    def __enter__(self) -> SctpSocket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)
            self._closed = True
            self._channel.orphaned()

    def __repr__(self) -> str:
        style = "one-to-many" if self._channel.one_to_many else "one-to-one"
        return f"<SctpSocket {style}{' [closed]' if self._closed else ''}>"

    @property
    def family(self) -> int:
        """AF_INET or AF_INET6."""
        return self._channel.family

    @property
    def type(self) -> int:
        """SOCK_STREAM or SOCK_SEQPACKET."""
        return self._type

    @property
    def proto(self) -> int:
        """IPPROTO_SCTP."""
        return c.IPPROTO_SCTP

    def fileno(self) -> int:
        """Return a descriptor that select and its like may wait on (kernel: the socket's own); -1 when closed."""
        return -1 if self._closed else self._channel.fileno()

    def detach(self) -> int:
        """Give the kernel's descriptor away, closing this object. Userland: OSError(EOPNOTSUPP)."""
        fd = self._channel.detach()
        self._closed = True
        return fd

    def close(self) -> None:
        """End gracefully (or abort, with SO_LINGER on and 0 s). Does not wait."""
        if not self._closed:
            self._closed = True
            self._channel.close()

    def settimeout(self, value: float | None) -> None:
        """Set the time of blocking calls in seconds; None: for ever; 0: do not block."""
        if value is not None and value < 0:
            raise ValueError("timeout value out of range")
        self._timeout = value

    def gettimeout(self) -> float | None:
        """Return the timeout in seconds."""
        return self._timeout

    @property
    def timeout(self) -> float | None:
        """The timeout in seconds."""
        return self._timeout

    def setblocking(self, flag: bool) -> None:
        """Block for ever, or not at all."""
        self._timeout = None if flag else 0.0

    def getblocking(self) -> bool:
        """Whether calls may block."""
        return self._timeout != 0

    # -- waiting -----------------------------------------------------------------------------------------------

    def _deadline(self, flags: int) -> float | None:
        """Return until when this call may block (None: for ever); non-blocking: 0."""
        timeout = 0.0 if flags & c.MSG_DONTWAIT else self._timeout
        if timeout is None:
            return None
        return time.monotonic() + timeout if timeout else 0.0

    def _wait(self, read: bool, deadline: float | None, assoc_id: int = 0) -> None:
        if deadline == 0:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        left = None if deadline is None else deadline - time.monotonic()
        if (left is not None and left <= 0) or not self._channel.wait(read, not read, left, assoc_id):
            raise TimeoutError("timed out")

    # -- set-up ------------------------------------------------------------------------------------------------

    def _address(self, address: Sequence[Any]) -> tuple[str, int]:
        if not isinstance(address, tuple | list) or len(address) < 2:
            raise TypeError("an address is a (host, port) tuple")
        host, port = address[0], address[1]
        if not isinstance(host, str) or not isinstance(port, int):
            raise TypeError("an address is a (host, port) tuple")
        if not 0 <= port <= 65535:
            raise OverflowError("port must be 0-65535")
        return names.resolve(host, self.family), port

    def _several(self, addresses: Iterable[Sequence[Any]]) -> tuple[list[str], int]:
        pairs = [self._address(address) for address in addresses]
        if not pairs:
            raise OSError(errno.EINVAL, "no address was given")
        if len({port for _, port in pairs}) > 1:
            raise OSError(errno.EINVAL, "the ports of all addresses must be the same")
        return [host for host, _ in pairs], pairs[0][1]

    def bind(self, address: Sequence[Any]) -> None:
        """Bind to one address; "" is any, port 0 lets the system choose."""
        host, port = self._address(address)
        self._channel.bind([host] if host else [], port)

    def bindx(self, addresses: Iterable[Sequence[Any]], flags: int = c.SCTP_BINDX_ADD_ADDR) -> None:
        """Add or remove local addresses (RFC 6458 section 9.1)."""
        hosts, port = self._several(addresses)
        if flags == c.SCTP_BINDX_ADD_ADDR:
            if self._bound():
                self._channel.bind_add(hosts, port)
            else:
                self._channel.bind(hosts, port)
        elif flags == c.SCTP_BINDX_REM_ADDR:
            self._channel.bind_remove(hosts, port)
        else:
            raise OSError(errno.EINVAL, "flags must be SCTP_BINDX_ADD_ADDR or SCTP_BINDX_REM_ADDR")

    def _bound(self) -> bool:
        try:
            return self._channel.local_addresses()[0][1] != 0
        except (OSError, IndexError):
            return False

    def listen(self, backlog: int = 128) -> None:
        """Accept associations; 0 stops that."""
        self._channel.listen(max(0, backlog))

    def accept(self) -> tuple[SctpSocket, s.Address]:
        """Return (socket, peer address) of the next association of a one-to-one socket."""
        deadline = self._deadline(0)
        while (channel := self._channel.accept()) is None:
            self._wait(True, deadline)
        child = self._child(channel)
        try:
            address = child.getpeername()
        except OSError:
            address = ("", 0)  # ended already; what it sent can still be read
        return child, address

    def _child(self, channel: Channel) -> SctpSocket:
        child = SctpSocket(self.family, socket.SOCK_STREAM, _channel=channel)
        child._defaults = {0: self._defaults[0]} if 0 in self._defaults else {}
        child._default_pr = dict(self._default_pr)
        child._rcvinfo, child._nxtinfo = self._rcvinfo, self._nxtinfo
        child._data_io, child._extended = self._data_io, self._extended
        child._explicit_eor = self._explicit_eor
        return child

    def connect(self, address: Sequence[Any]) -> None:
        """Set up an association; non-blocking: OSError(EINPROGRESS)."""
        self.connectx([address])

    def connectx(self, addresses: Iterable[Sequence[Any]], *, udp_port: int | None = None) -> int:
        """Set up an association with a peer that has these addresses; returns its identifier.

        udp_port: the peer's UDP port (RFC 6951). Non-blocking: OSError(EINPROGRESS), with the identifier as its
        ``assoc_id`` attribute (RFC 6458 section 9.9 returns both).
        """
        hosts, port = self._several(addresses)
        assoc_id = self._channel.start_connect(hosts, port, udp_port)
        if self._timeout == 0:
            error = BlockingIOError(errno.EINPROGRESS, os.strerror(errno.EINPROGRESS))
            error.assoc_id = assoc_id  # type: ignore[attr-defined]
            raise error
        if not self._channel.wait_up(assoc_id, self._timeout):
            raise TimeoutError("timed out")
        return assoc_id

    def connect_ex(self, address: Sequence[Any]) -> int:
        """Like connect, returning an errno, 0 for success."""
        try:
            self.connect(address)
        except OSError as error:
            return error.errno or errno.ETIMEDOUT
        return 0

    def peeloff(self, assoc_id: int) -> SctpSocket:
        """Branch an association off into a one-to-one socket (RFC 6458 section 9.2)."""
        return self._child(self._channel.peeloff(assoc_id))

    # -- sending -----------------------------------------------------------------------------------------------

    def send(self, data: bytes, flags: int = 0) -> int:
        """Send one message with the default parameters; returns its length, as it is always taken whole."""
        if self._defaults or self._default_pr or self._explicit_eor:
            return self._send(data, Sending(), flags)
        channel = self._channel
        if not channel.send(data):
            deadline = self._deadline(flags)
            while not channel.send(data):
                self._wait(False, deadline)
        return len(data)

    def sendall(self, data: bytes, flags: int = 0) -> None:
        """Send one message: the same as send."""
        self.send(data, flags)

    def sendto(self, data: bytes, *args: Any) -> int:
        """sendto(data[, flags], address): send one message, setting up an association if there is none."""
        if not 1 <= len(args) <= 2:
            raise TypeError("sendto(data[, flags], address)")
        flags = args[0] if len(args) == 2 else 0
        return self._send(data, Sending(), flags, [args[-1]])

    def sendmsg(
        self,
        buffers: Iterable[bytes],
        ancdata: Iterable[tuple[int, int, Any]] = (),
        flags: int = 0,
        address: Sequence[Any] | None = None,
    ) -> int:
        """Send one message made of buffers; ancillary data are RFC 6458's structures (section 5.3)."""
        sending = ancillary.read(ancdata)
        targets: list[Sequence[Any]] = [] if address is None else [address]
        if sending.hosts:
            if address is None:
                raise OSError(errno.EINVAL, "SCTP_DSTADDR needs an address, for its port")
            targets += [(host, address[1]) for host in sending.hosts]
        return self._send(b"".join(buffers), sending, flags, targets)

    def sendv(
        self,
        buffers: Iterable[bytes],
        addresses: Iterable[Sequence[Any]] = (),
        info: s.SndInfo | s.PrInfo | s.AuthInfo | s.SendvSpa | None = None,
        flags: int = 0,
    ) -> int:
        """Send one message (sctp_sendv, section 9.12); several addresses: of one peer, for a set-up."""
        return self._send(b"".join(buffers), ancillary.from_sendv(info), flags, list(addresses))

    def send_message(
        self,
        data: bytes,
        *,
        stream: int = 0,
        ppid: int = 0,
        unordered: bool = False,
        lifetime: float | None = None,
        context: int = 0,
        flags: int = 0,
        assoc_id: int = 0,
        address: Sequence[Any] | None = None,
    ) -> int:
        """Send one message, everything said by keywords; lifetime in seconds (RFC 3758)."""
        if unordered:
            flags |= c.SCTP_UNORDERED
        info = s.SndInfo(stream, flags, ppid, context, assoc_id)
        prinfo = None
        if lifetime is not None:
            prinfo = s.PrInfo(c.SCTP_PR_SCTP_TTL, max(1, round(lifetime * 1000)))
        return self._send(data, Sending(info, prinfo), 0, [] if address is None else [address])

    def _send(self, data: bytes, sending: Sending, flags: int, targets: Sequence[Sequence[Any]] = ()) -> int:
        size = len(data)
        deadline = self._deadline(flags)
        info = sending.info
        assoc_id = info.assoc_id if info is not None else 0
        if info is None:
            info = self._defaults.get(assoc_id) or self._defaults.get(0) or _DEFAULT_INFO
        prinfo = sending.prinfo or self._default_pr.get(assoc_id) or self._default_pr.get(0)
        before: s.InitMsg | None = None
        if sending.init is not None:  # for the association that this message sets up, section 5.3.1
            before = self._channel.getopt(c.SCTP_INITMSG)
            self._channel.setopt(c.SCTP_INITMSG, sending.init)
        parts: bytearray | None = None
        address: s.Address | None = None
        try:
            if targets:
                address, assoc_id = self._destination(targets, assoc_id)
            if self._explicit_eor:
                parts = self._gather(data, (assoc_id, address, info.sid))
                if not (info.flags & (c.SCTP_EOR | c.SCTP_ABORT | c.SCTP_EOF) or flags & c.MSG_EOR):
                    return size
                data = bytes(parts)
            if not isinstance(data, bytes):
                data = bytes(data)
            try:
                while not self._channel.send(
                    data,
                    info.sid,
                    info.ppid,
                    info.flags & ~c.SCTP_EOR,
                    info.context,
                    assoc_id,
                    address,
                    prinfo,
                    sending.authinfo,
                ):
                    self._wait(False, deadline, assoc_id)
            except OSError:
                if parts is not None:  # this part was not taken: it can be sent again
                    del parts[len(parts) - size :]
                raise
        finally:
            if before is not None:
                self._channel.setopt(c.SCTP_INITMSG, before)
        if parts is not None:
            del self._parts[(assoc_id, address, info.sid)]
        return size

    def _destination(self, targets: Sequence[Sequence[Any]], assoc_id: int) -> tuple[s.Address | None, int]:
        """Return the address, or the association that several addresses stand for, set up if need be."""
        hosts, port = self._several(targets)
        if len(hosts) == 1:
            return (hosts[0], port), assoc_id
        try:
            return None, self._channel.start_connect(hosts, port)
        except OSError as error:
            if error.errno != errno.EISCONN:
                raise
        return (hosts[0], port), assoc_id

    def _gather(self, data: bytes, key: tuple[int, s.Address | None, int]) -> bytearray:
        """Explicit EOR (section 8.1.26): add a part of a message to those before it."""
        parts = self._parts.setdefault(key, bytearray())
        if len(parts) + len(data) > self._channel.get_buffer(socket.SO_SNDBUF):
            raise OSError(errno.EMSGSIZE, "all parts of a message must fit into the send buffer")
        parts += data
        return parts

    # -- receiving ---------------------------------------------------------------------------------------------

    def _receive(self, limit: int, flags: int) -> Message | Notification | None:
        if limit < 0:
            raise ValueError("negative buffersize in recv")
        channel = self._channel
        peek = bool(flags & c.MSG_PEEK)
        item = channel.recv(limit, peek) if peek else channel.recv(limit)
        if item is PENDING:
            deadline = self._deadline(flags)
            while item is PENDING:
                self._wait(True, deadline)
                item = channel.recv(limit, peek)
        return item

    def _receive_data(self, limit: int, flags: int) -> Message | None:
        while True:
            item = self._receive(limit, flags)
            if item is None or type(item) is Message:
                return item
            if flags & c.MSG_PEEK:
                self._receive(limit, flags & ~c.MSG_PEEK)

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        """Return at most bufsize bytes of the next message, b"" at the end; the rest comes next."""
        if bufsize == 0:
            return b""
        message = self._receive_data(bufsize, flags)
        return b"" if message is None else message.data

    def recvfrom(self, bufsize: int, flags: int = 0) -> tuple[bytes, s.Address | None]:
        """Like recv, with the peer's address."""
        message = self._receive_data(bufsize, flags)
        if message is None:
            return b"", None
        return message.data, (message.address, message.port)

    def recv_into(self, buffer: bytearray | memoryview, nbytes: int = 0, flags: int = 0) -> int:
        """Like recv, into a buffer; returns the number of bytes."""
        view = memoryview(buffer).cast("B")
        data = self.recv(nbytes or len(view), flags)
        view[: len(data)] = data
        return len(data)

    def recvfrom_into(
        self, buffer: bytearray | memoryview, nbytes: int = 0, flags: int = 0
    ) -> tuple[int, s.Address | None]:
        """Like recvfrom, into a buffer; returns (number of bytes, address)."""
        view = memoryview(buffer).cast("B")
        data, address = self.recvfrom(nbytes or len(view), flags)
        view[: len(data)] = data
        return len(data), address

    def receive_part(self, limit: int, flags: int = 0) -> Message | Notification | None:
        """Return at most limit bytes of the next message, as a Message, or a notification; None at the end."""
        return self._receive(limit, flags)

    def can_send(self) -> bool:
        """Whether a send would find room now."""
        return self._channel.wait(False, True, 0.0)

    def recv_message(self, flags: int = 0) -> Message | Notification | None:
        """Return the next whole message or notification; None at the end of a one-to-one association."""
        return self._receive(0, flags & ~c.MSG_PEEK)

    def recvmsg(
        self, bufsize: int, ancbufsize: int = 0, flags: int = 0
    ) -> tuple[bytes | Notification, list[tuple[int, int, Any]], int, s.Address | None]:
        """Return (data, ancillary data, flags, address).

        With MSG_NOTIFICATION in the flags, data is the notification itself. Ancillary data are RcvInfo if
        SCTP_RECVRCVINFO is on, NxtInfo if SCTP_RECVNXTINFO is on and a message follows; deprecated: SndRcvInfo if
        SCTP_EVENTS has data_io on, in its place ExtRcvInfo with SCTP_USE_EXT_RCVINFO. ancbufsize is not needed.
        """
        item = self._receive(bufsize, flags)
        if item is None:
            return b"", [], 0, None
        if not isinstance(item, Message):
            return item, [], c.MSG_NOTIFICATION | c.MSG_EOR, None
        found: list[tuple[int, int, Any]] = []
        if self._rcvinfo:
            found.append((c.IPPROTO_SCTP, c.SCTP_RCVINFO, _rcvinfo(item)))
        following = self._channel.next_info() if self._nxtinfo or self._extended else None
        if self._nxtinfo and following is not None:
            found.append((c.IPPROTO_SCTP, c.SCTP_NXTINFO, following))
        if self._data_io:
            found.append(_deprecated(item, self._extended, following))
        return item.data, found, c.MSG_EOR if item.eor else 0, (item.address, item.port)

    def recvv(self, bufsize: int, flags: int = 0) -> RecvvResult:
        """Return data and its information (sctp_recvv, section 9.13), as the RECV*INFO options say."""
        data, found, flags, address = self.recvmsg(bufsize, 0, flags)
        by_type = {type_: value for _, type_, value in found}
        rcv, nxt = by_type.get(c.SCTP_RCVINFO), by_type.get(c.SCTP_NXTINFO)
        if rcv is not None and nxt is not None:
            return RecvvResult(data, address, s.RecvvRn(rcv, nxt), c.SCTP_RECVV_RN, flags)
        if rcv is not None:
            return RecvvResult(data, address, rcv, c.SCTP_RECVV_RCVINFO, flags)
        if nxt is not None:
            return RecvvResult(data, address, nxt, c.SCTP_RECVV_NXTINFO, flags)
        return RecvvResult(data, address, None, c.SCTP_RECVV_NOINFO, flags)

    # -- ends and addresses ------------------------------------------------------------------------------------

    def shutdown(self, how: int) -> None:
        """SHUT_WR and SHUT_RDWR end a one-to-one association gracefully; SHUT_RD says nothing to the peer."""
        if how not in (socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        if self._channel.one_to_many:
            raise OSError(errno.EOPNOTSUPP, "end an association of a one-to-many socket by SCTP_EOF")
        if how != socket.SHUT_RD:
            self._channel.shutdown()

    def abort(self, assoc_id: int = 0, reason: bytes = b"") -> None:
        """Abort an association with a reason for the peer (the same as sending with SCTP_ABORT)."""
        self._channel.abort(assoc_id, reason)

    def getsockname(self) -> s.Address:
        """Return the first local address."""
        return self._channel.local_addresses()[0]

    def getpeername(self) -> s.Address:
        """Return the peer's primary address; one-to-many: OSError(ENOTCONN)."""
        if self._channel.one_to_many:
            raise OSError(errno.ENOTCONN, "a one-to-many socket has many peers: see getpaddrs")
        return self._channel.peer_addresses()[0]

    def getpaddrs(self, assoc_id: int = 0) -> list[s.Address]:
        """Return the peer's addresses (section 9.3)."""
        return self._channel.peer_addresses(assoc_id)

    def getladdrs(self, assoc_id: int = 0) -> list[s.Address]:
        """Return the local addresses (section 9.5)."""
        return self._channel.local_addresses(assoc_id)

    # -- options -----------------------------------------------------------------------------------------------

    def setsockopt(self, level: int, option: int, value: Any) -> None:
        """Set an option; SCTP's take the structures of `structures`, an int or a bool (see `options`)."""
        if level == socket.SOL_SOCKET:
            self._set_general(option, value)
            return
        known = OPTIONS.get(option) if level == c.IPPROTO_SCTP else None
        if known is None or not known.set:
            raise OSError(errno.ENOPROTOOPT, os.strerror(errno.ENOPROTOOPT))
        if known.type in (int, bool):
            if not isinstance(value, int):
                raise TypeError(f"{known.name} takes an int, not {type(value).__name__}")
            value = known.type(value)
        elif not isinstance(value, known.type):
            raise TypeError(f"{known.name} takes {known.type.__name__}, not {type(value).__name__}")
        if option in (c.SCTP_USE_EXT_RCVINFO, c.SCTP_RECVNXTINFO):
            other = self._nxtinfo if option == c.SCTP_USE_EXT_RCVINFO else self._extended
            self._channel.setopt(c.SCTP_RECVNXTINFO, value or other)  # both live on it
        elif option not in OF_SOCKETS:
            self._channel.setopt(option, value)
        self._note_option(option, value)

    def _note_option(self, option: int, value: Any) -> None:
        """Keep what this layer needs itself."""
        if option == c.SCTP_RECVRCVINFO:
            self._rcvinfo = bool(value)
        elif option == c.SCTP_RECVNXTINFO:
            self._nxtinfo = bool(value)
        elif option == c.SCTP_USE_EXT_RCVINFO:
            self._extended = bool(value)
        elif option == c.SCTP_EVENTS:
            self._data_io = bool(value.data_io)
        elif option == c.SCTP_EXPLICIT_EOR:
            self._explicit_eor = bool(value)
        elif option == c.SCTP_DEFAULT_SNDINFO:
            self._defaults[self._key(value.assoc_id)] = value
        elif option == c.SCTP_DEFAULT_SEND_PARAM:
            sending = Sending()
            ancillary.from_sndrcvinfo(value, sending)
            if sending.info is not None:
                self._defaults[self._key(value.assoc_id)] = sending.info
            if sending.prinfo is not None:
                self._default_pr[self._key(value.assoc_id)] = sending.prinfo
        elif option == c.SCTP_DEFAULT_PRINFO:
            self._default_pr[self._key(value.assoc_id)] = s.PrInfo(value.policy, value.value)

    def _key(self, assoc_id: int) -> int:
        return assoc_id if self._channel.one_to_many and assoc_id >= c.FIRST_ASSOC_ID else 0

    def getsockopt(self, level: int, option: int, value: Any = None) -> Any:
        """Get an option; value carries the association and address that are asked about, if any."""
        if level == socket.SOL_SOCKET:
            return self._get_general(option)
        known = OPTIONS.get(option) if level == c.IPPROTO_SCTP else None
        if known is None or not known.get:
            raise OSError(errno.ENOPROTOOPT, os.strerror(errno.ENOPROTOOPT))
        if value is not None and known.type not in (int, bool) and not isinstance(value, known.type):
            raise TypeError(f"{known.name} takes {known.type.__name__}, not {type(value).__name__}")
        mine = {
            c.SCTP_RECVRCVINFO: self._rcvinfo,
            c.SCTP_RECVNXTINFO: self._nxtinfo,
            c.SCTP_USE_EXT_RCVINFO: self._extended,
            c.SCTP_EXPLICIT_EOR: self._explicit_eor,
        }.get(option)
        if mine is not None:
            self._channel.local_addresses()  # EBADF on a closed socket
            return mine
        return self._channel.getopt(option, value)

    def opt_info(self, assoc_id: int, option: int, value: Any = None) -> Any:
        """Get an option of an association (sctp_opt_info, section 9.6)."""
        known = OPTIONS.get(option)
        if value is None and known is not None and hasattr(known.type, "assoc_id"):
            value = known.type()
        if value is not None and hasattr(value, "assoc_id"):
            value.assoc_id = assoc_id
        return self.getsockopt(c.IPPROTO_SCTP, option, value)

    def _set_general(self, option: int, value: Any) -> None:
        if option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            self._channel.set_buffer(option, int(value))
        elif option == socket.SO_LINGER:
            on, seconds = value
            self._channel.set_linger(bool(on), int(seconds))
        elif option != socket.SO_REUSEADDR:  # a port is free again as soon as its associations have ended
            raise OSError(errno.ENOPROTOOPT, os.strerror(errno.ENOPROTOOPT))

    def _get_general(self, option: int) -> Any:
        if option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            return self._channel.get_buffer(option)
        if option == socket.SO_ERROR:
            return self._channel.error()
        if option == socket.SO_TYPE:
            return self._type
        if option == socket.SO_REUSEADDR:
            return 0
        raise OSError(errno.ENOPROTOOPT, os.strerror(errno.ENOPROTOOPT))

    def subscribe(self, *types: int, on: bool = True) -> None:
        """Switch notifications on or off by their types (SCTP_EVENT, section 6.2.2)."""
        for type_ in types:
            self._channel.subscribe(type_, on)


def _deprecated(message: Message, extended: bool, following: s.NxtInfo | None) -> tuple[int, int, Any]:
    """Describe a message by SCTP_SNDRCV or SCTP_EXTRCV (RFC 6458 sections 5.3.2 and 5.3.3)."""
    stream, ssn, flags = message.stream, message.ssn, c.SCTP_UNORDERED if message.unordered else 0
    ppid, context, tsn, cumtsn = message.ppid, message.context, message.tsn, message.cumtsn
    if not extended:
        plain = s.SndRcvInfo(stream, ssn, flags, ppid, context, 0, tsn, cumtsn, message.assoc_id)
        return c.IPPROTO_SCTP, c.SCTP_SNDRCV, plain
    info = s.ExtRcvInfo(stream, ssn, flags, ppid, context, 0, tsn, cumtsn, assoc_id=message.assoc_id)
    if following is not None and message.eor:
        info.next_flags = c.SCTP_NEXT_MSG_AVAIL
        for bit, meaning in _NEXT_FLAGS:
            info.next_flags |= meaning if following.flags & bit else 0
        info.next_stream, info.next_aid = following.sid, following.assoc_id
        info.next_length, info.next_ppid = following.length, following.ppid
    return c.IPPROTO_SCTP, c.SCTP_EXTRCV, info


_NEXT_FLAGS = (
    (c.SCTP_UNORDERED, c.SCTP_NEXT_MSG_IS_UNORDERED),
    (c.SCTP_COMPLETE, c.SCTP_NEXT_MSG_ISCOMPLETE),
    (c.SCTP_NOTIFICATION, c.SCTP_NEXT_MSG_IS_NOTIFICATION),
)


def _rcvinfo(message: Message) -> s.RcvInfo:
    return s.RcvInfo(
        message.stream,
        message.ssn,
        c.SCTP_UNORDERED if message.unordered else 0,
        message.ppid,
        message.tsn,
        message.cumtsn,
        message.context,
        message.assoc_id,
    )
