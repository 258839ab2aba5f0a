"""Linux's layouts of RFC 6458's structures and notifications (include/uapi/linux/sctp.h).

Only bytes <-> objects; no sockets here. Some structures are packed in the kernel, others padded by sockaddr's
alignment of 8: each format says so itself.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any

from .. import constants as c
from .. import notifications as n
from .. import structures as s
from ..addresses import canonical, for_family, is_ipv6

STORAGE = 128  # sizeof(struct sockaddr_storage)

# Structure -> (format without byte order, fields in order). ":l" and ":s" are in network order,
# of four and two bytes; ":a" is a sockaddr_storage, ":o" a threshold that may be None, which is 65535.
_FORMATS: dict[type[Any], tuple[str, str]] = {
    s.InitMsg: ("HHHH", "num_ostreams max_instreams max_attempts max_init_timeo"),
    s.SndRcvInfo: ("HHH2xIIIIIi", "stream ssn flags ppid:l context timetolive tsn cumtsn assoc_id"),
    s.SndInfo: ("HHIIi", "sid flags ppid:l context assoc_id"),
    s.RcvInfo: ("HHH2xIIIIi", "sid ssn flags ppid:l tsn cumtsn context assoc_id"),
    s.NxtInfo: ("HHIIi", "sid flags ppid:l length assoc_id"),
    s.PrInfo: ("H2xI", "policy value"),
    s.AuthInfo: ("H", "keynumber"),
    s.RtoInfo: ("iIII", "assoc_id initial max min"),
    s.AssocParams: ("iHHIII", "assoc_id asocmaxrxt number_peer_destinations peer_rwnd local_rwnd cookie_life"),
    s.SetPrim: ("i128s", "assoc_id addr:a"),
    s.SetPeerPrim: ("i128s", "assoc_id addr:a"),
    s.SetAdaptation: ("I", "adaptation_ind"),
    s.PaddrParams: (
        "i128sIHIIIIBx",
        "assoc_id address:a hbinterval pathmaxrxt pathmtu sackdelay flags ipv6_flowlabel dscp",
    ),
    s.SackInfo: ("iII", "assoc_id delay freq"),
    s.AssocValue: ("iI", "assoc_id value"),
    s.StreamValue: ("iHH", "assoc_id stream_id stream_value"),
    s.Event: ("iH?x", "assoc_id type on"),
    s.EventSubscribe: (
        "14?",
        "data_io association address send_failure peer_error shutdown partial_delivery adaptation_layer "
        "authentication sender_dry stream_reset assoc_reset stream_change send_failure_event",
    ),
    s.PaddrInfo: ("i128siIIII", "assoc_id address:a state cwnd srtt rto mtu"),
    s.AuthChunk: ("B", "chunk"),
    s.AuthKeyId: ("iH2x", "assoc_id keynumber"),
    s.UdpEncaps: ("i4x128sH6x", "assoc_id address:a port:s"),
    # That of SCTP_PEER_ADDR_THLDS_V2; the older one has padding in place of the last field.
    s.PaddrThlds: ("i4x128sHHH2x", "assoc_id address:a pathmaxrxt pathpfthld pathcpthld:o"),
    s.PrStatus: ("iHHQQ", "assoc_id sid policy abandoned_unsent abandoned_sent"),
    s.DefaultPrInfo: ("iIH2x", "assoc_id value policy"),
    s.AddStreams: ("iHH", "assoc_id instrms outstrms"),
    s.ProbeInterval: ("i4x128sI4x", "assoc_id address:a interval"),
}
_INT = struct.Struct("=i")
_STATUS = struct.Struct("=iiIHHHHI")


def pack_address(address: tuple[str, int] | None, family: int = 0) -> bytes:
    """Return a sockaddr_in or sockaddr_in6 for (host, port); b"" for None. family 0: the host's own."""
    if address is None:
        return b""
    host, port = address
    if family:
        host = for_family(host, family)
    if is_ipv6(host):
        scope = 0
        if "%" in host:
            host, _, zone = host.partition("%")
            scope = int(zone) if zone.isdigit() else socket.if_nametoindex(zone)
        return struct.pack(
            "=H2sI16sI",
            socket.AF_INET6,
            struct.pack("!H", port),
            0,
            socket.inet_pton(socket.AF_INET6, host),
            scope,
        )
    return struct.pack("=H2s4s8x", socket.AF_INET, struct.pack("!H", port), socket.inet_pton(socket.AF_INET, host))


def unpack_address(data: bytes, offset: int = 0) -> tuple[tuple[str, int] | None, int]:
    """Return ((host, port) or None for "any", size of the sockaddr)."""
    (family,) = struct.unpack_from("=H", data, offset)
    if family == socket.AF_INET:
        (port,) = struct.unpack_from("!H", data, offset + 2)
        return (socket.inet_ntop(socket.AF_INET, data[offset + 4 : offset + 8]), port), 16
    if family == socket.AF_INET6:
        (port,) = struct.unpack_from("!H", data, offset + 2)
        host = canonical(socket.inet_ntop(socket.AF_INET6, data[offset + 8 : offset + 24]))
        (scope,) = struct.unpack_from("=I", data, offset + 24)
        if scope and is_ipv6(host):
            try:
                host += "%" + socket.if_indextoname(scope)
            except OSError:
                host += f"%{scope}"
        return (host, port), 28
    return None, STORAGE


def unpack_addresses(data: bytes, count: int, offset: int = 0) -> list[tuple[str, int]]:
    """Return the addresses of a packed array of sockaddrs."""
    found = []
    for _ in range(count):
        address, size = unpack_address(data, offset)
        offset += size
        if address is not None:
            found.append(address)
    return found


def _converters(fields: str) -> list[tuple[str, str]]:
    return [(name.partition(":")[0], name.partition(":")[2]) for name in fields.split()]


_LAYOUTS: dict[type[Any], tuple[struct.Struct, list[tuple[str, str]]]] = {
    cls: (struct.Struct("=" + form), _converters(fields)) for cls, (form, fields) in _FORMATS.items()
}


def htonl(value: int) -> int:
    """Swap the bytes of 32 bits where the host's order is not the network's. Raises struct.error."""
    return int.from_bytes(struct.pack("!I", value), sys.byteorder)


def htons(value: int) -> int:
    """Swap the bytes of 16 bits where the host's order is not the network's. Raises struct.error."""
    return int.from_bytes(struct.pack("!H", value), sys.byteorder)


def pack(value: Any, family: int = 0) -> bytes:
    """Return the kernel's bytes for a structure, an int or a bool. Raises OSError(EINVAL) for bad numbers."""
    cls = type(value)
    try:
        if cls in _LAYOUTS:
            layout, fields = _LAYOUTS[cls]
            return layout.pack(*(_to_kernel(getattr(value, name), how, family) for name, how in fields))
        special = _PACK.get(cls)
        if special is not None:
            return special(value)
        return _INT.pack(int(value))
    except struct.error as error:
        raise OSError(errno.EINVAL, f"{cls.__name__}: {error}") from None


def _to_kernel(value: Any, how: str, family: int) -> Any:
    if how == "l":
        return htonl(value)
    if how == "s":
        return htons(value)
    if how == "a":
        return pack_address(value, family)
    if how == "o":
        return 0xFFFF if value is None else value
    return value


def _from_kernel(value: Any, how: str) -> Any:
    if how == "l":
        return htonl(value)
    if how == "s":
        return htons(value)
    if how == "a":
        return unpack_address(value)[0]
    return value


def unpack(cls: type[Any], data: bytes) -> Any:
    """Return the structure in the kernel's bytes."""
    if cls is bool:
        return bool(_INT.unpack_from(data)[0])
    if cls is int:
        return _INT.unpack_from(data)[0]
    special = _UNPACK.get(cls)
    if special is not None:
        return special(data)
    layout, fields = _LAYOUTS[cls]
    values = layout.unpack_from(data.ljust(layout.size, b"\0"))
    return cls(**{name: _from_kernel(value, how) for (name, how), value in zip(fields, values)})


def size_of(cls: type[Any]) -> int:
    """Return the size of a fixed structure."""
    if cls in (int, bool):
        return _INT.size
    return _SIZES[cls] if cls in _SIZES else _LAYOUTS[cls][0].size


def _unpack_status(data: bytes) -> s.Status:
    status = s.Status()
    (
        status.assoc_id,
        status.state,
        status.rwnd,
        status.unackdata,
        status.penddata,
        status.instrms,
        status.outstrms,
        status.fragmentation_point,
    ) = _STATUS.unpack_from(data)
    status.primary = unpack(s.PaddrInfo, data[_STATUS.size :])
    return status


def _unpack_chunks(data: bytes) -> s.AuthChunks:
    assoc_id, count = struct.unpack_from("=iI", data)
    return s.AuthChunks(assoc_id, bytes(data[8 : 8 + count]))


def _unpack_hmacs(data: bytes) -> s.HmacAlgo:
    (count,) = struct.unpack_from("=I", data)
    return s.HmacAlgo(struct.unpack_from(f"={count}H", data, 4))


def _unpack_ids(data: bytes) -> s.AssocIds:
    (count,) = struct.unpack_from("=I", data)
    return s.AssocIds(struct.unpack_from(f"={count}i", data, 4))


_PACK: dict[type[Any], Callable[[Any], bytes]] = {
    s.Status: lambda v: struct.pack("=i", v.assoc_id).ljust(size_of(s.Status), b"\0"),
    s.AuthKey: lambda v: struct.pack("=iHH", v.assoc_id, v.keynumber, len(v.key)) + v.key,
    s.HmacAlgo: lambda v: struct.pack(f"=I{len(v.idents)}H", len(v.idents), *v.idents),
    s.AuthChunks: lambda v: struct.pack("=iI", v.assoc_id, 0).ljust(size_of(s.AuthChunks), b"\0"),
    s.AssocIds: lambda v: bytes(size_of(s.AssocIds)),
    s.ResetStreams: lambda v: struct.pack(
        f"=iHH{len(v.streams)}H", v.assoc_id, v.flags, len(v.streams), *v.streams
    ),
}
_UNPACK: dict[type[Any], Callable[[bytes], Any]] = {
    s.Status: _unpack_status,
    s.AuthChunks: _unpack_chunks,
    s.HmacAlgo: _unpack_hmacs,
    s.AssocIds: _unpack_ids,
}
_SIZES: dict[type[Any], int] = {
    s.Status: _STATUS.size + struct.calcsize("=i128siIIII"),
    s.AuthChunks: 8 + 256,
    s.HmacAlgo: 4 + 2 * 16,
    s.AssocIds: 4 + 4 * 16384,
}


def _assoc_change(data: bytes, flags: int) -> n.AssocChange:
    state, error, outbound, inbound, assoc_id = struct.unpack_from("=HHHHi", data, 8)
    return n.AssocChange(assoc_id, state, socket.ntohs(error), outbound, inbound, data[20:], flags)


def _peer_addr_change(data: bytes, flags: int) -> n.PeerAddrChange:
    address, _ = unpack_address(data, 8)
    state, error, assoc_id = struct.unpack_from("=iii", data, 8 + STORAGE)
    return n.PeerAddrChange(assoc_id, address, state, error, flags)


def _remote_error(data: bytes, flags: int) -> n.RemoteErrorEvent:
    (error,) = struct.unpack_from("!H", data, 8)
    (assoc_id,) = struct.unpack_from("=i", data, 12)
    return n.RemoteErrorEvent(assoc_id, error, data[16:], flags)


def _send_failed_old(data: bytes, flags: int) -> n.SendFailedOld:
    (error,) = struct.unpack_from("=I", data, 8)
    size = size_of(s.SndRcvInfo)
    (assoc_id,) = struct.unpack_from("=i", data, 12 + size)
    return n.SendFailedOld(assoc_id, error, unpack(s.SndRcvInfo, data[12:]), data[16 + size :], flags)


def _send_failed(data: bytes, flags: int) -> n.SendFailedEvent:
    (error,) = struct.unpack_from("=I", data, 8)
    size = size_of(s.SndInfo)
    (assoc_id,) = struct.unpack_from("=i", data, 12 + size)
    return n.SendFailedEvent(assoc_id, error, unpack(s.SndInfo, data[12:]), data[16 + size :], flags)


def _shutdown(data: bytes, flags: int) -> n.ShutdownEvent:
    return n.ShutdownEvent(struct.unpack_from("=i", data, 8)[0], flags)


def _adaptation(data: bytes, flags: int) -> n.AdaptationEvent:
    indication, assoc_id = struct.unpack_from("=Ii", data, 8)
    return n.AdaptationEvent(assoc_id, indication, flags)


def _partial_delivery(data: bytes, flags: int) -> n.PartialDeliveryEvent:
    indication, assoc_id, stream, seq = struct.unpack_from("=IiII", data.ljust(24, b"\0"), 8)
    return n.PartialDeliveryEvent(assoc_id, indication, stream, seq, flags)


def _authentication(data: bytes, flags: int) -> n.AuthenticationEvent:
    key, other, indication, assoc_id = struct.unpack_from("=HHIi", data, 8)
    return n.AuthenticationEvent(assoc_id, key, other, indication, flags)


def _sender_dry(data: bytes, flags: int) -> n.SenderDryEvent:
    return n.SenderDryEvent(struct.unpack_from("=i", data, 8)[0], flags)


def _stream_reset(data: bytes, flags: int) -> n.StreamResetEvent:
    count = (len(data) - 12) // 2
    return n.StreamResetEvent(
        struct.unpack_from("=i", data, 8)[0], struct.unpack_from(f"={count}H", data, 12), flags
    )


def _assoc_reset(data: bytes, flags: int) -> n.AssocResetEvent:
    assoc_id, local, remote = struct.unpack_from("=iII", data, 8)
    return n.AssocResetEvent(assoc_id, local, remote, flags)


def _stream_change(data: bytes, flags: int) -> n.StreamChangeEvent:
    assoc_id, inbound, outbound = struct.unpack_from("=iHH", data, 8)
    return n.StreamChangeEvent(assoc_id, inbound, outbound, flags)


_NOTIFICATIONS: dict[int, Callable[[bytes, int], n.Notification]] = {
    c.SCTP_ASSOC_CHANGE: _assoc_change,
    c.SCTP_PEER_ADDR_CHANGE: _peer_addr_change,
    c.SCTP_REMOTE_ERROR: _remote_error,
    c.SCTP_SEND_FAILED: _send_failed_old,
    c.SCTP_SEND_FAILED_EVENT: _send_failed,
    c.SCTP_SHUTDOWN_EVENT: _shutdown,
    c.SCTP_ADAPTATION_INDICATION: _adaptation,
    c.SCTP_PARTIAL_DELIVERY_EVENT: _partial_delivery,
    c.SCTP_AUTHENTICATION_EVENT: _authentication,
    c.SCTP_SENDER_DRY_EVENT: _sender_dry,
    c.SCTP_STREAM_RESET_EVENT: _stream_reset,
    c.SCTP_ASSOC_RESET_EVENT: _assoc_reset,
    c.SCTP_STREAM_CHANGE_EVENT: _stream_change,
}


def unpack_notification(data: bytes) -> n.Notification | None:
    """Return the notification, or None for a type that is not known."""
    type_, flags, length = struct.unpack_from("=HHI", data)
    reader = _NOTIFICATIONS.get(type_)
    return None if reader is None else reader(data[:length], flags)
