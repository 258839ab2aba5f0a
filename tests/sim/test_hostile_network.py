"""200 seeds: 1 MB each way on 10 streams, 20 % loss, reordering, duplication, corruption, in virtual time.

Everything arrives exactly once, in order per stream; then the association closes cleanly and nothing is left.
"""

import random

import pytest

from pysctplib.carrier.memory import Link
from pysctplib.core import events
from pysctplib.core.config import Config

from .world import World

SIZE, STREAMS = 1_000_000, 10
HOSTILE = Link(delay=0.01, jitter=0.01, loss=0.2, duplicate=0.05, corrupt=0.02, reorder=0.05)
SETTINGS = {
    "rto_min": 0.05, "rto_initial": 0.1, "rto_max": 5.0,
    "association_max_retrans": 100, "path_max_retrans": 100, "max_init_retransmits": 100,
}  # fmt: skip


def plan(rng, size):
    """Return messages (stream, data, unordered) of mixed sizes, ``size`` bytes together."""
    messages, total = [], 0
    while total < size:
        length = rng.choice((1, 50, 300, 1000, 1443, 1444, 1445, 5000, 20000, 65536, rng.randrange(1, 100000)))
        length = min(length, size - total)
        messages.append((rng.randrange(STREAMS), rng.randbytes(length), rng.random() < 0.1))
        total += length
    return messages


def whole(messages):
    """Join the parts of partly delivered messages; nothing may come between them."""
    result, parts = [], []
    for message in messages:
        assert not parts or (parts[0].stream, parts[0].ssn) == (message.stream, message.ssn)
        parts.append(message)
        if message.eor:
            result.append((message.stream, b"".join(part.data for part in parts), message.unordered))
            parts = []
    assert not parts
    return result


def transfer(seed, link, size=SIZE, **settings):
    world = World(seed, link, config=Config(**{**SETTINGS, **settings}))
    rng = random.Random(seed)
    plans = {world.a: plan(rng, size), world.b: plan(rng, size)}
    ends, cursor = {}, {world.a: 0, world.b: 0}

    def push(engine):
        association, messages = ends[engine], plans[engine]
        while cursor[engine] < len(messages) and association.buffered < association.config.send_buffer:
            stream, data, unordered = messages[cursor[engine]]
            association.send(data, stream, world.net.now, unordered=unordered)
            cursor[engine] += 1

    def handle(engine, event):
        if isinstance(event, events.CommunicationUp):
            ends[engine] = event.association
        if isinstance(event, events.CommunicationUp | events.Writable):
            push(engine)

    world.handlers.append(handle)
    a = world.start()

    def received(engine, messages):
        return sum(message.eor for message in world.of(engine, events.Message)) == len(messages)

    def done():
        return received(world.a, plans[world.b]) and cursor[world.a] == len(plans[world.a])

    assert world.run(done, 5000), world.a.counters.as_dict()
    a.shutdown(world.net.now)
    assert world.run(
        lambda: world.seen(world.a, events.ShutdownComplete) and world.seen(world.b, events.ShutdownComplete), 5000
    )
    for sender, receiver in ((world.a, world.b), (world.b, world.a)):
        got = whole(world.of(receiver, events.Message))
        for stream in range(STREAMS):
            want = [data for s, data, unordered in plans[sender] if s == stream and not unordered]
            assert [data for s, data, unordered in got if s == stream and not unordered] == want
        assert sorted(m for m in got if m[2]) == sorted(m for m in plans[sender] if m[2])
        kinds = {type(event) for event in world.log[receiver]}
        assert kinds <= {
            events.CommunicationUp, events.Message, events.Writable, events.PeerShutdown, events.ShutdownComplete,
        }  # fmt: skip
    world.idle()
    return world


@pytest.mark.parametrize("block", range(20))
def test_two_hundred_seeds(block):
    for seed in range(10 * block, 10 * block + 10):
        world = transfer(seed, HOSTILE)
        counters = world.net.counters
        assert counters.lost > 100
        assert counters.duplicated > 10
        assert counters.corrupted > 10
        assert world.b.counters.checksum_errors + world.a.counters.checksum_errors > 0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "settings",
    [
        {"receive_buffer": 8192},
        {"receive_buffer": 65536, "send_buffer": 4096},
        {"max_burst": 0},
        {"max_burst": 1, "nodelay": True},
        {"sack_batch": 2},
        {"path_mtu": 9000},
        {"max_fragment": 100},
    ],
    ids=str,
)
def test_settings_under_loss(seed, settings):
    transfer(
        seed,
        Link(delay=0.005, jitter=0.005, loss=0.05),
        200_000,
        **{"partial_delivery_point": 1 << 29, **settings},
    )


def test_the_same_seed_gives_the_same_run():
    runs = [transfer(5, HOSTILE, 100_000) for _ in range(2)]
    assert runs[0].packets == runs[1].packets
