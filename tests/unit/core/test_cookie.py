"""The State Cookie: what is signed is what comes out; everything else is refused (RFC 9260 section 5.1.5)."""

import random

import pytest

from pysctplib.core.cookie import KEY_LIFETIME, Cookie, Jar
from pysctplib.errors import DecodeError


def make(adaptation=None):
    return Cookie(
        adaptation, "192.0.2.1", "", ["192.0.2.1", "2001:db8::1"],
        12.5, 60.0, 7, 5000, 9899, 0xFFFFFFFF, 1, 0, 2, 3, 4, 10, 65535, 0xFFFFFFFF, True,
    )  # fmt: skip


@pytest.fixture
def jar():
    return Jar(random.Random(1).randbytes, 0.0)


@pytest.mark.parametrize("adaptation", [None, 0, 0xFFFFFFFF])
def test_round_trip(jar, adaptation):
    cookie = make(adaptation)
    assert jar.open(jar.seal(cookie, 1.0)) == cookie


def test_every_bit_counts(jar):
    sealed = jar.seal(make(), 1.0)
    for position in range(len(sealed)):
        with pytest.raises(DecodeError):
            jar.open(sealed[:position] + bytes([sealed[position] ^ 1]) + sealed[position + 1 :])


@pytest.mark.parametrize("data", [b"", b"x", bytes(32), bytes(200)])
def test_what_was_not_sealed_is_refused(jar, data):
    with pytest.raises(DecodeError):
        jar.open(data)


def test_truncated_and_extended_cookies_are_refused(jar):
    sealed = jar.seal(make(), 1.0)
    for wrong in (sealed[:-1], sealed + b"\0"):
        with pytest.raises(DecodeError):
            jar.open(wrong)


def test_another_jar_refuses(jar):
    with pytest.raises(DecodeError):
        Jar(random.Random(2).randbytes, 0.0).open(jar.seal(make(), 1.0))


def test_keys_rotate_and_the_previous_one_stays_valid(jar):
    old = jar.seal(make(), 1.0)
    new = jar.seal(make(), KEY_LIFETIME + 1)
    assert new[:32] != old[:32]
    assert jar.open(old) == jar.open(new) == make()
    jar.seal(make(), 2 * KEY_LIFETIME + 2)
    with pytest.raises(DecodeError):
        jar.open(old)
