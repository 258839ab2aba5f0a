"""Channels over the userland stack: RFC 6458's sockets as queues in front of the engine's associations.

See `contract.Channel`. Set-up and end are in `userland_setup`, the rarer ways to send and receive in `sending` and
`receiving`, events in `userland_events`, their wording in `translate`, options in `userland_options`; moving
datagrams and waiting belong to the pump and its driver.
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

from .. import constants as c
from .. import structures as s
from ..message import Message
from . import receiving, sending, userland_events, userland_options, userland_setup, waking
from .contract import PENDING, Received
from .pumps import StackEnded
from .sending import fail

if TYPE_CHECKING:
    from pysctplib.core.association import Association
    from pysctplib.core.endpoint import Endpoint

    from .pumps import Pump

_ENGINE_MESSAGE = e.Message


class UserChannel:
    """One socket of the userland stack. Every public method takes the pump's lock."""

    own_descriptor = False

    __slots__ = (
        "__weakref__", "accepting", "association", "associations", "backlog", "blocked", "chosen", "closed",
        "closed_wakes", "config", "connected", "context", "contexts", "defaults", "ended", "endpoint", "family",
        "linger", "listening", "one_to_many", "parts", "pending_error", "pump", "queue", "read_wake", "sent_end",
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
        self.accepting: deque[UserChannel] = userland_setup.NOBODY
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

    # The lock is held.
    on_event = userland_events.take_in
    wants = userland_events.wants
    context_of = userland_events.context_of
    set_subscription = userland_events.set_subscription
    adopt = userland_setup.adopt
    connect_locked = userland_setup.connect
    close_locked = userland_setup.close

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
            userland_setup.open_endpoint(self, hosts, port)

    def bind_add(self, hosts: Sequence[str], port: int) -> None:
        """See contract."""
        with self.pump.lock:
            self.check()
            userland_setup.rebind(self, lambda bound: list(dict.fromkeys([*bound, *hosts])), port, hosts)

    def bind_remove(self, hosts: Sequence[str], port: int) -> None:
        """See contract."""
        with self.pump.lock:
            self.check()
            userland_setup.rebind(self, lambda bound: [host for host in bound if host not in hosts], port, None)

    def listen(self, backlog: int) -> None:
        """See contract."""
        with self.pump.lock:
            self.check()
            if self.association is not None:
                raise fail(errno.EINVAL, "the socket has an association")
            if self.endpoint is None:
                userland_setup.open_endpoint(self, [], 0)
            userland_setup.endpoint_of(self).listen(backlog > 0)
            self.listening = backlog > 0
            self.backlog = max(backlog, 1)
            if self.accepting is userland_setup.NOBODY:
                self.accepting = deque()

    def start_connect(self, hosts: Sequence[str], port: int, udp_port: int | None = None) -> int:
        """See contract."""
        with self.pump.lock:
            return self.connect_locked(hosts, port, udp_port)

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
            return userland_setup.peel_off(self, assoc_id)

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
                if type(queue[0]) is e.PartialDeliveryAborted and not receiving.told(self, queue[0]):
                    queue.popleft()
                    continue
                return receiving.peek(self, queue[0], limit)
            while queue:
                event = queue.popleft()
                association = event.association
                if type(event) is not _ENGINE_MESSAGE:
                    if self.signal is not None:
                        waking.lower_signal(self)
                    if type(event) is e.PartialDeliveryAborted and not receiving.told(self, event):
                        continue
                    return receiving.notification(self, event)
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
                    whole = receiving.complete(self, event, data)
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
                receiving.prune(self)
            if self.one_to_many:
                return PENDING
            if self.pending_error:
                raise fail(self.take_error())
            if self.ended:
                return None
            if self.association is None:
                raise fail(errno.ENOTCONN)
            return PENDING

    def next_info(self) -> s.NxtInfo | None:
        """See contract."""
        with self.pump.lock:
            return receiving.next_info(self)

    # -- options -----------------------------------------------------------------------------------------------

    def subscribe(self, type_: int, on: bool, assoc_id: int = 0) -> None:
        """See contract."""
        with self.pump.lock:
            self.set_subscription(type_, on, assoc_id)

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
            association = sending.find(self, assoc_id)
            self.pump.stack.flush()  # what was sent in this turn is sent, as it would be by a kernel
            association.abort(self.pump.now(), reason)
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
        try:
            with self.pump.lock:
                self.close_locked()
        except StackEnded:  # in a child process, or at the end of this one: there is nothing to end any more
            self.closed = True
            waking.close_descriptor(self)

    def orphaned(self) -> None:
        """See contract. May be called by the garbage collector at any time, so it takes no lock."""
        if not self.closed:
            self.pump.orphans.append(self)
            self.pump.driver.kick()
