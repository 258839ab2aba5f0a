"""The State Cookie: everything needed to make an association, signed, so that nothing is kept for an INIT.

RFC 9260 sections 5.1.3 and 5.1.5. HMAC-SHA-256 under a random key that is replaced every hour; the previous
one stays valid as long as cookies made with it can be. Format and meaning are private to this host. The
cookie holds nothing secret: tie-tags are random numbers, not the verification tags of a living association.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct

from ..errors import DecodeError

SPENT = 65536  # used cookies that are remembered at most, twice
KEY_LIFETIME = 3600.0  # seconds
MAC_SIZE = 32
_FIXED = Struct(">ddHHHLLLLLLHHL?BL")


@dataclass(slots=True)
class Cookie:
    """The association to be. Tags and TSNs as on the wire; times in seconds of the engine's clock."""

    adaptation: int | None
    source: str
    local_address: str
    addresses: list[str]
    created: float
    lifespan: float
    local_port: int
    peer_port: int
    udp_port: int
    local_tag: int
    peer_tag: int
    local_tie: int
    peer_tie: int
    local_tsn: int
    peer_tsn: int
    outbound_streams: int
    inbound_streams: int
    peer_rwnd: int
    forward_tsn: bool  # both know RFC 3758


class Jar:
    """Signs and opens cookies, and knows which were used. ``random_bytes(n)`` gives key material.

    A cookie makes one association. Who has a copy, be it a network that delivers packets twice, must not make
    another one with it when the first has ended. So the tags of used cookies are kept, in two generations: the
    older one is forgotten when the younger one is as old as a cookie can get, or full.
    """

    __slots__ = (
        "_born",
        "_key",
        "_longest",
        "_previous",
        "_random_bytes",
        "_spent",
        "_spent_before",
        "_spent_since",
    )

    def __init__(self, random_bytes: Callable[[int], bytes], now: float) -> None:
        self._random_bytes = random_bytes
        self._key = random_bytes(32)
        self._previous = random_bytes(32)
        self._born = now
        self._spent: set[int] = set()
        self._spent_before: set[int] = set()
        self._spent_since = now
        self._longest = 0.0

    def spend(self, cookie: Cookie, now: float) -> None:
        """Remember that this cookie made an association."""
        self._longest = max(self._longest, cookie.lifespan)
        if now - self._spent_since > self._longest or len(self._spent) >= SPENT:
            self._spent_before, self._spent, self._spent_since = self._spent, set(), now
        self._spent.add(cookie.local_tag)

    def spent(self, tag: int) -> bool:
        """Tell whether a cookie with this local tag made an association within the life of a cookie."""
        return tag in self._spent or tag in self._spent_before

    def _rotate(self, now: float) -> None:
        if now - self._born >= KEY_LIFETIME:
            self._previous, self._key, self._born = self._key, self._random_bytes(32), now

    def seal(self, cookie: Cookie, now: float) -> bytes:
        """Return the signed cookie."""
        self._rotate(now)
        body = _encode(cookie)
        return hmac.digest(self._key, body, "sha256") + body

    def open(self, data: bytes) -> Cookie:
        """Return the cookie if its signature is right; else DecodeError. Lifetime is the caller's check."""
        mac, body = data[:MAC_SIZE], data[MAC_SIZE:]
        if not any(hmac.compare_digest(hmac.digest(k, body, "sha256"), mac) for k in (self._key, self._previous)):
            raise DecodeError("the cookie's signature is wrong")
        return _decode(body)


def _encode(cookie: Cookie) -> bytes:
    addresses = " ".join((cookie.source, cookie.local_address, *cookie.addresses)).encode()
    adaptation = cookie.adaptation
    fixed = _FIXED.pack(
        cookie.created, cookie.lifespan, cookie.local_port, cookie.peer_port, cookie.udp_port,
        cookie.local_tag, cookie.peer_tag, cookie.local_tie, cookie.peer_tie, cookie.local_tsn, cookie.peer_tsn,
        cookie.outbound_streams, cookie.inbound_streams, cookie.peer_rwnd, cookie.forward_tsn,
        adaptation is not None, adaptation or 0,
    )  # fmt: skip
    return fixed + addresses


def _decode(body: bytes) -> Cookie:
    # The signature was right, so the form is ours.
    source, local, *addresses = body[_FIXED.size :].decode().split(" ")
    *numbers, has_adaptation, adaptation = _FIXED.unpack_from(body)
    return Cookie(adaptation if has_adaptation else None, source, local, addresses, *numbers)
