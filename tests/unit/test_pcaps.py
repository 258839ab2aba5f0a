"""The tests' own capture reader, checked against what is known of the captures."""

import struct
from collections import Counter
from pathlib import Path

import pytest

from tests import pcaps

GOLDEN = Path(__file__).parents[1] / "golden"


def test_asap_messages_of_the_basic_capture_are_counted_right():
    types = Counter(m.data[0] for m in pcaps.user_messages(GOLDEN / "01-asap-basic.pcap", (11,)))
    # Registration 1, Deregistration 1, their responses, resolution 2, keep-alive 9: as tshark counts them.
    assert types == {1: 1, 2: 1, 3: 1, 4: 1, 5: 2, 6: 2, 7: 9, 8: 9}
    announces = [p for p in pcaps.packets(GOLDEN / "01-asap-basic.pcap") if p.ip_proto == 17 and p.dport == 3863]
    assert len(announces) == 22


def test_encapsulated_and_native_packets_are_found():
    ports = {p.udp for p in pcaps.sctp_packets(GOLDEN / "13a-usrsctp-to-kernel.pcap", (9899, 11111))}
    assert None in ports
    assert any(u is not None and 9899 in u for u in ports)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.pcap")), ids=lambda p: p.stem)
def test_every_capture_splits_into_chunks(path):
    count = sum(len(pcaps.chunks(p.payload)) for p in pcaps.sctp_packets(path))
    assert count > 10


def test_fragments_in_any_order_with_duplicates_give_one_message():
    flow = pcaps._Reassembly()

    def part(tsn, flags, data):
        return list(flow.add(flags, struct.pack(">IHHI", tsn, 3, 7, 42) + data))

    assert part(0, 0, b"b") == []
    assert part(0xFFFFFFFF, 2, b"a") == []
    assert part(0, 0, b"b") == []
    assert part(1, 1, b"c") == [(42, 3, 7, False, b"abc")]
    assert part(1, 1, b"c") == []


def test_cut_chunk_is_refused():
    with pytest.raises(ValueError, match="length 20"):
        pcaps.chunks(bytes(12) + b"\x00\x03\x00\x14" + bytes(8))


def test_pcapng_with_nanoseconds(tmp_path):
    ip = bytes([0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 2]) + struct.pack(
        ">HHHH4s", 5, 6, 12, 0, b"data"
    )

    def block(kind, body):
        return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)

    option = struct.pack("<HHB3xHH", 9, 1, 9, 0, 0)
    path = tmp_path / "x.pcapng"
    path.write_bytes(
        block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
        + block(1, struct.pack("<HHI", 101, 0, 0) + option)
        + block(6, struct.pack("<IIIII", 0, 0, 1_500_000_000, len(ip), len(ip)) + ip)
    )
    assert list(pcaps.packets(path)) == [pcaps.Packet(1.5, 17, "127.0.0.1", 5, "127.0.0.2", 6, b"data")]
