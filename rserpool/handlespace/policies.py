"""Pool member selection policies as a table (RFC 5356 §3 to §5, drafts for the DPF variants, RSPLIB's own).

A policy orders its elements (first = best), or draws them at random by value, or goes round. ``update``
changes an element's state on selection; `selection` applies it when an element is taken and again when it is
put back, as RSPLIB does, so that both yield the same sequences. Fractions are integers 0..0xffffffff.
What a policy does not know: containers, timers, registrars.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rserpool.handlespace.element import Element
from rserpool.wire.policies import (
    LEAST_USED,
    LEAST_USED_DEGRADATION,
    LEAST_USED_DEGRADATION_DPF,
    LEAST_USED_DPF,
    PRIORITY,
    PRIORITY_LEAST_USED,
    PRIORITY_LEAST_USED_DEGRADATION,
    PRIORITY_LEAST_USED_DEGRADATION_DPF,
    PRIORITY_LEAST_USED_DPF,
    RANDOM,
    RANDOMIZED_LEAST_USED,
    RANDOMIZED_LEAST_USED_DEGRADATION,
    RANDOMIZED_PRIORITY_LEAST_USED,
    RANDOMIZED_PRIORITY_LEAST_USED_DEGRADATION,
    ROUND_ROBIN,
    WEIGHTED_RANDOM,
    WEIGHTED_RANDOM_DPF,
    WEIGHTED_ROUND_ROBIN,
)

FULL = 0xFFFFFFFF  # the fraction 1.0


Order = Callable[[Element], "int | tuple[int, int]"]


@dataclass(frozen=True, slots=True)
class PolicyKind:
    """A policy: ``order`` for sorted policies, ``value`` for random ones, neither for Round Robin."""

    type: int
    name: str  # RSPLIB's name for it, as in ``-policy=``
    order: Order | None = None  # smallest first; ties go by sequence
    value: Callable[[Element], int] | None = None  # chance of being drawn, >= 0
    uniform: bool = False  # value is the same for all
    initialise: Callable[[Element, Element | None], None] | None = None  # new element, current first
    update: Callable[[Element], None] | None = None
    degrades: bool = False  # its state restarts with each registration
    adaptive: bool = False  # has a load: elements re-register when it changes
    distance: bool = False  # registrars add their distance to it


def _weight(element: Element) -> int:
    return element.record.policy.weight


def _start_round(element: Element, first: Element | None) -> None:
    element.round = first.round if first is not None else 0
    element.virtual = max(1, _weight(element))


def _next_virtual(element: Element) -> None:
    if element.virtual > 1:
        element.virtual -= 1
    else:
        element.round += 1
        element.virtual = max(1, _weight(element))


def _round(element: Element) -> tuple[int, int]:
    return element.round, element.virtual


def _highest_priority(element: Element) -> int:
    return -element.record.policy.priority


def _start_degradation(element: Element, first: Element | None) -> None:
    element.degradation = 0


def _degrade(element: Element) -> None:
    element.degradation = min(FULL, element.degradation + element.record.policy.load_degradation)


def _load(element: Element) -> int:
    return element.record.policy.load


def _degraded_load(element: Element) -> int:
    return min(FULL, element.record.policy.load + element.degradation)


def _next_load(element: Element) -> int:
    policy = element.record.policy
    return min(FULL, policy.load + policy.load_degradation)


def _next_degraded_load(element: Element) -> int:
    policy = element.record.policy
    return min(FULL, policy.load + policy.load_degradation + element.degradation)


def _distant_load(element: Element) -> int:
    policy = element.record.policy
    return min(FULL, policy.load + policy.distance * policy.load_dpf)


def _distant_degraded_load(element: Element) -> int:
    return min(FULL, _distant_load(element) + element.degradation)


def _next_distant_load(element: Element) -> int:
    return min(FULL, _distant_load(element) + element.record.policy.load_degradation)


def _next_distant_degraded_load(element: Element) -> int:
    return min(FULL, _next_distant_load(element) + element.degradation)


def _one(element: Element) -> int:
    return 1


def _near_weight(element: Element) -> int:
    policy = element.record.policy
    value = policy.weight - round(policy.weight * (policy.distance * (policy.weight_dpf / FULL)))
    return value if value >= 0 else 1


def _capacity(element: Element) -> int:
    # At least 1: a pool of fully loaded elements still has an answer.
    return max(1, FULL - element.record.policy.load)


def _next_capacity(element: Element) -> int:
    return max(1, FULL - _next_load(element))


POLICIES: dict[int, PolicyKind] = {
    kind.type: kind
    for kind in (
        PolicyKind(ROUND_ROBIN, "RoundRobin"),
        PolicyKind(
            WEIGHTED_ROUND_ROBIN,
            "WeightedRoundRobin",
            order=_round,
            initialise=_start_round,
            update=_next_virtual,
        ),
        PolicyKind(RANDOM, "Random", value=_one, uniform=True),
        PolicyKind(WEIGHTED_RANDOM, "WeightedRandom", value=_weight),
        PolicyKind(PRIORITY, "Priority", order=_highest_priority),
        PolicyKind(LEAST_USED, "LeastUsed", order=_load, adaptive=True),
        PolicyKind(
            LEAST_USED_DEGRADATION,
            "LeastUsedDegradation",
            order=_degraded_load,
            initialise=_start_degradation,
            update=_degrade,
            degrades=True,
            adaptive=True,
        ),
        PolicyKind(PRIORITY_LEAST_USED, "PriorityLeastUsed", order=_next_load, adaptive=True),
        PolicyKind(
            PRIORITY_LEAST_USED_DEGRADATION,
            "PriorityLeastUsedDegradation",
            order=_next_degraded_load,
            initialise=_start_degradation,
            update=_degrade,
            degrades=True,
            adaptive=True,
        ),
        PolicyKind(RANDOMIZED_LEAST_USED, "RandomizedLeastUsed", value=_capacity, adaptive=True),
        PolicyKind(
            RANDOMIZED_LEAST_USED_DEGRADATION, "RandomizedLeastUsedDegradation", value=_capacity, adaptive=True
        ),
        PolicyKind(
            RANDOMIZED_PRIORITY_LEAST_USED, "RandomizedPriorityLeastUsed", value=_next_capacity, adaptive=True
        ),
        PolicyKind(
            RANDOMIZED_PRIORITY_LEAST_USED_DEGRADATION,
            "RandomizedPriorityLeastUsedDegradation",
            value=_next_capacity,
            adaptive=True,
        ),
        PolicyKind(WEIGHTED_RANDOM_DPF, "WeightedRandomDPF", value=_near_weight, distance=True),
        PolicyKind(LEAST_USED_DPF, "LeastUsedDPF", order=_distant_load, adaptive=True, distance=True),
        PolicyKind(
            LEAST_USED_DEGRADATION_DPF,
            "LeastUsedDegradationDPF",
            order=_distant_degraded_load,
            initialise=_start_degradation,
            update=_degrade,
            degrades=True,
            adaptive=True,
            distance=True,
        ),
        PolicyKind(
            PRIORITY_LEAST_USED_DPF,
            "PriorityLeastUsedDPF",
            order=_next_distant_load,
            adaptive=True,
            distance=True,
        ),
        PolicyKind(
            PRIORITY_LEAST_USED_DEGRADATION_DPF,
            "PriorityLeastUsedDegradationDPF",
            order=_next_distant_degraded_load,
            initialise=_start_degradation,
            update=_degrade,
            degrades=True,
            adaptive=True,
            distance=True,
        ),
    )
}

POLICY_BY_NAME: dict[str, PolicyKind] = {kind.name: kind for kind in POLICIES.values()}
