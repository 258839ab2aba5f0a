"""Whatever bytes come: a message or DecodeError (the long run is in tests/soak)."""

import random

from hypothesis import given
from hypothesis import strategies as st

from rserpool.wire import asap, csp, enrp
from rserpool.wire.types import DecodeError

from . import mutation


def test_mutated_messages():
    good, bad = mutation.run(seed=1, count=15_000)
    assert good > 1000 and bad > 1000  # both ways out are taken


@given(st.sampled_from([asap, enrp, csp]), st.binary(max_size=120))
def test_any_bytes(protocol, data):
    try:
        protocol.decode(data)
    except DecodeError:
        pass


def test_random_bodies_behind_a_good_header():
    rng = random.Random(2)
    for _ in range(5000):
        body = rng.randbytes(rng.randrange(64))
        data = bytes((rng.randrange(16), rng.randrange(4))) + (4 + len(body)).to_bytes(2, "big") + body
        for protocol in (asap, enrp):
            try:
                protocol.decode(data)
            except DecodeError:
                pass
