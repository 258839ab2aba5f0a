"""The table of socket options: what each takes and gives (RFC 6458 section 8 and the RFCs after it).

Both backends check values by it before they translate them, so a wrong type is the same TypeError on both.
How a backend carries an option out is in its own module. SocketOptions is the short way for asyncio.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from . import constants as c
from . import structures as s


@dataclass(frozen=True, slots=True)
class Option:
    """One option: the type of its value, whether it can be got and set, and the RFC's section."""

    number: int
    name: str
    type: type[Any]
    get: bool
    set: bool
    where: str


def _table() -> dict[int, Option]:
    rows: tuple[tuple[str, type[Any], str, str], ...] = (
        ("SCTP_RTOINFO", s.RtoInfo, "gs", "RFC 6458 §8.1.1"),
        ("SCTP_ASSOCINFO", s.AssocParams, "gs", "RFC 6458 §8.1.2"),
        ("SCTP_INITMSG", s.InitMsg, "gs", "RFC 6458 §8.1.3"),
        ("SCTP_NODELAY", bool, "gs", "RFC 6458 §8.1.5"),
        ("SCTP_AUTOCLOSE", int, "gs", "RFC 6458 §8.1.8"),
        ("SCTP_PRIMARY_ADDR", s.SetPrim, "gs", "RFC 6458 §8.1.9"),
        ("SCTP_ADAPTATION_LAYER", s.SetAdaptation, "gs", "RFC 6458 §8.1.10"),
        ("SCTP_DISABLE_FRAGMENTS", bool, "gs", "RFC 6458 §8.1.11"),
        ("SCTP_PEER_ADDR_PARAMS", s.PaddrParams, "gs", "RFC 6458 §8.1.12"),
        ("SCTP_DEFAULT_SEND_PARAM", s.SndRcvInfo, "gs", "RFC 6458 §8.1.13"),
        ("SCTP_EVENTS", s.EventSubscribe, "gs", "RFC 6458 §6.2.1"),
        ("SCTP_EVENT", s.Event, "gs", "RFC 6458 §8.1.28"),
        ("SCTP_I_WANT_MAPPED_V4_ADDR", bool, "gs", "RFC 6458 §8.1.15"),
        ("SCTP_MAXSEG", s.AssocValue, "gs", "RFC 6458 §8.1.16"),
        ("SCTP_HMAC_IDENT", s.HmacAlgo, "gs", "RFC 6458 §8.1.17"),
        ("SCTP_AUTH_ACTIVE_KEY", s.AuthKeyId, "gs", "RFC 6458 §8.1.18"),
        ("SCTP_DELAYED_SACK", s.SackInfo, "gs", "RFC 6458 §8.1.19"),
        ("SCTP_FRAGMENT_INTERLEAVE", int, "gs", "RFC 6458 §8.1.20"),
        ("SCTP_PARTIAL_DELIVERY_POINT", int, "gs", "RFC 6458 §8.1.21"),
        ("SCTP_USE_EXT_RCVINFO", bool, "gs", "RFC 6458 §8.1.22"),
        ("SCTP_AUTO_ASCONF", bool, "gs", "RFC 6458 §8.1.23"),
        ("SCTP_MAX_BURST", s.AssocValue, "gs", "RFC 6458 §8.1.24"),
        ("SCTP_CONTEXT", s.AssocValue, "gs", "RFC 6458 §8.1.25"),
        ("SCTP_EXPLICIT_EOR", bool, "gs", "RFC 6458 §8.1.26"),
        ("SCTP_REUSE_PORT", bool, "gs", "RFC 6458 §8.1.27"),
        ("SCTP_RECVRCVINFO", bool, "gs", "RFC 6458 §8.1.29"),
        ("SCTP_RECVNXTINFO", bool, "gs", "RFC 6458 §8.1.30"),
        ("SCTP_DEFAULT_SNDINFO", s.SndInfo, "gs", "RFC 6458 §8.1.31"),
        ("SCTP_DEFAULT_PRINFO", s.DefaultPrInfo, "gs", "RFC 6458 §8.1.32"),
        ("SCTP_STATUS", s.Status, "g", "RFC 6458 §8.2.1"),
        ("SCTP_GET_PEER_ADDR_INFO", s.PaddrInfo, "g", "RFC 6458 §8.2.2"),
        ("SCTP_PEER_AUTH_CHUNKS", s.AuthChunks, "g", "RFC 6458 §8.2.3"),
        ("SCTP_LOCAL_AUTH_CHUNKS", s.AuthChunks, "g", "RFC 6458 §8.2.4"),
        ("SCTP_GET_ASSOC_NUMBER", int, "g", "RFC 6458 §8.2.5"),
        ("SCTP_GET_ASSOC_ID_LIST", s.AssocIds, "g", "RFC 6458 §8.2.6"),
        ("SCTP_SET_PEER_PRIMARY_ADDR", s.SetPeerPrim, "s", "RFC 6458 §8.3.1"),
        ("SCTP_AUTH_CHUNK", s.AuthChunk, "s", "RFC 6458 §8.3.2"),
        ("SCTP_AUTH_KEY", s.AuthKey, "s", "RFC 6458 §8.3.3"),
        ("SCTP_AUTH_DEACTIVATE_KEY", s.AuthKeyId, "s", "RFC 6458 §8.3.4"),
        ("SCTP_AUTH_DELETE_KEY", s.AuthKeyId, "s", "RFC 6458 §8.3.5"),
        ("SCTP_REMOTE_UDP_ENCAPS_PORT", s.UdpEncaps, "gs", "RFC 6951 §6.1"),
        ("SCTP_PR_SUPPORTED", s.AssocValue, "gs", "RFC 7496 §4.5"),
        ("SCTP_PR_STREAM_STATUS", s.PrStatus, "g", "RFC 7496 §4.3"),
        ("SCTP_PR_ASSOC_STATUS", s.PrStatus, "g", "RFC 7496 §4.4"),
        ("SCTP_ENABLE_STREAM_RESET", s.AssocValue, "gs", "RFC 6525 §6.3.1"),
        ("SCTP_RESET_STREAMS", s.ResetStreams, "s", "RFC 6525 §6.3.2"),
        ("SCTP_RESET_ASSOC", int, "s", "RFC 6525 §6.3.3"),
        ("SCTP_ADD_STREAMS", s.AddStreams, "s", "RFC 6525 §6.3.4"),
        ("SCTP_RECONFIG_SUPPORTED", s.AssocValue, "gs", "RFC 6525 §6.3.1"),
        ("SCTP_PEER_ADDR_THLDS", s.PaddrThlds, "gs", "RFC 7829 §7.2"),
        ("SCTP_EXPOSE_POTENTIALLY_FAILED_STATE", s.AssocValue, "gs", "RFC 7829 §7.3"),
        ("SCTP_INTERLEAVING_SUPPORTED", s.AssocValue, "gs", "RFC 8260 §4.3.1"),
        ("SCTP_STREAM_SCHEDULER", s.AssocValue, "gs", "RFC 8260 §4.3.2"),
        ("SCTP_STREAM_SCHEDULER_VALUE", s.StreamValue, "gs", "RFC 8260 §4.3.3"),
        ("SCTP_ACCEPT_ZERO_CHECKSUM", int, "gs", "RFC 9653 §6"),
        ("SCTP_ASCONF_SUPPORTED", s.AssocValue, "gs", "Linux"),
        ("SCTP_AUTH_SUPPORTED", s.AssocValue, "gs", "Linux"),
        ("SCTP_ECN_SUPPORTED", s.AssocValue, "gs", "Linux"),
        ("SCTP_PLPMTUD_PROBE_INTERVAL", s.ProbeInterval, "gs", "Linux"),
    )
    return {
        getattr(c, name): Option(getattr(c, name), name, type_, "g" in how, "s" in how, where)
        for name, type_, how, where in rows
    }


OPTIONS = _table()


# Options that SctpSocket does itself, for any backend; asyncio's objects do not need them.
OF_SOCKETS = frozenset((c.SCTP_USE_EXT_RCVINFO, c.SCTP_EXPLICIT_EOR))


@dataclass(slots=True)
class SocketOptions:
    """What an asyncio user chooses for a socket; None keeps the backend's default. Times in seconds.

    ``heartbeat`` 0 switches heartbeats off, ``autoclose`` 0 never closes. Ranges are checked by the backend
    (ValueError or OSError(EINVAL)).
    """

    streams: int | None = None
    max_inbound_streams: int | None = None
    rto_initial: float | None = None
    rto_min: float | None = None
    rto_max: float | None = None
    max_retrans: int | None = None
    path_max_retrans: int | None = None
    max_init_retrans: int | None = None
    init_timeout: float | None = None
    heartbeat: float | None = None
    nodelay: bool | None = None
    sack_delay: float | None = None
    sack_frequency: int | None = None
    autoclose: float | None = None
    send_buffer: int | None = None
    receive_buffer: int | None = None
    max_fragment: int | None = None
    cookie_life: float | None = None
    adaptation: int | None = None
    max_burst: int | None = None
    disable_fragments: bool | None = None
    partial_delivery_point: int | None = None
    remote_udp_port: int | None = None

    def chosen(self) -> dict[str, Any]:
        """Return what is not None, by name."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def as_structures(options: SocketOptions) -> list[tuple[int, Any]]:
    """Return the options as (option, structure) pairs, for a backend that wants RFC 6458's structures.

    Buffer sizes are not among them: they are options of SOL_SOCKET.
    """
    o = options.chosen()
    pairs: list[tuple[int, Any]] = []

    def add(option: int, make: Any, scale: dict[str, Any]) -> None:
        values = {field: convert(o[name]) for name, (field, convert) in scale.items() if name in o}
        if values:
            pairs.append((option, make(**values)))

    add(
        c.SCTP_INITMSG,
        s.InitMsg,
        {
            "streams": ("num_ostreams", int),
            "max_inbound_streams": ("max_instreams", int),
            "max_init_retrans": ("max_attempts", int),
            "init_timeout": ("max_init_timeo", _ms),
        },
    )
    add(
        c.SCTP_RTOINFO,
        s.RtoInfo,
        {"rto_initial": ("initial", _ms), "rto_min": ("min", _ms), "rto_max": ("max", _ms)},
    )
    add(
        c.SCTP_ASSOCINFO,
        s.AssocParams,
        {"max_retrans": ("asocmaxrxt", int), "cookie_life": ("cookie_life", _ms)},
    )
    add(c.SCTP_DELAYED_SACK, s.SackInfo, {"sack_delay": ("delay", _ms), "sack_frequency": ("freq", int)})
    add(c.SCTP_ADAPTATION_LAYER, s.SetAdaptation, {"adaptation": ("adaptation_ind", int)})
    add(c.SCTP_MAXSEG, s.AssocValue, {"max_fragment": ("value", int)})
    add(c.SCTP_MAX_BURST, s.AssocValue, {"max_burst": ("value", int)})
    add(c.SCTP_REMOTE_UDP_ENCAPS_PORT, s.UdpEncaps, {"remote_udp_port": ("port", int)})
    if "heartbeat" in o or "path_max_retrans" in o:
        beat = o.get("heartbeat")
        flags = 0 if beat is None else c.SPP_HB_ENABLE if beat else c.SPP_HB_DISABLE
        pairs.append(
            (
                c.SCTP_PEER_ADDR_PARAMS,
                s.PaddrParams(hbinterval=_ms(beat or 0), pathmaxrxt=o.get("path_max_retrans", 0), flags=flags),
            )
        )
    for name, option in (
        ("nodelay", c.SCTP_NODELAY),
        ("disable_fragments", c.SCTP_DISABLE_FRAGMENTS),
        ("partial_delivery_point", c.SCTP_PARTIAL_DELIVERY_POINT),
    ):
        if name in o:
            pairs.append((option, o[name]))
    if "autoclose" in o:
        pairs.append((c.SCTP_AUTOCLOSE, round(o["autoclose"])))
    return pairs
