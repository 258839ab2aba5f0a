"""The structures of RFC 6458 as typed, slotted dataclasses.

Field names are the RFC's without its prefixes (``snd_sid`` is ``sid``). Payload protocol identifiers are in
host order. Times keep the RFC's units: milliseconds for RTO, heartbeat, SACK delay, lifetimes; seconds for
autoclose. An address is a ``(host, port)`` pair with a numeric host, or None for "any". How they look in memory
is the backends' affair (`backends/kernel_layout.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

Address: TypeAlias = tuple[str, int]


@dataclass(slots=True)
class InitMsg:
    """SCTP_INIT and SCTP_INITMSG, section 5.3.1; 0 keeps the default; ``max_init_timeo`` in ms."""

    num_ostreams: int = 0
    max_instreams: int = 0
    max_attempts: int = 0
    max_init_timeo: int = 0


@dataclass(slots=True)
class SndRcvInfo:
    """SCTP_SNDRCV and SCTP_DEFAULT_SEND_PARAM (deprecated), section 5.3.2; ``timetolive`` in ms."""

    stream: int = 0
    ssn: int = 0
    flags: int = 0
    ppid: int = 0
    context: int = 0
    timetolive: int = 0
    tsn: int = 0
    cumtsn: int = 0
    assoc_id: int = 0


@dataclass(slots=True)
class ExtRcvInfo:
    """SCTP_EXTRCV (deprecated), section 5.3.3: SndRcvInfo's fields and what is known of the next message."""

    stream: int = 0
    ssn: int = 0
    flags: int = 0
    ppid: int = 0
    context: int = 0
    pr_value: int = 0
    tsn: int = 0
    cumtsn: int = 0
    next_flags: int = 0
    next_stream: int = 0
    next_aid: int = 0
    next_length: int = 0
    next_ppid: int = 0
    assoc_id: int = 0


@dataclass(slots=True)
class SndInfo:
    """SCTP_SNDINFO and SCTP_DEFAULT_SNDINFO, section 5.3.4."""

    sid: int = 0
    flags: int = 0
    ppid: int = 0
    context: int = 0
    assoc_id: int = 0


@dataclass(slots=True)
class RcvInfo:
    """SCTP_RCVINFO, section 5.3.5."""

    sid: int = 0
    ssn: int = 0
    flags: int = 0
    ppid: int = 0
    tsn: int = 0
    cumtsn: int = 0
    context: int = 0
    assoc_id: int = 0


@dataclass(slots=True)
class NxtInfo:
    """SCTP_NXTINFO, section 5.3.6: the message behind this one."""

    sid: int = 0
    flags: int = 0
    ppid: int = 0
    length: int = 0
    assoc_id: int = 0


@dataclass(slots=True)
class PrInfo:
    """SCTP_PRINFO, section 5.3.7; ``value``: ms, retransmissions or priority, as ``policy`` says."""

    policy: int = 0
    value: int = 0


@dataclass(slots=True)
class AuthInfo:
    """SCTP_AUTHINFO, section 5.3.8."""

    keynumber: int = 0


@dataclass(slots=True)
class SendvSpa:
    """sctp_sendv_spa, section 9.12: what is not None is valid."""

    sndinfo: SndInfo | None = None
    prinfo: PrInfo | None = None
    authinfo: AuthInfo | None = None


@dataclass(slots=True)
class RecvvRn:
    """sctp_recvv_rn, section 9.13."""

    rcvinfo: RcvInfo
    nxtinfo: NxtInfo


@dataclass(slots=True)
class RtoInfo:
    """SCTP_RTOINFO, section 8.1.1; ms; 0 keeps a value."""

    assoc_id: int = 0
    initial: int = 0
    max: int = 0
    min: int = 0


@dataclass(slots=True)
class AssocParams:
    """SCTP_ASSOCINFO, section 8.1.2; ``cookie_life`` in ms; 0 keeps a value."""

    assoc_id: int = 0
    asocmaxrxt: int = 0
    number_peer_destinations: int = 0
    peer_rwnd: int = 0
    local_rwnd: int = 0
    cookie_life: int = 0


@dataclass(slots=True)
class SetPrim:
    """SCTP_PRIMARY_ADDR, section 8.1.9."""

    assoc_id: int = 0
    addr: Address | None = None


@dataclass(slots=True)
class SetPeerPrim:
    """SCTP_SET_PEER_PRIMARY_ADDR, section 8.3.1."""

    assoc_id: int = 0
    addr: Address | None = None


@dataclass(slots=True)
class SetAdaptation:
    """SCTP_ADAPTATION_LAYER, section 8.1.10."""

    adaptation_ind: int = 0


@dataclass(slots=True)
class PaddrParams:
    """SCTP_PEER_ADDR_PARAMS, section 8.1.12; ``hbinterval`` in ms; ``address`` None: the whole association."""

    assoc_id: int = 0
    address: Address | None = None
    hbinterval: int = 0
    pathmaxrxt: int = 0
    pathmtu: int = 0
    sackdelay: int = 0
    flags: int = 0
    ipv6_flowlabel: int = 0
    dscp: int = 0


@dataclass(slots=True)
class SackInfo:
    """SCTP_DELAYED_SACK, section 8.1.19; ``delay`` in ms; 0 keeps a value; ``freq`` 1 switches delay off."""

    assoc_id: int = 0
    delay: int = 0
    freq: int = 0


@dataclass(slots=True)
class AssocValue:
    """struct sctp_assoc_value: of SCTP_CONTEXT, SCTP_MAXSEG, SCTP_MAX_BURST, and others."""

    assoc_id: int = 0
    value: int = 0


@dataclass(slots=True)
class StreamValue:
    """struct sctp_stream_value of SCTP_STREAM_SCHEDULER_VALUE, RFC 8260 section 4.3.3."""

    assoc_id: int = 0
    stream_id: int = 0
    stream_value: int = 0


@dataclass(slots=True)
class Event:
    """SCTP_EVENT, section 6.2.2: one notification type, on or off."""

    assoc_id: int = 0
    type: int = 0
    on: bool = False


@dataclass(slots=True)
class EventSubscribe:
    """SCTP_EVENTS (deprecated), section 6.2.1; the last three are Linux's extension."""

    data_io: bool = False
    association: bool = False
    address: bool = False
    send_failure: bool = False
    peer_error: bool = False
    shutdown: bool = False
    partial_delivery: bool = False
    adaptation_layer: bool = False
    authentication: bool = False
    sender_dry: bool = False
    stream_reset: bool = False
    assoc_reset: bool = False
    stream_change: bool = False
    send_failure_event: bool = False


@dataclass(slots=True)
class PaddrInfo:
    """SCTP_GET_PEER_ADDR_INFO, section 8.2.2; ``srtt`` and ``rto`` in ms, ``cwnd`` and ``mtu`` in bytes."""

    assoc_id: int = 0
    address: Address | None = None
    state: int = 0
    cwnd: int = 0
    srtt: int = 0
    rto: int = 0
    mtu: int = 0


@dataclass(slots=True)
class Status:
    """SCTP_STATUS, section 8.2.1."""

    assoc_id: int = 0
    state: int = 0
    rwnd: int = 0
    unackdata: int = 0
    penddata: int = 0
    instrms: int = 0
    outstrms: int = 0
    fragmentation_point: int = 0
    primary: PaddrInfo = field(default_factory=PaddrInfo)


@dataclass(slots=True)
class AuthChunk:
    """SCTP_AUTH_CHUNK, section 8.3.2."""

    chunk: int = 0


@dataclass(slots=True)
class HmacAlgo:
    """SCTP_HMAC_IDENT, section 8.1.17, most wanted first."""

    idents: tuple[int, ...] = ()


@dataclass(slots=True)
class AuthKey:
    """SCTP_AUTH_KEY, section 8.3.3."""

    assoc_id: int = 0
    keynumber: int = 0
    key: bytes = b""


@dataclass(slots=True)
class AuthKeyId:
    """SCTP_AUTH_ACTIVE_KEY, SCTP_AUTH_DEACTIVATE_KEY, SCTP_AUTH_DELETE_KEY, sections 8.1.18, 8.3.4, 8.3.5."""

    assoc_id: int = 0
    keynumber: int = 0


@dataclass(slots=True)
class AuthChunks:
    """SCTP_PEER_AUTH_CHUNKS and SCTP_LOCAL_AUTH_CHUNKS, sections 8.2.3 and 8.2.4."""

    assoc_id: int = 0
    chunks: bytes = b""


@dataclass(slots=True)
class AssocIds:
    """SCTP_GET_ASSOC_ID_LIST, section 8.2.6."""

    ids: tuple[int, ...] = ()


@dataclass(slots=True)
class UdpEncaps:
    """SCTP_REMOTE_UDP_ENCAPS_PORT, RFC 6951 section 6.1; ``port`` 0: no encapsulation."""

    assoc_id: int = 0
    address: Address | None = None
    port: int = 0


@dataclass(slots=True)
class PaddrThlds:
    """SCTP_PEER_ADDR_THLDS, RFC 7829 section 7.2.

    ``pathcpthld`` (primary path switchover): 65535 switches it off; None keeps it, and says that it is not known.
    """

    assoc_id: int = 0
    address: Address | None = None
    pathmaxrxt: int = 0
    pathpfthld: int = 0
    pathcpthld: int | None = None


@dataclass(slots=True)
class PrStatus:
    """SCTP_PR_STREAM_STATUS and SCTP_PR_ASSOC_STATUS, RFC 7496 sections 4.3 and 4.4."""

    assoc_id: int = 0
    sid: int = 0
    policy: int = 0
    abandoned_unsent: int = 0
    abandoned_sent: int = 0


@dataclass(slots=True)
class DefaultPrInfo:
    """SCTP_DEFAULT_PRINFO, section 8.1.32."""

    assoc_id: int = 0
    value: int = 0
    policy: int = 0


@dataclass(slots=True)
class ResetStreams:
    """SCTP_RESET_STREAMS, RFC 6525 section 6.3.2; no streams: all of them."""

    assoc_id: int = 0
    flags: int = 0
    streams: tuple[int, ...] = ()


@dataclass(slots=True)
class AddStreams:
    """SCTP_ADD_STREAMS, RFC 6525 section 6.3.4."""

    assoc_id: int = 0
    instrms: int = 0
    outstrms: int = 0


@dataclass(slots=True)
class ProbeInterval:
    """SCTP_PLPMTUD_PROBE_INTERVAL (Linux); ms, 0: off."""

    assoc_id: int = 0
    address: Address | None = None
    interval: int = 0
