"""Decoders raise only DecodeError; lengths and padding are as in RFC 9260 section 3.2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysctplib.errors import DecodeError
from pysctplib.wire import causes, chunks, packet, params


@given(st.binary(max_size=200))
def test_walk_raises_only_decode_error(data):
    try:
        total = sum(4 + len(value) for _, _, value in packet.walk(data, 0))
    except DecodeError:
        return
    assert total <= len(data)


@given(st.integers(0, 255), st.integers(0, 255), st.binary(max_size=120))
def test_chunk_decoders_raise_only_decode_error_and_round_trip(kind, flags, value):
    try:
        chunk = chunks.decode(kind, flags, value)
    except DecodeError:
        return
    ((again_kind, again_flags, again_value),) = packet.walk(chunks.encode(chunk), 0)
    assert (again_kind, again_flags) == (kind, flags)
    assert chunks.decode(again_kind, again_flags, again_value) == chunk


@given(st.lists(st.tuples(st.integers(0, 65535), st.binary(max_size=40)), max_size=8))
def test_parameters_round_trip(parameters):
    assert params.decode(params.encode(parameters)) == parameters


@given(st.binary(max_size=80))
def test_parameters_and_causes_raise_only_decode_error(data):
    for decode in (params.decode, causes.decode):
        try:
            decode(data)
        except DecodeError:
            continue


@pytest.mark.parametrize("length", range(8))
def test_padding(length):
    encoded = packet.chunk(200, 0, bytes(length))
    assert len(encoded) % 4 == 0
    assert encoded[2:4] == (4 + length).to_bytes(2, "big")
    assert list(packet.walk(encoded, 0)) == [(200, 0, bytes(length))]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x03\0\0\x03", "length below 4"),
        (b"\x03\0\0\x08\0\0\0", "beyond the end"),
        (b"\x0b\0\0\x04\x01\0", "a rest of two bytes"),
    ],
)
def test_bad_lengths(data, why):
    with pytest.raises(DecodeError):
        list(packet.walk(data, 0))


def test_a_sack_whose_counts_do_not_fit_is_refused():
    good = chunks.encode(chunks.Sack(5, 1000, [(2, 3)], [4]))
    ((_, _, value),) = packet.walk(good, 0)
    assert chunks.decode(chunks.SACK, 0, value) == chunks.Sack(5, 1000, [(2, 3)], [4])
    with pytest.raises(DecodeError):
        chunks.decode(chunks.SACK, 0, value[:-4])


def test_the_checksum_of_a_known_packet():
    # An INIT that libusrsctp sent: the checksum field is in little-endian order.
    made = packet.pack(1, 2, 3, [packet.chunk(14, 1, b"")])
    assert packet.checksum_ok(made)
    assert not packet.checksum_ok(made[:8] + made[8:12][::-1] + made[12:])


def test_mapped_addresses_become_ipv4():
    assert params.decode_address(params.IPV6_ADDRESS, bytes(10) + b"\xff\xff\xc0\0\x02\x01") == "192.0.2.1"
    with pytest.raises(DecodeError):
        params.decode_address(params.IPV4_ADDRESS, bytes(5))
