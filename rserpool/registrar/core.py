"""The sans-IO registrar: messages, associations and time go in, actions come out.

    registrar.receive_asap / receive_enrp(association, data, now)     one message
    registrar.receive_multicast(source, data, now)                     one datagram of the ENRP group
    registrar.association_up / association_lost(endpoint, ...)
    registrar.deadline() -> float | None; registrar.expire(now)        timers
    registrar.actions() -> list[Action]                                drained; after any of the above

Nothing raises because of what a message contains. ``now`` is in seconds of any monotonic clock.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from rserpool.registrar import heartbeat, presence, registrations, tables, takeover, updates
from rserpool.registrar.actions import ASAP, ENRP, Action, Multicast
from rserpool.registrar.config import UDP_PORT, RegistrarConfig
from rserpool.registrar.state import (
    ASAP_CYCLE,
    ENRP_CYCLE,
    LAST_HEARD,
    MENTOR,
    NO_RESPONSE,
    SYNC,
    TAKEOVER,
    Host,
    Link,
    Peer,
    State,
    log,
)
from rserpool.registrar.statistics import Statistics
from rserpool.scopes import is_local
from rserpool.wire import asap, enrp
from rserpool.wire.types import DecodeError

Handler = Callable[[State, Link, Any, float], None]

ASAP_HANDLERS: dict[type, Handler] = {
    asap.Registration: registrations.registration,
    asap.Deregistration: registrations.deregistration,
    asap.HandleResolution: registrations.handle_resolution,
    asap.EndpointKeepAliveAck: registrations.keepalive_ack,
    asap.EndpointUnreachable: registrations.endpoint_unreachable,
}

ENRP_HANDLERS: dict[type, Handler] = {
    enrp.Presence: presence.receive,
    enrp.ListRequest: presence.list_request,
    enrp.ListResponse: presence.list_response,
    enrp.HandleTableRequest: tables.request,
    enrp.HandleTableResponse: tables.response,
    enrp.HandleUpdate: updates.handle_update,
    enrp.InitTakeover: takeover.init_takeover,
    enrp.InitTakeoverAck: takeover.init_takeover_ack,
    enrp.TakeoverServer: takeover.takeover_server,
}

PEER_TIMERS: dict[str, Callable[[State, Peer, float], None]] = {
    LAST_HEARD: presence.last_heard,
    NO_RESPONSE: takeover.no_response,
    SYNC: tables.timeout,
    TAKEOVER: takeover.timeout,
}


def _no_delay(endpoint: str, association: int) -> float | None:
    return None


class Registrar:
    """One registrar. ``rng`` chooses identifier, jitter and random policies' draws."""

    def __init__(
        self,
        config: RegistrarConfig,
        host: Host,
        now: float,
        rng: Random,
        delay: Callable[[str, int], float | None] = _no_delay,
    ) -> None:
        config.validate()
        identifier = config.identifier or rng.randrange(1, 1 << 32)
        self.state = state = State(config, identifier, host, rng, delay)
        for static in config.peers:
            # Another UDP port of this host is another stack, whose SCTP ports may be the same.
            here = static.port == host.enrp_port and static.udp_port == host.udp_port
            if here and set(static.addresses) & set(host.addresses):
                continue  # that is us
            state.statics.append(Peer(0, static.addresses, static.port, static.udp_port, static=static))
        self._queues = (state.timers, state.keepalives, state.keepalive_timeouts, state.handlespace)
        state.timers.arm((MENTOR, None), now + config.mentor_timeout)
        state.timers.arm((ENRP_CYCLE, None), now + config.mentor_timeout)
        for peer in state.statics:
            # RSPLIB waits for theirs; asking finds a mentor where there is no multicast.
            heartbeat.send_presence(state, peer, reply=True)

    @property
    def identifier(self) -> int:
        """The registrar's identifier."""
        return self.state.identifier

    @property
    def starting(self) -> bool:
        """True while the registrar looks for a mentor; ASAP is served, but not announced."""
        return self.state.starting

    @property
    def statistics(self) -> Statistics:
        """The counters."""
        return self.state.statistics

    # What comes in

    def association_up(
        self, endpoint: str, association: int, addresses: tuple[str, ...], port: int, now: float
    ) -> None:
        """An association of an endpoint (``ASAP`` or ``ENRP``) with its peer's addresses; may be repeated."""
        state = self.state
        key = (endpoint, association)
        local = is_local(addresses, state.host.addresses)
        link = state.links.get(key)
        if link is not None:
            state.unindex(link)
            link.addresses, link.port, link.local = addresses, port, local
            state.index(link)
            return
        link = state.links[key] = Link(endpoint, association, addresses, port, local)
        state.index(link)
        if endpoint == ENRP:
            for peer in state.all_peers():
                if peer.link is None and peer.port == port and set(peer.addresses) & set(addresses):
                    peer.link = link

    def association_lost(self, endpoint: str, association: int, now: float) -> None:
        """An association has ended, in whatever way."""
        link = self.state.links.pop((endpoint, association), None)
        if link is None:
            return
        self.state.unindex(link)
        if endpoint == ASAP:
            registrations.association_lost(self.state, link, now)
        else:
            for peer in self.state.peers.values():
                if peer.link is link:
                    peer.link = None
        self._verify()

    def receive_asap(self, association: int, data: bytes, now: float) -> None:
        """One ASAP message (payload protocol identifier 11) by an association that is up."""
        state = self.state
        link = state.links.get((ASAP, association))
        if link is None:
            state.drop("message by an unknown association")
            return
        try:
            message = asap.decode(data)
        except DecodeError as error:
            self._undecodable(link, error)
            return
        handler = ASAP_HANDLERS.get(type(message))
        if handler is None:
            state.drop(f"ASAP {type(message).__name__}")
            return
        handler(state, link, message, now)
        self._verify()

    def receive_enrp(self, association: int, data: bytes, now: float) -> None:
        """One ENRP message (payload protocol identifier 12) by an association that is up."""
        state = self.state
        link = state.links.get((ENRP, association))
        if link is None:
            state.drop("message by an unknown association")
            return
        try:
            message = enrp.decode(data)
        except DecodeError as error:
            self._undecodable(link, error)
            return
        handler = ENRP_HANDLERS.get(type(message))
        if handler is None:
            state.drop(f"ENRP {type(message).__name__}")
            return
        if message.sender == state.identifier:
            state.drop("message with our own identifier")
            return
        handler(state, link, message, now)
        self._verify()

    def receive_multicast(self, source: str, data: bytes, now: float) -> None:
        """One datagram of the ENRP group; only PRESENCE is taken."""
        state = self.state
        try:
            message = enrp.decode(data)
        except DecodeError:
            state.drop("bad multicast datagram")
            return
        if not isinstance(message, enrp.Presence):
            state.drop("multicast message that is no presence")
        elif message.sender != state.identifier:
            presence.receive_multicast(state, source, message, now)

    def host_changed(self, host: Host) -> None:
        """The host's addresses have changed."""
        self.state.host = host

    # Time

    def deadline(self) -> float | None:
        """When `expire` must be called at the latest."""
        earliest: float | None = None
        for queue in self._queues:
            at = queue.deadline()
            if at is not None and (earliest is None or at < earliest):
                earliest = at
        return earliest

    def expire(self, now: float) -> None:
        """Run all timers that are due."""
        state = self.state
        for element in state.handlespace.expired(now):
            registrations.remove(state, element, "registration life is over")
        for element in state.keepalive_timeouts.due(now):
            registrations.keepalive_timeout(state, element, now)
        state.awaited.due(now)
        for element in state.keepalives.due(now):
            registrations.keepalive_due(state, element, now)
        for name, peer in state.timers.due(now):
            if peer is not None:
                # A timer that ran before may have removed the peer.
                if state.peers.get(peer.identifier) is peer:
                    PEER_TIMERS[name](state, peer, now)
            elif name == MENTOR:
                self._begin_normal_operation(now)
            elif name == ENRP_CYCLE:
                heartbeat.cycle(state, now)
            else:
                self._announce_asap(now)
        self._verify()

    def actions(self) -> list[Action]:
        """What is to be done, in order; the list is emptied."""
        actions, self.state.actions = self.state.actions, []
        return actions

    def _begin_normal_operation(self, now: float) -> None:
        state = self.state
        if state.starting:
            state.starting = False
            log.info("Initialization phase ended. The registrar is ready!")
            self._announce_asap(now)

    def _announce_asap(self, now: float) -> None:
        state = self.state
        if state.config.asap_announce is None:
            return
        udp_port = state.host.udp_port if state.host.udp_port != UDP_PORT else None
        data = asap.encode(asap.ServerAnnounce(state.identifier, udp_port=udp_port))
        state.actions.append(Multicast(ASAP, data, data))
        state.timers.arm((ASAP_CYCLE, None), now + state.randomised(state.config.server_announce_cycle))

    def _undecodable(self, link: Link, error: DecodeError) -> None:
        state = self.state
        state.drop("undecodable message")
        log.warning("Bad %s message: %s", link.endpoint.upper(), error)
        if error.silent:
            return
        if link.endpoint == ASAP:
            state.send(link, asap.encode(asap.Error(error.cause, error.tlv)))
        else:
            state.send(link, enrp.encode(enrp.Error(state.identifier, 0, error.cause, error.tlv)))

    def _verify(self) -> None:
        if self.state.config.verify:
            self.state.handlespace.verify()
