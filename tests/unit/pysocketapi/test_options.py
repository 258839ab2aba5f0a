"""The tables of options: complete, documented, packed as Linux wants them."""

import dataclasses
import re
import struct
from pathlib import Path

import pytest

from pysocketapi import constants as c
from pysocketapi import structures as s
from pysocketapi.backends import kernel_linux, userland_options
from pysocketapi.options import OF_SOCKETS, OPTIONS, SocketOptions, as_structures

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "reference" / "socket-options.md").read_text()
# Sizes from include/uapi/linux/sctp.h on a 64-bit machine.
SIZES = {
    s.InitMsg: 8,
    s.SndRcvInfo: 32,
    s.SndInfo: 16,
    s.RcvInfo: 28,
    s.NxtInfo: 16,
    s.PrInfo: 8,
    s.AuthInfo: 2,
    s.RtoInfo: 16,
    s.AssocParams: 20,
    s.SetPrim: 132,
    s.SetPeerPrim: 132,
    s.SetAdaptation: 4,
    s.PaddrParams: 156,
    s.SackInfo: 12,
    s.AssocValue: 8,
    s.StreamValue: 8,
    s.Event: 8,
    s.EventSubscribe: 14,
    s.PaddrInfo: 152,
    s.Status: 176,
    s.UdpEncaps: 144,
    s.PaddrThlds: 144,
    s.PrStatus: 24,
    s.DefaultPrInfo: 12,
    s.AuthKeyId: 8,
    s.AddStreams: 8,
    s.ProbeInterval: 144,
}


@pytest.mark.parametrize("option", OPTIONS.values(), ids=lambda option: option.name)
def test_the_page_says_what_each_backend_has(option):
    row = re.search(rf"^\| `{option.name}` \|(.*)\|$", PAGE, re.M)
    assert row, "no row on the page"
    cells = [cell.strip() for cell in row[1].split("|")]
    assert cells[0] == f"`{option.type.__name__}`"
    assert cells[1] == ", ".join(word for word, on in (("get", option.get), ("set", option.set)) if on)
    assert cells[2] == option.where
    sockets = option.number in OF_SOCKETS
    assert cells[3] == ("yes" if sockets or option.number in userland_options.SUPPORTED else "no")
    assert cells[4] == ("yes" if sockets or option.number < 1000 else "no")


def test_the_page_has_no_other_rows():
    assert set(re.findall(r"^\| `(SCTP_\w+)`", PAGE, re.M)) == {option.name for option in OPTIONS.values()}


@pytest.mark.parametrize(("cls", "size"), SIZES.items(), ids=lambda value: getattr(value, "__name__", None))
def test_sizes_are_linuxs(cls, size):
    assert kernel_linux.LAYOUT.size_of(cls) == size


PACKABLE = [cls for cls in SIZES if cls not in (s.Status,)]


@pytest.mark.parametrize("cls", PACKABLE, ids=lambda cls: cls.__name__)
def test_what_is_packed_can_be_unpacked(cls):
    values = {}
    for i, field in enumerate(dataclasses.fields(cls), 1):
        if field.type == "bool":
            values[field.name] = bool(i % 2)
        elif field.name in ("addr", "address"):
            values[field.name] = ("192.0.2.7", 4711)
        else:
            values[field.name] = i
    value = cls(**values)
    packed = kernel_linux.LAYOUT.pack(value)
    assert len(packed) == SIZES[cls]
    assert kernel_linux.LAYOUT.unpack(cls, packed) == value


def test_identifiers_are_in_network_order_in_memory():
    packed = kernel_linux.LAYOUT.pack(s.SndInfo(ppid=11))
    assert packed[4:8] == b"\0\0\0\x0b"


def test_ipv6_addresses_are_packed():
    packed = kernel_linux.LAYOUT.pack(s.SetPrim(7, ("2001:db8::1", 99)))
    assert kernel_linux.LAYOUT.unpack(s.SetPrim, packed) == s.SetPrim(7, ("2001:db8::1", 99))
    (family,) = struct.unpack_from("=H", packed, 4)
    assert family == 10


@pytest.mark.parametrize(
    "value", [s.SndInfo(sid=-1), s.SndInfo(sid=70000), s.RtoInfo(initial=-1), s.PrInfo(policy=1 << 16)]
)
def test_numbers_that_do_not_fit_are_einval(value):
    with pytest.raises(OSError):
        kernel_linux.LAYOUT.pack(value)


def test_socket_options_become_structures():
    options = SocketOptions(streams=5, rto_min=0.3, heartbeat=0, nodelay=True, autoclose=7, remote_udp_port=9900)
    got = dict(as_structures(options))
    assert got[c.SCTP_INITMSG] == s.InitMsg(num_ostreams=5)
    assert got[c.SCTP_RTOINFO] == s.RtoInfo(min=300)
    assert got[c.SCTP_PEER_ADDR_PARAMS].flags == c.SPP_HB_DISABLE
    assert got[c.SCTP_NODELAY] is True and got[c.SCTP_AUTOCLOSE] == 7
    assert got[c.SCTP_REMOTE_UDP_ENCAPS_PORT] == s.UdpEncaps(port=9900)


def test_nothing_chosen_means_nothing_set():
    assert as_structures(SocketOptions()) == []


def test_every_option_has_a_number_of_its_own():
    assert len({getattr(c, option.name) for option in OPTIONS.values()}) == len(OPTIONS)
    assert all(getattr(c, option.name) == number for number, option in OPTIONS.items())
