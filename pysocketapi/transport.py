"""Which SCTP a socket uses: the kernel's, or the one in userland.

RFC 6951 gives the UDP port. The environment variable RSERPOOL_TRANSPORT names the kind that "auto" becomes.
Opening sockets for work does not belong here.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from dataclasses import dataclass, replace

KINDS = ("auto", "kernel", "userland")
HUBS = ("auto", "steer", "forward")
VARIABLE = "RSERPOOL_TRANSPORT"


@dataclass(frozen=True)
class Transport:
    """The choice of a transport; ``udp_port``, ``hub`` and ``pcap`` concern userland only.

    udp_port: None shares UDP port 9899 of the host through the hub; 0: a private one that the system chooses;
    else that private one. hub: "auto", "steer" (in the kernel) or "forward". pcap: name of a pcapng file.
    Raises ValueError.
    """

    kind: str = "auto"
    udp_port: int | None = None
    hub: str = "auto"
    pcap: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"transport {self.kind!r} is none of {', '.join(KINDS)}")
        if self.hub not in HUBS:
            raise ValueError(f"hub {self.hub!r} is none of {', '.join(HUBS)}")
        if self.udp_port is not None and not 0 <= self.udp_port <= 65535:
            raise ValueError(f"UDP port {self.udp_port} is not in 0..65535")


_default = Transport()
_kernel: str | None = None  # what is wrong with the kernel's SCTP; "": nothing


def default_transport() -> Transport:
    """Return what sockets without a transport of their own use."""
    return _default


def set_default_transport(transport: Transport | str) -> None:
    """Set it; a string is a kind. Raises ValueError."""
    global _default
    _default = as_transport(transport)


def as_transport(transport: Transport | str | None) -> Transport:
    """Return a Transport for a kind, None (the default) or a Transport. Raises ValueError, TypeError."""
    if transport is None:
        return _default
    if isinstance(transport, str):
        return Transport(kind=transport)
    if not isinstance(transport, Transport):
        raise TypeError(f"transport must be a Transport, a string or None, not {type(transport).__name__}")
    return transport


def probe_kernel() -> str:
    """Return "" if an SCTP socket can be had from the kernel, else a sentence saying why not."""
    if sys.platform.startswith("freebsd"):
        return "FreeBSD's kernel SCTP has to be asked for: the backend was never tried there"
    if not sys.platform.startswith("linux"):
        return "the kernel backend knows the structures of Linux and FreeBSD only"
    try:
        sock = socket.socket(socket.AF_INET, socket.SOCK_SEQPACKET, 132)
    except OSError as error:
        reasons = {
            errno.EPROTONOSUPPORT: "this host's kernel has no SCTP (root can try: modprobe sctp)",
            errno.ESOCKTNOSUPPORT: "this host's kernel has no SCTP (root can try: modprobe sctp)",
            errno.EPERM: "this process is not allowed to use the kernel's SCTP",
            errno.EACCES: "this process is not allowed to use the kernel's SCTP",
        }
        return reasons.get(error.errno or 0, f"no kernel SCTP: {error.strerror}")
    sock.close()
    return ""


def resolve_transport(transport: Transport | str | None = None) -> tuple[str, str]:
    """Return (kind, why): "kernel" or "userland", and a sentence for people saying why it was taken.

    The answer of the kernel is remembered for the process. Raises ValueError for a bad RSERPOOL_TRANSPORT.
    """
    global _kernel
    chosen = as_transport(transport)
    kind, asked = chosen.kind, "asked for"
    if kind == "auto":
        named = os.environ.get(VARIABLE, "auto") or "auto"
        if named not in KINDS:
            raise ValueError(f"{VARIABLE}={named!r} is none of {', '.join(KINDS)}")
        kind, asked = named, f"asked for by {VARIABLE}"
    if kind == "kernel":
        return "kernel", f"kernel SCTP: {asked}"
    where = {None: "UDP port 9899, shared with this host's other programs", 0: "a UDP port of its own"}.get(
        chosen.udp_port, f"UDP port {chosen.udp_port}"
    )
    if kind == "userland":
        return "userland", f"userland SCTP over {where}: {asked}"
    if chosen.udp_port is not None:
        return "userland", f"userland SCTP over {where}: a UDP port was asked for"
    if chosen.pcap is not None:
        return "userland", f"userland SCTP over {where}: a packet trace was asked for"
    if _kernel is None:
        _kernel = probe_kernel()
    if not _kernel:
        return "kernel", "kernel SCTP: this host's kernel offers it"
    return "userland", f"userland SCTP over {where}: {_kernel}"


def with_kind(transport: Transport | str | None) -> Transport:
    """Return the transport with "auto" resolved."""
    chosen = as_transport(transport)
    if chosen.kind != "auto":
        return chosen
    return replace(chosen, kind=resolve_transport(chosen)[0])
