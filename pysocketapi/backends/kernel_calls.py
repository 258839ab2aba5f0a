"""RFC 6458's calls that are no socket options everywhere: bindx, connectx, peeloff, lists of addresses.

On Linux they are options all the same (as its libsctp does it), on FreeBSD functions of libc. ctypes, because
Python's getsockopt has no way to hand in a structure. Addresses are packed by the system's layout.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from typing import Any, Protocol

from .. import constants as c
from .. import structures as s
from .kernel_layout import Layout

_SCTP = c.IPPROTO_SCTP
_libc: Any = None


def _library() -> Any:
    global _libc
    if _libc is None:
        _libc = ctypes.CDLL(None, use_errno=True)
    return _libc


def fail(number: int, text: str = "") -> OSError:
    """Return an OSError with the system's text or another one."""
    return OSError(number, text or os.strerror(number))


def getsockopt(fd: int, option: int, argument: bytes) -> tuple[int, bytes]:
    """Call getsockopt with a structure handed in; return (errno or 0, its bytes)."""
    buffer = ctypes.create_string_buffer(argument, len(argument))
    size = ctypes.c_uint(len(argument))
    result = _library().getsockopt(fd, _SCTP, option, buffer, ctypes.byref(size))
    return (ctypes.get_errno() if result < 0 else 0), buffer.raw[: max(size.value, 8)]


class Calls(Protocol):
    """What a system has to offer. All raise OSError."""

    def bindx(self, fd: int, packed: bytes, count: int, add: bool) -> None:
        """Add or remove packed addresses."""

    def connectx(self, fd: int, packed: bytes, count: int) -> int:
        """Begin an association with a peer of these packed addresses and return its identifier."""

    def peeloff(self, fd: int, assoc_id: int) -> int:
        """Return a descriptor of its own for an association."""

    def addresses(self, fd: int, peers: bool, assoc_id: int) -> list[s.Address]:
        """Return the peer's addresses or the local ones."""


class LinuxCalls:
    """By the options 100 to 111 of include/uapi/linux/sctp.h."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def bindx(self, fd: int, packed: bytes, count: int, add: bool) -> None:
        """See Calls."""
        if _library().setsockopt(fd, _SCTP, 100 if add else 101, packed, len(packed)) < 0:
            raise fail(ctypes.get_errno())

    def connectx(self, fd: int, packed: bytes, count: int) -> int:
        """See Calls."""
        buffer = ctypes.create_string_buffer(packed, len(packed))
        argument = struct.pack("@iiP", 0, len(packed), ctypes.addressof(buffer))
        number, answer = getsockopt(fd, 111, argument)
        if number and number != errno.EINPROGRESS:
            raise fail(number)
        return int(struct.unpack_from("=i", answer)[0])

    def peeloff(self, fd: int, assoc_id: int) -> int:
        """See Calls."""
        number, answer = getsockopt(fd, 102, struct.pack("=ii", assoc_id, -1))
        if number:
            raise fail(number)
        return int(struct.unpack("=ii", answer)[1])

    def addresses(self, fd: int, peers: bool, assoc_id: int) -> list[s.Address]:
        """See Calls. The size of the answer is too small by its own header, so the whole buffer is looked at."""
        room = 8 + 28 * 256
        buffer = ctypes.create_string_buffer(struct.pack("=iI", assoc_id, 0), room)
        size = ctypes.c_uint(room)
        if _library().getsockopt(fd, _SCTP, 108 if peers else 109, buffer, ctypes.byref(size)) < 0:
            raise fail(ctypes.get_errno())
        count = struct.unpack_from("=I", buffer.raw, 4)[0]
        return self._layout.unpack_addresses(buffer.raw, count, 8)


class FreeBsdCalls:
    """By the functions of libc."""

    def __init__(self, layout: Layout, libc: Any = None) -> None:
        self._layout = layout
        self._given = libc

    def _call(self, name: str, *arguments: Any) -> int:
        result = int(getattr(self._given or _library(), name)(*arguments))
        if result < 0:
            raise fail(ctypes.get_errno())
        return result

    def bindx(self, fd: int, packed: bytes, count: int, add: bool) -> None:
        """See Calls."""
        self._call("sctp_bindx", fd, packed, count, 0x8001 if add else 0x8002)

    def connectx(self, fd: int, packed: bytes, count: int) -> int:
        """See Calls."""
        assoc_id = ctypes.c_uint32(0)
        try:
            self._call("sctp_connectx", fd, packed, count, ctypes.byref(assoc_id))
        except BlockingIOError as error:
            if error.errno != errno.EINPROGRESS:
                raise
        return assoc_id.value

    def peeloff(self, fd: int, assoc_id: int) -> int:
        """See Calls."""
        return self._call("sctp_peeloff", fd, ctypes.c_uint32(assoc_id))

    def addresses(self, fd: int, peers: bool, assoc_id: int) -> list[s.Address]:
        """See Calls."""
        pointer = ctypes.c_void_p()
        which = "paddrs" if peers else "laddrs"
        count = self._call(f"sctp_get{which}", fd, ctypes.c_uint32(assoc_id), ctypes.byref(pointer))
        if not pointer.value:
            return []
        try:
            found, place = [], pointer.value
            for _ in range(count):
                size = ctypes.string_at(place, 1)[0]  # sa_len
                address, _ = self._layout.unpack_address(ctypes.string_at(place, size))
                place += size
                if address is not None:
                    found.append(address)
            return found
        finally:
            getattr(self._given or _library(), f"sctp_free{which}")(pointer)


def of_this_system() -> tuple[Layout, Calls]:
    """Return the layout and the calls of the system that this runs on; Linux's for all but FreeBSD."""
    if sys.platform.startswith("freebsd"):
        from .kernel_freebsd import LAYOUT as FREEBSD

        return FREEBSD, FreeBsdCalls(FREEBSD)
    from .kernel_linux import LAYOUT as LINUX

    return LINUX, LinuxCalls(LINUX)
