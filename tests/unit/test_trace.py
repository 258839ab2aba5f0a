"""pcapng frames by hand-made bytes and checksums, the one-line log, message sequences."""

import struct

import pytest

from pysctplib.trace.pcapng import Writer, encapsulate, ones_complement
from pysctplib.trace.text import Packet, line, mermaid, sequence, summary
from pysctplib.wire import packet

A, B = ("10.0.0.1", 9899), ("10.0.0.2", 40000)
INIT = packet.pack(1000, 2000, 0, [packet.chunk(1, 0, bytes(16))])
DATA = packet.pack(1000, 2000, 7, [packet.chunk(0, 3, struct.pack(">LHHL", 5, 1, 2, 11) + b"abc")])
SACK = packet.pack(2000, 1000, 9, [packet.chunk(3, 0, struct.pack(">LLHH", 5, 1500, 1, 0) + bytes((0, 2, 0, 3)))])


def verified(frame):
    """The sum over a header with its checksum is all ones."""
    return ones_complement(frame) == 0


def test_internet_checksum_of_rfc_1071():
    assert ones_complement(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF ^ 0xDDF2
    assert ones_complement(b"") == ones_complement(bytes(4)) == 0xFFFF
    assert ones_complement(b"\xff\xff") == 0
    assert ones_complement(b"\x12") == 0xFFFF ^ 0x1200


def test_ipv4_frame():
    frame = encapsulate(A, B, INIT)
    assert frame[0] == 0x45 and frame[9] == 17
    assert struct.unpack(">H", frame[2:4])[0] == len(frame) == 28 + len(INIT)
    assert verified(frame[:20])
    assert frame[12:20] == bytes((10, 0, 0, 1, 10, 0, 0, 2))
    assert struct.unpack(">HHHH", frame[20:28]) == (9899, 40000, 8 + len(INIT), 0)
    assert frame[28:] == INIT


def test_ipv6_frame_has_a_udp_checksum():
    for data in (INIT, INIT + b"\1", bytes(12)):
        frame = encapsulate(("::1", 9899), ("fd00::2", 1), data)
        assert frame[0] >> 4 == 6 and frame[6] == 17
        length = struct.unpack(">H", frame[4:6])[0]
        assert length == 8 + len(data) == len(frame) - 40
        assert frame[46:48] != b"\0\0"
        assert verified(frame[8:40] + struct.pack(">LL", length, 17) + frame[40:])


def test_without_udp_the_protocol_is_132():
    frame = encapsulate(("10.0.0.1", 9899), ("10.0.0.2", 0), INIT)
    assert frame[9] == 132 and frame[20:] == INIT
    frame = encapsulate(("::1", 0), ("::1", 0), INIT)
    assert frame[6] == 132 and frame[40:] == INIT


def test_what_no_packet_can_hold_is_refused():
    with pytest.raises(ValueError):
        encapsulate(A, ("::1", 1), INIT)
    with pytest.raises(ValueError):
        encapsulate(A, B, bytes(65535))


def test_the_file_is_made_of_whole_blocks(tmp_path):
    name = tmp_path / "x.pcapng"
    for append in (False, True):
        writer = Writer(name, append)
        writer.add(1700000000.25, A, B, INIT)
        writer.add(1700000001.5, B, A, DATA + b"x")
        writer.close()
    data, kinds, stamps = name.read_bytes(), [], []
    while data:
        kind, length = struct.unpack("=II", data[:8])
        assert length % 4 == 0 and data[length - 4 : length] == data[4:8]
        kinds.append(kind)
        if kind == 6:
            high, low, captured, original = struct.unpack("=IIII", data[12:28])
            stamps.append((high << 32 | low) / 1e6)
            assert captured == original
        data = data[length:]
    assert kinds == [0x0A0D0D0A, 1, 6, 6] * 2
    assert stamps == [1700000000.25, 1700000001.5] * 2


def test_lines():
    init = line(Packet(1.5, A, ("::1", 5), INIT))
    assert init == "1.500000 10.0.0.1:9899 > [::1]:5 1000 > 2000 tag=00000000 INIT"
    assert summary(DATA) == "1000 > 2000 tag=00000007 DATA tsn=5 sid=1 ssn=2 ppid=11 BE 3 bytes"
    assert summary(SACK).endswith("SACK cum=5 a_rwnd=1500 gaps=1")
    assert "chunk-99" in summary(packet.pack(1, 2, 3, [packet.chunk(99, 0, b"")]))


def test_malformed_packets_are_named_not_raised():
    assert summary(b"short").startswith("malformed")
    for size in range(12, len(DATA)):
        summary(DATA[:size])
    assert "malformed" in summary(DATA[:20])


def test_sequences():
    packets = [Packet(1.0, A, B, INIT), Packet(1.25, B, A, SACK)]
    text = sequence(packets).splitlines()
    assert "INIT" in text[1] and text[1].endswith(">|")
    assert "  0.250000" in text[2] and "|<" in text[2] and "SACK" in text[2]
    diagram = mermaid(packets).splitlines()
    assert diagram[0] == "sequenceDiagram"
    assert "h1->>h2: INIT" in diagram[3] and "h2->>h1: SACK" in diagram[4]
