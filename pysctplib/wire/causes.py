"""Error causes of ABORT and ERROR chunks: bytes <-> (code, value).

RFC 9260 section 3.3.10. A cause has the form of a parameter; codes have no high-bit rule.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from typing import TypeAlias

from . import params

INVALID_STREAM = 1
MISSING_PARAMETER = 2
STALE_COOKIE = 3
OUT_OF_RESOURCE = 4
UNRESOLVABLE_ADDRESS = 5
UNRECOGNIZED_CHUNK = 6
INVALID_PARAMETER = 7
UNRECOGNIZED_PARAMETERS = 8
NO_USER_DATA = 9
COOKIE_WHILE_SHUTTING_DOWN = 10
RESTART_NEW_ADDRESSES = 11
USER_ABORT = 12
PROTOCOL_VIOLATION = 13

NAMES = {
    INVALID_STREAM: "Invalid Stream Identifier",
    MISSING_PARAMETER: "Missing Mandatory Parameter",
    STALE_COOKIE: "Stale Cookie",
    OUT_OF_RESOURCE: "Out of Resource",
    UNRESOLVABLE_ADDRESS: "Unresolvable Address",
    UNRECOGNIZED_CHUNK: "Unrecognized Chunk Type",
    INVALID_PARAMETER: "Invalid Mandatory Parameter",
    UNRECOGNIZED_PARAMETERS: "Unrecognized Parameters",
    NO_USER_DATA: "No User Data",
    COOKIE_WHILE_SHUTTING_DOWN: "Cookie Received While Shutting Down",
    RESTART_NEW_ADDRESSES: "Restart of an Association with New Addresses",
    USER_ABORT: "User-Initiated Abort",
    PROTOCOL_VIOLATION: "Protocol Violation",
}

Cause: TypeAlias = tuple[int, bytes]
_STREAM = Struct(">HH")


def decode(data: bytes) -> list[Cause]:
    """Return the causes in ``data``; DecodeError if a length is wrong."""
    return params.decode(data)


def encode(causes: Iterable[Cause], room: int = 65531) -> bytes:
    """Return the causes, padded but for the last, in at most ``room`` bytes.

    What is too long is cut, with a length that is right.
    """
    listed = []
    for code, value in causes:
        if room < 4:
            break
        value = value[: room - 4]
        listed.append((code, value))
        room -= 4 + ((len(value) + 3) & ~3)
    return params.encode(listed)


def invalid_stream(stream: int) -> Cause:
    """Cause 1 for a stream identifier."""
    return (INVALID_STREAM, _STREAM.pack(stream, 0))


def missing_parameters(types: list[int]) -> Cause:
    """Cause 2 for a list of parameter types."""
    return (MISSING_PARAMETER, params.U32.pack(len(types)) + b"".join(params.U16.pack(t) for t in types))


def stale_cookie(microseconds: int) -> Cause:
    """Cause 3: by how many microseconds the lifetime was exceeded; capped to 32 bits."""
    return (STALE_COOKIE, params.U32.pack(min(max(microseconds, 0), 0xFFFFFFFF)))


def no_user_data(tsn: int) -> Cause:
    """Cause 9 for the TSN of an empty DATA chunk."""
    return (NO_USER_DATA, params.U32.pack(tsn))


def new_addresses(addresses: Iterable[str], room: int = 65527) -> Cause:
    """Cause 11 with the addresses that a restarting peer added, as many as fit into ``room`` bytes."""
    return (RESTART_NEW_ADDRESSES, params.encode(params.fitting(map(params.encode_address, addresses), room)))
