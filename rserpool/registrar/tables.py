"""ENRP handle tables: downloading a peer's, serving ours in portions (RFC 5353 §3.2.3, §3.6.3)."""

from __future__ import annotations

from rserpool.handlespace import Element
from rserpool.registrar import updates
from rserpool.registrar.state import ACTION, MENTOR, SYNC, Link, Peer, State, Synchronisation, TableSession, log
from rserpool.wire import enrp, parameters
from rserpool.wire.types import PoolElement


def start(state: State, peer: Peer, own_only: bool, now: float) -> None:
    """Begin to download a peer's table: all of it, or what it owns."""
    state.handlespace.generation += 1
    peer.synchronisation = Synchronisation(own_only, state.handlespace.generation)
    _ask(state, peer, peer.synchronisation, now)


def _ask(state: State, peer: Peer, synchronisation: Synchronisation, now: float) -> None:
    request = enrp.HandleTableRequest(state.identifier, peer.identifier, own_only=synchronisation.own_only)
    state.send_peer(peer, enrp.encode(request))
    state.timers.arm((SYNC, peer), now + state.config.max_no_response)


def stop(state: State, peer: Peer) -> None:
    """Give a download up; the next audit begins another."""
    peer.synchronisation = None
    state.timers.cancel((SYNC, peer))


def timeout(state: State, peer: Peer, now: float) -> None:
    """A peer has not answered a table request."""
    log.log(ACTION, "Peer %s did not send its handle table", peer)
    stop(state, peer)
    _another_mentor(state, peer)


def request(state: State, link: Link, message: enrp.HandleTableRequest, now: float) -> None:
    """HANDLE_TABLE_REQUEST: the next portion for a peer, or a rejection for a stranger."""
    peer = state.peers.get(message.sender)
    if peer is None:
        rejection = enrp.HandleTableResponse(state.identifier, message.sender, reject=True)
        state.send(link, enrp.encode(rejection))
        return
    session = peer.session
    # RFC 5353 §3.2.3: a download that was interrupted begins anew. The requester waits for
    # MAX-TIME-NO-RESPONSE before it asks again; continuations come at once.
    config = state.config
    lifetime = config.max_no_response / 2
    if session is not None and (session.own_only != message.own_only or now > session.at + lifetime):
        session = None
    after = session.position if session is not None else None
    space = state.handlespace
    walk = space.walk_owned(state.identifier, after) if message.own_only else space.walk(after)
    entries: list[tuple[bytes, PoolElement]] = []
    size, more = 12, False
    last: Element | None = None
    for element in walk:
        record = state.visible(element, link.local)
        if record is not None:
            added = entry_size(element.handle, record)
            full = size + added > config.table_bytes or len(entries) >= config.max_table_items
            if full and entries:
                more = True
                break
            entries.append((element.handle, record))
            size += added
        last = element
    peer.session = None
    if more and last is not None:
        peer.session = TableSession(message.own_only, space.position(last), now)
    response = enrp.HandleTableResponse(state.identifier, message.sender, entries, more=more)
    state.send(link, enrp.encode(response))


def response(state: State, link: Link, message: enrp.HandleTableResponse, now: float) -> None:
    """HANDLE_TABLE_RESPONSE: a portion of a peer's table."""
    peer = state.peers.get(message.sender)
    synchronisation = peer.synchronisation if peer is not None else None
    if peer is None or synchronisation is None:
        state.drop("handle table that nobody asked for")
        return
    if message.reject:
        stop(state, peer)
        _another_mentor(state, peer)
        return
    for handle, record in message.entries:
        _enter(state, link, handle, record, now)
    if message.more:
        _ask(state, peer, synchronisation, now)
        return
    stop(state, peer)
    if synchronisation.own_only:
        for element in state.handlespace.owned(peer.identifier):
            if element.generation < synchronisation.generation:
                log.log(ACTION, "Peer %s does not have %r any more", peer, element)
                state.forget_timers(element)
                state.handlespace.remove(element)
    elif state.starting and peer is state.mentor:
        state.timers.arm((MENTOR, None), now)  # synchronised: normal operation begins


def _enter(state: State, link: Link, handle: bytes, record: PoolElement, now: float) -> None:
    if record.home == state.identifier:
        state.drop("own pool element in the table of a peer")
        return
    element = state.handlespace.find(handle, record.identifier)
    if element is not None and element.home == state.identifier and element.connection is not None:
        # It is registered here by a living association: what the peer says is older. Were the claim granted,
        # two registrars that meet again after a partition would each give the element to the other.
        state.drop("claim of an element that is registered here")
        return
    updates.take(state, link, handle, record, now)


def _another_mentor(state: State, peer: Peer) -> None:
    if state.starting and state.mentor is peer:
        # RFC 5353 §3.2.3: try a backup mentor; the next registrar that is heard becomes one.
        state.rejected_mentors.add(peer.identifier)
        state.mentor = None


def entry_size(handle: bytes, record: PoolElement) -> int:
    """Bytes that an element takes in a response, with its own pool handle parameter."""
    return len(parameters.encode_handle(handle)) + len(parameters.encode_element(record))
