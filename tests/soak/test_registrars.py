"""Three registrars and 10,000 pool elements in virtual time: half a minute for each seed.

SOAK_SEEDS="0 100" chooses a range of seeds.
"""

import os

import pytest

from tests.sim.registrars import difference
from tests.sim.test_registrars import INTERVALS, scenario

FIRST, LAST = map(int, os.environ.get("SOAK_SEEDS", "0 100").split())


@pytest.mark.parametrize("seed", range(FIRST, LAST))
def test_ten_thousand_elements(seed):
    interval = list(INTERVALS)[seed % len(INTERVALS)]
    for number, world in scenario(seed, elements=10_000, rounds=1, interval=interval):
        assert difference(world) == [], f"seed {seed}, round {number}"
