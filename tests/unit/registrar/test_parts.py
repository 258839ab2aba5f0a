"""Scopes and visibility of addresses, rate limits, distance, settings."""

from dataclasses import replace

import pytest

from rserpool.handlespace import policies as p
from rserpool.registrar.config import PROFILES, RegistrarConfig, with_profile
from rserpool.registrar.distance import distance, with_distance
from rserpool.registrar.limits import BUCKETS, RateLimit, bucket_of
from rserpool.scopes import is_local, narrow_record, scope, usable
from rserpool.wire.policies import LAYOUTS
from rserpool.wire.types import SCTP, Policy, PoolElement, Transport


@pytest.mark.parametrize(
    "address, expected",
    [
        ("0.0.0.0", 0),
        ("::", 0),
        ("nonsense", 0),
        ("127.0.0.1", 2),
        ("127.255.1.2", 2),
        ("255.255.255.255", 2),
        ("::1", 2),
        ("::ffff:127.0.0.1", 2),
        ("ff01::1", 1),
        ("ff02::1", 3),
        ("fe80::1", 4),
        ("fe80::1%eth0", 4),
        ("169.254.1.1", 4),
        ("ff05::1", 5),
        ("10.1.2.3", 6),
        ("172.16.0.1", 6),
        ("172.31.255.255", 6),
        ("192.168.9.9", 6),
        ("fec0::1", 6),
        ("ff08::1", 7),
        ("ff0e::1", 8),
        ("239.0.0.50", 8),
        ("172.32.0.1", 10),
        ("8.8.8.8", 10),
        ("198.51.100.1", 10),
        ("2001:db8::1", 10),
        ("fc00::1", 10),
        ("fd00:255::1", 10),
    ],
)
def test_scopes_are_rsplibs(address, expected):
    assert scope(address) == expected


MIXED = ("127.0.0.1", "10.1.1.1", "fe80::1", "8.8.8.8", "239.0.0.1")


@pytest.mark.parametrize(
    "local, setting, expected",
    [
        (True, "auto", ("127.0.0.1", "10.1.1.1", "8.8.8.8")),
        (False, "auto", ("10.1.1.1", "8.8.8.8")),
        (True, "loopback", ("127.0.0.1", "10.1.1.1", "8.8.8.8")),
        (False, "loopback", ("10.1.1.1", "8.8.8.8")),
        (True, "sitelocal", ("10.1.1.1", "8.8.8.8")),
        (False, "global", ("8.8.8.8",)),
    ],
)
def test_loopback_stays_on_this_host(local, setting, expected):
    assert usable(MIXED, local, setting) == expected


def test_who_is_on_this_host():
    host = ("127.0.0.1", "10.1.1.1", "172.17.0.1")
    assert is_local(("127.0.0.1",), host)
    assert is_local(("10.1.1.1", "127.0.0.1"), host)
    # Another host may have the same bridge address; it has one of its own as well.
    assert not is_local(("172.17.0.1", "10.1.1.2"), host)
    assert not is_local((), host)


def test_records_without_an_address_for_others_are_not_told():
    transport = Transport(SCTP, 1, ("127.0.0.1",))
    record = PoolElement(1, 2, 3, transport, Policy(1), transport)
    assert narrow_record(record, True) is record
    assert narrow_record(record, False) is None
    both = replace(record, user_transport=Transport(SCTP, 1, ("127.0.0.1", "10.0.0.1")))
    assert narrow_record(both, False) is None  # nobody else could reach its ASAP side
    both = replace(both, asap_transport=None)
    assert narrow_record(both, False).user_transport.addresses == ("10.0.0.1",)


def test_rate_is_measured_over_the_last_sixteen_events():
    limit = RateLimit()
    assert all(limit.admit(b"EchoPool", -1, 0.0) for _ in range(1000))
    assert limit.admit(b"EchoPool", 10, 0.0)
    assert not limit.admit(b"EchoPool", 10, 0.0)  # two in no time
    assert limit.admit(b"OtherPool", 10, 0.0)
    calm = RateLimit()
    assert all(calm.admit(b"P", 10, i * 0.125) for i in range(100))
    quick = RateLimit()
    answers = [quick.admit(b"P", 10, i * 0.05) for i in range(100)]
    assert answers[0] and not any(answers[5:])
    assert quick.admit(b"P", 10, 100.0)


def test_buckets():
    assert bucket_of(b"A") == 0x41000000 % BUCKETS
    assert bucket_of(b"EchoPool") == (0x4563686F ^ 0x506F6F6C) % BUCKETS
    assert {bucket_of(b"%d" % i) for i in range(10_000)} <= set(range(BUCKETS))


@pytest.mark.parametrize("kind", p.POLICIES.values(), ids=lambda kind: kind.name)
def test_every_policy_that_carries_a_distance_gets_one(kind):
    """The two with priority and DPF did not: their elements were all equally far."""
    carries = "distance" in LAYOUTS[kind.type][1]
    assert with_distance(Policy(kind.type), 0.2, 50, 70).distance == (170 if carries else 0)


def test_distance():
    assert [distance(x, 50) for x in (None, 0.0, 0.1, 0.149, 0.151, 1.0)] == [0, 0, 50, 50, 100, 500]
    near = Policy(p.LEAST_USED_DPF, distance=999)
    assert with_distance(near, 0.2, 50, 0).distance == 100
    assert with_distance(near, 0.2, 50, 70).distance == 170
    plain = Policy(p.ROUND_ROBIN)
    assert with_distance(plain, 0.2, 50, 70) is plain


@pytest.mark.parametrize(
    "setting",
    [
        {"announce_ttl": 0},
        {"announce_ttl": 256},
        {"autoclose": 4},
        {"server_announce_cycle": 0.05},
        {"max_bad_reports": 0},
        {"max_answer_items": 0},
        {"max_table_items": 1025},
        {"identifier": 1 << 32},
        {"min_address_scope": "host"},
    ],
)
def test_settings_out_of_range_name_themselves(setting):
    with pytest.raises(ValueError, match=next(iter(setting))):
        RegistrarConfig(**setting).validate()


def test_profiles_are_valid():
    for name in PROFILES:
        with_profile(RegistrarConfig(), name).validate()
    assert with_profile(RegistrarConfig(), "rfc").max_last_heard == 61
    with pytest.raises(ValueError, match="rsplib"):
        with_profile(RegistrarConfig(), "slow")
