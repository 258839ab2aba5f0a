"""Everything about a registrar that can be set, with RSPLIB's defaults, and the timer profiles.

Times are in seconds. Ranges are those of RSPLIB's rspregistrar; the names of RFC 5352 §7 and RFC 5353 §4 stand
beside them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rserpool.security.tls import Tls

ASAP_ANNOUNCE = ("239.0.0.50", 3863)
ENRP_ANNOUNCE = ("239.0.0.51", 9901)
ENRP_PORT = 9901
TLS_PORTS = {"asap": 3864, "enrp": 9902}  # RFC 5352 §8.2, RFC 5353 §5.3
UDP_PORT = 9899  # RFC 6951: where SCTP over UDP is expected

MAX_ANSWER_ITEMS = 128  # no handle resolution gives more pool elements
MAX_TABLE_ITEMS = 1024
SCOPES = ("auto", "loopback", "sitelocal", "global")


@dataclass(slots=True, frozen=True)
class StaticPeer:
    """A registrar that is known from the start (``-peer=``)."""

    addresses: tuple[str, ...]
    port: int = ENRP_PORT
    udp_port: int = UDP_PORT


@dataclass(slots=True)
class RegistrarConfig:
    """A registrar's settings. `validate` raises `ValueError` for values out of range."""

    identifier: int = 0  # 0: random (RFC 5353 §3.2.1)
    asap_addresses: tuple[str, ...] = ()  # (): any
    asap_port: int = 0  # 0: random in 10000..59999
    enrp_addresses: tuple[str, ...] = ()
    enrp_port: int = 0
    asap_tcp: tuple[str | None, int] | None = None  # pool users by TCP: address (None: any) and port; None: none
    asap_announce: tuple[str, int] | None = ASAP_ANNOUNCE
    enrp_announce: tuple[str, int] | None = ENRP_ANNOUNCE
    peers: tuple[StaticPeer, ...] = ()
    announce_ttl: int = 30
    autoclose: float = 300.0
    min_address_scope: str = "auto"  # auto: site-local, and loopback between programs of this host

    server_announce_cycle: float = 1.0
    keepalive_interval: float = 5.0
    keepalive_timeout: float = 5.0
    max_bad_reports: int = 3  # MAX-BAD-PE-REPORT
    distance_step: int = 50  # milliseconds
    max_increment: int = 0  # 0: the policy's default
    max_answer_items: int = 3  # for pool users that do not say how many they want

    heartbeat_cycle: float = 2.444  # PEER-HEARTBEAT-CYCLE
    max_last_heard: float = 5.0  # MAX-TIME-LAST-HEARD
    max_no_response: float = 5.0  # MAX-TIME-NO-RESPONSE
    mentor_timeout: float = 5.0
    takeover_timeout: float = 5.0
    takeover_suggestion: bool = False
    max_table_items: int = 128  # pool elements in one handle table response
    table_bytes: int = 1400  # size of one

    max_resolution_rate: float = -1.0  # per second, pool user and pool; <= 0: unlimited
    max_report_rate: float = -1.0

    statistics_file: str | None = None  # .bz2: compressed
    statistics_interval: float = 1.0
    action_log: str | None = None
    scalar_file: str | None = None
    object_name: str = "registrar"  # in the scalar file
    status_address: tuple[str, int] | None = None  # of the read-only status server (HTTP); None: off

    tls: Tls | None = None  # required of everybody; ports are then those of TLS, if they are free
    verify: bool = False  # check the handlespace after each change (slow)

    def validate(self) -> None:
        """Raise `ValueError`, naming the option, for the first value out of range."""
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} must be in {low:g}..{high:g}, not {value:g}")
        if self.tls is not None and not self.tls.certified:
            raise ValueError("tls needs a certificate of the registrar's own and its key")
        if self.tls is not None and self.asap_tcp is not None:
            raise ValueError("tls protects SCTP only: asap_tcp must be off")
        if self.min_address_scope not in SCOPES:
            raise ValueError(f"min_address_scope must be one of {', '.join(SCOPES)}")


_RANGES: tuple[tuple[str, float, float], ...] = (
    ("identifier", 0, 0xFFFFFFFF),
    ("asap_port", 0, 65535),
    ("enrp_port", 0, 65535),
    ("announce_ttl", 1, 255),
    ("autoclose", 5, 1_000_000),
    ("server_announce_cycle", 0.1, 60),
    ("keepalive_interval", 0.3, 300),
    ("keepalive_timeout", 0.1, 60),
    ("max_bad_reports", 1, 0xFFFFFFFF),
    ("distance_step", 1, 1_000_000),
    ("max_increment", 0, 0xFFFFFFFF),
    ("max_answer_items", 1, MAX_ANSWER_ITEMS),
    ("heartbeat_cycle", 0.1, 300),
    ("max_last_heard", 0.1, 300),
    ("max_no_response", 0.1, 60),
    ("mentor_timeout", 0.1, 60),
    ("takeover_timeout", 0.1, 60),
    ("max_table_items", 1, MAX_TABLE_ITEMS),
    ("table_bytes", 512, 65000),
    ("statistics_interval", 0.01, 36000),
)

# What differs from RSPLIB's defaults.
PROFILES: dict[str, dict[str, float]] = {
    "rsplib": {},
    # RFC 5353 §4.2. Registrars with RSPLIB's defaults would take such peers for dead.
    "rfc": {"heartbeat_cycle": 30.0, "max_last_heard": 61.0, "max_no_response": 5.0},
    # For experiments on one host: failures are noticed within a second.
    "fast-lab": {
        "server_announce_cycle": 0.25,
        "keepalive_interval": 0.5,
        "keepalive_timeout": 0.5,
        "heartbeat_cycle": 0.25,
        "max_last_heard": 0.6,
        "max_no_response": 0.3,
        "mentor_timeout": 0.6,
        "takeover_timeout": 0.5,
    },
}


def with_profile(config: RegistrarConfig, profile: str) -> RegistrarConfig:
    """A copy of ``config`` with the timers of a profile; `ValueError` for an unknown one."""
    if profile not in PROFILES:
        raise ValueError(f"unknown timer profile {profile!r}; there are {', '.join(PROFILES)}")
    return replace(config, **PROFILES[profile])  # type: ignore[arg-type]
