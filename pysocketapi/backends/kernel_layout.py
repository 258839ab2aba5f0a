"""Structures of RFC 6458 to and from the bytes of a kernel: what all layouts have in common.

A `Layout` is made of tables, one for each system (`kernel_linux`, `kernel_freebsd`). Only bytes and numbers, no
sockets.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .. import notifications as n
from .. import structures as s
from ..addresses import canonical, for_family, is_ipv6

STORAGE = 128  # sizeof(struct sockaddr_storage)
_INT = struct.Struct("=i")
_OF_A_LINK = ("fe8", "fe9", "fea", "feb")  # fe80::/10

# Structure -> (format without byte order, fields in order). ":l" and ":s" are in network order, of four and two
# bytes; ":a" is a sockaddr_storage, ":f" flags, ":o" a threshold that may be None, which is 65535; capitals are
# structures within structures, other letters name a table of `Layout.values`.
Formats = Mapping[type[Any], tuple[str, str]]
# Notification -> the same for what follows its type, flags and length, and the field that takes the rest: ":H" of
# numbers of two bytes, else bytes.
Notes = Mapping[type[Any], tuple[str, str, str]]
_NESTED: dict[str, type[Any]] = {"P": s.PaddrInfo, "S": s.SndInfo, "D": s.SndRcvInfo}
_HEAD = struct.Struct("=HHI")  # of a notification: type, flags, length
_Fields = list[tuple[str, str]]


def htonl(value: int) -> int:
    """Swap the bytes of 32 bits where the host's order is not the network's. Raises struct.error."""
    return int.from_bytes(struct.pack("!I", value), sys.byteorder)


def htons(value: int) -> int:
    """Swap the bytes of 16 bits where the host's order is not the network's. Raises struct.error."""
    return int.from_bytes(struct.pack("!H", value), sys.byteorder)


def with_scope(host: str, scope: int) -> str:
    """Return a canonical address with its interface, if it is one of a link; kernels tell scopes of others too."""
    if not scope or not host.startswith(_OF_A_LINK):
        return host
    try:
        return host + "%" + socket.if_indextoname(scope)
    except OSError:
        return f"{host}%{scope}"


@dataclass(frozen=True)
class Layout:
    """How one system lays RFC 6458's structures out, and which numbers it gives to names.

    ``options``, ``ancillary``, ``flags``, ``types`` and ``values`` translate our numbers (Linux's) into its own;
    None where they are the same. ``values`` has the tables that ``formats`` and ``notes`` name by a letter, which
    ``note_flags`` does for the flags of a notification. ``lengths``: a sockaddr begins with its length.
    ``assoc_id`` is the format of an association's identifier, for structures that are no plain rows of fields.
    """

    formats: Formats
    families: tuple[int, int]  # AF_INET, AF_INET6
    notification: int  # MSG_NOTIFICATION
    notes: Notes
    assoc_id: str
    lengths: bool = False
    options: Mapping[int, int] | None = None
    ancillary: Mapping[int, int] | None = None
    flags: Mapping[int, int] | None = None
    types: Mapping[int, int] | None = None  # of notifications
    values: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    note_flags: Mapping[type[Any], str] = field(default_factory=dict)
    packing: Mapping[type[Any], Callable[[Any], bytes]] = field(init=False)
    unpacking: Mapping[type[Any], Callable[[bytes], Any]] = field(init=False)
    rows: dict[type[Any], tuple[struct.Struct, _Fields]] = field(init=False)
    note_rows: dict[type[Any], tuple[struct.Struct, _Fields, str]] = field(init=False)

    def __post_init__(self) -> None:
        derived = {
            "rows": {
                cls: (struct.Struct("=" + form), _fields(text)) for cls, (form, text) in self.formats.items()
            },
            "note_rows": {
                cls: (struct.Struct("=" + form), _fields(text), rest)
                for cls, (form, text, rest) in self.notes.items()
            },
            "packing": _packing(self.assoc_id),
            "unpacking": _unpacking(self.assoc_id),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    # -- numbers -----------------------------------------------------------------------------------------------

    def option(self, number: int) -> int:
        """Return the system's number of an option. Raises OSError(ENOPROTOOPT)."""
        if self.options is None:
            if number < 1000:
                return number
        elif number in self.options:
            return self.options[number]
        raise OSError(errno.ENOPROTOOPT, os.strerror(errno.ENOPROTOOPT))

    def item(self, number: int) -> int:
        """Return the system's number of a type of ancillary data."""
        return number if self.ancillary is None else self.ancillary[number]

    def flags_out(self, flags: int) -> int:
        """Return flags of sending, or of a message, as the system's."""
        if self.flags is None:
            return flags
        return sum(theirs for ours, theirs in self.flags.items() if flags & ours)

    def flags_in(self, flags: int) -> int:
        """Return the system's flags as ours."""
        if self.flags is None:
            return flags
        return sum(ours for ours, theirs in self.flags.items() if flags & theirs)

    # -- addresses ---------------------------------------------------------------------------------------------

    def _head(self, family: int, size: int) -> bytes:
        return struct.pack("=BB", size, family) if self.lengths else struct.pack("=H", family)

    def pack_address(self, address: tuple[str, int] | None, family: int = 0) -> bytes:
        """Return a sockaddr_in or sockaddr_in6 for (host, port); b"" for None. family 0: the host's own."""
        if address is None:
            return b""
        host, port = address
        if family:
            host = for_family(host, family)
        if not is_ipv6(host):
            return self._head(self.families[0], 16) + struct.pack(
                "!H4s8x", port, socket.inet_pton(socket.AF_INET, host)
            )
        scope = 0
        if "%" in host:
            host, _, zone = host.partition("%")
            scope = int(zone) if zone.isdigit() else socket.if_nametoindex(zone)
        return (
            self._head(self.families[1], 28)
            + struct.pack("!HI16s", port, 0, socket.inet_pton(socket.AF_INET6, host))
            + struct.pack("=I", scope)
        )

    def unpack_address(self, data: bytes, offset: int = 0) -> tuple[tuple[str, int] | None, int]:
        """Return ((host, port) or None for "any", size of the sockaddr)."""
        family = data[offset + 1] if self.lengths else struct.unpack_from("=H", data, offset)[0]
        (port,) = struct.unpack_from("!H", data, offset + 2)
        if family == self.families[0]:
            return (socket.inet_ntop(socket.AF_INET, data[offset + 4 : offset + 8]), port), 16
        if family == self.families[1]:
            host = canonical(socket.inet_ntop(socket.AF_INET6, data[offset + 8 : offset + 24]))
            (scope,) = struct.unpack_from("=I", data, offset + 24)
            return (with_scope(host, scope), port), 28
        return None, STORAGE

    def unpack_addresses(self, data: bytes, count: int, offset: int = 0) -> list[tuple[str, int]]:
        """Return the addresses of a packed array of sockaddrs."""
        found = []
        for _ in range(count):
            address, size = self.unpack_address(data, offset)
            offset += size
            if address is not None:
                found.append(address)
        return found

    # -- structures --------------------------------------------------------------------------------------------

    def pack(self, value: Any, family: int = 0) -> bytes:
        """Return the kernel's bytes for a structure, an int or a bool. Raises OSError(EINVAL) for bad numbers."""
        cls = type(value)
        try:
            special = self.packing.get(cls)
            if special is not None:
                return special(value).ljust(_SIZES.get(cls, 0), b"\0")
            if cls in self.rows:
                row, fields = self.rows[cls]
                return row.pack(*(self._out(getattr(value, name), how, family) for name, how in fields))
            return _INT.pack(int(value))
        except struct.error as error:
            raise OSError(errno.EINVAL, f"{cls.__name__}: {error}") from None

    def _out(self, value: Any, how: str, family: int) -> Any:
        if not how:
            return value
        if how == "l":
            return htonl(value)
        if how == "s":
            return htons(value)
        if how == "a":
            return self.pack_address(value, family)
        if how == "o":
            return 0xFFFF if value is None else value
        if how == "f":
            return self.flags_out(value)
        try:
            return self.values[how][value]
        except KeyError:
            raise OSError(errno.EINVAL, f"{value} is not known to this system") from None

    def _in(self, value: Any, how: str) -> Any:
        if how == "l":
            return htonl(value)
        if how == "s":
            return htons(value)
        if how == "a":
            return self.unpack_address(value)[0]
        if how == "f":
            return self.flags_in(value)
        if how in _NESTED:
            return self.unpack(_NESTED[how], value)
        if how in self.values:
            return next((ours for ours, theirs in self.values[how].items() if theirs == value), value)
        return value

    def unpack(self, cls: type[Any], data: bytes) -> Any:
        """Return the structure in the kernel's bytes."""
        if cls is bool:
            return bool(_INT.unpack_from(data)[0])
        if cls is int:
            return _INT.unpack_from(data)[0]
        special = self.unpacking.get(cls)
        if special is not None:
            return special(data)
        row, fields = self.rows[cls]
        values = row.unpack_from(data.ljust(row.size, b"\0"))
        return cls(**{name: self._in(value, how) for (name, how), value in zip(fields, values)})

    def size_of(self, cls: type[Any]) -> int:
        """Return the size of a fixed structure."""
        if cls in (int, bool):
            return _INT.size
        return _SIZES[cls] if cls in _SIZES else self.rows[cls][0].size

    def unpack_notification(self, data: bytes) -> n.Notification | None:
        """Return the notification, or None for a type that is not known."""
        type_, flags, length = _HEAD.unpack_from(data)
        if self.types is not None:
            type_ = next((ours for ours, theirs in self.types.items() if theirs == type_), 0)
        cls = n.BY_TYPE.get(type_)
        if cls is None or cls not in self.note_rows:
            return None
        row, fields, rest = self.note_rows[cls]
        body = data[_HEAD.size : length].ljust(row.size, b"\0")
        values = {name: self._in(value, how) for (name, how), value in zip(fields, row.unpack_from(body))}
        if rest:
            name, _, code = rest.partition(":")
            tail = body[row.size :]
            values[name] = struct.unpack_from(f"={len(tail) // 2}H", tail) if code else tail
        note: n.Notification = cls(**values, flags=self._in(flags, self.note_flags.get(cls, "")))
        return note


def _fields(text: str) -> _Fields:
    return [(name, how) for name, _, how in (word.partition(":") for word in text.split())]


# Structures that end in lists, and those that are asked for with the association alone.

_SIZES: dict[type[Any], int] = {
    s.Status: 176,
    s.AuthChunks: 8 + 256,
    s.HmacAlgo: 4 + 2 * 16,
    s.AssocIds: 4 + 4 * 16384,
}


def _packing(assoc_id: str) -> dict[type[Any], Callable[[Any], bytes]]:
    one = struct.Struct("=" + assoc_id)
    row = struct.Struct(f"={assoc_id}HH")
    return {
        s.Status: lambda v: one.pack(v.assoc_id),
        s.AuthChunks: lambda v: one.pack(v.assoc_id),
        s.AssocIds: lambda v: b"",
        s.AuthKey: lambda v: row.pack(v.assoc_id, v.keynumber, len(v.key)) + v.key,
        s.HmacAlgo: lambda v: struct.pack(f"=I{len(v.idents)}H", len(v.idents), *v.idents),
        s.ResetStreams: lambda v: (
            row.pack(v.assoc_id, v.flags, len(v.streams)) + struct.pack(f"={len(v.streams)}H", *v.streams)
        ),
    }


def _unpacking(assoc_id: str) -> dict[type[Any], Callable[[bytes], Any]]:
    def chunks(data: bytes) -> s.AuthChunks:
        number, count = struct.unpack_from(f"={assoc_id}I", data)
        return s.AuthChunks(number, bytes(data[8 : 8 + count]))

    return {
        s.AuthChunks: chunks,
        s.HmacAlgo: lambda data: s.HmacAlgo(_numbers("H", data)),
        s.AssocIds: lambda data: s.AssocIds(_numbers(assoc_id, data)),
    }


def _numbers(code: str, data: bytes) -> tuple[int, ...]:
    """Return the numbers behind their count."""
    (count,) = struct.unpack_from("=I", data)
    return struct.unpack_from(f"={count}{code}", data, 4)
