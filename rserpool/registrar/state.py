"""What a registrar knows, and the few operations that every protocol part needs.

No decisions: those are functions of it in `registrations`, `presence`, `tables`, `updates` and `takeover`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

from rserpool.handlespace import Element, Handlespace, TimerQueue
from rserpool.handlespace.space import Position
from rserpool.registrar.actions import ASAP, ENRP, Abort, Action, Send, SendTo
from rserpool.registrar.config import UDP_PORT, RegistrarConfig, StaticPeer
from rserpool.registrar.limits import RateLimit
from rserpool.registrar.statistics import Statistics
from rserpool.scopes import is_local, narrow_record, usable
from rserpool.wire.types import SCTP, PoolElement, ServerInformation, Transport

log = logging.getLogger("rserpool.registrar")
ACTION = 15  # log level between INFO and DEBUG: each registration, resolution, peer event


@dataclass(slots=True, frozen=True)
class Host:
    """Where the registrar is reached: the host's own addresses and the ports of the two endpoints."""

    addresses: tuple[str, ...]  # all of this host, loopback included
    enrp_port: int
    enrp_addresses: tuple[str, ...] = ()  # () : the endpoint is bound to all of them
    udp_port: int = UDP_PORT


@dataclass(slots=True, eq=False)
class Link:
    """An association of one of the two endpoints."""

    endpoint: str
    association: int
    addresses: tuple[str, ...]
    port: int
    local: bool  # its peer is a program of this host
    resolutions: RateLimit = field(default_factory=RateLimit)
    reports: RateLimit = field(default_factory=RateLimit)


@dataclass(slots=True)
class Synchronisation:
    """A handle table that we are downloading from a peer."""

    own_only: bool  # W flag: only what the peer owns
    generation: int  # elements of it with an older one are gone, once the table is complete


@dataclass(slots=True)
class TableSession:
    """A handle table that a peer is downloading from us (RFC 5353 §3.2.3)."""

    own_only: bool
    position: Position
    at: float


@dataclass(slots=True, eq=False)
class Takeover:
    """Our own attempt to take over a peer (RFC 5353 §3.5.1)."""

    outstanding: set[int]  # who has not acknowledged yet
    until: float


@dataclass(slots=True, eq=False)
class Peer:
    """Another registrar."""

    identifier: int  # 0: configured, not heard of yet
    addresses: tuple[str, ...]
    port: int
    udp_port: int = UDP_PORT
    static: StaticPeer | None = None
    link: Link | None = None
    heard: float = 0.0
    listed: bool = False  # we have its peer list
    list_asked: float | None = None
    synchronisation: Synchronisation | None = None
    session: TableSession | None = None
    takeover: Takeover | None = None
    owner: int = 0  # the registrar that has announced to take it over

    def __str__(self) -> str:
        return f"${self.identifier:08x}"


# Timers of the registrar itself and of peers; keys of State.timers are (name, peer or None).
ASAP_CYCLE = "announce"
ENRP_CYCLE = "presence"
MENTOR = "mentor"
LAST_HEARD = "last-heard"
NO_RESPONSE = "no-response"
SYNC = "synchronisation"
TAKEOVER = "takeover"
TimerKey = tuple[str, Peer | None]


class State:
    """All of a registrar's state. ``delay`` gives the round-trip time in seconds of an association, if known."""

    __slots__ = (
        "actions",
        "awaited",
        "by_address",
        "config",
        "delay",
        "handlespace",
        "host",
        "identifier",
        "keepalive_timeouts",
        "keepalives",
        "links",
        "mentor",
        "peers",
        "rejected_mentors",
        "rng",
        "starting",
        "statics",
        "statistics",
        "timers",
    )

    def __init__(
        self,
        config: RegistrarConfig,
        identifier: int,
        host: Host,
        rng: Random,
        delay: Callable[[str, int], float | None],
    ) -> None:
        self.config = config
        self.identifier = identifier
        self.host = host
        self.rng = rng
        self.delay = delay
        self.handlespace = Handlespace(rng)
        self.actions: list[Action] = []
        self.statistics = Statistics()
        self.links: dict[tuple[str, int], Link] = {}
        self.by_address: dict[tuple[str, int], Link] = {}  # ASAP associations by peer address and port
        self.peers: dict[int, Peer] = {}  # by identifier
        self.statics: list[Peer] = []  # configured ones whose identifier is not known
        self.timers: TimerQueue[TimerKey] = TimerQueue()
        self.keepalives: TimerQueue[Element] = TimerQueue()
        self.keepalive_timeouts: TimerQueue[Element] = TimerQueue()
        # Handle and identifier of elements that were removed while they were asked: their answers mean nothing.
        self.awaited: TimerQueue[tuple[bytes, int]] = TimerQueue()
        self.starting = True
        self.mentor: Peer | None = None
        self.rejected_mentors: set[int] = set()

    def drop(self, reason: str) -> None:
        """Count a message that is ignored."""
        self.statistics.dropped[reason] += 1

    def index(self, link: Link) -> None:
        """Make an ASAP association known by its peer's addresses."""
        if link.endpoint == ASAP:
            for address in link.addresses:
                self.by_address[address, link.port] = link

    def unindex(self, link: Link) -> None:
        """Undo `index`, before the addresses change or go."""
        if link.endpoint == ASAP:
            for address in link.addresses:
                if self.by_address.get((address, link.port)) is link:
                    del self.by_address[address, link.port]

    def find_link(self, transport: Transport | None) -> Link | None:
        """The ASAP association with the owner of an ASAP transport, if there is one."""
        if transport is None:
            return None
        links = (self.by_address.get((address, transport.port)) for address in transport.addresses)
        return next((link for link in links if link is not None), None)

    def all_peers(self) -> list[Peer]:
        """Heard and unheard ones."""
        return [*self.peers.values(), *self.statics]

    def is_local(self, peer: Peer) -> bool:
        """Whether a peer runs on this host."""
        return peer.link.local if peer.link is not None else is_local(peer.addresses, self.host.addresses)

    def own_information(self, local: bool) -> ServerInformation:
        """Our server information, as it may be told to a peer on this host or another."""
        addresses = usable(self.host.enrp_addresses or self.host.addresses, local, self.config.min_address_scope)
        udp_port = self.host.udp_port if self.host.udp_port != UDP_PORT else None
        return ServerInformation(self.identifier, Transport(SCTP, self.host.enrp_port, addresses), udp_port)

    def visible(self, element: Element, local: bool) -> PoolElement | None:
        """The element's record as it may be told over a local association or another; None: not at all."""
        return narrow_record(element.record, local, self.config.min_address_scope)

    def answer(self, element: Element, local: bool) -> PoolElement | None:
        """The same for a pool user, who gets no ASAP transport. Kept until the record changes."""
        forms = element.forms
        if forms is None:
            here, there = self.visible(element, True), self.visible(element, False)
            element.forms = forms = (
                replace(there, asap_transport=None) if there is not None else None,
                replace(here, asap_transport=None) if here is not None else None,
            )
            if here is there:
                element.forms = forms = (forms[0], forms[0])
        return forms[local]

    def visible_elsewhere(self, record: PoolElement) -> PoolElement | None:
        """A record as it may be told to other hosts; None if it may not."""
        return narrow_record(record, False, self.config.min_address_scope)

    def forget_timers(self, element: Element) -> None:
        """Stop asking an element whether it is alive."""
        self.keepalives.cancel(element)
        self.keepalive_timeouts.cancel(element)

    def randomised(self, cycle: float) -> float:
        """A waiting time of a cycle, spread by an eighth so that registrars and elements do not get into step."""
        return cycle * self.rng.uniform(0.875, 1.125)

    def send(self, link: Link, data: bytes) -> None:
        """Send over an association."""
        self.actions.append(Send(link.endpoint, link.association, data))

    def send_peer(self, peer: Peer, data: bytes) -> None:
        """Send to a peer, over its association if there is one."""
        if peer.link is not None:
            self.actions.append(Send(ENRP, peer.link.association, data))
        elif peer.addresses:
            self.actions.append(SendTo(ENRP, peer.addresses, peer.port, peer.udp_port, data))

    def abort_element(self, element: Element, reason: str) -> None:
        """Abort the association that an element registered by, or any that there is with its ASAP transport."""
        association = element.connection
        if association is None:
            link = self.find_link(element.record.asap_transport)
            association = link.association if link is not None else None
        if association is not None:
            self.actions.append(Abort(ASAP, association, reason))

    def send_element(self, element: Element, data: bytes) -> None:
        """Send to a pool element, over the association that it registered by, else to its ASAP transport."""
        record = element.record
        if element.connection is not None:
            self.actions.append(Send(ASAP, element.connection, data))
        elif record.asap_transport is not None:
            transport = record.asap_transport
            udp_port = record.udp_port or UDP_PORT
            self.actions.append(SendTo(ASAP, transport.addresses, transport.port, udp_port, data))
