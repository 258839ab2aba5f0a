"""Packets out of the blue (RFC 9260 section 8.4), verification tags and the T bit (section 8.5)."""

import errno
import random

import pytest

from pysctplib.core import events
from pysctplib.core.engine import OOTB_BURST, Engine
from pysctplib.core.states import State
from pysctplib.wire import causes, chunks, packet
from tests.sim.world import World

TAG = 0x1234
SOURCE = ("10.9.9.9", 9899, "")


def chunk(kind, flags=0, value=b""):
    return packet.chunk(kind, flags, value)


STALE = chunk(chunks.ERROR, 0, causes.encode([causes.stale_cookie(5)]))
DATA = chunks.encode(chunks.Data(3, 1, 0, 0, 0, b"data"))

RULES = [
    # chunks, answer's chunk type (None: silence)
    ([DATA], chunks.ABORT),  # 8
    ([chunks.encode(chunks.Sack(1, 1500))], chunks.ABORT),
    ([chunk(chunks.HEARTBEAT, 0, b"\0\1\0\4")], chunks.ABORT),
    ([chunk(chunks.SHUTDOWN, 0, bytes(4))], chunks.ABORT),
    ([chunk(chunks.ABORT)], None),  # 2
    ([DATA, chunk(chunks.ABORT)], None),
    ([chunk(chunks.SHUTDOWN_ACK), chunk(chunks.ABORT)], None),
    ([chunk(chunks.COOKIE_ECHO, 0, bytes(80))], None),  # 4, with a bad cookie
    ([chunk(chunks.SHUTDOWN_ACK)], chunks.SHUTDOWN_COMPLETE),  # 5
    ([chunk(chunks.SHUTDOWN_COMPLETE)], None),  # 6
    ([chunk(chunks.COOKIE_ACK)], None),  # 7
    ([chunk(chunks.COOKIE_ACK), DATA], None),
    ([STALE], None),
    ([chunk(chunks.ERROR, 0, causes.encode([causes.invalid_stream(1)]))], chunks.ABORT),
    ([chunk(chunks.INIT_ACK, 0, bytes(20))], chunks.ABORT),
    ([chunk(0x3F)], chunks.ABORT),
]


@pytest.mark.parametrize("answer_ootb", [True, False])
@pytest.mark.parametrize(("body", "answer"), RULES)
def test_rules(body, answer, answer_ootb):
    engine = Engine(random.Random(1))
    engine.answer_ootb = answer_ootb
    engine.receive(packet.pack(5000, 7, TAG, body), SOURCE, 0.0)
    out = engine.output(0.0)
    if answer is None or not answer_ootb:
        assert out == []
        assert engine.counters.dropped
        return
    ((data, path),) = out
    assert path == SOURCE
    assert packet.HEADER.unpack_from(data) == (7, 5000, TAG)
    ((kind, flags, _),) = packet.walk(data)
    assert (kind, flags) == (answer, chunks.T_BIT)


def test_answers_are_limited_in_rate():
    engine = Engine(random.Random(1))
    data = packet.pack(5000, 7, TAG, [DATA])
    for _ in range(1000):
        engine.receive(data, SOURCE, 0.0)
    assert len(engine.output(0.0)) == OOTB_BURST
    engine.receive(data, SOURCE, 0.1)
    assert len(engine.output(0.1)) == 1


@pytest.mark.parametrize(
    ("tag_of", "flags", "accepted"),
    [
        ("own", 0, True),
        ("own", 1, False),
        ("peer", 1, True),
        ("peer", 0, False),
        ("wrong", 0, False),
        ("wrong", 1, False),
    ],
)
def test_abort_and_its_t_bit(tag_of, flags, accepted):
    world = World()
    a, _ = world.establish()
    tag = {"own": a.local_tag, "peer": a.peer_tag, "wrong": a.local_tag ^ 1}[tag_of]
    world.inject(world.a, a, chunk(chunks.ABORT, flags, causes.encode([(causes.USER_ABORT, b"why")])), tag=tag)
    world.collect()
    lost = world.of(world.a, events.CommunicationLost)
    if accepted:
        assert [(e.error, e.cause, e.info) for e in lost] == [(errno.ECONNRESET, causes.USER_ABORT, b"why")]
        assert a.state is State.CLOSED
    else:
        assert lost == []
        assert a.state is State.ESTABLISHED
        assert world.a.counters.dropped
    assert world.a.output(world.net.now) == []


@pytest.mark.parametrize(
    "body",
    [
        DATA,
        chunk(chunks.HEARTBEAT, 0, b"\0\1\0\4"),
        chunk(chunks.SHUTDOWN, 0, bytes(4)),
        chunk(chunks.SHUTDOWN_ACK),
    ],
)
def test_a_wrong_tag_is_silence(body):
    world = World()
    a, _ = world.establish()
    world.inject(world.a, a, body, tag=a.local_tag ^ 0x8000)
    assert world.a.output(world.net.now) == []
    assert a.state is State.ESTABLISHED
    assert world.a.counters.dropped == {"wrong verification tag": 1}


def test_the_right_tag_from_a_foreign_address_redirects_nothing():
    world = World()
    a, _ = world.establish()
    data = packet.pack(a.peer_port, 5000, a.local_tag, [chunk(chunks.HEARTBEAT, 0, b"\0\1\0\4")])
    world.a.receive(data, ("10.6.6.6", 666, ""), world.net.now)
    assert world.a.output(world.net.now) == []
    assert list(a.paths) == ["10.0.0.2"]


def test_the_udp_port_is_learned_only_with_the_right_tag():
    world = World()
    a, _ = world.establish()
    heartbeat = chunk(chunks.HEARTBEAT, 0, b"\0\1\0\4")
    for tag, port in ((a.local_tag ^ 1, 9899), (a.local_tag, 40000)):
        world.a.receive(packet.pack(a.peer_port, 5000, tag, [heartbeat]), ("10.0.0.2", 40000, ""), world.net.now)
        assert a.primary.udp_port == port
    ((_, key),) = world.a.output(world.net.now)
    assert key == ("10.0.0.2", 40000, "")


def test_bad_checksums_and_short_packets_are_counted():
    engine = Engine(random.Random(1))
    good = packet.pack(5000, 7, TAG, [DATA])
    engine.receive(good[:-1] + bytes([good[-1] ^ 1]), SOURCE, 0.0)
    for size in range(16):
        engine.receive(good[:size], SOURCE, 0.0)
    assert engine.output(0.0) == []
    assert engine.counters.checksum_errors == 1
    assert engine.counters.dropped == {"bad checksum": 1, "short packet": 16}
    assert engine.counters.in_packets == 17
