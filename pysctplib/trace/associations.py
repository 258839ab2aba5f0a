"""Follows SCTP associations in a capture: packets in; set-up, messages, retransmissions, gaps, the end out.

RFC 9260 section 5.1 and 9 (set-up, end), 6.9 (fragments), 6.7 (gaps). An association is known by its verification
tags, so that the addresses of a multi-homed host count as one; a capture may begin in its midst. Times are those
of the capture. What does not parse is noted and counted, never raised.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import Struct
from typing import NamedTuple

from ..errors import DecodeError
from ..wire import chunks, packet
from . import explain
from .explain import Explanation

End = tuple[str, int, int]  # IP address, UDP port (0: none), SCTP port
MAX_PARTS = 4096  # fragments per direction that wait for others
MAX_OUTSTANDING = 65536  # TSNs per direction that no SACK has covered
_DATA = Struct(">LHHL")
_U32 = Struct(">L")
_HALF = 1 << 31

SETUP, TEARDOWN, ERROR, SACK, HEARTBEAT, LOSS, MESSAGE, OTHER, MALFORMED = (
    "setup", "teardown", "error", "sack", "heartbeat", "loss", "message", "other", "malformed",
)  # fmt: skip
_KINDS = {
    chunks.INIT: SETUP, chunks.INIT_ACK: SETUP, chunks.COOKIE_ECHO: SETUP, chunks.COOKIE_ACK: SETUP,
    chunks.SACK: SACK, chunks.HEARTBEAT: HEARTBEAT, chunks.HEARTBEAT_ACK: HEARTBEAT, chunks.ABORT: TEARDOWN,
    chunks.SHUTDOWN: TEARDOWN, chunks.SHUTDOWN_ACK: TEARDOWN, chunks.SHUTDOWN_COMPLETE: TEARDOWN,
    chunks.ERROR: ERROR,
}  # fmt: skip
OPENING, UP, CLOSING, CLOSED, ABORTED = "opening", "up", "closing", "closed", "aborted"
_STATES = {chunks.COOKIE_ACK: UP, chunks.SHUTDOWN: CLOSING, chunks.SHUTDOWN_ACK: CLOSING,
           chunks.SHUTDOWN_COMPLETE: CLOSED, chunks.ABORT: ABORTED}  # fmt: skip


class UserMessage(NamedTuple):
    """A user message, put together; ``tsn`` is that of its first fragment."""

    ppid: int
    data: bytes
    stream: int
    unordered: bool
    tsn: int
    fragments: int


@dataclass(slots=True)
class Flow:
    """One direction of an association. Round-trip times are in seconds, from DATA to the SACK that covers it."""

    packets: int = 0
    messages: int = 0
    octets: int = 0  # of user messages
    retransmissions: int = 0
    duplicates: int = 0  # as the receiver reported them
    gap_sacks: int = 0  # sent by the receiver of this direction
    incomplete: int = 0  # fragments whose message never became whole
    round_trips: list[float] = field(default_factory=list)
    acknowledged: int | None = None  # cumulative TSN
    sent: dict[int, float | None] = field(default_factory=dict)  # TSN -> time; None after a retransmission
    parts: dict[int, tuple[int, bytes]] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Association:
    """An association; ``ends`` are its two sides, the initiator first if its set-up was seen."""

    number: int
    ends: tuple[End, End]
    begin: float
    seen_setup: bool = False
    state: str = OPENING
    up: float | None = None
    end: float | None = None
    flows: tuple[Flow, Flow] = field(default_factory=lambda: (Flow(), Flow()))  # from ends[0], from ends[1]


class Note(NamedTuple):
    """Something that a packet did. ``side``: which end sent it. ``message`` if kind is MESSAGE."""

    kind: str
    association: Association
    side: int
    explanation: Explanation
    message: UserMessage | None = None


class Tracker:
    """All associations of a capture."""

    def __init__(self) -> None:
        self.associations: list[Association] = []
        self.counts: Counter[str] = Counter()
        self.aliases: list[tuple[End, End]] = []  # (end, another address of it), for who names ends; drained by it
        # (verification tag, source port, destination port) -> association, which side sends with it
        self._tags: dict[tuple[int, int, int], tuple[Association, int]] = {}
        self._ends: dict[tuple[End, End], tuple[Association, int]] = {}

    def packet(
        self, time: float, source: tuple[str, int], destination: tuple[str, int], data: bytes
    ) -> Iterator[Note]:
        """Yield what an SCTP packet does. Addresses are (IP address, UDP port)."""
        if len(data) < packet.HEADER_SIZE:
            self.counts["SCTP packets that are too short"] += 1
            return
        source_port, destination_port, tag = packet.HEADER.unpack_from(data)
        ends = (*source, source_port), (*destination, destination_port)
        self.counts["SCTP packets"] += 1
        if data[8:12] == bytes(4):
            self.counts["SCTP packets without a checksum, as systems leave it out on loopback"] += 1
        elif not packet.checksum_ok(data):
            self.counts["SCTP packets whose checksum is wrong"] += 1
        place: tuple[Association, int] | None = None
        try:
            for kind, flags, value in packet.walk(data):
                if place is None:
                    place = self._place(time, ends, tag, kind, flags, value)
                    place[0].flows[place[1]].packets += 1
                yield from self._chunk(time, *place, ends, kind, flags, value)
        except DecodeError as error:
            self.counts["malformed SCTP packets"] += 1
            if place is None:
                place = self._place(time, ends, tag, -1, 0, b"")
            told = Explanation("malformed packet", str(error), "RFC 9260 section 3")
            yield Note(MALFORMED, *place, told)

    def _place(
        self, time: float, ends: tuple[End, End], tag: int, kind: int, flags: int, value: bytes
    ) -> tuple[Association, int]:
        """Which association a packet belongs to, and which side sent it."""
        ports = ends[0][2], ends[1][2]
        if kind == chunks.INIT and len(value) >= 4:
            back = (_U32.unpack_from(value)[0], ports[1], ports[0])
            known = self._tags.get(back)
            if known is not None:
                return known[0], 1 - known[1]
            association = self._new(time, ends, seen_setup=True)
            self._tags[back] = association, 1
            return association, 0
        known = self._tags.get((tag, *ports))
        if known is None and flags & chunks.T_BIT and kind in (chunks.ABORT, chunks.SHUTDOWN_COMPLETE):
            # Reflected: the tag is the one that the receiver sends with (section 8.5.1).
            turned = self._tags.get((tag, ports[1], ports[0]))
            known = None if turned is None else (turned[0], 1 - turned[1])
        if known is not None:
            self._note_address(known, ends)
            return known
        known = self._ends.get(ends)
        if known is None or known[0].state in (CLOSED, ABORTED) or known[0].seen_setup:
            association = self._new(time, ends)
            association.state = UP
            known = association, 0
        self._tags[(tag, *ports)] = known
        return known

    def _new(self, time: float, ends: tuple[End, End], seen_setup: bool = False) -> Association:
        association = Association(len(self.associations) + 1, ends, time, seen_setup)
        self.associations.append(association)
        self._ends[ends] = association, 0
        self._ends[(ends[1], ends[0])] = association, 1
        return association

    def _note_address(self, place: tuple[Association, int], ends: tuple[End, End]) -> None:
        association, side = place
        for seen, known in zip(ends, (association.ends[side], association.ends[1 - side])):
            if seen != known and (known, seen) not in self.aliases[-4:]:
                self.aliases.append((known, seen))

    def _chunk(
        self, time: float, association: Association, side: int, ends: tuple[End, End], kind: int, flags: int,
        value: bytes,
    ) -> Iterator[Note]:  # fmt: skip
        if kind == chunks.DATA:
            yield from self._data(time, association, side, flags, value)
            return
        try:
            told = explain.explain(kind, flags, value)
        except DecodeError as error:
            self.counts["malformed SCTP chunks"] += 1
            yield Note(MALFORMED, association, side, Explanation(
                chunks.NAMES.get(kind, f"chunk {kind}"), f"malformed: {error}", "RFC 9260 section 3"))  # fmt: skip
            return
        group = _KINDS.get(kind, OTHER)
        if kind in (chunks.INIT, chunks.INIT_ACK):
            self._opening(association, side, ends, kind, value)
        elif kind == chunks.SACK:
            sack = chunks.decode(kind, flags, value)
            if isinstance(sack, chunks.Sack):
                self._sack(time, association.flows[1 - side], sack)
                if sack.gaps or sack.duplicates:
                    group = LOSS
        self._state(time, association, kind)
        yield Note(group, association, side, told)

    def _opening(
        self, association: Association, side: int, ends: tuple[End, End], kind: int, value: bytes
    ) -> None:
        init = chunks.decode_init(value, kind == chunks.INIT_ACK)
        if kind == chunks.INIT_ACK:
            forth = (init.tag, ends[1][2], ends[0][2])
            other = self._tags.get(forth)
            if other is not None and other[0] is not association:
                # Both sides began at once (section 5.2.1): one association after all.
                for key, (known, number) in list(self._tags.items()):
                    if known is other[0]:
                        self._tags[key] = association, 1 - number
                self.associations.remove(other[0])
            self._tags[forth] = association, 1 - side
        here = association.ends[side]
        self.aliases += [(here, (address, here[1], here[2])) for address in explain.addresses_of(init)]

    def _state(self, time: float, association: Association, kind: int) -> None:
        state = _STATES.get(kind)
        if state is None or association.state in (CLOSED, ABORTED):
            return
        if state == UP:
            if association.state != OPENING:
                return
            association.up = time
        elif state in (CLOSED, ABORTED):
            association.end = time
            for flow in association.flows:
                flow.incomplete += len(flow.parts)
                flow.parts.clear()
                flow.sent.clear()
        association.state = state

    def _data(self, time: float, association: Association, side: int, flags: int, value: bytes) -> Iterator[Note]:
        flow = association.flows[side]
        if len(value) < _DATA.size:
            self.counts["malformed SCTP chunks"] += 1
            told = Explanation("DATA", f"malformed: {len(value)} bytes", "RFC 9260 section 3.3.1")
            yield Note(MALFORMED, association, side, told)
            return
        tsn, _, _, _ = _DATA.unpack_from(value)
        acknowledged = flow.acknowledged is not None and (flow.acknowledged - tsn) & 0xFFFFFFFF < _HALF
        if tsn in flow.sent or acknowledged:
            flow.retransmissions += 1
            if tsn in flow.sent:
                flow.sent[tsn] = None  # its acknowledgement may mean either (section 6.3.1, rule C5)
            told = explain.explain(chunks.DATA, flags, value)
            why = "though it was acknowledged" if acknowledged else "no SACK has covered it"
            words = f"TSN {tsn} is sent again: {why}"
            again = Explanation("DATA again", words, "RFC 9260 section 6.3.3", told.fields)
            yield Note(LOSS, association, side, again)
            return
        flow.sent[tsn] = time
        if len(flow.sent) > MAX_OUTSTANDING:  # a capture without the other direction
            del flow.sent[next(iter(flow.sent))]
        message = _whole(flow, tsn, flags, value)
        if message is not None:
            flow.messages += 1
            flow.octets += len(message.data)
            yield Note(MESSAGE, association, side, explain.explain(chunks.DATA, flags, value), message)

    def _sack(self, time: float, flow: Flow, sack: chunks.Sack) -> None:
        """``flow`` is the direction that the SACK is about."""
        flow.gap_sacks += bool(sack.gaps)
        flow.duplicates += len(sack.duplicates)
        top = sack.cumulative_tsn
        if flow.acknowledged is not None and (flow.acknowledged - top) & 0xFFFFFFFF < _HALF:
            return
        flow.acknowledged = top
        newest: float | None = None
        acknowledged = []
        # They are about in the order of TSNs; what is left behind goes with a later SACK.
        for tsn, sent in flow.sent.items():
            if (top - tsn) & 0xFFFFFFFF >= _HALF:
                break
            acknowledged.append(tsn)
            newest = sent if sent is not None and (newest is None or sent > newest) else newest
        for tsn in acknowledged:
            del flow.sent[tsn]
        if newest is not None:
            flow.round_trips.append(time - newest)


def _whole(flow: Flow, tsn: int, flags: int, value: bytes) -> UserMessage | None:
    """The message that a fragment completes, if it does (RFC 9260 section 6.9)."""
    if flags & 3 == 3:
        return _message([(flags, value)], tsn)
    flow.parts[tsn] = flags, value
    if len(flow.parts) > MAX_PARTS:
        del flow.parts[next(iter(flow.parts))]
        flow.incomplete += 1
    first = last = tsn
    while not flow.parts[first][0] & chunks.BEGIN:
        first = (first - 1) & 0xFFFFFFFF
        if first not in flow.parts:
            return None
    while not flow.parts[last][0] & chunks.END:
        last = (last + 1) & 0xFFFFFFFF
        if last not in flow.parts:
            return None
    size = ((last - first) & 0xFFFFFFFF) + 1
    return _message([flow.parts.pop((first + i) & 0xFFFFFFFF) for i in range(size)], first)


def _message(parts: list[tuple[int, bytes]], tsn: int) -> UserMessage:
    flags, head = parts[0]
    _, stream, _, ppid = _DATA.unpack_from(head)
    data = b"".join(value[_DATA.size :] for _, value in parts)
    return UserMessage(ppid, data, stream, bool(flags & chunks.UNORDERED), tsn, len(parts))
