"""CSP reports: limits, texts, numbers of components."""

import pytest

from rserpool.wire import csp
from rserpool.wire.types import DecodeError


def report(**more):
    return csp.Report(csp.component(csp.POOL_ELEMENT, 0x12345678), 1_000_000, 333_000, **more)


def test_layout():
    data = csp.encode(
        report(location="here", status="up", workload=1.0, associations=[csp.Association(1, None, 132, 11)])
    )
    assert len(data) == 288 + 24
    assert data[:28].hex() == "01000138" + "00000200" + "0200000012345678" + "00000000000f4240" + "000514c8"
    assert data[28:33] == b"here\0" and data[156:159] == b"up\0"
    assert data[284:288].hex() == "fffe0001"
    assert data[288:].hex() == "0000000000000001" + "f" * 16 + "0000" + "0084" + "0000000b"


def test_round_trip():
    first = report(
        location="host: 10.0.0.1:1234",
        status="ü",
        workload=0.5,
        associations=[csp.Association(7, 5, 6, 33), csp.Association(8, None, 17, 0)],
    )
    assert csp.decode(csp.encode(first)) == first
    assert csp.decode(csp.encode(report(final=True))).final
    assert csp.decode(csp.encode(report())).workload is None


def test_long_texts_are_cut_between_characters():
    data = csp.encode(report(status="x" * 126 + "ü"))
    assert csp.decode(data).status == "x" * 126
    full = bytearray(csp.encode(report()))
    full[156:284] = b"y" * 128
    assert csp.decode(bytes(full)).status == "y" * 128


@pytest.mark.parametrize(
    "change", [lambda d: d[:287], lambda d: d + b"x", lambda d: b"\2" + d[1:], lambda d: d[:6] + b"\1" + d[7:]]
)
def test_what_is_no_report(change):
    with pytest.raises(DecodeError):
        csp.decode(change(csp.encode(report())))


@pytest.mark.parametrize("more", [{"workload": 1.1}, {"workload": -0.1}, {"associations": [None] * 3000}])
def test_what_cannot_be_sent(more):
    with pytest.raises(ValueError):
        csp.encode(report(**more))


def test_numbers_of_components():
    number = csp.component(csp.POOL_USER, 0xFFFFFFFFFFFFFFFF)
    assert csp.group_of(number) == csp.POOL_USER and csp.identifier_of(number) == csp.OBJECT_MASK
