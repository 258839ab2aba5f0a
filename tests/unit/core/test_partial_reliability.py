"""Messages given up after they were sent: FORWARD TSN at both ends (RFC 3758)."""

import errno
import random

import pytest

from pysctplib.carrier.memory import Link
from pysctplib.core import events
from pysctplib.core.config import Config
from pysctplib.core.states import State
from pysctplib.wire import causes, chunks, packet, params
from tests.sim.world import World


def carries(*texts):
    """A filter for packets with DATA that holds one of these texts."""
    return lambda data: any(
        kind == chunks.DATA and any(text in value for text in texts) for kind, _, value in packet.walk(data)
    )


def first(kind, count=1):
    """A filter for the first packets with such a chunk."""
    left = [count]

    def match(data):
        if left[0] and any(k == kind for k, _, _ in packet.walk(data)):
            left[0] -= 1
            return True
        return False

    return match


def forwards(world):
    return [chunks.decode(*chunk) for chunk in world.sent("10.0.0.1", chunks.FORWARD_TSN)]


def texts(world):
    return [m.data for m in world.of(world.b, events.Message)]


def nothing_left(world, a, b):
    """All is acknowledged, and the association still works and ends well."""
    assert world.run(lambda: not a.flight.items and not a.outbound.queue, 300)
    assert a.buffered == 0 and a.flight.abandoned == 0 and a.flight.outstanding == 0
    assert all(path.flight == 0 for path in a.paths.values())
    assert b.inbound.held == 0 and not b.inbound.runs_by_start and not b.inbound.runs_by_end
    assert not b.inbound.waiting and not b.inbound.ranges
    a.send(b"goes on", 3, world.net.now)
    world.run(lambda: texts(world)[-1:] == [b"goes on"], 10)
    assert texts(world)[-1] == b"goes on"
    a.shutdown(world.net.now)
    assert world.run(lambda: world.seen(world.b, events.ShutdownComplete), 60)
    world.idle()


def test_both_ends_agree_on_it():
    world = World()
    a, b = world.establish()
    assert a.forward_tsn and b.forward_tsn
    for kind in chunks.INIT, chunks.INIT_ACK:
        (init,) = (chunks.decode(*chunk) for chunk in world.sent(None, kind))
        assert (params.FORWARD_TSN_SUPPORTED, b"") in init.parameters


@pytest.mark.parametrize("without", ["client", "server"])
def test_one_end_may_do_without(without):
    config, plain = Config(), Config(partial_reliability=False)
    world = World(
        config=plain if without == "client" else config, server_config=config if without == "client" else plain
    )
    a, b = world.establish()
    assert not a.forward_tsn and not b.forward_tsn
    world.net.drop(first(chunks.DATA))
    a.send(b"late", 0, world.net.now, lifetime=0.1)
    assert world.run(lambda: a.buffered == 0)  # a lifetime ends with the first transmission then
    assert texts(world) == [b"late"]
    assert forwards(world) == [] and world.of(world.a, events.SendFailed) == []
    made = chunks.encode(chunks.ForwardTsn(b.inbound.cum & 0xFFFFFFFF))
    world.inject(world.b, b, made)
    world.run(seconds=1)
    (error,) = (chunks.decode(*chunk) for chunk in world.sent("10.0.0.2", chunks.ERROR))
    assert error.causes == [(causes.UNRECOGNIZED_CHUNK, made)]


def test_a_message_whose_lifetime_is_over_is_not_sent_again():
    world = World(config=Config(nodelay=True))
    a, b = world.establish()
    world.net.drop(carries(b"late"))
    a.send(b"late", 1, world.net.now, ppid=7, lifetime=0.5, context=99)
    world.run(seconds=0.1)
    a.send(b"next", 1, world.net.now)
    nothing_left(world, a, b)
    assert texts(world) == [b"next", b"goes on"]
    (failed,) = world.of(world.a, events.SendFailed)
    assert (failed.data, failed.stream, failed.ppid, failed.context) == (b"late", 1, 7, 99)
    assert (failed.sent, failed.error) == (True, errno.ETIMEDOUT)
    assert forwards(world)[0].skipped == [(1, 0)]
    assert world.a.counters.abandoned_messages == 1
    assert sum(carries(b"late")(data) for *_, data in world.packets) == 1


def test_a_message_that_is_lost_within_its_lifetime_is_sent_again():
    world = World()
    a, b = world.establish()
    world.net.drop(first(chunks.DATA))
    a.send(b"in time", 1, world.net.now, lifetime=30.0)
    nothing_left(world, a, b)
    assert texts(world) == [b"in time", b"goes on"]
    assert forwards(world) == [] and world.of(world.a, events.SendFailed) == []


def test_a_lost_forward_tsn_is_sent_again_by_t3():
    world = World()
    a, b = world.establish()
    world.net.drop(carries(b"late"))
    world.net.drop(first(chunks.FORWARD_TSN, 2))
    a.send(b"late", 1, world.net.now, lifetime=0.5)
    nothing_left(world, a, b)
    assert len(forwards(world)) == 3
    assert a.error_count == 0


def test_a_peer_that_never_acknowledges_forward_tsn_is_given_up():
    world = World(config=Config(association_max_retrans=2))
    a, _ = world.establish()
    world.net.drop(carries(b"late"))
    world.net.drop(first(chunks.FORWARD_TSN, 100))
    world.net.drop(first(chunks.HEARTBEAT, 100))
    a.send(b"late", 1, world.net.now, lifetime=0.5)
    assert world.run(lambda: world.seen(world.a, events.CommunicationLost), 100)
    assert len(world.of(world.a, events.SendFailed)) == 1  # told once


def test_t3_of_a_forward_tsn_does_not_hit_data_that_is_sent_afterwards():
    world = World()
    a, b = world.establish()
    world.net.drop(carries(b"late"))
    a.send(b"late", 1, world.net.now, lifetime=0.5)
    assert world.run(lambda: bool(forwards(world)) and not a.flight.items, 30)
    before = world.a.counters.t3_expirations
    world.run(seconds=a.current.rto - 0.03)  # it would expire before the SACK of what follows
    a.send(b"prompt", 0, world.net.now)
    world.run(seconds=5)
    assert world.a.counters.t3_expirations == before
    nothing_left(world, a, b)


@pytest.mark.parametrize("lost", [b"A", b"B", b"C"])
def test_a_message_in_fragments_is_given_up_as_a_whole(lost):
    """Which of its fragments was lost does not matter; the memory of the others is free again."""
    world = World(config=Config(nodelay=True, path_mtu=1500))
    a, b = world.establish()
    world.net.drop(carries(lost * 400))
    a.send(b"A" * 1400 + b"B" * 1400 + b"C" * 900, 2, world.net.now, lifetime=0.5)
    a.send(b"after", 2, world.net.now)
    nothing_left(world, a, b)
    assert texts(world) == [b"after", b"goes on"]
    (failed,) = world.of(world.a, events.SendFailed)
    assert len(failed.data) == 3700 and failed.sent
    assert world.a.counters.abandoned_messages == 1


def test_the_rest_of_a_message_that_is_given_up_is_not_sent_at_all():
    world = World(config=Config(path_mtu=1500))
    a, b = world.establish()
    size = 100_000  # far more than the first window
    world.net.drop(first(chunks.DATA, 4))
    a.send(bytes(size), 2, world.net.now, lifetime=0.5)
    a.send(b"after", 2, world.net.now)
    nothing_left(world, a, b)
    assert texts(world) == [b"after", b"goes on"]
    assert len(world.sent("10.0.0.1", chunks.DATA)) < 10
    (failed,) = world.of(world.a, events.SendFailed)
    assert len(failed.data) == size


def test_messages_behind_the_hole_are_delivered_in_order():
    world = World(config=Config(nodelay=True))
    a, b = world.establish()
    world.net.drop(carries(b"late"))
    for text, life in ((b"late 0", 0.5), (b"one", None), (b"late 2", 0.5), (b"three", None), (b"four", None)):
        a.send(text, 1, world.net.now, lifetime=life)
        world.run(seconds=0.001)
    world.run(seconds=0.1)
    assert texts(world) == []  # they wait for what will not come
    nothing_left(world, a, b)
    assert texts(world) == [b"one", b"three", b"four", b"goes on"]
    assert [m.ssn for m in world.of(world.b, events.Message)] == [1, 3, 4, 0]


def test_unordered_messages_have_no_stream_to_skip():
    world = World()
    a, b = world.establish()
    world.net.drop(carries(b"late"))
    a.send(b"late", 1, world.net.now, lifetime=0.5, unordered=True)
    nothing_left(world, a, b)
    assert {tuple(forward.skipped) for forward in forwards(world)} == {()}


def test_a_partial_delivery_that_will_not_go_on_is_told():
    world = World(config=Config(path_mtu=1500), server_config=Config(partial_delivery_point=2000))
    a, b = world.establish()
    world.net.drop(carries(b"Z" * 100))
    a.send(b"A" * 2900 + b"Z" * 1000, 2, world.net.now, lifetime=0.5)
    a.send(b"after", 2, world.net.now)
    world.run(seconds=0.2)
    (part,) = world.of(world.b, events.Message)
    assert set(part.data) == set(b"A") and not part.eor
    nothing_left(world, a, b)
    assert texts(world) == [part.data, b"after", b"goes on"]
    (aborted,) = world.of(world.b, events.PartialDeliveryAborted)
    assert aborted.stream == 2


def test_shutdown_waits_for_what_is_given_up_and_no_longer():
    world = World()
    a, _ = world.establish()
    world.net.drop(carries(b"late"))
    a.send(b"late", 1, world.net.now, lifetime=0.5)
    a.shutdown(world.net.now)
    assert world.run(lambda: world.seen(world.b, events.ShutdownComplete), 60)
    assert a.state is State.CLOSED
    world.idle()


# ---- the receiver and peers of all sorts


def data(tsn, text=b"x", flags=chunks.WHOLE, stream=0, ssn=0):
    return chunks.encode(chunks.Data(flags, tsn & 0xFFFFFFFF, stream, ssn, 0, text))


def forward(tsn, *skipped):
    return chunks.encode(chunks.ForwardTsn(tsn & 0xFFFFFFFF, list(skipped)))


def test_an_old_forward_tsn_is_acknowledged_and_changes_nothing():
    world = World()
    _, b = world.establish()
    base = b.inbound.cum
    for tsn in base, base - 5:
        before = len(world.sacks("10.0.0.2"))
        world.inject(world.b, b, forward(tsn, (0, 7)))
        world.run(seconds=0.01)
        assert len(world.sacks("10.0.0.2")) == before + 1
    assert b.inbound.cum == base and b.inbound.ssns == {}


def test_islands_behind_the_new_point_join_it():
    world = World()
    _, b = world.establish()
    base = b.inbound.cum
    world.inject(
        world.b, b, data(base + 3, b"third", ssn=1), data(base + 4, b"fourth", ssn=2), data(base + 6, ssn=4)
    )
    world.inject(world.b, b, forward(base + 2, (0, 0)))
    world.collect()
    assert b.inbound.cum == base + 4
    assert texts(world) == [b"third", b"fourth"]
    assert b.inbound.ranges.pairs() == [(base + 6, base + 6)]


def test_a_message_that_is_there_is_delivered_although_it_is_named():
    """Section 3.6: what is complete up to the SSN goes to the user."""
    world = World()
    _, b = world.establish()
    base = b.inbound.cum
    world.inject(world.b, b, data(base + 2, b"there", ssn=1))
    world.inject(world.b, b, forward(base + 3, (0, 2)))
    world.collect()
    assert texts(world) == [b"there"]
    assert b.inbound.ssns == {0: 3}


def test_a_message_that_may_still_become_complete_is_kept():
    """Peers whose FORWARD TSN covers what was received, too: the rest of that message is on its way."""
    world = World()
    _, b = world.establish()
    base = b.inbound.cum
    world.inject(world.b, b, data(base + 2, b"be", chunks.BEGIN, stream=1))
    world.inject(world.b, b, forward(base + 2, (0, 0)))
    world.inject(world.b, b, data(base + 3, b"gin", chunks.END, stream=1))
    world.collect()
    assert texts(world) == [b"begin"]


def test_what_waits_is_delivered_when_a_peer_shuts_down_that_has_not_told_of_its_last_gaps():
    """Linux: it sends SHUTDOWN while chunks that it gave up are not skipped yet."""
    world = World()
    _, b = world.establish()
    base = b.inbound.cum
    world.inject(
        world.b, b, data(base + 2, b"one", ssn=1), data(base + 4, b"three", ssn=3),
        data(base + 6, b"rest", chunks.END, stream=1), data(base + 8, b"two", stream=2, ssn=1),
    )  # fmt: skip
    world.inject(world.b, b, chunks.encode(chunks.Shutdown(b.flight.cum & 0xFFFFFFFF)))
    world.collect()
    assert texts(world) == [b"one", b"three", b"two"]
    kinds = [type(event) for event in world.log[world.b]]
    assert kinds.index(events.PeerShutdown) == len(kinds) - 1
    assert b.inbound.held == 0 and not b.inbound.ranges


def test_numbers_wrap():
    world = World()
    _, b = world.establish()
    base = b.inbound.cum = b.inbound.highest = (1 << 32) - 2
    b.inbound.ssns[0] = 0xFFFF
    world.inject(world.b, b, data(base + 3, b"after", ssn=1))
    world.inject(world.b, b, forward(base + 2, (0, 0)))
    world.collect()
    assert b.inbound.cum == base + 3
    assert texts(world) == [b"after"]


@pytest.mark.parametrize("value", [b"", b"\0\0\0", bytes(5), bytes(7)])
def test_malformed(value):
    world = World()
    _, b = world.establish()
    world.inject(world.b, b, packet.chunk(chunks.FORWARD_TSN, 0, value))
    assert world.b.counters.dropped == {"malformed FORWARD TSN": 1}


def test_streams_that_do_not_exist():
    world = World(server_config=Config(max_inbound_streams=3))
    _, b = world.establish()
    world.inject(world.b, b, forward(b.inbound.cum + 1, (2, 5), (3, 5), (65535, 5)))
    assert b.inbound.ssns == {2: 6}


@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_lost_order_is_kept_and_all_comes_to_an_end(seed):
    """Whole, in order, none twice; what does not come was told to be given up, and has not come."""
    rng = random.Random(seed)
    link = Link(loss=0.15, jitter=0.02, duplicate=0.05, reorder=0.05)
    config = Config(nodelay=True, rto_min=0.1, rto_initial=0.2, association_max_retrans=50, path_mtu=1500)
    world = World(seed, link, config=config)
    a, b = world.establish()
    sent = []
    for number in range(150):
        stream, size = rng.randrange(4), rng.choice((10, 300, 4000))
        text = f"{stream} {number} ".encode().ljust(size, b".")
        life = rng.choice((None, 0.05, 0.2))
        unordered = stream == 3
        a.send(text, stream, world.net.now, lifetime=life, unordered=unordered)
        sent.append((text, stream, life))
        world.run(seconds=rng.choice((0.0, 0.005, 0.05)))
    assert world.run(lambda: not a.flight.items and not a.outbound.queue, 600)
    world.run(seconds=1)
    got, failed = texts(world), {event.data for event in world.of(world.a, events.SendFailed)}
    assert len(set(got)) == len(got)
    for stream in range(3):
        expected = [text for text, s, _ in sent if s == stream and text in set(got)]
        assert [text for text in got if text.startswith(b"%d " % stream)] == expected
    for text, _, life in sent:
        assert text in got or text in failed
        assert life is not None or (text in got and text not in failed)
    assert failed and world.a.counters.abandoned_messages
    assert b.inbound.held == 0 and not b.inbound.runs_by_start and not b.inbound.waiting
    a.shutdown(world.net.now)
    assert world.run(lambda: world.seen(world.b, events.ShutdownComplete), 300)
    world.idle()
