"""Saying that we are here: PRESENCE to the group and to peers (RFC 5353 §3.4.2). Hearing it is `presence`'s."""

from __future__ import annotations

from rserpool.registrar.actions import ENRP, Multicast
from rserpool.registrar.state import ENRP_CYCLE, Peer, State
from rserpool.wire import enrp


def encode_presence(state: State, receiver: int, local: bool, reply: bool) -> bytes | None:
    """PRESENCE as told on this host or to others; None if we have no address that could be told."""
    information = state.own_information(local)
    if not information.transport.addresses:
        return None
    checksum = state.handlespace.checksum(state.identifier, public=not local)
    return enrp.encode(enrp.Presence(state.identifier, receiver, checksum, information, reply_required=reply))


def send_presence(state: State, peer: Peer, *, reply: bool = False) -> None:
    """PRESENCE to one peer; ``reply`` asks it to answer."""
    data = encode_presence(state, peer.identifier, state.is_local(peer), reply)
    if data is not None:
        state.send_peer(peer, data)


def announce(state: State) -> None:
    """PRESENCE to the group and to every peer."""
    if state.config.enrp_announce is not None:
        here = encode_presence(state, 0, True, False)
        if here is not None:
            state.actions.append(Multicast(ENRP, here, encode_presence(state, 0, False, False)))
    for peer in state.all_peers():
        send_presence(state, peer)


def cycle(state: State, now: float) -> None:
    """The heartbeat (PEER-HEARTBEAT-CYCLE)."""
    announce(state)
    state.timers.arm((ENRP_CYCLE, None), now + state.randomised(state.config.heartbeat_cycle))
