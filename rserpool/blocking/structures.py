"""RSPLIB's structures, constants and notifications as Python has them. Times in milliseconds, as there."""

from __future__ import annotations

from dataclasses import dataclass, field

from rserpool.settings import ANNOUNCE_GROUP, Settings, StaticRegistrar
from rserpool.wire import policies
from rserpool.wire.types import SCTP, Policy

RSPLIB_VERSION, RSPLIB_REVISION = 2, 3
ASAP_PORT, ENRP_PORT = 3863, 9901
REGF_DONTWAIT, REGF_CONTROLCHANNEL, REGF_DAEMONMODE = 1, 2, 4
DEREGF_DONTWAIT = 1
RSPGETADDRS_MIN, RSPGETADDRS_MAX, RSPGETADDRS_DEFAULT = 1, 0xFFFFFFFF, 0
SESSION_SETSIZE = 16384
MSG_RSERPOOL_NOTIFICATION, MSG_RSERPOOL_COOKIE_ECHO = 1, 2
RSERPOOL_SESSION_CHANGE, RSERPOOL_FAILOVER, RSERPOOL_SHUTDOWN_EVENT = 1, 2, 3
RSERPOOL_SESSION_ADD, RSERPOOL_SESSION_REMOVE = 1, 2
RSERPOOL_FAILOVER_NECESSARY, RSERPOOL_FAILOVER_COMPLETE = 1, 2
FFF_NONE, FFF_UNREACHABLE = 0, 1
TTL_INFINITE = 0xFFFFFFFF

Address = tuple[str, int]


@dataclass(slots=True)
class rsp_registrar_info:
    """A static registrar: all its addresses, and the UDP port of SCTP over UDP where it is not 9899."""

    rri_addr: list[Address]
    rri_udp_port: int | None = None


@dataclass(slots=True)
class rsp_info:
    """The settings of the library; 0 stands for the default of a time or number."""

    ri_version: int = 0
    ri_revision: int = 0
    ri_registrars: list[rsp_registrar_info] = field(default_factory=list)
    ri_disable_autoconfig: bool = False
    ri_registrar_announce: Address | None = None
    ri_registrar_announce_timeout: int = 0
    ri_registrar_connect_timeout: int = 0
    ri_registrar_connect_max_trials: int = 0
    ri_registrar_request_timeout: int = 0
    ri_registrar_response_timeout: int = 0
    ri_registrar_request_max_trials: int = 0
    ri_csp_identifier: int = 0
    ri_csp_server: Address | None = None
    ri_csp_interval: int = 0
    ri_transport: object = None  # ours: a pysocketapi.Transport, its kind, or None


_TIMES = {
    "ri_registrar_announce_timeout": "announce_timeout",
    "ri_registrar_connect_timeout": "connect_timeout",
    "ri_registrar_request_timeout": "request_timeout",
    "ri_registrar_response_timeout": "response_timeout",
}
_COUNTS = {
    "ri_registrar_connect_max_trials": "connect_trials",
    "ri_registrar_request_max_trials": "request_trials",
}


def to_settings(info: rsp_info) -> Settings:
    """Return the settings that an rsp_info stands for. ValueError if they make no sense."""
    settings = Settings(transport=info.ri_transport)  # type: ignore[arg-type]
    for registrar in info.ri_registrars:
        addresses = tuple(address for address, _ in registrar.rri_addr)
        if not addresses:
            raise ValueError("a registrar without an address")
        settings.registrars.append(StaticRegistrar(addresses, registrar.rri_addr[0][1], registrar.rri_udp_port))
    settings.announce = None if info.ri_disable_autoconfig else info.ri_registrar_announce or ANNOUNCE_GROUP
    for name, ours in _TIMES.items():
        if getattr(info, name):
            setattr(settings, ours, getattr(info, name) / 1000.0)
    for name, ours in _COUNTS.items():
        if getattr(info, name):
            setattr(settings, ours, getattr(info, name))
    settings.csp_server = info.ri_csp_server
    settings.csp_interval = info.ri_csp_interval / 1000.0
    settings.csp_identifier = info.ri_csp_identifier
    settings.validate()
    return settings


def update(info: rsp_info, settings: Settings) -> None:
    """Put settings into an rsp_info, as they are after an option was taken."""
    defaults = Settings()
    info.ri_registrars = [
        rsp_registrar_info([(a, r.port) for a in r.addresses], r.udp_port) for r in settings.registrars
    ]
    info.ri_disable_autoconfig = settings.announce is None
    info.ri_registrar_announce = settings.announce if settings.announce != ANNOUNCE_GROUP else None
    for name, ours in _TIMES.items():
        value = getattr(settings, ours)
        setattr(info, name, 0 if value == getattr(defaults, ours) else round(value * 1000))
    for name, ours in _COUNTS.items():
        value = getattr(settings, ours)
        setattr(info, name, 0 if value == getattr(defaults, ours) else value)
    info.ri_csp_server = settings.csp_server
    info.ri_csp_interval = round(settings.csp_interval * 1000)
    info.ri_csp_identifier = settings.csp_identifier


@dataclass(slots=True)
class rsp_loadinfo:
    """A policy and its values; loads, degradations and DPFs are 0..0xffffffff for 0..1."""

    rli_policy: int = policies.ROUND_ROBIN
    rli_weight: int = 0
    rli_weight_dpf: int = 0
    rli_load: int = 0
    rli_load_degradation: int = 0
    rli_load_dpf: int = 0

    def policy(self) -> Policy:
        """Return the policy parameter. ValueError for an unknown policy. A priority is written as weight."""
        if self.rli_policy not in policies.LAYOUTS:
            raise ValueError(f"there is no policy 0x{self.rli_policy:08x}")
        return Policy(
            self.rli_policy,
            weight=self.rli_weight,
            priority=self.rli_weight if self.rli_policy == policies.PRIORITY else 0,
            load=self.rli_load,
            load_degradation=self.rli_load_degradation,
            load_dpf=self.rli_load_dpf,
            weight_dpf=self.rli_weight_dpf,
        )


@dataclass(slots=True)
class rsp_addrinfo:
    """Where a pool element is reached. ``ai_addr``: (address, port), all with the same port."""

    ai_addr: list[Address]
    ai_pe_id: int = 0
    ai_family: int = 0
    ai_socktype: int = 0
    ai_protocol: int = SCTP
    ai_udp_port: int | None = None  # ours: of SCTP over UDP, where it is not 9899


@dataclass(slots=True)
class rsp_sndrcvinfo:
    """What came with a message. ``rinfo_ppid`` in host order."""

    rinfo_session: int = 0
    rinfo_ppid: int = 0
    rinfo_pe_id: int = 0
    rinfo_timetolive: int = 0
    rinfo_stream: int = 0


@dataclass(slots=True)
class rserpool_session_parameters:
    """SCTP parameters of future sessions; times in ms, 0 leaves a value as it is."""

    sp_rto_initial: int = 0
    sp_rto_min: int = 0
    sp_rto_max: int = 0
    sp_assoc_max_rxt: int = 0
    sp_path_max_rxt: int = 0
    sp_hbinterval: int = 0


@dataclass(slots=True)
class rserpool_failover:
    """RSERPOOL_FAILOVER: a pool user's session has lost its element, or has another one."""

    rf_state: int
    rf_session: int
    rf_has_cookie: bool
    rn_type: int = RSERPOOL_FAILOVER


@dataclass(slots=True)
class rserpool_session_change:
    """RSERPOOL_SESSION_CHANGE: a pool element has one session more or less."""

    rsc_state: int
    rsc_session: int
    rn_type: int = RSERPOOL_SESSION_CHANGE


@dataclass(slots=True)
class rserpool_shutdown_event:
    """RSERPOOL_SHUTDOWN_EVENT: the peer has shut down the session."""

    rse_session: int
    rn_type: int = RSERPOOL_SHUTDOWN_EVENT


rserpool_notification = rserpool_failover | rserpool_session_change | rserpool_shutdown_event

_FAILOVERS = {1: "RSERPOOL_FAILOVER_NECESSARY", 2: "RSERPOOL_FAILOVER_COMPLETE"}
_CHANGES = {1: "RSERPOOL_SESSION_ADD", 2: "RSERPOOL_SESSION_REMOVE"}


def notification_text(notification: rserpool_notification) -> str:
    """Return a notification as rsp_print_notification writes it."""
    if isinstance(notification, rserpool_failover):
        cookie = "yes" if notification.rf_has_cookie else "no"
        state = _FAILOVERS.get(notification.rf_state, str(notification.rf_state))
        return f"RSERPOOL_FAILOVER for session {notification.rf_session}, state={state}, cookie={cookie}"
    if isinstance(notification, rserpool_session_change):
        state = _CHANGES.get(notification.rsc_state, str(notification.rsc_state))
        return f"RSERPOOL_SESSION_CHANGE for session {notification.rsc_session}, state={state}"
    return f"RSERPOOL_SHUTDOWN_EVENT for session {notification.rse_session}"
