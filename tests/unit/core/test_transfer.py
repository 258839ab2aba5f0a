"""Sending and receiving data: windows, SACKs, fragments, bundling, retransmission (RFC 9260 sections 6, 7.2)."""

import errno
import itertools

import pytest

from pysctplib.carrier.memory import Link, nth_chunk
from pysctplib.core import events
from pysctplib.core.config import Config
from pysctplib.core.inbound import YOUNG
from pysctplib.core.serial import MASK
from pysctplib.core.states import State
from pysctplib.wire import causes, chunks, packet
from tests.sim.world import World

A, B = "10.0.0.1", "10.0.0.2"


def data_chunk(association, offset, data=b"x", flags=3, stream=0, ssn=0, ppid=0):
    """Return a DATA chunk for ``association`` to receive; ``offset`` 1 is the next TSN."""
    tsn = (association.inbound.cum + offset) & MASK
    return chunks.encode(chunks.Data(flags, tsn, stream, ssn, ppid, data))


def last_sack(world, engine, source=A):
    engine_host = world.host_a if engine is world.a else world.host_b
    world.net.flush(engine_host)
    return world.sacks(source)[-1]


# Fragments and bundling


@pytest.mark.parametrize("size", [1, 3, 1443, 1444, 1445, 2888, 2889, 65536, 1_000_000])
@pytest.mark.parametrize("unordered", [False, True])
def test_sizes_arrive_whole(size, unordered):
    world = World()
    a, _ = world.establish()
    data = bytes(n * 7 & 255 for n in range(size))
    a.send(data, 4, world.net.now, ppid=0xCAFEBABE, unordered=unordered)
    assert world.run(lambda: a.buffered == 0)
    parts = world.of(world.b, events.Message)
    assert b"".join(part.data for part in parts) == data
    assert [part.eor for part in parts] == [False] * (len(parts) - 1) + [True]
    assert {(p.stream, p.ppid, p.unordered, p.ssn) for p in parts} == {(4, 0xCAFEBABE, unordered, 0)}
    for _, _, _, sent in world.packets:
        assert len(sent) <= 1500 - 28


def test_small_messages_share_packets():
    world = World()
    a, _ = world.establish()
    before = len(world.packets)
    for n in range(100):
        a.send(b"%03d" % n * 10, n % 3, world.net.now)
    assert world.run(lambda: a.buffered == 0)
    assert len([1 for _, source, _, _ in world.packets[before:] if source == A]) <= 4
    assert len(world.of(world.b, events.Message)) == 100


def test_a_message_that_fits_is_never_cut():
    world = World()
    a, _ = world.establish()
    for _ in range(10):
        a.send(bytes(1000), 0, world.net.now)
    assert world.run(lambda: a.buffered == 0)
    assert all(flags & 3 == 3 for _, flags, _ in world.sent(A, chunks.DATA))


def test_fragmentation_can_be_refused():
    world = World(config=Config(disable_fragments=True))
    a, _ = world.establish()
    a.send(bytes(a.fragment_size), 0, world.net.now)
    with pytest.raises(OSError) as caught:
        a.send(bytes(a.fragment_size + 1), 0, world.net.now)
    assert caught.value.errno == errno.EMSGSIZE


@pytest.mark.parametrize(("data", "stream"), [(b"", 0), (b"x", 10), (b"x", -1)])
def test_bad_arguments_of_send(data, stream):
    world = World()
    a, _ = world.establish()
    with pytest.raises(OSError) as caught:
        a.send(data, stream, world.net.now)
    assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize("ppid", [-1, 1 << 32, 1 << 40])
def test_regression_a_ppid_out_of_range_stopped_all_sending(ppid):
    """It was taken, and no packet of any association could be made any more."""
    world = World()
    a, _ = world.establish()
    with pytest.raises(OSError) as caught:
        a.send(b"x", 0, world.net.now, ppid=ppid)
    assert caught.value.errno == errno.EINVAL
    a.send(b"x", 0, world.net.now, ppid=MASK)
    world.run(lambda: world.seen(world.b, events.Message), 5)
    assert [m.ppid for m in world.of(world.b, events.Message)] == [MASK]


@pytest.mark.parametrize(("data", "stream", "ppid"), [(5, 0, 0), ("text", 0, 0), (b"x", 0.0, 0), (b"x", 0, 1.0)])
def test_arguments_of_send_of_a_wrong_type(data, stream, ppid):
    world = World()
    a, _ = world.establish()
    with pytest.raises(TypeError):
        a.send(data, stream, world.net.now, ppid=ppid)
    assert not a.buffered


def test_nagle_holds_small_messages_back_only_while_data_is_in_flight():
    for nodelay, packets in ((False, 2), (True, 5)):
        world = World(config=Config(nodelay=nodelay))
        a, _ = world.establish()
        before = len(world.packets)
        for _ in range(5):
            a.send(b"x" * 20, 0, world.net.now)
            world.net.flush(world.host_a)
        assert world.run(lambda: a.buffered == 0)
        assert len([1 for _, source, _, _ in world.packets[before:] if source == A]) == packets


def test_the_send_buffer_pushes_back_and_tells_when_there_is_room():
    world = World(config=Config(send_buffer=10_000))
    a, _ = world.establish()
    with pytest.raises(OSError) as caught:
        while True:
            a.send(bytes(1000), 0, world.net.now)
    assert caught.value.errno == errno.EAGAIN
    assert a.buffered == 10_000
    assert world.run(lambda: world.seen(world.a, events.Writable))
    assert a.buffered <= 5000


# SACK


def test_every_second_packet_is_acknowledged_while_young_then_batches():
    world = World(config=Config(sack_batch=32))
    a, _ = world.establish()
    for n in range(YOUNG // 2):
        world.inject(world.a, a, data_chunk(a, 1, ssn=2 * n))
        assert world.a.output(world.net.now) == []
        world.inject(world.a, a, data_chunk(a, 1, ssn=2 * n + 1))
        ((sack, _),) = world.a.output(world.net.now)
        assert [kind for kind, _, _ in packet.walk(sack)] == [chunks.SACK]
    for n in range(31):
        world.inject(world.a, a, data_chunk(a, 1, ssn=YOUNG + n))
    assert len(world.a.output(world.net.now)) == 1  # one for the batch
    for n in range(64):
        world.inject(world.a, a, data_chunk(a, 1, ssn=YOUNG + 31 + n))
    assert len(world.a.output(world.net.now)) == 2  # but one for 32 packets


def test_a_single_packet_is_acknowledged_after_the_delay():
    world = World(config=Config(sack_delay=0.15))
    a, _ = world.establish()
    start = world.net.now
    world.inject(world.a, a, data_chunk(a, 1))
    assert world.run(lambda: bool(world.sacks(A)))
    assert world.net.now - start == pytest.approx(0.15, abs=0.02)


def test_the_i_bit_is_honoured_at_once():
    world = World()
    a, _ = world.establish()
    world.inject(world.a, a, data_chunk(a, 1, flags=3 | chunks.IMMEDIATE))
    assert last_sack(world, world.a).cumulative_tsn == a.inbound.cum & MASK


def test_the_i_bit_is_set_when_the_user_asks():
    world = World()
    a, _ = world.establish()
    start = world.net.now
    a.send(b"now", 0, start, immediate=True)
    assert world.run(lambda: a.buffered == 0)
    assert world.net.now - start < 0.05
    assert world.sent(A, chunks.DATA)[0][1] & chunks.IMMEDIATE


def test_gaps_and_duplicates_are_reported_at_once():
    world = World()
    a, _ = world.establish()
    cum = a.inbound.cum & MASK
    world.inject(world.a, a, data_chunk(a, 3, ssn=2))
    assert last_sack(world, world.a).gaps == [(3, 3)]
    world.inject(world.a, a, data_chunk(a, 5, ssn=4))
    world.inject(world.a, a, data_chunk(a, 5, ssn=4))
    sack = last_sack(world, world.a)
    assert (sack.cumulative_tsn, sack.gaps, sack.duplicates) == (cum, [(3, 3), (5, 5)], [(cum + 5) & MASK])
    world.inject(world.a, a, data_chunk(a, 1, ssn=0), data_chunk(a, 2, ssn=1), data_chunk(a, 4, ssn=3))
    sack = last_sack(world, world.a)
    assert (sack.cumulative_tsn, sack.gaps) == ((cum + 5) & MASK, [])
    world.collect()
    assert [m.ssn for m in world.of(world.a, events.Message)] == [0, 1, 2, 3, 4]


def test_gap_blocks_fit_into_a_packet():
    world = World()
    a, _ = world.establish()
    for n in range(3, 2003, 2):
        world.inject(world.a, a, data_chunk(a, n, ssn=n))
    world.net.flush(world.host_a)
    assert max(len(data) for _, _, _, data in world.packets) <= 1472
    assert len(world.sacks(A)[-1].gaps) == (1460 - 16) // 4


def test_a_sack_goes_with_the_answer():
    world = World()
    a, b = world.establish()
    a.send(b"ping", 0, world.net.now)
    assert world.run(lambda: world.seen(world.b, events.Message))
    b.send(b"pong", 0, world.net.now)
    world.net.flush(world.host_b)
    assert [kind for kind, _, _ in packet.walk(world.packets[-1][3])] == [chunks.SACK, chunks.DATA]


# Windows


def test_a_closed_window_stops_the_sender_and_probing_finds_it_open():
    world = World(config=Config(receive_buffer=20_000, send_buffer=1 << 20, partial_delivery_point=0))
    world.consume = False
    a, b = world.establish()
    for _ in range(100):
        a.send(bytes(1000), 0, world.net.now)
    world.run(seconds=30)
    held = sum(len(m.data) for m in world.of(world.b, events.Message))
    assert 17_000 <= held <= 21_000
    assert world.sacks(B)[-1].a_rwnd == 0
    assert a.state is State.ESTABLISHED
    assert a.error_count == 0
    probes = [
        time for time, source, _, data in world.packets if source == A and data[12] == chunks.DATA and time > 1
    ]
    assert len(probes) >= 3
    gaps = [later - earlier for earlier, later in itertools.pairwise(probes)]
    assert gaps[-1] > gaps[0]  # the interval grows
    world.net.drop(nth_chunk(chunks.SACK, 1))  # the window update itself gets lost
    world.consume = True
    b.consumed(held, world.net.now)
    assert world.run(lambda: a.buffered == 0, 200)
    assert len(world.of(world.b, events.Message)) == 100


def test_a_window_smaller_than_one_chunk_is_not_closed():
    """Each chunk once waited for a zero window probe's RTO (section 6.1 rule A lets one chunk go at once)."""
    world = World(
        link=Link(mtu=65535),
        config=Config(path_mtu=65535),
        server_config=Config(path_mtu=65535, receive_buffer=20_000),
    )
    a, _ = world.establish()
    start = world.net.now
    a.send(bytes(600_000), 0, start)
    assert world.run(lambda: a.buffered == 0)
    assert world.net.now - start < 3.0
    assert sum(len(m.data) for m in world.of(world.b, events.Message)) == 600_000


def test_a_window_closed_for_hours_is_no_error():
    world = World(config=Config(receive_buffer=4096, association_max_retrans=4, rto_max=5.0))
    world.consume = False
    a, _ = world.establish()
    for _ in range(20):
        a.send(bytes(1000), 0, world.net.now)
    world.run(seconds=7200)
    assert a.state is State.ESTABLISHED
    assert not world.seen(world.a, events.PathChange)


def test_the_window_is_never_overrun():
    world = World(config=Config(receive_buffer=10_000))
    world.consume = False
    a, _ = world.establish()
    for n in range(50):
        world.inject(world.a, a, data_chunk(a, 1, bytes(1000), ssn=n))
    world.collect()
    assert len(world.of(world.a, events.Message)) == 10
    assert world.a.counters.dropped["receive window closed"] == 40


def test_a_hole_is_filled_even_if_the_window_is_closed():
    world = World(config=Config(receive_buffer=10_000))
    a, _ = world.establish()
    for n in range(2, 12):
        world.inject(world.a, a, data_chunk(a, n, bytes(1000), ssn=n - 1))
    assert a.inbound.held == 10_000
    world.inject(world.a, a, data_chunk(a, 1, bytes(1000), ssn=0))
    world.collect()
    assert len(world.of(world.a, events.Message)) == 11


# Loss


def test_three_misses_start_a_fast_retransmission():
    world = World(link=Link(delay=0.05))
    a, b = world.establish()
    a.primary.cwnd = 50_000
    world.net.drop(nth_chunk(chunks.DATA, 3))
    start = world.net.now
    for _ in range(20):
        a.send(bytes(1400), 0, world.net.now)
    assert world.run(lambda: a.buffered == 0)
    assert world.a.counters.fast_retransmissions == 1
    assert world.a.counters.t3_expirations == 0
    assert world.net.now - start < 1.0
    assert a.flight.recovery_exit is None
    assert a.primary.ssthresh < 50_000


def test_the_last_packet_lost_needs_t3_and_halves_nothing_twice():
    world = World()
    a, _ = world.establish()
    world.net.drop(nth_chunk(chunks.DATA, 1, 2))
    a.send(b"x", 0, world.net.now)
    start = world.net.now
    assert world.run(lambda: a.buffered == 0)
    assert world.a.counters.t3_expirations == 2
    assert 3.0 <= world.net.now - start <= 3.5  # RTO 1 s, then 2 s
    assert a.error_count == 0


def test_a_dead_peer_is_given_up():
    world = World(config=Config(association_max_retrans=2, path_max_retrans=1, rto_max=2))
    a, _ = world.establish()
    world.net.remove(world.host_b)
    a.send(b"unanswered", 3, world.net.now, ppid=5, context=42)
    assert world.run(lambda: world.seen(world.a, events.CommunicationLost))
    kinds = [type(e) for e in world.log[world.a] if not isinstance(e, events.CommunicationUp)]
    assert kinds == [events.PathChange, events.SendFailed, events.CommunicationLost]
    (failed,) = world.of(world.a, events.SendFailed)
    assert (failed.data, failed.stream, failed.ppid, failed.context, failed.sent) == (
        b"unanswered",
        3,
        5,
        42,
        True,
    )
    assert world.of(world.a, events.CommunicationLost)[0].error == errno.ETIMEDOUT
    world.a.expire(1e9)
    assert world.a.deadline() is None


# Bad data


def test_data_without_user_data_aborts():
    world = World()
    a, _ = world.establish()
    world.inject(world.a, a, data_chunk(a, 1, b""))
    world.collect()
    (lost,) = world.of(world.a, events.CommunicationLost)
    assert (lost.error, lost.cause) == (errno.ECONNABORTED, causes.NO_USER_DATA)


def test_an_invalid_stream_is_acknowledged_and_reported():
    world = World()
    a, _ = world.establish()
    world.inject(world.a, a, data_chunk(a, 1, stream=10))
    world.net.flush(world.host_a)
    (error,) = [chunks.decode(*c) for c in world.sent(A, chunks.ERROR)]
    assert error.causes == [causes.invalid_stream(10)]
    world.run(seconds=1)
    assert world.sacks(A)[-1].cumulative_tsn == a.inbound.cum & MASK
    assert not world.seen(world.a, events.Message)


@pytest.mark.parametrize("second", [{"stream": 2}, {"ssn": 9}, {"flags": 1 | 4}])
def test_fragments_that_do_not_belong_together_abort(second):
    world = World()
    a, _ = world.establish()
    world.inject(world.a, a, data_chunk(a, 1, flags=2, stream=1))
    world.inject(world.a, a, data_chunk(a, 1, **{"flags": 1, "stream": 1, **second}))
    world.collect()
    assert world.of(world.a, events.CommunicationLost)[0].cause == causes.PROTOCOL_VIOLATION


@pytest.mark.parametrize(
    ("kind", "reported", "goes_on"),
    [(0x3F, False, False), (0x7F, True, False), (0xBF, False, True), (0xFF, True, True)],
)
def test_the_high_bits_of_unknown_chunks(kind, reported, goes_on):
    world = World()
    a, _ = world.establish()
    unknown = packet.chunk(kind, 5, b"abcd")
    world.inject(world.a, a, unknown, data_chunk(a, 1))
    world.collect()
    assert world.seen(world.a, events.Message) == goes_on
    world.net.flush(world.host_a)
    errors = [chunks.decode(*c).causes for c in world.sent(A, chunks.ERROR)]
    assert errors == ([[(causes.UNRECOGNIZED_CHUNK, unknown)]] if reported else [])


def test_a_report_of_a_large_unknown_chunk_fits_into_a_packet():
    world = World()
    a, _ = world.establish()
    for _ in range(5):
        world.inject(world.a, a, packet.chunk(0xFF, 0, bytes(60000)))
    world.net.flush(world.host_a)
    assert max(len(data) for _, _, _, data in world.packets) <= 1472


def test_one_bad_peer_does_not_hurt_another():
    world = World()
    a, b = world.establish()
    other = world.a.open(6000).connect([B], 7, world.net.now)
    assert world.run(lambda: len(world.of(world.a, events.CommunicationUp)) == 2)
    world.inject(world.a, a, data_chunk(a, 1, b""))
    other.send(b"fine", 0, world.net.now)
    assert world.run(lambda: world.seen(world.b, events.Message))
    assert other.state is State.ESTABLISHED
    assert a.state is State.CLOSED


# Partial delivery


def test_partial_delivery_keeps_others_behind():
    world = World(config=Config(receive_buffer=100_000, partial_delivery_point=10_000))
    a, b = world.establish()
    a.send(bytes(300_000), 1, world.net.now)
    a.send(b"after", 2, world.net.now, unordered=True)
    assert world.run(lambda: a.buffered == 0)
    got = world.of(world.b, events.Message)
    assert len(got) > 5
    assert [m.eor for m in got] == [False] * (len(got) - 2) + [True, True]
    assert got[-1].data == b"after"
    assert sum(len(m.data) for m in got[:-1]) == 300_000
    assert b.inbound.held == 0


def test_statistics_have_numbers():
    world = World()
    a, b = world.establish()
    a.send(b"x", 0, world.net.now)
    assert world.run(lambda: a.buffered == 0)
    numbers = world.a.counters.as_dict()
    assert numbers["out_data_chunks"] == 1
    assert numbers["current_established"] == 1
    status = a.status()
    assert (status.state, status.unacknowledged_chunks, status.queued_bytes) == (State.ESTABLISHED, 0, 0)
    assert status.fragment_size == 1444
