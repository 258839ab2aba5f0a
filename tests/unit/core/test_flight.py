"""What SACKs make of the flight: holes, reneging, lies, and windows that close over data in flight.

RFC 9260 sections 6.1 (rules A and C), 6.2.1, 6.3.3 and 7.2.4. The peer is the test itself.
"""

import errno

import pytest

from pysctplib.core import events
from pysctplib.core.config import Config
from pysctplib.core.outbound import SENT
from pysctplib.core.serial import MASK
from pysctplib.core.states import State
from pysctplib.wire import causes, chunks, packet
from tests.sim.world import World


def sack_for(association, offset, gaps=(), a_rwnd=100_000):
    cumulative = (association.flight.cum + offset) & MASK
    return chunks.encode(chunks.Sack(cumulative, a_rwnd, list(gaps)))


def sending(world, count=10):
    """Send ``count`` packets of one chunk that never arrive."""
    a, _ = world.establish()
    a.primary.cwnd = 100_000
    a.config.nodelay = True
    world.net.remove(world.host_b)
    for _ in range(count):
        a.send(bytes(1400), 0, world.net.now)
    world.net.flush(world.host_a)
    while a.outbound.queue:
        a.touch()
        world.net.flush(world.host_a)
    return a


def verify(a):
    """Check the book-keeping of the flight against its items."""
    f = a.flight
    assert f.outstanding == sum(item.length for item in f.items if item.state == SENT)
    assert f.outstanding == sum(path.flight for path in a.paths.values())
    assert [item.tsn for item in f.items] == list(range(f.cum + 1, f.next_tsn))
    assert a.buffered == sum(item.size for item in f.items) + a.outbound.bytes


def offsets(a, data):
    """The DATA chunks of a packet, by their distance from the Cumulative TSN Ack Point."""
    return [(int.from_bytes(body[:4], "big") - a.flight.cum) & MASK for _, _, body in packet.walk(data)]


def answer(world, a, *sack, **options):
    """Inject a SACK; return the packets of DATA that go out at once."""
    before = len(world.packets)
    world.inject(world.a, a, sack_for(a, *sack, **options))
    world.net.flush(world.host_a)
    verify(a)
    return [offsets(a, data) for _, _, _, data in world.packets[before:]]


def test_regression_retransmissions_beyond_the_window_were_dropped_and_waited_for_t3():
    """The kernel's memory holds less than the window it advertised. What it dropped, it must have room for."""
    world = World()
    a = sending(world)
    assert answer(world, a, 0, [(4, 4)], a_rwnd=0) == []
    assert answer(world, a, 0, [(4, 5)], a_rwnd=0) == []
    assert answer(world, a, 0, [(4, 6)], a_rwnd=0) == [[1]]  # a fast retransmission's first packet (7.2.4 rule 3)
    assert answer(world, a, 1, [(3, 5)], a_rwnd=0) == []
    assert answer(world, a, 0, [(3, 5)], a_rwnd=8000) == [[1]]
    assert answer(world, a, 0, [(3, 9)], a_rwnd=2000) == []
    assert answer(world, a, 1, [(2, 8)], a_rwnd=0) == [[1]]  # nothing is in flight
    assert answer(world, a, 8) == []
    assert a.flight.outstanding == 0


def test_regression_new_data_took_the_room_for_the_retransmissions():
    """The kernel takes nothing, not even what is missing, once its memory is full of what comes after it."""
    world = World()
    a = sending(world)
    a.send(bytes(100), 0, world.net.now)
    world.net.flush(world.host_a)
    for end in 3, 4:
        assert answer(world, a, 0, [(3, end)]) == []
    a.send(bytes(100), 0, world.net.now)
    assert answer(world, a, 0, [(3, 9)]) == [[1], [2], [12]]
    assert answer(world, a, 1, [(2, 8)], a_rwnd=0) == []  # the second one was dropped
    a.send(bytes(100), 0, world.net.now)
    assert answer(world, a, 0, [(2, 8)]) == []
    assert world.run(lambda: world.a.counters.t3_expirations == 1)
    world.net.flush(world.host_a)
    assert offsets(a, world.packets[-1][3]) == [1]
    assert answer(world, a, 11) == [[1]]


def test_what_was_dropped_while_the_window_was_closed_goes_again_when_it_opens():
    """The congestion window stays, and T3 is not waited for; but what may still be on its way is left to it."""
    world = World()
    a = sending(world)
    path = a.primary
    before = path.cwnd
    world.net.run(lambda: False, 0.02)
    assert answer(world, a, 7, a_rwnd=0) == []
    assert 0.02 < path.srtt + 4 * path.rttvar < 0.08
    assert answer(world, a, 0, a_rwnd=5000) == []  # sooner than a round trip
    world.net.run(lambda: False, 0.06)
    assert answer(world, a, 0, a_rwnd=5000) == []  # no window update
    assert answer(world, a, 0, a_rwnd=6000) == [[1], [2], [3]]
    assert answer(world, a, 0, a_rwnd=7000) == []
    assert path.cwnd == before
    assert world.a.counters.t3_expirations == 0
    assert answer(world, a, 3) == []
    assert not a.flight.closed


def test_regression_what_the_peer_dropped_of_the_packet_after_t3_waited_for_the_next_t3():
    """A peer with little memory took some chunks of each packet. With T3 doubling, a hole lasted minutes."""
    world = World()
    a, _ = world.establish()
    a.config.nodelay = True
    world.net.remove(world.host_b)
    for _ in range(30):
        a.send(bytes(100), 0, world.net.now)
    assert world.run(lambda: world.a.counters.t3_expirations == 1)
    world.net.flush(world.host_a)
    assert offsets(a, world.packets[-1][3]) == [*range(1, 13)]
    for done in range(0, 30, 5):
        left = 30 - done - 5
        expected = [[*range(1, min(left, 12) + 1)]] if left else []
        assert answer(world, a, 5, a_rwnd=0) == expected
    assert world.a.counters.t3_expirations == 1


def test_a_hole_behind_a_closed_window_is_no_error_while_the_peer_answers():
    """As for zero window probes (section 6.1 rule A)."""
    world = World(config=Config(association_max_retrans=4, rto_max=5.0))
    a = sending(world)
    for end in 4, 5, 6:
        answer(world, a, 0, [(4, end)], a_rwnd=0)
    for _ in range(40):
        before = world.a.counters.t3_expirations
        assert world.run(lambda: world.a.counters.t3_expirations > before)
        answer(world, a, 0, [(4, 6)], a_rwnd=0)
    assert a.state is State.ESTABLISHED


def test_gap_blocks_take_out_of_flight_and_reneging_puts_back():
    world = World()
    a = sending(world)
    whole = a.flight.outstanding
    world.inject(world.a, a, sack_for(a, 2, [(3, 5)]))
    verify(a)
    assert a.flight.outstanding == whole // 10 * 5
    world.inject(world.a, a, sack_for(a, 0, [(3, 4)]))  # TSN 5 is no longer reported
    verify(a)
    assert a.flight.outstanding == whole // 10 * 6
    assert world.a.counters.reneged_tsns == 1
    world.inject(world.a, a, sack_for(a, 0))
    verify(a)
    assert world.a.counters.reneged_tsns == 3
    world.inject(world.a, a, sack_for(a, 8))
    verify(a)
    assert a.flight.outstanding == a.buffered == 0


def test_old_sacks_are_ignored_and_impossible_ones_abort():
    world = World()
    a = sending(world)
    old = sack_for(a, 0)
    world.inject(world.a, a, sack_for(a, 4))
    world.inject(world.a, a, old)
    assert world.a.counters.dropped == {"old SACK": 1}
    verify(a)
    world.inject(world.a, a, sack_for(a, 7))
    world.collect()
    (lost,) = world.of(world.a, events.CommunicationLost)
    assert (lost.error, lost.cause) == (errno.ECONNABORTED, causes.PROTOCOL_VIOLATION)


@pytest.mark.parametrize("gaps", [[(5, 3)], [(0, 0)], [(1, 65535)], [(2, 4), (3, 9)], [(9, 9), (2, 2)]])
def test_strange_gap_blocks_do_no_harm(gaps):
    world = World()
    a = sending(world)
    world.inject(world.a, a, sack_for(a, 0, gaps))
    verify(a)
    world.inject(world.a, a, sack_for(a, 10))
    verify(a)
    assert a.buffered == 0
