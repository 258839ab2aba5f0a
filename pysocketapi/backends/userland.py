"""Channels over the userland stack: RFC 6458's sockets as queues in front of the engine's associations.

See `contract.Channel`. Options are in `userland_options`, the wording of events in `translate`; moving datagrams
and waiting belong to the pump and its driver.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pysctplib.core import events as e
from pysctplib.core.config import Config
from pysctplib.core.states import SETTING_UP

from .. import constants as c
from .. import structures as s
from ..message import Message
from ..notifications import Notification
from . import sending, translate, userland_options, waking
from .contract import PENDING, Received
from .sending import fail

if TYPE_CHECKING:
    from pysctplib.core.association import Association
    from pysctplib.core.endpoint import Endpoint

    from .pumps import Pump

_ENGINE_MESSAGE = e.Message


class _Sink(deque[Any]):
    """The queue of a closed channel: takes data off the window and forgets it, else the peer could not end."""

    def append(self, event: Any) -> None:
        """Forget an event."""
        if type(event) is _ENGINE_MESSAGE:
            event.association.consumed(len(event.data), 0.0)


_NOBODY: deque[Any] = deque(maxlen=0)  # shared by those who do not listen


class UserChannel:
    """One socket of the userland stack. Every public method takes the pump's lock."""

    own_descriptor = False

    __slots__ = (
        "__weakref__", "accepting", "association", "associations", "backlog", "blocked", "chosen", "closed",
        "closed_wakes", "config", "connected", "context", "contexts", "defaults", "ended", "endpoint", "family",
        "linger",
        "listening", "one_to_many", "parts", "pending_error", "pump", "queue", "read_wake", "sent_end",
        "shares_endpoint", "signal", "sleepers", "subscribed", "values", "watched", "write_wakes",
    )  # fmt: skip

    def __init__(self, pump: Pump, family: int, one_to_many: bool) -> None:
        self.pump = pump
        self.family = family
        self.one_to_many = one_to_many
        self.config = Config()
        self.endpoint: Endpoint | None = None
        self.shares_endpoint = False  # accepted or peeled off: the endpoint is another channel's
        self.association: Association | None = None  # one-to-one
        self.associations: dict[int, Association] = {}
        self.queue: deque[Any] = deque()
        self.accepting: deque[UserChannel] = _NOBODY
        self.backlog = 0
        self.listening = False
        self.connected = False
        self.ended = False  # one-to-one: no more will come
        self.sent_end = False  # one-to-one: shutdown was called
        self.pending_error = 0
        self.closed = False
        self.linger: tuple[bool, int] = (False, 0)
        self.subscribed: set[int] = set()
        self.chosen: dict[tuple[int, int], bool] | None = None  # (association, type), where it differs from that
        self.values: dict[int, Any] = {}  # options that are kept here: defaults for sending, and so on
        self.defaults: dict[int, s.SndInfo] = {}  # SCTP_DEFAULT_SNDINFO by association, 0: the socket's
        self.context = 0
        self.contexts: dict[int, int] | None = None  # of associations that have their own
        self.parts: dict[tuple[int, int], list[bytes]] = {}
        self.read_wake: Callable[[], None] | None = None
        self.write_wakes: list[Callable[[], None]] = []
        self.blocked: dict[Association, int] = {}  # associations without room for so many bytes
        self.closed_wakes: list[Callable[[], None]] = []
        self.watched: dict[int, int] = {}  # one-to-many: associations that a thread waits for, their errors
        self.sleepers: list[Callable[[], None]] = []
        self.signal: waking.Signal | None = None  # made when somebody asks for a descriptor
        pump.channels.add(self)

    def fileno(self) -> int:
        """See contract."""
        with self.pump.lock:
            return -1 if self.closed else waking.descriptor(self)

    # -- events ------------------------------------------------------------------------------------------------

    def adopt(self, association: Association) -> UserChannel | None:
        """Take in an association that a peer began; None: it is not wanted."""
        if self.one_to_many:
            self.associations[association.id] = association
            return self
        if not self.listening or len(self.accepting) >= self.backlog:
            return None
        child = UserChannel(self.pump, self.family, False)
        child._take_over(self, association)
        self.accepting.append(child)
        waking.wake_reader(self)
        return child

    def _take_over(self, parent: UserChannel, association: Association) -> None:
        self.endpoint = parent.endpoint
        self.shares_endpoint = True
        self.association = association
        self.associations[association.id] = association
        self.config = association.config
        self.connected = True
        self.subscribed = set(parent.subscribed)
        for (assoc_id, type_), on in (parent.chosen or {}).items():
            if assoc_id == association.id:
                (self.subscribed.add if on else self.subscribed.discard)(type_)
        self.values = dict(parent.values)
        self.defaults = dict(parent.defaults)
        self.context = parent.context_of(association.id)
        parent.forget(association.id)

    def on_event(self, event: Any) -> None:
        """Take in an event that is no message."""
        kind = type(event)
        if kind is e.CommunicationUp:
            self.connected = True
            waking.wake_writers(self)
            if self.watched:
                waking.wake_reader(self)
        elif kind is e.PeerShutdown and not self.one_to_many:
            # All that the peer sent is here already (RFC 9260 section 9.2).
            self.ended = True
        elif kind in translate.ENDS:
            self._lost(event)
        row = translate.TABLE.get(kind)
        if row is not None and not self.closed:
            assoc_id = event.association.id
            wanted = self.wants(row[0], assoc_id)
            if kind is e.SendFailed:
                wanted = wanted or self.wants(c.SCTP_SEND_FAILED, assoc_id)
            if wanted or kind is e.PartialDeliveryAborted:  # that one recv needs itself
                self.queue.append(event)
                waking.wake_reader(self)
        if kind in translate.ENDS:
            self.forget(event.association.id)
        if self.ended or self.pending_error:
            waking.wake_reader(self)
            waking.wake_writers(self)

    def _lost(self, event: Any) -> None:
        association = event.association
        self.associations.pop(association.id, None)
        self.blocked.pop(association, None)
        if association.id in self.watched:
            self.watched[association.id] = getattr(event, "error", 0) or errno.ECONNRESET
        self.pump.forget()
        if not self.one_to_many:
            self.ended = True
            self.pending_error = getattr(event, "error", 0)
        if self.closed and not self.associations:
            self._gone()
        waking.wake_writers(self)

    def wants(self, type_: int, assoc_id: int) -> bool:
        """Whether notifications of that type are wanted from that association (RFC 6458 section 6.2.2)."""
        if self.chosen is not None:
            return self.chosen.get((assoc_id, type_), type_ in self.subscribed)
        return type_ in self.subscribed

    def context_of(self, assoc_id: int) -> int:
        """Return the context of what an association's peer sends (RFC 6458 section 8.1.25)."""
        return self.context if self.contexts is None else self.contexts.get(assoc_id, self.context)

    def forget(self, assoc_id: int) -> None:
        """Drop the subscriptions for an association that is not this channel's any more."""
        if self.chosen is not None:
            self.chosen = {key: on for key, on in self.chosen.items() if key[0] != assoc_id} or None

    def _prune(self) -> None:
        """The queue is empty: no more will be read of associations that have ended."""
        # The rest of what they began to send will not come.
        self.parts = {key: part for key, part in self.parts.items() if key[0] in self.associations}
        if self.contexts is not None:
            self.contexts = {
                key: value for key, value in self.contexts.items() if key in self.associations
            } or None

    def _gone(self) -> None:
        wakes, self.closed_wakes = self.closed_wakes, []
        for wake in wakes:
            wake()

    # -- set-up ------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise OSError(EBADF) once the channel is closed."""
        if self.closed:
            raise fail(errno.EBADF)

    def bind(self, hosts: Sequence[str], port: int) -> None:
        """See contract."""
        with self.pump.lock:
            self.check()
            if self.endpoint is not None:
                raise fail(errno.EINVAL, "the socket is bound already")
            self._open(hosts, port)

    def _open(self, hosts: Sequence[str], port: int) -> None:
        wildcards = {"", "0.0.0.0", "::"}
        hosts = [] if any(host in wildcards for host in hosts) else list(hosts)
        if self.family == socket.AF_INET and any(":" in host for host in hosts):
            raise fail(errno.EAFNOSUPPORT)
        self.endpoint = self.pump.open(self, port, hosts, self.config)
        self.config = self.endpoint.config

    def bind_add(self, hosts: Sequence[str], port: int) -> None:
        """See contract."""
        self._rebind(lambda bound: list(dict.fromkeys([*bound, *hosts])), port, hosts)

    def bind_remove(self, hosts: Sequence[str], port: int) -> None:
        """See contract."""
        self._rebind(lambda bound: [host for host in bound if host not in hosts], port, None)

    def _rebind(self, change: Callable[[list[str]], list[str]], port: int, first: Sequence[str] | None) -> None:
        """Change the bound addresses, which is simple as long as nobody was told them."""
        with self.pump.lock:
            self.check()
            if self.endpoint is None:
                if first is None:
                    raise fail(errno.EINVAL)
                self._open(first, port)
                return
            if port not in (0, self.endpoint.port) or not self.endpoint.addresses:
                raise fail(errno.EINVAL)
            if self.endpoint.associations:
                raise fail(errno.EOPNOTSUPP, "addresses cannot change while there are associations")
            hosts = change(list(self.endpoint.addresses))
            if not hosts:
                raise fail(errno.EBUSY)
            old, port = self.endpoint, self.endpoint.port
            self.pump.release(old)
            self.endpoint = self.pump.open(self, port, hosts, self.config)
            self.config = self.endpoint.config
            if self.listening:
                self.endpoint.listen(True)

    def listen(self, backlog: int) -> None:
        """See contract."""
        with self.pump.lock:
            self.check()
            if self.association is not None:
                raise fail(errno.EINVAL, "the socket has an association")
            if self.endpoint is None:
                self._open([], 0)
            assert_endpoint(self.endpoint).listen(backlog > 0)
            self.listening = backlog > 0
            self.backlog = max(backlog, 1)
            if self.accepting is _NOBODY:
                self.accepting = deque()

    def start_connect(self, hosts: Sequence[str], port: int, udp_port: int | None = None) -> int:
        """See contract."""
        with self.pump.lock:
            return self.connect_locked(hosts, port, udp_port)

    def connect_locked(self, hosts: Sequence[str], port: int, udp_port: int | None) -> int:
        """Begin an association; the lock is held."""
        self.check()
        if not hosts or not 0 < port < 65536:
            raise fail(errno.EINVAL)
        if self.family == socket.AF_INET and any(":" in host for host in hosts):
            raise fail(errno.EAFNOSUPPORT)
        if self.one_to_many:
            if sending.find_by_address(self, hosts[0], port) is not None:
                raise fail(errno.EISCONN)
        elif self.listening:
            raise fail(errno.EOPNOTSUPP, "the socket is listening")
        elif self.association is not None and (self.connected or self.association.id in self.associations):
            raise fail(errno.EISCONN if self.connected else errno.EALREADY)
        if self.endpoint is None:
            self._open([], 0)
        association = assert_endpoint(self.endpoint).connect(
            list(hosts),
            port,
            self.pump.now(),
            udp_port=self.config.remote_udp_port if udp_port is None else udp_port,
            config=self.config,
        )
        self.associations[association.id] = association
        association.user = self
        if not self.one_to_many:
            self.association = association
            self.ended = self.sent_end = self.connected = False
            self.pending_error = 0
        if self.signal is not None:
            waking.signal_room(self)
        self.pump.driver.touched(0)
        return association.id

    def connect_result(self) -> bool:
        """See contract."""
        with self.pump.lock:
            if self.pending_error and not self.connected:
                self.association = None
                self.ended = False
                raise fail(self.take_error())
            return self.connected

    def wait_up(self, assoc_id: int, timeout: float | None) -> bool:
        """See contract."""
        if not self.one_to_many:
            self.wait(False, True, timeout)
            return self.connect_result()
        with self.pump.lock:
            association = self.associations.get(assoc_id)
            if association is not None:
                self.watched[assoc_id] = 0

                def ready() -> bool:
                    return association.established or bool(self.watched[assoc_id]) or self.closed

                waking.arm(self)
                try:
                    self.pump.driver.wait(ready, timeout, self)
                finally:
                    number = self.watched.pop(assoc_id)
                if association.established and not number:
                    return True
                self.check()
                if not number:
                    return False
                raise fail(number)
            raise fail(errno.ECONNREFUSED)

    def accept(self) -> UserChannel | None:
        """See contract."""
        with self.pump.lock:
            self.check()
            if self.one_to_many:
                raise fail(errno.EOPNOTSUPP)
            if not self.listening:
                raise fail(errno.EINVAL, "the socket is not listening")
            if not self.accepting:
                return None
            child = self.accepting.popleft()
            waking.lower_signal(self)
            return child

    def peeloff(self, assoc_id: int) -> UserChannel:
        """See contract."""
        with self.pump.lock:
            self.check()
            if not self.one_to_many:
                raise fail(errno.EINVAL)
            association = self.associations.get(assoc_id)
            if association is None:
                raise fail(errno.EINVAL, f"no association {assoc_id}")
            child = UserChannel(self.pump, self.family, False)
            child._take_over(self, association)
            del self.associations[assoc_id]
            association.user = child
            own = [event for event in self.queue if event.association is association]
            if own:
                self.queue = deque(event for event in self.queue if event.association is not association)
                child.queue.extend(own)
            return child

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
        pump = self.pump
        with pump.lock:
            association = self.association
            if association is None or self.ended or self.sent_end or self.pending_error:
                association = sending.destination(self, assoc_id, address, flags)
                if association is None:
                    return sending.send_all(self, data, stream, ppid, flags, context, prinfo)
            if (ppid or context) and (ppid >> 32 or context >> 32):
                raise fail(errno.EINVAL, "payload protocol identifiers and contexts are 0 to 4294967295")
            size = len(data)
            if size > association.config.send_buffer:
                raise fail(errno.EMSGSIZE)
            try:
                if flags or prinfo is not None or authinfo is not None or address is not None:
                    sending.send_special(
                        self, association, data, stream, ppid, flags, context, address, prinfo, authinfo
                    )
                else:
                    association.send(data, stream, pump.now(), ppid, False, None, context)
            except BlockingIOError:
                self.blocked[association] = size
                pump.writers.add(self)
                if self.signal is not None:
                    waking.signal_room(self)
                return False
            # An idle association sends at once; else the Nagle-like rule lets small messages gather anyway.
            driver = pump.driver
            at_once = association.buffered <= size or (association.config.nodelay and not driver.gathers)
            driver.touched(0 if at_once else size)
            return True

    def recv(self, limit: int = 0, peek: bool = False) -> Received:
        """See contract."""
        pump = self.pump
        with pump.lock:
            queue = self.queue
            while peek and queue:
                if type(queue[0]) is e.PartialDeliveryAborted and not self._told(queue[0]):
                    queue.popleft()
                    continue
                return self._peek(queue[0], limit)
            while queue:
                event = queue.popleft()
                association = event.association
                if type(event) is not _ENGINE_MESSAGE:
                    if self.signal is not None:
                        waking.lower_signal(self)
                    if type(event) is e.PartialDeliveryAborted and not self._told(event):
                        continue
                    return self._notification(event)
                data = event.data
                eor = event.eor
                if limit and len(data) > limit:
                    event.data = data[limit:]
                    queue.appendleft(event)
                    data = data[:limit]
                    eor = False
                association.consumed(len(data), pump.now())
                if association.inbound.sack_now:
                    pump.driver.touched(0)  # the window opened by enough to be worth telling
                if not limit and (not eor or self.parts):
                    whole = self._complete(event, data)
                    if whole is None:
                        continue
                    data = whole
                if self.signal is not None:
                    waking.lower_signal(self)
                return Message(
                    data,
                    event.stream,
                    event.ppid,
                    association.id,
                    event.unordered,
                    event.ssn,
                    event.tsn,
                    event.cumulative_tsn,
                    self.context if self.contexts is None else self.context_of(association.id),
                    association.primary.address,
                    association.peer_port,
                    eor,
                )
            if self.closed:
                raise fail(errno.EBADF)
            if self.parts or self.contexts:
                self._prune()
            if self.one_to_many:
                return PENDING
            if self.pending_error:
                raise fail(self.take_error())
            if self.ended:
                return None
            if self.association is None:
                raise fail(errno.ENOTCONN)
            return PENDING

    def _told(self, event: e.PartialDeliveryAborted) -> bool:
        """Forget the parts of a message that will not be whole; say whether the user wants to know."""
        self.parts.pop((event.association.id, event.stream), None)
        return self.wants(c.SCTP_PARTIAL_DELIVERY_EVENT, event.association.id)

    def _peek(self, event: Any, limit: int) -> Received:
        if type(event) is not _ENGINE_MESSAGE:
            return self._notification(event)
        association = event.association
        data = event.data[:limit] if limit else event.data
        eor = event.eor and len(data) == len(event.data)
        return Message(
            data, event.stream, event.ppid, association.id, event.unordered, event.ssn, event.tsn,
            event.cumulative_tsn, self.context_of(association.id), association.primary.address,
            association.peer_port, eor,
        )  # fmt: skip

    def _complete(self, event: e.Message, data: bytes) -> bytes | None:
        """Join the parts of a message that came by partial delivery; None: it is not whole yet."""
        key = (event.association.id, event.stream)
        parts = self.parts.get(key)
        if not event.eor:
            self.parts.setdefault(key, []).append(data)
            return None
        if parts is None:
            return data
        del self.parts[key]
        parts.append(data)
        return b"".join(parts)

    def _notification(self, event: Any) -> Notification:
        type_, make = translate.TABLE[type(event)]
        if type_ == c.SCTP_SEND_FAILED_EVENT and not self.wants(type_, event.association.id):
            return translate.failed_old(event)
        notification: Notification = make(event)
        return notification

    def next_info(self) -> s.NxtInfo | None:
        """See contract."""
        with self.pump.lock:
            if not self.values.get(c.SCTP_RECVNXTINFO) or not self.queue:
                return None
            event = self.queue[0]
            if type(event) is not _ENGINE_MESSAGE:
                return s.NxtInfo(flags=c.SCTP_NOTIFICATION, assoc_id=event.association.id)
            flags = (c.SCTP_UNORDERED if event.unordered else 0) | (c.SCTP_COMPLETE if event.eor else 0)
            return s.NxtInfo(event.stream, flags, event.ppid, len(event.data), event.association.id)

    # -- options -----------------------------------------------------------------------------------------------

    def subscribe(self, type_: int, on: bool, assoc_id: int = 0) -> None:
        """See contract."""
        with self.pump.lock:
            self.set_subscription(type_, on, assoc_id)

    def set_subscription(self, type_: int, on: bool, assoc_id: int = 0) -> None:
        """Switch one type of notifications on or off; the lock is held. Raises OSError(EINVAL)."""
        if not self.one_to_many or assoc_id in (c.SCTP_FUTURE_ASSOC, c.SCTP_ALL_ASSOC):
            (self.subscribed.add if on else self.subscribed.discard)(type_)
            if self.chosen is not None:
                self.chosen = {key: value for key, value in self.chosen.items() if key[1] != type_} or None
            meant = list(self.associations.values())
            if type_ == c.SCTP_SENDER_DRY_EVENT and on:
                self.config.sender_dry_events = True
        else:
            if assoc_id == c.SCTP_CURRENT_ASSOC:
                meant = list(self.associations.values())
            else:
                meant = [sending.find(self, assoc_id, errno.EINVAL)]
            self.chosen = {**(self.chosen or {}), **{(association.id, type_): on for association in meant}}
        if type_ == c.SCTP_SENDER_DRY_EVENT and on:
            for association in meant:
                association.config.sender_dry_events = True
                if not association.buffered:
                    # Section 6.1.9: said at once when there is nothing to send.
                    self.queue.append(e.SenderDry(association))
                    waking.wake_reader(self)

    def getopt(self, option: int, value: Any = None) -> Any:
        """See contract."""
        with self.pump.lock:
            self.check()
            return userland_options.get(self, option, value)

    def setopt(self, option: int, value: Any) -> None:
        """See contract."""
        with self.pump.lock:
            self.check()
            userland_options.set_(self, option, value)
            self.pump.driver.touched(0)

    def get_buffer(self, option: int) -> int:
        """See contract."""
        config = self.config if self.association is None else self.association.config
        return config.send_buffer if option == socket.SO_SNDBUF else config.receive_buffer

    def set_buffer(self, option: int, size: int) -> None:
        """See contract."""
        with self.pump.lock:
            name = "send_buffer" if option == socket.SO_SNDBUF else "receive_buffer"
            userland_options.change(self, 0, {name: max(size, 4096)})

    def set_linger(self, on: bool, seconds: int) -> None:
        """See contract."""
        self.linger = (on, seconds)

    def take_error(self) -> int:
        """Return and forget the pending error; the lock is held."""
        number, self.pending_error = self.pending_error, 0
        return number

    def error(self) -> int:
        """See contract."""
        with self.pump.lock:
            return self.take_error()

    # -- ends --------------------------------------------------------------------------------------------------

    def shutdown_one(self, association: Association) -> None:
        """Begin the graceful end of one association; the lock is held."""
        association.shutdown(self.pump.now())
        if not self.one_to_many:
            self.sent_end = True

    def shutdown(self, assoc_id: int = 0) -> None:
        """See contract."""
        with self.pump.lock:
            self.check()
            association = sending.find(self, assoc_id)
            if not self.one_to_many and not self.connected:
                raise fail(errno.ENOTCONN)
            self.shutdown_one(association)
            self.pump.driver.touched(0)

    def abort(self, assoc_id: int = 0, reason: bytes = b"") -> None:
        """See contract."""
        with self.pump.lock:
            self.check()
            sending.find(self, assoc_id).abort(self.pump.now(), reason)
            self.pump.driver.touched(0)

    def abort_all(self) -> None:
        """Abort what is left. The lock is held."""
        for association in list(self.associations.values()):
            association.abort(self.pump.now())

    def peer_addresses(self, assoc_id: int = 0) -> list[s.Address]:
        """See contract."""
        with self.pump.lock:
            self.check()
            association = sending.find(self, assoc_id, errno.EINVAL)
            hosts = list(association.paths)
            hosts.sort(key=lambda host: host != association.primary.address)
            return [(host, association.peer_port) for host in hosts]

    def local_addresses(self, assoc_id: int = 0) -> list[s.Address]:
        """See contract."""
        with self.pump.lock:
            self.check()
            if self.one_to_many and assoc_id >= c.FIRST_ASSOC_ID:
                sending.find(self, assoc_id, errno.EINVAL)
            if self.endpoint is None:
                return [("::" if self.family == socket.AF_INET6 else "0.0.0.0", 0)]
            port = self.endpoint.port
            if self.endpoint.addresses:
                return [(host, port) for host in self.endpoint.addresses]
            if self.association is not None or assoc_id >= c.FIRST_ASSOC_ID:
                hosts = list(self.pump.stack.engine.local_addresses(sending.find(self, assoc_id).primary.address))
                if hosts:
                    return [(host, port) for host in hosts]
            return [("::" if self.family == socket.AF_INET6 else "0.0.0.0", port)]

    # -- waiting -----------------------------------------------------------------------------------------------

    def udp_port(self) -> int:
        """See contract."""
        return self.pump.stack.udp_port

    def wait(self, read: bool, write: bool, timeout: float | None, assoc_id: int = 0) -> bool:
        """See contract."""
        with self.pump.lock:

            def ready() -> bool:
                if read and waking.readable(self):
                    return True
                return (write and waking.writable(self, assoc_id)) or self.closed

            return self.pump.driver.wait(ready, timeout, self)

    def wake_sleepers(self) -> None:
        """Wake threads that sleep on this channel; the lock is held."""
        waking.wake_sleepers(self)

    def watch_read(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None] | None) -> None:
        """See contract."""
        if callback is not None and waking.readable(self):
            loop.call_soon(callback)
            return
        self.read_wake = callback

    def watch_write(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        """See contract."""
        if waking.writable(self):
            loop.call_soon(callback)
        else:
            self.write_wakes.append(callback)

    def unwatch_write(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        """See contract."""
        if callback in self.write_wakes:
            self.write_wakes.remove(callback)

    def watch_closed(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        """See contract."""
        if self.closed and not self.associations:
            loop.call_soon(callback)
        else:
            self.closed_wakes.append(callback)

    def detach(self) -> int:
        """See contract: there is no descriptor that could live on without the stack."""
        raise fail(errno.EOPNOTSUPP, "a userland SCTP socket cannot be detached from this process")

    def close(self) -> None:
        """See contract. What was not read is thrown away; unlike on Linux, that is no reason to abort."""
        with self.pump.lock:
            self.close_locked()

    def close_locked(self) -> None:
        """Close; the lock is held."""
        if self.closed:
            return
        self.closed = True
        self.pump.channels.discard(self)
        for child in self.accepting:
            child.abort_all()
            child.close_locked()
        self.accepting.clear()
        held, self.queue = self.queue, _Sink()
        for event in held:
            self.queue.append(event)
        now = self.pump.now()
        for association in list(self.associations.values()):
            if (self.linger[0] and self.linger[1] == 0) or (
                association.state in SETTING_UP and not association.buffered
            ):
                association.abort(now, b"")  # being set up, with nothing to deliver: nobody waits for it any more
            else:
                association.shutdown(now)
        if self.endpoint is not None and not self.shares_endpoint:
            if self.listening:
                self.endpoint.listen(False)
            self.pump.release(self.endpoint)
        self.blocked.clear()
        self.pump.writers.discard(self)
        self.pump.driver.touched(0)
        waking.wake_reader(self)
        waking.wake_writers(self)
        waking.close_descriptor(self)
        if not self.associations:
            self._gone()
        if self.endpoint is None:
            self.pump.sweep()

    def orphaned(self) -> None:
        """See contract. May be called by the garbage collector at any time, so it takes no lock."""
        if not self.closed:
            self.pump.orphans.append(self)


def assert_endpoint(endpoint: Endpoint | None) -> Endpoint:
    """Return the endpoint of a bound channel. Raises OSError(EINVAL) if there is none."""
    if endpoint is None:
        raise fail(errno.EINVAL, "the socket is not bound")
    return endpoint
