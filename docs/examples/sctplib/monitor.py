"""A monitor of paths: sets up an association and prints regularly how each address of the peer is doing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import common

from pysctplib.sctplib import (
    SCTP_HEARTBEAT_ON,
    SCTP_PATH_CONFIRMED,
    SCTP_PATH_OK,
    SCTP_PATH_UNCONFIRMED,
    SCTP_PATH_UNREACHABLE,
    SCTP_ulpCallbacks,
    sctp_associatex,
    sctp_changeHeartBeat,
    sctp_deleteAssociation,
    sctp_getAssocStatus,
    sctp_getPathStatus,
    sctp_requestHeartbeat,
    sctp_restartTimer,
    sctp_setFailureThreshold,
    sctp_shutdown,
    sctp_startTimer,
)

PORT = 7
WORDS = {
    SCTP_PATH_OK: "reachable",
    SCTP_PATH_UNREACHABLE: "unreachable",
    SCTP_PATH_CONFIRMED: "confirmed",
    SCTP_PATH_UNCONFIRMED: "unconfirmed",
}


class Monitor:
    """The state of the program; the callbacks are its methods."""

    def __init__(self, interval: int, reports: int, threshold: int) -> None:
        self.interval = interval
        self.reports = reports
        self.threshold = threshold
        self.association = 0
        self.over = False
        self.status = 0

    def up(self, association: int, status: int, paths: int, *rest: Any) -> None:
        """Turn on heartbeats and begin to report."""
        sctp_setFailureThreshold(association, self.threshold)
        for path in range(paths):
            sctp_changeHeartBeat(association, path, SCTP_HEARTBEAT_ON, self.interval)
            sctp_requestHeartbeat(association, path)
        sctp_startTimer(self.interval // 1000, self.interval % 1000 * 1000, self.report, association)

    def path(self, association: int, path: int, state: int, ulp_data: Any) -> None:
        """A path changed."""
        common.say(f"path {path} is {WORDS.get(state, state)}")

    def report(self, timer: int, association: int, unused: Any) -> None:
        """Print a line for each path."""
        _, status = sctp_getAssocStatus(association)
        if status is None:
            return
        for number in range(status.numberOfAddresses):
            _, path = sctp_getPathStatus(association, number)
            if path is not None:
                mark = "*" if number == status.primaryAddressIndex else " "
                common.say(
                    f"{mark}{path.destinationAddress} {WORDS.get(path.state, path.state)} "
                    f"srtt {path.srtt} ms rto {path.rto} ms cwnd {path.cwnd} mtu {path.mtu}"
                )
        self.reports -= 1
        if self.reports == 0:
            sctp_shutdown(association)
        else:
            sctp_restartTimer(timer, self.interval // 1000, self.interval % 1000 * 1000)

    def lost(self, association: int, status: int, ulp_data: Any) -> None:
        """The association failed."""
        common.say(f"communication lost, status {status}")
        self.status = 1
        self.complete(association, ulp_data)

    def complete(self, association: int, ulp_data: Any) -> None:
        """The association is over."""
        sctp_deleteAssociation(association)
        self.over = True


def main(args: Sequence[str]) -> int:
    """Watch a peer; 0 after the wanted number of reports."""
    parser = common.arguments("Monitor of paths", PORT)
    parser.add_argument("-d", "--destination", action="append", required=True, help="peer; may be repeated")
    parser.add_argument(
        "-i", "--interval", type=int, default=1000, help="ms between reports (default %(default)s)"
    )
    parser.add_argument("-n", "--reports", type=int, default=0, help="reports before the end, 0: no end")
    parser.add_argument("-t", "--threshold", type=int, default=5, help="errors that make a path unreachable")
    options = parser.parse_args(args)
    monitor = Monitor(options.interval, options.reports, options.threshold)
    callbacks = SCTP_ulpCallbacks(
        communicationUpNotif=monitor.up,
        networkStatusChangeNotif=monitor.path,
        communicationLostNotif=monitor.lost,
        shutdownCompleteNotif=monitor.complete,
    )
    instance = common.start(options, 0, callbacks)
    monitor.association = sctp_associatex(instance, 1, options.destination, 1, options.port, None)
    if not monitor.association:
        common.say("sctp_associatex refused")
        return 2
    common.run(lambda: monitor.over)
    return monitor.status


if __name__ == "__main__":
    common.main(main)
