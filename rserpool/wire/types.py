"""Values that ASAP, ENRP, the handlespace and the library share (RFC 5354 section 3, RFC 5356).

Only data: encoding is in `parameters`, meaning in `handlespace` and above.
"""

from __future__ import annotations

from dataclasses import dataclass

from pysctplib.errors import SctpError

SCTP, TCP, UDP, DCCP, UDP_LITE = 132, 6, 17, 33, 136  # IP protocol numbers
OPAQUE = -1  # no IP protocol: a transport that only its users understand (RFC 5354 section 3.16)

MAX_POOL_HANDLE = 32  # bytes; RSPLIB's limit, whose programs abort beyond it
MAX_ADDRESSES = 64  # per transport parameter
INFINITE_LIFE = 0xFFFFFFFF


class DecodeError(SctpError):
    """A message that does not parse.

    ``cause`` is the error cause code to answer with (RFC 5354 section 3.12), ``tlv`` the offending parameter
    to return in it, ``silent`` True where no answer may be sent.
    """

    def __init__(self, text: str, cause: int = 0x10, tlv: bytes = b"", silent: bool = False) -> None:
        super().__init__(text)
        self.cause = cause
        self.tlv = tlv
        self.silent = silent


class UnknownMessage(DecodeError):
    """A message of a type that nobody has defined: to be logged, never answered. ``type`` is the number."""

    def __init__(self, protocol: str, type: int) -> None:
        super().__init__(f"{protocol} message of unknown type 0x{type:02x}", 2, silent=True)
        self.type = type


@dataclass(slots=True, frozen=True)
class Transport:
    """A transport parameter: where something is reached (RFC 5354 sections 3.3 to 3.7 and 3.16)."""

    protocol: int  # SCTP, TCP, UDP, DCCP, UDP_LITE, OPAQUE
    port: int
    addresses: tuple[str, ...]  # canonical text; IPv4-mapped IPv6 is written as IPv4
    control_channel: bool = False  # transport use: data plus control
    service_code: int = 0  # DCCP only
    opaque: bytes = b""  # OPAQUE only, which has neither port nor addresses


@dataclass(slots=True, frozen=True)
class Policy:
    """Pool member selection policy parameter (RFC 5354 section 3.8, RFC 5356). Fractions are 0..0xffffffff."""

    type: int
    weight: int = 0
    priority: int = 0
    load: int = 0
    load_degradation: int = 0
    load_dpf: int = 0
    weight_dpf: int = 0
    distance: int = 0  # milliseconds


@dataclass(slots=True, frozen=True)
class PoolElement:
    """Pool element parameter (RFC 5354 section 3.10). ``life`` in milliseconds."""

    identifier: int
    home: int  # identifier of the home registrar
    life: int
    user_transport: Transport
    policy: Policy
    asap_transport: Transport | None = None
    udp_port: int | None = None  # RFC 6951 port, if not 9899 (docs/design.md section 5)


@dataclass(slots=True, frozen=True)
class ServerInformation:
    """Server information parameter (RFC 5354 section 3.11): a registrar and its ENRP endpoint."""

    identifier: int
    transport: Transport
    udp_port: int | None = None
