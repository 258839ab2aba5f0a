"""The pool user's cache: the pool's policy goes on in it, entries become stale."""

import random
from dataclasses import replace

from rserpool.asap.cache import Cache
from rserpool.wire import policies
from rserpool.wire.types import SCTP, Policy, PoolElement, Transport

POOL = b"Pool"


def element(identifier, policy=Policy(policies.ROUND_ROBIN)):
    return PoolElement(identifier, 1, 90000, Transport(SCTP, 5000, ("10.0.0.1",), True), policy)


def filled(stale=10.0, policy=Policy(policies.ROUND_ROBIN)):
    cache = Cache(random.Random(1))
    cache.put(POOL, [element(i, policy) for i in (1, 2, 3)], stale, now=0.0)
    return cache


def ids(found):
    return [e.identifier for e in found]


def test_round_robin_goes_on():
    cache = filled()
    assert [ids(cache.select(POOL, 1, 1.0)) for _ in range(4)] == [[1], [2], [3], [1]]
    assert ids(cache.select(POOL, 2, 1.0)) == [2, 3]


def test_stale_entries_vanish():
    cache = filled()
    cache.put(POOL, [element(2)], 10.0, now=5.0)
    assert sorted(ids(cache.select(POOL, 9, 9.9))) == [1, 2, 3]
    assert ids(cache.select(POOL, 9, 10.0)) == [2]
    assert cache.select(POOL, 9, 15.0) == [] and len(cache) == 0


def test_failed_elements_are_removed():
    cache = filled()
    cache.remove(POOL, 2)
    cache.remove(POOL, 2)
    cache.remove(b"Other", 1)
    assert sorted(ids(cache.select(POOL, 9, 0.0))) == [1, 3]


def test_a_pool_that_changed_its_policy():
    cache = filled()
    cache.put(POOL, [element(7, Policy(policies.PRIORITY, priority=3))], 10.0, now=1.0)
    assert ids(cache.select(POOL, 9, 1.0)) == [7]


def test_elements_that_do_not_fit_are_left_out():
    cache = Cache(random.Random(1))
    broken = replace(element(4), user_transport=Transport(SCTP, 0, ("10.0.0.1",), True))
    cache.put(POOL, [broken, element(5)], 10.0, now=0.0)
    assert ids(cache.select(POOL, 9, 0.0)) == [5]


def test_unknown_pool():
    assert filled().select(b"Nothing", 1, 0.0) == []
