"""What both backends offer: a channel, the non-blocking core of a socket.

RFC 6458's operations without waiting: what cannot be done at once returns PENDING, False or None (an exception
per attempt would cost more than the attempt). `wait` is for the blocking API, the `watch_` methods are for
asyncio. Nothing is implemented here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, Final, Protocol, TypeAlias

from ..message import Message
from ..notifications import Notification
from ..structures import Address, AuthInfo, NxtInfo, PrInfo


class Pending(Enum):
    """The type of PENDING."""

    PENDING = 0


PENDING: Final = Pending.PENDING  # nothing is there yet
Received: TypeAlias = Message | Notification | Pending | None


class Channel(Protocol):
    """A socket without waiting. ``one_to_many`` tells the style; errors are OSError with a socket's errno.

    ``own_descriptor``: its descriptor is the socket itself, which can go to another process.
    """

    own_descriptor: bool
    one_to_many: bool
    family: int

    def fileno(self) -> int:
        """Return a descriptor that is readable and writable when the channel is, or -1 after close."""

    def bind(self, hosts: Sequence[str], port: int) -> None:
        """Bind to all these addresses (none: any) and the port (0: the system chooses)."""

    def bind_add(self, hosts: Sequence[str], port: int) -> None:
        """Add local addresses (bindx)."""

    def bind_remove(self, hosts: Sequence[str], port: int) -> None:
        """Remove local addresses (bindx)."""

    def listen(self, backlog: int) -> None:
        """Accept associations; 0 stops that."""

    def start_connect(self, hosts: Sequence[str], port: int, udp_port: int | None = None) -> int:
        """Begin an association and return its identifier (one-to-one on the kernel: 0)."""

    def connect_result(self) -> bool:
        """One-to-one: True when connected, False while not yet; raises OSError if it failed."""

    def wait_up(self, assoc_id: int, timeout: float | None) -> bool:
        """Block until an association that start_connect began is up; False when the time (seconds) is over.

        Raises OSError if it could not be set up.
        """

    def accept(self) -> Channel | None:
        """Take an association off a listening one-to-one channel; None: there is none yet."""

    def peeloff(self, assoc_id: int) -> Channel:
        """Branch an association off a one-to-many channel."""

    def send(
        self,
        data: bytes,
        stream: int = 0,
        ppid: int = 0,
        flags: int = 0,
        context: int = 0,
        assoc_id: int = 0,
        address: Address | None = None,
        prinfo: PrInfo | None = None,
        authinfo: AuthInfo | None = None,
    ) -> bool:
        """Queue one message whole; False: there is no room for it now, and nothing of it was queued."""

    def recv(self, limit: int = 0, peek: bool = False) -> Received:
        """Return the next message or notification; None at the end of the association.

        limit: bytes at most (then ``eor`` tells whether the message is complete); 0: a whole message.
        peek: leave it there (with a limit only).
        """

    def next_info(self) -> NxtInfo | None:
        """Describe the message that the next recv would give, where SCTP_RECVNXTINFO is on."""

    def subscribe(self, type_: int, on: bool, assoc_id: int = 0) -> None:
        """Switch one type of notifications on or off."""

    def getopt(self, option: int, value: Any = None) -> Any:
        """Get an SCTP option; the value carries the association and address that are asked about."""

    def setopt(self, option: int, value: Any) -> None:
        """Set an SCTP option."""

    def get_buffer(self, option: int) -> int:
        """Get SO_SNDBUF or SO_RCVBUF, in bytes."""

    def set_buffer(self, option: int, size: int) -> None:
        """Set SO_SNDBUF or SO_RCVBUF, in bytes."""

    def set_linger(self, on: bool, seconds: int) -> None:
        """Set SO_LINGER; on with 0 seconds makes close abort."""

    def error(self) -> int:
        """Return and forget the pending error (SO_ERROR)."""

    def shutdown(self, assoc_id: int = 0) -> None:
        """Begin a graceful shutdown."""

    def abort(self, assoc_id: int = 0, reason: bytes = b"") -> None:
        """Abort the association."""

    def peer_addresses(self, assoc_id: int = 0) -> list[Address]:
        """Return the peer's addresses."""

    def local_addresses(self, assoc_id: int = 0) -> list[Address]:
        """Return the local addresses; one of the wildcards if all are bound."""

    def udp_port(self) -> int:
        """Return the local UDP port of the encapsulation (RFC 6951); 9899 where the kernel has none."""

    def wait(self, read: bool, write: bool, timeout: float | None, assoc_id: int = 0) -> bool:
        """Block until readable or writable; False when the time (seconds, None: no end) is over.

        A time of weeks may be cut short.
        assoc_id: one-to-many, writable for this association; 0: for all that lacked room.
        """

    def watch_read(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None] | None) -> None:
        """Call back once when readable (or broken); None forgets that."""

    def watch_write(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        """Call back once when writable (or broken); any number of callbacks."""

    def unwatch_write(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        """Forget a callback of watch_write."""

    def watch_closed(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        """After close: call back when the peer knows, or nothing more will be done about it."""

    def detach(self) -> int:
        """Give the descriptor away (kernel only)."""

    def orphaned(self) -> None:
        """Its user vanished without closing it: close it when that is possible."""

    def close(self) -> None:
        """End gracefully, unless SO_LINGER says otherwise; give the port back when that is done."""
