"""Who the other registrars are, and whether they live: presence and peer list (RFC 5353 §3.2.2, §3.4, §3.6.1).

Tables are `tables`'s, the death of a peer is `takeover`'s.
"""

from __future__ import annotations

from rserpool.registrar import heartbeat, tables, takeover
from rserpool.registrar.config import UDP_PORT
from rserpool.registrar.state import (
    ACTION,
    LAST_HEARD,
    NO_RESPONSE,
    Link,
    Peer,
    State,
    log,
)
from rserpool.scopes import usable
from rserpool.wire import enrp
from rserpool.wire.types import SCTP, ServerInformation, Transport

MAX_PEERS = 512  # forged presences must not fill the memory, nor a peer list its message


def receive_multicast(state: State, source: str, message: enrp.Presence, now: float) -> None:
    """PRESENCE from the group: it tells that a registrar is there, and where from (not what it has)."""
    information = message.information
    port = information.transport.port
    peer = state.peers.get(message.sender)
    if state.config.tls is not None and peer is not None and peer.link is not None and peer.port != port:
        # Nobody proves a multicast (RFC 5353 §6.2): it must not lead us away from a peer that is proven.
        state.drop("presence against a proven peer")
        return
    if peer is None or peer.port != port:
        # The source address is the one that surely works; the rest comes by SCTP.
        peer = _meet(state, information, (source,), None, now)
        if peer is None:
            return
    heard(state, peer, now)
    _consider_mentor(state, peer, now)


def receive(state: State, link: Link, message: enrp.Presence, now: float) -> None:
    """PRESENCE by SCTP."""
    information = message.information
    setting = state.config.min_address_scope
    addresses = tuple(
        address
        for address in usable(information.transport.addresses, link.local, setting)
        if address in link.addresses
    )
    if not addresses or information.transport.port != link.port:
        state.drop("presence with addresses of somebody else")
        return
    peer = _meet(state, information, addresses, link, now)
    if peer is None:
        return
    heard(state, peer, now)
    _consider_mentor(state, peer, now)
    if peer.synchronisation is None:
        held = state.handlespace.checksum(peer.identifier, public=not link.local)
        if held != message.checksum:
            log.log(ACTION, "Checksum of peer %s differs: requesting its handle table", peer)
            state.statistics.synchronizations += 1
            tables.start(state, peer, True, now)
    if not peer.listed and (peer.list_asked is None or now >= peer.list_asked + state.config.max_no_response):
        request_list(state, peer, now)
    if message.reply_required:
        heartbeat.send_presence(state, peer)


def heard(state: State, peer: Peer, now: float) -> None:
    """A peer lives: monitor it, and give up any takeover of it (RFC 5353 §3.5.1)."""
    peer.heard = now
    state.timers.cancel((NO_RESPONSE, peer))
    state.timers.arm((LAST_HEARD, peer), now + state.config.max_last_heard)
    takeover.cancel(state, peer)
    peer.owner = 0


def last_heard(state: State, peer: Peer, now: float) -> None:
    """A peer has been silent for MAX-TIME-LAST-HEARD: ask it."""
    log.log(ACTION, "Peer %s was not heard for %g s: asking it", peer, state.config.max_last_heard)
    heartbeat.send_presence(state, peer, reply=True)
    state.timers.arm((NO_RESPONSE, peer), now + state.config.max_no_response)


def _meet(
    state: State, information: ServerInformation, addresses: tuple[str, ...], link: Link | None, now: float
) -> Peer | None:
    identifier, port = information.identifier, information.transport.port
    udp_port = information.udp_port or UDP_PORT
    peer = state.peers.get(identifier)
    if peer is None:
        peer = next((p for p in state.statics if p.port == port and set(addresses) & set(p.addresses)), None)
        if peer is not None:
            state.statics.remove(peer)
            peer.identifier = identifier
        elif len(state.peers) >= MAX_PEERS:
            state.drop("too many peers")
            return None
        else:
            peer = Peer(identifier, addresses, port)
        state.peers[identifier] = peer
        new = True
    else:
        new = False
        if peer.port != port:  # restarted elsewhere with the same identifier
            peer.link = None
            peer.session = None
    peer.addresses, peer.port, peer.udp_port = addresses, port, udp_port
    if link is not None:
        peer.link = link
    if new:
        log.log(ACTION, "New peer %s at %s port %d", peer, ", ".join(addresses), port)
        heartbeat.send_presence(state, peer, reply=True)
    return peer


def _consider_mentor(state: State, peer: Peer, now: float) -> None:
    if state.starting and state.mentor is None and peer.identifier not in state.rejected_mentors:
        log.info("Mentor registrar is %s: requesting peer list and handle table", peer)
        state.mentor = peer
        request_list(state, peer, now)
        tables.start(state, peer, False, now)


def request_list(state: State, peer: Peer, now: float) -> None:
    """LIST_REQUEST (RFC 5353 §3.2.2.2)."""
    peer.list_asked = now
    state.send_peer(peer, enrp.encode(enrp.ListRequest(state.identifier, peer.identifier)))


def list_request(state: State, link: Link, message: enrp.ListRequest, now: float) -> None:
    """LIST_REQUEST: the peers that we have heard of, with addresses that the asker can use."""
    setting = state.config.min_address_scope
    servers = []
    for peer in state.peers.values():
        addresses = usable(peer.addresses, link.local, setting)
        if addresses:
            udp_port = peer.udp_port if peer.udp_port != UDP_PORT else None
            servers.append(ServerInformation(peer.identifier, Transport(SCTP, peer.port, addresses), udp_port))
    state.send(link, enrp.encode(enrp.ListResponse(state.identifier, message.sender, servers)))


def list_response(state: State, link: Link, message: enrp.ListResponse, now: float) -> None:
    """LIST_RESPONSE: greet those whom we did not know."""
    peer = state.peers.get(message.sender)
    if peer is not None and not message.reject:
        peer.listed = True
    for information in message.servers:
        identifier, transport = information.identifier, information.transport
        addresses = usable(transport.addresses, link.local, state.config.min_address_scope)
        if identifier in (0, state.identifier) or identifier in state.peers or not addresses:
            continue
        if len(state.peers) >= MAX_PEERS:
            state.drop("too many peers")
            return
        new = Peer(identifier, addresses, transport.port, information.udp_port or UDP_PORT)
        log.log(ACTION, "New peer %s from the list of $%08x", new, message.sender)
        state.peers[identifier] = new
        state.timers.arm((LAST_HEARD, new), now + state.config.max_last_heard)
        heartbeat.send_presence(state, new)
