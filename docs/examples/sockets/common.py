"""What the examples share: options that choose the transport, and sockets made by them."""

import argparse
import socket

from pysocketapi import SctpSocket, Transport
from pysocketapi import constants as c
from pysocketapi import structures as s


def parser(description: str) -> argparse.ArgumentParser:
    """Return a parser that knows the options of all examples."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--transport", choices=("auto", "kernel", "userland"), default="auto")
    made.add_argument("--udp-port", type=int, help="userland: a UDP port of its own, 0 for any")
    made.add_argument("--remote-udp-port", type=int, help="the UDP port of the peer (default 9899)")
    return made


def transport(options: argparse.Namespace) -> Transport:
    """Return the transport that was chosen."""
    return Transport(options.transport, udp_port=options.udp_port)


def open_socket(options: argparse.Namespace, host: str, style: int) -> SctpSocket:
    """Open a socket that can reach the host."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = SctpSocket(family, style, transport=transport(options))
    if options.remote_udp_port is not None:
        port = s.UdpEncaps(port=options.remote_udp_port)
        sock.setsockopt(c.IPPROTO_SCTP, c.SCTP_REMOTE_UDP_ENCAPS_PORT, port)
    return sock
