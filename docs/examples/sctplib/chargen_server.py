"""A character generator (RFC 864): lines of 72 rotating characters, as fast as the peer reads them.

The send queue is filled up to its limit when the association is up, and again whenever queueStatusChangeNotif
tells that there is room.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import common

from pysctplib.sctplib import (
    SCTP_SUCCESS,
    SCTP_ulpCallbacks,
    sctp_deleteAssociation,
    sctp_receive,
    sctp_send,
)

PORT = 19
MAX_SEND_QUEUE = 100
CHARACTERS = bytes(range(32, 127))
WIDTH = 72


class Generator:
    """The ulp_data of an association: the number of the next line."""

    def __init__(self) -> None:
        self.line = 0

    def fill(self, association: int) -> None:
        """Send lines until the queue is full or the association ends."""
        while sctp_send(association, 0, line(self.line)) == SCTP_SUCCESS:
            self.line += 1


def line(number: int) -> bytes:
    """Return a line as RFC 864 proposes it, each beginning one character further."""
    start = number % len(CHARACTERS)
    return (CHARACTERS[start:] + CHARACTERS)[:WIDTH] + b"\r\n"


def communication_up(association: int, *rest: Any) -> Generator:
    """Begin to send."""
    generator = Generator()
    generator.fill(association)
    return generator


def queue_changed(association: int, queue: int, identifier: int, length: int, generator: Generator) -> None:
    """Go on."""
    if length < MAX_SEND_QUEUE:
        generator.fill(association)


def data_arrived(association: int, stream: int, length: int, *rest: Any) -> None:
    """Throw away what the peer says (RFC 864)."""
    sctp_receive(association, stream, length)


def path_changed(association: int, path: int, state: int, generator: Generator) -> None:
    """Tell about the peer's addresses."""
    common.say(f"association {association}: path {path} is in state {state}")


def ended(association: int, *rest: Any) -> None:
    """Forget the association."""
    common.say(f"association {association} ended, {rest[-1].line} lines sent")
    sctp_deleteAssociation(association)


def main(args: Sequence[str]) -> int:
    """Run the server until Ctrl-C."""
    options = common.arguments("Character generator (RFC 864)", PORT).parse_args(args)
    callbacks = SCTP_ulpCallbacks(
        communicationUpNotif=communication_up,
        dataArriveNotif=data_arrived,
        queueStatusChangeNotif=queue_changed,
        networkStatusChangeNotif=path_changed if options.verbose else None,
        communicationLostNotif=ended,
        shutdownCompleteNotif=ended,
    )
    common.start(options, options.port, callbacks, MAX_SEND_QUEUE)
    common.run()
    return 0


if __name__ == "__main__":
    common.main(main)
