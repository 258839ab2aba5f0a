"""A discard server (RFC 863): reads everything, answers nothing, and counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import common

from pysctplib.sctplib import SCTP_SUCCESS, SCTP_ulpCallbacks, sctp_deleteAssociation, sctp_receive

PORT = 9
PIECE = 4096


@dataclass
class Count:
    """The ulp_data of an association."""

    messages: int = 0
    octets: int = 0


def data_arrived(
    association: int, stream: int, length: int, ssn: int, tsn: int, ppid: int, unordered: int, count: Count
) -> None:
    """Read a message piece by piece, as a program with a small buffer would."""
    count.messages += 1
    while length > 0:
        code, data, _, _ = sctp_receive(association, stream, min(length, PIECE))
        if code != SCTP_SUCCESS:
            break
        length -= len(data)
        count.octets += len(data)


def ended(association: int, *rest: Any) -> None:
    """Tell what came, and forget the association."""
    count = rest[-1]
    common.say(f"association {association} ended, {count.messages} messages with {count.octets} octets discarded")
    sctp_deleteAssociation(association)


def main(args: Sequence[str]) -> int:
    """Run the server until Ctrl-C."""
    options = common.arguments("Discard server (RFC 863)", PORT).parse_args(args)
    callbacks = SCTP_ulpCallbacks(
        communicationUpNotif=lambda *rest: Count(),
        dataArriveNotif=data_arrived,
        communicationLostNotif=ended,
        shutdownCompleteNotif=ended,
    )
    common.start(options, options.port, callbacks)
    common.run()
    return 0


if __name__ == "__main__":
    common.main(main)
