"""Every SCTP packet of the captures decodes, and every chunk of it encodes to the same bytes."""

from collections import Counter
from pathlib import Path

import pytest

from pysctplib.wire import causes, chunks, packet, params
from tests import pcaps

GOLDEN = Path(__file__).parents[2] / "golden"
UDP_PORTS = (9899, 11111, 12345, 23456)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.pcap")), ids=lambda p: p.stem)
def test_chunks_round_trip_byte_for_byte(path):
    count = 0
    for captured in pcaps.sctp_packets(path, UDP_PORTS):
        data = captured.payload
        encoded = []
        for kind, flags, value in packet.walk(data):
            chunk = chunks.decode(kind, flags, value)
            assert not isinstance(chunk, chunks.Unknown) or kind not in chunks.DECODERS
            encoded.append(chunks.encode(chunk))
            count += 1
        rebuilt = packet.pack(captured.sport, captured.dport, captured.tag, encoded)
        if data[8:12] == bytes(4):  # Linux leaves the checksum out on its loopback interface
            assert rebuilt[:8] + bytes(4) + rebuilt[12:] == data
        else:
            assert packet.checksum_ok(data)
            assert rebuilt == data
    assert count > 30


def test_captures_have_the_chunk_types_that_matter():
    seen = Counter()
    for path in GOLDEN.glob("*.pcap"):
        for captured in pcaps.sctp_packets(path, UDP_PORTS):
            seen.update(kind for kind, _, _ in packet.walk(captured.payload))
    expected = {
        chunks.DATA, chunks.INIT, chunks.INIT_ACK, chunks.SACK, chunks.HEARTBEAT, chunks.HEARTBEAT_ACK,
        chunks.ABORT,
        chunks.SHUTDOWN, chunks.SHUTDOWN_ACK, chunks.COOKIE_ECHO, chunks.COOKIE_ACK, chunks.SHUTDOWN_COMPLETE,
    }  # fmt: skip
    assert expected <= set(seen)


@pytest.mark.parametrize("name", ["12-udp-encap", "13a-usrsctp-to-kernel"])
def test_addresses_in_init_chunks(name):
    found = 0
    for captured in pcaps.sctp_packets(GOLDEN / f"{name}.pcap", UDP_PORTS):
        for kind, flags, value in packet.walk(captured.payload):
            chunk = chunks.decode(kind, flags, value)
            if isinstance(chunk, chunks.Init):
                addresses = [
                    params.decode_address(k, v)
                    for k, v in chunk.parameters
                    if k in (params.IPV4_ADDRESS, params.IPV6_ADDRESS)
                ]
                again = [params.encode_address(a) for a in addresses]
                listed = [p for p in chunk.parameters if p[0] in (params.IPV4_ADDRESS, params.IPV6_ADDRESS)]
                assert again == listed
                found += 1
    assert found > 1


def test_a_packet_with_one_flipped_bit_has_a_bad_checksum():
    captured = next(pcaps.sctp_packets(GOLDEN / "12-udp-encap.pcap", UDP_PORTS))
    data = captured.payload
    for position in range(len(data)):
        broken = data[:position] + bytes([data[position] ^ 0x10]) + data[position + 1 :]
        assert not packet.checksum_ok(broken)


def test_cause_encoders_have_the_layout_of_section_3_3_10():
    assert causes.encode([causes.invalid_stream(7)]) == bytes.fromhex("0001000800070000")
    assert causes.encode([causes.missing_parameters([7, 9])]) == bytes.fromhex("0002000c0000000200070009")
    assert causes.encode([causes.stale_cookie(0x1234)]) == bytes.fromhex("0003000800001234")
    assert causes.encode([causes.no_user_data(0xDEADBEEF)]) == bytes.fromhex("00090008deadbeef")
    assert causes.encode([causes.new_addresses(["192.0.2.1"])]) == bytes.fromhex("000b000c00050008c0000201")
