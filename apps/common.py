"""The options that all programs share, and what they set up: transport and logging.

Names and meanings are RSPLIB's; ``-transport``, ``-udp-port``, ``-hub`` and ``-pcap`` are ours.
The settings of the pool element and pool user side are made of `LIBRARY`'s values in `library`.
"""

from __future__ import annotations

from pysocketapi.transport import HUBS, KINDS, Transport, resolve_transport, set_default_transport

from . import logs
from .options import Group, Option, Values
from .values import address, address_or, choice, identifier, integer, milliseconds, switch, text

ASAP_PORT = 3863
CSP_PORT = 2960
SLOWEST = 3_600_000  # milliseconds

LOGGING = Group(
    "Logging",
    (
        Option("loglevel", "0 nothing, 1 errors, 2 warnings, 3 notes, 4 actions, 5 to 9 ever more",
               integer(0, 9), "1", "0..9"),
        Option("logfile", "log to this new file, not to standard error", text, metavar="FILE"),
        Option("logappend", "log to the end of this file", text, metavar="FILE"),
        Option("logquiet", "no logging at all"),
        Option("logcolor", "colours in the log", switch, metavar="on|off", shown="on at a terminal"),
    ),
)  # fmt: skip

TRANSPORT = Group(
    "Transport",
    (
        Option("transport", "SCTP of the kernel, or ours in userland over UDP (RFC 6951)", choice(*KINDS), "auto",
               "|".join(KINDS)),
        Option("udp-port", "a UDP port of this program's own, 0 for any, instead of the shared 9899",
               integer(0, 65535), metavar="PORT"),
        Option("hub", "how this host's programs share UDP port 9899", choice(*HUBS), "auto", "|".join(HUBS)),
        Option("pcap", "write all SCTP packets to this file, for Wireshark", text, metavar="FILE"),
    ),
    "auto takes the kernel's SCTP where it can be had, else userland.",
)  # fmt: skip

CSP = Group(
    "Component status (cspmonitor)",
    (
        Option("cspserver", "report to this monitor", address(CSP_PORT), metavar="ADDRESS[:PORT]",
               shown="$CSP_SERVER"),
        Option("cspinterval", "time between reports", milliseconds(1, SLOWEST), metavar="MS",
               shown="$CSP_INTERVAL"),
        Option("cspidentifier", "identifier in reports", identifier(56), metavar="ID", shown="random"),
    ),
)  # fmt: skip

LIBRARY = Group(
    "Registrars",
    (
        Option("registrar", "a registrar to use; several addresses of one with commas",
               address(ASAP_PORT, need_port=True), metavar="ADDRESS:PORT[/UDP]", repeat=True),
        Option("asapannounce", "listen to announces of registrars: auto, off, or another group",
               address_or(ASAP_PORT, "auto", "off"), "auto", "auto|off|GROUP[:PORT]"),
        Option("registrarannouncetimeout", "an announced registrar is forgotten after", milliseconds(1, SLOWEST),
               "5000", "MS"),
        Option("registrarconnecttimeout", "time for connecting to registrars", milliseconds(1, SLOWEST),
               "7500", "MS"),
        Option("registrarconnectmaxtrials", "rounds of connecting", integer(1, 1000), "1", "N"),
        Option("registrarrequesttimeout", "time for a request to be sent", milliseconds(1, SLOWEST), "3000", "MS"),
        Option("registrarresponsetimeout", "time for its answer", milliseconds(1, SLOWEST), "3000", "MS"),
        Option("registrarrequestmaxtrials", "times that a request is sent", integer(1, 1000), "1", "N"),
    ),
    "Without any, registrars are found by their multicast announces.",
)  # fmt: skip

SHARED = (LIBRARY, TRANSPORT, LOGGING, CSP)


def transport_of(values: Values) -> Transport:
    """The transport that the options ask for."""
    return Transport(values.transport, values.udp_port, values.hub, values.pcap)


def set_up(values: Values) -> str:
    """Begin logging, make the transport of the options the default one; return the line that says which it is."""
    logs.begin(values.loglevel if not values.logquiet else 0, values.logfile, values.logappend, values.logcolor)
    transport = transport_of(values)
    set_default_transport(transport)
    return f"Transport: {resolve_transport(transport)[1]}"
