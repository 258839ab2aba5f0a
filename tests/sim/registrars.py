"""Registrars and pool elements in virtual time: a network of messages with loss, crashes and partitions.

Harsher than SCTP: a lost message is gone, though its association goes on. Order within an association is kept.
Everything follows from the seed.
"""

import heapq
import itertools
import random
from functools import lru_cache
from math import ceil, floor

from rserpool.registrar.actions import ASAP, ENRP, Abort, Multicast, Send, SendTo
from rserpool.registrar.config import RegistrarConfig
from rserpool.registrar.core import Registrar
from rserpool.registrar.state import Host
from rserpool.wire import asap
from rserpool.wire.types import SCTP, Policy, PoolElement, Transport

ASAP_PORT, ENRP_PORT = 3863, 9901


# Elements are told the same again and again.
decode = lru_cache(maxsize=65536)(asap.decode)


class World:
    """Time, the network, and who is on which side of a partition.

    Time goes in ticks (seconds, a power of two); what is due in the same tick happens in the order in which it
    was called for. ``lateness``: registrars look at their timers only at multiples of that many ticks, as on a
    busy host.
    """

    def __init__(self, seed, loss=0.0, tick=1 / 1024, lateness=1):
        self.rng = random.Random(seed)
        self.random = self.rng.random
        self.tick = tick
        self.lateness = lateness
        self.delays = int(0.02 / tick)  # a message takes 1 to so many ticks
        self.slot = 0  # the current tick
        self.now = 0.0
        self.loss = loss
        self.events = {}  # tick -> calls and their arguments
        self.ticks = []  # a heap of the keys of events
        self.dirty = []  # registrars that something has happened to in this tick
        self.side = {}  # node -> side of the partition; everybody else is on side 0
        self.registrars = []
        self.elements = []
        self.by_address = {}
        self.messages = 0

    def at(self, when, call, *arguments):
        self.in_tick(ceil(when / self.tick), call, *arguments)

    def in_tick(self, number, call, *arguments):
        calls = self.events.get(number)
        if calls is None:
            calls = self.events[number] = []
            heapq.heappush(self.ticks, number)
        calls.append((call, arguments))

    def after(self, wait, call, *arguments):
        self.at(self.now + wait, call, *arguments)

    def run(self, until):
        last = floor(until / self.tick)
        while self.ticks and self.ticks[0] <= last:
            self.slot = self.ticks[0]
            self.now = self.slot * self.tick
            calls = self.events[self.slot]
            at = 0
            while at < len(calls) or self.dirty:
                # Who answers sees all that has come in this tick, and may call for more in it.
                for call, arguments in itertools.islice(calls, at, None):
                    at += 1
                    call(*arguments)
                dirty, self.dirty = self.dirty, []
                for node in dirty:
                    node.turn()
            heapq.heappop(self.ticks)
            del self.events[self.slot]
        self.slot = ceil(until / self.tick)
        self.now = until

    def reachable(self, a, b):
        side = self.side
        return a.alive and b.alive and (not side or side.get(a, 0) == side.get(b, 0))

    def partition(self, *sides):
        self.side = {node: number for number, nodes in enumerate(sides) for node in nodes}
        for node in (*self.registrars, *self.elements):
            for association in list(node.associations.values()):
                other = association.other(node)
                if self.side.get(node, 0) != self.side.get(other, 0):
                    self.after(self.rng.uniform(8, 20), association.break_if_cut)

    def heal(self):
        self.side = {}


class Association:
    """Between two (node, endpoint name) ends; identifiers are per world."""

    numbers = itertools.count(1)

    def __init__(self, world, a, a_endpoint, b, b_endpoint):
        self.world = world
        self.id = next(Association.numbers)
        self.ends = {a: a_endpoint, b: b_endpoint}
        self.nodes = (a, b)
        self.up = True
        self.last = {a: 0, b: 0}  # ticks of the latest arrivals
        self.left = None  # who has aborted it while the other could not hear that
        for node in self.nodes:
            node.associations[self.id] = self

    def other(self, node):
        return self.nodes[1] if node is self.nodes[0] else self.nodes[0]

    def send(self, sender, data):
        world = self.world
        a, b = self.nodes
        receiver = b if sender is a else a
        world.messages += 1
        chance = world.random()  # of the loss and, by its lower digits, of the delay
        if chance < world.loss or not self.up or not world.reachable(sender, receiver):
            return
        arrival = world.slot + 1 + int(chance * 1e6) % world.delays
        if arrival < self.last[receiver]:
            arrival = self.last[receiver]
        self.last[receiver] = arrival
        calls = world.events.get(arrival)
        if calls is None:
            world.in_tick(arrival, self.deliver, receiver, data)
        else:
            calls.append((self.deliver, (receiver, data)))

    def deliver(self, receiver, data):
        if self.up and receiver.alive and receiver is not self.left:
            receiver.received(self, data)
        elif receiver is self.left:
            self.end(but=receiver)  # out of the blue: answered by ABORT

    def break_if_cut(self):
        if self.up and not self.world.reachable(*self.nodes):
            self.end()

    def end(self, but=None):
        """The association is over; both living ends but ``but`` hear of it."""
        if not self.up:
            return
        self.up = False
        for node in self.nodes:
            node.associations.pop(self.id, None)
            if node is not but and node.alive:
                self.world.after(0.0, node.lost, self)

    def abort(self, by):
        """``by`` aborts: the other hears of it if it can be reached, else after a while."""
        if not self.up:
            return
        if self.world.reachable(*self.nodes):
            self.end(but=by)
        else:
            other = self.other(by)
            self.left = by
            by.associations.pop(self.id, None)
            if other.alive:
                self.world.after(self.world.rng.uniform(8, 20), self.end, by)


class Node:
    def __init__(self, world, address):
        self.world = world
        self.address = address
        self.alive = True
        self.associations = {}
        world.by_address[address] = self

    def crash(self):
        """The host is gone: others notice when they have retransmitted in vain; or only the process is."""
        self.alive = False
        wait = self.world.rng.choice((0.01, self.world.rng.uniform(8, 20)))
        for association in list(self.associations.values()):
            self.world.after(wait, association.end)
        self.associations = {}


class RegistrarNode(Node):
    def __init__(self, world, address, number, **settings):
        super().__init__(world, address)
        self.number = number
        self.settings = settings
        self.incarnation = 0
        self.dirty = False
        world.registrars.append(self)
        self.start()

    def start(self):
        self.alive = True
        self.incarnation += 1
        self.associations = {}
        self.woken = None
        rng = random.Random(f"{self.world.rng.random()}")
        config = RegistrarConfig(identifier=self.number, enrp_port=ENRP_PORT, **self.settings)
        host = Host((self.address,), ENRP_PORT)
        self.registrar = Registrar(config, host, self.world.now, rng)
        self.turn()

    def touched(self):
        """Something has happened: at the end of the tick the registrar acts."""
        if not self.dirty:
            self.dirty = True
            self.world.dirty.append(self)

    def received(self, association, data):
        receive = self.registrar.receive_asap if association.ends[self] == ASAP else self.registrar.receive_enrp
        receive(association.id, data, self.world.now)
        if not self.dirty:
            self.touched()

    def lost(self, association):
        self.registrar.association_lost(association.ends[self], association.id, self.world.now)
        self.touched()

    def connected(self, association):
        other = association.other(self)
        port = ENRP_PORT if association.ends[self] == ENRP else ASAP_PORT if other.number is not None else 5000
        name = association.ends[self]
        self.registrar.association_up(name, association.id, (other.address,), port, self.world.now)

    def wake(self, incarnation):
        if self.alive and incarnation == self.incarnation:
            self.woken = None
            self.registrar.expire(self.world.now)
            self.touched()

    def turn(self):
        self.dirty = False
        if not self.alive:
            return
        while actions := self.registrar.actions():
            for action in actions:
                self.perform(action)
        deadline = self.registrar.deadline()
        if deadline is None:
            return
        world = self.world
        step = world.lateness
        tick = max(-(-ceil(deadline / world.tick) // step) * step, world.slot)
        if self.woken is None or tick < self.woken:
            self.woken = tick
            world.in_tick(tick, self.wake, self.incarnation)

    def perform(self, action):
        if isinstance(action, Send):
            association = self.associations.get(action.association)
            if association is not None:
                association.send(self, action.data)
        elif isinstance(action, SendTo):
            self.send_to(action)
        elif isinstance(action, Abort):
            association = self.associations.get(action.association)
            if association is not None:
                association.abort(self)
                self.registrar.association_lost(action.endpoint, action.association, self.world.now)
        elif isinstance(action, Multicast) and action.endpoint == ENRP:
            for node in self.world.registrars:
                if (
                    node is not self
                    and self.world.reachable(self, node)
                    and self.world.rng.random() >= self.world.loss
                ):
                    self.world.after(0.001, node.multicast, self.address, action.public)

    def multicast(self, source, data):
        if self.alive:
            self.registrar.receive_multicast(source, data, self.world.now)
            self.touched()

    def send_to(self, action):
        node = self.world.by_address[action.addresses[0]]
        few = min(self.associations, node.associations, key=len)
        for association in [self.associations[i] for i in few if i in self.associations]:
            if association.other(self) is node and association.ends[self] == action.endpoint:
                association.send(self, action.data)
                return
        if self.world.reachable(self, node):
            theirs = ENRP if action.endpoint == ENRP else ASAP
            association = Association(self.world, self, action.endpoint, node, theirs)
            self.connected(association)
            node.connected(association)
            association.send(self, action.data)

    @property
    def space(self):
        return self.registrar.state.handlespace


class ElementNode(Node):
    """A pool element: registers, re-registers, answers keep-alives, looks for another home when it must."""

    number = None

    def __init__(self, world, address, handle, identifier, interval=30.0, policy=Policy(1)):
        super().__init__(world, address)
        self.handle, self.identifier, self.interval = handle, identifier, interval
        transport = Transport(SCTP, 5000, (address,))
        record = PoolElement(identifier, 0, int(interval * 3000), transport, policy)
        self.registration = asap.encode(asap.Registration(handle, record))
        self.acknowledgement = asap.encode(asap.EndpointKeepAliveAck(handle, identifier))
        self.home = None  # the association with the home registrar
        self.waiting = None  # request number that waits for its response
        self.requests = itertools.count()
        self.hunts = 0
        world.elements.append(self)
        world.after(world.rng.uniform(0, 2), self.hunt)

    def hunt(self):
        if not self.alive or self.home is not None:
            return
        self.hunts += 1
        candidates = [r for r in self.world.registrars if self.world.reachable(self, r)]
        if not candidates:
            self.world.after(1.0, self.hunt)
            return
        registrar = self.world.rng.choice(candidates)
        # Between two endpoints there is one association, whoever began.
        known = (a for a in self.associations.values() if a.other(self) is registrar)
        self.home = next(known, None)
        if self.home is None:
            self.home = Association(self.world, self, ASAP, registrar, ASAP)
            registrar.connected(self.home)
        self.register(self.home)

    def register(self, home):
        if not self.alive or self.home is not home:
            return
        self.waiting = next(self.requests)
        home.send(self, self.registration)
        self.world.after(3.0, self.timeout, home, self.waiting)

    def timeout(self, home, request):
        if self.alive and self.home is home and self.waiting == request:
            self.leave()
            self.world.after(0.1, self.hunt)

    def leave(self):
        home, self.home, self.waiting = self.home, None, None
        home.abort(self)

    def lost(self, association):
        if association is self.home:
            self.home = None
            self.world.after(self.world.rng.uniform(0.1, 0.5), self.hunt)

    def connected(self, association):
        pass

    def received(self, association, data):
        message = decode(data)
        if isinstance(message, asap.RegistrationResponse):
            if association is self.home:
                self.waiting = None
                self.world.after(self.interval * self.world.rng.uniform(0.9, 1.1), self.register, association)
        elif isinstance(message, asap.EndpointKeepAlive):
            if (message.handle, message.identifier) != (self.handle, self.identifier):
                raise RuntimeError(f"{self.address} is asked for {message}")
            if association is not self.home:
                if not message.home:
                    return
                if self.home is not None:
                    self.leave()
                self.home = association
                self.world.after(self.interval * self.world.rng.random(), self.register, association)
            association.send(self, self.acknowledgement)

    def stop(self):
        """Deregister and go."""
        if self.home is not None:
            self.home.send(self, asap.encode(asap.Deregistration(self.handle, self.identifier)))
            self.world.after(0.5, self.crash)
        else:
            self.crash()


def difference(world):
    """What is wrong after a quiet period: a list of sentences, empty if all registrars agree with reality."""
    wrong = []
    living = {(e.handle, e.identifier): e for e in world.elements if e.alive}
    registrars = [r for r in world.registrars if r.alive]
    for node in registrars:
        node.space.verify()
        held = {(e.handle, e.identifier): e for e in node.space.walk()}
        wrong += [f"{node.number}: lost {key}" for key in living.keys() - held.keys()]
        wrong += [f"{node.number}: keeps dead {key}" for key in held.keys() - living.keys()]
        for key, element in held.items():
            if key in living:
                home = living[key].home
                actual = home.other(living[key]).number if home is not None else None
                if element.home != actual:
                    wrong.append(f"{node.number}: {key} belongs to {element.home}, lives at {actual}")
    for home in (r.number for r in registrars):
        checksums = {r.space.checksum(home) for r in registrars}
        if len(checksums) > 1:
            wrong.append(f"checksums of {home} differ: {checksums}")
    return wrong
