"""The table of registrars that may be used: static ones, and those whose announces are heard.

RFC 5352 sections 3.6 (hunt) and 3.8 (SERVER_ANNOUNCE). Sans-IO; connecting is `client`'s work.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from random import Random

from rserpool.settings import StaticRegistrar
from rserpool.wire.asap import ServerAnnounce

MAX_ANNOUNCED = 256  # more are not remembered: anybody can send announces


@dataclass(slots=True)
class Known:
    """A registrar. ``expires`` is None for a static one, whose identifier is 0."""

    identifier: int
    addresses: tuple[str, ...]
    port: int
    udp_port: int | None = None
    expires: float | None = None
    not_before: float = 0.0  # when it may be tried again
    tcp: bool = False


class RegistrarTable:
    """``lifetime``: seconds for which an announce is believed."""

    def __init__(self, statics: Iterable[StaticRegistrar], lifetime: float, rng: Random) -> None:
        self._statics = [Known(0, s.addresses, s.port, s.udp_port, tcp=s.tcp) for s in statics]
        self._announced: dict[int, Known] = {}
        self._lifetime = lifetime
        self._rng = rng

    def heard(self, announce: ServerAnnounce, source: str, port: int, now: float) -> bool:
        """Note an announce that came from ``source`` and UDP port ``port``; True if the registrar is new."""
        self.purge(now)
        addresses: tuple[str, ...] = (source,)
        if announce.transports:
            # RFC 5352 section 2.2.10 has the endpoint in the message; without, it is where the message came from.
            addresses, port = announce.transports[0].addresses, announce.transports[0].port
        known = self._announced.get(announce.registrar)
        if known is None or known.port != port:
            if known is None and len(self._announced) >= MAX_ANNOUNCED:
                return False
            self._announced[announce.registrar] = Known(
                announce.registrar, addresses, port, announce.udp_port, now + self._lifetime
            )
            return True
        known.expires = now + self._lifetime
        known.udp_port = announce.udp_port
        # By each interface comes an announce with another source address; all of them are its addresses.
        known.addresses = tuple(dict.fromkeys(known.addresses + addresses))[:64]
        return False

    def knows(self, identifier: int, now: float) -> bool:
        """Whether a registrar announces itself."""
        self.purge(now)
        return identifier in self._announced

    def purge(self, now: float) -> None:
        """Forget those that have not been heard for the lifetime of an announce."""
        for identifier in [i for i, k in self._announced.items() if k.expires is not None and k.expires <= now]:
            del self._announced[identifier]

    def candidates(self, now: float, without: Collection[int] = (), tcp: bool = True) -> list[Known]:
        """Return whom to try, in turn from a random one on; ``without``: ids of objects that are being tried.

        ``tcp`` False: only those that are reached by SCTP.
        """
        self.purge(now)
        found = [
            known
            for known in (*self._announced.values(), *self._statics)
            if known.not_before <= now and id(known) not in without and (tcp or not known.tcp)
        ]
        if found:
            start = self._rng.randrange(len(found))
            found = found[start:] + found[:start]
        return found

    def retry_at(self) -> float | None:
        """Return when the first one may be tried again; None if there is none."""
        return min((k.not_before for k in (*self._announced.values(), *self._statics)), default=None)

    def identifier_of(self, addresses: Collection[str], port: int) -> int:
        """Return the identifier of the announced registrar with one of these addresses and the port, or 0."""
        for known in self._announced.values():
            if known.port == port and set(known.addresses) & set(addresses):
                return known.identifier
        return 0
