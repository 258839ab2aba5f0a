"""The states of an association and the transitions between them, as data (RFC 9260 section 4, figure 3).

The documentation's diagram is drawn from ``TRANSITIONS``. Conditions and actions are in ``setup`` and
``teardown``.
"""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """States of RFC 9260 section 4."""

    CLOSED = "CLOSED"
    COOKIE_WAIT = "COOKIE-WAIT"
    COOKIE_ECHOED = "COOKIE-ECHOED"
    ESTABLISHED = "ESTABLISHED"
    SHUTDOWN_PENDING = "SHUTDOWN-PENDING"
    SHUTDOWN_SENT = "SHUTDOWN-SENT"
    SHUTDOWN_RECEIVED = "SHUTDOWN-RECEIVED"
    SHUTDOWN_ACK_SENT = "SHUTDOWN-ACK-SENT"


_S = State
TRANSITIONS: dict[tuple[State, str], State] = {
    (_S.CLOSED, "associate by user"): _S.COOKIE_WAIT,
    (_S.CLOSED, "valid COOKIE ECHO"): _S.ESTABLISHED,
    (_S.COOKIE_WAIT, "INIT ACK received"): _S.COOKIE_ECHOED,
    (_S.COOKIE_WAIT, "valid COOKIE ECHO"): _S.ESTABLISHED,  # initialization collision
    (_S.COOKIE_ECHOED, "COOKIE ACK received"): _S.ESTABLISHED,
    (_S.COOKIE_ECHOED, "valid COOKIE ECHO"): _S.ESTABLISHED,
    (_S.COOKIE_ECHOED, "stale cookie"): _S.COOKIE_WAIT,
    (_S.ESTABLISHED, "shutdown by user"): _S.SHUTDOWN_PENDING,
    (_S.ESTABLISHED, "SHUTDOWN received"): _S.SHUTDOWN_RECEIVED,
    (_S.SHUTDOWN_PENDING, "all data acknowledged"): _S.SHUTDOWN_SENT,
    (_S.SHUTDOWN_PENDING, "SHUTDOWN received"): _S.SHUTDOWN_RECEIVED,
    (_S.SHUTDOWN_RECEIVED, "all data acknowledged"): _S.SHUTDOWN_ACK_SENT,
    (_S.SHUTDOWN_SENT, "SHUTDOWN received"): _S.SHUTDOWN_ACK_SENT,
    (_S.SHUTDOWN_SENT, "shutdown complete"): _S.CLOSED,  # SHUTDOWN ACK received
    (_S.SHUTDOWN_ACK_SENT, "shutdown complete"): _S.CLOSED,  # SHUTDOWN ACK or SHUTDOWN COMPLETE received
}
for _state in State:
    TRANSITIONS[_state, "abort"] = _S.CLOSED
    if _state not in (_S.CLOSED, _S.COOKIE_WAIT, _S.COOKIE_ECHOED, _S.SHUTDOWN_ACK_SENT):
        TRANSITIONS[_state, "peer restarted"] = _S.ESTABLISHED

SETTING_UP = (State.COOKIE_WAIT, State.COOKIE_ECHOED)
SENDS_DATA = (State.ESTABLISHED, State.SHUTDOWN_PENDING, State.SHUTDOWN_RECEIVED)  # section 6
TAKES_DATA = (State.ESTABLISHED, State.SHUTDOWN_PENDING, State.SHUTDOWN_SENT)
