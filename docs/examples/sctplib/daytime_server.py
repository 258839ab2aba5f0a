"""A daytime server (RFC 867): says what time it is and ends the association."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import common

from pysctplib.sctplib import SCTP_ulpCallbacks, sctp_deleteAssociation, sctp_send, sctp_shutdown

PORT = 13


def communication_up(association: int, *rest: Any) -> None:
    """Send the time; the shutdown waits until it has arrived."""
    sctp_send(association, 0, time.strftime("%A, %B %d, %Y %H:%M:%S-%Z\r\n").encode())
    sctp_shutdown(association)


def ended(association: int, *rest: Any) -> None:
    """Forget the association."""
    common.say(f"association {association} ended")
    sctp_deleteAssociation(association)


def main(args: Sequence[str]) -> int:
    """Run the server until Ctrl-C."""
    options = common.arguments("Daytime server (RFC 867)", PORT).parse_args(args)
    callbacks = SCTP_ulpCallbacks(
        communicationUpNotif=communication_up,
        communicationLostNotif=ended,
        shutdownCompleteNotif=ended,
    )
    common.start(options, options.port, callbacks)
    common.run()
    return 0


if __name__ == "__main__":
    common.main(main)
