"""Several addresses: confirmation, heartbeats, failover and return (RFC 9260 sections 5.4, 6.4, 8.2, 8.3)."""

import errno
import itertools

import pytest

from pysctplib.carrier.memory import nth_chunk
from pysctplib.core import events
from pysctplib.core.config import Config
from pysctplib.core.path import PathState
from pysctplib.wire import chunks
from tests.sim.world import World

A, B = ("10.0.0.1", "10.0.1.1"), ("10.0.0.2", "10.0.1.2")


def homes(config=None):
    world = World(a_addresses=A, b_addresses=B, config=config)
    return world, *world.establish()


def cut(world, n, up=False):
    world.net.partition([A[n]], [B[n]], up)


def test_addresses_are_exchanged_and_confirmed():
    world, a, b = homes()
    assert set(a.paths) == set(B)
    assert set(b.paths) == set(A)
    for association in (a, b):
        assert all(path.state is PathState.ACTIVE for path in association.paths.values())
        assert len({path.hb_nonce for path in association.paths.values()}) == 1  # none is open
    assert [e.change for e in world.of(world.a, events.PathChange)] == ["confirmed"]


def test_an_address_that_is_not_confirmed_carries_no_data():
    world = World(a_addresses=A, b_addresses=B)
    cut(world, 1)
    a, b = world.establish()
    assert a.paths[B[1]].state is PathState.UNCONFIRMED
    with pytest.raises(OSError):
        a.set_primary(B[1])
    a.send(b"x", 0, world.net.now, path=B[1])
    assert world.run(lambda: a.buffered == 0)
    assert {target for _, _, target, data in world.packets if data[12] == chunks.DATA} == {B[0]}
    world.run(seconds=200)
    assert a.paths[B[1]].state is PathState.INACTIVE
    assert a.state is b.state
    assert a.error_count == 0
    cut(world, 1, up=True)
    assert world.run(lambda: a.paths[B[1]].usable, 200)


def test_failover_in_the_middle_of_a_transfer_loses_nothing():
    world, a, b = homes(Config(rto_min=0.1, rto_initial=0.2, rto_max=1.0, path_max_retrans=3))
    total = 2000
    for n in range(total):
        a.send(n.to_bytes(4, "big") * 200, n % 10, world.net.now) if a.buffered < 900_000 else None
    sent = len(a.outbound.queue)
    assert world.run(lambda: len(world.of(world.b, events.Message)) > 200)
    cut(world, 0)
    assert world.run(lambda: a.buffered == 0, 60)
    assert len(world.of(world.b, events.Message)) == sent
    changes = [(e.address, e.change) for e in world.of(world.a, events.PathChange)]
    assert (B[0], "unreachable") in changes
    assert a.current is a.paths[B[1]]
    assert a.primary is a.paths[B[0]]
    cut(world, 0, up=True)
    assert world.run(lambda: a.current is a.primary, 200)
    assert (B[0], "available") in [(e.address, e.change) for e in world.of(world.a, events.PathChange)]


def test_a_timed_out_chunk_goes_to_the_other_address():
    world, a, b = homes()
    cut(world, 0)
    a.send(b"x", 0, world.net.now)
    assert world.run(lambda: a.buffered == 0)
    targets = [target for _, _, target, data in world.packets if data[12] == chunks.DATA]
    assert targets == [B[0], B[1]]


def test_the_user_chooses_the_primary():
    world, a, b = homes()
    a.set_primary(B[1])
    a.send(b"x", 0, world.net.now)
    assert world.run(lambda: a.buffered == 0)
    assert {target for _, _, target, data in world.packets if data[12] == chunks.DATA} == {B[1]}
    assert world.of(world.a, events.PathChange)[-1].change == "made-primary"
    with pytest.raises(OSError) as caught:
        a.set_primary("10.7.7.7")
    assert caught.value.errno == errno.EINVAL


def test_set_up_tries_every_address_that_was_given():
    world = World(a_addresses=A, b_addresses=B)
    cut(world, 0)
    a = world.start(B)
    assert world.run(lambda: world.seen(world.a, events.CommunicationUp), 10)
    assert a.primary.address == B[1]
    assert a.paths[B[0]].confirmed  # given by the user (section 5.4 rule 1)


def test_idle_paths_are_watched_with_jitter():
    world, a, b = homes(Config(hb_interval=10.0))
    start = world.net.now
    world.packets.clear()
    world.run(seconds=300)
    beats = [
        time for time, source, target, data in world.packets if target == B[1] and data[12] == chunks.HEARTBEAT
    ]
    gaps = [later - earlier for earlier, later in itertools.pairwise(beats)]
    assert 20 <= len(gaps) <= 30
    assert all(10.4 <= gap <= 11.7 for gap in gaps)
    assert len({round(gap, 3) for gap in gaps}) > 5
    assert start < beats[0]


def test_data_keeps_heartbeats_away():
    world, a, b = homes(Config(hb_interval=10.0))
    world.packets.clear()
    for _ in range(30):
        a.send(b"x", 0, world.net.now)
        world.run(seconds=3.0)
    beats = {target for _, source, target, data in world.packets if source in A and data[12] == chunks.HEARTBEAT}
    assert beats == {B[1]}


def test_heartbeats_off():
    world, a, b = homes(Config(hb_interval=0))
    world.packets.clear()
    world.run(seconds=1000)
    assert world.packets == []
    a.request_heartbeat(B[1], world.net.now)
    assert world.run(lambda: bool(world.sent(B[1], chunks.HEARTBEAT_ACK)))


def test_a_dead_host_is_found_by_heartbeats_alone():
    world, a, b = homes(Config(hb_interval=1.0, path_max_retrans=2, association_max_retrans=4, rto_max=2.0))
    world.net.remove(world.host_b)
    assert world.run(lambda: world.seen(world.a, events.CommunicationLost), 200)
    assert world.of(world.a, events.CommunicationLost)[0].error == errno.ETIMEDOUT


@pytest.mark.parametrize("change", ["nonce", "address", "short", "twice"])
def test_a_forged_heartbeat_ack_confirms_nothing(change):
    world = World(a_addresses=A, b_addresses=B)
    world.net.drop(nth_chunk(chunks.HEARTBEAT_ACK, *range(1, 100)))
    a, _ = world.establish()
    beats = [c for _, s, t, d in world.packets if s in A and t == B[1] for c in [d] if d[12] == chunks.HEARTBEAT]
    value = bytearray(beats[-1][16:])
    if change == "nonce":
        value[6] ^= 1
    elif change == "address":
        value[12 : 12 + len(B[0])] = B[0].encode()
    elif change == "short":
        value = value[:3]
    ack = bytes([chunks.HEARTBEAT_ACK, 0, *(4 + len(value)).to_bytes(2, "big")]) + bytes(value)
    world.inject(world.a, a, ack + bytes(-len(ack) % 4))
    assert a.paths[B[1]].confirmed == (change == "twice")
    if change == "twice":
        before = dict(world.a.counters.dropped)
        world.inject(world.a, a, ack + bytes(-len(ack) % 4))
        assert world.a.counters.dropped != before
