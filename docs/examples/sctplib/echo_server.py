"""An echo server (RFC 862): every message goes back on its stream.

It reads no more than it can send: while the send queue is full messages stay in the receive queue, so that the
peer's window closes. queueStatusChangeNotif tells when to go on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import common

from pysctplib.sctplib import (
    SCTP_INFINITE_LIFETIME,
    SCTP_MSG_PEEK,
    SCTP_NO_CONTEXT,
    SCTP_QUEUE_EXCEEDED,
    SCTP_SUCCESS,
    SCTP_USE_PRIMARY,
    SCTP_ulpCallbacks,
    sctp_deleteAssociation,
    sctp_receive,
    sctp_send,
)

PORT = 7
MAX_SEND_QUEUE = 200


class Echo:
    """The ulp_data of an association: what arrived, as (stream, length, ppid, unordered), and was not echoed."""

    def __init__(self) -> None:
        self.arrived: deque[tuple[int, int, int, int]] = deque()
        self.messages = 0

    def work(self, association: int) -> None:
        """Echo as much as the send queue takes."""
        while self.arrived:
            stream, length, ppid, unordered = self.arrived[0]
            code, data, _, _ = sctp_receive(association, stream, length, SCTP_MSG_PEEK)
            if code != SCTP_SUCCESS:
                return
            path, context, lifetime = SCTP_USE_PRIMARY, SCTP_NO_CONTEXT, SCTP_INFINITE_LIFETIME
            code = sctp_send(association, stream, data, ppid, path, context, lifetime, unordered)
            if code == SCTP_QUEUE_EXCEEDED:
                return
            sctp_receive(association, stream, length)
            self.arrived.popleft()
            self.messages += 1


def communication_up(association: int, status: int, paths: int, *rest: Any) -> Echo:
    """Give every association an Echo."""
    return Echo()


def data_arrived(
    association: int, stream: int, length: int, ssn: int, tsn: int, ppid: int, unordered: int, echo: Echo
) -> None:
    """Note a message, and echo it if possible."""
    echo.arrived.append((stream, length, ppid, unordered))
    echo.work(association)


def queue_changed(association: int, queue: int, identifier: int, length: int, echo: Echo) -> None:
    """There may be room again."""
    echo.work(association)


def ended(association: int, *rest: Any) -> None:
    """Forget the association, whatever ended it."""
    common.say(f"association {association} ended, {rest[-1].messages} messages echoed")
    sctp_deleteAssociation(association)


def main(args: Sequence[str]) -> int:
    """Run the server until Ctrl-C."""
    options = common.arguments("Echo server (RFC 862)", PORT).parse_args(args)
    callbacks = SCTP_ulpCallbacks(
        communicationUpNotif=communication_up,
        dataArriveNotif=data_arrived,
        queueStatusChangeNotif=queue_changed,
        communicationLostNotif=ended,
        shutdownCompleteNotif=ended,
    )
    common.start(options, options.port, callbacks, MAX_SEND_QUEUE)
    common.run()
    return 0


if __name__ == "__main__":
    common.main(main)
