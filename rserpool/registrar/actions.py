"""What the sans-IO core asks its shell to do, in order."""

from __future__ import annotations

from dataclasses import dataclass

ASAP, ENRP = "asap", "enrp"


@dataclass(slots=True)
class Send:
    """Send a message on stream 0, ordered, by an association of the endpoint (``ASAP`` or ``ENRP``)."""

    endpoint: str
    association: int
    data: bytes


@dataclass(slots=True)
class SendTo:
    """The same to addresses, which makes an association if there is none."""

    endpoint: str
    addresses: tuple[str, ...]
    port: int
    udp_port: int
    data: bytes


@dataclass(slots=True)
class Abort:
    """Abort an association."""

    endpoint: str
    association: int
    reason: str


@dataclass(slots=True)
class Multicast:
    """Send an announce to the endpoint's group by every interface.

    ``data`` goes out of the loopback interface, ``public`` (None: nothing) out of all others.
    """

    endpoint: str
    data: bytes
    public: bytes | None


Action = Send | SendTo | Abort | Multicast
