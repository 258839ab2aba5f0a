"""Every ASAP, ENRP and CSP message of the captures of real programs decodes, and encodes to the same bytes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from rserpool.wire import asap, csp, enrp
from tests import pcaps

GOLDEN = Path(__file__).parents[2] / "golden"
CAPTURES = sorted(GOLDEN.glob("*.pcap"))
UDP_CODECS = {asap.PORT: asap, enrp.PORT: enrp, csp.PORT: csp}


def test_there_are_captures() -> None:
    assert len(CAPTURES) >= 10


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
def test_messages_over_sctp(capture: Path) -> None:
    for message in pcaps.user_messages(capture):
        codec = {asap.PPID: asap, enrp.PPID: enrp}.get(message.ppid)
        if codec is None:
            continue
        decoded = codec.decode(message.data)
        assert not isinstance(decoded, asap.Unknown | enrp.Unknown)
        assert codec.encode(decoded) == message.data


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
def test_messages_over_udp(capture: Path) -> None:
    for packet in pcaps.packets(capture):
        codec = UDP_CODECS.get(packet.dport)
        if packet.ip_proto == pcaps.UDP and codec is not None:
            decoded = codec.decode(packet.payload)
            if codec is csp:
                assert csp.decode(csp.encode(decoded)) == decoded  # texts end with what lay in the buffer
                assert len(csp.encode(decoded)) == len(packet.payload)
            else:
                assert codec.encode(decoded) == packet.payload


def test_the_captures_have_all_that_matters() -> None:
    seen: Counter[str] = Counter()
    for capture in CAPTURES:
        for message in pcaps.user_messages(capture):
            if message.ppid == asap.PPID:
                seen["asap " + asap.NAMES[message.data[0]]] += 1
            elif message.ppid == enrp.PPID:
                seen["enrp " + enrp.NAMES[message.data[0]]] += 1
    for name in asap.NAMES.values():
        if name not in ("ServerAnnounce", "BusinessCard", "Error", "EndpointUnreachable"):
            assert seen["asap " + name], name
    for name in enrp.NAMES.values():
        if name not in ("TakeoverServer", "Error"):
            assert seen["enrp " + name], name
