"""Messages whose lifetime ends before their first transmission go back to the user (RFC 9260 section 11.1.5)."""

import errno

from pysctplib.core import events
from pysctplib.core.config import Config
from pysctplib.core.states import State
from tests.sim.world import World


def closed_window():
    """An association with a peer that takes nothing any more."""
    world = World(server_config=Config(receive_buffer=4096))
    world.consume = False
    a, b = world.establish()
    for _ in range(4):
        a.send(bytes(1000), 0, world.net.now)
    world.run(seconds=5)
    assert a.flight.peer_rwnd < 1016
    return world, a, b


def test_regression_a_lifetime_was_taken_and_ignored():
    world, a, b = closed_window()
    now = world.net.now
    a.send(b"short" * 200, 1, now, ppid=7, lifetime=0.5, context=99)
    a.send(b"long" * 200, 1, now, lifetime=1000.0)
    a.send(b"ever" * 200, 1, now)
    world.run(seconds=60)
    (failed,) = world.of(world.a, events.SendFailed)
    assert (failed.data, failed.stream, failed.ppid, failed.context) == (b"short" * 200, 1, 7, 99)
    assert (failed.sent, failed.error) == (False, errno.ETIMEDOUT)
    b.consumed(4000, world.net.now)
    world.consume = True
    assert world.run(lambda: a.buffered == 0)
    got = [(m.data, m.ssn) for m in world.of(world.b, events.Message) if m.stream == 1]
    assert got == [(b"long" * 200, 0), (b"ever" * 200, 1)]


def test_a_message_in_time_is_sent():
    world = World()
    a, _ = world.establish()
    a.send(b"x", 0, world.net.now, lifetime=0.5)
    assert world.run(lambda: a.buffered == 0)
    assert world.of(world.a, events.SendFailed) == []
    assert len(world.of(world.b, events.Message)) == 1


def test_a_shutdown_does_not_wait_for_messages_given_up():
    world, a, b = closed_window()
    for _ in range(3):
        a.send(b"late" * 250, 1, world.net.now, lifetime=0.5)
    a.shutdown(world.net.now)
    assert world.run(lambda: world.seen(world.b, events.ShutdownComplete), 400)
    assert a.state is State.CLOSED
    assert len(world.of(world.a, events.SendFailed)) == 3
