"""What peers that lie, and networks that deliver late, must not achieve. Each test was a fault once."""

import errno
import itertools
import random

import pytest

from pysctplib.core import events
from pysctplib.core.config import Config
from pysctplib.core.engine import Engine
from pysctplib.core.inbound import CHUNK_COST, CHUNKS_FREE, CHUNKS_HELD, REACH, window
from pysctplib.core.path import PathState
from pysctplib.core.serial import MASK
from pysctplib.core.states import State
from pysctplib.wire import causes, chunks, packet, params
from tests.sim.world import PORT, World

A, B = "10.0.0.1", "10.0.0.2"


# Acknowledgements


def test_regression_a_gap_block_of_offset_zero_raised_out_of_the_engine():
    world = World()
    a, _ = world.establish()
    world.inject(world.a, a, chunks.encode(chunks.Sack(a.flight.cum & MASK, 100_000, [(0, 0)])))
    assert a.state is State.ESTABLISHED


def test_regression_a_gap_block_of_offset_zero_acknowledged_the_last_chunk():
    world = World()
    a, _ = world.establish()
    world.net.remove(world.host_b)
    a.config.nodelay = True
    for _ in range(2):
        a.send(bytes(1400), 0, world.net.now)
    world.net.flush(world.host_a)
    before = a.flight.outstanding
    assert before
    for gap in ((0, 0), (0, 1), (0, 2)):
        world.inject(world.a, a, chunks.encode(chunks.Sack(a.flight.cum & MASK, 100_000, [gap])))
        assert a.flight.outstanding == before


# Memory


def test_regression_a_hole_took_any_amount_of_data():
    """A chunk far ahead made all below it a hole, and holes are filled even if the window is closed."""
    world = World(config=Config(receive_buffer=100_000))
    a, _ = world.establish()
    base = a.inbound.cum

    def take(offset):
        chunk = chunks.Data(3, (base + offset) & MASK, 0, offset & 0xFFFF, 0, bytes(1000))
        world.inject(world.a, a, chunks.encode(chunk))

    take(REACH + 1)
    assert world.a.counters.dropped == {"TSN out of reach": 1}
    take(REACH)
    for offset in range(2, 1000):
        take(offset)
    assert a.inbound.held <= 200_000
    assert world.a.counters.dropped["receive window overrun"] == 1000 - 2 - 199
    assert a.state is State.ESTABLISHED


def test_regression_a_million_tiny_messages_fitted_into_the_window():
    """The window counted user data alone, and a message of one byte costs 250 in memory."""
    world = World(config=Config(receive_buffer=1 << 20))
    a, _ = world.establish()

    def take(first, last):
        tsn, packed = a.inbound.cum + 1 - first, []
        for n in range(first, last):  # the messages with SSN 0 never come
            packed.append(chunks.DATA_HEADER.pack(0, 3, 17, (tsn + n) & MASK, n >> 15, 1 + (n & 0x7FFF), 0))
        world.inject(world.a, a, *(header + b"x\0\0\0" for header in packed))

    closed = (1 << 20) // CHUNK_COST + CHUNKS_FREE
    take(0, closed)
    assert window(a) == 0
    take(closed, CHUNKS_HELD)  # who does not care is thrown out
    assert a.state is State.ESTABLISHED
    take(CHUNKS_HELD, CHUNKS_HELD + 1)
    world.collect()
    assert world.of(world.a, events.CommunicationLost)[0].cause == causes.PROTOCOL_VIOLATION


def test_the_window_opens_again_when_tiny_messages_are_read():
    world = World(config=Config(receive_buffer=100_000))
    world.consume = False
    a, b = world.establish()
    for n in range(9000):
        a.send(b"tiny", n % 10, world.net.now)
    world.run(seconds=10)
    got = world.of(world.b, events.Message)
    assert 600 < len(got) < 3000
    for message in got:
        b.consumed(len(message.data), world.net.now)
    world.consume = True
    assert world.run(lambda: a.buffered == 0, 60)
    assert len(world.of(world.b, events.Message)) == 9000
    assert b.inbound.held == b.inbound.chunks == 0


# Set-up


def test_regression_a_late_copy_of_a_cookie_made_a_ghost():
    world = World()
    a, _ = world.establish()
    echo = next(data for _, _, _, data in world.packets if data[12] == chunks.COOKIE_ECHO)
    a.shutdown(world.net.now)
    assert world.run(lambda: world.seen(world.b, events.ShutdownComplete))
    world.b.receive(echo, (A, 9899, ""), world.net.now)
    assert not world.b.associations
    ((answer, _),) = world.b.output(world.net.now)
    assert [kind for kind, _, _ in packet.walk(answer)] == [chunks.ABORT]
    assert world.b.counters.dropped == {"COOKIE ECHO that was used before": 1}
    world.start()  # the same ports again are no problem
    assert world.run(lambda: len(world.of(world.b, events.CommunicationUp)) == 2)


def test_used_cookies_are_forgotten_when_they_are_stale():
    world = World(server_config=Config(valid_cookie_life=5.0))
    tags = []
    for _ in range(20):
        a = world.start()
        assert world.run(lambda a=a: a.established)
        tags.append(a.peer_tag)
        a.abort(world.net.now)
        world.run(seconds=1.0)
    assert all(world.b.jar.spent(tag) for tag in tags[-5:])
    assert not any(world.b.jar.spent(tag) for tag in tags[:8])


def init_ack(association, *parameters):
    values = chunks.Init(4711, 65536, 10, 10, 1, [(params.STATE_COOKIE, b"biscuit"), *parameters], ack=True)
    return packet.pack(
        association.peer_port, association.endpoint.port, association.local_tag, [chunks.encode(values)]
    )


def test_regression_the_cookie_and_data_went_to_an_address_that_nobody_confirmed():
    """Section 5.4: an INIT ACK's source is somebody else's, perhaps, unless the user gave it."""
    engine = Engine(random.Random(3), local_addresses=lambda peer: ["10.0.0.1", "10.0.1.1"])
    a = engine.open(5000).connect(["10.0.0.2"], PORT, 0.0)
    engine.output(0.0)
    engine.receive(init_ack(a), ("10.0.1.2", 9899, ""), 0.0)
    assert engine.output(0.0) == []
    assert engine.counters.dropped == {"INIT ACK from an address that was not asked": 1}
    engine.receive(init_ack(a, params.encode_address("10.0.0.2")), ("10.0.1.2", 9899, ""), 0.0)
    ((echo, path),) = engine.output(0.0)
    assert echo[12] == chunks.COOKIE_ECHO
    assert path[0] == "10.0.0.2"
    assert a.paths["10.0.1.2"].state is PathState.UNCONFIRMED


def test_regression_the_udp_port_of_an_init_ack_was_not_learned():
    """RFC 6951 section 5.4: from any packet whose tag was checked."""
    engine = Engine(random.Random(3))
    a = engine.open(5000).connect(["10.0.0.2"], PORT, 0.0)
    engine.output(0.0)
    engine.receive(init_ack(a), ("10.0.0.2", 4711, ""), 0.0)
    ((echo, path),) = engine.output(0.0)
    assert (echo[12], path[1]) == (chunks.COOKIE_ECHO, 4711)


def test_regression_a_stale_cookie_after_a_target_was_dropped_raised():
    engine = Engine(random.Random(3), local_addresses=lambda peer: ["10.0.0.1", "10.0.1.1"])
    a = engine.open(5000).connect(["10.0.0.2", "10.0.1.2"], PORT, 0.0)
    engine.output(0.0)
    engine.receive(init_ack(a), ("10.0.0.2", 9899, ""), 0.0)  # does not list 10.0.1.2
    engine.output(0.0)
    stale = packet.chunk(chunks.ERROR, 0, causes.encode([causes.stale_cookie(1)]))
    engine.receive(packet.pack(PORT, 5000, a.local_tag, [stale]), ("10.0.0.2", 9899, ""), 0.0)
    for now in (0.0, 2.0, 6.0):
        engine.expire(now)
        ((init, path),) = engine.output(now)
        assert (init[12], path[0]) == (chunks.INIT, "10.0.0.2")


def test_regression_an_init_ack_claimed_the_address_of_another_association():
    engine = Engine(random.Random(3), local_addresses=lambda peer: ["10.0.0.1", "10.0.1.1"])
    endpoint = engine.open(5000)
    first = endpoint.connect(["10.0.0.2"], PORT, 0.0)
    second = endpoint.connect(["10.0.0.3"], PORT, 0.0)
    engine.receive(init_ack(second, params.encode_address("10.0.0.2")), ("10.0.0.3", 9899, ""), 0.0)
    assert list(second.paths) == ["10.0.0.3"]
    assert engine.find(5000, ["10.0.0.2"], PORT) is first


def test_regression_a_collision_answered_with_the_endpoints_settings_not_the_associations():
    """Section 5.2.1: the INIT ACK has the parameters of the INIT."""
    engine = Engine(random.Random(3))
    a = engine.open(5000).connect(["10.0.0.2"], PORT, 0.0, config=Config(outbound_streams=3, receive_buffer=7777))
    ((init, _),) = engine.output(0.0)
    theirs = chunks.Init(99, 65536, 10, 10, 1)
    engine.receive(packet.pack(PORT, 5000, 0, [chunks.encode(theirs)]), ("10.0.0.2", 9899, ""), 0.0)
    ((ack, _),) = engine.output(0.0)
    mine, answer = (chunks.decode(*next(packet.walk(data))) for data in (init, ack))
    for name in ("tag", "initial_tsn", "outbound_streams", "inbound_streams", "a_rwnd"):
        assert getattr(answer, name) == getattr(mine, name)
    assert a.state is State.COOKIE_WAIT


@pytest.mark.parametrize(("local", "answer"), [("10.0.0.5", chunks.INIT_ACK), ("192.0.2.5", chunks.ABORT)])
def test_regression_an_endpoint_bound_to_one_address_answered_at_all(local, answer):
    engine = Engine(random.Random(3))
    engine.open(PORT, ("10.0.0.5",)).listen(True)
    init = chunks.encode(chunks.Init(99, 65536, 10, 10, 1))
    engine.receive(packet.pack(5000, PORT, 0, [init]), ("10.0.0.9", 9899, local), 0.0)
    ((data, _),) = engine.output(0.0)
    assert data[12] == answer


def test_regression_all_listed_addresses_were_probed_at_once():
    """HB.Max.Burst (section 5.4): a peer may list 32 addresses that are not its own."""
    listed = [f"10.0.1.{n}" for n in range(1, 31)]
    world = World(b_addresses=(B, *listed), config=Config(rto_initial=1.0))
    world.host_b.addresses = (B,)
    a = world.start()
    assert world.run(lambda: a.established)
    world.packets.clear()
    begin = world.net.now
    world.run(seconds=60)
    first = {}
    for at, source, target, data in world.packets:
        if source == A and data[12] == chunks.HEARTBEAT and target in listed:
            first.setdefault(target, at - begin)
    assert len(first) == len(listed)
    times = sorted(first.values())
    assert all(later - earlier > 0.5 for earlier, later in itertools.pairwise(times))


@pytest.mark.parametrize("state", [State.COOKIE_WAIT, State.COOKIE_ECHOED])
def test_regression_a_shutdown_ack_with_the_right_tag_stayed_unanswered_while_setting_up(state):
    """Section 8.5.1 E: as out of the blue."""
    engine = Engine(random.Random(3))
    a = engine.open(5000).connect(["10.0.0.2"], PORT, 0.0)
    if state is State.COOKIE_ECHOED:
        engine.receive(init_ack(a), ("10.0.0.2", 9899, ""), 0.0)
    engine.output(0.0)
    ack = packet.pack(PORT, 5000, a.local_tag, [packet.chunk(chunks.SHUTDOWN_ACK, 0, b"")])
    engine.receive(ack, ("10.0.0.2", 9899, ""), 0.0)
    ((data, _),) = engine.output(0.0)
    assert packet.HEADER.unpack_from(data)[2] == a.local_tag
    assert list(packet.walk(data)) == [(chunks.SHUTDOWN_COMPLETE, chunks.T_BIT, b"")]
    assert a.state is state


# What we say ourselves


def test_regression_long_reasons_were_cut_without_their_length():
    world = World()
    a, _ = world.establish()
    a.abort(world.net.now, bytes(5000))
    assert world.run(lambda: world.seen(world.b, events.CommunicationLost))
    lost = world.of(world.b, events.CommunicationLost)[0]
    assert (lost.error, lost.cause, len(lost.info)) == (errno.ECONNRESET, causes.USER_ABORT, 1452)


def test_regression_unknown_parameters_were_reported_in_part():
    engine = Engine(random.Random(3))
    a = engine.open(5000).connect(["10.0.0.2"], PORT, 0.0)
    engine.output(0.0)
    engine.receive(init_ack(a, *[(0xFFF0, bytes(500))] * 5), ("10.0.0.2", 9899, ""), 0.0)
    ((data, _),) = engine.output(0.0)
    _, (_, _, value) = packet.walk(data)
    ((cause, info),) = causes.decode(value)
    assert cause == causes.UNRECOGNIZED_PARAMETERS
    assert params.decode(info) == [(0xFFF0, bytes(500))] * 2


# Timers and ends


def test_regression_t3_without_anything_in_flight_doubled_the_rto():
    world = World()
    a, _ = world.establish()
    path = a.primary
    path.t3, before = world.net.now + 1.0, path.rto
    a.arm(path.t3)
    world.run(seconds=2)
    assert path.rto == before


@pytest.mark.parametrize("end", ["abort", "restart"])
def test_regression_the_end_in_the_middle_of_a_message_was_not_told(end):
    world = World(config=Config(receive_buffer=100_000, partial_delivery_point=10_000))
    a, b = world.establish()
    a.send(bytes(300_000), 1, world.net.now)
    assert world.run(lambda: world.seen(world.b, events.Message))
    if end == "abort":
        a.abort(world.net.now)
    else:
        world.net.remove(world.host_a)
        world.a = Engine(random.Random(99), local_addresses=lambda peer: [A])
        world.log[world.a] = []
        world.host_a = world.net.host(world.a, [A])
        world.client = world.a.open(5000)
        world.start()
    last = events.CommunicationLost if end == "abort" else events.Restarted
    assert world.run(lambda: world.seen(world.b, last))
    (aborted,) = world.of(world.b, events.PartialDeliveryAborted)
    assert (aborted.association, aborted.stream, aborted.ssn) == (b, 1, 0)
    assert world.log[world.b].index(aborted) < next(
        n for n, event in enumerate(world.log[world.b]) if isinstance(event, last)
    )
