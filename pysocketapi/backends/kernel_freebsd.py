"""FreeBSD's layouts and numbers, where they differ from Linux's (sys/netinet/sctp.h and sctp_uio.h of FreeBSD 14).

Structures have their fields in another order and natural padding; options, flags, policies, notifications and
states have other numbers. libusrsctp is made of the same code: tests compare these tables with its header. Options
that take numbers of FreeBSD's own, above all those of stream schedulers, are left out.
"""

from __future__ import annotations

from typing import Any

from .. import constants as c
from .. import notifications as n
from .. import structures as s
from .kernel_layout import Layout

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
REST_LOST: dict[int, int] = {c.SCTP_PARTIAL_DELIVERY_ABORTED: 1}
SENT: dict[int, int] = {c.SCTP_DATA_UNSENT: 1, c.SCTP_DATA_SENT: 2}

# The letters are those of `Layout.values` at the end.
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
    s.Status: (
        "IiIHHHHI152s",
        "assoc_id state:t rwnd unackdata penddata instrms outstrms fragmentation_point primary:P",
    ),
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
_NOTES: dict[type[Any], tuple[str, str, str]] = {
    n.AssocChange: ("HHHHI", "state:c error outbound_streams inbound_streams assoc_id", "info"),
    n.PeerAddrChange: ("128sIII", "address:a state:d error assoc_id", ""),
    n.RemoteErrorEvent: ("H2xI", "error assoc_id", "data"),
    n.SendFailedOld: ("I128sI", "error info:D assoc_id", "data"),
    n.SendFailedEvent: ("I16sI", "error info:S assoc_id", "data"),
    n.ShutdownEvent: ("I", "assoc_id", ""),
    n.AdaptationEvent: ("II", "adaptation_ind assoc_id", ""),
    n.PartialDeliveryEvent: ("IHHI", "indication:r stream seq assoc_id", ""),
    n.AuthenticationEvent: ("HHII", "keynumber altkeynumber indication:k assoc_id", ""),
    n.SenderDryEvent: ("I", "assoc_id", ""),
    n.StreamResetEvent: ("I", "assoc_id", "streams:H"),
    n.AssocResetEvent: ("III", "assoc_id local_tsn remote_tsn", ""),
    n.StreamChangeEvent: ("IHH", "assoc_id instrms outstrms", ""),
}

LAYOUT = Layout(
    formats=_FORMATS,
    notes=_NOTES,
    families=(2, 28),
    notification=0x2000,
    assoc_id="I",
    lengths=True,
    options=OPTIONS,
    ancillary=ANCILLARY,
    flags=FLAGS,
    types=EVENTS,
    values={
        "v": POLICIES,
        "e": EVENTS,
        "p": PATH_STATES,
        "t": STATES,
        "c": ASSOC_CHANGES,
        "d": PATH_CHANGES,
        "k": KEY_CHANGES,
        "r": REST_LOST,
        "x": SENT,
    },
    note_flags={n.SendFailedOld: "x", n.SendFailedEvent: "x"},
)
