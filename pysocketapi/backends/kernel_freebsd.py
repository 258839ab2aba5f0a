"""FreeBSD's layouts and numbers, where they differ from Linux's (sys/netinet/sctp.h and sctp_uio.h of FreeBSD 14).

Structures have their fields in another order and natural padding; options, flags, policies, notifications and
states have other numbers. libusrsctp is made of the same code: tests compare these tables with its header. Options
that take numbers of FreeBSD's own, above all those of stream schedulers, are left out.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from .. import constants as c
from .. import notifications as n
from .. import structures as s
from .kernel_layout import STORAGE, Layout, Reader

OPTIONS: dict[int, int] = {
    c.SCTP_RTOINFO: 0x01,
    c.SCTP_ASSOCINFO: 0x02,
    c.SCTP_INITMSG: 0x03,
    c.SCTP_NODELAY: 0x04,
    c.SCTP_AUTOCLOSE: 0x05,
    c.SCTP_SET_PEER_PRIMARY_ADDR: 0x06,
    c.SCTP_PRIMARY_ADDR: 0x07,
    c.SCTP_ADAPTATION_LAYER: 0x08,
    c.SCTP_DISABLE_FRAGMENTS: 0x09,
    c.SCTP_PEER_ADDR_PARAMS: 0x0A,
    c.SCTP_DEFAULT_SEND_PARAM: 0x0B,
    c.SCTP_EVENTS: 0x0C,
    c.SCTP_I_WANT_MAPPED_V4_ADDR: 0x0D,
    c.SCTP_MAXSEG: 0x0E,
    c.SCTP_DELAYED_SACK: 0x0F,
    c.SCTP_FRAGMENT_INTERLEAVE: 0x10,
    c.SCTP_PARTIAL_DELIVERY_POINT: 0x11,
    c.SCTP_AUTH_CHUNK: 0x12,
    c.SCTP_AUTH_KEY: 0x13,
    c.SCTP_HMAC_IDENT: 0x14,
    c.SCTP_AUTH_ACTIVE_KEY: 0x15,
    c.SCTP_AUTH_DELETE_KEY: 0x16,
    c.SCTP_AUTO_ASCONF: 0x18,
    c.SCTP_MAX_BURST: 0x19,
    c.SCTP_CONTEXT: 0x1A,
    c.SCTP_REUSE_PORT: 0x1C,
    c.SCTP_AUTH_DEACTIVATE_KEY: 0x1D,
    c.SCTP_EVENT: 0x1E,
    c.SCTP_RECVRCVINFO: 0x1F,
    c.SCTP_RECVNXTINFO: 0x20,
    c.SCTP_DEFAULT_SNDINFO: 0x21,
    c.SCTP_DEFAULT_PRINFO: 0x22,
    c.SCTP_PEER_ADDR_THLDS: 0x23,
    c.SCTP_REMOTE_UDP_ENCAPS_PORT: 0x24,
    c.SCTP_ECN_SUPPORTED: 0x25,
    c.SCTP_PR_SUPPORTED: 0x26,
    c.SCTP_AUTH_SUPPORTED: 0x27,
    c.SCTP_ASCONF_SUPPORTED: 0x28,
    c.SCTP_RECONFIG_SUPPORTED: 0x29,
    c.SCTP_ACCEPT_ZERO_CHECKSUM: 0x33,
    c.SCTP_STATUS: 0x100,
    c.SCTP_GET_PEER_ADDR_INFO: 0x101,
    c.SCTP_PEER_AUTH_CHUNKS: 0x102,
    c.SCTP_LOCAL_AUTH_CHUNKS: 0x103,
    c.SCTP_GET_ASSOC_NUMBER: 0x104,
    c.SCTP_GET_ASSOC_ID_LIST: 0x105,
    c.SCTP_PR_STREAM_STATUS: 0x107,
    c.SCTP_PR_ASSOC_STATUS: 0x108,
    c.SCTP_ENABLE_STREAM_RESET: 0x900,
    c.SCTP_RESET_STREAMS: 0x901,
    c.SCTP_RESET_ASSOC: 0x902,
    c.SCTP_ADD_STREAMS: 0x903,
    c.SCTP_INTERLEAVING_SUPPORTED: 0x1206,
}
ANCILLARY: dict[int, int] = {
    c.SCTP_INIT: 1,
    c.SCTP_SNDRCV: 2,
    c.SCTP_EXTRCV: 3,
    c.SCTP_SNDINFO: 4,
    c.SCTP_RCVINFO: 5,
    c.SCTP_NXTINFO: 6,
    c.SCTP_PRINFO: 7,
    c.SCTP_AUTHINFO: 8,
    c.SCTP_DSTADDRV4: 9,
    c.SCTP_DSTADDRV6: 10,
}
FLAGS: dict[int, int] = {
    c.SCTP_NOTIFICATION: 0x0010,
    c.SCTP_COMPLETE: 0x0020,
    c.SCTP_EOF: 0x0100,
    c.SCTP_ABORT: 0x0200,
    c.SCTP_UNORDERED: 0x0400,
    c.SCTP_ADDR_OVER: 0x0800,
    c.SCTP_SENDALL: 0x1000,
    c.SCTP_EOR: 0x2000,
    c.SCTP_SACK_IMMEDIATELY: 0x4000,
}
POLICIES: dict[int, int] = {
    c.SCTP_PR_SCTP_NONE: 0,
    c.SCTP_PR_SCTP_TTL: 1,
    c.SCTP_PR_SCTP_PRIO: 2,
    c.SCTP_PR_SCTP_RTX: 3,
    c.SCTP_PR_SCTP_ALL: 15,
}
EVENTS: dict[int, int] = {
    c.SCTP_ASSOC_CHANGE: 1,
    c.SCTP_PEER_ADDR_CHANGE: 2,
    c.SCTP_REMOTE_ERROR: 3,
    c.SCTP_SEND_FAILED: 4,
    c.SCTP_SHUTDOWN_EVENT: 5,
    c.SCTP_ADAPTATION_INDICATION: 6,
    c.SCTP_PARTIAL_DELIVERY_EVENT: 7,
    c.SCTP_AUTHENTICATION_EVENT: 8,
    c.SCTP_STREAM_RESET_EVENT: 9,
    c.SCTP_SENDER_DRY_EVENT: 10,
    c.SCTP_NOTIFICATIONS_STOPPED_EVENT: 11,
    c.SCTP_ASSOC_RESET_EVENT: 12,
    c.SCTP_STREAM_CHANGE_EVENT: 13,
    c.SCTP_SEND_FAILED_EVENT: 14,
}
STATES: dict[int, int] = {
    c.SCTP_CLOSED: 0x0000,
    c.SCTP_COOKIE_WAIT: 0x0002,
    c.SCTP_COOKIE_ECHOED: 0x0004,
    c.SCTP_ESTABLISHED: 0x0008,
    c.SCTP_SHUTDOWN_SENT: 0x0010,
    c.SCTP_SHUTDOWN_RECEIVED: 0x0020,
    c.SCTP_SHUTDOWN_ACK_SENT: 0x0040,
    c.SCTP_SHUTDOWN_PENDING: 0x0080,
}
PATH_STATES: dict[int, int] = {c.SCTP_ACTIVE: 0x0001, c.SCTP_INACTIVE: 0x0002, c.SCTP_UNCONFIRMED: 0x0200}
ASSOC_CHANGES: dict[int, int] = {
    c.SCTP_COMM_UP: 1,
    c.SCTP_COMM_LOST: 2,
    c.SCTP_RESTART: 3,
    c.SCTP_SHUTDOWN_COMP: 4,
    c.SCTP_CANT_STR_ASSOC: 5,
}
PATH_CHANGES: dict[int, int] = {
    c.SCTP_ADDR_AVAILABLE: 1,
    c.SCTP_ADDR_UNREACHABLE: 2,
    c.SCTP_ADDR_REMOVED: 3,
    c.SCTP_ADDR_ADDED: 4,
    c.SCTP_ADDR_MADE_PRIM: 5,
    c.SCTP_ADDR_CONFIRMED: 6,
}
KEY_CHANGES: dict[int, int] = {c.SCTP_AUTH_NEW_KEY: 1, c.SCTP_AUTH_NO_AUTH: 2, c.SCTP_AUTH_FREE_KEY: 3}
SENT: dict[int, int] = {c.SCTP_DATA_UNSENT: 1, c.SCTP_DATA_SENT: 2}

# The letters of `Layout.values`: v policies, e notifications, p states of paths.
_FORMATS: dict[type[Any], tuple[str, str]] = {
    s.InitMsg: ("HHHH", "num_ostreams max_instreams max_attempts max_init_timeo"),
    # Two fields for a key and 92 bytes of reserve follow.
    s.SndRcvInfo: ("HHH2xIIIIII96x", "stream ssn flags:f ppid:l context timetolive tsn cumtsn assoc_id"),
    s.SndInfo: ("HHIII", "sid flags:f ppid:l context assoc_id"),
    s.RcvInfo: ("HHH2xIIIII", "sid ssn flags:f ppid:l tsn cumtsn context assoc_id"),
    s.NxtInfo: ("HHIII", "sid flags:f ppid:l length assoc_id"),
    s.PrInfo: ("H2xI", "policy:v value"),
    s.DefaultPrInfo: ("H2xII", "policy:v value assoc_id"),
    s.AuthInfo: ("H", "keynumber"),
    s.RtoInfo: ("IIII", "assoc_id initial max min"),
    s.AssocParams: ("IIIIHH", "assoc_id peer_rwnd local_rwnd cookie_life asocmaxrxt number_peer_destinations"),
    s.SetPrim: ("128sI4x", "addr:a assoc_id"),
    s.SetPeerPrim: ("128sI4x", "addr:a assoc_id"),
    s.SetAdaptation: ("I", "adaptation_ind"),
    s.PaddrParams: (
        "128sIIIIIHBx",
        "address:a assoc_id hbinterval pathmtu flags ipv6_flowlabel pathmaxrxt dscp",
    ),
    s.PaddrThlds: ("128sIHHH6x", "address:a assoc_id pathmaxrxt pathpfthld pathcpthld:o"),
    s.PaddrInfo: ("128sIiIIII", "address:a assoc_id state:p cwnd srtt rto mtu"),
    s.SackInfo: ("III", "assoc_id delay freq"),
    s.AssocValue: ("II", "assoc_id value"),
    s.StreamValue: ("IHH", "assoc_id stream_id stream_value"),
    s.Event: ("IH?x", "assoc_id type:e on"),
    s.EventSubscribe: (
        "11?",
        "data_io association address send_failure peer_error shutdown partial_delivery adaptation_layer "
        "authentication sender_dry stream_reset",
    ),
    s.AuthChunk: ("B", "chunk"),
    s.AuthKeyId: ("IH2x", "assoc_id keynumber"),
    s.UdpEncaps: ("128sIH2x", "address:a assoc_id port:s"),
    s.PrStatus: ("IHHQQ", "assoc_id sid policy:v abandoned_unsent abandoned_sent"),
    s.AddStreams: ("IHH", "assoc_id instrms outstrms"),
}
_STATUS = struct.Struct("=IiIHHHHI")


def _ours(table: dict[int, int], theirs: int) -> int:
    return next((ours for ours, other in table.items() if other == theirs), theirs)


def _unpack_status(data: bytes) -> s.Status:
    assoc_id, state, rwnd, unacked, pending, inbound, outbound, point = _STATUS.unpack_from(data)
    primary = LAYOUT.unpack(s.PaddrInfo, data[_STATUS.size :])
    return s.Status(assoc_id, _ours(STATES, state), rwnd, unacked, pending, inbound, outbound, point, primary)


def _unpack_chunks(data: bytes) -> s.AuthChunks:
    assoc_id, count = struct.unpack_from("=II", data)
    return s.AuthChunks(assoc_id, bytes(data[8 : 8 + count]))


def _unpack_list(code: str, data: bytes) -> tuple[int, ...]:
    (count,) = struct.unpack_from("=I", data)
    return struct.unpack_from(f"={count}{code}", data, 4)


_SIZES: dict[type[Any], int] = {
    s.Status: _STATUS.size + 152,
    s.AuthChunks: 8 + 256,
    s.HmacAlgo: 4 + 2 * 16,
    s.AssocIds: 4 + 4 * 16384,
}
_PACK: dict[type[Any], Callable[[Any], bytes]] = {
    s.Status: lambda v: struct.pack("=I", v.assoc_id).ljust(_SIZES[s.Status], b"\0"),
    s.AuthKey: lambda v: struct.pack("=IHH", v.assoc_id, v.keynumber, len(v.key)) + v.key,
    s.HmacAlgo: lambda v: struct.pack(f"=I{len(v.idents)}H", len(v.idents), *v.idents),
    s.AuthChunks: lambda v: struct.pack("=II", v.assoc_id, 0).ljust(_SIZES[s.AuthChunks], b"\0"),
    s.AssocIds: lambda v: bytes(_SIZES[s.AssocIds]),
    s.ResetStreams: lambda v: struct.pack(
        f"=IHH{len(v.streams)}H", v.assoc_id, v.flags, len(v.streams), *v.streams
    ),
}
_UNPACK: dict[type[Any], Callable[[bytes], Any]] = {
    s.Status: _unpack_status,
    s.AuthChunks: _unpack_chunks,
    s.HmacAlgo: lambda data: s.HmacAlgo(_unpack_list("H", data)),
    s.AssocIds: lambda data: s.AssocIds(_unpack_list("I", data)),
}


def _assoc_change(data: bytes, flags: int) -> n.AssocChange:
    state, error, outbound, inbound, assoc_id = struct.unpack_from("=HHHHI", data, 8)
    return n.AssocChange(assoc_id, _ours(ASSOC_CHANGES, state), error, outbound, inbound, data[20:], flags)


def _peer_addr_change(data: bytes, flags: int) -> n.PeerAddrChange:
    address, _ = LAYOUT.unpack_address(data, 8)
    state, error, assoc_id = struct.unpack_from("=III", data, 8 + STORAGE)
    return n.PeerAddrChange(assoc_id, address, _ours(PATH_CHANGES, state), error, flags)


def _remote_error(data: bytes, flags: int) -> n.RemoteErrorEvent:
    error, assoc_id = struct.unpack_from("=H2xI", data, 8)
    return n.RemoteErrorEvent(assoc_id, error, data[16:], flags)


def _send_failed_old(data: bytes, flags: int) -> n.SendFailedOld:
    (error,) = struct.unpack_from("=I", data, 8)
    (assoc_id,) = struct.unpack_from("=I", data, 140)
    info = LAYOUT.unpack(s.SndRcvInfo, data[12:140])
    return n.SendFailedOld(assoc_id, error, info, data[144:], _ours(SENT, flags))


def _send_failed(data: bytes, flags: int) -> n.SendFailedEvent:
    (error,) = struct.unpack_from("=I", data, 8)
    (assoc_id,) = struct.unpack_from("=I", data, 28)
    info = LAYOUT.unpack(s.SndInfo, data[12:28])
    return n.SendFailedEvent(assoc_id, error, info, data[32:], _ours(SENT, flags))


def _shutdown(data: bytes, flags: int) -> n.ShutdownEvent:
    return n.ShutdownEvent(struct.unpack_from("=I", data, 8)[0], flags)


def _adaptation(data: bytes, flags: int) -> n.AdaptationEvent:
    indication, assoc_id = struct.unpack_from("=II", data, 8)
    return n.AdaptationEvent(assoc_id, indication, flags)


def _partial_delivery(data: bytes, flags: int) -> n.PartialDeliveryEvent:
    indication, stream, seq, assoc_id = struct.unpack_from("=IHHI", data, 8)
    return n.PartialDeliveryEvent(assoc_id, indication - 1, stream, seq, flags)


def _authentication(data: bytes, flags: int) -> n.AuthenticationEvent:
    key, other, indication, assoc_id = struct.unpack_from("=HHII", data, 8)
    return n.AuthenticationEvent(assoc_id, key, other, _ours(KEY_CHANGES, indication), flags)


def _sender_dry(data: bytes, flags: int) -> n.SenderDryEvent:
    return n.SenderDryEvent(struct.unpack_from("=I", data, 8)[0], flags)


def _stream_reset(data: bytes, flags: int) -> n.StreamResetEvent:
    count = (len(data) - 12) // 2
    (assoc_id,) = struct.unpack_from("=I", data, 8)
    return n.StreamResetEvent(assoc_id, struct.unpack_from(f"={count}H", data, 12), flags)


def _assoc_reset(data: bytes, flags: int) -> n.AssocResetEvent:
    assoc_id, local, remote = struct.unpack_from("=III", data, 8)
    return n.AssocResetEvent(assoc_id, local, remote, flags)


def _stream_change(data: bytes, flags: int) -> n.StreamChangeEvent:
    assoc_id, inbound, outbound = struct.unpack_from("=IHH", data, 8)
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
    families=(2, 28),
    notification=0x2000,
    readers=_READERS,
    lengths=True,
    options=OPTIONS,
    ancillary=ANCILLARY,
    flags=FLAGS,
    types=EVENTS,
    values={"v": POLICIES, "e": EVENTS, "p": PATH_STATES},
    packing=_PACK,
    unpacking=_UNPACK,
    sizes=_SIZES,
)
