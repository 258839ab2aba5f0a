"""Heartbeats: confirming addresses, watching idle ones, measuring their RTT.

RFC 9260 sections 5.4 and 8.3. The information is ours alone: a 64-bit nonce and the address it was sent to.
Each path has one timer (``hb_at``): it waits for an answer while ``hb_nonce`` is set, else for the path to
become idle.
"""

from __future__ import annotations

from math import inf
from struct import Struct
from typing import TYPE_CHECKING

from ..wire import packet, params
from ..wire.chunks import HEARTBEAT
from .path import UNCONFIRMED, Path
from .transmit import emit

if TYPE_CHECKING:
    from .association import Association

_INFO = Struct(">Q")
MAX_BURST = 1  # HB.Max.Burst (section 16): addresses that are probed for the first time within one RTO


def send(a: Association, path: Path, now: float) -> None:
    """Send a heartbeat to a path and await its answer for one RTO."""
    path.hb_nonce = a.engine.rng.getrandbits(64) or 1
    path.hb_sent = path.last_used = now
    info = params.encode([(params.HEARTBEAT_INFO, _INFO.pack(path.hb_nonce) + path.address.encode())])
    emit(a, path, [packet.chunk(HEARTBEAT, 0, info)])
    _set(a, path, now + path.rto)


def start(a: Association, now: float) -> None:
    """Begin when the association is established: probe what is unconfirmed, schedule the rest.

    The peer lists addresses, and any host's may be among them: so one after the other is probed (section 5.4).
    """
    unconfirmed = 0
    for path in a.paths.values():
        if path.state is UNCONFIRMED:
            unconfirmed += 1
            if unconfirmed > MAX_BURST:
                path.hb_nonce = 0
                _set(a, path, now + path.rto * ((unconfirmed - 1) // MAX_BURST))
                continue
        begin_path(a, path, now)


def begin_path(a: Association, path: Path, now: float) -> None:
    """Begin on one path."""
    if path.state is UNCONFIRMED:
        send(a, path, now)
    else:
        path.hb_nonce = 0
        _schedule(a, path, now)


def stop(a: Association) -> None:
    """End heartbeats (section 8.3: after SHUTDOWN or SHUTDOWN ACK was sent)."""
    for path in a.paths.values():
        path.hb_at = inf
        path.hb_nonce = 0


def _set(a: Association, path: Path, when: float) -> None:
    path.hb_at = when
    a.arm(when)


def _schedule(a: Association, path: Path, now: float) -> None:
    """Set the timer to RTO plus interval, jittered by half an RTO either way."""
    if path.hb_enabled and path.hb_interval > 0:
        _set(a, path, now + path.hb_interval + path.rto * (0.5 + a.engine.rng.random()))
    else:
        path.hb_at = inf


def expired(a: Association, path: Path, now: float) -> None:
    """The path's heartbeat timer is due."""
    path.hb_at = inf
    if path.hb_nonce:
        path.hb_nonce = 0
        path.back_off()
        # Unconfirmed and alternate paths do not count against the association (sections 5.4 and 8.1).
        if not a.path_failed(path, now, counts=path is a.current and path.confirmed):
            return
        if path.state is UNCONFIRMED and path.errors <= path.max_retrans:
            send(a, path, now)
        else:
            _schedule(a, path, now)
        return
    idle_for = now - path.last_used
    if path.state is UNCONFIRMED:
        send(a, path, now)
        return
    if path.flight or idle_for < path.hb_interval:
        remaining = path.hb_interval - (0.0 if path.flight else idle_for)
        _set(a, path, now + remaining + path.rto * (0.5 + a.engine.rng.random()))
        return
    send(a, path, now)


def answered(a: Association, value: bytes, now: float) -> None:
    """Process the value of a HEARTBEAT ACK (section 8.3); what is not ours is counted and ignored."""
    kind, length = params.HEADER.unpack_from(value) if len(value) >= 4 else (0, 0)
    info = value[4:length]
    if kind != params.HEARTBEAT_INFO or len(info) < _INFO.size:
        a.engine.counters.drop("malformed HEARTBEAT ACK")
        return
    path = a.paths.get(info[_INFO.size :].decode("ascii", "replace"))
    if path is None or not path.hb_nonce or _INFO.unpack_from(info)[0] != path.hb_nonce:
        a.engine.counters.drop("unexpected HEARTBEAT ACK")
        return
    path.hb_nonce = 0
    path.measured(now - path.hb_sent)
    a.error_count = 0
    a.path_answered(path, now)
    _schedule(a, path, now)
