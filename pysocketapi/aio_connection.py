"""One association as an asyncio object: messages in, messages out (RFC 6458 section 4, one-to-one style).

Opening one is `aio`'s work. Back-pressure: `send` waits while the send buffer is full.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from . import constants as c
from . import structures as s
from .aio_waiting import Writers, closed, readable
from .ancillary import lifetime_info
from .backends.contract import PENDING
from .message import Message
from .notifications import Notification

if TYPE_CHECKING:
    from .backends.contract import Channel

NOTIFICATIONS = (
    c.SCTP_ASSOC_CHANGE,
    c.SCTP_PEER_ADDR_CHANGE,
    c.SCTP_REMOTE_ERROR,
    c.SCTP_SHUTDOWN_EVENT,
    c.SCTP_PARTIAL_DELIVERY_EVENT,
    c.SCTP_ADAPTATION_INDICATION,
    c.SCTP_SEND_FAILED_EVENT,
)


class SctpConnection:
    """One association. One task at a time may receive; any number may send."""

    __slots__ = ("_channel", "_closed", "_error", "_loop", "_reading", "_writers")

    def __init__(self, channel: Channel, loop: asyncio.AbstractEventLoop) -> None:
        self._channel = channel
        self._loop = loop
        self._writers = Writers(channel, loop)
        self._error: OSError | None = None
        self._closed = False
        self._reading = False

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            warnings.warn("unclosed SCTP connection", ResourceWarning, source=self, stacklevel=2)
            self._channel.orphaned()

    async def __aenter__(self) -> SctpConnection:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()
        await self.wait_closed()

    async def __aiter__(self) -> AsyncIterator[Message]:
        while (message := await self.recv()) is not None:
            yield message

    async def send(
        self,
        data: bytes,
        *,
        stream: int = 0,
        ppid: int = 0,
        unordered: bool = False,
        lifetime: float | None = None,
        context: int = 0,
        flags: int = 0,
        prinfo: s.PrInfo | None = None,
        authinfo: s.AuthInfo | None = None,
    ) -> None:
        """Send one message; waits while the buffer is full. Cancelled: queued whole or not at all.

        ``lifetime`` in seconds (RFC 3758). Raises OSError: EPIPE, ECONNRESET, ETIMEDOUT after the end, EINVAL for
        a bad stream, EMSGSIZE.
        """
        if unordered:
            flags |= c.SCTP_UNORDERED
        if lifetime is not None:
            prinfo = lifetime_info(lifetime)
        if self._writers.waiting or not self._channel.send(
            data, stream, ppid, flags, context, 0, None, prinfo, authinfo
        ):
            await self._writers.send(data, stream, ppid, flags, context, 0, None, prinfo, authinfo)

    async def recv(self) -> Message | None:
        """Return the next message, None after a graceful end.

        Raises ConnectionResetError after an abort, TimeoutError (ETIMEDOUT) after too many retransmissions.
        Cancelled: nothing is lost. Notifications are skipped.
        """
        while True:
            item = await self.recv_event()
            if item is None or type(item) is Message:
                return item

    async def recv_event(self) -> Message | Notification | None:
        """Like recv, notifications included."""
        if self._error is not None:
            raise self._error.with_traceback(None)
        if self._closed:
            return None
        if self._reading:
            raise RuntimeError("another task is receiving on this connection already")
        channel = self._channel
        self._reading = True
        try:
            while True:
                item = channel.recv()
                if item is not PENDING:
                    return item
                await readable(channel, self._loop)
                if self._closed:
                    return None
        except OSError as error:
            self._error = error
            raise
        finally:
            self._reading = False

    def close(self) -> None:
        """End gracefully: what was sent is still delivered. Safe to call twice."""
        if not self._closed:
            self._closed = True
            self._channel.close()

    def shutdown(self) -> None:
        """Send no more, but go on receiving (SHUTDOWN, RFC 9260 section 9.2)."""
        self._channel.shutdown()

    def abort(self, reason: bytes = b"") -> None:
        """Abort the association with a reason for the peer (RFC 9260 section 3.3.10.12) and close."""
        if self._closed:
            return
        try:
            self._channel.abort(0, reason)
        except OSError:
            pass  # it is gone already
        self.close()

    async def wait_closed(self) -> None:
        """Wait until the association has ended after close or abort."""
        await closed(self._channel, self._loop)

    def getopt(self, option: int, value: Any = None) -> Any:
        """Get a socket option (see `options`)."""
        return self._channel.getopt(option, value)

    def setopt(self, option: int, value: Any) -> None:
        """Set a socket option (see `options`)."""
        self._channel.setopt(option, value)

    @property
    def peer_addresses(self) -> list[str]:
        """The peer's addresses."""
        return [host for host, _ in self._channel.peer_addresses()]

    @property
    def local_addresses(self) -> list[str]:
        """The local addresses."""
        return [host for host, _ in self._channel.local_addresses()]

    @property
    def peer_port(self) -> int:
        """The peer's SCTP port."""
        return self._channel.peer_addresses()[0][1]

    @property
    def local_port(self) -> int:
        """The local SCTP port."""
        return self._channel.local_addresses()[0][1]

    @property
    def udp_port(self) -> int:
        """The local UDP port of the encapsulation (RFC 6951); 9899 also where the kernel has none."""
        return self._channel.udp_port()

    def status(self) -> s.Status:
        """Return the association's status (RFC 6458 section 8.2.1)."""
        status: s.Status = self._channel.getopt(c.SCTP_STATUS)
        return status
