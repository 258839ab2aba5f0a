"""The distance that DPF policies count in, in milliseconds (draft-dreibholz-rserpool-delay)."""

from __future__ import annotations

from dataclasses import replace

from rserpool.handlespace.policies import POLICIES
from rserpool.wire.types import Policy


def distance(round_trip: float | None, step: int) -> int:
    """Half a round trip (seconds) in milliseconds, rounded to multiples of ``step``; 0 if unknown."""
    if round_trip is None:
        return 0
    return round(round_trip * 500.0 / step) * step


def with_distance(policy: Policy, round_trip: float | None, step: int, before: int) -> Policy:
    """The policy with our distance plus the distance ``before`` us; unchanged if it knows none."""
    kind = POLICIES.get(policy.type)
    if kind is None or not kind.distance:
        return policy
    return replace(policy, distance=min(0xFFFFFFFF, before + distance(round_trip, step)))
