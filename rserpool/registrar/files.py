"""The files that a registrar can write: statistics, action log, scalars, in RSPLIB's forms (plain or .bz2).

Rows are made from what the shell shows them: samples of the counters, and each message as bytes. When they are
switched off, nothing here runs.
"""

from __future__ import annotations

import bz2
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from io import TextIOBase
from pathlib import Path
from typing import Any, Literal

from rserpool.registrar.actions import ASAP, Abort, Action, Multicast
from rserpool.registrar.config import RegistrarConfig
from rserpool.registrar.state import State
from rserpool.wire import asap, enrp
from rserpool.wire.types import DecodeError

STATISTICS_HEADER = (
    "AbsTime RelTime Runtime UserTime SystemTime   Peers Pools PoolElements OwnedPoolElements   "
    "Registrations Reregistrations Deregistrations HandleResolutions FailureReports Synchronizations "
    "HandleUpdates EndpointKeepAlives"
)
ACTION_HEADER = (
    "AbsTime RelTime   Direction Protocol Action Reason   Flags Counter Time   PoolHandle PoolElementID   "
    "SenderID ReceiverID TargetID   ErrorCode"
)
# The counters in the files' order, with their names in the scalar file.
COUNTERS = (
    ("registrations", "Registrations"),
    ("reregistrations", "Reregistrations"),
    ("deregistrations", "Deregistrations"),
    ("handle_resolutions", "Handle Resolutions"),
    ("failure_reports", "Failure Reports"),
    ("synchronizations", "Synchronizations"),
    ("handle_updates", "Handle Updates"),
    ("endpoint_keepalives", "Endpoint Keep Alives"),
)
LEVELS = ("Pools", "Pool Elements", "Owned Pool Elements", "Peers")

_ASAP_NAMES = {
    asap.ServerAnnounce: "Announce",
    asap.Registration: "Registration",
    asap.RegistrationResponse: "RegistrationResponse",
    asap.Deregistration: "Deregistration",
    asap.DeregistrationResponse: "DeregistrationResponse",
    asap.HandleResolution: "HandleResolution",
    asap.HandleResolutionResponse: "HandleResolutionResponse",
    asap.EndpointKeepAlive: "EndpointKeepAlive",
    asap.EndpointKeepAliveAck: "EndpointKeepAliveAck",
    asap.EndpointUnreachable: "EndpointUnreachable",
}
_ENRP_NAMES = {
    enrp.Presence: "Presence",
    enrp.HandleUpdate: "Update",
    enrp.ListRequest: "ListRequest",
    enrp.ListResponse: "ListResponse",
    enrp.HandleTableRequest: "HandleTableRequest",
    enrp.HandleTableResponse: "HandleTableResponse",
    enrp.InitTakeover: "InitTakeover",
    enrp.InitTakeoverAck: "InitTakeoverAck",
    enrp.TakeoverServer: "TakeoverServer",
}


def open_text(name: str | Path, append: bool = False) -> TextIOBase:
    """Open a file for text; one whose name ends in .bz2 is compressed. Raises OSError."""
    mode: Literal["at", "wt"] = "at" if append else "wt"
    if str(name).endswith(".bz2"):
        return bz2.open(name, mode, encoding="ascii", errors="backslashreplace")
    return Path(name).open(mode, encoding="ascii", errors="backslashreplace")


def levels(state: State) -> tuple[int, int, int, int]:
    """Pools, pool elements, own pool elements, peers."""
    space = state.handlespace
    return len(space.pools), space.size, space.count(state.identifier), len(state.peers)


@dataclass(slots=True)
class Clock:
    """Wall-clock seconds, and the time at which the registrar started."""

    now: Callable[[], float]
    started: float


class StatisticsFile:
    """A row of counters for each sample; a registrar that restarts appends."""

    def __init__(self, name: str | Path, clock: Clock) -> None:
        path = Path(name)
        old = path.exists() and path.stat().st_size > 0
        self._file = open_text(name, append=old)
        self._clock = clock
        self._line = 0
        if not old:
            self._file.write(STATISTICS_HEADER + "\n")

    def sample(self, state: State) -> None:
        """Write one row."""
        self._line += 1
        now = self._clock.now()
        times = os.times()
        pools, elements, own, peers = levels(state)
        runtime = now - self._clock.started
        counts = " ".join(str(getattr(state.statistics, name)) for name, _ in COUNTERS)
        self._file.write(
            f"{self._line:06d} {now:.6f} {runtime:.6f} {runtime:.6f} {times.user:.6f} {times.system:.6f}   "
            f"{peers} {pools} {elements} {own}   {counts}\n"
        )

    def close(self) -> None:
        """Write the rest."""
        self._file.close()


class ActionLog:
    """A row for each message sent or received."""

    def __init__(self, name: str | Path, clock: Clock) -> None:
        self._file = open_text(name)
        self._clock = clock
        self._line = 0
        self._file.write(ACTION_HEADER + "\n")

    def record(self, direction: str, endpoint: str, data: bytes, multicast: bool = False) -> None:
        """Write a message down; ``direction`` is Send or Recv. What does not parse is left out."""
        try:
            message: Any = asap.decode(data) if endpoint == ASAP else enrp.decode(data)
        except DecodeError:
            return
        action = (_ASAP_NAMES if endpoint == ASAP else _ENRP_NAMES).get(type(message))
        if action is None:
            return
        self._line += 1
        now = self._clock.now()
        element = getattr(message, "element", None)
        identifier = element.identifier if element is not None else getattr(message, "identifier", None)
        handle = getattr(message, "handle", b"").decode("ascii", "backslashreplace")
        sender = getattr(message, "sender", getattr(message, "registrar", 0))
        entries = getattr(message, "entries", None) or getattr(message, "elements", None) or ()
        self._file.write(
            f"{self._line:06d} {now:.6f} {now - self._clock.started:.6f}   "
            f'"{direction}" "{"Multicast" if multicast else ""}{endpoint.upper()}" "{action}" '
            f'"{_reason(message)}"   {data[1]:x} {len(entries)} 0.000000   '
            f'"{handle}" 0x{identifier or 0:x}   '
            f"0x{sender:x} 0x{getattr(message, 'receiver', 0):x} 0x{getattr(message, 'target', 0):x}   "
            f"{getattr(message, 'error', None) or 0:x}\n"
        )

    def close(self) -> None:
        """Write the rest."""
        self._file.close()


def _reason(message: Any) -> str:
    if isinstance(message, enrp.HandleUpdate):
        return "AddPE" if message.action == 0 else "DelPE"
    if isinstance(message, asap.EndpointKeepAlive):
        return "Takeover" if message.home else "KeepAliveTransmissionTimer"
    if isinstance(message, asap.ServerAnnounce | enrp.Presence):
        return "Timer"
    return "Requested"


class Averages:
    """Time-weighted averages of the levels, for the scalar file."""

    def __init__(self, now: float) -> None:
        self._begun = self._last = now
        self._values = (0, 0, 0, 0)
        self._sums = [0.0, 0.0, 0.0, 0.0]

    def look(self, state: State, now: float) -> None:
        """Note the levels; to be called when they may have changed."""
        passed = now - self._last
        self._last = now
        for at, value in enumerate(self._values):
            self._sums[at] += value * passed
        self._values = levels(state)

    def values(self, state: State, now: float) -> list[float]:
        """The averages until now."""
        self.look(state, now)
        whole = now - self._begun
        return [total / whole if whole > 0 else 0.0 for total in self._sums]


def write_scalars(name: str | Path, owner: str, state: State, averages: list[float]) -> None:
    """Write the scalar file (OMNeT++'s form). Raises OSError."""
    with open_text(name) as file:
        file.write('run 1 "scenario"\n')
        for counter, title in COUNTERS:
            value = getattr(state.statistics, counter)
            file.write(f'scalar "{owner}" "Registrar Total {title}" {value}\n')
        for title, average in zip(LEVELS, averages, strict=True):
            file.write(f'scalar "{owner}" "Registrar Average Number Of {title}" {average:.6f}\n')


class Recorder:
    """All the files that a configuration asks for. Raises OSError if one cannot be opened."""

    def __init__(self, config: RegistrarConfig) -> None:
        self._config = config
        clock = Clock(time.time, time.time())
        self._statistics = StatisticsFile(config.statistics_file, clock) if config.statistics_file else None
        self._actions = ActionLog(config.action_log, clock) if config.action_log else None
        self._averages = Averages(time.monotonic()) if config.scalar_file else None

    def received(self, endpoint: str, data: bytes, multicast: bool = False) -> None:
        """A message has come."""
        if self._actions is not None:
            self._actions.record("Recv", endpoint, data, multicast)

    def sent(self, action: Action) -> None:
        """An action is carried out."""
        if self._actions is not None and not isinstance(action, Abort):
            self._actions.record("Send", action.endpoint, action.data, isinstance(action, Multicast))

    def look(self, state: State) -> None:
        """The levels may have changed."""
        if self._averages is not None:
            self._averages.look(state, time.monotonic())

    def sample(self, state: State) -> None:
        """Write a row of statistics."""
        if self._statistics is not None:
            self._statistics.sample(state)

    def close(self, state: State) -> None:
        """Write the scalars and whatever is still in memory."""
        self.sample(state)
        for file in (self._statistics, self._actions):
            if file is not None:
                file.close()
        if self._averages is not None and self._config.scalar_file is not None:
            values = self._averages.values(state, time.monotonic())
            write_scalars(self._config.scalar_file, self._config.object_name, state, values)
