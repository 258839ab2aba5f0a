"""Channels over the kernel's SCTP: stdlib sockets with IPPROTO_SCTP and struct-packed options.

RFC 6458. Layouts are in `kernel_linux` and `kernel_freebsd`, calls that are no options everywhere in
`kernel_calls`; waiting for asyncio is `loop.add_reader` on the descriptor.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import select
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import constants as c
from .. import structures as s
from ..addresses import canonical, for_family
from ..message import Message
from ..notifications import AssocChange, Notification, PartialDeliveryEvent
from ..options import OPTIONS
from . import kernel_calls
from .contract import PENDING, Received
from .kernel_layout import htonl, with_scope

_SCTP = c.IPPROTO_SCTP
layout, calls = kernel_calls.of_this_system()
_ITEM_SNDINFO, _ITEM_RCVINFO = layout.item(c.SCTP_SNDINFO), layout.item(c.SCTP_RCVINFO)
_ITEM_NXTINFO, _NOTIFICATION = layout.item(c.SCTP_NXTINFO), layout.notification
_WHOLE = 1 << 18  # bytes asked for in one recvmsg; longer messages come in parts
_ANCILLARY = socket.CMSG_SPACE(32) * 3
_RCVINFO = struct.Struct("=HHH2xIIIIi")
_SNDINFO = struct.Struct("=HHIIi")
_LONGEST = (1 << 31) - 1  # ms that poll can wait
_fail = kernel_calls.fail


class KernelChannel:
    """One kernel socket, non-blocking. See `contract.Channel`."""

    own_descriptor = True

    def __init__(self, family: int, one_to_many: bool, sock: socket.socket | None = None) -> None:
        style = socket.SOCK_SEQPACKET if one_to_many else socket.SOCK_STREAM
        self.family = family
        self.one_to_many = one_to_many
        self.sock = sock if sock is not None else socket.socket(family, style, _SCTP)
        self._parts: dict[tuple[int, int], list[bytes]] = {}
        self._next: s.NxtInfo | None = None
        self._nxtinfo = False
        self._listening = False
        self._begun = sock is not None  # one-to-one: there is or was an association
        self._wants_changes = False  # one-to-one: the user wants SCTP_ASSOC_CHANGE
        self._hides_changes = False  # it is on for our own sake alone
        self._ended = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._read_wake: Callable[[], None] | None = None
        self._write_wakes: list[Callable[[], None]] = []
        try:
            self.sock.setblocking(False)
            self.sock.setsockopt(_SCTP, layout.option(c.SCTP_RECVRCVINFO), 1)
            if family == socket.AF_INET6 and sock is None:
                with contextlib.suppress(OSError):
                    self.sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        except BaseException:
            self.sock.close()
            raise

    def fileno(self) -> int:
        """See contract."""
        return self.sock.fileno()

    # -- set-up ------------------------------------------------------------------------------------------------

    def _sockaddr(self, host: str, port: int) -> tuple[Any, ...]:
        if not host:
            return ("", port)
        return (for_family(host, self.family), port)

    def _packed(self, hosts: Sequence[str], port: int) -> bytes:
        # Each sockaddr of the array may have its own family, but an IPv4 socket takes IPv4 only.
        family = 0 if self.family == socket.AF_INET6 else socket.AF_INET
        return b"".join(layout.pack_address((host, port), family) for host in hosts)

    def bind(self, hosts: Sequence[str], port: int) -> None:
        """See contract."""
        first = hosts[0] if hosts else ""
        self.sock.bind(self._sockaddr(first, port))
        if len(hosts) > 1:
            self.bind_add(hosts[1:], port)

    def bind_add(self, hosts: Sequence[str], port: int) -> None:
        """See contract."""
        bound = int(self.sock.getsockname()[1])
        calls.bindx(self.sock.fileno(), self._packed(hosts, port or bound), len(hosts), True)

    def bind_remove(self, hosts: Sequence[str], port: int) -> None:
        """See contract."""
        bound = int(self.sock.getsockname()[1])
        calls.bindx(self.sock.fileno(), self._packed(hosts, port or bound), len(hosts), False)

    def listen(self, backlog: int) -> None:
        """See contract."""
        self.sock.listen(backlog)
        self._listening = backlog > 0

    def start_connect(self, hosts: Sequence[str], port: int, udp_port: int | None = None) -> int:
        """See contract. ``udp_port`` is set for the socket's future associations (RFC 6951 section 6.1)."""
        if self._listening and not self.one_to_many and self.sock.fileno() >= 0:
            raise _fail(errno.EOPNOTSUPP, "the socket is listening")  # POSIX; Linux says EISCONN
        if udp_port is not None:
            self.setopt(c.SCTP_REMOTE_UDP_ENCAPS_PORT, s.UdpEncaps(port=udp_port))
        packed = self._packed(hosts, port)
        self._begun = True
        return calls.connectx(self.sock.fileno(), packed, len(hosts))

    def connect_result(self) -> bool:
        """See contract."""
        poller = select.poll()
        poller.register(self.sock, select.POLLOUT)
        if not poller.poll(0):
            return False
        number = self.error()
        if number:
            raise _fail(number)
        return True

    def wait_up(self, assoc_id: int, timeout: float | None) -> bool:
        """See contract. A one-to-many socket has no event for it that would not take a notification away."""
        end = None if timeout is None else time.monotonic() + timeout
        pause = 0.0005
        while True:
            left = None if end is None else end - time.monotonic()
            if not self.one_to_many:
                self.wait(False, True, left)
                if self.connect_result():
                    return True
            else:
                number, answer = self._getsockopt(c.SCTP_STATUS, layout.pack(s.Status(assoc_id=assoc_id)))
                if number:
                    # The kernel keeps no reason: refused is by far the most likely one.
                    raise _fail(errno.ECONNREFUSED)
                if layout.unpack(s.Status, answer).state >= c.SCTP_ESTABLISHED:
                    return True
                time.sleep(pause if left is None else max(0.0, min(pause, left)))
                pause = min(pause * 2, 0.02)
            if left is not None and left <= 0:
                return False

    def accept(self) -> KernelChannel | None:
        """See contract."""
        try:
            sock, _ = self.sock.accept()
        except BlockingIOError:
            return None
        child = KernelChannel(self.family, False, sock)
        self._hand_down(child)
        return child

    def peeloff(self, assoc_id: int) -> KernelChannel:
        """See contract. The peeled descriptor keeps the subscriptions of this one."""
        fd = calls.peeloff(self.sock.fileno(), assoc_id)
        os.set_inheritable(fd, False)  # as all of Python's (PEP 446)
        channel = KernelChannel(self.family, False, socket.socket(self.family, socket.SOCK_STREAM, _SCTP, fd))
        self._hand_down(channel)
        for key in [key for key in self._parts if key[0] == assoc_id]:
            channel._parts[key] = self._parts.pop(key)  # of a message whose rest comes there
        return channel

    def _hand_down(self, child: KernelChannel) -> None:
        """Tell a channel that was accepted or peeled off what the kernel let its socket inherit."""
        child._nxtinfo = self._nxtinfo
        child._wants_changes = self._wants_changes

    # -- data --------------------------------------------------------------------------------------------------

    def send(
        self,
        data: bytes,
        stream: int = 0,
        ppid: int = 0,
        flags: int = 0,
        context: int = 0,
        assoc_id: int = 0,
        address: s.Address | None = None,
        prinfo: s.PrInfo | None = None,
        authinfo: s.AuthInfo | None = None,
    ) -> bool:
        """See contract."""
        if not self.one_to_many and flags & (c.SCTP_EOF | c.SCTP_ABORT):
            return self._send_end(data, stream, ppid, flags, context, prinfo)
        try:
            bits = layout.flags_out(flags) if flags else 0
            info = _SNDINFO.pack(stream, bits, htonl(ppid), context, assoc_id)
        except struct.error as error:
            raise _fail(errno.EINVAL, str(error)) from None
        ancillary: list[tuple[int, int, bytes]] = [(_SCTP, _ITEM_SNDINFO, info)]
        if prinfo is not None:
            ancillary.append((_SCTP, layout.item(c.SCTP_PRINFO), layout.pack(prinfo)))
        if authinfo is not None:
            ancillary.append((_SCTP, layout.item(c.SCTP_AUTHINFO), layout.pack(authinfo)))
        buffers = [data] if data else []
        try:
            if address is not None:
                self._begun = True
                self.sock.sendmsg(buffers, ancillary, socket.MSG_NOSIGNAL, self._sockaddr(*address))
            else:
                self.sock.sendmsg(buffers, ancillary, socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return False
        except BrokenPipeError:
            if self.one_to_many:
                nobody = assoc_id < c.FIRST_ASSOC_ID and not flags & c.SCTP_SENDALL
            else:
                nobody = not self._begun
            if nobody and address is None:
                raise _fail(errno.ENOTCONN) from None  # POSIX; EPIPE is for associations that were there
            raise
        return True

    def _send_end(
        self, data: bytes, stream: int, ppid: int, flags: int, context: int, prinfo: s.PrInfo | None
    ) -> bool:
        """Do what Linux refuses on one-to-one sockets (EINVAL): the EOF and ABORT flags.

        Only close can abort there, so the reason is lost and the descriptor gone.
        """
        if flags & c.SCTP_ABORT:
            self.sock.getpeername()  # ENOTCONN
            self.set_linger(True, 0)
            self.close()
            return True
        if data and not self.send(data, stream, ppid, flags & ~c.SCTP_EOF, context, 0, None, prinfo):
            return False
        self.shutdown()
        return True

    def recv(self, limit: int = 0, peek: bool = False) -> Received:
        """See contract."""
        look = socket.MSG_PEEK if peek else 0
        while True:
            try:
                data, ancillary, flags, source = self.sock.recvmsg(limit or _WHOLE, _ANCILLARY, look)
            except BlockingIOError:
                if self._ended:
                    return None
                if not self._begun and not self.one_to_many:
                    # Linux would wait for ever; TCP and userland say ENOTCONN.
                    raise _fail(errno.ENOTCONN) from None
                return PENDING
            except (ConnectionError, TimeoutError):
                self._ended = True  # said once, then it is the end
                raise
            if flags & _NOTIFICATION:
                if peek and not flags & socket.MSG_EOR:
                    data, ancillary, flags, source = self.sock.recvmsg(_WHOLE, _ANCILLARY, look)
                notification = self._notification(data, flags)
                if type(notification) is AssocChange and not self.one_to_many:
                    self._ended = notification.state in (c.SCTP_SHUTDOWN_COMP, c.SCTP_COMM_LOST)
                    if self._hides_changes:
                        if peek:
                            self.sock.recvmsg(_WHOLE, _ANCILLARY)
                        continue
                if type(notification) is PartialDeliveryEvent:
                    self._parts.pop((notification.assoc_id, notification.stream), None)
                if notification is not None:
                    return notification
                continue
            if not data and not flags & socket.MSG_EOR and not ancillary:
                return None
            message = self._message(data, ancillary, flags, source)
            if limit or self._complete(message):
                return message

    def _notification(self, data: bytes, flags: int) -> Notification | None:
        while not flags & socket.MSG_EOR:
            more, _, flags, _ = self.sock.recvmsg(_WHOLE, _ANCILLARY)
            data += more
        return layout.unpack_notification(data)

    def _message(self, data: bytes, ancillary: Any, flags: int, source: Any) -> Message:
        host, port = (canonical(source[0]), source[1]) if source else ("", 0)
        if source and len(source) > 3 and source[3]:
            host = with_scope(host, source[3])
        message = Message(data, address=host, port=port, eor=bool(flags & socket.MSG_EOR))
        self._next = None
        for level, type_, content in ancillary:
            if level == _SCTP and type_ == _ITEM_RCVINFO:
                stream, ssn, bits, ppid, tsn, cumtsn, context, assoc_id = _RCVINFO.unpack_from(content)
                message.stream, message.ppid, message.assoc_id = stream, htonl(ppid), assoc_id
                message.unordered = bool(bits and layout.flags_in(bits) & c.SCTP_UNORDERED)
                message.ssn, message.tsn, message.cumtsn, message.context = ssn, tsn, cumtsn, context
            elif level == _SCTP and type_ == _ITEM_NXTINFO and self._nxtinfo:
                self._next = layout.unpack(s.NxtInfo, content)
        return message

    def _complete(self, message: Message) -> bool:
        """Join the parts of a long message; True when it is whole."""
        key = (message.assoc_id, message.stream)
        parts = self._parts.get(key)
        if message.eor:
            if parts is not None:
                parts.append(message.data)
                message.data = b"".join(parts)
                del self._parts[key]
            return True
        if parts is None:
            if len(self._parts) >= 16:
                self._forget_parts()
            self._parts[key] = [message.data]
        else:
            parts.append(message.data)
        return False

    def _forget_parts(self) -> None:
        """Drop what associations began to send that have ended meanwhile: the rest will not come."""
        ids = self._assoc_ids() if self.one_to_many else ()
        self._parts = {key: part for key, part in self._parts.items() if not self.one_to_many or key[0] in ids}

    def next_info(self) -> s.NxtInfo | None:
        """See contract."""
        return self._next

    # -- options -----------------------------------------------------------------------------------------------

    def _getsockopt(self, option: int, argument: bytes) -> tuple[int, bytes]:
        """Call getsockopt with a structure handed in; return (errno or 0, its bytes)."""
        return kernel_calls.getsockopt(self.sock.fileno(), layout.option(option), argument)

    def subscribe(self, type_: int, on: bool, assoc_id: int = 0) -> None:
        """See contract."""
        if type_ == c.SCTP_ASSOC_CHANGE:
            self._wants_changes = on
        if type_ == c.SCTP_ASSOC_CHANGE and not self.one_to_many:
            if self._hides_changes and not on:
                return
            self._hides_changes = False
        self._kernel_event(type_, on, assoc_id)

    def _watch_for_end(self) -> None:
        """Have an end told that this side asked for: else Linux would not wake a reader then."""
        if not self._wants_changes and not self._hides_changes:
            self._hides_changes = True
            self._kernel_event(c.SCTP_ASSOC_CHANGE, True, 0)

    def _kernel_event(self, type_: int, on: bool, assoc_id: int) -> None:
        if self.one_to_many and assoc_id == c.SCTP_FUTURE_ASSOC:
            assoc_id = c.SCTP_ALL_ASSOC  # those that are there too
        self.sock.setsockopt(_SCTP, layout.option(c.SCTP_EVENT), layout.pack(s.Event(assoc_id, type_, on)))

    def getopt(self, option: int, value: Any = None) -> Any:
        """See contract."""
        known = OPTIONS.get(option)
        if known is None or not known.get:
            raise _fail(errno.ENOPROTOOPT)
        if option == c.SCTP_GET_ASSOC_NUMBER:
            return len(self._assoc_ids())
        if option == c.SCTP_GET_ASSOC_ID_LIST:
            return s.AssocIds(self._assoc_ids())
        argument = layout.pack(value, self.family) if value is not None else bytes(layout.size_of(known.type))
        argument = argument.ljust(layout.size_of(known.type), b"\0")
        native = option
        if option == c.SCTP_PEER_ADDR_THLDS and layout.options is None:
            native = c.SCTP_PEER_ADDR_THLDS_V2
        number, answer = self._getsockopt(native, argument)
        older = number == errno.ENOPROTOOPT and native != option  # Linux before 5.5
        if older:
            number, answer = self._getsockopt(option, argument)
        if number:
            raise _fail(number)
        result = layout.unpack(known.type, answer)
        if older:
            result.pathcpthld = None
        if self._hides_changes:
            if option == c.SCTP_EVENTS:
                result.association = False
            elif option == c.SCTP_EVENT and result.type == c.SCTP_ASSOC_CHANGE:
                result.on = False
        return result

    def _assoc_ids(self) -> tuple[int, ...]:
        number, answer = self._getsockopt(c.SCTP_GET_ASSOC_ID_LIST, bytes(layout.size_of(s.AssocIds)))
        if number:
            raise _fail(number)
        ids: tuple[int, ...] = layout.unpack(s.AssocIds, answer).ids
        return ids

    def setopt(self, option: int, value: Any) -> None:
        """See contract."""
        known = OPTIONS.get(option)
        if known is None or not known.set:
            raise _fail(errno.ENOPROTOOPT)
        if option == c.SCTP_RECVRCVINFO:
            return  # always on here: messages are described by it
        if option == c.SCTP_RECVNXTINFO:
            self._nxtinfo = bool(value)
        if option == c.SCTP_EVENT:
            self.subscribe(value.type, value.on, value.assoc_id)
            return
        if option == c.SCTP_EVENTS:
            self._wants_changes = value.association
        if option == c.SCTP_EVENTS and not self.one_to_many:
            self._hides_changes = self._hides_changes and not value.association
            if self._hides_changes:
                value = replace(value, association=True)
        if option == c.SCTP_PEER_ADDR_THLDS and value.pathcpthld is not None and layout.options is None:
            option = c.SCTP_PEER_ADDR_THLDS_V2
        self.sock.setsockopt(_SCTP, layout.option(option), layout.pack(value, self.family))

    def get_buffer(self, option: int) -> int:
        """See contract."""
        return self.sock.getsockopt(socket.SOL_SOCKET, option)

    def set_buffer(self, option: int, size: int) -> None:
        """See contract."""
        self.sock.setsockopt(socket.SOL_SOCKET, option, size)

    def set_linger(self, on: bool, seconds: int) -> None:
        """See contract."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("@ii", on, seconds))

    def error(self) -> int:
        """See contract."""
        return self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    # -- ends --------------------------------------------------------------------------------------------------

    def shutdown(self, assoc_id: int = 0) -> None:
        """See contract."""
        if self.one_to_many:
            self.send(b"", flags=c.SCTP_EOF, assoc_id=assoc_id)
        else:
            self._watch_for_end()
            self.sock.shutdown(socket.SHUT_WR)

    def abort(self, assoc_id: int = 0, reason: bytes = b"") -> None:
        """See contract."""
        self.send(reason, flags=c.SCTP_ABORT, assoc_id=assoc_id)

    def peer_addresses(self, assoc_id: int = 0) -> list[s.Address]:
        """See contract."""
        try:
            return calls.addresses(self.sock.fileno(), True, assoc_id)
        except OSError as error:
            if error.errno == errno.EINVAL and not self.one_to_many:
                raise _fail(errno.ENOTCONN) from None
            raise

    def local_addresses(self, assoc_id: int = 0) -> list[s.Address]:
        """See contract."""
        if assoc_id < c.FIRST_ASSOC_ID if self.one_to_many else not self._begun:
            host, port = self.sock.getsockname()[:2]
            if host in ("0.0.0.0", "::"):
                return [(host, port)]  # Linux would list every address of the host
        return calls.addresses(self.sock.fileno(), False, assoc_id)

    # -- waiting -----------------------------------------------------------------------------------------------

    def udp_port(self) -> int:
        """See contract."""
        try:
            return int(Path("/proc/sys/net/sctp/udp_port").read_text()) or 9899
        except (OSError, ValueError):
            return 9899

    def wait(self, read: bool, write: bool, timeout: float | None, assoc_id: int = 0) -> bool:
        """See contract."""
        poller = select.poll()
        poller.register(self.sock, (select.POLLIN if read else 0) | (select.POLLOUT if write else 0))
        if timeout is not None:
            timeout = min(max(0.0, timeout * 1000), _LONGEST)
        return bool(poller.poll(timeout))

    def watch_read(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None] | None) -> None:
        """See contract."""
        before, self._read_wake = self._read_wake, callback
        fd = self.sock.fileno()
        if fd < 0:
            if callback is not None:
                loop.call_soon(callback)
        elif callback is not None and before is None:
            self._loop = loop
            loop.add_reader(fd, self._fire_read, loop, fd)
        elif callback is None and before is not None:
            loop.remove_reader(fd)

    def _fire_read(self, loop: asyncio.AbstractEventLoop, fd: int) -> None:
        wake, self._read_wake = self._read_wake, None
        loop.remove_reader(fd)
        if wake is not None:
            wake()

    def watch_write(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        """See contract."""
        fd = self.sock.fileno()
        if fd < 0:
            loop.call_soon(callback)
            return
        self._loop = loop
        if not self._write_wakes:
            loop.add_writer(fd, self._fire_write, loop, fd)
        self._write_wakes.append(callback)

    def unwatch_write(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        """See contract."""
        if callback in self._write_wakes:
            self._write_wakes.remove(callback)
            if not self._write_wakes and self.sock.fileno() >= 0:
                loop.remove_writer(self.sock.fileno())

    def _fire_write(self, loop: asyncio.AbstractEventLoop, fd: int) -> None:
        wakes, self._write_wakes = self._write_wakes, []
        loop.remove_writer(fd)
        for wake in wakes:
            wake()

    def watch_closed(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        """See contract. The kernel ends the association by itself."""
        loop.call_soon(callback)

    def detach(self) -> int:
        """See contract."""
        return self.sock.detach()

    def orphaned(self) -> None:
        """See contract."""
        self.close()

    def close(self) -> None:
        """See contract."""
        fd, loop = self.sock.fileno(), self._loop
        wakes = [*self._write_wakes, *([self._read_wake] if self._read_wake else [])]
        if fd >= 0 and loop is not None and wakes and not loop.is_closed():
            if self._read_wake is not None:
                loop.remove_reader(fd)
            if self._write_wakes:
                loop.remove_writer(fd)
            for wake in wakes:
                loop.call_soon(wake)
        self._read_wake, self._write_wakes = None, []
        self.sock.close()
