"""Policies: RSPLIB's deterministic sequences, and statistics of the random ones."""

import math
import random

import pytest

from rserpool.handlespace import Handlespace
from rserpool.handlespace import policies as p
from rserpool.wire.types import Policy
from tests.unit.handlespace.records import record

POOL = b"Pool"


def space_of(*values, seed=1):
    space = Handlespace(random.Random(seed))
    for i, policy in enumerate(values, 1):
        space.register(POOL, record(i, policy), 0.0)
    return space


def ids(elements):
    return "".join(str(e.identifier) for e in elements)


def trace(space, n, items=1, increment=0):
    out = []
    for _ in range(n):
        out.append(ids(space.select(POOL, items, increment)))
        space.verify()
    return " ".join(out)


def fraction(x):
    return round(x * p.FULL)


def test_every_policy_of_the_table_is_complete():
    assert len(p.POLICIES) == 18 == len(p.POLICY_BY_NAME)
    for kind in p.POLICIES.values():
        assert kind.order is None or kind.value is None


def test_round_robin():
    assert trace(space_of(*[Policy(p.ROUND_ROBIN)] * 4), 5, 3) == "123 234 341 412 123"
    assert trace(space_of(*[Policy(p.ROUND_ROBIN)] * 4), 5, 3, 3) == "123 412 341 234 123"


@pytest.mark.parametrize(
    "weights, expected",
    [
        ((1, 2, 3), "1 2 3 2 3 3 1 2 3 2 3 3"),
        ((2, 4), "1 2 2 1 2 2 1 2 2 1 2 2"),
        ((1, 5), "1 2 2 2 2 2 1 2 2 2 2 2"),
        ((0, 0), "1 2 1 2 1 2 1 2 1 2 1 2"),
    ],
)
def test_weighted_round_robin(weights, expected):
    space = space_of(*(Policy(p.WEIGHTED_ROUND_ROBIN, weight=w) for w in weights))
    assert trace(space, 12) == expected


def test_a_changed_weight_waits_for_the_next_round():
    """Regression: as the original registrar does it, by comparison in the lab."""
    space = space_of(*(Policy(p.WEIGHTED_ROUND_ROBIN, weight=w) for w in (1, 2, 3)))
    assert trace(space, 4) == "1 2 3 2"
    space.register(POOL, record(2, Policy(p.WEIGHTED_ROUND_ROBIN, weight=1)), 0.0)
    assert trace(space, 8) == "3 3 1 3 2 3 3 1"


def test_priority_takes_the_highest_and_goes_round_among_equals():
    space = space_of(*(Policy(p.PRIORITY, priority=x) for x in (1, 7, 7, 3)))
    assert trace(space, 4, 3) == "234 324 234 324"


def test_least_used():
    space = space_of(*(Policy(p.LEAST_USED, load=fraction(x)) for x in (0.5, 0.25, 0.25)))
    assert trace(space, 4, 2) == "23 32 23 32"
    space.register(POOL, record(1, Policy(p.LEAST_USED, load=0)), 0.0)
    assert trace(space, 2, 2) == "12 12"  # only the first moves, and is still the best


def degrading(kind):
    return [Policy(kind, load_degradation=fraction(1 / 16)), Policy(kind, load_degradation=fraction(1 / 8))]


def test_least_used_with_degradation_updates_twice_like_rsplib():
    assert trace(space_of(*degrading(p.LEAST_USED_DEGRADATION)), 11) == "1 2 1 1 2 1 1 2 1 1 2"


def test_degradation_restarts_with_a_registration():
    space = space_of(*degrading(p.LEAST_USED_DEGRADATION))
    first = trace(space, 11)
    for i, policy in enumerate(degrading(p.LEAST_USED_DEGRADATION), 1):
        space.register(POOL, record(i, policy), 0.0)
    assert space.find(POOL, 1).degradation == fraction(1 / 16)
    assert trace(space, 1) == first[0]


def test_priority_least_used_always_takes_the_smallest_sum():
    assert trace(space_of(*degrading(p.PRIORITY_LEAST_USED)), 4) == "1 1 1 1"


def test_priority_least_used_with_degradation():
    # Keys are degradation + D, D = 1, 3, 5 times the degradation: 2, 4, 6 and 4, 8 sixteenths.
    assert trace(space_of(*degrading(p.PRIORITY_LEAST_USED_DEGRADATION)), 3) == "1 2 1"


def test_distance_saturates_least_used_dpf():
    space = space_of(
        Policy(p.LEAST_USED_DPF, load=fraction(0.1), load_dpf=p.FULL, distance=1),
        Policy(p.LEAST_USED_DPF, load=fraction(0.9), load_dpf=p.FULL, distance=0),
        Policy(p.LEAST_USED_DPF, load=fraction(0.1), load_dpf=fraction(0.001), distance=100),
    )
    assert trace(space, 1, 3) == "321"


@pytest.mark.parametrize(
    "kind, expected", [(p.PRIORITY_LEAST_USED_DPF, "1 1 1"), (p.PRIORITY_LEAST_USED_DEGRADATION_DPF, "1 2 1")]
)
def test_priority_dpf_adds_the_degradation(kind, expected):
    space = space_of(*(Policy(kind, load_degradation=fraction(d), load_dpf=1) for d in (1 / 16, 1 / 8)))
    assert trace(space, 3) == expected


def chi_square(space, expected, draws):
    counts = dict.fromkeys(expected, 0)
    for _ in range(draws):
        counts[space.select(POOL, 1)[0].identifier] += 1
    total = sum(expected.values())
    return sum((counts[i] - draws * v / total) ** 2 / (draws * v / total) for i, v in expected.items() if v)


def limit(freedom):
    """Above the 0.9999 quantile of chi-square (Wilson and Hilferty)."""
    k = freedom
    return k * (1 - 2 / (9 * k) + 3.719 * math.sqrt(2 / (9 * k))) ** 3


RANDOM_CASES = [
    ([Policy(p.RANDOM)] * 7, dict.fromkeys(range(1, 8), 1)),
    ([Policy(p.WEIGHTED_RANDOM, weight=w) for w in (1, 2, 3, 10)], {1: 1, 2: 2, 3: 3, 4: 10}),
    (
        [Policy(p.WEIGHTED_RANDOM_DPF, weight=100, weight_dpf=fraction(0.001), distance=d) for d in (0, 100, 500)],
        {1: 100, 2: 90, 3: 50},
    ),
    ([Policy(p.RANDOMIZED_LEAST_USED, load=fraction(x)) for x in (0.0, 0.5, 0.75)], {1: 100, 2: 50, 3: 25}),
    (
        [Policy(p.RANDOMIZED_LEAST_USED_DEGRADATION, load=fraction(x)) for x in (0.0, 0.5, 0.75)],
        {1: 100, 2: 50, 3: 25},
    ),
    (
        [
            Policy(p.RANDOMIZED_PRIORITY_LEAST_USED, load=fraction(x), load_degradation=fraction(0.1))
            for x in (0.0, 0.5, 0.75)
        ],
        {1: 90, 2: 40, 3: 15},
    ),
    (
        [
            Policy(p.RANDOMIZED_PRIORITY_LEAST_USED_DEGRADATION, load=fraction(x), load_degradation=fraction(0.1))
            for x in (0.0, 0.5, 0.75)
        ],
        {1: 90, 2: 40, 3: 15},
    ),
]


@pytest.mark.parametrize("values, expected", RANDOM_CASES, ids=lambda v: "")
def test_random_policies_follow_their_distribution(values, expected):
    space = space_of(*values, seed=7)
    assert chi_square(space, expected, 20_000) < limit(len(expected) - 1)


@pytest.mark.parametrize("values, expected", RANDOM_CASES, ids=lambda v: "")
def test_an_answer_names_nobody_twice(values, expected):
    space = space_of(*values)
    for _ in range(50):
        assert sorted(e.identifier for e in space.select(POOL, 10)) == sorted(expected)
        space.verify()


def test_second_draw_is_weighted_among_the_rest():
    space = space_of(*(Policy(p.WEIGHTED_RANDOM, weight=w) for w in (1, 2, 3)), seed=3)
    n = 20_000
    pairs = [tuple(e.identifier for e in space.select(POOL, 2)) for _ in range(n)]
    for a, b in ((1, 2), (1, 3), (2, 1), (2, 3), (3, 1), (3, 2)):
        chance = a / 6 * b / (6 - a)
        spread = math.sqrt(n * chance * (1 - chance))
        assert abs(pairs.count((a, b)) - n * chance) < 4.5 * spread


def test_weightless_elements_are_never_drawn():
    space = space_of(*(Policy(p.WEIGHTED_RANDOM, weight=w) for w in (0, 5, 0)))
    assert all(ids(space.select(POOL, 3)) == "2" for _ in range(20))
    assert space_of(Policy(p.WEIGHTED_RANDOM, weight=0)).select(POOL, 1) == []


def test_distant_weights_beyond_zero_count_one_and_exactly_zero_stays():
    policy = {"weight": 10, "weight_dpf": p.FULL}
    space = space_of(
        Policy(p.WEIGHTED_RANDOM_DPF, distance=2, **policy),
        Policy(p.WEIGHTED_RANDOM_DPF, distance=1, **policy),
    )
    assert ids(space.select(POOL, 2)) == "1"


def test_fully_loaded_pools_still_answer():
    for kind in (p.RANDOMIZED_LEAST_USED, p.RANDOMIZED_PRIORITY_LEAST_USED):
        space = space_of(*[Policy(kind, load=p.FULL, load_degradation=5)] * 2)
        assert len(space.select(POOL, 2)) == 2


def test_increment_moves_that_many_back():
    space = space_of(*[Policy(p.LEAST_USED)] * 4)
    assert trace(space, 3, 3, 2) == "123 341 123"
