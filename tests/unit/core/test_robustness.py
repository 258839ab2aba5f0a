"""Whatever comes from the network, ``receive`` does not raise, and what it held stays in order."""

import random
from pathlib import Path

import pytest

from pysctplib.core.engine import Engine
from pysctplib.core.outbound import SENT
from pysctplib.wire import packet
from tests import pcaps
from tests.sim.world import World

GOLDEN = Path(__file__).parents[2] / "golden"


def mutate(rng, data):
    """Return a packet with a few changes and a right checksum."""
    body = bytearray(data[12:])
    for _ in range(rng.randrange(1, 6)):
        position = rng.randrange(len(body))
        choice = rng.randrange(5)
        if choice == 0:
            body[position] ^= 1 << rng.randrange(8)
        elif choice == 1:
            body[position] = rng.choice((0, 1, 4, 127, 128, 255))
        elif choice == 2:
            del body[position : position + rng.randrange(1, 9)]
        elif choice == 3:
            body[position:position] = rng.randbytes(rng.randrange(1, 9))
        else:
            other = rng.randrange(len(body))
            body[position:position] = body[other : other + 16]
        if not body:
            body = bytearray(4)
    return packet.seal(data[:8], bytes(body))


def verify(engine):
    for a in engine.associations.values():
        f = a.flight
        assert f.outstanding == sum(item.length for item in f.items if item.state == SENT)
        assert f.outstanding == sum(path.flight for path in a.paths.values())
        assert engine.by_tag[a.local_tag] is engine.by_header[a.header_in] is a
        assert a.inbound.held >= 0
        for address in a.paths:
            assert engine.by_peer[a.endpoint.port, address, a.peer_port] is a
    assert len(engine.by_tag) == len(engine.by_header) == len(engine.associations)


@pytest.mark.parametrize("seed", range(60))
def test_mutated_packets_of_a_living_association(seed):
    rng = random.Random(seed)
    world = World(seed, a_addresses=("10.0.0.1", "10.0.1.1"), b_addresses=("10.0.0.2", "10.0.1.2"))
    world.net.link.loss = 0.05
    world.start()

    def disturb(now, source, target, data):
        if rng.random() < 0.3:
            engine = world.a if target[0] in world.host_a.addresses else world.b
            engine.receive(mutate(rng, data), (source[0], 9899, ""), now)

    world.net.tap = disturb
    for _ in range(60):
        world.run(seconds=0.3)
        for engine in (world.a, world.b):
            verify(engine)
            for a in list(engine.associations.values()):
                if a.sends_data and not a.closing and a.buffered < 100_000:
                    a.send(
                        rng.randbytes(rng.choice((5, 500, 5000))), rng.randrange(a.outbound_streams), world.net.now
                    )
                elif rng.random() < 0.02:
                    a.shutdown(world.net.now)
        if not world.a.associations:
            world.start()


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.pcap")), ids=lambda p: p.stem)
def test_captured_and_mutated_packets_at_an_engine_that_knows_nobody(path):
    rng = random.Random(path.stem)
    engine = Engine(rng)
    captured = list(pcaps.sctp_packets(path))
    for port in {p.dport for p in captured}:
        engine.open(port).listen(True)
    now = 0.0
    for p in captured[:400]:
        now += 0.01
        good = packet.seal(p.payload[:8], p.payload[12:])
        engine.receive(good, (p.src, 9899, ""), now)
        for _ in range(5):
            engine.receive(mutate(rng, good), (p.src, 9899, ""), now)
        engine.output(now)
    assert not engine.associations
    assert engine.counters.in_packets == 6 * min(400, len(captured))


def test_random_bytes():
    rng = random.Random(5)
    engine = Engine(rng)
    engine.open(7).listen(True)
    for _ in range(5000):
        body = rng.randbytes(rng.randrange(4, 60))
        header = packet.HEADER.pack(rng.choice((0, 5000)), rng.choice((0, 7)), rng.choice((0, 1)))
        engine.receive(packet.seal(header, body), ("192.0.2.1", 9899, ""), 0.0)
    for kind in range(256):
        for length in (4, 8, 20, 60):
            body = packet.chunk(kind, rng.randrange(256), rng.randbytes(length - 4))
            engine.receive(packet.pack(5000, 7, 0, [body]), ("192.0.2.1", 9899, ""), 0.0)
            engine.receive(packet.pack(5000, 7, 9, [body]), ("192.0.2.1", 9899, ""), 0.0)
    engine.output(0.0)
    assert not engine.associations
