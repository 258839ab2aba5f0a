"""What a program that uses the pools may set: RSPLIB's ``rsp_info``. Times in seconds.

How options on a command line set it is in `options`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pysocketapi.transport import Transport

if TYPE_CHECKING:
    from rserpool.security.tls import Tls

ANNOUNCE_GROUP = ("239.0.0.50", 3863)
CSP_PORT = 2960
CSP_MIN_INTERVAL = 0.25


@dataclass(frozen=True, slots=True)
class StaticRegistrar:
    """A registrar that is known beforehand. ``udp_port``: of SCTP over UDP (RFC 6951), None: 9899.

    ``tcp``: it is reached by TCP, which only pool users may (RFC 5352 section 2).
    """

    addresses: tuple[str, ...]
    port: int
    udp_port: int | None = None
    tcp: bool = False


@dataclass(slots=True)
class Settings:
    """Settings of a `rserpool.session.Library`; see docs/reference/rserpool.md."""

    registrars: list[StaticRegistrar] = field(default_factory=list)
    announce: tuple[str, int] | None = ANNOUNCE_GROUP
    announce_timeout: float = 5.0
    connect_timeout: float = 7.5
    connect_trials: int = 1
    request_timeout: float = 3.0
    response_timeout: float = 3.0
    request_trials: int = 1
    csp_server: tuple[str, int] | None = None
    csp_interval: float = 0.0  # 0: no reports
    csp_identifier: int = 0  # 0: random, or that of the pool element
    csp_element: bool = False  # report as a pool element, also before it has registered
    transport: Transport | str | None = None
    tls: Tls | None = None  # only registrars that are proven by it; `rserpool.security.contexts.load`

    def validate(self) -> None:
        """Raise ValueError for what makes no sense."""
        for name in ("announce_timeout", "connect_timeout", "request_timeout", "response_timeout"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be greater than 0 s")
        for name in ("connect_trials", "request_trials"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        if self.tls is not None and any(registrar.tcp for registrar in self.registrars):
            raise ValueError("TLS protects SCTP only: no registrar can be used by TCP")
        if self.csp_interval < 0:
            raise ValueError("csp_interval must not be negative")
