"""The four small services (RFC 862, 863, 864, 867) as functions from a message to an answer."""

import time
from collections.abc import Callable

PRINTABLE = bytes(range(33, 127))


def echo(data: bytes) -> bytes:
    """Echo (RFC 862)."""
    return data


def discard(data: bytes) -> bytes:
    """Discard (RFC 863)."""
    return b""


def daytime(data: bytes) -> bytes:
    """Daytime (RFC 867)."""
    return time.strftime("%A, %d %B %Y %H:%M:%S %Z\n").encode()


def chargen(data: bytes) -> bytes:
    """Character generator (RFC 864), one line for each message."""
    start = len(data) % len(PRINTABLE)
    return (PRINTABLE[start:] + PRINTABLE[:start])[:72] + b"\n"


# Offset from the base port -> service. The well-known ports are 7, 9, 13 and 19: base port 7.
SERVICES: dict[int, Callable[[bytes], bytes]] = {0: echo, 2: discard, 6: daytime, 12: chargen}
