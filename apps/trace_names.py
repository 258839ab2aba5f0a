"""Who is who in a capture: endpoints get names from the messages that they send and receive.

A component (registrar, pool element, pool user, monitor) may have several endpoints: a registrar has one for each
protocol, a pool element one for its service and one towards its registrar. Messages tell which belong together;
that a pool user's session and its question to the registrar come from one component is concluded (`PoolUsers`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pysctplib.trace.associations import End
from rserpool.explain.values import host_port, identifier, text_of
from rserpool.services import calcapp, fractal, pingpong, scripting
from rserpool.wire import asap, csp, enrp
from rserpool.wire.types import SCTP, PoolElement, Transport

UDP_DEFAULT = 9899
REGISTRAR, ELEMENT, USER, MONITOR, UNKNOWN = "PR", "PE", "PU", "CM", "EP"  # what lanes are called
ROLES = {
    REGISTRAR: "registrar",
    ELEMENT: "pool element",
    USER: "pool user",
    MONITOR: "monitor",
    UNKNOWN: "endpoint",
}


@dataclass(slots=True, eq=False)
class Component:
    """One who takes part. ``same``: it turned out to be that other one."""

    role: str = UNKNOWN
    identifier: int | None = None
    pools: dict[bytes, None] = field(default_factory=dict)
    ends: list[End] = field(default_factory=list)
    sessions: set[int] = field(default_factory=set)  # a pool user's: identifiers of the elements
    same: Component | None = None

    @property
    def name(self) -> str:
        """Its role and identifier, or where it is."""
        who = ROLES[self.role]
        if self.identifier is not None:
            return f"{who} {identifier(self.identifier)}"
        return f"{who} at {self.place}"

    @property
    def place(self) -> str:
        """Its addresses and ports."""
        shown = [host_port(host, port) + (f"/{udp}" if udp not in (0, UDP_DEFAULT, port) else "")
                 for host, udp, port in self.ends[:2]]  # fmt: skip
        return " ".join(dict.fromkeys(shown)) + (" ..." if len(self.ends) > 2 else "")

    @property
    def detail(self) -> str:
        """Name, pools and place, for a legend."""
        pools = ", ".join(f'"{text_of(p)}"' for p in self.pools)
        return (
            self.name
            + (f" of {pools}" if pools else "")
            + (f" at {self.place}" if self.identifier is not None and self.ends else "")
        )


def real(component: Component) -> Component:
    """Who a component turned out to be."""
    while component.same is not None:
        component = component.same
    return component


class Names:
    """All components, by their endpoints and identifiers."""

    def __init__(self) -> None:
        self.components: list[Component] = []
        self._by_end: dict[End, Component] = {}
        self._by_id: dict[tuple[str, int], Component] = {}
        self._on_loopback: dict[int, Component] = {}  # port announced there -> registrar

    def at(self, end: End) -> Component:
        """The component at an endpoint."""
        found = self._by_end.get(end)
        if found is None:
            found = self._new(end)
        return real(found)

    def at_home(self, end: End) -> None:
        """An endpoint talks to another one of its own host: what was announced on loopback is this one, too."""
        announced = self._on_loopback.get(end[2])
        if announced is not None and end not in self._by_end:
            self._by_end[end] = announced
            real(announced).ends.append(end)

    def known(self, role: str, number: int) -> Component:
        """The component with an identifier, even if it was not heard of yet."""
        found = self._by_id.get((role, number))
        if found is None:
            found = self._by_id[(role, number)] = Component(role, number)
            self.components.append(found)
        return real(found)

    def _new(self, *ends: End) -> Component:
        component = Component(ends=list(ends))
        self.components.append(component)
        self._by_end.update(dict.fromkeys(ends, component))
        return component

    def alias(self, end: End, other: End) -> None:
        """Two addresses are of one endpoint."""
        if other not in self._by_end:
            self._by_end[other] = self.at(end)

    def call(self, end: End, role: str, number: int | None = None) -> Component:
        """Say who is at an endpoint. Another one who was there before stays what it was, for what was before."""
        here = self.at(end)
        if number is None:
            if here.role == UNKNOWN:
                here.role = role
            return here
        there = self.known(role, number)
        if here is there:
            return here
        if here.role not in (UNKNOWN, role) or here.identifier not in (None, number):
            # A new component at an old address, e.g. a server that was started again.
            here = self._new(end)
        return self._merge(here, there)

    def _merge(self, old: Component, into: Component) -> Component:
        into.ends += [end for end in old.ends if end not in into.ends]
        into.pools.update(old.pools)
        into.sessions |= old.sessions
        old.same = into
        self.components.remove(old)
        return into

    def join(self, one: Component, other: Component) -> Component:
        """Two components without identifiers are one."""
        one, other = real(one), real(other)
        if one is other or other.identifier is not None:
            return one
        return self._merge(other, one)

    def _reached_at(self, component: Component, transport: Transport, udp_port: int | None) -> None:
        for address in transport.addresses:
            for udp in dict.fromkeys((0, udp_port or UDP_DEFAULT)):
                end = (address, udp, transport.port)
                if end in self._by_end:
                    self.call(end, component.role, component.identifier)
                else:
                    self._by_end[end] = component
                    if udp == 0:
                        continue
                    if end not in component.ends and not component.ends:
                        component.ends.append(end)

    def element(self, handle: bytes, element: PoolElement, udp_port: int | None = None) -> Component:
        """A message tells of a pool element."""
        component = self.known(ELEMENT, element.identifier)
        component.pools[handle] = None
        self._reached_at(component, element.user_transport, element.udp_port or udp_port)
        return component

    def learn(self, source: End, destination: End | None, message: Any) -> None:
        """Take from a message who its sender and receiver are, and who else there is."""
        if isinstance(message, _BY_ELEMENT):
            self._from_element(source, destination, message)
        elif isinstance(message, (asap.HandleResolution, asap.EndpointUnreachable)):
            self.call(source, USER)
            if destination is not None:
                self.call(destination, REGISTRAR)
        elif isinstance(message, asap.HandleResolutionResponse):
            self.call(source, REGISTRAR)
            for element in message.elements:
                self.element(message.handle, element)
        elif isinstance(message, (asap.RegistrationResponse, asap.DeregistrationResponse)):
            self.call(source, REGISTRAR)
            if destination is not None:
                self.call(destination, ELEMENT, message.identifier).pools[message.handle] = None
        elif isinstance(message, asap.EndpointKeepAlive):
            self.call(source, REGISTRAR, message.registrar)
        elif isinstance(message, asap.ServerAnnounce):
            registrar = self.call(source, REGISTRAR, message.registrar)
            if is_loopback(source[0]):
                self._on_loopback[source[2]] = registrar
            # Without transports it is reached by SCTP where the announce comes from (section 3.6).
            for transport in message.transports or (Transport(SCTP, source[2], (source[0],)),):
                self._reached_at(registrar, transport, message.udp_port)
        elif isinstance(message, (asap.Cookie, pingpong.Pong, scripting.Ready, scripting.NotReady)):
            self._session(destination, source)
        elif isinstance(message, (asap.CookieEcho, pingpong.Ping, fractal.Parameter)) or (
            isinstance(message, calcapp.Message) and message.type == calcapp.REQUEST
        ):
            self._session(source, destination)
        elif isinstance(message, enrp.Message):
            self._from_registrar(source, destination, message)

    def _session(self, user: End | None, element: End | None) -> None:
        if user is not None and self.at(user).role == UNKNOWN:
            self.call(user, USER)
        if element is not None and self.at(element).role == UNKNOWN:
            self.call(element, ELEMENT)

    def _from_element(self, source: End, destination: End | None, message: Any) -> None:
        if isinstance(message, asap.Registration):
            component = self.element(message.handle, message.element, source[1] or None)
            self.call(source, ELEMENT, component.identifier)
        else:
            self.call(source, ELEMENT, message.identifier).pools[message.handle] = None
        if destination is not None:
            self.call(destination, REGISTRAR)

    def _from_registrar(self, source: End, destination: End | None, message: Any) -> None:
        self.call(source, REGISTRAR, message.sender)
        if destination is not None:
            self.call(destination, REGISTRAR, message.receiver or None)
        if isinstance(message, enrp.Presence):
            information = [message.information]
        elif isinstance(message, enrp.ListResponse):
            information = list(message.servers)
        else:
            information = []
        for server in information:
            self._reached_at(self.known(REGISTRAR, server.identifier), server.transport, server.udp_port)
        if isinstance(message, enrp.HandleTableResponse):
            for handle, element in message.entries:
                self.element(handle, element)
        elif isinstance(message, enrp.HandleUpdate):
            self.element(message.handle, message.element)

    def reporter(self, number: int) -> Component:
        """The component that reports to a monitor."""
        group = csp.group_of(number)
        role = {csp.REGISTRAR: REGISTRAR, csp.POOL_ELEMENT: ELEMENT}.get(group, USER)
        return self.known(role, csp.identifier_of(number))


def is_loopback(address: str) -> bool:
    """Whether an address is one of loopback."""
    return address == "::1" or address.startswith("127.")


def is_request(message: Any) -> bool:
    """Whether it is a CalcApp user's request."""
    return isinstance(message, calcapp.Message) and message.type == calcapp.REQUEST


_BY_ELEMENT = (asap.Registration, asap.Deregistration, asap.EndpointKeepAliveAck)


@dataclass(slots=True)
class _Question:
    user: Component
    host: str
    elements: frozenset[int]
    used: bool = False


class PoolUsers:
    """Concludes which sessions belong to which pool user.

    A session goes to the pool user that was told of this element and has not used the answer yet: to one on the
    same host before others, and to the one that was told last.
    """

    def __init__(self, names: Names) -> None:
        self._names = names
        self._questions: list[_Question] = []

    def answered(self, user: End, elements: Iterable[PoolElement]) -> None:
        """A registrar has told a pool user of some elements."""
        self._questions.append(_Question(self._names.at(user), user[0], frozenset(e.identifier for e in elements)))
        del self._questions[:-64]

    def session(self, user: End, element: Component) -> None:
        """A pool user talks to an element."""
        here = self._names.at(user)
        if here.role not in (USER, UNKNOWN) or element.identifier is None or element.identifier in here.sessions:
            return
        here.role = USER
        here.sessions.add(element.identifier)
        if here.identifier is not None:
            return
        asked = [
            (not q.used, q.host == user[0], number, q)
            for number, q in enumerate(self._questions)
            if element.identifier in q.elements and real(q.user).role == USER
        ]
        if not asked:
            return
        # The last of those that fit best: the answer not used yet, then the same host.
        best = max(asked, key=lambda one: one[:3])[3]
        best.used = True
        self._names.join(best.user, here)

    def reported(self, report: csp.Report) -> Component:
        """The component that sends a report; a pool user is found by the elements that it names."""
        sender = self._names.reporter(report.sender)
        if sender.role == USER and not sender.ends:
            elements = {
                csp.identifier_of(a.receiver)
                for a in report.associations
                if csp.group_of(a.receiver) == csp.POOL_ELEMENT
            }
            fitting = [
                c for c in self._names.components
                if c.role == USER and c.identifier is None and c.sessions & elements
            ]  # fmt: skip
            if len(fitting) == 1:
                return self._names.join(sender, fitting[0])
        return sender
