"""Captures of every form give the same packets; what cannot be read is counted or refused, never a crash."""

import random
import struct
from collections import Counter
from pathlib import Path

import pytest

from pysctplib.trace.frames import FRAGMENTS, Datagram, datagram
from pysctplib.trace.pcapng import encapsulate
from pysctplib.trace.reader import CaptureError, Frame, Reader
from pysctplib.wire import packet
from tests import pcaps

GOLDEN = Path(__file__).parents[1] / "golden"
INIT = packet.pack(1000, 2000, 0, [packet.chunk(1, 0, bytes(16))])
V4 = encapsulate(("10.0.0.1", 0), ("10.0.0.2", 0), INIT)
V6 = encapsulate(("fd00::1", 0), ("fd00::2", 0), INIT)
OVER_UDP = encapsulate(("10.0.0.1", 9899), ("10.0.0.2", 40000), INIT)
PRIVATE_UDP = encapsulate(("10.0.0.1", 20001), ("10.0.0.2", 40000), INIT)


def pcap(frames, link=101, order="<", magic=0xA1B2C3D4):
    parts = [struct.pack(order + "LHHlLLL", magic, 2, 4, 0, 0, 65535, link)]
    for seconds, fraction, data in frames:
        parts += [struct.pack(order + "LLLL", seconds, fraction, len(data), len(data)), data]
    return b"".join(parts)


def block(kind, body, order="<"):
    body += bytes(-len(body) % 4)
    return struct.pack(order + "LL", kind, len(body) + 12) + body + struct.pack(order + "L", len(body) + 12)


def section(order="<"):
    return block(0x0A0D0D0A, struct.pack(order + "LHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link=101, options=b"", order="<"):
    return block(1, struct.pack(order + "HHL", link, 0, 0) + options, order)


def read(data, size=None):
    reader = Reader()
    step = size or len(data) or 1
    frames = [f for at in range(0, len(data), step) for f in reader.feed(data[at : at + step])]
    reader.finish()
    return frames, reader


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(("magic", "fraction"), [(0xA1B2C3D4, 250_000), (0xA1B23C4D, 250_000_000)])
def test_pcap_in_both_byte_orders_and_resolutions(order, magic, fraction):
    frames, reader = read(pcap([(1700000000, fraction, V4)], order=order, magic=magic))
    assert [(round(f.time, 3), f.link, f.data) for f in frames] == [(1700000000.25, 101, V4)]
    assert not reader.counts and not reader.damage


@pytest.mark.parametrize("order", "<>")
def test_pcapng_blocks(order):
    nanoseconds = struct.pack(order + "HHB3x", 9, 1, 9) + struct.pack(order + "HHq", 14, 8, 100) + bytes(4)
    head = struct.pack(order + "LLLLL", 1, 0, 1_500_000_000, len(V4), len(V4))
    data = b"".join((
        section(order), interface(1, b"", order), interface(101, nanoseconds, order),
        block(6, head + V4, order),
        block(3, struct.pack(order + "L", len(V6)) + V6, order),
        block(2, struct.pack(order + "HHLLLL", 1, 0, 0, 2_000_000_000, len(V4), len(V4)) + V4, order),
        block(5, bytes(8), order), section(order), interface(228, b"", order),
        block(6, struct.pack(order + "LLLLL", 0, 0, 5_000_000, len(V4), len(V4)) + V4, order),
    ))  # fmt: skip
    frames, _ = read(data)
    assert [(round(f.time, 6), f.link) for f in frames] == [(101.5, 101), (0.0, 1), (102.0, 101), (5.0, 228)]
    assert frames[0].data == V4 and frames[1].data == V6


def test_pieces_of_any_size_give_the_same_frames():
    for data in (pcap([(1, 0, V4), (2, 0, V6)]), section() + interface() + block(3, struct.pack("<L", 9) + V4)):
        whole, _ = read(data)
        assert whole and all(read(data, size)[0] == whole for size in (1, 3, 7, 64))


def test_a_capture_cut_anywhere_gives_what_is_whole():
    data = pcap([(1, 0, V4), (2, 0, V6)])
    for size in range(24, len(data)):
        frames, reader = read(data[:size])
        assert len(frames) == (size >= 24 + 16 + len(V4)) + (size >= len(data))
        assert bool(reader.counts) == (size not in (24, 24 + 16 + len(V4)))


def test_what_is_no_capture_is_refused():
    for data, words in ((b"", "empty"), (b"abc", "3 bytes"), (b"no capture at all", "neither"), (V4, "neither")):
        with pytest.raises(CaptureError, match=words):
            read(data)


def test_damage_ends_a_file_with_a_word_about_the_place():
    broken = pcap([(1, 0, V4)]) + struct.pack("<LLLL", 0, 0, 0x7FFFFFFF, 0) + V4
    frames, reader = read(broken)
    assert len(frames) == 1 and f"byte {24 + 16 + len(V4)}" in reader.damage
    assert reader.feed(V4) == []
    differing = section() + interface()[:-4] + struct.pack("<L", 4)
    assert "lengths differ" in read(differing)[1].damage
    assert "block of 8 bytes" in read(section() + struct.pack("<LLL", 6, 8, 8))[1].damage


def test_packets_of_unknown_interfaces_and_short_blocks_are_counted():
    frames, reader = read(section() + block(6, struct.pack("<LLLLL", 3, 0, 0, 0, 0)) + block(6, bytes(4)))
    assert frames == [] and sum(reader.counts.values()) == 2


def test_packets_cut_by_the_capture_are_counted():
    head = struct.pack("<LLLL", 1, 0, 20, len(V4))
    frames, reader = read(pcap([]) + head + V4[:20])
    assert len(frames) == 1 and sum(reader.counts.values()) == 1


LINKS = [
    (0, b"\x02\0\0\0", b"\x1e\0\0\0"),
    (108, b"\0\0\0\x02", b"\0\0\0\x1e"),
    (1, bytes(12) + b"\x08\x00", bytes(12) + b"\x86\xdd"),
    (1, bytes(12) + b"\x88\xa8\0\1\x81\x00\0\2\x08\x00", bytes(12) + b"\x81\x00\0\2\x86\xdd"),
    (12, b"", b""),
    (14, b"", b""),
    (101, b"", b""),
    (228, b"", b""),
    (229, b"", b""),
    (113, bytes(14) + b"\x08\x00", bytes(14) + b"\x86\xdd"),
    (276, b"\x08\x00" + bytes(18), b"\x86\xdd" + bytes(18)),
]


@pytest.mark.parametrize(("link", "before_v4", "before_v6"), LINKS)
def test_link_types(link, before_v4, before_v6):
    counts = Counter()
    four = datagram(Frame(1.5, link, before_v4 + V4), counts)
    six = datagram(Frame(1.5, link, before_v6 + V6), counts)
    assert four == Datagram(1.5, ("10.0.0.1", 0), ("10.0.0.2", 0), 132, INIT)
    assert six == Datagram(1.5, ("fd00::1", 0), ("fd00::2", 0), 132, INIT)
    assert not counts


def test_bare_sctp():
    for link in (248, 147):
        assert datagram(Frame(0, link, INIT), Counter()) == Datagram(0, ("", 0), ("", 0), 132, INIT)


def test_linux_cooked_captures_of_all_interfaces_show_loopback_twice():
    for loopback in (
        struct.pack(">HHH8sH", 4, 772, 6, b"", 0x0800),
        struct.pack(">HHLHBB8s", 0x0800, 0, 1, 772, 4, 6, b""),
    ):
        link = 113 if len(loopback) == 16 else 276
        assert datagram(Frame(0, link, loopback + V4), Counter()) is None


def test_sctp_in_udp_is_known_by_its_port_or_its_checksum():
    counts = Counter()
    expected = Datagram(0, ("10.0.0.1", 9899), ("10.0.0.2", 40000), 132, INIT)
    assert datagram(Frame(0, 101, OVER_UDP), counts) == expected
    assert datagram(Frame(0, 101, PRIVATE_UDP), counts).protocol == 132
    wrong = bytearray(PRIVATE_UDP)
    wrong[-1] ^= 1
    assert datagram(Frame(0, 101, bytes(wrong)), counts).protocol == 17
    assert datagram(Frame(0, 101, bytes(wrong)), counts, (9899, 20001)).protocol == 132


def test_fragments_and_other_protocols_are_counted():
    counts = Counter()
    first, later = bytearray(V4), bytearray(V4)
    first[6:8], later[6:8] = b"\x20\0", b"\0\x10"
    six = bytearray(V6[:40] + bytes((132, 0, 0, 1, 0, 0, 0, 9)) + V6[40:])
    six[6] = 44
    for data in (first, later, six):
        assert datagram(Frame(0, 101, bytes(data)), counts) is None
    assert counts == {FRAGMENTS: 3}
    tcp = bytearray(V4)
    tcp[9] = 6
    for link, data in ((101, tcp), (101, b""), (1, bytes(60)), (9999, V4), (101, b"\x41" + V4[1:])):
        assert datagram(Frame(0, link, bytes(data)), counts) is None
    assert counts == {
        FRAGMENTS: 3, "TCP packets": 1, "frames without IP": 2, "malformed IP packets": 1,
        "frames of link type 9999, which is not known": 1,
    }  # fmt: skip


def test_ipv6_extension_headers_are_passed_over():
    data = bytearray(V6[:40] + bytes((60, 0, *bytes(6))) + bytes((132, 1, *bytes(14))) + V6[40:])
    data[4:6] = struct.pack(">H", len(data) - 40)
    data[6] = 0
    assert datagram(Frame(0, 101, bytes(data)), Counter()).data == INIT


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.pcap")), ids=lambda p: p.stem)
def test_same_packets_as_the_tests_own_reader(path):
    frames, _ = read(path.read_bytes(), 4096)
    mine = [d for f in frames if (d := datagram(f, Counter())) is not None]
    theirs = list(pcaps.packets(path))
    assert [(d.source[0], d.destination[0], d.data) for d in mine] == [(p.src, p.dst, p.payload) for p in theirs]
    assert [d.time for d in mine] == pytest.approx([p.time for p in theirs])


def test_noise_never_crashes():
    rng = random.Random(7)
    known = [link for link, _, _ in LINKS] + [248, 9]
    for _ in range(3000):
        data = bytearray(rng.choice((V4, V6, OVER_UDP, rng.randbytes(rng.randrange(80)))))
        for _ in range(rng.randrange(4)):
            if data:
                data[rng.randrange(len(data))] = rng.randrange(256)
        datagram(Frame(0, rng.choice(known), bytes(data[: rng.randrange(len(data) + 1)])), Counter())
