"""Setting up: the normal way, every lost packet, collisions and restart by the table of RFC 9260 section 5.2.4."""

import errno
import itertools
import random

import pytest

from pysctplib.carrier.memory import nth_chunk
from pysctplib.core import events, setup
from pysctplib.core.config import Config
from pysctplib.core.engine import Engine
from pysctplib.core.states import TRANSITIONS, State
from pysctplib.wire import causes, chunks, packet, params
from tests.sim.world import PORT, World


def test_four_packets_and_no_state_before_the_cookie():
    world = World()
    a = world.start()
    world.net.step()
    assert world.sent("10.0.0.1", chunks.INIT)
    assert not world.b.associations
    assert world.run(lambda: world.seen(world.a, events.CommunicationUp))
    kinds = [kind for kind, _, _ in world.sent()]
    assert kinds == [chunks.INIT, chunks.INIT_ACK, chunks.COOKIE_ECHO, chunks.COOKIE_ACK]
    (b,) = world.server.associations.values()
    assert (a.local_tag, a.peer_tag) == (b.peer_tag, b.local_tag)
    assert (a.peer_port, b.peer_port) == (PORT, 5000)
    assert world.of(world.b, events.CommunicationUp)[0].incoming
    assert not world.of(world.a, events.CommunicationUp)[0].incoming


def test_an_init_costs_no_state():
    world = World()
    for _ in range(50):
        world.client.connect(["10.0.0.2"], PORT, 0.0).abort(0.0)
        world.net.flush(world.host_a)
    world.net.run(lambda: False, 0.5)
    assert not world.b.associations
    assert not world.b.by_tag and not world.b.by_header
    assert world.b.deadline() is None


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("kind", [chunks.INIT, chunks.INIT_ACK, chunks.COOKIE_ECHO, chunks.COOKIE_ACK])
def test_each_set_up_chunk_may_get_lost(kind, count):
    world = World()
    world.net.drop(nth_chunk(kind, *range(1, count + 1)))
    a = world.start()
    a.send(b"early", 0, 0.0)
    assert world.run(lambda: world.seen(world.b, events.Message) and world.seen(world.a, events.CommunicationUp))
    assert [m.data for m in world.of(world.b, events.Message)] == [b"early"]
    assert len(world.of(world.b, events.CommunicationUp)) == 1
    assert world.net.now == pytest.approx(2**count - 1, abs=0.5)  # RTO.Initial, doubled


@pytest.mark.parametrize("kind", [chunks.INIT, chunks.INIT_ACK, chunks.COOKIE_ECHO, chunks.COOKIE_ACK])
def test_each_set_up_chunk_may_come_twice(kind):
    world = World()
    a, b = world.establish()
    tags = a.local_tag, a.peer_tag
    for _, source, target, data in list(world.packets):
        if data[12] == kind:
            engine = world.a if target == "10.0.0.1" else world.b
            engine.receive(data, (source, 9899, ""), world.net.now)
    world.run(seconds=1.0)
    assert (a.local_tag, a.peer_tag) == tags
    assert a.state is b.state is State.ESTABLISHED
    assert len(world.of(world.a, events.CommunicationUp)) == len(world.of(world.b, events.CommunicationUp)) == 1
    a.send(b"still there", 0, world.net.now)
    assert world.run(lambda: world.seen(world.b, events.Message))


def test_data_goes_with_the_cookie_echo():
    world = World()
    a = world.start()
    a.send(b"x" * 100, 3, 0.0)
    assert world.run(lambda: world.seen(world.b, events.Message))
    (bundle,) = [data for _, _, _, data in world.packets if data[12] == chunks.COOKIE_ECHO]
    assert [kind for kind, _, _ in packet.walk(bundle)] == [chunks.COOKIE_ECHO, chunks.DATA]


@pytest.mark.parametrize("listening", [True, False])
def test_simultaneous_open_gives_one_association(listening):
    world = World()
    world.client.listen(listening)
    world.server.listen(listening)
    a = world.client.connect(["10.0.0.2"], PORT, 0.0)
    b = world.server.connect(["10.0.0.1"], 5000, 0.0)
    a.send(b"to b", 0, 0.0)
    b.send(b"to a", 0, 0.0)
    assert world.run(lambda: world.seen(world.a, events.Message) and world.seen(world.b, events.Message), 30)
    world.run(seconds=5)
    for engine in (world.a, world.b):
        assert len(engine.associations) == len(world.of(engine, events.CommunicationUp)) == 1
        assert len(world.of(engine, events.Message)) == 1
    assert a.state is b.state is State.ESTABLISHED
    assert (a.local_tag, a.peer_tag) == (b.peer_tag, b.local_tag)


@pytest.mark.parametrize("seed", range(30))
def test_simultaneous_open_with_loss(seed):
    world = World(seed)
    world.net.link.loss, world.net.link.jitter = 0.3, 0.02
    a = world.client.connect(["10.0.0.2"], PORT, 0.0)
    b = world.server.connect(["10.0.0.1"], 5000, 0.0)
    a.send(b"to b", 0, 0.0)
    b.send(b"to a", 0, 0.0)
    assert world.run(lambda: world.seen(world.a, events.Message) and world.seen(world.b, events.Message), 500)
    assert (a.local_tag, a.peer_tag) == (b.peer_tag, b.local_tag)


# Table 12 of section 5.2.4

EXPECTED = {
    ("X", "X", "M", "M"): "A",
    ("X", "M", "0", "0"): "C",
    **{("M", "X", *ties): "B" for ties in itertools.product("MX0", repeat=2)},
    **{("M", "0", *ties): "B" for ties in itertools.product("MX0", repeat=2)},
    **{("M", "M", *ties): "D" for ties in itertools.product("MX0", repeat=2)},
}


@pytest.mark.parametrize("row", list(itertools.product("MX", "MX0", "MX0", "MX0")), ids="".join)
def test_classification_of_cookies(row):
    class Ends:
        local_tag, peer_tag, ties = 1, 2, (3, 4)
        local_tie = peer_tie = 0

    a, cookie = Ends(), Ends()
    cookie.local_tag = 1 if row[0] == "M" else 11
    cookie.peer_tag = 2 if row[1] == "M" else 12
    if row[1] == "0":
        a.peer_tag = 0
    cookie.local_tie = {"M": 3, "X": 13, "0": 0}[row[2]]
    cookie.peer_tie = {"M": 4, "X": 14, "0": 0}[row[3]]
    assert setup.classify(a, cookie) == EXPECTED.get(row)


def restarted(world, addresses=None):
    """Replace the client engine by a new one at the same addresses and port, as after a crash."""
    world.net.remove(world.host_a)
    host = addresses or world.host_a.addresses
    world.a = Engine(random.Random(99), local_addresses=lambda peer: host)
    world.log[world.a] = []
    world.host_a = world.net.host(world.a, host)
    world.client = world.a.open(5000)
    return world.start()


def test_restart_keeps_the_association_and_tells_the_user():
    world = World()
    _, b = world.establish()
    b.send(b"lost in the restart", 0, world.net.now)
    a = restarted(world)
    a.send(b"after", 0, world.net.now)
    assert world.run(lambda: world.seen(world.b, events.Message))
    assert list(world.b.associations.values()) == [b]
    assert len(world.of(world.b, events.Restarted)) == 1
    assert world.of(world.b, events.Message)[0].data == b"after"
    assert [e.data for e in world.of(world.b, events.SendFailed)] == [b"lost in the restart"]
    assert world.of(world.a, events.Message) == []
    b.send(b"back", 0, world.net.now)
    assert world.run(lambda: world.seen(world.a, events.Message))
    assert (a.local_tag, a.peer_tag) == (b.peer_tag, b.local_tag)


def test_restart_with_a_new_address_is_refused():
    world = World()
    _, b = world.establish()
    restarted(world, ("10.0.0.1", "10.0.1.1"))
    assert world.run(lambda: world.seen(world.a, events.CannotStart))
    event = world.of(world.a, events.CannotStart)[0]
    assert (event.error, event.cause) == (errno.ECONNREFUSED, causes.RESTART_NEW_ADDRESSES)
    assert params.decode(event.info) == [params.encode_address("10.0.1.1")]
    assert b.state is State.ESTABLISHED


def test_nobody_listens():
    world = World()
    world.server.listen(False)
    world.start()
    assert world.run(lambda: world.seen(world.a, events.CannotStart))
    assert world.of(world.a, events.CannotStart)[0].error == errno.ECONNREFUSED
    assert world.net.now < 0.1
    world.idle()


def test_nobody_there():
    world = World(config=Config(max_init_retransmits=3))
    world.net.remove(world.host_b)
    world.start()
    assert world.run(lambda: world.seen(world.a, events.CannotStart))
    assert world.of(world.a, events.CannotStart)[0].error == errno.ETIMEDOUT
    assert len(world.sent("10.0.0.1", chunks.INIT)) == 4
    assert world.net.now == pytest.approx(15)
    world.idle()


def test_connecting_twice_is_refused():
    world = World()
    world.start()
    with pytest.raises(OSError) as caught:
        world.start()
    assert caught.value.errno == errno.EISCONN


def test_streams_are_negotiated_down_and_messages_beyond_come_back():
    world = World(
        config=Config(outbound_streams=20, max_inbound_streams=5),
        server_config=Config(outbound_streams=10, max_inbound_streams=8),
    )
    a = world.start()
    a.send(b"bad", 15, 0.0)
    a.send(b"good", 7, 0.0)
    assert world.run(lambda: world.seen(world.b, events.Message))
    assert world.run(lambda: world.seen(world.a, events.CommunicationUp))
    up = world.of(world.a, events.CommunicationUp)[0]
    assert (up.outbound_streams, up.inbound_streams) == (8, 5)
    assert [(e.data, e.error) for e in world.of(world.a, events.SendFailed)] == [(b"bad", errno.EINVAL)]
    with pytest.raises(OSError):
        a.send(b"bad", 8, world.net.now)


def test_a_stale_cookie_is_renewed_with_a_preservative():
    world = World(server_config=Config(valid_cookie_life=0.5))
    held = []

    def hold(data):
        if data[12] == chunks.COOKIE_ECHO and not held:
            held.append(data)
            return True
        return False

    world.net.drop(hold)
    world.start()
    assert world.run(lambda: bool(held))
    world.b.receive(held[0], ("10.0.0.1", 9899, ""), 2.0)  # 1.5 s too late
    ((error, _),) = world.b.output(2.0)
    ((kind, _, value),) = packet.walk(error)
    ((cause, info),) = causes.decode(value)
    assert (kind, cause) == (chunks.ERROR, causes.STALE_COOKIE)
    assert int.from_bytes(info, "big") == pytest.approx(1.5e6, rel=0.05)
    world.a.receive(error, ("10.0.0.2", 9899, ""), 0.03)
    assert world.run(lambda: world.seen(world.a, events.CommunicationUp), 10)
    second = chunks.decode(*world.sent("10.0.0.1", chunks.INIT)[-1])
    extension = dict(second.parameters)[params.COOKIE_PRESERVATIVE]
    assert 1000 <= int.from_bytes(extension, "big") <= 1100


# INIT chunks of other implementations, and bad ones


def answer_to(init, engine=None, tag=0, source="10.9.9.9"):
    """Return the chunks that a listening engine answers to an INIT, with their verification tag."""
    if engine is None:
        engine = Engine(random.Random(3))
        engine.open(PORT).listen(True)
    engine.receive(packet.pack(5000, PORT, tag, [chunks.encode(init)]), (source, 9899, ""), 0.0)
    out = engine.output(0.0)
    assert len(out) <= 1
    if not out:
        return None, [], engine
    return packet.HEADER.unpack_from(out[0][0])[2], [chunks.decode(*c) for c in packet.walk(out[0][0])], engine


def good_init(*parameters, **values):
    fields = {
        "tag": 77,
        "a_rwnd": 65535,
        "outbound_streams": 10,
        "inbound_streams": 10,
        "initial_tsn": 1,
        **values,
    }
    return chunks.Init(**fields, parameters=list(parameters))


@pytest.mark.parametrize(
    "values", [{"outbound_streams": 0}, {"inbound_streams": 0}, {"a_rwnd": 1499}], ids=lambda v: next(iter(v))
)
def test_unusable_values_are_refused_with_the_senders_tag(values):
    tag, (abort,), _ = answer_to(good_init(**values))
    assert tag == 77
    assert isinstance(abort, chunks.Abort)
    assert not abort.flags & chunks.T_BIT
    assert abort.causes[0][0] == causes.INVALID_PARAMETER


def test_tag_zero_gets_no_answer():
    assert answer_to(good_init(tag=0))[:2] == (None, [])


def test_a_host_name_is_refused():
    _, (abort,), _ = answer_to(good_init((params.HOST_NAME_ADDRESS, b"example.org\0")))
    assert abort.causes[0][0] == causes.UNRESOLVABLE_ADDRESS


@pytest.mark.parametrize(
    ("kind", "reported", "goes_on"),
    [(0x3FF0, False, False), (0x7FF0, True, False), (0xBFF0, False, True), (0xFFF0, True, True)],
)
def test_the_high_bits_of_unknown_parameters(kind, reported, goes_on):
    later = (params.IPV4_ADDRESS, bytes((10, 9, 9, 8)))
    _, (ack,), engine = answer_to(good_init((kind, b"abc"), later))
    assert isinstance(ack, chunks.Init)
    found = [value for k, value in ack.parameters if k == params.UNRECOGNIZED_PARAMETER]
    assert found == ([params.encode([(kind, b"abc")])] if reported else [])
    cookie = engine.jar.open(dict(ack.parameters)[params.STATE_COOKIE])
    assert cookie.addresses == (["10.9.9.9", "10.9.9.8"] if goes_on else ["10.9.9.9"])


def test_addresses_that_cannot_be_the_peers_are_ignored():
    listed = ["127.0.0.1", "224.0.0.1", "0.0.0.0", "::1", "fe80::1", "ff02::1", "255.255.255.255", "10.9.9.5"]
    engine = Engine(random.Random(3), local_addresses=lambda peer: ["10.0.0.5", "2001:db8::9"])
    engine.open(PORT).listen(True)
    _, (ack,), _ = answer_to(good_init(*map(params.encode_address, listed)), engine)
    cookie = engine.jar.open(dict(ack.parameters)[params.STATE_COOKIE])
    assert cookie.addresses == ["10.9.9.9", "10.9.9.5"]


@pytest.mark.parametrize(
    ("own", "used"),
    [
        ((), ["10.9.9.9", "10.9.9.5"]),
        (("10.0.0.5",), ["10.9.9.9", "10.9.9.5"]),
        (("10.0.0.5", "2001:db8::1"), ["10.9.9.9", "10.9.9.5", "2001:db8::5"]),
    ],
)
def test_a_family_in_which_the_peer_knows_no_address_of_ours_is_not_used(own, used):
    """The kernel answered a heartbeat from an IPv6 address that it had not been told with ABORT (section 8.4)."""
    engine = Engine(random.Random(3), local_addresses=lambda peer: own)
    engine.open(PORT).listen(True)
    _, (ack,), _ = answer_to(good_init(*map(params.encode_address, ["10.9.9.5", "2001:db8::5"])), engine)
    cookie = engine.jar.open(dict(ack.parameters)[params.STATE_COOKIE])
    assert cookie.addresses == used


def test_loopback_is_never_announced_to_others():
    engine = Engine(random.Random(3), local_addresses=lambda peer: ["127.0.0.1", "10.0.0.5", "10.0.1.5"])
    engine.open(PORT).listen(True)
    _, (ack,), _ = answer_to(good_init(), engine)
    listed = [params.decode_address(k, v) for k, v in ack.parameters if k == params.IPV4_ADDRESS]
    assert listed == ["10.0.0.5", "10.0.1.5"]


def test_an_init_must_be_alone_and_without_a_tag():
    engine = Engine(random.Random(3))
    engine.open(PORT).listen(True)
    init = chunks.encode(good_init())
    cookie_ack = packet.chunk(chunks.COOKIE_ACK, 0, b"")
    for tag, body in ((5, [init]), (0, [init, cookie_ack]), (0, [cookie_ack])):
        engine.receive(packet.pack(5000, PORT, tag, body), ("10.9.9.9", 9899, ""), 0.0)
    assert engine.output(0.0) == []
    assert sum(engine.counters.dropped.values()) == 3


def test_unknown_parameters_of_an_init_ack_are_reported_with_the_cookie_echo():
    engine = Engine(random.Random(3))
    a = engine.open(5000).connect(["10.0.0.2"], PORT, 0.0)
    engine.output(0.0)
    ack = good_init((params.STATE_COOKIE, b"biscuit"), (0xFFF0, b"xyz!"))
    ack.ack = True
    engine.receive(packet.pack(PORT, 5000, a.local_tag, [chunks.encode(ack)]), ("10.0.0.2", 9899, ""), 0.0)
    ((data, _),) = engine.output(0.0)
    echo, error = [chunks.decode(*c) for c in packet.walk(data)]
    assert echo == chunks.CookieEcho(b"biscuit")
    assert error.causes == [(causes.UNRECOGNIZED_PARAMETERS, params.encode([(0xFFF0, b"xyz!")]))]


def test_an_init_ack_without_a_cookie_is_aborted():
    engine = Engine(random.Random(3))
    a = engine.open(5000).connect(["10.0.0.2"], PORT, 0.0)
    engine.output(0.0)
    ack = good_init()
    ack.ack = True
    engine.receive(packet.pack(PORT, 5000, a.local_tag, [chunks.encode(ack)]), ("10.0.0.2", 9899, ""), 0.0)
    ((data, _),) = engine.output(0.0)
    (abort,) = [chunks.decode(*c) for c in packet.walk(data)]
    assert abort.causes == [causes.missing_parameters([params.STATE_COOKIE])]
    assert [type(e) for e in engine.events()] == [events.CannotStart]


@pytest.mark.parametrize("change", ["tag", "port", "signature", "address"])
def test_a_cookie_that_was_tampered_with_leaves_no_trace(change):
    world = World()
    world.net.drop(nth_chunk(chunks.COOKIE_ECHO, 1))
    world.start()
    assert world.run(lambda: bool(world.sent("10.0.0.1", chunks.COOKIE_ECHO)))
    echo = next(data for _, _, _, data in world.packets if data[12] == chunks.COOKIE_ECHO)
    port, _, tag = packet.HEADER.unpack_from(echo)
    ((kind, flags, cookie),) = packet.walk(echo)
    source = "10.0.0.1"
    if change == "tag":
        tag ^= 1
    elif change == "port":
        port += 1
    elif change == "signature":
        cookie = cookie[:40] + bytes([cookie[40] ^ 1]) + cookie[41:]
    else:
        source = "10.6.6.6"
    world.b.receive(packet.pack(port, PORT, tag, [packet.chunk(kind, flags, cookie)]), (source, 9899, ""), 0.1)
    assert not world.b.associations
    assert world.b.output(0.1) == []
    assert sum(world.b.counters.dropped.values()) == 1


def test_the_transition_table_is_closed():
    assert {state for state, _ in TRANSITIONS} == set(State)
    assert set(TRANSITIONS.values()) <= set(State)
