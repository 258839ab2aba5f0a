"""What the tests of the SCTPLIB API share: users that note what they are told, and a peer beside the library."""

from __future__ import annotations

import time
from typing import Any

from pysctplib.core import events
from pysctplib.core.config import Config
from pysctplib.driver import Stack, StackConfig
from pysctplib.sctplib import (
    SCTP_ulpCallbacks,
    sctp_associatex,
    sctp_eventLoop,
    sctp_getAssocDefaults,
    sctp_getInstancePort,
    sctp_getUdpPort,
    sctp_registerInstance,
    sctp_setAssocDefaults,
    sctp_startTimer,
    sctp_stopTimer,
)

LOCAL = "127.0.0.1"


def pump(condition, seconds=10.0, peer=None):
    """Turn the library's loop, and the peer's, until the condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition did not come true"
        if peer is not None:
            peer.turn()
            short_turn()
        else:
            sctp_eventLoop()


def short_turn():
    """One turn that waits a millisecond at most, for the peer's sake."""
    timer = sctp_startTimer(0, 1000, lambda *_: None)
    sctp_eventLoop()
    sctp_stopTimer(timer)


class User:
    """A user of the library with one instance; ``log`` has what the callbacks were told, first their name."""

    def __init__(self, port=0, in_streams=10, out_streams=10, addresses=(LOCAL,), **defaults):
        self.log: list[tuple[Any, ...]] = []
        self.replies: dict[str, Any] = {}  # callback -> what to do when it is called
        names = SCTP_ulpCallbacks.__slots__
        callbacks = SCTP_ulpCallbacks(**{name: self._note(name) for name in names})
        self.instance = sctp_registerInstance(port, in_streams, out_streams, addresses, callbacks)
        assert self.instance > 0, self.instance
        self.port = sctp_getInstancePort(self.instance)
        self.set_defaults(**{"remoteUdpPort": sctp_getUdpPort(), **defaults})

    def _note(self, name):
        def callback(*args):
            self.log.append((name, *args))
            reply = self.replies.get(name)
            if reply is not None:
                return reply(*args)
            return args[-1]

        return callback

    def set_defaults(self, **values):
        _, params = sctp_getAssocDefaults(self.instance)
        for name, value in values.items():
            setattr(params, name, value)
        assert sctp_setAssocDefaults(self.instance, params) == 0

    def connect(self, port, addresses=(LOCAL,), streams=10, ulp_data=None):
        association = sctp_associatex(self.instance, streams, addresses, 1, port, ulp_data)
        assert association > 0
        return association

    def told(self, name, association=None):
        """What a callback was told, each time, without the callback's name."""
        return [entry[1:] for entry in self.log if entry[0] == name and association in (None, entry[1])]


def pair(server=None, client=None):
    """An association between two instances: (server, its association, client, its association)."""
    server = server or User()
    client = client or User()
    there = client.connect(server.port, ulp_data="client")
    pump(lambda: server.told("communicationUpNotif") and client.told("communicationUpNotif"))
    (here,) = (entry[0] for entry in server.told("communicationUpNotif")[-1:])
    return server, here, client, there


class Peer:
    """A peer with its own engine and UDP port that the test drives, or leaves silent."""

    def __init__(self, sctp_port=0, udp_port=0, **config):
        self.stack = Stack(StackConfig(udp_port=udp_port))
        self.endpoint = self.stack.open_endpoint(sctp_port, (LOCAL,), Config(nodelay=True, **config))
        self.endpoint.listen(True)
        self.port = self.endpoint.port
        self.udp_port = self.stack.udp_port
        self.events: list[Any] = []

    def turn(self):
        for fd in self.stack.filenos():
            self.stack.readable(fd)
        deadline = self.stack.deadline()
        if deadline is not None and deadline <= self.stack.now():
            self.stack.expire()
        for event in self.stack.events():
            self.events.append(event)
            if isinstance(event, events.Message):
                event.association.consumed(len(event.data), self.stack.now())
        self.stack.flush()

    def seen(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def association(self):
        return next(iter(self.endpoint.associations.values()))

    def connect(self, port, udp_port):
        association = self.endpoint.connect((LOCAL,), port, self.stack.now(), udp_port=udp_port)
        self.stack.flush()
        return association

    def close(self):
        self.stack.close()
