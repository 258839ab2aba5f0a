"""Linux's layouts of RFC 6458's structures and notifications (include/uapi/linux/sctp.h).

Only bytes <-> objects; no sockets here. Some structures are packed in the kernel, others padded by sockaddr's
alignment of 8: each format says so itself.
"""

from __future__ import annotations

from typing import Any

from .. import notifications as n
from .. import structures as s
from .kernel_layout import Layout

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
    s.Status: (
        "iiIHHHHI152s",
        "assoc_id state rwnd unackdata penddata instrms outstrms fragmentation_point primary:P",
    ),
    s.ProbeInterval: ("i4x128sI4x", "assoc_id address:a interval"),
}
_NOTES: dict[type[Any], tuple[str, str, str]] = {
    n.AssocChange: ("HHHHi", "state error:s outbound_streams inbound_streams assoc_id", "info"),
    n.PeerAddrChange: ("128siii", "address:a state error assoc_id", ""),
    n.RemoteErrorEvent: ("H2xi", "error:s assoc_id", "data"),
    n.SendFailedOld: ("I32si", "error info:D assoc_id", "data"),
    n.SendFailedEvent: ("I16si", "error info:S assoc_id", "data"),
    n.ShutdownEvent: ("i", "assoc_id", ""),
    n.AdaptationEvent: ("Ii", "adaptation_ind assoc_id", ""),
    n.PartialDeliveryEvent: ("IiII", "indication assoc_id stream seq", ""),  # the last two since Linux 5.0
    n.AuthenticationEvent: ("HHIi", "keynumber altkeynumber indication assoc_id", ""),
    n.SenderDryEvent: ("i", "assoc_id", ""),
    n.StreamResetEvent: ("i", "assoc_id", "streams:H"),
    n.AssocResetEvent: ("iII", "assoc_id local_tsn remote_tsn", ""),
    n.StreamChangeEvent: ("iHH", "assoc_id instrms outstrms", ""),
}

LAYOUT = Layout(formats=_FORMATS, notes=_NOTES, families=(2, 10), notification=0x8000, assoc_id="i")
