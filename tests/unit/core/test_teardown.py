"""Graceful shutdown with every loss and collision (RFC 9260 section 9.2), abort (9.1), autoclose."""

import errno

import pytest

from pysctplib.carrier.memory import nth_chunk
from pysctplib.core import events
from pysctplib.core.config import Config
from pysctplib.core.states import State
from pysctplib.wire import causes, chunks, packet
from tests.sim.world import World

SHUTDOWN_CHUNKS = [chunks.SHUTDOWN, chunks.SHUTDOWN_ACK, chunks.SHUTDOWN_COMPLETE]


def closed(world):
    return all(world.seen(engine, events.ShutdownComplete) for engine in (world.a, world.b))


def test_three_packets():
    world = World()
    a, b = world.establish()
    a.shutdown(world.net.now)
    assert a.state is State.SHUTDOWN_SENT
    assert world.run(lambda: closed(world))
    assert [kind for kind, _, _ in world.sent()][-3:] == SHUTDOWN_CHUNKS
    assert len(world.of(world.b, events.PeerShutdown)) == 1
    assert not world.seen(world.a, events.PeerShutdown)
    world.idle()
    assert world.run(seconds=1000) is False
    assert world.a.deadline() is None


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("kind", SHUTDOWN_CHUNKS)
def test_each_shutdown_chunk_may_get_lost(kind, count):
    world = World()
    a, _ = world.establish()
    world.net.drop(nth_chunk(kind, *range(1, count + 1)))
    a.shutdown(world.net.now)
    assert world.run(lambda: closed(world))
    world.idle()


def test_all_data_arrives_before_the_end():
    world = World()
    a, b = world.establish()
    for n in range(200):
        a.send(bytes([n]) * 3000, n % 10, world.net.now)
    a.shutdown(world.net.now)
    assert a.state is State.SHUTDOWN_PENDING
    with pytest.raises(OSError) as caught:
        a.send(b"late", 0, world.net.now)
    assert caught.value.errno == errno.EPIPE
    assert world.run(lambda: closed(world))
    assert len(world.of(world.b, events.Message)) == 200
    assert not world.seen(world.a, events.SendFailed)


def test_the_peers_data_still_arrives_after_our_shutdown():
    world = World()
    a, b = world.establish()
    for n in range(100):
        b.send(bytes(3000), n % 10, world.net.now)
    a.shutdown(world.net.now)
    assert world.run(lambda: closed(world))
    assert len(world.of(world.a, events.Message)) == 100
    with pytest.raises(OSError):
        b.send(b"late", 0, world.net.now)


@pytest.mark.parametrize("seed", range(20))
def test_both_shut_down_at_once_with_loss(seed):
    world = World(seed)
    a, b = world.establish()
    world.net.link.loss, world.net.link.jitter = 0.3, 0.05
    a.send(bytes(5000), 0, world.net.now)
    b.send(bytes(5000), 0, world.net.now)
    a.shutdown(world.net.now)
    b.shutdown(world.net.now)
    assert world.run(lambda: closed(world), 1000)
    assert len(world.of(world.a, events.Message)) == len(world.of(world.b, events.Message)) == 1
    world.idle()


def test_crossing_shutdowns():
    world = World()
    a, b = world.establish()
    a.shutdown(world.net.now)
    b.shutdown(world.net.now)
    assert a.state is b.state is State.SHUTDOWN_SENT
    assert world.run(lambda: closed(world), 1.0)
    world.idle()


def test_shutdown_while_setting_up_happens_after_it():
    world = World()
    a = world.start()
    a.send(b"short visit", 0, 0.0)
    a.shutdown(0.0)
    assert world.run(lambda: closed(world))
    assert [m.data for m in world.of(world.b, events.Message)] == [b"short visit"]


def test_an_init_in_shutdown_ack_sent_gets_shutdown_ack():
    world = World()
    a, b = world.establish()
    world.net.drop(nth_chunk(chunks.SHUTDOWN_COMPLETE, 1))
    a.shutdown(world.net.now)
    assert world.run(lambda: world.seen(world.a, events.ShutdownComplete))
    assert b.state is State.SHUTDOWN_ACK_SENT
    a2 = world.start()  # at once, while b still waits
    assert world.run(lambda: len(world.of(world.a, events.CommunicationUp)) == 2, 30)
    assert world.seen(world.b, events.ShutdownComplete)
    assert a2.state is State.ESTABLISHED
    assert list(world.b.associations.values()) != [b]


def test_a_silent_peer_ends_the_shutdown():
    world = World(config=Config(association_max_retrans=3))
    a, b = world.establish()
    world.net.remove(world.host_b)
    a.shutdown(world.net.now)
    assert world.run(lambda: world.seen(world.a, events.CommunicationLost))
    assert world.of(world.a, events.CommunicationLost)[0].error == errno.ETIMEDOUT
    assert not world.a.associations


def test_t5_guards_against_a_peer_that_never_comes_to_an_end():
    world = World(config=Config(rto_max=2.0))
    a, b = world.establish()
    a.shutdown(world.net.now)
    world.net.flush(world.host_a)
    world.net.remove(world.host_b)
    start, tsn = world.net.now, b.flight.next_tsn
    while not world.seen(world.a, events.CommunicationLost):
        data = chunks.encode(chunks.Data(3, tsn, 0, tsn & 0xFFFF, 0, b"more"))
        world.inject(world.a, a, data)
        tsn = (tsn + 1) & 0xFFFFFFFF
        world.run(seconds=0.5)
        assert world.net.now < 60
    assert world.net.now - start == pytest.approx(5 * 2.0, abs=1.0)
    assert world.sent("10.0.0.1", chunks.ABORT)


def test_abort_reaches_the_peer_with_its_reason():
    world = World()
    a, b = world.establish()
    a.send(b"never sent", 0, world.net.now, context=9)
    a.abort(world.net.now, b"enough")
    assert world.run(lambda: world.seen(world.b, events.CommunicationLost))
    (own,), (theirs,) = (world.of(engine, events.CommunicationLost) for engine in (world.a, world.b))
    assert own.error == errno.ECONNABORTED
    assert (theirs.error, theirs.cause, theirs.info) == (errno.ECONNRESET, causes.USER_ABORT, b"enough")
    (failed,) = world.of(world.a, events.SendFailed)
    assert (failed.data, failed.context, failed.sent) == (b"never sent", 9, False)
    world.idle()
    a.abort(world.net.now)  # nothing more happens
    assert world.a.output(world.net.now) == []


def test_autoclose():
    world = World(config=Config(autoclose=5.0, hb_interval=0))
    a, b = world.establish()
    world.run(seconds=3.0)
    a.send(b"x", 0, world.net.now)
    assert world.run(lambda: closed(world))
    assert world.net.now == pytest.approx(8.1, abs=0.5)


def test_a_closed_endpoint_gives_its_port_back_with_its_last_association():
    world = World()
    a, _ = world.establish()
    world.client.close(world.net.now)
    with pytest.raises(OSError):
        world.a.open(5000)
    a.shutdown(world.net.now)
    assert world.run(lambda: closed(world))
    world.a.open(5000)
    with pytest.raises(OSError):
        world.client.connect(["10.0.0.2"], 7, 0.0)


def test_shutdown_acknowledges_data():
    world = World()
    a, b = world.establish()
    world.net.drop(lambda data: data[12] == chunks.SACK)
    a.send(b"one", 0, world.net.now)
    world.run(lambda: world.seen(world.b, events.Message))
    b.shutdown(world.net.now)
    assert world.run(lambda: closed(world))
    assert world.a.counters.t3_expirations == 0


def test_heartbeats_end_with_the_shutdown():
    world = World()
    a, b = world.establish()
    world.net.drop(nth_chunk(chunks.SHUTDOWN_ACK, *range(1, 6)))
    a.shutdown(world.net.now)
    assert world.run(lambda: closed(world))
    assert not world.sent(kind=chunks.HEARTBEAT)


def test_a_shutdown_sent_again_is_answered_again():
    world = World()
    a, b = world.establish()
    world.net.drop(nth_chunk(chunks.SHUTDOWN_ACK, 1))
    a.shutdown(world.net.now)
    assert world.run(lambda: b.state is State.SHUTDOWN_ACK_SENT)
    world.net.flush(world.host_b)
    before = len(world.sent("10.0.0.2", chunks.SHUTDOWN_ACK))
    again = world.sent("10.0.0.1", chunks.SHUTDOWN)[-1]
    world.inject(world.b, b, packet.chunk(*again))
    world.net.flush(world.host_b)
    assert len(world.sent("10.0.0.2", chunks.SHUTDOWN_ACK)) == before + 1
    assert world.run(lambda: closed(world), 0.5)
