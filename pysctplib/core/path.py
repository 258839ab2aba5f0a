"""One destination address of the peer: RTO, error count, reachability, MTU, UDP port, congestion variables.

RFC 9260 sections 5.4 (confirmation), 6.3.1 (RTO), 8.2 (failure) and 8.3 (heartbeat state); RFC 6951 section 5.4
(the remote UDP port). When heartbeats are sent is decided in ``heartbeat``; what may be sent in ``transmit``.
"""

from __future__ import annotations

from enum import Enum
from math import inf
from typing import TypeAlias

from ..wire.packet import HEADER_SIZE
from .config import Config
from .congestion import ALGORITHMS, Rfc9260

PathKey: TypeAlias = tuple[str, int, str]  # remote address, remote UDP port (0: plain IP), local address

RTO_ALPHA, RTO_BETA = 0.125, 0.25  # RFC 9260 section 16
CLOCK_GRANULARITY = 0.001  # G of section 6.3.1, seconds
IPV4_HEADER, IPV6_HEADER, UDP_HEADER = 20, 40, 8


class PathState(Enum):
    """Reachability of a destination address (sections 5.4 and 8.2)."""

    UNCONFIRMED = "unconfirmed"
    ACTIVE = "active"
    INACTIVE = "inactive"


# By name alone, see ``states``.
UNCONFIRMED, ACTIVE, INACTIVE = PathState.UNCONFIRMED, PathState.ACTIVE, PathState.INACTIVE


class Path:
    """State of one destination address. ``usable`` is kept equal to ``state is ACTIVE``; times are seconds."""

    __slots__ = (
        "acked", "address", "burst_credit", "confirmed", "congestion", "cwnd", "errors", "flight", "hb_at",
        "hb_enabled", "hb_interval", "hb_nonce", "hb_sent", "key", "last_data", "last_used", "max_retrans", "mtu",
        "one_packet", "partial_bytes_acked", "payload", "rto", "rto_max", "rto_min", "rttvar", "rtx_ignores_cwnd",
        "srtt", "ssthresh", "state", "t3", "timing", "udp_port", "usable",
    )  # fmt: skip

    def __init__(self, key: PathKey, mtu: int, config: Config, confirmed: bool) -> None:
        self.address = key[0]
        self.udp_port = key[1]
        self.key = key
        self.rto = config.rto_initial
        self.rto_min = config.rto_min
        self.rto_max = config.rto_max
        self.srtt = 0.0  # 0: not measured yet
        self.rttvar = 0.0
        self.timing = False  # an RTT measurement is under way (rule C4: one at a time)
        self.confirmed = confirmed
        self.state = ACTIVE if confirmed else UNCONFIRMED
        self.usable = confirmed
        self.errors = 0
        self.max_retrans = config.path_max_retrans
        self.flight = 0  # bytes outstanding, chunk headers and padding included
        self.acked = 0  # bytes newly acknowledged by the SACK in work
        self.burst_credit = 0  # bytes acknowledged since the last transmission, see transmit
        self.one_packet = False  # after T3: one packet in flight until something is acknowledged (section 7.2.3)
        self.rtx_ignores_cwnd = False  # section 7.2.4 rule 3
        self.t3 = inf
        self.hb_at = inf
        self.hb_enabled = True
        self.hb_interval = config.hb_interval
        self.hb_nonce = 0  # 0: no heartbeat is unanswered
        self.hb_sent = 0.0
        self.last_used = 0.0
        self.last_data = 0.0
        self.congestion: Rfc9260 = ALGORITHMS["rfc9260"]
        self.cwnd = self.ssthresh = self.partial_bytes_acked = 0
        self.mtu = self.payload = 0
        self.set_mtu(mtu)
        self.congestion.start(self)

    def set_mtu(self, mtu: int) -> None:
        """Set the path MTU (bytes, IP header included); ``payload`` is the room for chunks in a packet (PMDCS)."""
        self.mtu = mtu
        overhead = (IPV6_HEADER if ":" in self.address else IPV4_HEADER) + (UDP_HEADER if self.udp_port else 0)
        self.payload = max(mtu - overhead - HEADER_SIZE, 64) & ~3

    def learn(self, key: PathKey) -> None:
        """Take the UDP port and local address of a packet whose tag was checked (RFC 6951 section 5.4)."""
        encapsulated = bool(self.udp_port)
        self.key = key
        self.udp_port = key[1]
        if encapsulated != bool(key[1]):
            self.set_mtu(self.mtu)

    def measured(self, rtt: float) -> None:
        """Take an RTT measurement in seconds and compute the RTO (section 6.3.1 rules C2, C3, C6, C7)."""
        if rtt <= 0.0:
            rtt = 1e-9
        if not self.srtt:
            self.srtt = srtt = rtt
            self.rttvar = rttvar = rtt / 2
        else:
            srtt = self.srtt
            error = rtt - srtt
            rttvar = self.rttvar
            self.rttvar = rttvar = rttvar + RTO_BETA * ((error if error > 0.0 else -error) - rttvar)
            self.srtt = srtt = srtt + RTO_ALPHA * error
        spread = 4.0 * rttvar
        rto = srtt + (spread if spread > CLOCK_GRANULARITY else CLOCK_GRANULARITY)
        if rto < self.rto_min:
            self.rto = self.rto_min
        else:
            self.rto = rto if rto < self.rto_max else self.rto_max

    def back_off(self) -> None:
        """Double the RTO (section 6.3.3 rule E2)."""
        self.rto = min(self.rto * 2, self.rto_max)

    def set_state(self, state: PathState) -> None:
        """Change the reachability; ``usable`` and ``confirmed`` follow."""
        self.state = state
        self.usable = state is ACTIVE
        self.confirmed = self.confirmed or self.usable

    def decay(self, now: float) -> None:
        """Shrink the window of a path that sent no data for RTOs (section 7.2.1); called before sending."""
        idle = now - self.last_data
        if idle >= self.rto and not self.flight:
            if self.last_data:
                self.congestion.idle(self, int(idle / self.rto))
            self.last_data = now
