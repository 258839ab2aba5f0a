"""`SctpSocket`: the methods of `socket.socket` plus RFC 6458's, over both backends, blocking or not.

One-to-one is SOCK_STREAM, one-to-many SOCK_SEQPACKET. Payload protocol identifiers are in host order; addresses
are ``(host, port)`` pairs, also for IPv6 (longer tuples are taken). `recv` and `recvfrom` skip notifications;
`recvmsg`, `recvv` and `recv_message` deliver them. How things are carried out is the channels' affair.

What differs from a kernel's descriptor on userland: `fileno` is only good for select and its relatives; `detach`
and `set_inheritable` fail with EOPNOTSUPP; after fork a socket belongs to the parent alone.
"""

from __future__ import annotations

import errno
import math
import os
import socket
import threading
import time
import warnings
from collections.abc import Iterable, Sequence
from operator import index
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, NoReturn, cast

from . import addresses as names
from . import ancillary, files, socket_options
from . import constants as c
from . import structures as s
from .ancillary import Sending, lifetime_info
from .backends.contract import PENDING, Channel
from .backends.opening import open_channel
from .message import Message
from .notifications import Notification
from .received import Buffer, Item, RecvvResult, deprecated, rcvinfo, recvv_result, room_in, scatter
from .shared import ClosedChannel, Shared, style_of
from .transmitting import as_bytes, transmit
from .transport import Transport

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["RecvvResult", "SctpSocket"]


class SctpSocket:
    """An SCTP socket. Raises OSError with a socket's errno, TypeError and ValueError for bad arguments."""

    def __init__(
        self,
        family: int = socket.AF_INET,
        type: int = socket.SOCK_STREAM,
        *,
        transport: Transport | str | None = None,
        _channel: Channel | None = None,
        _shared: Shared | None = None,
    ) -> None:
        style, blocks = style_of(type)
        self._channel = _channel or open_channel(transport, family, style == socket.SOCK_SEQPACKET)
        self._type = style
        self._timeout: float | None = socket.getdefaulttimeout() if blocks else 0.0
        self._shared = _shared or Shared()
        self._descriptor = -1  # a duplicate's own one
        self._files = 0  # that makefile made; they keep the socket open
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
            if self._descriptor >= 0:
                os.close(self._descriptor)
            if self._shared.leave():
                self._channel.orphaned()

    def __repr__(self) -> str:
        style = "one-to-many" if self._channel.one_to_many else "one-to-one"
        return f"<SctpSocket {style}{' [closed]' if self._closed else ''}>"

    def __getstate__(self) -> NoReturn:
        raise TypeError("cannot pickle or copy an SctpSocket: see dup")

    @property
    def family(self) -> int:
        """AF_INET or AF_INET6."""
        return socket.AddressFamily(self._channel.family)

    @property
    def type(self) -> int:
        """SOCK_STREAM or SOCK_SEQPACKET."""
        return socket.SocketKind(self._type)

    @property
    def proto(self) -> int:
        """IPPROTO_SCTP."""
        return c.IPPROTO_SCTP

    def fileno(self) -> int:
        """Return a descriptor that select and its like may wait on (kernel: the socket's own); -1 when closed."""
        return self._descriptor if self._descriptor >= 0 else self._channel.fileno()

    def dup(self) -> SctpSocket:
        """Return another object for the same socket, with a descriptor of its own; the last one closed ends it."""
        descriptor = os.dup(self.fileno())
        other = SctpSocket(self.family, self._type, _channel=self._channel, _shared=self._shared)
        other._shared.join()
        other._descriptor = descriptor
        other._timeout = self._timeout
        return other

    def detach(self) -> int:
        """Give the kernel's descriptor away, closing this object. Userland: OSError(EOPNOTSUPP)."""
        channel = self._channel
        if not channel.own_descriptor or (len(self._shared.users) == 1 and self._descriptor < 0):
            fd = channel.detach()
            self._leave(-1)
            return fd
        fd = self._descriptor if self._descriptor >= 0 else os.dup(channel.fileno())
        self._descriptor = -1
        self._leave(-1)
        return fd

    def get_inheritable(self) -> bool:
        """Whether a program that this process executes gets the descriptor."""
        return os.get_inheritable(self.fileno())

    def set_inheritable(self, inheritable: bool) -> None:
        """Let executed programs have the descriptor or not. Userland: True is OSError(EOPNOTSUPP)."""
        if inheritable and not self._channel.own_descriptor and self.fileno() >= 0:
            raise OSError(errno.EOPNOTSUPP, "a userland SCTP socket cannot leave this process")
        os.set_inheritable(self.fileno(), inheritable)

    def close(self) -> None:
        """End gracefully (or abort, with SO_LINGER on and 0 s). Does not wait.

        Files of makefile and duplicates go on; the association ends with the last of them.
        """
        if not self._closed:
            self._closed = True
            if not self._files:
                self._leave(self._descriptor)

    def _leave(self, descriptor: int) -> None:
        """Have no more to do with the channel, which is closed if nobody else has."""
        channel, self._closed, self._descriptor = self._channel, True, -1
        if isinstance(channel, ClosedChannel):
            return
        self._channel = cast(Channel, ClosedChannel(channel.family, channel.one_to_many))
        if descriptor >= 0:
            os.close(descriptor)
        if self._shared.leave():
            channel.close()

    def makefile(
        self,
        mode: str = "r",
        buffering: int | None = None,
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> Any:
        """Return a file over a one-to-one socket, like socket.socket.makefile; see `files` about messages.

        Raises OSError(EOPNOTSUPP) for a one-to-many socket, which has many peers.
        """
        return files.open_file(
            self, mode, buffering, encoding, errors, newline, self._file_opened, self._file_closed
        )

    def _file_opened(self) -> None:
        self._files += 1

    def _file_closed(self) -> None:
        self._files -= 1
        if self._closed and not self._files:
            self._leave(self._descriptor)

    def settimeout(self, value: float | None) -> None:
        """Set the time of blocking calls in seconds; None: for ever; 0: do not block."""
        if value is not None:
            value = float(value)
            if value < 0 or math.isnan(value):
                raise ValueError("timeout value out of range")
            if value > threading.TIMEOUT_MAX:
                raise OverflowError("timeout is too large")
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
        while not self._channel.wait(read, not read, left := _left(deadline), assoc_id):
            if left is not None and left <= 0:
                raise TimeoutError("timed out")

    # -- set-up ------------------------------------------------------------------------------------------------

    def bind(self, address: Sequence[Any]) -> None:
        """Bind to one address; "" is any, port 0 lets the system choose."""
        host, port = names.check(address, self._channel.family)
        self._channel.bind([host] if host else [], port)

    def bindx(self, addresses: Iterable[Sequence[Any]], flags: int = c.SCTP_BINDX_ADD_ADDR) -> None:
        """Add or remove local addresses (RFC 6458 section 9.1)."""
        hosts, port = names.check_several(addresses, self._channel.family)
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
        self._shared.listening = backlog > 0

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
        return SctpSocket(channel.family, socket.SOCK_STREAM, _channel=channel, _shared=self._shared.inherited())

    def connect(self, address: Sequence[Any]) -> None:
        """Set up an association; non-blocking: OSError(EINPROGRESS)."""
        self.connectx([address])

    def connectx(self, addresses: Iterable[Sequence[Any]], *, udp_port: int | None = None) -> int:
        """Set up an association with a peer that has these addresses; returns its identifier.

        udp_port: the peer's UDP port (RFC 6951). Non-blocking: OSError(EINPROGRESS), with the identifier as its
        ``assoc_id`` attribute (RFC 6458 section 9.9 returns both).
        """
        hosts, port = names.check_several(addresses, self._channel.family)
        assoc_id = self._channel.start_connect(hosts, port, udp_port)
        if self._timeout == 0:
            error = BlockingIOError(errno.EINPROGRESS, os.strerror(errno.EINPROGRESS))
            error.assoc_id = assoc_id  # type: ignore[attr-defined]
            raise error
        if not self._channel.wait_up(assoc_id, self._timeout):
            raise TimeoutError("timed out")
        return assoc_id

    def connect_ex(self, address: Sequence[Any]) -> int:
        """Like connect, returning an errno: 0 for success, EAGAIN for a timeout. Raises socket.gaierror."""
        hosts, port = names.check_several([address], self._channel.family)
        try:
            self.connectx([(hosts[0], port)])
        except OSError as error:
            return error.errno or errno.EAGAIN
        return 0

    def peeloff(self, assoc_id: int) -> SctpSocket:
        """Branch an association off into a one-to-one socket (RFC 6458 section 9.2)."""
        return self._child(self._channel.peeloff(assoc_id))

    # -- sending -----------------------------------------------------------------------------------------------

    def send(self, data: ReadableBuffer, flags: int = 0) -> int:
        """Send one message with the default parameters; returns its length, as it is always taken whole."""
        if type(data) is not bytes:
            data = as_bytes(data)
        if self._shared.special:
            return self._send(data, Sending(), flags)
        channel = self._channel
        if not channel.send(data):
            deadline = self._deadline(flags)
            while not channel.send(data):
                self._wait(False, deadline)
        return len(data)

    def sendall(self, data: ReadableBuffer, flags: int = 0) -> None:
        """Send one message: the same as send."""
        self.send(data, flags)

    def sendto(self, data: ReadableBuffer, *args: Any) -> int:
        """sendto(data[, flags], address): send one message, setting up an association if there is none."""
        if not 1 <= len(args) <= 2:
            raise TypeError("sendto(data[, flags], address)")
        flags = args[0] if len(args) == 2 else 0
        return self._send(as_bytes(data), Sending(), flags, [args[-1]])

    def sendmsg(
        self,
        buffers: Iterable[ReadableBuffer],
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
        return self._send(b"".join(map(as_bytes, buffers)), sending, flags, targets)

    def sendv(
        self,
        buffers: Iterable[ReadableBuffer],
        addresses: Iterable[Sequence[Any]] = (),
        info: s.SndInfo | s.PrInfo | s.AuthInfo | s.SendvSpa | None = None,
        flags: int = 0,
    ) -> int:
        """Send one message (sctp_sendv, section 9.12); several addresses: of one peer, for a set-up."""
        return self._send(b"".join(map(as_bytes, buffers)), ancillary.from_sendv(info), flags, list(addresses))

    def send_message(
        self,
        data: ReadableBuffer,
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
        sending = Sending(info, lifetime_info(lifetime))
        return self._send(as_bytes(data), sending, 0, [] if address is None else [address])

    def sendfile(self, file: IO[bytes], offset: int = 0, count: int | None = None) -> int:
        """Send a file from offset on as messages of at most `files.CHUNK` bytes; returns the number of bytes.

        Like socket.socket.sendfile: ValueError for a one-to-many or non-blocking socket, or a file of text.
        """
        if self._type != socket.SOCK_STREAM:
            raise ValueError("only SOCK_STREAM type sockets are supported")
        if self._timeout == 0:
            raise ValueError("non-blocking sockets are not supported")
        return files.send_file(self.send, file, offset, count)

    def _send(self, data: bytes, sending: Sending, flags: int, targets: Sequence[Sequence[Any]] = ()) -> int:
        channel, deadline = self._channel, self._deadline(flags)
        where = names.check_several(targets, channel.family) if targets else None

        def wait(assoc_id: int) -> None:
            self._wait(False, deadline, assoc_id)

        return transmit(channel, self._shared, data, sending, flags, where, wait)

    # -- receiving ---------------------------------------------------------------------------------------------

    def _receive(self, limit: int, flags: int) -> Message | Notification | None:
        if type(limit) is not int:
            limit = index(limit)
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
        message = self._receive_data(bufsize, flags) if bufsize else None
        if message is None:
            return b"", None
        return message.data, (message.address, message.port)

    def recv_into(self, buffer: Buffer, nbytes: int = 0, flags: int = 0) -> int:
        """Like recv, into a buffer; returns the number of bytes."""
        view = room_in(buffer, nbytes)
        return scatter([view], self.recv(len(view), flags))

    def recvfrom_into(self, buffer: Buffer, nbytes: int = 0, flags: int = 0) -> tuple[int, s.Address | None]:
        """Like recvfrom, into a buffer; returns (number of bytes, address)."""
        view = room_in(buffer, nbytes)
        data, address = self.recvfrom(len(view), flags)
        return scatter([view], data), address

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
    ) -> tuple[bytes | Notification, list[Item], int, s.Address | None]:
        """Return (data, ancillary data, flags, address).

        With MSG_NOTIFICATION in the flags, data is the notification itself. Ancillary data are RcvInfo if
        SCTP_RECVRCVINFO is on, NxtInfo if SCTP_RECVNXTINFO is on and a message follows; deprecated: SndRcvInfo if
        SCTP_EVENTS has data_io on, in its place ExtRcvInfo with SCTP_USE_EXT_RCVINFO. ancbufsize is not needed.
        """
        item = self._receive(bufsize, flags) if bufsize else None
        if item is None:
            return b"", [], 0, None
        if not isinstance(item, Message):
            return item, [], c.MSG_NOTIFICATION | c.MSG_EOR, None
        kept = self._shared
        found: list[Item] = []
        if kept.rcvinfo:
            found.append((c.IPPROTO_SCTP, c.SCTP_RCVINFO, rcvinfo(item)))
        following = self._channel.next_info() if kept.nxtinfo or kept.extended else None
        if kept.nxtinfo and following is not None:
            found.append((c.IPPROTO_SCTP, c.SCTP_NXTINFO, following))
        if kept.data_io:
            found.append(deprecated(item, kept.extended, following))
        return item.data, found, c.MSG_EOR if item.eor else 0, (item.address, item.port)

    def recvmsg_into(
        self, buffers: Iterable[Buffer], ancbufsize: int = 0, flags: int = 0
    ) -> tuple[int, list[Item], int, s.Address | None]:
        """Like recvmsg, into buffers; returns (number of bytes, ancillary data, flags, address).

        A notification is no bytes: it comes as ancillary data, ``(IPPROTO_SCTP, its type, itself)``, with
        MSG_NOTIFICATION in the flags and 0 bytes. The buffers must have room, else ValueError.
        """
        views = [room_in(buffer) for buffer in buffers]
        room = sum(map(len, views))
        if not room:
            raise ValueError("the buffers have no room")
        data, found, flags, address = self.recvmsg(room, ancbufsize, flags)
        if not isinstance(data, bytes):
            return 0, [(c.IPPROTO_SCTP, data.type, data)], flags, address
        return scatter(views, data), found, flags, address

    def recvv(self, bufsize: int, flags: int = 0) -> RecvvResult:
        """Return data and its information (sctp_recvv, section 9.13), as the RECV*INFO options say."""
        return recvv_result(*self.recvmsg(bufsize, 0, flags))

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
        """Set an option; SCTP's take the structures of `structures`, an int or a bool (see `options`).

        SO_LINGER takes (on, seconds) or C's bytes, as the others of SOL_SOCKET do.
        """
        socket_options.set_option(self._channel, self._shared, level, option, value)

    def getsockopt(self, level: int, option: int, value: Any = None) -> Any:
        """Get an option; value carries the association and address that are asked about, if any.

        For SOL_SOCKET it is a size, which gives C's bytes, as with socket.socket.
        """
        return socket_options.get_option(self._channel, self._shared, level, option, value)

    def opt_info(self, assoc_id: int, option: int, value: Any = None) -> Any:
        """Get an option of an association (sctp_opt_info, RFC 6458 section 8)."""
        return self.getsockopt(c.IPPROTO_SCTP, option, socket_options.about(assoc_id, option, value))

    def subscribe(self, *types: int, on: bool = True) -> None:
        """Switch notifications on or off by their types (SCTP_EVENT, section 6.2.2)."""
        for type_ in types:
            self._channel.subscribe(type_, on)


def _left(deadline: float | None) -> float | None:
    """Return the seconds until a deadline; 0: it is over."""
    return None if deadline is None else max(0.0, deadline - time.monotonic())
