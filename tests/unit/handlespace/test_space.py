"""The handlespace's indices: rules of registration, walks, and random commands with verification."""

import random
from dataclasses import replace

import pytest

from rserpool.handlespace import Handlespace, Incompatible
from rserpool.handlespace.policies import POLICIES
from rserpool.wire.types import INFINITE_LIFE, SCTP, TCP, Policy, Transport
from tests.unit.handlespace.records import record


def new_space():
    return Handlespace(random.Random(1))


NOWHERE = Transport(SCTP, 6000, ())


@pytest.mark.parametrize(
    "handle, bad, cause",
    [
        (b"P", record(0), 0xF000),
        (b"P", replace(record(2), user_transport=Transport(SCTP, 0, ("10.1.1.1",), True)), 0xF005),
        (b"P", replace(record(2), user_transport=Transport(SCTP, 1, (), True)), 0xF005),
        (b"P", replace(record(2), asap_transport=None), 0xF006),
        (b"P", replace(record(2), asap_transport=NOWHERE), 0xF006),
        (b"P", replace(record(2), asap_transport=Transport(TCP, 1, ("10.1.1.1",))), 0xF006),
        (b"P", replace(record(2), asap_transport=Transport(SCTP, 1, ("10.1.1.1",), True)), 0xF006),
        (b"P", record(2, protocol=TCP), 0x100A),
        (b"P", record(2, control=False), 8),
        (b"P", record(2, Policy(3)), 5),
        (b"New", record(2, Policy(0x77)), 0x100B),
        (b"", record(2), 0xF004),
        (b"x" * 33, record(2), 0xF004),
    ],
)
def test_refusals_name_their_cause_and_change_nothing(handle, bad, cause):
    space = new_space()
    space.register(b"P", record(1), 0.0)
    with pytest.raises(Incompatible) as refused:
        space.register(handle, bad, 0.0)
    assert refused.value.cause == cause
    assert space.size == 1 and list(space.pools) == [b"P"]
    space.verify()


def test_a_pool_disappears_with_its_last_element_and_may_come_back_different():
    space = new_space()
    element, new = space.register(b"P", record(1), 0.0)
    assert new
    space.remove(element)
    space.verify()
    assert not space.pools
    space.register(b"P", record(1, Policy(3), protocol=TCP), 0.0)
    space.verify()


def test_reregistration_keeps_the_turn_and_the_reports():
    space = new_space()
    for i in (1, 2, 3):
        space.register(b"P", record(i), 0.0)
    space.select(b"P", 1)
    space.find(b"P", 2).reports = 2
    element, new = space.register(b"P", record(2, life=5000), 1.0)
    assert not new and element.reports == 2
    assert [e.identifier for e in space.select(b"P", 3)] == [2, 3, 1]
    assert space.expires(element) == 6.0


def test_life():
    space = new_space()
    space.register(b"P", record(1, life=1000), 0.0)
    space.register(b"P", record(2, life=INFINITE_LIFE), 0.0)
    space.register(b"P", record(3, life=1000), 0.0, life=0.25)
    assert space.deadline() == 0.25
    assert [e.identifier for e in space.expired(0.5)] == [3]
    space.remove(space.find(b"P", 3))
    space.register(b"P", record(1, life=1000), 0.9)
    assert space.expired(1.5) == []
    assert [e.identifier for e in space.expired(1.9)] == [1]
    space.remove(space.find(b"P", 1))
    assert space.deadline() is None and space.size == 1


def test_a_cache_needs_no_asap_transport():
    cache = Handlespace(random.Random(1), asap_transport=False)
    cache.register(b"P", replace(record(1), asap_transport=None), 0.0, life=2.0)
    assert cache.select(b"P", 1, 10**9)[0].identifier == 1


def test_local_elements_are_left_out_of_the_public_checksum():
    space = new_space()
    space.register(b"EchoPool", record(0x12345678), 0.0)
    space.register(b"ABC", record(1), 0.0, local=True)
    assert space.checksum(0xAA) == 0xA561
    assert space.checksum(0xAA, public=True) == 0x29A5
    space.register(b"ABC", record(1), 0.0, local=False)
    assert space.checksum(0xAA, public=True) == 0xA561
    space.verify()


def test_walks_are_in_rsplibs_order_and_continue_anywhere():
    space = new_space()
    for handle in (b"B", b"AA", b"A", b"ZZZ"):
        for i in (3, 1, 2):
            space.register(handle, record(i, home=10 + i % 2), 0.0)
    everything = [(e.handle, e.identifier) for e in space.walk()]
    assert everything == [(h, i) for h in (b"A", b"B", b"AA", b"ZZZ") for i in (1, 2, 3)]
    owned = [(e.handle, e.identifier) for e in space.walk_owned(11)]
    assert owned == [(h, i) for i in (1, 3) for h in (b"A", b"B", b"AA", b"ZZZ")]
    for elements, walk in ((space.walk(), space.walk), (space.walk_owned(11), lambda a: space.walk_owned(11, a))):
        elements = list(elements)
        for at, element in enumerate(elements):
            assert list(walk(space.position(element))) == elements[at + 1 :]
    # The element of the position may have gone meanwhile.
    gone = space.find(b"AA", 2)
    position = space.position(gone)
    space.remove(gone)
    assert next((e.handle, e.identifier) for e in space.walk(position)) == (b"AA", 3)
    assert list(space.walk_owned(99)) == []


@pytest.mark.parametrize("kind", POLICIES.values(), ids=lambda kind: kind.name)
def test_random_commands_leave_all_indices_in_agreement(kind):
    for seed in range(6):
        rng = random.Random(f"{kind.name}{seed}")
        space = Handlespace(random.Random(seed))
        now, alive = 0.0, {}
        for _ in range(150):
            handle, i = rng.choice((b"A", b"BB", b"EchoPool")), rng.randrange(1, 12)
            what = rng.random()
            if what < 0.5:
                policy = Policy(
                    kind.type,
                    *(rng.randrange(5) for _ in range(2)),
                    *(rng.choice((0, 1, 1 << 28, 0xFFFFFFFF)) for _ in range(4)),
                    distance=rng.choice((0, 50, 1000)),
                )
                life = rng.choice((1000, 60_000, INFINITE_LIFE))
                space.register(
                    handle,
                    record(i, policy, home=rng.randrange(1, 4), life=life),
                    now,
                    connection=rng.choice((None, 1, 2)),
                    local=rng.random() < 0.3,
                )
                alive[handle, i] = now + life / 1000 if life != INFINITE_LIFE else float("inf")
            elif what < 0.65:
                element = space.find(handle, i)
                assert (element is not None) == ((handle, i) in alive)
                if element is not None:
                    space.remove(element)
                    del alive[handle, i]
            elif what < 0.8:
                space.select(handle, rng.randrange(1, 5), rng.randrange(4))
            elif what < 0.85:
                for element in space.owned(rng.randrange(1, 4)):
                    space.set_home(element, rng.randrange(1, 4))
            elif what < 0.9:
                for element in space.connected(rng.choice((1, 2))):
                    space.connect(element, rng.choice((None, 1, 2)))
            else:
                now += rng.choice((0.1, 2.0))
                for element in space.expired(now):
                    space.remove(element)
                alive = {key: at for key, at in alive.items() if at > now}
            space.verify()
            assert {(e.handle, e.identifier) for e in space.walk()} == alive.keys()
