"""The registrar's IO shell over userland SCTP and UDP multicast, on loopback, in one process."""

import asyncio
import random
import socket

import pytest
import uvloop

from pysocketapi.aio import Message, Transport, open_endpoint
from rserpool.multicast import Interface
from rserpool.registrar.actions import ASAP, Multicast
from rserpool.registrar.config import RegistrarConfig, StaticPeer, with_profile
from rserpool.registrar.shell import open_registrar
from rserpool.wire import asap
from rserpool.wire.types import SCTP, Policy, PoolElement
from rserpool.wire.types import Transport as Where

PRIVATE = Transport(kind="userland", udp_port=0)
HERE = "127.0.0.1"


def config(identifier=0, port=0, **more):
    more.setdefault("asap_announce", None)
    more.setdefault("enrp_announce", None)
    made = RegistrarConfig(
        identifier=identifier, asap_addresses=(HERE,), enrp_addresses=(HERE,), enrp_port=port, **more
    )
    return with_profile(made, "fast-lab")


async def until(condition, what, seconds=15):
    """Wait for a condition; the deadline is generous, the machine may be busy."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)
    assert condition(), what


class Element:
    """The least that a pool element does."""

    def __init__(self, endpoint, identifier):
        self.endpoint, self.identifier = endpoint, identifier
        self.messages = []
        self.answering = True
        self.task = asyncio.get_running_loop().create_task(self.run())

    async def run(self):
        while True:
            item = await self.endpoint.recv()
            if isinstance(item, Message):
                message = asap.decode(item.data)
                self.messages.append((item.assoc_id, message))
                if isinstance(message, asap.EndpointKeepAlive) and self.answering:
                    ack = asap.EndpointKeepAliveAck(message.handle, self.identifier)
                    await self.endpoint.send(asap.encode(ack), item.assoc_id, ppid=11)

    def seen(self, kind):
        return [message for _, message in self.messages if isinstance(message, kind)]

    async def call(self, registrar, message, ppid=11):
        association = await self.endpoint.connect(
            HERE, registrar.asap.port, remote_udp_port=registrar.asap.endpoint.udp_port, timeout=5
        )
        await self.endpoint.send(asap.encode(message), association, ppid=ppid)
        return association

    def registration(self):
        where = Where(SCTP, self.endpoint.port, (HERE,), True)
        record = PoolElement(self.identifier, 0, 60_000, where, Policy(1), None, self.endpoint.udp_port)
        return asap.Registration(b"Pool", record)


LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def scenario(test):
    """Run a coroutine function with a list to which it adds what is to be closed, on both event loops.

    Regression: uvloop gives timers of the past another class of handles, and the registrar ended.
    """

    @pytest.mark.parametrize("loop", LOOPS)
    def run(loop):
        async def body():
            opened = []
            try:
                await test(opened)
            finally:
                for thing in reversed(opened):
                    if isinstance(thing, Element):
                        thing.task.cancel()
                        await thing.endpoint.close()
                    else:
                        await thing.close()

        with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
            runner.run(body())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


async def registrar(opened, *arguments, **settings):
    made = await open_registrar(config(*arguments, **settings), PRIVATE, rng=random.Random(1))
    opened.append(made)
    return made


async def element(opened, identifier):
    made = Element(await open_endpoint(HERE, 0, transport=PRIVATE), identifier)
    opened.append(made)
    return made


@scenario
async def test_registration_resolution_keepalive_and_loss(opened):
    home = await registrar(opened)
    assert 10000 <= home.asap.port <= 59999 and home.asap.port != home.enrp.port
    one = await element(opened, 7)
    association = await one.call(home, one.registration())
    await until(lambda: one.seen(asap.RegistrationResponse), "registered")
    await one.endpoint.send(asap.encode(asap.HandleResolution(b"Pool")), association, ppid=11)
    await until(lambda: one.seen(asap.HandleResolutionResponse), "resolved")
    (found,) = one.seen(asap.HandleResolutionResponse)[0].elements
    assert found.user_transport.addresses == (HERE,) and found.udp_port == one.endpoint.udp_port
    await until(lambda: len(one.seen(asap.EndpointKeepAlive)) >= 3, "kept alive")
    assert home.registrar.state.handlespace.size == 1
    one.answering = False
    await until(lambda: home.registrar.state.handlespace.size == 0, "removed")


@scenario
async def test_a_wrong_payload_protocol_ends_the_association(opened):
    home = await registrar(opened)
    one = await element(opened, 7)
    await one.call(home, one.registration(), ppid=0)
    await until(lambda: home.registrar.statistics.dropped["payload protocol identifier"] == 1, "dropped")
    assert not home.registrar.state.handlespace.size
    other = await element(opened, 8)
    association = await other.call(home, other.registration(), ppid=12)
    await until(lambda: association not in other.endpoint.associations, "aborted")


@scenario
async def test_static_peers_synchronise_and_the_survivor_takes_over(opened):
    first = await registrar(opened, 0xA)
    one = await element(opened, 7)
    await one.call(first, one.registration())
    await until(lambda: one.seen(asap.RegistrationResponse), "registered")
    peer = StaticPeer((HERE,), first.enrp.port, first.enrp.endpoint.udp_port)
    second = await registrar(opened, 0xB, peers=(peer,))
    space = second.registrar.state.handlespace
    await until(lambda: space.count(0xA) == 1, "synchronised")
    assert space.checksum(0xA) == first.registrar.state.handlespace.checksum(0xA)
    await first.close()
    await until(lambda: space.count(0xB) == 1, "taken over")
    await until(lambda: any(m.home for m in one.seen(asap.EndpointKeepAlive)), "told")
    taken = space.find(b"Pool", 7)
    await until(lambda: taken.connection is not None, "acknowledged")


def multicast_works():
    """Whether this host loops multicast back on loopback."""
    group = "239.0.0.61"
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        receiver.settimeout(1)
        try:
            receiver.bind((group, 0))
            request = socket.inet_aton(group) + socket.inet_aton(HERE)
            receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(HERE))
            sender.sendto(b"x", (group, receiver.getsockname()[1]))
            return receiver.recv(1) == b"x"
        except OSError:
            return False


@scenario
async def test_registrars_find_each_other_by_multicast(opened):
    if not multicast_works():
        pytest.skip("this host has no multicast on loopback")
    # A group of our own: other registrars on this machine are not meant.
    group = ("239.0.0.61", 20000 + random.SystemRandom().randrange(20000))
    first = await registrar(opened, 0xA, enrp_announce=group)
    second = await registrar(opened, 0xB, enrp_announce=group)
    for one, other in ((first, 0xB), (second, 0xA)):
        await until(lambda one=one, other=other: other in one.registrar.state.peers, "met")
        await until(lambda one=one, other=other: one.registrar.state.peers[other].link is not None, "by SCTP")


@scenario
async def test_announces_leave_from_the_port_of_the_endpoint(opened):
    if not multicast_works():
        pytest.skip("this host has no multicast on loopback")
    group = ("239.0.0.62", 20000 + random.SystemRandom().randrange(20000))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.setblocking(False)
        listener.bind(group)
        request = socket.inet_aton(group[0]) + socket.inet_aton(HERE)
        listener.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
        home = await registrar(opened, 0xA, asap_announce=group)
        heard = []

        def hear():
            try:
                heard.append(listener.recvfrom(2048))
            except BlockingIOError:
                pass
            return heard

        await until(hear, "announced")
    data, source = heard[0]
    assert source == (HERE, home.asap.port)
    announce = asap.decode(data)
    assert (announce.registrar, announce.udp_port) == (0xA, home.asap.endpoint.udp_port)


def test_a_taken_port_is_reported():
    async def body():
        first = await open_registrar(config(), PRIVATE)
        try:
            with pytest.raises(OSError):
                await open_registrar(config(port=first.enrp.port), PRIVATE)
        finally:
            await first.close()

    asyncio.run(body())


class Sent:
    """Stands for the announce socket of a host where some interfaces do not let multicast out."""

    def __init__(self, working):
        self.working, self.log = working, []

    def send(self, data, interface):
        if interface.name in self.working:
            self.log.append((interface.name, data))
        return interface.name in self.working

    def close(self):
        pass


@pytest.mark.parametrize(
    "working, expected",
    [
        (("lo", "eth0", "eth1"), [("eth0", b"all"), ("eth1", b"all")]),
        (("lo", "eth1"), [("eth1", b"all")]),
        (("lo",), [("lo", b"here")]),
    ],
)
def test_where_multicast_is_blocked_this_host_still_hears_the_announces(working, expected):
    async def body():
        shell = await open_registrar(config(), PRIVATE)
        try:
            shell.asap.sender, shell.asap.bound = Sent(working), ()
            shell._interfaces = [
                Interface("lo", 1, (HERE,)),
                Interface("eth0", 2, ("10.0.0.1",)),
                Interface("eth1", 3, ("10.0.1.1",)),
            ]
            shell._multicast(shell.asap, Multicast(ASAP, b"here", b"all"))
            return shell.asap.sender.log
        finally:
            await shell.close()

    assert asyncio.run(body()) == expected
