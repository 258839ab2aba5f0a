"""What sessions deliver, and RSPLIB's SCTP parameters of sessions (RFC 5352 sections 2.2.11, 2.2.12)."""

from __future__ import annotations

from dataclasses import dataclass

from pysocketapi.aio import Message, SctpConnection, SocketOptions

NECESSARY, COMPLETE = 1, 2  # RSERPOOL_FAILOVER_NECESSARY, RSERPOOL_FAILOVER_COMPLETE

MAX_MESSAGE = 16 << 20  # bytes that one message of several parts may have


@dataclass(slots=True)
class Data:
    """A message of the application. ``identifier``: the pool element at the other end or ours."""

    data: bytes
    ppid: int
    stream: int
    identifier: int = 0


@dataclass(slots=True)
class CookieEcho:
    """A pool user brings the state that another pool element gave it."""

    cookie: bytes


@dataclass(slots=True)
class Failover:
    """The association to the pool element is lost (NECESSARY), or a new one is up (COMPLETE)."""

    state: int
    has_cookie: bool
    identifier: int = 0

    @property
    def necessary(self) -> bool:
        """Whether `force_failover` should be called."""
        return self.state == NECESSARY

    @property
    def complete(self) -> bool:
        """Whether there is a new pool element."""
        return self.state == COMPLETE


def session_options() -> SocketOptions:
    """Return RSPLIB's SCTP parameters of sessions: a dead pool element is found within seconds."""
    return SocketOptions(
        rto_initial=2.0,
        rto_min=1.0,
        rto_max=5.0,
        max_retrans=8,
        path_max_retrans=3,
        heartbeat=15.0,
        nodelay=True,
    )


async def whole_message(connection: SctpConnection, parts: list[Message]) -> Message | None:
    """Return the next complete message, None after a graceful end. Raises OSError; cancelled: nothing is lost.

    ``parts`` keeps what has come of a message between calls.
    """
    while True:
        message = await connection.recv()
        if message is None:
            return None
        if message.eor and not parts:
            return message
        parts.append(message)
        if sum(len(part.data) for part in parts) > MAX_MESSAGE:
            connection.abort(b"message too long")
            raise ConnectionAbortedError("a message of the peer is too long")
        if message.eor:
            message.data = b"".join(part.data for part in parts)
            parts.clear()
            return message
