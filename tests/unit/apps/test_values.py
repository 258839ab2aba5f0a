"""What options' values mean: RSPLIB's address syntax, identifiers, times, policies."""

import pytest
from rserpool_apps import values
from rserpool_apps.values import Address

from rserpool.wire.types import Policy


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("10.1.2.3", Address(("10.1.2.3",), 0)),
        ("10.1.2.3:3863", Address(("10.1.2.3",), 3863)),
        ("10.1.2.3!3863", Address(("10.1.2.3",), 3863)),
        ("[2001:db8::1]", Address(("2001:db8::1",), 0)),
        ("[2001:db8::1]:9901", Address(("2001:db8::1",), 9901)),
        ("2001:db8::1", Address(("2001:db8::1",), 0)),
        ("2001:db8::1!9901", Address(("2001:db8::1",), 9901)),
        ("127.0.0.1:3863/20001", Address(("127.0.0.1",), 3863, 20001)),
        ("[::1]:3863/20001", Address(("::1",), 3863, 20001)),
        ("10.0.0.1:7,[2001:db8::2]:8,10.0.0.3", Address(("10.0.0.1", "2001:db8::2", "10.0.0.3"), 7)),
        ("10.0.0.1,10.0.0.1", Address(("10.0.0.1",), 0)),
    ],
)
def test_addresses(written, expected):
    assert values.address()(written) == expected


def test_names_are_resolved():
    assert "127.0.0.1" in values.address(5)("localhost").addresses
    assert values.address(5)("localhost").port == 5
    assert values.address(5)("localhost:0").port == 0


@pytest.mark.parametrize(
    "written",
    ["", ",", ":7", "10.0.0.1:", "10.0.0.1:x", "10.0.0.1:65536", "10.0.0.1:1/x", "[::1", "[::1]7", "x" * 128,
     "10.0.0.1:-1", "no.such.host.invalid:7", "10.0.0.1:7,,"],
)  # fmt: skip
def test_bad_addresses(written):
    with pytest.raises(ValueError):
        values.address()(written)


def test_a_port_can_be_demanded():
    with pytest.raises(ValueError, match="address:port"):
        values.address(need_port=True)("10.0.0.1")


def test_identifiers():
    convert = values.identifier(32)
    assert [convert(x) for x in ("0x1234abcd", "$1234ABCD", "305441741")] == [0x1234ABCD, 0x1234ABCD, 305441741]
    for bad in ("", "$", "0x123456789", "-1", "xyz"):
        with pytest.raises(ValueError):
            convert(bad)


def test_switches_and_times():
    assert (values.switch("on"), values.switch("off")) == (True, False)
    assert values.milliseconds(10)("250.5") == 0.2505
    assert values.seconds()("2.5") == 2.5
    for bad in ("nan", "inf", "-1", "", "9"):
        with pytest.raises(ValueError):
            values.milliseconds(10, 1000)(bad)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("RoundRobin", Policy(1)),
        ("WeightedRoundRobin:3", Policy(2, weight=3)),
        ("WeightedRandomDPF:3:1.0", Policy(0xB0002001, weight=3, weight_dpf=0xFFFFFFFF)),
        ("Priority:7", Policy(5, priority=7)),
        ("LeastUsed", Policy(0x40000001)),
        ("LeastUsedDegradation:0.5", Policy(0x40000002, load_degradation=0x80000000)),
        ("LeastUsedDegradationDPF:0:1", Policy(0xB0002003, load_dpf=0xFFFFFFFF)),
        ("RandomizedPriorityLeastUsed", Policy(0xB0001001)),
        ("PriorityLeastUsedDegradationDPF:0.1:0", Policy(0xB0002005, load_degradation=429496730)),
    ],
)
def test_policies(written, expected):
    assert values.policy(written) == expected


@pytest.mark.parametrize(
    "written", ["", "roundrobin", "RoundRobin:1", "Priority", "Priority:x", "LeastUsedDPF:1.5", "WeightedRandom:0"]
)
def test_bad_policies(written):
    with pytest.raises(ValueError):
        values.policy(written)


def test_every_policy_of_the_wire_can_be_asked_for():
    from rserpool.wire.policies import TYPES

    assert set(values.POLICIES) == set(TYPES)
