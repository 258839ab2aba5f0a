"""A terminal: sends the lines of standard input as messages and prints what arrives.

Ends with the association: at the end of the input it is shut down once as many answers came as ``--answers`` says.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import common

from pysctplib.sctplib import (
    SCTP_SUCCESS,
    SCTP_ulpCallbacks,
    sctp_associatex,
    sctp_deleteAssociation,
    sctp_receive,
    sctp_registerStdinCallback,
    sctp_send,
    sctp_shutdown,
    sctp_unregisterStdinCallback,
)

PORT = 7


class Terminal:
    """The state of the program; the callbacks are its methods."""

    def __init__(self, stream: int, answers: int) -> None:
        self.stream = stream
        self.answers = answers
        self.association = 0
        self.arrived = 0
        self.input = b""
        self.input_ended = False
        self.over = False
        self.status = 0

    def up(self, association: int, status: int, paths: int, inbound: int, outbound: int, *rest: Any) -> None:
        """Read standard input from now on."""
        common.say(f"connected: {paths} paths, {inbound} streams in, {outbound} out")
        sctp_registerStdinCallback(self.typed, 4096)

    def typed(self, data: bytes) -> None:
        """Send every line."""
        *lines, self.input = (self.input + data).split(b"\n")
        for line in lines if data else filter(None, [self.input]):
            code = sctp_send(self.association, self.stream, line + b"\n")
            if code != SCTP_SUCCESS:
                common.say(f"sctp_send: {code}")
        self.input_ended = not data
        self.end_if_done()

    def data(self, association: int, stream: int, length: int, *rest: Any) -> None:
        """Print a message."""
        _, text, _, _ = sctp_receive(association, stream, length)
        sys.stdout.write(text.decode(errors="replace"))
        sys.stdout.flush()
        self.arrived += 1
        self.end_if_done()

    def end_if_done(self) -> None:
        """Shut down when nothing more is to be sent or awaited."""
        if self.input_ended and self.arrived >= self.answers:
            sctp_shutdown(self.association)

    def peer_shutdown(self, association: int, ulp_data: Any) -> None:
        """The peer wants no more lines."""
        sctp_unregisterStdinCallback()

    def lost(self, association: int, status: int, ulp_data: Any) -> None:
        """The association failed."""
        common.say(f"communication lost, status {status}")
        self.status = 1
        self.complete(association, ulp_data)

    def complete(self, association: int, ulp_data: Any) -> None:
        """The association is over."""
        sctp_unregisterStdinCallback()
        sctp_deleteAssociation(association)
        self.over = True


def main(args: Sequence[str]) -> int:
    """Talk to a server; 0 after a graceful end."""
    parser = common.arguments("Terminal", PORT)
    parser.add_argument("-d", "--destination", action="append", required=True, help="peer; may be repeated")
    parser.add_argument("--stream", type=int, default=0, help="stream to send on")
    parser.add_argument("--answers", type=int, default=0, help="messages to await before the end")
    options = parser.parse_args(args)
    terminal = Terminal(options.stream, options.answers)
    callbacks = SCTP_ulpCallbacks(
        communicationUpNotif=terminal.up,
        dataArriveNotif=terminal.data,
        peerShutdownReceivedNotif=terminal.peer_shutdown,
        communicationLostNotif=terminal.lost,
        shutdownCompleteNotif=terminal.complete,
    )
    instance = common.start(options, 0, callbacks)
    terminal.association = sctp_associatex(instance, 100, options.destination, 1, options.port, None)
    if not terminal.association:
        common.say("sctp_associatex refused")
        return 2
    common.run(lambda: terminal.over)
    return terminal.status


if __name__ == "__main__":
    common.main(main)
