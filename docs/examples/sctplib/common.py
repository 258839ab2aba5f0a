"""What the examples share: command line, set-up of the library, the main loop."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from pysctplib.sctplib import (
    SCTP_SUCCESS,
    SCTP_InstanceParameters,
    SCTP_ulpCallbacks,
    StackConfig,
    sctp_closeLibrary,
    sctp_eventLoop,
    sctp_getAssocDefaults,
    sctp_getInstancePort,
    sctp_getUdpPort,
    sctp_initLibrary,
    sctp_registerInstance,
    sctp_setAssocDefaults,
)


def arguments(description: str, port: int) -> argparse.ArgumentParser:
    """Return a parser with the options that all examples have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("-p", "--port", type=int, default=port, help="SCTP port (default %(default)s)")
    parser.add_argument("-s", "--source", action="append", help="local address; may be repeated (default: all)")
    parser.add_argument("-v", "--verbose", action="store_true", help="tell what happens")
    parser.add_argument("--udp-port", type=int, help="own UDP port, 0: any (default: the host's 9899)")
    parser.add_argument("--remote-udp-port", type=int, default=9899, help="the peer's UDP port, 0: none")
    parser.add_argument("--pcap", help="file to write all packets to")
    return parser


def start(
    options: argparse.Namespace,
    port: int,
    callbacks: SCTP_ulpCallbacks,
    max_send_queue: int = 0,
    streams: int = 100,
) -> int:
    """Initialise the library and register an instance; return its name. SystemExit if that fails."""
    code = sctp_initLibrary(StackConfig(udp_port=options.udp_port, pcap=options.pcap))
    if code != SCTP_SUCCESS:
        raise SystemExit(f"sctp_initLibrary: {code}")
    instance = sctp_registerInstance(port, streams, streams, options.source or ["0.0.0.0"], callbacks)
    if instance <= 0:
        raise SystemExit(f"sctp_registerInstance: {instance}")
    params = defaults(instance)
    params.maxSendQueue = max_send_queue
    params.remoteUdpPort = options.remote_udp_port
    sctp_setAssocDefaults(instance, params)
    say(f"ready port {sctp_getInstancePort(instance)} UDP port {sctp_getUdpPort()}")
    return instance


def defaults(instance: int) -> SCTP_InstanceParameters:
    """Return the defaults of an instance."""
    code, params = sctp_getAssocDefaults(instance)
    if params is None:
        raise SystemExit(f"sctp_getAssocDefaults: {code}")
    return params


def run(until: Callable[[], bool] = lambda: False) -> None:
    """Turn the loop until ``until()`` or Ctrl-C; then end everything."""
    try:
        while not until():
            sctp_eventLoop()
    except KeyboardInterrupt:
        pass
    sctp_closeLibrary()


def say(*words: object) -> None:
    """Print a line at once."""
    print(*words, flush=True)


def main(program: Callable[[Sequence[str]], int]) -> None:
    """Run a program as a script."""
    sys.exit(program(sys.argv[1:]))
