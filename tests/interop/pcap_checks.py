"""tshark as judge of captures: what it has to complain about."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from os import PathLike

from .helpers import tshark_or_skip

FIELDS = ("frame.number", "sctp.checksum.status", "_ws.malformed", "_ws.expert.severity", "_ws.expert.message")
# What tshark warns of although it is in order: a SACK may report many TSNs when there is loss.
HARMLESS = ("gap-acknowledged in this SACK",)
WARNING = 0x600000  # PI_WARN; PI_ERROR is above, PI_NOTE and PI_CHAT are below
CHECKSUM_GOOD = "1"
SEPARATOR = "|"


def tshark(capture: str | PathLike[str], *options: str, udp_ports: Sequence[int] = ()) -> str:
    """Run tshark on a capture, with SCTP expected on the UDP ports; its output."""
    decode = [word for port in udp_ports for word in ("-d", f"udp.port=={port},sctp")]
    decode += [
        "--disable-protocol",
        "nbap",
        "--disable-protocol",
        "jxta",
    ]  # they guess, and take our data for theirs
    command = [tshark_or_skip(), "-n", "-r", str(capture), "-o", "sctp.checksum:CRC 32c", *decode, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout


def complaints(
    capture: str | PathLike[str], *, udp_ports: Sequence[int] = (), lower: bool = True, only: str = "sctp"
) -> list[str]:
    """Return a line for every packet that tshark finds malformed, warns of, or whose checksum is not right.

    Notes and chats (retransmissions, connection set-ups) are no complaints. ``only``: a display filter. ``lower``:
    the checksums of IP and UDP count, too; a capture may have been made before the system put them in.
    """
    checked = "TRUE" if lower else "FALSE"
    options = ["-o", f"udp.check_checksum:{checked}", "-o", f"ip.check_checksum:{checked}", "-Y", only]
    fields = [word for field in FIELDS for word in ("-e", field)]
    found = []
    options += ["-T", "fields", "-E", f"aggregator={SEPARATOR}", *fields]
    for line in tshark(capture, *options, udp_ports=udp_ports).splitlines():
        number, checksum, malformed, severities, messages = (line.split("\t") + [""] * 5)[:5]
        warnings = [
            message
            for severity, message in zip(severities.split(SEPARATOR), messages.split(SEPARATOR))
            if severity and int(severity, 0) >= WARNING and not any(h in message for h in HARMLESS)
        ]
        if malformed or warnings or any(c != CHECKSUM_GOOD for c in checksum.split(SEPARATOR)):
            found.append(f"frame {number}: checksum {checksum}, malformed {malformed!r}, {warnings}")
    return found


def count(capture: str | PathLike[str], display_filter: str, *, udp_ports: Sequence[int] = ()) -> int:
    """Return how many packets of a capture match."""
    return len(tshark(capture, "-Y", display_filter, udp_ports=udp_ports).splitlines())
