"""Setting up an association: INIT, INIT ACK, COOKIE ECHO, COOKIE ACK, and all their collisions.

RFC 9260 sections 5.1 and 5.2. An INIT leaves nothing behind but its answer: the association is made when the
signed cookie comes back. ``COOKIE_ACTIONS`` is table 12 of section 5.2.4 as data; ``classify`` finds the row,
``_ACTIONS`` what to do. What the parameters of INIT and INIT ACK say is read in ``offer``.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from ..errors import DecodeError
from ..wire import causes, chunks, packet, params
from . import heartbeat, teardown
from .cookie import Cookie
from .events import AdaptationIndication, CommunicationUp, Restarted
from .offer import Offer, own_parameters, own_source, peer_addresses, read_parameters
from .path import Path, PathKey
from .states import COOKIE_ECHOED, COOKIE_WAIT, SETTING_UP, SHUTDOWN_ACK_SENT
from .transmit import emit

if TYPE_CHECKING:
    from .association import Association
    from .config import Config
    from .endpoint import Endpoint
    from .engine import Engine

MIN_RWND = 1500  # section 3.3.2
REFUSAL = 512  # bytes of error causes at most in an ABORT to somebody without an association
_COOKIE_ACK = packet.chunk(chunks.COOKIE_ACK, 0, b"")


@dataclass(slots=True)
class Pending:
    """What only the states COOKIE-WAIT and COOKIE-ECHOED need."""

    tsn: int  # own initial TSN
    init: bytes  # the encoded chunk, to be sent again
    targets: list[str]
    attempts: int = 0
    rto: float = 0.0
    cookie_sent: float = 0.0
    cookie_echo: bytes = b""
    extra: bytes = b""  # ERROR about unknown parameters, goes with COOKIE ECHO


def _is_anothers(a: Association, address: str) -> bool:
    """Tell whether another association with this peer's port has the address: it cannot be ours, too."""
    owner = a.engine.by_peer.get((a.endpoint.port, address, a.peer_port))
    return owner is not None and owner is not a


def _unknown_causes(unknown: list[params.Parameter], room: int) -> bytes:
    """Return an ERROR chunk with cause 8 for parameters of an INIT ACK, as many as fit into ``room`` bytes."""
    value = params.encode(params.fitting(unknown, room - 8))
    return packet.chunk(chunks.ERROR, 0, causes.encode([(causes.UNRECOGNIZED_PARAMETERS, value)]))


# Active side


def begin(a: Association, now: float) -> None:
    """Send the INIT (section 5.1 A)."""
    config = a.config
    tsn = a.engine.rng.getrandbits(32)
    init = chunks.Init(
        a.local_tag,
        config.receive_buffer,
        config.outbound_streams,
        config.max_inbound_streams,
        tsn,
        own_parameters(a.endpoint, config, a.current.address),
    )
    a.pending = Pending(tsn, chunks.encode(init), list(a.paths), rto=a.current.rto)
    a.move("associate by user")
    _send_init(a, now)


def _send_init(a: Association, now: float) -> None:
    pending = _pending(a)
    a.engine.reply(a.current.key, a.endpoint.port, a.peer_port, 0, pending.init)
    a.t1 = now + pending.rto
    a.arm(a.t1)


def _pending(a: Association) -> Pending:
    if a.pending is None:
        raise RuntimeError("the association is not being set up")
    return a.pending


def t1_expired(a: Association, now: float) -> None:
    """T1-init or T1-cookie: send again, or give up (section 5.1, rules A to C of RFC 9260 and 6.3.3 E2)."""
    pending = _pending(a)
    pending.attempts += 1
    if pending.attempts > a.config.max_init_retransmits:
        teardown.lose(a, errno.ETIMEDOUT)
        return
    pending.rto = min(pending.rto * 2, a.config.max_init_timeout)
    if a.state is COOKIE_WAIT:
        # Try the addresses that the user gave, one after the other.
        targets = [
            address for address in pending.targets if address in a.paths
        ]  # an INIT ACK may have left out some
        target = targets[pending.attempts % len(targets)]
        a.current = a.primary = a.paths[target]
        _send_init(a, now)
    else:
        _send_cookie_echo(a, now)


def on_init_ack(a: Association, flags: int, value: bytes, path: Path | None, key: PathKey, now: float) -> None:
    """INIT ACK in COOKIE-WAIT: take the peer's values, echo the cookie (section 5.1 C)."""
    counters = a.engine.counters
    if a.state is not COOKIE_WAIT:
        counters.drop("unexpected INIT ACK")  # section 5.2.3
        return
    try:
        init = chunks.decode_init(value, True)
        offer = read_parameters(init.parameters)
    except DecodeError:
        counters.drop("malformed INIT ACK")
        return
    problem = _problem(init, offer)
    if problem is None and offer.cookie is None:
        problem = causes.missing_parameters([params.STATE_COOKIE])
    if problem is None and _is_anothers(a, key[0]):
        problem = (causes.PROTOCOL_VIOLATION, b"there is an association with this address")
    if problem is not None:
        # Section 3.3.3: the values are unusable; the peer knows us by the tag that it sent.
        a.set_peer_tag(init.tag)
        teardown.abort(a, [problem], errno.ECONNABORTED if init.tag else errno.ECONNREFUSED)
        return
    pending = _pending(a)
    addresses = [x for x in peer_addresses(a.endpoint, offer, key) if not _is_anothers(a, x)]
    # The cookie goes to where the INIT ACK came from, if the user gave that address; no other one is confirmed yet
    # (section 5.4 rule 1).
    asked = [x for x in (key[0], a.current.address, *pending.targets) if x in pending.targets and x in addresses]
    if not asked:
        counters.drop("INIT ACK from an address that was not asked")
        return
    a.set_peer_tag(init.tag)
    for known in list(a.paths.values()):
        if known.address not in addresses:
            a.drop_path(known)  # section 5.1.2 C: use only what the peer listed
    if path is not None and path.key != key:
        path.learn(key)
    a.current = a.primary = a.paths[asked[0]]
    for address in addresses:
        local = own_source(a.endpoint, key, address) or ""
        a.add_path((address, key[1], local), confirmed=address in pending.targets)
    a.refresh_fragment_size()
    a.adopt(
        pending.tsn,
        init.initial_tsn,
        init.a_rwnd,
        min(a.config.outbound_streams, init.inbound_streams),
        min(a.config.max_inbound_streams, init.outbound_streams),
    )
    a.fail_streams()
    a.forward_tsn = a.config.partial_reliability and offer.forward_tsn
    a.peer_adaptation = offer.adaptation
    a.move("INIT ACK received")
    pending.attempts = 0
    pending.rto = a.current.rto
    pending.cookie_echo = packet.chunk(chunks.COOKIE_ECHO, 0, offer.cookie or b"")
    if offer.unknown:
        pending.extra = _unknown_causes(offer.unknown, a.current.payload - len(pending.cookie_echo) - 4)
    _send_cookie_echo(a, now)


def _send_cookie_echo(a: Association, now: float) -> None:
    """Queue COOKIE ECHO; DATA that goes with it is sent again with it (section 5.1 C)."""
    pending = _pending(a)
    for path in list(a.paths.values()):
        if path.flight:
            a.mark_path(path, path)
    a.control = [pending.cookie_echo] + ([pending.extra] if pending.extra else [])
    a.bundle_one = len(pending.cookie_echo) + len(pending.extra) <= a.current.payload // 2
    pending.cookie_sent = now
    a.t1 = now + pending.rto
    a.arm(a.t1)
    a.touch()


def on_cookie_ack(a: Association, flags: int, value: bytes, path: Path, now: float) -> None:
    """COOKIE ACK (section 5.1 E); elsewhere than in COOKIE-ECHOED it is discarded (section 5.2.5)."""
    if a.state is not COOKIE_ECHOED:
        a.engine.counters.drop("unexpected COOKIE ACK")
        return
    a.error_count = 0
    a.engine.counters.active_established += 1
    _established(a, "COOKIE ACK received", now, incoming=False)


def on_stale_cookie(a: Association, value: bytes, now: float) -> None:
    """ERROR "Stale Cookie" in COOKIE-ECHOED: a new INIT that asks for a longer life (section 5.2.6, 3)."""
    if a.state is not COOKIE_ECHOED:
        a.engine.counters.drop("unexpected Stale Cookie error")
        return
    pending = _pending(a)
    pending.attempts += 1
    if pending.attempts > a.config.max_init_retransmits:
        teardown.lose(a, errno.ETIMEDOUT, causes.STALE_COOKIE, value)
        return
    rtt = now - pending.cookie_sent
    extension = int((rtt + 1.0) * 1000)  # milliseconds: no more than 1 s beyond the RTT
    old = chunks.decode_init(pending.init[4:], False)
    init = chunks.Init(a.local_tag, old.a_rwnd, old.outbound_streams, old.inbound_streams, old.initial_tsn)
    kept = [(kind, v) for kind, v in old.parameters if kind != params.COOKIE_PRESERVATIVE]
    init.parameters = [*kept, (params.COOKIE_PRESERVATIVE, min(extension, 0xFFFFFFFF).to_bytes(4, "big"))]
    pending.init = chunks.encode(init)
    a.control = []
    a.bundle_one = False
    a.move("stale cookie")
    a.requeue_all()
    a.set_peer_tag(0)
    _send_init(a, now)


def _established(a: Association, cause: str, now: float, incoming: bool) -> None:
    a.move(cause)
    a.pending = None
    a.bundle_one = False
    a.t1 = inf
    a.established = True
    a.engine.counters.current_established += 1
    a.events.append(CommunicationUp(a, a.outbound_streams, a.inbound_streams, incoming))
    if a.peer_adaptation is not None:
        a.events.append(AdaptationIndication(a, a.peer_adaptation))
    a.last_activity = now
    a.start_autoclose(now)
    for path in a.paths.values():
        if path.flight:
            path.t3 = now + path.rto
            a.arm(path.t3)
    heartbeat.start(a, now)
    a.fail_streams()
    if a.closing:
        a.closing = False
        teardown.begin(a, now)
    a.touch()


# Passive side


def _problem(init: chunks.Init, offer: Offer) -> causes.Cause | None:
    """Return why an INIT or INIT ACK cannot be accepted (sections 3.3.2, 5.1.1, 5.1.2 B)."""
    if offer.host_name is not None:
        return (causes.UNRESOLVABLE_ADDRESS, params.encode([(params.HOST_NAME_ADDRESS, offer.host_name)]))
    if not init.tag or not init.outbound_streams or not init.inbound_streams or init.a_rwnd < MIN_RWND:
        return (causes.INVALID_PARAMETER, b"")
    return None


def on_init(engine: Engine, local_port: int, peer_port: int, value: bytes, key: PathKey, now: float) -> None:
    """INIT, the only chunk of a packet with tag 0 (sections 5.1 B, 5.2.1, 5.2.2)."""
    try:
        init = chunks.decode_init(value, False)
        offer = read_parameters(init.parameters)
    except DecodeError:
        engine.counters.drop("malformed INIT")
        return
    if not init.tag:
        engine.counters.drop("INIT with tag 0")
        return
    endpoint = engine.endpoints.get(local_port)
    if endpoint is not None and endpoint.addresses and key[2] and key[2] not in endpoint.addresses:
        endpoint = None  # it is not bound to where this packet came
    addresses = [key[0]] if endpoint is None else peer_addresses(endpoint, offer, key)
    a = engine.find(local_port, addresses, peer_port)
    problem = _problem(init, offer)
    if problem is None and a is None and (endpoint is None or not endpoint.listening):
        if endpoint is None and not engine.answer_ootb:
            engine.counters.drop("INIT for a foreign port")
            return
        problem = (0, b"")  # nobody listens: an ABORT without a cause (section 8.4 rule 3)
    if problem is not None:
        engine.refuse(key, local_port, peer_port, init.tag, [problem] if problem[0] else [])
        return
    if a is not None:
        _init_for_existing(engine, a, init, offer, addresses, key, now)
    elif endpoint is not None:
        rng = engine.rng
        _send_init_ack(
            engine, endpoint, endpoint.config, init, offer, addresses, key, now,
            peer_port=peer_port, tag=engine.new_tag(), tsn=rng.getrandbits(32), ties=(0, 0),
        )  # fmt: skip


def _init_for_existing(
    engine: Engine, a: Association, init: chunks.Init, offer: Offer, addresses: list[str], key: PathKey, now: float
) -> None:
    """INIT from the peer of an association: collision or restart (sections 5.2.1 and 5.2.2)."""
    if a.state is SHUTDOWN_ACK_SENT:
        teardown.send_shutdown_ack(a, now)  # section 9.2
        return
    added = [address for address in addresses if address not in a.paths]
    if added and a.state is not COOKIE_WAIT:
        engine.refuse(key, a.endpoint.port, a.peer_port, init.tag, [causes.new_addresses(added, REFUSAL - 4)])
        return
    pending = a.pending
    if pending is not None:
        if key[0] not in pending.targets:  # section 5.2.1 rule 1
            engine.counters.drop("INIT from an address that was not asked for")
            return
        if a.state is COOKIE_ECHOED:
            a.ensure_ties()
        tag, tsn, ties = a.local_tag, pending.tsn, a.ties
    else:
        a.ensure_ties()
        tag, tsn, ties = engine.new_tag(), engine.rng.getrandbits(32), a.ties
    _send_init_ack(
        engine, a.endpoint, a.config, init, offer, addresses, key, now,
        peer_port=a.peer_port, tag=tag, tsn=tsn, ties=ties,
    )  # fmt: skip


def _send_init_ack(
    engine: Engine,
    endpoint: Endpoint,
    config: Config,
    init: chunks.Init,
    offer: Offer,
    addresses: list[str],
    key: PathKey,
    now: float,
    *,
    peer_port: int,
    tag: int,
    tsn: int,
    ties: tuple[int, int],
) -> None:
    outbound = min(config.outbound_streams, init.inbound_streams)
    inbound = min(config.max_inbound_streams, init.outbound_streams)
    cookie = Cookie(
        offer.adaptation, key[0], key[2], addresses,
        now, config.valid_cookie_life + offer.preservation, endpoint.port, peer_port, key[1], tag, init.tag,
        ties[0], ties[1], tsn, init.initial_tsn, outbound, inbound, init.a_rwnd,
        config.partial_reliability and offer.forward_tsn,
    )  # fmt: skip
    parameters = [(params.STATE_COOKIE, engine.jar.seal(cookie, now))]
    parameters += own_parameters(endpoint, config, key[0])
    room = 1024  # the answer stays in proportion to the question (section 3.2.1: SHOULD fit)
    for kind, value in offer.unknown:
        room -= len(value) + 12
        if room > 0:
            parameters.append((params.UNRECOGNIZED_PARAMETER, params.encode([(kind, value)])))
    answer = chunks.Init(
        tag, config.receive_buffer, outbound, config.max_inbound_streams, tsn, parameters, ack=True
    )
    engine.reply(key, endpoint.port, peer_port, init.tag, chunks.encode(answer))


# COOKIE ECHO

COOKIE_ACTIONS: tuple[tuple[str, str, str, str, str], ...] = (
    # local tag, peer's tag, local tie-tag, peer's tie-tag -> action; X differs, M matches, 0 unknown, A any
    ("X", "X", "M", "M", "A"),
    ("M", "X", "A", "A", "B"),
    ("M", "0", "A", "A", "B"),
    ("X", "M", "0", "0", "C"),
    ("M", "M", "A", "A", "D"),
)


def classify(a: Association, cookie: Cookie) -> str | None:
    """Return the action of table 12 for a cookie when an association exists, None if no row fits."""

    def compare(ours: int, theirs: int) -> str:
        return "M" if ours == theirs else "X"

    seen = (
        compare(a.local_tag, cookie.local_tag),
        compare(a.peer_tag, cookie.peer_tag) if a.peer_tag else "0",
        compare(a.ties[0], cookie.local_tie) if cookie.local_tie else "0",
        compare(a.ties[1], cookie.peer_tie) if cookie.peer_tie else "0",
    )
    for *row, action in COOKIE_ACTIONS:
        if all(want in ("A", have) for want, have in zip(row, seen)):
            return action
    return None


def on_cookie_echo(
    engine: Engine, local_port: int, peer_port: int, tag: int, value: bytes, key: PathKey, now: float
) -> Association | None:
    """COOKIE ECHO as the first chunk of a packet (sections 5.1 D, 5.1.5, 5.2.4).

    Returns the association that the rest of the packet belongs to, None if the packet is to be discarded.
    """
    drop = engine.counters.drop
    try:
        cookie = engine.jar.open(value)
    except DecodeError:
        drop("COOKIE ECHO with a bad signature")
        return None
    if (cookie.local_port, cookie.peer_port, cookie.local_tag) != (local_port, peer_port, tag):
        drop("COOKIE ECHO with a wrong tag or port")
        return None
    if key[0] not in cookie.addresses:
        drop("COOKIE ECHO from a foreign address")
        return None
    endpoint = engine.endpoints.get(local_port)
    if endpoint is None:
        drop("COOKIE ECHO for a closed port")
        return None
    a = engine.find(local_port, cookie.addresses, peer_port)
    stale = now - cookie.created - cookie.lifespan
    if stale > 0 and not (a is not None and (a.local_tag, a.peer_tag) == (cookie.local_tag, cookie.peer_tag)):
        error = causes.encode([causes.stale_cookie(int(stale * 1e6))])
        engine.reply(key, local_port, peer_port, cookie.peer_tag, packet.chunk(chunks.ERROR, 0, error))
        drop("stale cookie")
        return None
    if a is None:
        if engine.jar.spent(cookie.local_tag):  # a late copy: its association has ended
            drop("COOKIE ECHO that was used before")
            engine.refuse(key, local_port, peer_port, cookie.peer_tag, [])
            return None
        return _accept(engine, endpoint, cookie, key, now)
    action = classify(a, cookie)
    if action is None:
        drop("COOKIE ECHO that fits no case")
        return None
    return _ACTIONS[action](a, cookie, key, now)


def _accept(engine: Engine, endpoint: Endpoint, cookie: Cookie, key: PathKey, now: float) -> Association | None:
    if not endpoint.listening or cookie.local_tag in engine.by_tag:
        engine.refuse(key, endpoint.port, cookie.peer_port, cookie.peer_tag, [])
        return None
    a = endpoint.new_association(cookie.peer_port, cookie.local_tag, endpoint.config.copy())
    _install(a, cookie, now)
    engine.counters.passive_established += 1
    _established(a, "valid COOKIE ECHO", now, incoming=True)
    _acknowledge_cookie(a, key)
    return a


def _install(a: Association, cookie: Cookie, now: float) -> None:
    """Fill an association with what the cookie holds."""
    a.engine.jar.spend(cookie, now)
    a.set_peer_tag(cookie.peer_tag)
    source = (cookie.source, cookie.udp_port, cookie.local_address)
    a.current = a.primary = a.add_path(source, confirmed=True)
    for address in cookie.addresses:
        if _is_anothers(a, address):
            continue
        a.add_path((address, cookie.udp_port, own_source(a.endpoint, source, address) or ""), confirmed=False)
    a.refresh_fragment_size()
    a.adopt(cookie.local_tsn, cookie.peer_tsn, cookie.peer_rwnd, cookie.outbound_streams, cookie.inbound_streams)
    a.forward_tsn = cookie.forward_tsn
    a.peer_adaptation = cookie.adaptation


def _acknowledge_cookie(a: Association, key: PathKey) -> None:
    path = a.paths.get(key[0])
    a.reply_path = path if path is not None and path.confirmed else None
    a.control.append(_COOKIE_ACK)
    a.touch()


def _restart(a: Association, cookie: Cookie, key: PathKey, now: float) -> Association | None:
    """Action A: the peer restarted."""
    if a.state is SHUTDOWN_ACK_SENT:
        error = packet.chunk(chunks.ERROR, 0, causes.encode([(causes.COOKIE_WHILE_SHUTTING_DOWN, b"")]))
        emit(a, a.current, [error])
        teardown.send_shutdown_ack(a, now)
        return None
    if cookie.local_tag in a.engine.by_tag:
        return None
    pending = a.state in SETTING_UP
    a.fail_unsent(errno.ECONNRESET)
    a.forget_transfer()
    if pending:
        a.move("abort")
        a.move("valid COOKIE ECHO")
    else:
        a.move("peer restarted")
    a.pending = None
    a.replace_tag(cookie.local_tag)
    a.ties = (0, 0)
    for path in list(a.paths.values()):
        a.drop_path(path)
    _install(a, cookie, now)
    a.events.append(Restarted(a, a.outbound_streams, a.inbound_streams))
    heartbeat.start(a, now)
    _acknowledge_cookie(a, key)
    return a


def _collided(a: Association, cookie: Cookie, key: PathKey, now: float) -> Association | None:
    """Action B: both began at the same time; the peer's tag is new."""
    if a.state in SETTING_UP:
        a.requeue_all()
        for path in list(a.paths.values()):
            if path.address not in cookie.addresses:
                a.drop_path(path)
        _install(a, cookie, now)
        a.control = []
        _established(a, "valid COOKIE ECHO", now, incoming=False)
        a.engine.counters.active_established += 1
    else:
        a.set_peer_tag(cookie.peer_tag)
    _acknowledge_cookie(a, key)
    return a


def _late(a: Association, cookie: Cookie, key: PathKey, now: float) -> Association | None:
    """Action C: our own cookie arrived late; silence."""
    a.engine.counters.drop("late COOKIE ECHO")
    return None


def _again(a: Association, cookie: Cookie, key: PathKey, now: float) -> Association | None:
    """Action D: both tags match; COOKIE ACK again, and established if it was not."""
    if a.state is COOKIE_ECHOED:
        a.control = []
        a.engine.counters.active_established += 1
        _established(a, "valid COOKIE ECHO", now, incoming=False)
    _acknowledge_cookie(a, key)
    return a


_ACTIONS: dict[str, Callable[[Association, Cookie, PathKey, float], Association | None]] = {
    "A": _restart,
    "B": _collided,
    "C": _late,
    "D": _again,
}
