"""`python -m pysocketapi doctor`: what this host offers for SCTP, what "auto" takes, what to do about each gap.

Each check is a function that returns one Finding and changes nothing on the host; the table CHECKS is the
programme. RFC 6951 for the UDP port.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .transport import VARIABLE, Transport, probe_kernel, resolve_transport

UDP_PORT = 9899
_UDP_SEGMENT, _UDP_GRO = 103, 104
_MARKS = {"ok": "ok  ", "gap": "gap ", "note": "note"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One result: mark "ok", "gap" or "note", what was looked at, what was found, what to do about it."""

    mark: str
    what: str
    found: str
    advice: str = ""


def kernel_sctp() -> Finding:
    """Kernel SCTP present, blocked or absent."""
    wrong = probe_kernel()
    if not wrong:
        return Finding("ok", "kernel SCTP", "present")
    if sys.platform.startswith("linux"):
        if "not allowed" in wrong:
            return Finding("gap", "kernel SCTP", "blocked: " + wrong, "a container's seccomp profile forbids it")
        if _module_is_blocked():
            advice = "remove the line for sctp below /etc/modprobe.d, then: modprobe sctp"
            return Finding("gap", "kernel SCTP", "blocked: its module may not be loaded", advice)
        advice = "modprobe sctp (Debian: the module is in the kernel package; Red Hat: kernel-modules-extra)"
        return Finding("gap", "kernel SCTP", "absent: " + wrong, advice + "; userland SCTP works without it")
    return Finding("gap", "kernel SCTP", "absent: " + wrong, "userland SCTP works without it")


def _module_is_blocked() -> bool:
    for path in Path("/etc/modprobe.d").glob("*.conf"):
        try:
            lines = path.read_text(errors="replace").splitlines()
        except OSError:
            continue
        for line in lines:
            words = line.split()
            if words[:2] == ["blacklist", "sctp"] or words[:2] == ["install", "sctp"]:
                return True
    return False


def udp_port() -> Finding:
    """Whether UDP port 9899 can be had."""
    what = f"UDP port {UDP_PORT}"
    for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as sock:
                if family == socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                sock.bind((host, UDP_PORT))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return Finding(
                    "note",
                    what,
                    "in use: by this host's hub (next line), or by somebody else",
                    "if there is no hub: see who has it (ss -ulpn), or use --udp-port",
                )
            if family == socket.AF_INET6:
                return Finding("note", what, "free for IPv4; there is no IPv6 here", "")
            return Finding("gap", what, str(error), "use --udp-port with a port that can be had")
    return Finding("ok", what, "free")


def hub() -> Finding:
    """Whether the host's hub runs: the process that shares UDP port 9899 among programs."""
    what = "hub"
    if not sys.platform.startswith("linux"):
        return Finding("note", what, "looked for on Linux only")
    running = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"pysctplib.host.hub" in words:
                running.append(entry.name)
    if running:
        return Finding("ok", what, f"running (process {', '.join(running)})")
    return Finding("ok", what, "not running; the first program that needs it starts it")


def steering() -> Finding:
    """Whether the kernel can steer packets of one UDP port to processes (SO_ATTACH_REUSEPORT_CBPF)."""
    what = "steering of UDP packets in the kernel"
    if not sys.platform.startswith("linux"):
        return Finding("gap", what, "there is none on this system", "none needed: the hub forwards packets")
    instruction = struct.pack("=HBBI", 0x06, 0, 0, 0)  # return 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        import ctypes

        code = ctypes.create_string_buffer(instruction)
        program = struct.pack("@HP", 1, ctypes.addressof(code))
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind(("127.0.0.1", 0))
            sock.setsockopt(socket.SOL_SOCKET, 51, program)  # SO_ATTACH_REUSEPORT_CBPF
        except OSError as error:
            return Finding("gap", what, str(error), "none needed: the hub forwards packets")
    return Finding("ok", what, "present")


def offloads() -> Finding:
    """UDP_SEGMENT and UDP_GRO, which make userland SCTP about twice as fast."""
    what = "UDP segmentation offloads (GSO, GRO)"
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for name, option in (("GSO", _UDP_SEGMENT), ("GRO", _UDP_GRO)):
            try:
                sock.setsockopt(socket.IPPROTO_UDP, option, 0)
            except OSError:
                continue
            found.append(name)
    if len(found) == 2 and sys.platform.startswith("linux"):
        return Finding("ok", what, "present")
    return Finding(
        "gap", what, "not both of them", "nothing to do: plain sends are used; Linux has both from 5.0 on"
    )


def checksum() -> Finding:
    """Whether CRC32c is computed by compiled code."""
    what = "compiled CRC32c"
    for name in ("google_crc32c", "crc32c"):
        try:
            __import__(name)
        except ImportError:
            continue
        return Finding("ok", what, name)
    return Finding("gap", what, "none: pure Python is used, about 60 times slower", "pip install google-crc32c")


def raw_sockets() -> Finding:
    """Whether plain SCTP over IP can be spoken from userland."""
    what = "raw sockets (SCTP over IP without UDP)"
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, 132):
            pass
    except PermissionError:
        return Finding("gap", what, "not allowed", "only needed for peers without RFC 6951: run with CAP_NET_RAW")
    except OSError as error:
        return Finding("gap", what, str(error), "only needed for peers without RFC 6951")
    if not probe_kernel():
        return Finding(
            "note", what, "allowed, but the kernel's SCTP would answer too", "use the kernel's SCTP instead"
        )
    return Finding("ok", what, "allowed")


def buffers() -> Finding:
    """Whether UDP receive buffers can be large enough for bulk transfers."""
    what = "UDP receive buffers"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        size = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    if size >= 2 << 20:
        return Finding("ok", what, f"{size >> 10} KiB")
    if os.name == "posix" and os.geteuid() == 0:
        return Finding("ok", what, f"{size >> 10} KiB, more by SO_RCVBUFFORCE as root")
    return Finding(
        "gap", what, f"{size >> 10} KiB at most", "for bulk transfers: sysctl -w net.core.rmem_max=4194304"
    )


def ipv6() -> Finding:
    """Whether there is IPv6."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError as error:
        return Finding("note", "IPv6", f"not usable: {error}", "IPv4 alone is fine")
    return Finding("ok", "IPv6", "present")


def multicast() -> Finding:
    """Whether a multicast datagram comes back, which RSerPool's automatic configuration needs."""
    what = "multicast (RSerPool's announces)"
    group = "239.255.77.77"
    advice = "on one host: ip link set lo multicast on; ip route add 224.0.0.0/4 dev lo; or name registrars"
    try:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        ):
            receiver.bind(("", 0))
            membership = socket.inet_aton(group) + socket.inet_aton("0.0.0.0")
            receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
            receiver.settimeout(0.5)
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 0)
            sender.sendto(b"doctor", (group, receiver.getsockname()[1]))
            receiver.recv(16)
    except OSError as error:
        return Finding("gap", what, f"does not work: {error}", advice)
    return Finding("ok", what, "works")


def choice() -> Finding:
    """What "auto" takes."""
    try:
        kind, why = resolve_transport(Transport("auto"))
    except ValueError as error:
        return Finding("gap", "transport", str(error), f"unset {VARIABLE}, or set it to kernel or userland")
    return Finding("ok", f"transport: auto takes {kind}", why)


CHECKS: tuple[Callable[[], Finding], ...] = (
    kernel_sctp,
    udp_port,
    hub,
    steering,
    offloads,
    buffers,
    checksum,
    raw_sockets,
    ipv6,
    multicast,
    choice,
)


def examine() -> list[Finding]:
    """Make all checks."""
    return [check() for check in CHECKS]


def report(findings: Sequence[Finding]) -> str:
    """Return the findings as text."""
    lines = []
    for finding in findings:
        lines.append(f"{_MARKS[finding.mark]}  {finding.what}: {finding.found}")
        if finding.advice:
            lines.append(f"      -> {finding.advice}")
    return "\n".join(lines)


def main(argv: Sequence[str]) -> int:
    """Print the findings; 0 if some transport works, which userland always does where UDP does."""
    if argv:
        print("usage: python -m pysocketapi doctor", file=sys.stderr)
        return 2
    findings = examine()
    print(report(findings))
    works = not probe_kernel() or any(f.what.startswith("UDP port") and f.mark != "gap" for f in findings)
    return 0 if works else 1
