"""Ending an association: graceful shutdown and abort.

RFC 9260 sections 9.1 and 9.2, with T2-shutdown and T5-shutdown-guard, and all collisions of SHUTDOWN chunks.
The allowed transitions are in ``states``. RFC 7053 and 8.5.1 (T bit) decide about flags and tags.
"""

from __future__ import annotations

import errno
from math import inf
from typing import TYPE_CHECKING

from ..errors import DecodeError
from ..wire import causes, chunks, packet
from . import flight, forward, heartbeat
from .events import CannotStart, CommunicationLost, PeerShutdown, ShutdownComplete
from .inbound import encode_sack, give_up_partial
from .serial import MASK
from .states import ESTABLISHED, SETTING_UP, SHUTDOWN_ACK_SENT, SHUTDOWN_PENDING, SHUTDOWN_RECEIVED, SHUTDOWN_SENT
from .transmit import emit

if TYPE_CHECKING:
    from .association import Association
    from .path import Path

_SHUTDOWN_ACK = packet.chunk(chunks.SHUTDOWN_ACK, 0, b"")
_SHUTDOWN_COMPLETE = packet.chunk(chunks.SHUTDOWN_COMPLETE, 0, b"")


def begin(a: Association, now: float) -> None:
    """The user's SHUTDOWN (section 11.1.3): in a state that has begun it already, nothing happens."""
    if a.state is ESTABLISHED:
        a.move("shutdown by user")
        a.closing = True
        progress(a, now)
        a.touch()
    elif a.state in SETTING_UP:
        # Section 9.2 knows it from ESTABLISHED only; keep the wish until the set-up is done.
        a.closing = True


def progress(a: Association, now: float) -> None:
    """Go on once all data is acknowledged."""
    if a.outbound.queue or a.flight.items:
        return
    if a.state is SHUTDOWN_PENDING:
        a.move("all data acknowledged")
        heartbeat.stop(a)
        a.shutdown_count = 0
        a.t5 = now + 5 * a.config.rto_max
        a.arm(a.t5)
        _send_shutdown(a, now)
    elif a.state is SHUTDOWN_RECEIVED:
        a.move("all data acknowledged")
        _enter_ack_sent(a, now)


def _start_t2(a: Association, now: float) -> None:
    a.t2 = now + a.current.rto
    a.arm(a.t2)


def _send_shutdown(a: Association, now: float) -> None:
    """Send SHUTDOWN, with a SACK if there is more to say than the cumulative TSN (section 9.2)."""
    i = a.inbound
    parts = []
    if i.ranges or i.duplicates:
        parts.append(encode_sack(a, a.current.payload - 8))
    i.unacked, i.sack_now, i.t_sack = 0, False, inf
    parts.append(packet.chunk(chunks.SHUTDOWN, 0, (i.cum & MASK).to_bytes(4, "big")))
    emit(a, a.current, parts)
    _start_t2(a, now)


def _enter_ack_sent(a: Association, now: float) -> None:
    heartbeat.stop(a)
    a.shutdown_count = 0
    i = a.inbound
    i.unacked, i.sack_now, i.t_sack = 0, False, inf
    send_shutdown_ack(a, now)


def send_shutdown_ack(a: Association, now: float) -> None:
    """Send SHUTDOWN ACK and (re)start T2."""
    emit(a, a.current, [_SHUTDOWN_ACK])
    _start_t2(a, now)


def data_while_sent(a: Association, now: float) -> None:
    """A packet with DATA came in SHUTDOWN-SENT: answer with SHUTDOWN, restart T2 (section 9.2)."""
    a.shutdown_count = 0
    _send_shutdown(a, now)


def t2_expired(a: Association, now: float) -> None:
    """Send SHUTDOWN or SHUTDOWN ACK again, or give up (section 9.2)."""
    a.shutdown_count += 1
    a.current.back_off()
    if a.shutdown_count > a.config.association_max_retrans:
        lose(a, errno.ETIMEDOUT)
        return
    if not a.path_failed(a.current, now, counts=False):
        return
    if a.state is SHUTDOWN_SENT:
        _send_shutdown(a, now)
    elif a.state is SHUTDOWN_ACK_SENT:
        send_shutdown_ack(a, now)


def t5_expired(a: Association, now: float) -> None:
    """The shutdown took too long: abort (section 9.2)."""
    abort(a, [(causes.PROTOCOL_VIOLATION, b"T5-shutdown-guard expired")], errno.ETIMEDOUT)


# Chunks


def on_shutdown(a: Association, flags: int, value: bytes, path: Path, now: float) -> None:
    """SHUTDOWN (sections 3.3.8 and 9.2)."""
    if len(value) != 4:
        a.engine.counters.drop("malformed SHUTDOWN")
        return
    if a.state is SHUTDOWN_ACK_SENT:
        send_shutdown_ack(a, now)  # ours got lost
        return
    if a.state is SHUTDOWN_SENT:
        a.move("SHUTDOWN received")
        _enter_ack_sent(a, now)
        return
    cumulative = int.from_bytes(value, "big")
    if ((cumulative - a.flight.cum) & MASK) < 0x80000000 and (
        ((cumulative - a.flight.cum) & MASK) > len(a.flight.items)
    ):
        a.violation(now, b"SHUTDOWN acknowledges a TSN that was not sent")
        return
    if a.state is not SHUTDOWN_RECEIVED:
        a.move("SHUTDOWN received")
        a.closing = True
        if a.forward_tsn:
            forward.no_more(a, now)
        a.events.append(PeerShutdown(a))
    flight.acknowledge(a, cumulative, now)
    if a.state is SHUTDOWN_RECEIVED:
        progress(a, now)
        a.touch()


def on_shutdown_ack(a: Association, flags: int, value: bytes, path: Path, now: float) -> None:
    """SHUTDOWN ACK (section 9.2): the end, for the side that sent SHUTDOWN or SHUTDOWN ACK."""
    emit(a, path if path.confirmed else a.current, [_SHUTDOWN_COMPLETE])
    _complete(a)


def on_shutdown_complete(a: Association, flags: int, value: bytes, path: Path, now: float) -> None:
    """SHUTDOWN COMPLETE (section 9.2)."""
    _complete(a)


def _complete(a: Association) -> None:
    a.engine.counters.shutdowns += 1
    give_up_partial(a)
    a.fail_unsent(errno.ECONNRESET)
    a.events.append(ShutdownComplete(a))
    a.move("shutdown complete")
    a.remove()


def on_abort(a: Association, flags: int, value: bytes, path: Path, now: float) -> None:
    """ABORT (section 9.1), its tag checked by the caller."""
    try:
        listed = causes.decode(value)
    except DecodeError:
        listed = []
    cause, info = listed[0] if listed else (0, b"")
    code = errno.ECONNREFUSED if a.state in SETTING_UP else errno.ECONNRESET
    lose(a, code, cause, info)


def abort(a: Association, listed: list[causes.Cause], code: int) -> None:
    """Send an ABORT with causes, if the peer can know us, and forget the association."""
    if a.peer_tag:
        emit(a, a.current, [packet.chunk(chunks.ABORT, 0, causes.encode(listed, a.current.payload - 4))])
    cause, info = listed[0] if listed else (0, b"")
    lose(a, code, cause, info)


def lose(a: Association, code: int, cause: int = 0, info: bytes = b"") -> None:
    """End the association at once and tell the user (section 11.2.5)."""
    setting_up = a.state in SETTING_UP
    give_up_partial(a)
    a.fail_unsent(code)
    a.engine.counters.aborted += 1
    event = CannotStart if setting_up else CommunicationLost
    a.events.append(event(a, code, cause, info))
    a.move("abort")
    a.remove()
