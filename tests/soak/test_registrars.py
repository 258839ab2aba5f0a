"""Three registrars and 10,000 pool elements in virtual time: some 18 s of CPU time for each seed.

SOAK_SEEDS="0 100" chooses a range of seeds, ``-k 'seed17'`` one; they are independent of each other, so that they
may be spread (``-n 2``). Each tells its time.
"""

import gc
import os
import time

import pytest

from tests.sim.registrars import difference
from tests.sim.test_registrars import INTERVALS, scenario

FIRST, LAST = map(int, os.environ.get("SOAK_SEEDS", "0 100").split())
CLOCK = {"tick": 1 / 256, "lateness": 4}  # coarse: several messages in each turn of a registrar


@pytest.fixture(autouse=True)
def _no_collections():
    """Nearly all objects live as long as the world; looking for rubbish among them takes a tenth of the time."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("seed", range(FIRST, LAST), ids=lambda seed: f"seed{seed}")
def test_ten_thousand_elements(seed, capsys):
    started = time.process_time()
    interval = INTERVALS[seed % len(INTERVALS)]
    for number, world in scenario(seed, elements=10_000, rounds=1, interval=interval, **CLOCK):
        assert difference(world) == [], f"seed {seed}, round {number}"
    with capsys.disabled():
        print(
            f"\nseed {seed}: {time.process_time() - started:.1f} s of CPU time for {world.now:.0f} s, "
            f"{world.messages} messages",
            flush=True,
        )
