"""Numbers of Linux's UDP and IP socket options that the standard library does not name.

From <linux/udp.h> and <linux/in.h>. Only constants and what the running system supports; no sockets are kept.
"""

from __future__ import annotations

import socket
import sys
from struct import Struct

SOL_UDP = 17
UDP_SEGMENT = 103  # generic segmentation offload: one send, many datagrams
UDP_GRO = 104  # generic receive offload: one receive, many datagrams
SO_RCVBUFFORCE = 33
SO_SNDBUFFORCE = 32
IP_PKTINFO = 8
IP_MTU = 14
IPV6_MTU = 24
IPV6_RECVPKTINFO = 49
IPV6_PKTINFO = 50

INT = Struct("=i")
U16 = Struct("=H")
IN_PKTINFO = Struct("=i4s4s")  # interface, address to send from, address of the packet
IN6_PKTINFO = Struct("=16si")

MAX_SEGMENTS = 64
MAX_BATCH = 65000  # bytes of one segmented send; an IPv4 datagram has room for 65507


def segmentation_offload() -> bool:
    """Tell whether the kernel cuts one send into many datagrams (Linux 4.18 and later)."""
    if not sys.platform.startswith("linux"):
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.setsockopt(SOL_UDP, UDP_SEGMENT, 0)
        except OSError:
            return False
    return True
