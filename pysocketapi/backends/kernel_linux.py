"""Linux's layouts of RFC 6458's structures and notifications (include/uapi/linux/sctp.h).

Only bytes <-> objects; no sockets here. Some structures are packed in the kernel, others padded by sockaddr's
alignment of 8: each format says so itself.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from typing import Any

from .. import constants as c
from .. import notifications as n
from .. import structures as s
from .kernel_layout import STORAGE, Layout, Reader

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
_STATUS = struct.Struct("=iiIHHHHI")


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
    status.primary = LAYOUT.unpack(s.PaddrInfo, data[_STATUS.size :])
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
    s.Status: lambda v: struct.pack("=i", v.assoc_id).ljust(_SIZES[s.Status], b"\0"),
    s.AuthKey: lambda v: struct.pack("=iHH", v.assoc_id, v.keynumber, len(v.key)) + v.key,
    s.HmacAlgo: lambda v: struct.pack(f"=I{len(v.idents)}H", len(v.idents), *v.idents),
    s.AuthChunks: lambda v: struct.pack("=iI", v.assoc_id, 0).ljust(_SIZES[s.AuthChunks], b"\0"),
    s.AssocIds: lambda v: bytes(_SIZES[s.AssocIds]),
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
    address, _ = LAYOUT.unpack_address(data, 8)
    state, error, assoc_id = struct.unpack_from("=iii", data, 8 + STORAGE)
    return n.PeerAddrChange(assoc_id, address, state, error, flags)


def _remote_error(data: bytes, flags: int) -> n.RemoteErrorEvent:
    (error,) = struct.unpack_from("!H", data, 8)
    (assoc_id,) = struct.unpack_from("=i", data, 12)
    return n.RemoteErrorEvent(assoc_id, error, data[16:], flags)


def _send_failed_old(data: bytes, flags: int) -> n.SendFailedOld:
    (error,) = struct.unpack_from("=I", data, 8)
    size = LAYOUT.size_of(s.SndRcvInfo)
    (assoc_id,) = struct.unpack_from("=i", data, 12 + size)
    return n.SendFailedOld(assoc_id, error, LAYOUT.unpack(s.SndRcvInfo, data[12:]), data[16 + size :], flags)


def _send_failed(data: bytes, flags: int) -> n.SendFailedEvent:
    (error,) = struct.unpack_from("=I", data, 8)
    size = LAYOUT.size_of(s.SndInfo)
    (assoc_id,) = struct.unpack_from("=i", data, 12 + size)
    return n.SendFailedEvent(assoc_id, error, LAYOUT.unpack(s.SndInfo, data[12:]), data[16 + size :], flags)


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


_READERS: dict[int, Reader] = {
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


LAYOUT = Layout(
    formats=_FORMATS,
    families=(2, 10),
    notification=0x8000,
    readers=_READERS,
    packing=_PACK,
    unpacking=_UNPACK,
    sizes=_SIZES,
)
