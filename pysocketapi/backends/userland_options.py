"""Socket options of the userland backend: a table from option to a getter and a setter.

RFC 6458 section 8 and RFC 6951, as far as the engine speaks it; anything else is ENOPROTOOPT, said in
docs/reference/socket-options.md. A channel's lock is held by the caller.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import constants as c
from .. import structures as s
from ..addresses import canonical
from . import sending, translate

if TYPE_CHECKING:
    from pysctplib.core.association import Association
    from pysctplib.core.config import Config

    from .userland import UserChannel


def _fail(number: int, text: str = "") -> OSError:
    return OSError(number, text or os.strerror(number))


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def association_of(channel: UserChannel, assoc_id: int) -> Association | None:
    """Return the association meant; None for the socket itself (RFC 6458 section 7.2). Raises OSError(EINVAL)."""
    if not channel.one_to_many:
        return channel.association  # the identifier is ignored
    if assoc_id in (c.SCTP_FUTURE_ASSOC, c.SCTP_CURRENT_ASSOC, c.SCTP_ALL_ASSOC):
        return None
    association = channel.associations.get(assoc_id)
    if association is None:
        raise _fail(errno.EINVAL, f"no association {assoc_id}")
    return association


def _config(channel: UserChannel, assoc_id: int) -> Config:
    association = association_of(channel, assoc_id)
    return channel.config if association is None else association.config


def change(channel: UserChannel, assoc_id: int, values: dict[str, Any]) -> None:
    """Set fields of the configuration of an association or of the socket. Raises OSError(EINVAL)."""
    targets: list[Config] = []
    if channel.one_to_many:
        if assoc_id in (c.SCTP_FUTURE_ASSOC, c.SCTP_ALL_ASSOC):
            targets.append(channel.config)
        if assoc_id in (c.SCTP_CURRENT_ASSOC, c.SCTP_ALL_ASSOC):
            targets += [association.config for association in channel.associations.values()]
        if assoc_id >= c.FIRST_ASSOC_ID:
            targets.append(_config(channel, assoc_id))
    else:
        targets.append(_config(channel, 0))
    for config in targets:
        trial = config.copy()
        for name, value in values.items():
            setattr(trial, name, value)
        try:
            trial.check()
        except ValueError as error:
            raise _fail(errno.EINVAL, str(error)) from None
    for config in targets:
        for name, value in values.items():
            setattr(config, name, value)


def _given(**values: Any) -> dict[str, Any]:
    """Return what is not zero: in many structures zero keeps a value."""
    return {name: value for name, value in values.items() if value}


def _path(association: Association, address: s.Address | None) -> Any:
    if address is None:
        raise _fail(errno.EINVAL, "an address is needed")
    path = association.paths.get(canonical(address[0]))
    if path is None:
        raise _fail(errno.EINVAL, f"{address[0]} is no address of the peer")
    return path


def _paths(association: Association | None, address: s.Address | None) -> list[Any]:
    if association is None:
        return []
    return list(association.paths.values()) if address is None else [_path(association, address)]


def _need(channel: UserChannel, assoc_id: int) -> Association:
    association = association_of(channel, assoc_id)
    if association is None or association.id not in channel.associations:
        raise _fail(errno.EINVAL, "there is no association")
    return association


# Getters take (channel, value or None); setters (channel, value).


def _get_rto(channel: UserChannel, value: s.RtoInfo | None) -> s.RtoInfo:
    assoc_id = value.assoc_id if value else 0
    config = _config(channel, assoc_id)
    return s.RtoInfo(assoc_id, _ms(config.rto_initial), _ms(config.rto_max), _ms(config.rto_min))


def _set_rto(channel: UserChannel, value: s.RtoInfo) -> None:
    given = _given(rto_initial=value.initial / 1000, rto_max=value.max / 1000, rto_min=value.min / 1000)
    change(channel, value.assoc_id, given)
    association = association_of(channel, value.assoc_id)
    if association is not None:
        for path in association.paths.values():
            path.rto_min, path.rto_max = association.config.rto_min, association.config.rto_max


def _get_assoc(channel: UserChannel, value: s.AssocParams | None) -> s.AssocParams:
    assoc_id = value.assoc_id if value else 0
    association = association_of(channel, assoc_id)
    config = _config(channel, assoc_id)
    answer = s.AssocParams(
        assoc_id,
        config.association_max_retrans,
        local_rwnd=config.receive_buffer,
        cookie_life=_ms(config.valid_cookie_life),
    )
    if association is not None:
        answer.number_peer_destinations = len(association.paths)
        answer.peer_rwnd = association.status().peer_rwnd
    return answer


def _set_assoc(channel: UserChannel, value: s.AssocParams) -> None:
    given = _given(association_max_retrans=value.asocmaxrxt, valid_cookie_life=value.cookie_life / 1000)
    change(channel, value.assoc_id, given)


def _get_init(channel: UserChannel, value: None) -> s.InitMsg:
    config = channel.config
    return s.InitMsg(
        config.outbound_streams,
        config.max_inbound_streams,
        config.max_init_retransmits,
        _ms(config.max_init_timeout),
    )


def _set_init(channel: UserChannel, value: s.InitMsg) -> None:
    given = _given(
        outbound_streams=value.num_ostreams,
        max_inbound_streams=value.max_instreams,
        max_init_retransmits=value.max_attempts,
        max_init_timeout=value.max_init_timeo / 1000,
    )
    change(channel, c.SCTP_FUTURE_ASSOC, given)


def _plain(name: str, back: Callable[[Any], Any], to: Callable[[Any], Any]) -> tuple[Any, Any]:
    """Options that are an int or a bool for the whole socket."""

    def get_plain(channel: UserChannel, value: Any) -> Any:
        return back(getattr(_config(channel, 0), name))

    def set_plain(channel: UserChannel, value: Any) -> None:
        if not isinstance(value, bool) and value < 0:
            raise _fail(errno.EINVAL)
        change(channel, c.SCTP_ALL_ASSOC if channel.one_to_many else 0, {name: to(value)})

    return get_plain, set_plain


def _value(name: str, check: Callable[[int], bool] = bool) -> tuple[Any, Any]:
    """Options in struct sctp_assoc_value."""

    def get_value(channel: UserChannel, value: s.AssocValue | None) -> s.AssocValue:
        assoc_id = value.assoc_id if value else 0
        return s.AssocValue(assoc_id, getattr(_config(channel, assoc_id), name))

    def set_value(channel: UserChannel, value: s.AssocValue) -> None:
        change(channel, value.assoc_id, {name: value.value})
        association = association_of(channel, value.assoc_id)
        if name == "max_fragment" and association is not None and association.paths:
            association.refresh_fragment_size()

    return get_value, set_value


def _get_autoclose(channel: UserChannel, value: Any) -> int:
    if not channel.one_to_many:
        raise _fail(errno.EOPNOTSUPP)
    return round(channel.config.autoclose)


def _set_autoclose(channel: UserChannel, value: int) -> None:
    if not channel.one_to_many:
        raise _fail(errno.EOPNOTSUPP)
    change(channel, c.SCTP_FUTURE_ASSOC, {"autoclose": value})


def _get_primary(channel: UserChannel, value: s.SetPrim | None) -> s.SetPrim:
    association = _need(channel, value.assoc_id if value else 0)
    return s.SetPrim(association.id, (association.primary.address, association.peer_port))


def _set_primary(channel: UserChannel, value: s.SetPrim) -> None:
    association = _need(channel, value.assoc_id)
    association.set_primary(_path(association, value.addr).address)


def _get_adaptation(channel: UserChannel, value: Any) -> s.SetAdaptation:
    return s.SetAdaptation(channel.config.adaptation or 0)


def _set_adaptation(channel: UserChannel, value: s.SetAdaptation) -> None:
    change(channel, c.SCTP_FUTURE_ASSOC, {"adaptation": value.adaptation_ind})


def _get_paddr_params(channel: UserChannel, value: s.PaddrParams | None) -> s.PaddrParams:
    value = value or s.PaddrParams()
    association = association_of(channel, value.assoc_id)
    config = _config(channel, value.assoc_id)
    answer = s.PaddrParams(
        value.assoc_id,
        value.address,
        hbinterval=_ms(config.hb_interval),
        pathmaxrxt=config.path_max_retrans,
        pathmtu=config.path_mtu,
        sackdelay=_ms(config.sack_delay),
        flags=c.SPP_HB_ENABLE if config.hb_interval else c.SPP_HB_DISABLE,
    )
    if association is not None:
        path = association.primary if value.address is None else _path(association, value.address)
        answer.hbinterval, answer.pathmaxrxt = _ms(path.hb_interval), path.max_retrans
        answer.pathmtu = path.mtu
        answer.flags = c.SPP_HB_ENABLE if path.hb_enabled and path.hb_interval else c.SPP_HB_DISABLE
    answer.flags |= c.SPP_PMTUD_DISABLE
    return answer


def _set_paddr_params(channel: UserChannel, value: s.PaddrParams) -> None:
    both = c.SPP_HB_ENABLE | c.SPP_HB_DISABLE
    if value.flags & both == both or (value.flags & c.SPP_PMTUD_ENABLE and value.flags & c.SPP_PMTUD_DISABLE):
        raise _fail(errno.EINVAL, "flags that exclude each other")
    if value.flags & (c.SPP_IPV6_FLOWLABEL | c.SPP_DSCP):
        raise _fail(errno.EINVAL, "flow label and DSCP cannot be set here")
    association = association_of(channel, value.assoc_id)
    if association is None and value.address is not None:
        raise _fail(errno.EINVAL)
    paths = _paths(association, value.address)
    if value.flags & c.SPP_HB_DEMAND and association is not None:
        for path in paths if value.address is not None else [association.primary]:
            association.request_heartbeat(path.address, channel.pump.now())
    given = _given(path_max_retrans=value.pathmaxrxt, path_mtu=value.pathmtu)
    if value.flags & c.SPP_HB_DISABLE:
        given["hb_interval"] = 0.0
    elif value.hbinterval or value.flags & c.SPP_HB_TIME_IS_ZERO:
        given["hb_interval"] = max(value.hbinterval / 1000, 0.001)
    elif value.flags & c.SPP_HB_ENABLE and not _config(channel, value.assoc_id).hb_interval:
        given["hb_interval"] = 30.0
    if value.address is None:
        change(channel, value.assoc_id, given)
    for path in paths:
        _change_path(association, path, given, channel.pump.now())


def _change_path(association: Association | None, path: Any, given: dict[str, Any], now: float) -> None:
    if "path_max_retrans" in given:
        path.max_retrans = given["path_max_retrans"]
    if given.get("path_mtu"):
        path.set_mtu(given["path_mtu"])
        if association is not None:
            association.refresh_fragment_size()
    if "hb_interval" in given and association is not None:
        path.hb_interval = given["hb_interval"]
        path.hb_enabled = bool(path.hb_interval)
        if path.hb_enabled:
            path.hb_at = now + path.hb_interval
            association.arm(path.hb_at)


def _slot(channel: UserChannel, assoc_id: int) -> int:
    """Return the key of what is kept for an association, 0 for the socket's own."""
    return assoc_id if channel.one_to_many and assoc_id >= c.FIRST_ASSOC_ID else 0


def _default(channel: UserChannel, assoc_id: int) -> s.SndInfo:
    association_of(channel, assoc_id)
    defaults = channel.defaults
    return defaults.get(_slot(channel, assoc_id)) or defaults.get(0) or s.SndInfo()


def _default_pr(channel: UserChannel, assoc_id: int) -> s.DefaultPrInfo:
    association_of(channel, assoc_id)
    kept: dict[int, s.DefaultPrInfo] = channel.values.get(c.SCTP_DEFAULT_PRINFO, {})
    return kept.get(_slot(channel, assoc_id)) or kept.get(0) or s.DefaultPrInfo()


def _keep_default(channel: UserChannel, assoc_id: int, value: s.SndInfo) -> None:
    alive = {key: kept for key, kept in channel.defaults.items() if not key or key in channel.associations}
    channel.defaults = {**alive, _slot(channel, assoc_id): value}


def _keep_default_pr(channel: UserChannel, assoc_id: int, value: int, policy: int) -> None:
    kept: dict[int, s.DefaultPrInfo] = channel.values.get(c.SCTP_DEFAULT_PRINFO, {})
    alive = {key: pr for key, pr in kept.items() if not key or key in channel.associations}
    slot = _slot(channel, assoc_id)
    channel.values[c.SCTP_DEFAULT_PRINFO] = {**alive, slot: s.DefaultPrInfo(0, value, policy)}


def _get_default_sndinfo(channel: UserChannel, value: s.SndInfo | None) -> s.SndInfo:
    assoc_id = value.assoc_id if value else 0
    d = _default(channel, assoc_id)
    return s.SndInfo(d.sid, d.flags, d.ppid, d.context, assoc_id)


def _set_default_sndinfo(channel: UserChannel, value: s.SndInfo) -> None:
    _check_stream(channel, value.assoc_id, value.sid)
    _keep_default(channel, value.assoc_id, s.SndInfo(value.sid, value.flags, value.ppid, value.context, 0))


def _check_stream(channel: UserChannel, assoc_id: int, stream: int) -> None:
    """Whether the stream exists is only looked at when something is sent, as on Linux."""
    association_of(channel, assoc_id)
    if not 0 <= stream < 65536:
        raise _fail(errno.EINVAL, f"no stream {stream}")


def _get_default_send(channel: UserChannel, value: s.SndRcvInfo | None) -> s.SndRcvInfo:
    assoc_id = value.assoc_id if value else 0
    d = _default(channel, assoc_id)
    return s.SndRcvInfo(d.sid, 0, d.flags, d.ppid, d.context, _default_pr(channel, assoc_id).value, 0, 0, assoc_id)


def _set_default_send(channel: UserChannel, value: s.SndRcvInfo) -> None:
    _check_stream(channel, value.assoc_id, value.stream)
    _keep_default(channel, value.assoc_id, s.SndInfo(value.stream, value.flags, value.ppid, value.context, 0))
    policy = c.SCTP_PR_SCTP_TTL if value.timetolive else c.SCTP_PR_SCTP_NONE
    _keep_default_pr(channel, value.assoc_id, value.timetolive, policy)


def _get_default_prinfo(channel: UserChannel, value: Any) -> s.DefaultPrInfo:
    assoc_id = value.assoc_id if value else 0
    kept = _default_pr(channel, assoc_id)
    return s.DefaultPrInfo(assoc_id, kept.value, kept.policy)


def _set_default_prinfo(channel: UserChannel, value: s.DefaultPrInfo) -> None:
    if value.policy not in (c.SCTP_PR_SCTP_NONE, c.SCTP_PR_SCTP_TTL):
        raise _fail(errno.EINVAL, "only lifetimes are known as policy of partial reliability")
    association_of(channel, value.assoc_id)
    _keep_default_pr(channel, value.assoc_id, value.value, value.policy)


_EVENT_FIELDS: dict[str, int] = {
    "data_io": c.SCTP_DATA_IO_EVENT,
    "association": c.SCTP_ASSOC_CHANGE,
    "address": c.SCTP_PEER_ADDR_CHANGE,
    "send_failure": c.SCTP_SEND_FAILED,
    "peer_error": c.SCTP_REMOTE_ERROR,
    "shutdown": c.SCTP_SHUTDOWN_EVENT,
    "partial_delivery": c.SCTP_PARTIAL_DELIVERY_EVENT,
    "adaptation_layer": c.SCTP_ADAPTATION_INDICATION,
    "authentication": c.SCTP_AUTHENTICATION_EVENT,
    "sender_dry": c.SCTP_SENDER_DRY_EVENT,
    "stream_reset": c.SCTP_STREAM_RESET_EVENT,
    "assoc_reset": c.SCTP_ASSOC_RESET_EVENT,
    "stream_change": c.SCTP_STREAM_CHANGE_EVENT,
    "send_failure_event": c.SCTP_SEND_FAILED_EVENT,
}


def _get_events(channel: UserChannel, value: Any) -> s.EventSubscribe:
    return s.EventSubscribe(**{name: type_ in channel.subscribed for name, type_ in _EVENT_FIELDS.items()})


def _set_events(channel: UserChannel, value: s.EventSubscribe) -> None:
    for name, type_ in _EVENT_FIELDS.items():
        channel.set_subscription(type_, bool(getattr(value, name)))


def _get_event(channel: UserChannel, value: s.Event | None) -> s.Event:
    if value is None or value.type not in _EVENT_FIELDS.values():
        raise _fail(errno.EINVAL)
    association_of(channel, value.assoc_id)
    return s.Event(value.assoc_id, value.type, channel.wants(value.type, value.assoc_id))


def _set_event(channel: UserChannel, value: s.Event) -> None:
    if value.type not in _EVENT_FIELDS.values() or value.type == c.SCTP_DATA_IO_EVENT:
        raise _fail(errno.EINVAL)
    channel.set_subscription(value.type, value.on, value.assoc_id)


def _get_sack(channel: UserChannel, value: s.SackInfo | None) -> s.SackInfo:
    assoc_id = value.assoc_id if value else 0
    config = _config(channel, assoc_id)
    return s.SackInfo(assoc_id, _ms(config.sack_delay), config.sack_frequency)


def _set_sack(channel: UserChannel, value: s.SackInfo) -> None:
    given = _given(sack_delay=value.delay / 1000, sack_frequency=value.freq)
    change(channel, value.assoc_id, given)


def _get_context(channel: UserChannel, value: s.AssocValue | None) -> s.AssocValue:
    assoc_id = value.assoc_id if value else 0
    association_of(channel, assoc_id)
    return s.AssocValue(assoc_id, channel.context_of(assoc_id))


def _set_context(channel: UserChannel, value: s.AssocValue) -> None:
    if not channel.one_to_many or value.assoc_id in (c.SCTP_FUTURE_ASSOC, c.SCTP_ALL_ASSOC):
        if channel.one_to_many:  # the associations that are there keep theirs, unless all are meant
            kept = {assoc_id: channel.context_of(assoc_id) for assoc_id in channel.associations}
            channel.contexts = None if value.assoc_id == c.SCTP_ALL_ASSOC else kept or None
        channel.context = value.value
        return
    if value.assoc_id == c.SCTP_CURRENT_ASSOC:
        meant = list(channel.associations)
    else:
        meant = [_need(channel, value.assoc_id).id]
    channel.contexts = {**(channel.contexts or {}), **dict.fromkeys(meant, value.value)}


def _kept(option: int, default: Any, check: Callable[[Any], bool]) -> tuple[Any, Any]:
    """Options that only the sockets look at."""

    def get_kept(channel: UserChannel, value: Any) -> Any:
        return channel.values.get(option, default)

    def set_kept(channel: UserChannel, value: Any) -> None:
        if not check(value):
            raise _fail(errno.EINVAL)
        channel.values[option] = value

    return get_kept, set_kept


def _path_info(association: Association, path: Any) -> s.PaddrInfo:
    return s.PaddrInfo(
        association.id,
        (path.address, association.peer_port),
        translate.PATH_STATES[path.state.value],
        path.cwnd,
        _ms(path.srtt),
        _ms(path.rto),
        path.mtu,
    )


def _get_status(channel: UserChannel, value: s.Status | None) -> s.Status:
    association = _need(channel, value.assoc_id if value else 0)
    status = association.status()
    return s.Status(
        association.id,
        translate.STATES[status.state.value],
        status.peer_rwnd,
        min(status.unacknowledged_chunks, 65535),
        association.inbound.pending if hasattr(association.inbound, "pending") else 0,
        status.inbound_streams,
        status.outbound_streams,
        status.fragment_size,
        _path_info(association, status.primary),
    )


def _get_path_info(channel: UserChannel, value: s.PaddrInfo | None) -> s.PaddrInfo:
    value = value or s.PaddrInfo()
    if channel.one_to_many and value.assoc_id < c.FIRST_ASSOC_ID and value.address is not None:
        association = sending.find_by_address(channel, *value.address)
        if association is None:
            raise _fail(errno.EINVAL)
    else:
        association = _need(channel, value.assoc_id)
    return _path_info(association, _path(association, value.address))


def _get_number(channel: UserChannel, value: Any) -> int:
    return len(_get_ids(channel, value).ids)


def _get_ids(channel: UserChannel, value: Any) -> s.AssocIds:
    if not channel.one_to_many:
        raise _fail(errno.EOPNOTSUPP)
    return s.AssocIds(tuple(channel.associations))


def _get_encaps(channel: UserChannel, value: s.UdpEncaps | None) -> s.UdpEncaps:
    value = value or s.UdpEncaps()
    association = association_of(channel, value.assoc_id)
    if association is None:
        return s.UdpEncaps(value.assoc_id, value.address, channel.config.remote_udp_port)
    path = association.primary if value.address is None else _path(association, value.address)
    return s.UdpEncaps(value.assoc_id, value.address, path.udp_port)


def _set_encaps(channel: UserChannel, value: s.UdpEncaps) -> None:
    association = association_of(channel, value.assoc_id)
    if association is None:
        if value.address is not None:
            raise _fail(errno.EINVAL)
        change(channel, value.assoc_id, {"remote_udp_port": value.port})
        return
    if not 0 <= value.port < 65536:
        raise _fail(errno.EINVAL)
    for path in _paths(association, value.address):
        path.learn((path.address, value.port, path.key[2]))


def _get_pr_supported(channel: UserChannel, value: s.AssocValue | None) -> s.AssocValue:
    assoc_id = value.assoc_id if value else 0
    association = association_of(channel, assoc_id)
    on = channel.config.partial_reliability if association is None else association.forward_tsn
    return s.AssocValue(assoc_id, int(on))


def _set_pr_supported(channel: UserChannel, value: s.AssocValue) -> None:
    association_of(channel, value.assoc_id)
    channel.config.partial_reliability = bool(value.value)  # only set-ups look at it


_bool_pair = (bool, bool)
_TABLE: dict[int, tuple[Any, Any]] = {
    c.SCTP_RTOINFO: (_get_rto, _set_rto),
    c.SCTP_ASSOCINFO: (_get_assoc, _set_assoc),
    c.SCTP_INITMSG: (_get_init, _set_init),
    c.SCTP_NODELAY: _plain("nodelay", *_bool_pair),
    c.SCTP_AUTOCLOSE: (_get_autoclose, _set_autoclose),
    c.SCTP_PRIMARY_ADDR: (_get_primary, _set_primary),
    c.SCTP_ADAPTATION_LAYER: (_get_adaptation, _set_adaptation),
    c.SCTP_DISABLE_FRAGMENTS: _plain("disable_fragments", *_bool_pair),
    c.SCTP_PEER_ADDR_PARAMS: (_get_paddr_params, _set_paddr_params),
    c.SCTP_DEFAULT_SEND_PARAM: (_get_default_send, _set_default_send),
    c.SCTP_EVENTS: (_get_events, _set_events),
    c.SCTP_EVENT: (_get_event, _set_event),
    c.SCTP_MAXSEG: _value("max_fragment"),
    c.SCTP_DELAYED_SACK: (_get_sack, _set_sack),
    c.SCTP_FRAGMENT_INTERLEAVE: _kept(c.SCTP_FRAGMENT_INTERLEAVE, 1, lambda value: value in (0, 1)),
    c.SCTP_PARTIAL_DELIVERY_POINT: _plain("partial_delivery_point", int, int),
    c.SCTP_MAX_BURST: _value("max_burst"),
    c.SCTP_CONTEXT: (_get_context, _set_context),
    c.SCTP_RECVRCVINFO: _kept(c.SCTP_RECVRCVINFO, False, lambda value: True),
    c.SCTP_RECVNXTINFO: _kept(c.SCTP_RECVNXTINFO, False, lambda value: True),
    c.SCTP_I_WANT_MAPPED_V4_ADDR: _kept(c.SCTP_I_WANT_MAPPED_V4_ADDR, False, lambda value: True),
    c.SCTP_DEFAULT_SNDINFO: (_get_default_sndinfo, _set_default_sndinfo),
    c.SCTP_DEFAULT_PRINFO: (_get_default_prinfo, _set_default_prinfo),
    c.SCTP_STATUS: (_get_status, None),
    c.SCTP_GET_PEER_ADDR_INFO: (_get_path_info, None),
    c.SCTP_GET_ASSOC_NUMBER: (_get_number, None),
    c.SCTP_GET_ASSOC_ID_LIST: (_get_ids, None),
    c.SCTP_REMOTE_UDP_ENCAPS_PORT: (_get_encaps, _set_encaps),
    c.SCTP_PR_SUPPORTED: (_get_pr_supported, _set_pr_supported),
}
SUPPORTED = frozenset(_TABLE)


def get(channel: UserChannel, option: int, value: Any) -> Any:
    """Get an option. Raises OSError(ENOPROTOOPT) for one that this backend does not know."""
    getter = _TABLE.get(option, (None, None))[0]
    if getter is None:
        raise _fail(errno.ENOPROTOOPT)
    return getter(channel, value)


def set_(channel: UserChannel, option: int, value: Any) -> None:
    """Set an option. Raises OSError(ENOPROTOOPT) for one that this backend does not know."""
    setter = _TABLE.get(option, (None, None))[1]
    if setter is None:
        raise _fail(errno.ENOPROTOOPT)
    setter(channel, value)
