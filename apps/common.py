"""The options that all programs share, and what they set up: transport and logging.

Names and meanings are RSPLIB's; ``-transport``, ``-udp-port``, ``-hub`` and ``-pcap`` are ours.
The settings of the pool element and pool user side are made of `LIBRARY`'s values in `library`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from pysocketapi.transport import HUBS, KINDS, Transport, resolve_transport, set_default_transport

from . import logs
from .options import Group, Option, Program, Values, command_line, fail
from .runtime import go_to_background, run
from .values import (
    address,
    address_or,
    choice,
    identifier,
    integer,
    milliseconds,
    registrar,
    switch,
    text,
    tls_files,
)

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

TLS = Group(
    "Security",
    (
        Option("tls", "speak nothing but TLS with registrars: PEM files of the authority, of the own certificate, "
               "of its key", tls_files, metavar="CA[,CERT,KEY]", shown="off"),
    ),
    "Authority and certificates are made by rspcerts.",
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
        Option("registrar", "a registrar to use; several addresses of one with commas; tcp: for pool users "
               "without SCTP", registrar(ASAP_PORT), metavar="[tcp:]ADDRESS:PORT[/UDP]", repeat=True),
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

SHARED = (LIBRARY, TLS, TRANSPORT, LOGGING, CSP)


def transport_of(values: Values) -> Transport:
    """The transport that the options ask for."""
    return Transport(values.transport, values.udp_port, values.hub, values.pcap)


def parse_command_line(program: Program, words: Sequence[str]) -> Values | int:
    """Parse a command line and begin logging; an exit status where there is nothing to run."""
    values = command_line(program, words)
    if isinstance(values, int):
        return values
    level = 0 if values.logquiet else values.loglevel
    try:
        logs.begin(level, values.logfile, values.logappend, values.logcolor)
    except OSError as error:
        return fail(program, f"cannot write the log: {error}")
    return values


def perform(
    program: Program,
    words: Sequence[str],
    work: Callable[[Values, logs.Output, str], Coroutine[Any, Any, int]],
) -> int:
    """Parse a command line and `launch` ``work(values, output, transport)``; return the exit status."""
    values = parse_command_line(program, words)
    if isinstance(values, int):
        return values
    return launch(program, values, lambda transport: work(values, logs.Output(), transport))


def launch(program: Program, values: Values, work: Callable[[str], Coroutine[Any, Any, int]]) -> int:
    """Run ``work(words)``, where the words say which transport was taken and why; return the exit status.

    What keeps it from running is told to the user, with what to do about it.
    """
    quiet = bool(getattr(values, "quiet", False))
    pid_file = getattr(values, "daemonpidfile", None)
    try:
        transport = transport_of(values)
        _, why = resolve_transport(transport)
        set_default_transport(transport)
        if pid_file is not None and not go_to_background(pid_file):
            return 0
        return run(lambda: work(why), quiet=quiet)
    except BrokenPipeError:
        # Who read our output has had enough; nothing is to be flushed to nobody at the end either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except OSError as error:
        return fail(program, _reason(error), _ADVICE.get(error.errno or 0, ""))
    except ValueError as error:
        return fail(program, str(error))


def _reason(error: OSError) -> str:
    if error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return error.strerror or str(error)


_ADVICE = {
    errno.EADDRINUSE: "Another program has this port. Choose another one, or leave it out for a free one;\n"
    "a UDP port of this program's own is set by -udp-port=PORT (0: any).",
    errno.EADDRNOTAVAIL: "This host does not have that address; `ip address` lists those that it has.",
    errno.EACCES: "Ports below 1024 need privileges; choose a larger one.",
    errno.EPROTONOSUPPORT: "The kernel has no SCTP; use -transport=userland.",
    errno.ESOCKTNOSUPPORT: "The kernel has no SCTP; use -transport=userland.",
}
