"""FreeBSD's layouts, byte by byte, and its libc's calls. tests/interop compares them with libusrsctp's."""

import ctypes
import dataclasses
import errno
import struct

import pytest

from pysocketapi import constants as c
from pysocketapi import notifications as n
from pysocketapi import structures as s
from pysocketapi.backends.kernel_calls import FreeBsdCalls
from pysocketapi.backends.kernel_freebsd import LAYOUT
from pysocketapi.options import OPTIONS

# Sizes from FreeBSD 14's sys/netinet/sctp_uio.h on a 64-bit machine.
SIZES = {
    s.InitMsg: 8,
    s.SndRcvInfo: 128,
    s.SndInfo: 16,
    s.RcvInfo: 28,
    s.NxtInfo: 16,
    s.PrInfo: 8,
    s.DefaultPrInfo: 12,
    s.AuthInfo: 2,
    s.RtoInfo: 16,
    s.AssocParams: 20,
    s.SetPrim: 136,
    s.SetPeerPrim: 136,
    s.SetAdaptation: 4,
    s.PaddrParams: 152,
    s.PaddrThlds: 144,
    s.PaddrInfo: 152,
    s.SackInfo: 12,
    s.AssocValue: 8,
    s.StreamValue: 8,
    s.Event: 8,
    s.EventSubscribe: 11,
    s.Status: 176,
    s.AuthKeyId: 8,
    s.UdpEncaps: 136,
    s.PrStatus: 24,
    s.AddStreams: 8,
}
FOUR = bytes([16, 2]) + struct.pack("!H", 4711) + bytes([192, 0, 2, 7]) + bytes(8)


@pytest.mark.parametrize(("cls", "size"), SIZES.items(), ids=lambda value: getattr(value, "__name__", None))
def test_sizes(cls, size):
    assert LAYOUT.size_of(cls) == size


# Bytes as a little-endian machine has them.
BYTES = [
    (s.SndInfo(1, c.SCTP_UNORDERED | c.SCTP_EOF, 11, 7, 3), "0100 0005 0000000b 07000000 03000000"),
    (s.PrInfo(c.SCTP_PR_SCTP_RTX, 5), "0300 0000 05000000"),
    (s.DefaultPrInfo(3, 900, c.SCTP_PR_SCTP_TTL), "0100 0000 84030000 03000000"),
    (s.RtoInfo(3, 1, 2, 4), "03000000 01000000 02000000 04000000"),
    (s.AssocParams(3, 10, 1, 2, 4, 5), "03000000 02000000 04000000 05000000 0a00 0100"),
    (s.Event(3, c.SCTP_SENDER_DRY_EVENT, True), "03000000 0a00 01 00"),
    (s.EventSubscribe(association=True, stream_reset=True), "00 01 00 00 00 00 00 00 00 00 01"),
    (s.AuthKey(3, 2, b"abc"), "03000000 0200 0300 616263"),
    (s.ResetStreams(3, 2, (5, 6)), "03000000 0200 0200 0500 0600"),
    (s.SetPrim(3, ("192.0.2.7", 4711)), FOUR.hex() + "00" * 112 + "03000000 00000000"),
    (s.UdpEncaps(3, None, 9899), "00" * 128 + "03000000 26ab 0000"),
    (s.PaddrThlds(3, None, 6, 2), "00" * 128 + "03000000 0600 0200 ffff" + "00" * 6),
    (
        s.PaddrParams(3, None, 1000, 4, 1400, 0, c.SPP_HB_ENABLE, 9, 8),
        "00" * 128 + "03000000 e8030000 78050000 01000000 09000000 0400 08 00",
    ),
]


@pytest.mark.skipif(struct.pack("=H", 1) != b"\1\0", reason="the bytes are a little-endian machine's")
@pytest.mark.parametrize(("value", "expected"), BYTES, ids=lambda value: type(value).__name__)
def test_bytes(value, expected):
    assert LAYOUT.pack(value).hex() == expected.replace(" ", "")
    if type(value) in LAYOUT.rows and not isinstance(value, s.PaddrThlds):
        assert LAYOUT.unpack(type(value), LAYOUT.pack(value)) == value


@pytest.mark.parametrize("cls", [cls for cls in SIZES if cls is not s.Status], ids=lambda cls: cls.__name__)
def test_what_is_packed_can_be_unpacked(cls):
    known = {"policy": c.SCTP_PR_SCTP_PRIO, "type": c.SCTP_SHUTDOWN_EVENT, "state": c.SCTP_ACTIVE}
    numbers = {"flags": c.SCTP_UNORDERED} if cls is not s.PaddrParams else {}
    values = {}
    rows = {name for name, _ in LAYOUT.rows[cls][1]}
    for i, field in enumerate((f for f in dataclasses.fields(cls) if f.name in rows), 1):
        if field.name in known or field.name in numbers:
            values[field.name] = known.get(field.name, numbers.get(field.name))
        elif field.name in ("addr", "address") and field.type != "bool":
            values[field.name] = ("2001:db8::7", 4711)
        else:
            values[field.name] = bool(i % 2) if field.type == "bool" else i
    value = cls(**values)
    assert LAYOUT.unpack(cls, LAYOUT.pack(value)) == value


def test_status():
    path = LAYOUT.pack(s.PaddrInfo(3, ("192.0.2.7", 4711), c.SCTP_UNCONFIRMED, 1, 2, 3, 1500))
    data = struct.pack("=IiIHHHHI", 3, 0x80, 9, 1, 2, 4, 5, 1400) + path
    status = LAYOUT.unpack(s.Status, data)
    assert (status.state, status.instrms, status.fragmentation_point) == (c.SCTP_SHUTDOWN_PENDING, 4, 1400)
    assert (status.primary.address, status.primary.state) == (("192.0.2.7", 4711), c.SCTP_UNCONFIRMED)


def note(type_, flags, form, *values, rest=b""):
    body = struct.pack("=" + form, *values) + rest
    return struct.pack("=HHI", type_, flags, 8 + len(body)) + body


SND = LAYOUT.pack(s.SndInfo(1, 0, 11, 7, 3))
NOTES = [
    (note(1, 0, "HHHHI", 2, 12, 10, 11, 3, rest=b"why"), n.AssocChange(3, c.SCTP_COMM_LOST, 12, 10, 11, b"why")),
    (
        note(2, 0, "128sIII", FOUR, 6, 0, 3),
        n.PeerAddrChange(3, ("192.0.2.7", 4711), c.SCTP_ADDR_CONFIRMED),
    ),
    (note(3, 0, "H2xI", 9, 3, rest=b"data"), n.RemoteErrorEvent(3, 9, b"data")),
    (note(5, 0, "I", 3), n.ShutdownEvent(3)),
    (note(6, 0, "II", 77, 3), n.AdaptationEvent(3, 77)),
    (note(7, 0, "IHHI", 1, 4, 5, 3), n.PartialDeliveryEvent(3, c.SCTP_PARTIAL_DELIVERY_ABORTED, 4, 5)),
    (note(8, 0, "HHII", 1, 0, 3, 3), n.AuthenticationEvent(3, 1, 0, c.SCTP_AUTH_FREE_KEY)),
    (note(9, 1, "I", 3, rest=struct.pack("=2H", 4, 5)), n.StreamResetEvent(3, (4, 5), 1)),
    (note(10, 0, "I", 3), n.SenderDryEvent(3)),
    (note(12, 0, "III", 3, 8, 9), n.AssocResetEvent(3, 8, 9)),
    (note(13, 0, "IHH", 3, 8, 9), n.StreamChangeEvent(3, 8, 9)),
    (
        note(14, 2, "I16sI", 5, SND, 3, rest=b"lost"),
        n.SendFailedEvent(3, 5, s.SndInfo(1, 0, 11, 7, 3), b"lost", c.SCTP_DATA_SENT),
    ),
]


@pytest.mark.parametrize(("data", "expected"), NOTES, ids=lambda value: type(value).__name__)
def test_notifications(data, expected):
    assert LAYOUT.unpack_notification(data) == expected


def test_what_freebsd_has_not_is_said():
    with pytest.raises(OSError) as caught:
        LAYOUT.option(c.SCTP_PLPMTUD_PROBE_INTERVAL)
    assert caught.value.errno == errno.ENOPROTOOPT
    with pytest.raises(OSError) as caught:
        LAYOUT.pack(s.PrInfo(0x70))
    assert caught.value.errno == errno.EINVAL
    assert LAYOUT.unpack_notification(note(99, 0, "I", 1)) is None


def test_every_option_of_the_table_can_be_packed():
    for option in OPTIONS.values():
        if option.number in (LAYOUT.options or {}) and option.type not in (int, bool):
            assert option.type in LAYOUT.rows or option.type in LAYOUT.packing, option.name


class Libc:
    """FreeBSD's functions, as far as they can be without FreeBSD."""

    def __init__(self):
        self.calls = []
        self.held = ctypes.create_string_buffer(FOUR + LAYOUT.pack_address(("2001:db8::7", 9)))
        self.errno = 0

    def sctp_bindx(self, fd, packed, count, flags):
        self.calls.append((fd, packed, count, flags))
        return 0

    def sctp_connectx(self, fd, packed, count, assoc_id):
        assoc_id._obj.value = 5
        if self.errno:
            ctypes.set_errno(self.errno)
            return -1
        return 0

    def sctp_peeloff(self, fd, assoc_id):
        return 40 + assoc_id.value

    def sctp_getpaddrs(self, fd, assoc_id, pointer):
        pointer._obj.value = ctypes.addressof(self.held)
        return 2

    def sctp_freepaddrs(self, pointer):
        self.calls.append("freed")


def test_calls_of_libc():
    libc = Libc()
    calls = FreeBsdCalls(LAYOUT, libc)
    calls.bindx(7, FOUR, 1, False)
    assert libc.calls == [(7, FOUR, 1, 0x8002)]
    assert calls.connectx(7, FOUR, 1) == 5
    libc.errno = errno.EINPROGRESS
    assert calls.connectx(7, FOUR, 1) == 5
    libc.errno = errno.ECONNREFUSED
    with pytest.raises(ConnectionRefusedError):
        calls.connectx(7, FOUR, 1)
    assert calls.peeloff(7, 2) == 42
    assert calls.addresses(7, True, 2) == [("192.0.2.7", 4711), ("2001:db8::7", 9)]
    assert libc.calls[-1] == "freed"
