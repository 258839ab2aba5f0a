"""What INIT and INIT ACK say besides their numbers: the peer's parameters read, the own ones listed.

RFC 9260 sections 3.2.1 (unknown parameters), 3.3.2.1, 3.3.3.1 and 5.1.2 (addresses); RFC 3758 section 3.1. Which
parameters are known is the table ``READERS``; an extension adds its own there. What follows from an offer is
decided in ``setup``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..errors import DecodeError
from ..wire import params
from .addresses import is_loopback, usable_destination

if TYPE_CHECKING:
    from .config import Config
    from .endpoint import Endpoint
    from .path import PathKey

MAX_ADDRESSES = 32  # of a peer; more are ignored
MAX_PRESERVATION = 60.0  # seconds that a Cookie Preservative may add at most


@dataclass(slots=True)
class Offer:
    """What the parameters of a peer's INIT or INIT ACK say."""

    addresses: list[str] = field(default_factory=list)
    cookie: bytes | None = None
    preservation: float = 0.0
    adaptation: int | None = None
    host_name: bytes | None = None
    forward_tsn: bool = False
    unknown: list[params.Parameter] = field(default_factory=list)


def _read_address(kind: int, value: bytes, offer: Offer) -> None:
    offer.addresses.append(params.decode_address(kind, value))


def _read_cookie(kind: int, value: bytes, offer: Offer) -> None:
    offer.cookie = value


def _read_u32(value: bytes) -> int:
    if len(value) != 4:
        raise DecodeError(f"parameter of {len(value)} bytes instead of 4")
    return int.from_bytes(value, "big")


def _read_preservative(kind: int, value: bytes, offer: Offer) -> None:
    offer.preservation = min(_read_u32(value) / 1000, MAX_PRESERVATION)


def _read_adaptation(kind: int, value: bytes, offer: Offer) -> None:
    offer.adaptation = _read_u32(value)


def _read_host_name(kind: int, value: bytes, offer: Offer) -> None:
    offer.host_name = value


def _read_forward_tsn(kind: int, value: bytes, offer: Offer) -> None:
    offer.forward_tsn = True


def _ignore(kind: int, value: bytes, offer: Offer) -> None:
    """Known, and nothing to do."""


READERS: dict[int, Callable[[int, bytes, Offer], None]] = {
    params.IPV4_ADDRESS: _read_address,
    params.IPV6_ADDRESS: _read_address,
    params.STATE_COOKIE: _read_cookie,
    params.UNRECOGNIZED_PARAMETER: _ignore,
    params.COOKIE_PRESERVATIVE: _read_preservative,
    params.HOST_NAME_ADDRESS: _read_host_name,
    params.SUPPORTED_ADDRESS_TYPES: _ignore,
    params.ADAPTATION_INDICATION: _read_adaptation,
    params.FORWARD_TSN_SUPPORTED: _read_forward_tsn,
}


def read_parameters(parameters: list[params.Parameter]) -> Offer:
    """Read the parameters of INIT or INIT ACK; unknown ones by their high bits (section 3.2.1)."""
    offer = Offer()
    for kind, value in parameters:
        reader = READERS.get(kind)
        if reader is not None:
            reader(kind, value, offer)
            continue
        if kind & params.REPORT_BIT:
            offer.unknown.append((kind, value))
        if not kind & params.STOP_BIT:
            break
    return offer


def peer_addresses(endpoint: Endpoint, offer: Offer, key: PathKey) -> list[str]:
    """Return the peer's addresses, source first (section 5.1.2 C), without what cannot be its own.

    Nor those that only an own address unknown to the peer could reach: it would answer with ABORT (section 8.4).
    """
    result = [key[0]]
    for address in offer.addresses[:MAX_ADDRESSES]:
        usable = usable_destination(address, key[0]) and own_source(endpoint, key, address) is not None
        if usable and address not in result:
            result.append(address)
    return result


def own_source(endpoint: Endpoint, key: PathKey, address: str) -> str | None:
    """Return the own address to use towards ``address``, "" if any will do; None if the peer knows none that can.

    The peer knows those listed to it, or if none were, the one that ``key`` uses.
    """
    listed = _listed(endpoint, key[0])
    if len(listed) < 2:
        only = listed[0] if listed else key[2]
        return only if (":" in (only or key[0])) == (":" in address) else None
    same = [own for own in listed if (":" in own) == (":" in address)]
    if not same:
        return None
    return same[0] if len(same) == 1 else ""


# What is said


def _listed(endpoint: Endpoint, peer: str) -> tuple[str, ...]:
    """Return the own addresses that this peer may know (section 5.1.2)."""
    listed = endpoint.addresses or tuple(endpoint.engine.local_addresses(peer))
    if not is_loopback(peer):
        listed = tuple(address for address in listed if not is_loopback(address))
    return listed


def own_parameters(endpoint: Endpoint, config: Config, peer: str) -> list[params.Parameter]:
    """Own addresses, if the peer may know several (section 5.1.2), the adaptation code point, extensions."""
    listed = _listed(endpoint, peer)
    result = [params.encode_address(address) for address in listed] if len(listed) > 1 else []
    if config.adaptation is not None:
        result.append((params.ADAPTATION_INDICATION, config.adaptation.to_bytes(4, "big")))
    if config.partial_reliability:
        result.append((params.FORWARD_TSN_SUPPORTED, b""))
    return result
