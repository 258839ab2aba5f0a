"""The simulated network: what it does to packets, its clock, its addresses; engines that really speak over it."""

import random

import pytest

from pysctplib.carrier.memory import Link, Network, chunk_types, nth_chunk
from pysctplib.core import events
from pysctplib.core.engine import Engine

A, B = "10.0.0.1", "10.0.0.2"


class Fake:
    """Sends what it is told to, keeps what it gets with the time, echoes if asked."""

    def __init__(self):
        self.queue, self.got, self.timers, self.expired = [], [], [], []

    def receive(self, data, path, now):
        self.got.append((now, data, path))

    def output(self, now):
        queue, self.queue = self.queue, []
        return queue

    def deadline(self):
        return min(self.timers) if self.timers else None

    def expire(self, now):
        self.expired += [now for t in self.timers if t <= now]
        self.timers = [t for t in self.timers if t > now]


def pair(seed=0, link=None, a=(A,), b=(B,)):
    network, one, two = Network(seed, link), Fake(), Fake()
    network.host(one, a)
    network.host(two, b)
    return network, one, two


def sent(count, size=20):
    return [(2 * n.to_bytes(4, "big") + bytes(size - 8), (B, 9899, "")) for n in range(count)]


def test_a_packet_arrives_after_the_delay_with_both_addresses():
    network, one, two = pair(link=Link(delay=0.25))
    one.queue = [(b"x" * 20, (B, 9899, ""))]
    network.run()
    assert two.got == [(0.25, b"x" * 20, (A, 9899, B))]


def test_the_clock_jumps_to_timers_and_stands_at_the_end():
    network, one, _ = pair()
    one.timers = [7.0, 3.0]
    assert not network.run(seconds=100)
    assert one.expired == [3.0, 7.0]
    assert network.now == 100


@pytest.mark.parametrize(
    "link, counter, delivered",
    [
        (Link(loss=0.3), "lost", range(650, 750)),
        (Link(duplicate=0.3), "duplicated", range(1250, 1350)),
        (Link(corrupt=0.3), "corrupted", range(1000, 1001)),
        (Link(reorder=0.3), "reordered", range(1000, 1001)),
        (Link(mtu=47), "too_big", range(1)),
        (Link(up=False), "lost", range(1)),
        (Link(rate=1000.0, queue=1000), "overflowed", range(50, 53)),
    ],
)
def test_each_impairment(link, counter, delivered):
    network, one, two = pair(1, link)
    one.queue = sent(1000)
    network.run()
    assert getattr(network.counters, counter) > 0
    assert len(two.got) in delivered
    assert network.counters.delivered == len(two.got)
    originals = {data for data, _ in sent(1000)}
    damaged = [data for _, data, _ in two.got if data not in originals]
    assert len(damaged) == network.counters.corrupted
    order = [data for _, data, _ in two.got if data in originals]
    assert (order != sorted(order)) == (link.reorder > 0 or link.duplicate > 0)


def test_a_seed_repeats_a_run_exactly_and_another_does_not():
    def run(seed):
        network, one, two = pair(seed, Link(loss=0.2, jitter=0.1, duplicate=0.1, corrupt=0.1))
        one.queue = sent(200)
        network.run()
        return two.got

    assert run(5) == run(5)
    assert run(5) != run(6)


def test_addresses_of_several_networks_are_used_in_pairs():
    network, one, two = pair(a=(A, "10.1.0.1", "fc00::1"), b=(B, "10.1.0.2", "fc00::2"))
    one.queue = [(b"x" * 20, (address, 9899, "")) for address in (B, "10.1.0.2", "fc00::2")]
    one.queue += [(b"y" * 20, (B, 9899, "10.1.0.1"))]
    network.run()
    keys = [path for _, _, path in two.got]
    assert keys == [
        (A, 9899, B),
        ("10.1.0.1", 9899, "10.1.0.2"),
        ("fc00::1", 9899, "fc00::2"),
        ("10.1.0.1", 9899, B),
    ]


def test_wrong_addresses_and_ports_lead_nowhere():
    network, one, two = pair()
    one.queue = [(b"x" * 20, key) for key in (("10.9.9.9", 9899, ""), (B, 1, ""), (B, 9899, B), ("::1", 9899, ""))]
    network.run()
    assert two.got == []
    assert network.counters.unroutable == 4
    with pytest.raises(ValueError):
        network.host(Fake(), (A,))
    with pytest.raises(ValueError):
        Network(link=Link(loss=1.1))


def test_partition_and_removal():
    network, one, two = pair()
    network.partition((A,), (B,))
    one.queue = sent(3)
    network.run(seconds=1)
    assert two.got == []
    network.partition((A,), (B,), up=True)
    one.queue = sent(3)
    network.run(seconds=1)
    assert len(two.got) == 3
    one.queue = sent(3)
    network.step()
    network.remove(network.hosts[1])
    network.run(seconds=1)
    assert len(two.got) in (3, 6)


def test_the_nth_chunk_of_a_type_is_dropped():
    network, one, two = pair()
    network.drop(nth_chunk(1, 2, 3))
    init = bytes(12) + bytes((1, 0, 0, 4))
    bundled = bytes(12) + bytes((0, 0, 0, 5, 9, 0, 0, 0)) + bytes((1, 0, 0, 4))
    assert chunk_types(bundled) == [0, 1]
    assert chunk_types(bytes(14)) == []
    one.queue = [(data, (B, 9899, "")) for data in (init, bundled, init, bundled)]
    network.run()
    assert [data for _, data, _ in two.got] == [init, bundled]
    assert network.counters.filtered == 2


def test_the_tap_sees_every_packet():
    network, one, _ = pair(link=Link(loss=1.0))
    seen = []
    network.tap = lambda *packet: seen.append(packet)
    one.queue = sent(1)
    network.run()
    assert seen == [(0.0, (A, 9899, ""), (B, 9899, ""), sent(1)[0][0])]


@pytest.mark.parametrize("seed", range(3))
def test_real_engines_deliver_exactly_once_in_order_over_a_bad_network(seed):
    network = Network(seed, Link(loss=0.1, jitter=0.005, duplicate=0.05, corrupt=0.05, reorder=0.05, mtu=1500))
    engines = [Engine(rng=random.Random(f"{seed}{n}")) for n in range(2)]
    hosts = [network.host(engine, addresses) for engine, addresses in zip(engines, ((A,), (B,)))]
    server = engines[1].open(7)
    server.listen(True)
    client = engines[0].open(5000).connect((B,), 7, network.now)
    rng = random.Random(seed)
    messages = [rng.randbytes(rng.randrange(1, 4000)) for _ in range(100)]
    waiting, parts, got, ended = list(messages), [], [], []

    def each():
        for event in engines[0].events():
            if isinstance(event, events.ShutdownComplete):
                ended.append(event)
        for event in engines[1].events():
            if isinstance(event, events.Message):
                parts.append(event.data)
                event.association.consumed(len(event.data), network.now)
                if event.eor:
                    got.append(b"".join(parts))
                    parts.clear()
        while waiting and client.buffered < 30000:
            client.send(waiting.pop(0), 0, network.now)
            if not waiting:
                client.shutdown(network.now)

    assert network.run(lambda: bool(ended), each=each)
    assert got == messages
    assert len(hosts) == 2
