"""Mutated messages in any order: nothing raises, nothing grows without bound, the handlespace stays consistent.

SOAK_MESSAGES=5000000 makes it the long version of tests/soak.
"""

import os
import random

from rserpool.registrar.actions import ASAP, ENRP
from rserpool.registrar.config import RegistrarConfig
from rserpool.registrar.core import Registrar
from rserpool.registrar.state import Host
from rserpool.wire import asap, enrp
from rserpool.wire.types import Policy
from tests.unit.registrar.kit import OWN, element, information

COUNT = int(os.environ.get("SOAK_MESSAGES", "20000"))
PEERS = (0x200, 0x300)


ANYWHERE = tuple(f"10.0.0.{i}" for i in range(1, 12))


def seeds():
    kinds = (1, 2, 4, 0x40000002)
    records = [element(i, ANYWHERE, Policy(kind, 3, 4, 5, 6)) for i, kind in enumerate(kinds, 1)]
    records += [element(i, ANYWHERE, Policy(1)) for i in range(5, 9)]
    told = [element(i, f"10.0.0.{i}", home=home, asap_transport=True) for i, home in enumerate((*PEERS, OWN), 7)]
    by_asap = [asap.EndpointKeepAlive(OWN, b"A", 1), asap.ServerAnnounce(OWN), asap.Error(5)]
    for handle in (b"A", b"EchoPool"):
        by_asap += [asap.Registration(handle, record) for record in records]
        for i in (1, 2, 7):
            by_asap += [kind(handle, i) for kind in (asap.Deregistration, asap.EndpointUnreachable)]
            by_asap.append(asap.EndpointKeepAliveAck(handle, i))
        by_asap += [asap.HandleResolution(handle, items) for items in (None, 0, 5, 0xFFFFFFFF)]
    by_enrp = []
    for sender in PEERS:
        by_enrp += [enrp.Presence(sender, OWN, 0x1234, information(sender, "10.0.0.7"), reply) for reply in (0, 1)]
        by_enrp += [enrp.HandleTableRequest(sender, OWN, own) for own in (False, True)]
        by_enrp += [enrp.HandleTableResponse(sender, OWN, [(b"A", r) for r in told], more=more) for more in (0, 1)]
        by_enrp += [enrp.HandleUpdate(sender, 0, action, b"A", r, True) for r in told for action in (0, 1)]
        by_enrp += [enrp.ListRequest(sender, OWN), enrp.ListResponse(sender, OWN, [information(9, "10.0.0.9")])]
        for kind in (enrp.InitTakeover, enrp.InitTakeoverAck, enrp.TakeoverServer):
            by_enrp += [kind(sender, OWN, target) for target in (*PEERS, OWN)]
    return [asap.encode(m) for m in by_asap], [enrp.encode(m) for m in by_enrp]


def mutated(rng, data):
    data = bytearray(data)
    for _ in range(rng.choice((0, 0, 1, 1, 2, 5))):
        at = rng.randrange(len(data))
        what = rng.random()
        if what < 0.5:
            data[at] = rng.choice((0, 1, 4, 8, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif what < 0.7:
            data[at : at + 4] = rng.randbytes(4)
        elif what < 0.8:
            del data[at : at + rng.randrange(1, 9)]
        elif what < 0.9:
            data[at:at] = rng.randbytes(rng.randrange(1, 9))
        else:
            data[at:at] = data[: rng.randrange(1, 40)]
        if not data:
            return b""
    if rng.random() < 0.7 and len(data) >= 4:
        data[2:4] = len(data).to_bytes(2, "big")  # else most would end at the length
    return bytes(data)


def test_nothing_that_comes_in_disturbs_the_registrar():
    rng = random.Random(1)
    by_asap, by_enrp = seeds()
    config = RegistrarConfig(identifier=OWN, takeover_suggestion=True, max_resolution_rate=50, table_bytes=600)
    registrar = Registrar(config, Host(("10.0.0.1", "127.0.0.1"), 20000), 0.0, random.Random(2))
    state, now = registrar.state, 0.0
    for number in range(COUNT):
        now += rng.choice((0.0, 0.001, 0.01, 0.1))
        if number % 100 == 0:
            association = rng.randrange(1, 12)
            registrar.association_lost(rng.choice((ASAP, ENRP)), association, now)
        for endpoint in (ASAP, ENRP):
            association = rng.randrange(1, 12)
            address = "127.0.0.1" if association == 11 else f"10.0.0.{association}"
            port = 9901 if endpoint == ENRP else 6000
            registrar.association_up(endpoint, association, (address,), port, now)
        association = rng.randrange(1, 13)
        what = rng.random()
        if what < 0.5:
            registrar.receive_asap(association, mutated(rng, rng.choice(by_asap)), now)
        elif what < 0.95:
            registrar.receive_enrp(association, mutated(rng, rng.choice(by_enrp)), now)
        else:
            registrar.receive_multicast("10.0.0.7", mutated(rng, rng.choice(by_enrp)), now)
        if registrar.deadline() <= now:
            registrar.expire(now)
        assert all(len(getattr(action, "data", b"")) < 65536 for action in registrar.actions())
        if number % 1000 == 0:
            state.handlespace.verify()
            for timers in (state.timers, state.keepalives, state.keepalive_timeouts):
                timers.verify()
            # Every element expires or is asked; nothing outlives what it belongs to.
            assert len(state.keepalives) + len(state.keepalive_timeouts) <= 2 * state.handlespace.size
            assert len(state.peers) <= 512 and len(state.timers) <= 3 + 4 * len(state.peers)
            assert len(state.links) <= 24
    assert state.statistics.registrations > COUNT / 100 and state.statistics.handle_updates
