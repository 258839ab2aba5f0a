"""ENRP handle updates: telling peers what changed, and hearing it from them (RFC 5353 §3.3)."""

from __future__ import annotations

from dataclasses import replace

from rserpool.handlespace import Element, Incompatible
from rserpool.registrar.actions import ENRP
from rserpool.registrar.distance import with_distance
from rserpool.registrar.state import ACTION, Link, State, log
from rserpool.scopes import narrow_record
from rserpool.wire import asap, enrp
from rserpool.wire.types import PoolElement

ADD, DELETE = 0, 1


def announce(state: State, element: Element, action: int, *, suggest: bool = False) -> None:
    """HANDLE_UPDATE to every peer that knows the element or should; ``suggest``: one may take it over."""
    if not state.peers and not state.statics:
        return
    encoded: dict[bool, bytes | None] = {}  # one form for this host, one for others
    for peer in state.all_peers():
        local = state.is_local(peer)
        if local not in encoded:
            encoded[local] = _encode(state, element, action, local)
        data = encoded[local]
        if data is not None:
            state.statistics.handle_updates += 1
            state.send_peer(peer, data)
    if suggest and state.config.takeover_suggestion:
        _suggest_takeover(state, element)


def _encode(state: State, element: Element, action: int, local: bool, suggest: bool = False) -> bytes | None:
    record = state.visible(element, local)
    if record is None:
        return None
    return enrp.encode(
        enrp.HandleUpdate(state.identifier, 0, action, element.handle, record, takeover_suggested=suggest)
    )


def _suggest_takeover(state: State, element: Element) -> None:
    # The registrar whose identifier is "farthest" from the element's should have it, so that homes spread.
    best = max(state.peers.values(), key=lambda peer: peer.identifier ^ element.identifier, default=None)
    if best is None or best.identifier ^ element.identifier <= state.identifier ^ element.identifier:
        return
    data = _encode(state, element, ADD, state.is_local(best), suggest=True)
    if data is not None:
        state.send_peer(best, data)


def take(state: State, link: Link, handle: bytes, record: PoolElement, now: float) -> Element | None:
    """Register what a peer says about an element that is not ours; None if it cannot be.

    The element expires a registration life from now, unless a table says so while a timer runs already.
    """
    visible = narrow_record(record, link.local, state.config.min_address_scope)
    if visible is None:
        state.drop("pool element without usable address")
        return None
    policy = with_distance(
        visible.policy, state.delay(ENRP, link.association), state.config.distance_step, visible.policy.distance
    )
    if policy is not visible.policy:
        visible = replace(visible, policy=policy)
    local = link.local and state.visible_elsewhere(visible) is None
    # If it was registered here, the association stays known: should the element still acknowledge over it, it
    # has not moved (see `registrations.keepalive_ack`).
    known = state.handlespace.find(handle, record.identifier)
    connection = known.connection if known is not None else None
    try:
        element, _ = state.handlespace.register(handle, visible, now, connection=connection, local=local)
    except Incompatible as refused:
        log.warning("Cannot take over %s/$%08x from a peer: %s", handle, record.identifier, refused)
        state.drop("incompatible pool element of a peer")
        return None
    if connection is None and element not in state.keepalive_timeouts:
        state.forget_timers(element)
    return element


def keepalive(state: State, element: Element, home: bool) -> bytes:
    """ENDPOINT_KEEP_ALIVE; ``home`` tells the element that we are its home registrar now."""
    return asap.encode(asap.EndpointKeepAlive(state.identifier, element.handle, element.identifier, home))


def handle_update(state: State, link: Link, message: enrp.HandleUpdate, now: float) -> None:
    """HANDLE_UPDATE from a peer."""
    record = message.element
    if message.action == ADD:
        if record.home == state.identifier:
            state.drop("update of an own element")
            return
        element = take(state, link, message.handle, record, now)
        if element is not None and message.takeover_suggested and state.config.takeover_suggestion:
            # The element answers by making us its home; then it re-registers here.
            state.send_element(element, keepalive(state, element, True))
    elif message.action == DELETE:
        _delete(state, message, now)
    else:
        state.drop("update action")


def _delete(state: State, message: enrp.HandleUpdate, now: float) -> None:
    element = state.handlespace.find(message.handle, message.element.identifier)
    if element is None:
        return
    if element.home not in (message.sender, message.element.home):
        # Its home has changed: the old one only reports that its association has gone (RSPLIB removes it all
        # the same and gets it back by the next audit).
        state.drop("removal by a former home")
        return
    if element.connection is not None:
        # Its association with us lives: it registered there only in passing, and is ours until it turns out to be
        # silent. Its answer could be lost; that nobody asks it any more could not be mended.
        log.log(ACTION, "Peer $%08x removes %r, which is associated with us: asking it", message.sender, element)
        state.handlespace.set_home(element, state.identifier)
        announce(state, element, ADD)
        state.keepalives.cancel(element)
        state.keepalive_timeouts.arm(element, now + state.config.keepalive_timeout)
        state.send_element(element, keepalive(state, element, False))
        return
    log.log(ACTION, "Peer $%08x removes %r", message.sender, element)
    if element in state.keepalive_timeouts:
        # We have just taken it over, and it may have followed: then it must look again.
        state.abort_element(element, "not registered")
    state.forget_timers(element)
    state.handlespace.remove(element)
