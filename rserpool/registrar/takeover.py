"""ENRP takeover: the pool elements of a dead registrar get a new home (RFC 5353 §3.5).

The lower identifier wins the arbitration, as RSPLIB has it (the RFC says the higher). Other than RSPLIB, a lone
survivor completes, TAKEOVER_SERVER is really sent, and requests are repeated, so that a lost message or a dead
peer does not cost the elements their home.
"""

from __future__ import annotations

from rserpool.registrar import heartbeat, registrations
from rserpool.registrar.state import (
    ACTION,
    LAST_HEARD,
    NO_RESPONSE,
    SYNC,
    TAKEOVER,
    Link,
    Peer,
    State,
    Takeover,
    log,
)
from rserpool.wire import enrp

BURST, PACE = 200, 1000.0  # taken-over elements that are called at once, and per second after them
ATTEMPTS = 3  # transmissions of INIT_TAKEOVER within the takeover timeout


def no_response(state: State, peer: Peer, now: float) -> None:
    """A peer is dead (MAX-TIME-NO-RESPONSE): see who looks after its elements."""
    if state.handlespace.count(peer.identifier) == 0:
        log.log(ACTION, "Peer %s is dead and owns nothing: removing it", peer)
        forget(state, peer, now)
    elif peer.owner:
        # Somebody has announced its takeover, but has not completed it: if nothing comes, we try.
        peer.owner = 0
        wait = state.config.takeover_timeout + state.config.max_no_response
        state.timers.arm((NO_RESPONSE, peer), now + wait)
    else:
        _begin(state, peer, now)


def _begin(state: State, peer: Peer, now: float) -> None:
    others = {identifier for identifier in state.peers if identifier != peer.identifier}
    log.log(ACTION, "Peer %s is dead: trying to take it over", peer)
    peer.takeover = Takeover(others, now + state.config.takeover_timeout)
    if not others:
        _complete(state, peer, now)
        return
    for other in list(state.peers.values()):  # RFC 5353 §3.5.1: the target too, it may live
        _send_init(state, other, peer)
    state.timers.arm((TAKEOVER, peer), now + state.config.takeover_timeout / ATTEMPTS)


def _send_init(state: State, to: Peer, target: Peer) -> None:
    state.send_peer(to, enrp.encode(enrp.InitTakeover(state.identifier, to.identifier, target.identifier)))


def timeout(state: State, peer: Peer, now: float) -> None:
    """Acknowledgements are missing: ask again; in the end the rest is taken for dead or gone."""
    takeover = peer.takeover
    if takeover is None:
        return
    if now >= takeover.until - 1e-6:
        log.log(ACTION, "Takeover of %s: %d acknowledgements missing", peer, len(takeover.outstanding))
        _complete(state, peer, now)
        return
    for identifier in sorted(takeover.outstanding):
        if identifier in state.peers:
            _send_init(state, state.peers[identifier], peer)
    state.timers.arm((TAKEOVER, peer), min(takeover.until, now + state.config.takeover_timeout / ATTEMPTS))


def cancel(state: State, peer: Peer) -> None:
    """Give up our takeover of a peer, if there is one."""
    if peer.takeover is not None:
        log.log(ACTION, "Takeover of %s cancelled", peer)
        state.statistics.takeovers_aborted += 1
        peer.takeover = None
        state.timers.cancel((TAKEOVER, peer))


def init_takeover(state: State, link: Link, message: enrp.InitTakeover, now: float) -> None:
    """INIT_TAKEOVER: the arbitration."""
    if message.target == state.identifier:
        log.warning("Registrar $%08x takes this one for dead", message.sender)
        heartbeat.announce(state)
        return
    target = state.peers.get(message.target)
    if target is not None:
        if target.takeover is not None:
            if message.sender > state.identifier:
                return
            cancel(state, target)
            state.timers.arm((NO_RESPONSE, target), now + state.config.max_no_response)
        target.owner = message.sender
    ack = enrp.InitTakeoverAck(state.identifier, message.sender, message.target)
    state.send(link, enrp.encode(ack))


def init_takeover_ack(state: State, link: Link, message: enrp.InitTakeoverAck, now: float) -> None:
    """INIT_TAKEOVER_ACK: the last one completes the takeover."""
    target = state.peers.get(message.target)
    if target is None or target.takeover is None:
        state.drop("acknowledgement of no takeover")
        return
    _acknowledged(state, target, message.sender, now)


def _acknowledged(state: State, target: Peer, identifier: int, now: float) -> None:
    if target.takeover is not None:
        target.takeover.outstanding.discard(identifier)
        if not target.takeover.outstanding:
            _complete(state, target, now)


def _complete(state: State, target: Peer, now: float) -> None:
    elements = state.handlespace.owned(target.identifier)
    log.info("Taking over %d pool elements of the dead registrar %s", len(elements), target)
    state.statistics.takeovers += 1
    for peer in list(state.peers.values()):
        if peer is not target:
            message = enrp.TakeoverServer(state.identifier, peer.identifier, target.identifier)
            state.send_peer(peer, enrp.encode(message))
    for at, element in enumerate(elements):
        state.handlespace.set_home(element, state.identifier)
        state.handlespace.connect(element, None)
        if at < BURST:
            registrations.send_keepalive(state, element, now, home=True)
        else:
            # Each call is a new association: thousands at once would time out before they are set up.
            state.keepalives.arm(element, now + (at - BURST) / PACE)
    target.takeover = None
    forget(state, target, now)


def takeover_server(state: State, link: Link, message: enrp.TakeoverServer, now: float) -> None:
    """TAKEOVER_SERVER: the elements of the target have a new home."""
    own = message.target == state.identifier
    for element in state.handlespace.owned(message.target):
        if own and element.connection is not None:
            continue  # we live, and so does its association: it has not moved
        state.forget_timers(element)
        state.handlespace.set_home(element, message.sender)
    target = state.peers.get(message.target)
    if target is not None and not own:
        log.log(ACTION, "Registrar $%08x has taken %s over", message.sender, target)
        forget(state, target, now)


def forget(state: State, peer: Peer, now: float) -> None:
    """Remove a peer; a configured one waits to be heard again, under whatever identifier."""
    for timer in (LAST_HEARD, NO_RESPONSE, SYNC, TAKEOVER):
        state.timers.cancel((timer, peer))
    state.peers.pop(peer.identifier, None)
    if state.mentor is peer:
        state.mentor = None
    if peer.static is not None:
        state.statics.append(
            Peer(0, peer.static.addresses, peer.static.port, peer.static.udp_port, static=peer.static)
        )
    for other in list(state.peers.values()):
        _acknowledged(state, other, peer.identifier, now)
