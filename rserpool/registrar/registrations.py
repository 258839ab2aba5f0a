"""ASAP's server side: registration, resolution, keep-alives, unreachability (RFC 5352 §3.1 to §3.6).

Answers and timing are RSPLIB's where RFC 5352 leaves room. What changes is told to the other registrars by
`updates`.
"""

from __future__ import annotations

from dataclasses import replace

from rserpool.handlespace import Element, Incompatible
from rserpool.registrar import updates
from rserpool.registrar.actions import ASAP, Abort
from rserpool.registrar.config import MAX_ANSWER_ITEMS
from rserpool.registrar.distance import with_distance
from rserpool.registrar.state import ACTION, Link, State, log
from rserpool.scopes import usable
from rserpool.wire import asap, causes
from rserpool.wire.types import SCTP, PoolElement, Transport


def admit(state: State, link: Link, record: PoolElement) -> PoolElement:
    """The record as it is registered: with usable addresses of the association only, and us as its home.

    Nobody can register somebody else's addresses: those that are not the association's are left out.
    Raises `Incompatible` if none remain.
    """
    setting = state.config.min_address_scope
    theirs = usable(link.addresses, link.local, setting)
    if not theirs:
        raise Incompatible("the association has no address of sufficient scope", causes.NO_USABLE_ASAP_ADDRESSES)
    user = record.user_transport
    addresses = tuple(address for address in user.addresses if address in theirs)
    if user.protocol != SCTP:
        addresses = addresses[:1]  # all that their parameters can express (RFC 5354 §3.4, §3.5)
    if not addresses:
        raise Incompatible("no user address belongs to the association", causes.NO_USABLE_USER_ADDRESSES)
    if addresses != user.addresses:
        user = replace(user, addresses=addresses)
    policy = with_distance(record.policy, state.delay(ASAP, link.association), state.config.distance_step, 0)
    asap_transport = Transport(SCTP, link.port, theirs)
    return PoolElement(
        record.identifier, state.identifier, record.life, user, policy, asap_transport, record.udp_port
    )


def registration(state: State, link: Link, message: asap.Registration, now: float) -> None:
    """REGISTRATION: the update to the peers leaves before the response."""
    statistics = state.statistics
    identifier = message.element.identifier
    try:
        record = admit(state, link, message.element)
        local = link.local and state.visible_elsewhere(record) is None
        element, new = state.handlespace.register(
            message.handle, record, now, connection=link.association, local=local
        )
    except Incompatible as refused:
        statistics.refused += 1
        log.log(
            ACTION,
            "Refused to register %s/$%08x: %s",
            message.handle.decode("ascii", "backslashreplace"),
            identifier,
            refused,
        )
        response = asap.RegistrationResponse(message.handle, identifier, True, refused.cause)
        state.send(link, asap.encode(response))
        return
    statistics.registrations += 1
    if not new:
        statistics.reregistrations += 1
    elif state.awaited:
        state.awaited.cancel((message.handle, identifier))
    state.keepalive_timeouts.cancel(element)
    state.keepalives.arm(element, now + state.randomised(state.config.keepalive_interval))
    log.log(ACTION, "%s %r", "Registered" if new else "Re-registered", element)
    updates.announce(state, element, updates.ADD, suggest=True)
    state.send(link, asap.encode(asap.RegistrationResponse(message.handle, identifier)))


def deregistration(state: State, link: Link, message: asap.Deregistration, now: float) -> None:
    """DEREGISTRATION: that of an unknown element succeeds as well."""
    element = state.handlespace.find(message.handle, message.identifier)
    if element is not None:
        state.statistics.deregistrations += 1
        remove(state, element, "deregistered")
    state.send(link, asap.encode(asap.DeregistrationResponse(message.handle, message.identifier)))


def handle_resolution(state: State, link: Link, message: asap.HandleResolution, now: float) -> None:
    """HANDLE_RESOLUTION: elements in the order of the pool's policy, or the error "unknown pool handle"."""
    state.statistics.handle_resolutions += 1
    config = state.config
    answer: list[PoolElement] = []
    if link.resolutions.admit(message.handle, config.max_resolution_rate, now):
        items = min(message.items or config.max_answer_items, MAX_ANSWER_ITEMS)
        answer = _select(state, link, message.handle, items)
    else:
        state.drop("handle resolution rate")
    if not answer:
        response = asap.HandleResolutionResponse(message.handle, error=causes.UNKNOWN_POOL_HANDLE)
    else:
        response = asap.HandleResolutionResponse(message.handle, answer[0].policy, answer)
    state.send(link, asap.encode(response))


def _select(state: State, link: Link, handle: bytes, items: int) -> list[PoolElement]:
    space, increment = state.handlespace, state.config.max_increment
    chosen = space.select(handle, items, increment)
    if not link.local and any(element.local for element in chosen):
        # Elements of this host only are nothing for others; look for more behind them.
        chosen = [e for e in space.select(handle, MAX_ANSWER_ITEMS, increment) if not e.local][:items]
    records = (state.answer(element, link.local) for element in chosen)
    return [record for record in records if record is not None]


def keepalive_due(state: State, element: Element, now: float) -> None:
    """Ask an element whether it is alive (RFC 5352 §3.4); one that was taken over hears of its new home."""
    home = element.connection is None and element.home == state.identifier
    send_keepalive(state, element, now, home=home)


def send_keepalive(state: State, element: Element, now: float, *, home: bool) -> None:
    """ENDPOINT_KEEP_ALIVE; ``home`` tells the element that we are its home registrar now."""
    state.statistics.endpoint_keepalives += 1
    state.keepalives.cancel(element)
    state.keepalive_timeouts.arm(element, now + state.config.keepalive_timeout)
    state.send_element(element, updates.keepalive(state, element, home))


def keepalive_timeout(state: State, element: Element, now: float) -> None:
    """An element has not answered in time: it and its association go."""
    if element.home != state.identifier:
        if element.connection is None:
            # Taken over, but then claimed by another: should it have followed us, it must look again.
            state.abort_element(element, "not registered")
        state.handlespace.connect(element, None)  # it has really moved
        return
    log.log(ACTION, "%r did not answer the keep-alive: removing it", element)
    # Even if it was only taken over: it may have made us its home, though its answer is missing.
    state.abort_element(element, "keep-alive timeout")
    remove(state, element, "keep-alive timeout")


def keepalive_ack(state: State, link: Link, message: asap.EndpointKeepAliveAck, now: float) -> None:
    """ENDPOINT_KEEP_ALIVE_ACK. Pool elements acknowledge to their home registrar, so whoever gets one is that.

    The first one after a takeover also tells by which association the element is reached.
    """
    element = state.handlespace.find(message.handle, message.identifier)
    if element is None:
        if state.awaited.cancel((message.handle, message.identifier)):
            state.drop("keep-alive acknowledgement of an element that was reported away")
            return
        # It believes to be registered here, but is not (any more): it shall look for a registrar and register.
        state.drop("keep-alive acknowledgement of an unknown element")
        state.actions.append(Abort(ASAP, link.association, "not registered"))
        return
    own = element.home == state.identifier
    if own and element.connection not in (None, link.association):
        state.drop("keep-alive acknowledgement by another association")
        return
    if element.connection != link.association:
        transport = element.record.asap_transport
        if transport is None or not set(transport.addresses) & set(link.addresses):
            state.drop("keep-alive acknowledgement by somebody else")
            return
        state.handlespace.connect(element, link.association)
    if not own:
        log.log(ACTION, "%r has made us its home", element)
        state.handlespace.set_home(element, state.identifier)
        updates.announce(state, element, updates.ADD)
    state.keepalive_timeouts.cancel(element)
    state.keepalives.arm(element, now + state.randomised(state.config.keepalive_interval))


def endpoint_unreachable(state: State, link: Link, message: asap.EndpointUnreachable, now: float) -> None:
    """ENDPOINT_UNREACHABLE: an own element is asked at once whether it lives (RFC 5352 §3.5).

    Its answer does not take the reports back: too many of them remove an element, whoever its home is, for who
    cannot be reached by pool users is of no use to them. It may come back by its next registration.
    """
    if not link.reports.admit(message.handle, state.config.max_report_rate, now):
        state.drop("unreachability report rate")
        return
    state.statistics.failure_reports += 1
    element = state.handlespace.find(message.handle, message.identifier)
    if element is None:
        return
    element.reports += 1
    if element.reports >= state.config.max_bad_reports:
        log.log(ACTION, "%r was reported unreachable %d times: removing it", element, element.reports)
        asked = state.keepalive_timeouts.when(element)
        if asked is not None:
            # Were its answer taken for that of a stranger, it would be sent away and register again at once.
            state.awaited.arm((element.handle, element.identifier), asked)
        remove(state, element, "unreachable")
    elif element.home == state.identifier and element not in state.keepalive_timeouts:
        keepalive_due(state, element, now)


def association_lost(state: State, link: Link, now: float) -> None:
    """An ASAP association is gone, and with it every element that was registered by it."""
    for element in state.handlespace.connected(link.association):
        if element.home != state.identifier:
            state.handlespace.connect(element, None)  # it has moved, as its new home said
            state.forget_timers(element)
            continue
        log.log(ACTION, "Association of %r is gone: removing it", element)
        remove(state, element, "association lost")


def remove(state: State, element: Element, reason: str) -> None:
    """Remove an element; if it is ours, the peers are told. Elements of others are removed here only."""
    state.forget_timers(element)
    own = element.home == state.identifier
    state.handlespace.remove(element)
    log.log(ACTION, "Removed %r: %s", element, reason)
    if own:
        updates.announce(state, element, updates.DELETE)
