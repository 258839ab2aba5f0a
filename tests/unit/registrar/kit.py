"""A registrar under test: associations by name, messages in and out as objects."""

import random

from rserpool.registrar.actions import ASAP, ENRP, Abort, Multicast, Send, SendTo
from rserpool.registrar.config import RegistrarConfig
from rserpool.registrar.core import Registrar
from rserpool.registrar.state import Host
from rserpool.wire import asap, enrp
from rserpool.wire.types import SCTP, Policy, PoolElement, ServerInformation, Transport

OWN = 0x100
HOST = ("10.0.0.1", "127.0.0.1")


def element(identifier, address="10.0.0.9", policy=Policy(1), home=0, life=90_000, asap_transport=False):
    addresses = (address,) if isinstance(address, str) else address
    return PoolElement(
        identifier,
        home,
        life,
        Transport(SCTP, 5000, addresses, True),
        policy,
        Transport(SCTP, 6000, addresses) if asap_transport else None,
    )


def information(identifier, address="10.0.0.2", port=9901):
    return ServerInformation(identifier, Transport(SCTP, port, (address,)))


class Kit:
    def __init__(self, **settings):
        self.now = 0.0
        settings.setdefault("identifier", OWN)
        config = RegistrarConfig(verify=True, **settings)
        self.registrar = Registrar(config, Host(HOST, 20000), self.now, random.Random(1))
        self.log = []
        self.collect()

    @property
    def space(self):
        return self.registrar.state.handlespace

    @property
    def peers(self):
        return self.registrar.state.peers

    def collect(self):
        self.log += self.registrar.actions()

    def up(self, association, endpoint=ASAP, address="10.0.0.9", port=6000):
        addresses = (address,) if isinstance(address, str) else address
        self.registrar.association_up(endpoint, association, addresses, port, self.now)

    def asap(self, association, message):
        data = message if isinstance(message, bytes) else asap.encode(message)
        self.registrar.receive_asap(association, data, self.now)
        self.collect()

    def enrp(self, association, message):
        data = message if isinstance(message, bytes) else enrp.encode(message)
        self.registrar.receive_enrp(association, data, self.now)
        self.collect()

    def multicast(self, source, message):
        self.registrar.receive_multicast(source, enrp.encode(message), self.now)
        self.collect()

    def lost(self, association, endpoint=ASAP):
        self.registrar.association_lost(endpoint, association, self.now)
        self.collect()

    def run(self, seconds):
        """Let time pass, timer by timer."""
        end = self.now + seconds
        while (deadline := self.registrar.deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.registrar.expire(self.now)
            self.collect()
        self.now = end

    def sent(self, kind=None, to=None):
        """Drain the log: (whereto, message) of all sent, of one message class, to one association or addresses."""
        found, rest = [], []
        for action in self.log:
            where = self.where(action)
            message = None
            if not isinstance(action, Abort):
                data = action.data
                message = (asap if action.endpoint == ASAP else enrp).decode(data)
            if (kind is None or isinstance(message, kind)) and (to is None or where == to):
                found.append((where, message))
            else:
                rest.append(action)
        self.log = rest
        return found

    @staticmethod
    def where(action):
        if isinstance(action, Send):
            return action.association
        if isinstance(action, SendTo):
            return action.addresses[0]
        return "abort" if isinstance(action, Abort) else "group" if isinstance(action, Multicast) else None

    def aborted(self):
        found = [a.association for a in self.log if isinstance(a, Abort)]
        self.log = [a for a in self.log if not isinstance(a, Abort)]
        return found

    def one(self, kind, to=None):
        found = self.sent(kind, to)
        assert len(found) == 1, found
        return found[0][1]

    def register(self, association, handle, identifier, **more):
        """Register over an association that is up; the response."""
        self.asap(association, asap.Registration(handle, element(identifier, **more)))
        return self.one(asap.RegistrationResponse, association)

    def resolve(self, association, handle, items=None):
        self.asap(association, asap.HandleResolution(handle, items))
        response = self.one(asap.HandleResolutionResponse, association)
        return [e.identifier for e in response.elements] if response.elements else response

    def meet(self, identifier, association=50, address="10.0.0.2", port=9901, checksum=0xFFFF, reply=False):
        """A peer says that it is there, by SCTP."""
        if (ENRP, association) not in self.registrar.state.links:
            self.up(association, ENRP, address, port)
        self.enrp(
            association, enrp.Presence(identifier, OWN, checksum, information(identifier, address, port), reply)
        )
