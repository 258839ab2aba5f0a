"""The walk over the chunks of an incoming packet: which procedure takes which chunk, in which state.

RFC 9260 sections 3.2 (unknown types), 6.10 (order of chunks) and 8.5 (verification tags of single chunks).
``CHUNKS`` is the table of chunk handlers; DATA and SACK are handled in the loop itself. Whose packet it is was
found out by ``engine``; what a chunk does is told where its procedure is.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import DecodeError
from ..wire import causes, chunks, packet
from ..wire.chunks import DATA_HEADER_SIZE, SACK, unpack_data
from ..wire.packet import CHUNK
from . import forward, heartbeat, setup, teardown
from .events import RemoteError
from .flight import on_sack
from .inbound import on_data, packet_done
from .states import CLOSED, COOKIE_WAIT, SENDS_DATA, SETTING_UP, SHUTDOWN_ACK_SENT, SHUTDOWN_SENT, State
from .transmit import emit

if TYPE_CHECKING:
    from .association import Association
    from .path import Path


def receive(a: Association, data: bytes, path: Path, start: int, now: float) -> None:
    """Process the chunks of a packet from offset ``start``; its tag and source were checked."""
    position, end = start, len(data)
    last = end - 4
    has_data = False
    counters = a.engine.counters
    while position <= last:
        if data[position] == 0:
            if position + DATA_HEADER_SIZE > end:
                counters.drop("truncated chunk")
                break
            _, flags, length, tsn, stream, ssn, ppid = unpack_data(data, position)
            stop = position + length
            if length <= DATA_HEADER_SIZE or stop > end:
                if length == DATA_HEADER_SIZE and a.takes_data:  # section 6.2: no user data
                    teardown.abort(a, [causes.no_user_data(tsn)], errno.ECONNABORTED)
                    return
                counters.drop("malformed DATA")
                break
            if a.takes_data:
                has_data = True
                counters.in_data_chunks += 1
                on_data(a, flags, tsn, stream, ssn, ppid, data, position + DATA_HEADER_SIZE, stop)
            else:
                counters.drop("DATA in a wrong state")
        elif data[position] == SACK and a.sends_data:
            length = on_sack(a, data, position, end, now)
            if not length:
                break
            stop = position + length
            if a.state is CLOSED:
                return
        else:
            kind, flags, length = CHUNK.unpack_from(data, position)
            stop = position + length
            if length < 4 or stop > end:
                counters.drop("malformed chunk")
                break
            handler = CHUNKS.get(kind)
            if handler is not None:
                handler(a, flags, data[position + 4 : stop], path, now)
            elif not _unknown(a, kind, data[position:stop]):
                break
            if a.state is CLOSED:
                return
        position = (stop + 3) & ~3
    if a.doomed:
        a.violation(now, a.doomed)
    elif has_data:
        a.last_activity = now
        packet_done(a, path, now)
        if a.state is SHUTDOWN_SENT:
            teardown.data_while_sent(a, now)
    if not a.sends_data and a.state in _SHUTTING:
        a.shutdown_count = 0  # section 9.2: any packet from the peer


def _unknown(a: Association, kind: int, whole: bytes) -> bool:
    """Obey the two high bits of an unknown chunk type (section 3.2); False to stop."""
    a.engine.counters.drop("unknown chunk")
    if kind & chunks.REPORT_BIT and a.state not in SETTING_UP:
        a.report_error((causes.UNRECOGNIZED_CHUNK, whole))
    return bool(kind & chunks.SKIP_BIT)


def _on_heartbeat(a: Association, flags: int, value: bytes, path: Path, now: float) -> None:
    """HEARTBEAT: echo it to where it came from (section 8.3)."""
    if a.state is not COOKIE_WAIT and len(value) + 4 <= path.payload:
        emit(a, path, [packet.chunk(chunks.HEARTBEAT_ACK, 0, value)])
    else:
        a.engine.counters.drop("HEARTBEAT in a wrong state")


def _on_heartbeat_ack(a: Association, flags: int, value: bytes, path: Path, now: float) -> None:
    heartbeat.answered(a, value, now)


def _on_error(a: Association, flags: int, value: bytes, path: Path, now: float) -> None:
    """ERROR: a stale cookie concerns the set-up, the rest is the user's (sections 3.3.10 and 11.2.6)."""
    try:
        listed = causes.decode(value)
    except DecodeError:
        a.engine.counters.drop("malformed ERROR")
        return
    for code, info in listed:
        if code == causes.STALE_COOKIE:
            setup.on_stale_cookie(a, info, now)
            return
        a.events.append(RemoteError(a, code, info))


def _checked(
    states: tuple[State, ...], handler: Callable[[Association, int, bytes, Path, float], None], name: str
) -> Callable[[Association, int, bytes, Path, float], None]:
    def dispatch(a: Association, flags: int, value: bytes, path: Path, now: float) -> None:
        if a.state in states:
            handler(a, flags, value, path, now)
        else:
            a.engine.counters.drop(f"{name} in a wrong state")

    return dispatch


def _not_here(name: str) -> Callable[[Association, int, bytes, Path, float], None]:
    def dispatch(a: Association, flags: int, value: bytes, path: Path, now: float) -> None:
        a.engine.counters.drop(name)

    return dispatch


def _on_abort(a: Association, flags: int, value: bytes, path: Path, now: float) -> None:
    # The tag is ours, so the T bit must be clear (section 8.5.1 B), unless both tags are the same number.
    if flags & chunks.T_BIT and a.local_tag != a.peer_tag:
        a.engine.counters.drop("ABORT with a wrong T bit")
    else:
        teardown.on_abort(a, flags, value, path, now)


def _on_shutdown_complete(a: Association, flags: int, value: bytes, path: Path, now: float) -> None:
    if flags & chunks.T_BIT and a.local_tag != a.peer_tag:
        a.engine.counters.drop("SHUTDOWN COMPLETE with a wrong T bit")
    else:
        teardown.on_shutdown_complete(a, flags, value, path, now)


def _on_shutdown_ack(a: Association, flags: int, value: bytes, path: Path, now: float) -> None:
    if a.state in SETTING_UP:  # section 8.5.1 E: as if there were no association
        complete = packet.chunk(chunks.SHUTDOWN_COMPLETE, chunks.T_BIT, b"")
        a.engine.reply(path.key, a.endpoint.port, a.peer_port, a.local_tag, complete)
    elif a.state in _SHUTTING:
        teardown.on_shutdown_ack(a, flags, value, path, now)
    else:
        a.engine.counters.drop("SHUTDOWN ACK in a wrong state")


def _on_forward_tsn(a: Association, flags: int, value: bytes, path: Path, now: float) -> None:
    """FORWARD TSN (RFC 3758 section 3.6); without the peer's consent, or ours, a chunk that is not known."""
    if not a.forward_tsn:
        _unknown(a, chunks.FORWARD_TSN, packet.chunk(chunks.FORWARD_TSN, flags, value))
    elif not a.takes_data:
        a.engine.counters.drop("FORWARD TSN in a wrong state")
    else:
        forward.on_forward_tsn(a, value, path, now)
        if a.state is SHUTDOWN_SENT:
            teardown.data_while_sent(a, now)


_SHUTTING = (SHUTDOWN_SENT, SHUTDOWN_ACK_SENT)
_ESTABLISHED = (*SENDS_DATA, *_SHUTTING)

CHUNKS: dict[int, Callable[[Association, int, bytes, Path, float], None]] = {
    chunks.INIT: _not_here("bundled INIT"),
    chunks.INIT_ACK: _not_here("bundled INIT ACK"),
    chunks.SACK: _not_here("SACK in a wrong state"),
    chunks.HEARTBEAT: _on_heartbeat,
    chunks.HEARTBEAT_ACK: _on_heartbeat_ack,
    chunks.ABORT: _on_abort,
    chunks.SHUTDOWN: _checked(_ESTABLISHED, teardown.on_shutdown, "SHUTDOWN"),
    chunks.SHUTDOWN_ACK: _on_shutdown_ack,
    chunks.ERROR: _on_error,
    chunks.COOKIE_ECHO: _not_here("COOKIE ECHO that is not the first chunk"),
    chunks.COOKIE_ACK: setup.on_cookie_ack,
    chunks.SHUTDOWN_COMPLETE: _checked((SHUTDOWN_ACK_SENT,), _on_shutdown_complete, "SHUTDOWN COMPLETE"),
    chunks.FORWARD_TSN: _on_forward_tsn,
}
