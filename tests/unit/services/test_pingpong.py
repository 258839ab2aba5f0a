"""Ping Pong's formats: the bytes of RSPLIB's programs, and what is none of them."""

from pathlib import Path

import pytest

from rserpool.services import pingpong
from rserpool.services.pingpong import Ping, Pong
from rserpool.wire.types import DecodeError
from tests.pcaps import user_messages

CAPTURE = Path(__file__).parents[2] / "golden" / "06-pingpong-failover.pcap"


def test_messages_of_the_original_programs_byte_by_byte():
    found = [m.data for m in user_messages(CAPTURE) if m.ppid == pingpong.PPID]
    assert len(found) == 138
    kinds = {Ping: 0, Pong: 0}
    for data in found:
        message = pingpong.decode(data)
        kinds[type(message)] += 1
        assert pingpong.encode(message) == data
    assert kinds == {Ping: 69, Pong: 69}


def test_vectors():
    assert pingpong.encode(Ping(7, b"ab")) == bytes.fromhex("0100000e 0000000000000007 6162")
    assert pingpong.encode(Pong(7, 9, b"ab")) == bytes.fromhex("02000016 0000000000000007 0000000000000009 6162")
    assert pingpong.encode_cookie(10) == b"<PP-TD1>" + (10).to_bytes(8, "big")
    assert pingpong.decode_cookie(b"<PP-TD1>" + (10).to_bytes(8, "big")) == 10


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(11),
        bytes.fromhex("0100000d 0000000000000007 6162"),
        bytes.fromhex("0300000c 0000000000000007"),
        bytes.fromhex("0200000c 0000000000000007"),
    ],
)
def test_other_messages_are_refused(data):
    with pytest.raises(DecodeError):
        pingpong.decode(data)


@pytest.mark.parametrize("cookie", [b"", b"<PP-TD1>", b"<PP-TD1>" + bytes(9), b"<FG-TD1>" + bytes(8)])
def test_other_cookies_are_refused(cookie):
    with pytest.raises(DecodeError):
        pingpong.decode_cookie(cookie)


def test_data_has_a_limit():
    with pytest.raises(ValueError, match="at most"):
        pingpong.encode(Ping(1, bytes(pingpong.MAX_DATA + 1)))
