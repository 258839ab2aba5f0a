"""Pool member selection policy parameters: which numbers a policy carries, in which order.

RFC 5356 sections 3 to 5, the delay-aware policies' draft, and RSPLIB's private types. What the numbers mean for
the selection is in `rserpool.handlespace`.
"""

from __future__ import annotations

from struct import Struct

from . import causes
from .types import DecodeError, Policy

ROUND_ROBIN = 0x00000001
WEIGHTED_ROUND_ROBIN = 0x00000002
RANDOM = 0x00000003
WEIGHTED_RANDOM = 0x00000004
PRIORITY = 0x00000005
LEAST_USED = 0x40000001
LEAST_USED_DEGRADATION = 0x40000002
PRIORITY_LEAST_USED = 0x40000003
RANDOMIZED_LEAST_USED = 0x40000004
RANDOMIZED_PRIORITY_LEAST_USED = 0xB0001001
RANDOMIZED_LEAST_USED_DEGRADATION = 0xB0001002
PRIORITY_LEAST_USED_DEGRADATION = 0xB0001003
RANDOMIZED_PRIORITY_LEAST_USED_DEGRADATION = 0xB0001004
WEIGHTED_RANDOM_DPF = 0xB0002001
LEAST_USED_DPF = 0xB0002002
LEAST_USED_DEGRADATION_DPF = 0xB0002003
PRIORITY_LEAST_USED_DPF = 0xB0002004
PRIORITY_LEAST_USED_DEGRADATION_DPF = 0xB0002005

_LOAD = ("load",)
_DEGRADED = ("load", "load_degradation")
_DEGRADED_DPF = ("load", "load_degradation", "load_dpf", "distance")

LAYOUTS: dict[int, tuple[str, tuple[str, ...]]] = {  # type -> name, words
    ROUND_ROBIN: ("RoundRobin", ()),
    WEIGHTED_ROUND_ROBIN: ("WeightedRoundRobin", ("weight",)),
    RANDOM: ("Random", ()),
    WEIGHTED_RANDOM: ("WeightedRandom", ("weight",)),
    PRIORITY: ("Priority", ("priority",)),
    LEAST_USED: ("LeastUsed", _LOAD),
    LEAST_USED_DEGRADATION: ("LeastUsedDegradation", _DEGRADED),
    PRIORITY_LEAST_USED: ("PriorityLeastUsed", _DEGRADED),
    RANDOMIZED_LEAST_USED: ("RandomizedLeastUsed", _LOAD),
    RANDOMIZED_PRIORITY_LEAST_USED: ("RandomizedPriorityLeastUsed", _DEGRADED),
    RANDOMIZED_LEAST_USED_DEGRADATION: ("RandomizedLeastUsedDegradation", _DEGRADED),
    PRIORITY_LEAST_USED_DEGRADATION: ("PriorityLeastUsedDegradation", _DEGRADED),
    RANDOMIZED_PRIORITY_LEAST_USED_DEGRADATION: ("RandomizedPriorityLeastUsedDegradation", _DEGRADED),
    WEIGHTED_RANDOM_DPF: ("WeightedRandomDPF", ("weight", "weight_dpf", "distance")),
    LEAST_USED_DPF: ("LeastUsedDPF", ("load", "load_dpf", "distance")),
    LEAST_USED_DEGRADATION_DPF: ("LeastUsedDegradationDPF", _DEGRADED_DPF),
    # RSPLIB has no wire form for these two; theirs is the natural extension.
    PRIORITY_LEAST_USED_DPF: ("PriorityLeastUsedDPF", _DEGRADED_DPF),
    PRIORITY_LEAST_USED_DEGRADATION_DPF: ("PriorityLeastUsedDegradationDPF", _DEGRADED_DPF),
}
NAMES = {kind: name for kind, (name, _) in LAYOUTS.items()}
TYPES = {name: kind for kind, name in NAMES.items()}

_STRUCTS = {kind: Struct(f">{1 + len(words)}L") for kind, (_, words) in LAYOUTS.items()}
_TYPE = Struct(">L")
_SHORT_IS_INVALID_TLV = (WEIGHTED_RANDOM, RANDOMIZED_LEAST_USED)
_PLAIN = {kind: Policy(kind) for kind, (_, words) in LAYOUTS.items() if not words}


def encode(policy: Policy) -> bytes:
    """Return the value of a policy parameter. ValueError for a type that is not known."""
    layout = LAYOUTS.get(policy.type)
    if layout is None:
        raise ValueError(f"policy type 0x{policy.type:08x} is not known")
    return _STRUCTS[policy.type].pack(policy.type, *(getattr(policy, word) for word in layout[1]))


def decode(data: bytes, start: int, end: int) -> Policy:
    """Return the policy in ``data[start:end]``; surplus words are ignored. DecodeError."""
    if end - start < 4:
        raise DecodeError("policy without a type", causes.INVALID_VALUE, data[start - 4 : end])
    (kind,) = _TYPE.unpack_from(data, start)
    plain = _PLAIN.get(kind)
    if plain is not None:
        return plain
    layout = LAYOUTS.get(kind)
    if layout is None:
        raise DecodeError(f"policy type 0x{kind:08x} is not known", causes.UNSUPPORTED_POLICY)
    struct = _STRUCTS[kind]
    if end - start < struct.size:
        cause = causes.INVALID_TLV if kind in _SHORT_IS_INVALID_TLV else causes.INVALID_VALUE
        raise DecodeError(f"policy {layout[0]} is too short", cause, data[start - 4 : end])
    _, *words = struct.unpack_from(data, start)
    return Policy(kind, **dict(zip(layout[1], words)))
