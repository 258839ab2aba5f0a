"""Five million mutated ASAP, ENRP and CSP messages: to the decoders, and to a registrar that checks itself.

Some 4 minutes in 40 parts (``-k 'registrar and 7'`` takes some of them). SOAK_MESSAGES chooses another number.
"""

import gc
import logging
import os
import random
import sys
import tracemalloc
from types import FunctionType, ModuleType

import pytest

from rserpool.registrar.actions import ASAP as ASAP_SIDE
from rserpool.registrar.actions import ENRP as ENRP_SIDE
from rserpool.registrar.config import RegistrarConfig
from rserpool.registrar.core import Registrar
from rserpool.registrar.state import Host
from rserpool.wire import asap, enrp
from tests.unit.rserpool_wire import mutation

MESSAGES = int(os.environ.get("SOAK_MESSAGES", "5000000"))
BATCHES = 20


@pytest.fixture(autouse=True)
def _quiet():
    """A line for each bad message would be all that is measured."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("seed", range(BATCHES))
def test_decoders(seed):
    """Half of the messages: only DecodeError comes out, and what decodes encodes to the same again."""
    good, bad = mutation.run(1000 + seed, MESSAGES // 2 // BATCHES)
    assert good and bad


@pytest.mark.parametrize("seed", range(BATCHES))
def test_registrar(seed):
    """The other half, by five associations: nothing raises, nothing grows, the handlespace stays sound."""
    rng = random.Random(2000 + seed)
    config = RegistrarConfig(identifier=0x100, max_table_items=1024)
    registrar = Registrar(config, Host(("10.0.0.1", "127.0.0.1"), 20000), 0.0, random.Random(seed))
    addresses = ("10.1.1.5", "2001:db8::5")
    seeds = [s for s in mutation.seeds() if s[0] in (asap, enrp)]
    now = 0.0
    sizes = []
    whole = seed == 0  # tracemalloc sees the caches too, but makes it three times slower
    for batch in range(5):
        for association in range(1, 6):
            for side in (ASAP_SIDE, ENRP_SIDE):
                registrar.association_up(side, association, addresses, 6000, now)
        for _ in range(MESSAGES // 2 // BATCHES // 5):
            protocol, data = seeds[int(rng.random() * len(seeds))]
            data = mutation.mutate(rng, data)
            now += 0.001
            association = 1 + int(rng.random() * 5)
            if protocol is asap:
                registrar.receive_asap(association, data, now)
            elif rng.random() < 0.3:
                registrar.receive_multicast("10.1.1.5", data, now)
            else:
                registrar.receive_enrp(association, data, now)
            registrar.actions()
        registrar.state.handlespace.verify()
        for association in range(1, 6):
            for side in (ASAP_SIDE, ENRP_SIDE):
                registrar.association_lost(side, association, now)
        quiet = now + 1000
        while now < quiet and (deadline := registrar.deadline()) is not None and deadline < quiet:
            now = max(now, deadline)
            registrar.expire(now)
            registrar.actions()
        now = quiet
        registrar.state.handlespace.verify()
        if whole and batch == 0:
            tracemalloc.start()
        sizes.append(tracemalloc.get_traced_memory()[0] if whole else held_by(registrar))
    tracemalloc.stop()
    assert registrar.state.links == {}
    # Between quiet states only a few records with very long lives may have come.
    assert sizes[-1] - (0 if whole else sizes[0]) < 4_000_000, sizes


def held_by(start):
    """Bytes of all objects that ``start`` leads to."""
    seen, total, todo = {id(start)}, 0, [start]
    while todo:
        found = todo.pop()
        total += sys.getsizeof(found)
        others = gc.get_referents(found)
        if isinstance(found, dict):
            others += found  # keys that are texts are not given there
        for other in others:
            if id(other) not in seen and not isinstance(other, (type, ModuleType, FunctionType)):
                seen.add(id(other))
                todo.append(other)
    return total


def test_what_a_registrar_holds_is_seen():
    """The measure of the test above must see what grows."""
    registrar = Registrar(RegistrarConfig(identifier=1), Host(("10.0.0.1",), 20000), 0.0, random.Random(1))
    before = held_by(registrar)
    registrar.state.statistics.dropped["x" * 100_000] += 1
    registrar.state.actions += [bytes(1000) for _ in range(100)]
    assert 200_000 < held_by(registrar) - before < 230_000
