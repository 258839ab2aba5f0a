"""The timers of an association: deadlines as numbers, and what happens when they are due.

RFC 9260 sections 5.1 (T1), 6.2 (delayed SACK), 6.3.3 (T3-rtx), 8.3 (heartbeat), 9.2 (T2, T5). A timer that
does not run is ``inf``. The engine's heap may wake an association too early, never too late.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from . import forward, heartbeat, setup, teardown
from .outbound import ABANDONED
from .states import CLOSED

if TYPE_CHECKING:
    from .association import Association
    from .path import Path


def earliest(a: Association) -> float:
    """Return when the next timer is due."""
    when = min(a.t1, a.t2, a.t5, a.t_autoclose, a.inbound.t_sack)
    for path in a.paths.values():
        if path.t3 < when:
            when = path.t3
        if path.hb_at < when:
            when = path.hb_at
    return when


def run(a: Association, now: float) -> None:
    """Run what is due."""
    i = a.inbound
    if i.t_sack <= now:
        i.t_sack = inf
        if i.unacked:
            i.sack_now = True
            a.touch()
    if a.t1 <= now:
        a.t1 = inf
        setup.t1_expired(a, now)
    for path in list(a.paths.values()):
        if path.t3 <= now and a.state is not CLOSED:
            t3_expired(a, path, now)
        if path.hb_at <= now and a.state is not CLOSED:
            heartbeat.expired(a, path, now)
    if a.t2 <= now:
        a.t2 = inf
        teardown.t2_expired(a, now)
    if a.t5 <= now:
        a.t5 = inf
        teardown.t5_expired(a, now)
    if a.t_autoclose <= now:
        a.t_autoclose = a.last_activity + a.config.autoclose if a.config.autoclose else inf
        if a.t_autoclose <= now:
            a.t_autoclose = inf
            teardown.begin(a, now)
    if a.state is not CLOSED:
        a.arm(earliest(a))


def t3_expired(a: Association, path: Path, now: float) -> None:
    """T3-rtx of a path (section 6.3.3); with nothing in flight it is the timer of zero window probes (6.1 A).

    And of a FORWARD TSN that is not acknowledged (RFC 3758 section 3.5 C5).
    """
    path.t3 = inf
    f = a.flight
    if not a.sends_data:
        return
    if not path.flight:
        if f.items and f.items[0].state == ABANDONED:
            a.engine.counters.t3_expirations += 1
            if a.path_failed(path, now, counts=True):
                path.back_off()
                forward.send(a, now)
            return
        if a.outbound.queue and not f.outstanding and not f.marked:
            path.back_off()
            f.probe = True
        a.touch()
        return
    a.engine.counters.t3_expirations += 1
    # An unanswered probe of a closed window is no error as long as the peer sends SACKs (section 6.1 A).
    answered_probe = f.probing and now - f.sack_at <= 2 * path.rto
    if not answered_probe and not a.path_failed(path, now, counts=True):
        return
    path.congestion.timed_out(path)
    path.back_off()
    path.one_packet = True
    path.rtx_ignores_cwnd = False
    a.mark_path(path, a.alternate(path))
    a.touch()
