"""The story that a capture tells: packets in, explained events between named components out.

Each event belongs to groups, by which it is chosen (`GROUPS`). Failovers and takeovers are recognised here; counts
and times are collected for the summary. What packets and messages are is known below.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from pysctplib.trace import associations as sctp
from pysctplib.trace.associations import End, Tracker
from pysctplib.trace.explain import Explanation
from pysctplib.trace.frames import Datagram
from pysctplib.trace.pcapng import SCTP
from rserpool.explain import Explained, explain_datagram, explain_user_message
from rserpool.explain.values import identifier
from rserpool.services import calcapp, pingpong
from rserpool.wire import asap, csp, enrp

from .trace_names import ELEMENT, MONITOR, USER, Component, Names, PoolUsers, real

GROUPS = {
    "asap": "messages of ASAP (RFC 5352)",
    "enrp": "messages of ENRP (RFC 5353)",
    "csp": "status reports",
    "pingpong": "the Ping Pong service",
    "fractal": "the Fractal service",
    "calcapp": "the CalcApp service",
    "scripting": "the Scripting service",
    "data": "user messages of other protocols",
    "service": "all services and other user messages",
    "monitoring": "what only says that all is well: announces, presences, keep-alives, cookies, reports",
    "setup": "SCTP associations that begin",
    "teardown": "SCTP associations that end",
    "loss": "retransmissions, SACKs with gaps or duplicates",
    "error": "what is malformed, reported as an error, or aborted",
    "sack": "SACKs",
    "heartbeat": "SCTP heartbeats",
    "sctp": "all of setup, teardown, loss, sack, heartbeat",
    "all": "everything",
}
HIDDEN = ("sack", "heartbeat")  # unless asked for
_SERVICES = ("pingpong", "fractal", "calcapp", "scripting", "data", "tls")
_OF_SCTP = {
    sctp.SETUP: ("setup",), sctp.TEARDOWN: ("teardown",), sctp.ERROR: ("error",), sctp.SACK: ("sack",),
    sctp.HEARTBEAT: ("heartbeat",), sctp.LOSS: ("loss",), sctp.OTHER: (), sctp.MALFORMED: ("error",),
}  # fmt: skip


@dataclass(slots=True)
class Event:
    """Something that somebody tells somebody, or with ``receiver`` None everybody. ``mark``: what it means."""

    time: float
    sender: Component
    receiver: Component | None
    protocol: str
    explanation: Explanation
    groups: frozenset[str]
    message: Any = None
    mark: str = ""
    fragments: int = 1

    def about(self, pool: bytes | None, element: int | None) -> bool:
        """Whether it concerns a pool and an element (None: any)."""
        handles, identifiers = mentions(self.message)
        for end in (self.sender, self.receiver):
            if end is not None:
                here = real(end)
                handles |= set(here.pools)
                identifiers |= {here.identifier} if here.role == ELEMENT else set()
        return (pool is None or pool in handles) and (element is None or element in identifiers)


def mentions(message: Any) -> tuple[set[bytes], set[int | None]]:
    """The pool handles and the elements' identifiers that a message of ASAP or ENRP names."""
    handles: set[bytes] = set()
    identifiers: set[int | None] = set()
    handle = getattr(message, "handle", None)
    if isinstance(handle, bytes):
        handles.add(handle)
    elements = list(getattr(message, "elements", ()))
    if isinstance(message, enrp.HandleTableResponse):
        handles |= {handle for handle, _ in message.entries}
        elements += [element for _, element in message.entries]
    if getattr(message, "element", None) is not None:
        elements.append(message.element)
    identifiers |= {element.identifier for element in elements}
    identifiers.add(getattr(message, "identifier", None))
    return handles, identifiers - {None}


@dataclass(slots=True)
class Failover:
    """A pool user's session that went on at another element. ``seconds`` since the last word of the former one."""

    time: float
    user: Component
    old: Component | None
    new: Component
    seconds: float | None


@dataclass(slots=True)
class Takeover:
    """A registrar that took over the elements of another one."""

    by: int
    target: int
    begin: float
    agreed: set[int] = field(default_factory=set)
    elements: dict[int, float] = field(default_factory=dict)  # identifier -> time


@dataclass(slots=True)
class Answers:
    """How long answers to a kind of request took (seconds)."""

    waiting: dict[Any, float] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)
    lost: int = 0  # asked again without an answer

    def asked(self, key: Any, time: float) -> None:
        """A request."""
        if key in self.waiting:
            self.lost += 1
        self.waiting[key] = time

    def answered(self, key: Any, time: float) -> None:
        """Its answer."""
        begin = self.waiting.pop(key, None)
        if begin is not None:
            self.times.append(time - begin)


class Story:
    """What happened, as far as it was read."""

    def __init__(self) -> None:
        self.tracker = Tracker()
        self.names = Names()
        self.users = PoolUsers(self.names)
        self.begin: float | None = None
        self.end = 0.0
        self.packets = 0
        self.messages: Counter[tuple[str, str]] = Counter()  # (protocol, title)
        self.failovers: list[Failover] = []
        self.takeovers: list[Takeover] = []
        self.answers: dict[str, Answers] = {}
        self.other_datagrams = 0
        self._last_word: dict[Component, tuple[Component, float]] = {}  # pool user -> element that spoke, when
        self._homes: dict[int, int] = {}  # element -> registrar

    def packet(self, packet: Datagram) -> Iterator[Event]:
        """The events of one packet."""
        self.packets += 1
        self.begin = packet.time if self.begin is None else min(self.begin, packet.time)
        self.end = max(self.end, packet.time)
        if packet.protocol == SCTP:
            for note in self.tracker.packet(packet.time, packet.source, packet.destination, packet.data):
                for one, other in self.tracker.aliases:
                    self.names.alias(one, other)
                self.tracker.aliases.clear()
                yield self._note(packet.time, note)
            return
        yield from self._datagram(packet)

    def _note(self, time: float, note: sctp.Note) -> Event:
        source, destination = note.association.ends[note.side], note.association.ends[1 - note.side]
        if source[0] == destination[0]:
            self.names.at_home(source)
            self.names.at_home(destination)
        if note.message is None:
            groups = {*_OF_SCTP[note.kind], "sctp", "all"}
            if note.explanation.title == "ABORT":
                groups.add("error")
            here, there = self.names.at(source), self.names.at(destination)
            return Event(time, here, there, "SCTP", note.explanation, frozenset(groups))
        told = explain_user_message(note.message.ppid, note.message.data)
        return self._message(time, source, destination, told, note.message.fragments)

    def _datagram(self, packet: Datagram) -> Iterator[Event]:
        told = explain_datagram(packet.source[1], packet.destination[1], packet.data)
        if told is None:
            self.other_datagrams += 1
            return
        source: End = (*packet.source, packet.source[1])
        destination: End | None = (*packet.destination, packet.destination[1])
        try:
            if ip_address(packet.destination[0]).is_multicast:
                destination = None
        except ValueError:
            pass
        if isinstance(told.message, csp.Report) and destination is not None:
            self.messages[(told.protocol, told.explanation.title)] += 1
            sender = self.users.reported(told.message)
            monitor = self.names.call(destination, MONITOR)
            yield Event(packet.time, sender, monitor, "CSP", told.explanation, _groups(told), told.message)
            return
        yield self._message(packet.time, source, destination, told, 1)

    def _message(
        self, time: float, source: End, destination: End | None, told: Explained, fragments: int
    ) -> Event:
        self.messages[(told.protocol, told.explanation.title)] += 1
        message = told.message
        self.names.learn(source, destination, message)
        mark = ""
        if destination is not None:
            self._measure(time, source, destination, message)
            mark = self._session(time, source, destination, told)
        mark = self._takeover(time, message) or mark
        sender = self.names.at(source)
        receiver = None if destination is None else self.names.at(destination)
        return Event(
            time, sender, receiver, told.protocol, told.explanation, _groups(told), message, mark, fragments
        )

    def _session(self, time: float, source: End, destination: End, told: Explained) -> str:
        """Follow the sessions of pool users; return what a message means for one."""
        message = told.message
        if isinstance(message, asap.HandleResolutionResponse):
            self.users.answered(destination, message.elements)
            return ""
        if told.protocol == "ENRP" or (told.protocol == "ASAP" and not isinstance(message, _IN_SESSION)):
            return ""
        for user, element in ((source, destination), (destination, source)):
            here = self.names.at(element)
            if here.role == ELEMENT:
                self.users.session(user, here)
                break
        else:
            return ""
        pool_user = self.names.at(user)
        if pool_user.role != USER:
            return ""
        mark = ""
        if isinstance(message, asap.CookieEcho):
            old, since = self._last_word.get(pool_user, (None, None))
            old = None if old is None else real(old)
            self.failovers.append(Failover(time, pool_user, old, here, None if since is None else time - since))
            mark = f"failover from {old.name if old is not None else 'a server that was not seen'} to {here.name}"
        if element == source:
            self._last_word[pool_user] = here, time
        return mark

    def _takeover(self, time: float, message: Any) -> str:
        if isinstance(message, enrp.InitTakeover):
            self._of(message.sender, message.target, time)
            return f"takeover of registrar {identifier(message.target)} begins"
        if isinstance(message, enrp.InitTakeoverAck):
            self._of(message.receiver, message.target, time).agreed.add(message.sender)
            return ""
        if isinstance(message, enrp.TakeoverServer):
            self._of(message.sender, message.target, time)
            return f"takeover of registrar {identifier(message.target)} is done"
        if isinstance(message, asap.EndpointKeepAlive) and message.home and message.identifier is not None:
            former = self._homes.get(message.identifier)
            self._homes[message.identifier] = message.registrar
            if former is not None and former != message.registrar:
                self._of(message.registrar, former, time).elements[message.identifier] = time
                return f"takeover: PE {identifier(message.identifier)} had registrar {identifier(former)}"
        elif isinstance(message, asap.EndpointKeepAlive) and message.identifier is not None:
            self._homes.setdefault(message.identifier, message.registrar)
        elif isinstance(message, enrp.HandleUpdate):
            self._homes.setdefault(message.element.identifier, message.element.home)
        elif isinstance(message, enrp.HandleTableResponse):
            for _, element in message.entries:
                self._homes.setdefault(element.identifier, element.home)
        return ""

    def _of(self, by: int, target: int, time: float) -> Takeover:
        for known in self.takeovers:
            if (known.by, known.target) == (by, target):
                return known
        self.takeovers.append(Takeover(by, target, time))
        return self.takeovers[-1]

    def _measure(self, time: float, source: End, destination: End, message: Any) -> None:
        """Note requests and answers."""
        kind = _ASKS.get(type(message))
        if kind is not None:
            self.answers.setdefault(kind, Answers()).asked((source, destination, _key(message)), time)
            return
        kind = _TELLS.get(type(message))
        if kind is not None:
            self.answers.setdefault(kind, Answers()).answered((destination, source, _key(message)), time)
            return
        if isinstance(message, calcapp.Message):
            job = self.answers.setdefault("CalcApp job", Answers())
            if message.type == calcapp.REQUEST:
                job.asked((source, destination, message.job), time)
            elif message.type == calcapp.COMPLETE:
                job.answered((destination, source, message.job), time)


_IN_SESSION = (asap.Cookie, asap.CookieEcho, asap.BusinessCard)
_ASKS: dict[type, str] = {
    asap.Registration: "registration",
    asap.Deregistration: "deregistration",
    asap.HandleResolution: "handle resolution",
    asap.EndpointKeepAlive: "endpoint keep-alive",
    enrp.ListRequest: "list of registrars",
    enrp.HandleTableRequest: "handle table",
    enrp.InitTakeover: "takeover",
    pingpong.Ping: "Ping Pong",
}
_TELLS: dict[type, str] = {
    asap.RegistrationResponse: "registration",
    asap.DeregistrationResponse: "deregistration",
    asap.HandleResolutionResponse: "handle resolution",
    asap.EndpointKeepAliveAck: "endpoint keep-alive",
    enrp.ListResponse: "list of registrars",
    enrp.HandleTableResponse: "handle table",
    enrp.InitTakeoverAck: "takeover",
    pingpong.Pong: "Ping Pong",
}


def _key(message: Any) -> Any:
    """By what a request and its answer are known to belong together."""
    if isinstance(message, (pingpong.Ping, pingpong.Pong)):
        return message.number
    return getattr(message, "handle", b"")


def _groups(told: Explained) -> frozenset[str]:
    word = told.protocol.lower()
    groups = {word, "all"}
    if word in _SERVICES:
        groups |= {"service"}
    if told.monitoring:
        groups.add("monitoring")
    if told.malformed or told.explanation.title.endswith("_ERROR"):
        groups.add("error")
    return frozenset(groups)


@dataclass(slots=True, frozen=True)
class Choice:
    """Which events are shown: of a group in ``only`` and of none in ``hide``, about a pool, about an element."""

    only: frozenset[str]
    hide: frozenset[str]
    pool: bytes | None = None
    element: int | None = None
    first: float = 0.0  # seconds since the beginning
    last: float = math.inf

    def takes(self, event: Event, begin: float) -> bool:
        """Whether an event of a capture that began then is shown."""
        if not event.groups & self.only or event.groups & self.hide:
            return False
        if not self.first <= event.time - begin <= self.last:
            return False
        if self.pool is None and self.element is None:
            return True
        return event.about(self.pool, self.element)


def choice(only: Sequence[str], hide: Sequence[str]) -> tuple[frozenset[str], frozenset[str]]:
    """The groups that are shown and hidden; without ``only`` all but `HIDDEN` is shown."""
    return frozenset(only or ["all"]), frozenset([*hide, *([] if only else HIDDEN)])
