"""What hub and processes say to each other over local sockets: names, requests with descriptors, relayed packets.

The control connection is lock-step: a request (JSON, perhaps with descriptors by SCM_RIGHTS), one answer. Packets
go over a datagram pair of their own, each with its addresses in front. See docs/reference/host.md.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
import tempfile
from array import array
from functools import lru_cache
from struct import Struct
from typing import Any

LARGEST = 32768  # bytes of a request
MAX_DESCRIPTORS = 4
KIND = socket.SOCK_SEQPACKET if sys.platform.startswith("linux") else socket.SOCK_STREAM
DIRECTORY = "PYSCTPLIB_HUB_DIR"  # environment: use socket files in this directory, not abstract names

_ADDRESSES = Struct("!BH16s16s")  # IPv6?, remote UDP port, remote address, local address

PathKey = tuple[str, int, str]


def address(port: int) -> str:
    """Return the address of the hub's control socket for a UDP port.

    On Linux an abstract name: it belongs to the network namespace, as the UDP port does, needs no rights to a
    directory, and cannot become stale. Elsewhere a file in the directory for temporary files.
    """
    directory = os.environ.get(DIRECTORY)
    if directory or not sys.platform.startswith("linux"):
        return os.path.join(directory or tempfile.gettempdir(), f"pysctplib-hub-{port}")
    return f"\0pysctplib-hub-{port}"


def send(sock: socket.socket, message: dict[str, Any], descriptors: list[int] | None = None) -> None:
    """Send a request or an answer with descriptors. OSError if the other side is gone."""
    data = json.dumps(message, separators=(",", ":")).encode()
    if len(data) > LARGEST:
        raise OSError(errno.EMSGSIZE, "request to the hub too long")
    ancillary = []
    if descriptors:
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", descriptors))]
    sock.sendmsg([data], ancillary)


def receive(sock: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Return a message and its descriptors. ConnectionResetError at the end, ValueError for nonsense."""
    size = array("i").itemsize * MAX_DESCRIPTORS
    data, ancillary, _, _ = sock.recvmsg(LARGEST, socket.CMSG_SPACE(size))
    descriptors = array("i")
    for level, kind, value in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(value[: len(value) - len(value) % descriptors.itemsize])
    try:
        if not data:
            raise ConnectionResetError(errno.ECONNRESET, "the other side is gone")
        try:
            message = json.loads(data)
        except RecursionError:
            raise ValueError("nested too deeply") from None
        if not isinstance(message, dict):
            raise ValueError("not an object")
    except BaseException:
        for descriptor in descriptors:
            os.close(descriptor)
        raise
    return message, list(descriptors)


def wrap(data: bytes, path: PathKey) -> bytes:
    """Return a packet with its addresses in front, for the relay."""
    remote, port, local = path
    return _ADDRESSES.pack(":" in remote, port, _pack(remote), _pack(local)) + data


def unwrap(relayed: bytes) -> tuple[bytes, PathKey]:
    """Return packet and addresses of what `wrap` made. ValueError if it is too short."""
    if len(relayed) < _ADDRESSES.size:
        raise ValueError("relayed packet without addresses")
    ipv6, port, remote, local = _ADDRESSES.unpack_from(relayed)
    return relayed[_ADDRESSES.size :], (_unpack(remote, bool(ipv6)), port, _unpack(local, bool(ipv6)))


def uid_of(sock: socket.socket) -> int:
    """Return the user id of the process at the other end of a local socket; our own where the system hides it."""
    if hasattr(socket, "SO_PEERCRED"):
        credentials = Struct("3i")
        raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, credentials.size)
        return int(credentials.unpack(raw)[1])
    return os.getuid()


@lru_cache(maxsize=4096)
def _pack(text: str) -> bytes:
    if not text:
        return bytes(16)
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text).ljust(16, b"\0")


@lru_cache(maxsize=4096)
def _unpack(raw: bytes, ipv6: bool) -> str:
    if raw == bytes(16):
        return ""
    return socket.inet_ntop(socket.AF_INET6 if ipv6 else socket.AF_INET, raw if ipv6 else raw[:4])
