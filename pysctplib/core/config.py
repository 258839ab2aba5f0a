"""Protocol parameters (RFC 9260 section 16) and the user's choices for an association.

An endpoint has one Config, each of its associations a copy. Times are seconds. Checking is done here, so that
every driver and API gets the same errors; no meaning is given to the values here.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from operator import attrgetter


@dataclass(slots=True)
class Config:
    """Parameters of one association. The defaults are those of RFC 9260 section 16 where it has one."""

    outbound_streams: int = 10
    max_inbound_streams: int = 2048
    rto_initial: float = 1.0
    rto_min: float = 1.0
    rto_max: float = 60.0
    hb_interval: float = 30.0  # 0: heartbeats off
    path_max_retrans: int = 5
    association_max_retrans: int = 10
    max_init_retransmits: int = 8
    max_init_timeout: float = 60.0  # cap of the T1 timers (RFC 6458 section 8.1.3)
    valid_cookie_life: float = 60.0
    max_burst: int = 4  # 0: off
    sack_delay: float = 0.2  # seconds, at most 0.5 (RFC 9260 section 6.2)
    sack_frequency: int = 2  # acknowledge every n-th packet; see core/inbound for batches
    sack_batch: int = 32  # in steady bulk: every n-th packet of a batch at least; see core/inbound
    receive_buffer: int = 1 << 20  # bytes; the advertised window
    send_buffer: int = 1 << 20  # bytes; once reached, send() raises EAGAIN
    nodelay: bool = False  # True: no Nagle-like bundling delay (RFC 9260 section 6.1 rule E)
    max_fragment: int = 0  # bytes of user data per DATA chunk at most; 0: as the path MTU allows
    path_mtu: int = 0  # bytes, IP header included; 0: what mtu_of(address) says
    partial_delivery_point: int = 0  # bytes; 0: half of receive_buffer
    autoclose: float = 0.0  # seconds of idleness before a graceful shutdown; 0: off (RFC 6458 section 8.1.8)
    remote_udp_port: int = 9899  # RFC 6951; 0: plain SCTP over IP
    adaptation: int | None = None  # adaptation code point to announce (RFC 5061)
    partial_reliability: bool = True  # offer RFC 3758; False: lifetimes end with the first transmission
    sender_dry_events: bool = False  # report SenderDry (RFC 6458 section 6.1.9); costs an event per idle moment
    disable_fragments: bool = False  # EMSGSIZE instead of fragmentation (RFC 6458 section 8.1.11)

    def copy(self) -> Config:
        """Return an independent copy."""
        return Config(*_VALUES(self))  # dataclasses.replace takes ten times as long, for each association

    def check(self) -> None:
        """Raise ValueError, naming the field, if a value is out of its range."""
        for (name, low, high), value in zip(RANGES, _CHECKED(self)):
            if not low <= value <= high:
                raise ValueError(f"{name} = {value!r} is not in {low}..{high}")
        if not self.rto_min <= self.rto_initial <= self.rto_max:
            raise ValueError("rto_min <= rto_initial <= rto_max does not hold")


RANGES: tuple[tuple[str, float, float], ...] = (
    ("outbound_streams", 1, 65535),
    ("max_inbound_streams", 1, 65535),
    ("rto_initial", 0.001, 3600),
    ("rto_min", 0.001, 3600),
    ("rto_max", 0.001, 3600),
    ("hb_interval", 0, 86400 * 365),
    ("path_max_retrans", 0, 65535),
    ("association_max_retrans", 1, 65535),
    ("max_init_retransmits", 0, 65535),
    ("max_init_timeout", 0.001, 3600),
    ("valid_cookie_life", 0.001, 86400),
    ("max_burst", 0, 65535),
    ("sack_delay", 0, 0.5),
    ("sack_frequency", 1, 65535),
    ("sack_batch", 1, 65535),
    ("receive_buffer", 4096, 1 << 30),
    ("send_buffer", 1, 1 << 30),
    ("max_fragment", 0, 65535),
    ("path_mtu", 0, 65535),
    ("partial_delivery_point", 0, 1 << 30),
    ("autoclose", 0, 86400 * 365),
    ("remote_udp_port", 0, 65535),
)

_VALUES = attrgetter(*(f.name for f in fields(Config)))  # in the order of the constructor's arguments
_CHECKED = attrgetter(*(name for name, _, _ in RANGES))
