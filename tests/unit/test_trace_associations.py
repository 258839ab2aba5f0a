"""Associations in captures: messages, retransmissions, gaps, round trips, set-ups of all kinds."""

import random
import struct
from collections import Counter
from pathlib import Path

import pytest

from pysctplib.trace import associations as sctp
from pysctplib.trace.associations import Tracker
from pysctplib.trace.frames import datagram
from pysctplib.trace.reader import Reader
from pysctplib.wire import chunks, packet, params
from tests import pcaps

GOLDEN = Path(__file__).parents[1] / "golden"
A, B, B2 = ("10.0.0.1", 0), ("10.0.0.2", 0), ("10.0.0.3", 0)
TAG_A, TAG_B = 0xAAAA, 0xBBBB


class Wire:
    """Packets between port 1000 of A and port 2000 of B, one second after another."""

    def __init__(self):
        self.tracker = Tracker()
        self.time = 0.0
        self.notes = []

    def send(self, forth, *parts, tag=None, source=None, destination=None):
        self.time += 1
        tag = (TAG_B if forth else TAG_A) if tag is None else tag
        ports = (1000, 2000) if forth else (2000, 1000)
        data = packet.pack(*ports, tag, [chunks.encode(c) if not isinstance(c, bytes) else c for c in parts])
        ends = (A, B) if forth else (B, A)
        notes = list(self.tracker.packet(self.time, source or ends[0], destination or ends[1], data))
        self.notes += notes
        return notes

    def set_up(self, addresses=()):
        parameters = [params.encode_address(a) for a in addresses]
        self.send(True, chunks.Init(TAG_A, 1500, 1, 1, 100), tag=0)
        self.send(False, chunks.Init(TAG_B, 1500, 1, 1, 200, parameters, ack=True))
        self.send(True, chunks.CookieEcho(b"cookie"))
        self.send(False, chunks.Bare(chunks.COOKIE_ACK))
        return self.tracker.associations[0]


def data(tsn, flags=3, content=b"x", ppid=0):
    return chunks.Data(flags, tsn, 0, 0, ppid, content)


def test_set_up_messages_and_end():
    wire = Wire()
    association = wire.set_up()
    assert association.seen_setup and association.state == sctp.UP
    assert association.up - association.begin == 3
    assert [n.kind for n in wire.notes] == [sctp.SETUP] * 4
    assert [n.side for n in wire.notes] == [0, 1, 0, 1]
    assert association.ends == (("10.0.0.1", 0, 1000), ("10.0.0.2", 0, 2000))
    (note,) = wire.send(True, data(100, content=b"hello", ppid=11))
    assert note.message == sctp.UserMessage(11, b"hello", 0, False, 100, 1)
    (note,) = wire.send(False, chunks.Sack(100, 1500))
    assert note.kind == sctp.SACK and association.flows[0].round_trips == [1.0]
    wire.send(True, chunks.Shutdown(199))
    wire.send(False, chunks.Bare(chunks.SHUTDOWN_ACK))
    wire.send(True, chunks.Bare(chunks.SHUTDOWN_COMPLETE))
    assert association.state == sctp.CLOSED and association.end == wire.time
    assert len(wire.tracker.associations) == 1


def test_fragments_in_any_order_over_the_end_of_the_number_space():
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]):
        wire = Wire()
        association = wire.set_up()
        parts = [data((0xFFFFFFFE + i) & 0xFFFFFFFF, (2, 0, 0, 1)[i], bytes([97 + i])) for i in range(4)]
        notes = [note for i in order for note in wire.send(True, parts[i])]
        assert [n.message.data for n in notes] == [b"abcd"] and notes[0].message.fragments == 4
        assert notes[0].message.tsn == 0xFFFFFFFE and association.flows[0].parts == {}


def test_retransmissions_are_noted_once_and_spoil_the_round_trip():
    wire = Wire()
    flow = wire.set_up().flows[0]
    wire.send(True, data(100))
    (again,) = wire.send(True, data(100))
    assert again.kind == sctp.LOSS and "no SACK has covered it" in again.explanation.text
    wire.send(False, chunks.Sack(100, 1500))
    assert (flow.retransmissions, flow.round_trips, flow.messages) == (1, [], 1)
    (again,) = wire.send(True, data(100))
    assert "though it was acknowledged" in again.explanation.text and flow.retransmissions == 2


def test_gaps_and_duplicates_are_losses_and_say_what_is_missing():
    wire = Wire()
    flow = wire.set_up().flows[0]
    (note,) = wire.send(False, chunks.Sack(0xFFFFFFFF, 1500, [(3, 4), (7, 7)], [5]))
    assert note.kind == sctp.LOSS
    assert "TSN 0-1, 4-5 missing, 2-3, 6 there" in note.explanation.text
    assert "1 arrived twice" in note.explanation.text
    assert (flow.gap_sacks, flow.duplicates) == (1, 1)


def test_addresses_of_a_multi_homed_host_are_one_end():
    wire = Wire()
    association = wire.set_up(addresses=("10.0.0.2", "10.0.0.3"))
    assert (("10.0.0.2", 0, 2000), ("10.0.0.3", 0, 2000)) in wire.tracker.aliases
    wire.send(True, data(100), destination=B2)
    wire.send(False, chunks.Sack(100, 1500), source=B2)
    assert len(wire.tracker.associations) == 1
    assert association.flows[0].round_trips == [1.0]


def test_both_sides_that_begin_at_once_have_one_association():
    wire = Wire()
    wire.send(True, chunks.Init(TAG_A, 1500, 1, 1, 100), tag=0)
    wire.send(False, chunks.Init(TAG_B, 1500, 1, 1, 200), tag=0)
    wire.send(False, chunks.Init(TAG_B, 1500, 1, 1, 200, ack=True))
    wire.send(True, chunks.Init(TAG_A, 1500, 1, 1, 100, ack=True))
    wire.send(True, data(100))
    wire.send(False, data(200))
    (association,) = wire.tracker.associations
    assert [f.messages for f in association.flows] == [1, 1]


def test_a_repeated_init_is_the_same_association_and_a_restart_another():
    wire = Wire()
    wire.send(True, chunks.Init(TAG_A, 1500, 1, 1, 100), tag=0)
    wire.set_up()
    assert len(wire.tracker.associations) == 1
    wire.send(True, chunks.Init(0xCCCC, 1500, 1, 1, 1), tag=0)
    assert len(wire.tracker.associations) == 2


def test_reflected_tags_belong_to_the_association_that_they_end():
    wire = Wire()
    association = wire.set_up()
    (note,) = wire.send(False, chunks.Abort(flags=chunks.T_BIT), tag=TAG_B)
    assert (note.kind, note.side, association.state) == (sctp.TEARDOWN, 1, sctp.ABORTED)
    assert len(wire.tracker.associations) == 1


def test_a_capture_that_begins_in_the_midst():
    wire = Wire()
    wire.send(True, data(100, 0, b"the middle of something"))
    wire.send(False, chunks.Sack(100, 1500))
    wire.send(True, data(101, 3, b"whole"))
    (association,) = wire.tracker.associations
    assert not association.seen_setup and association.state == sctp.UP
    assert [n.message.data for n in wire.notes if n.message] == [b"whole"]
    assert len(association.flows[0].parts) == 1


def test_fragments_that_never_end_are_bounded():
    wire = Wire()
    flow = wire.set_up().flows[0]
    for tsn in range(0, 2 * sctp.MAX_PARTS + 20, 2):
        wire.send(True, data(tsn, 0))
    assert len(flow.parts) == sctp.MAX_PARTS and flow.incomplete == 10


def test_a_capture_of_one_direction_is_bounded(monkeypatch):
    monkeypatch.setattr(sctp, "MAX_OUTSTANDING", 8)
    wire = Wire()
    flow = wire.set_up().flows[0]
    for tsn in range(100, 120):
        wire.send(True, data(tsn))
    assert list(flow.sent) == list(range(112, 120)) and flow.messages == 20
    wire.send(False, chunks.Sack(118, 1500))
    assert list(flow.sent) == [119] and flow.round_trips == [2.0]


def test_malformed_packets_are_noted_and_counted():
    wire = Wire()
    wire.set_up()
    assert list(wire.tracker.packet(1.0, A, B, b"short")) == []
    kinds = [
        wire.send(True, bad)[-1].kind
        for bad in (b"\0\3\0\x63ab", packet.chunk(0, 3, b"abc"), packet.chunk(3, 0, b"abc"), b"\x07\0\0\3")
    ]
    assert kinds == [sctp.MALFORMED] * 4
    assert wire.tracker.counts["malformed SCTP packets"] == 2
    assert wire.tracker.counts["malformed SCTP chunks"] == 2
    assert wire.tracker.counts["SCTP packets that are too short"] == 1
    (note,) = wire.send(True, packet.chunk(0x99, 0, b""))
    assert note.kind == sctp.OTHER and note.explanation.title == "chunk 153"


def test_wrong_checksums_are_counted():
    wire = Wire()
    whole = packet.pack(1000, 2000, 1, [chunks.encode(data(1))])
    for bad in (whole, whole[:8] + bytes(4) + whole[12:], whole[:8] + b"abcd" + whole[12:]):
        list(wire.tracker.packet(1.0, A, B, bad))
    assert wire.tracker.counts["SCTP packets whose checksum is wrong"] == 1
    assert sum(wire.tracker.counts.values()) == 5


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.pcap")), ids=lambda p: p.stem)
def test_same_messages_as_the_tests_own_reader(path):
    tracker, mine = Tracker(), []
    for frame in Reader().feed(path.read_bytes()):
        found = datagram(frame, Counter())
        if found is not None and found.protocol == 132:
            for note in tracker.packet(found.time, found.source, found.destination, found.data):
                if note.message is not None:
                    mine.append((note.message.ppid, note.message.data, note.message.stream))
    udp = (9899, 10001, 10002, 11111, 12345, 23456)
    assert mine == [(m.ppid, m.data, m.stream) for m in pcaps.user_messages(path, udp_ports=udp)]
    ours = Counter(struct.unpack_from(">HH", p.payload) for p in pcaps.sctp_packets(path, udp))
    assert sum(f.packets for a in tracker.associations for f in a.flows) == sum(ours.values())


def test_noise_never_crashes():
    rng = random.Random(3)
    packets = [p.payload for p in pcaps.sctp_packets(GOLDEN / "04b-takeover-complete.pcap")]
    tracker = Tracker()
    for _ in range(1500):
        noisy = bytearray(rng.choice(packets))
        for _ in range(rng.randrange(6)):
            noisy[rng.randrange(len(noisy))] = rng.randrange(256)
        size = rng.choice((len(noisy), rng.randrange(len(noisy) + 1)))
        list(tracker.packet(rng.random(), A, B, bytes(noisy[:size])))
    assert tracker.counts["malformed SCTP packets"] > 50
