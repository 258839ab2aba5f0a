"""What the values of options mean: numbers with ranges, times, addresses, policies, on/off.

Each function returns the value or raises ValueError with a text for the user. Addresses are those of RSPLIB
(``host``, ``host:port``, ``[ipv6]:port``, ``host!port``, lists with commas), with ``/udpport`` behind the port for
peers whose SCTP is not at UDP port 9899 (docs/design.md section 5).
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

from rserpool.wire import policies
from rserpool.wire.types import Policy

if TYPE_CHECKING:
    from rserpool.security.tls import Tls

MAX_ADDRESS = 127  # characters
FULL = 0xFFFFFFFF


def text(value: str) -> str:
    """Any text but an empty one."""
    if not value:
        raise ValueError("must not be empty")
    return value


def pool_handle(value: str) -> str:
    """A pool handle, at most 32 bytes (RSPLIB's limit)."""
    if not 1 <= len(value.encode()) <= 32:
        raise ValueError("a pool handle has 1 to 32 bytes")
    return value


def _range(low: float, high: float) -> str:
    return f"at least {low:.12g}" if high >= 1e9 else f"in {low:.12g}..{high:.12g}"


def integer(low: int, high: int) -> Callable[[str], int]:
    """Whole numbers of a range."""

    def convert(value: str) -> int:
        try:
            number = int(value)
        except ValueError:
            raise ValueError(f"not a whole number {_range(low, high)}") from None
        if not low <= number <= high:
            raise ValueError(f"must be {_range(low, high)}")
        return number

    return convert


def capped(low: int, high: int) -> Callable[[str], int]:
    """Whole numbers of at least ``low``; ``high`` in place of larger ones."""
    convert = integer(low, FULL)
    return lambda value: min(convert(value), high)


def real(low: float, high: float) -> Callable[[str], float]:
    """Numbers of a range."""

    def convert(value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            raise ValueError(f"not a number {_range(low, high)}") from None
        if not low <= number <= high:
            raise ValueError(f"must be {_range(low, high)}")
        return number

    return convert


def milliseconds(low: float = 0, high: float = 3_600_000_000) -> Callable[[str], float]:
    """A time given in milliseconds, as seconds."""
    number = real(low, high)

    def convert(value: str) -> float:
        try:
            return number(value) / 1000
        except ValueError as error:
            raise ValueError(f"{error} (milliseconds)") from None

    return convert


def seconds(low: float = 0, high: float = 1e9) -> Callable[[str], float]:
    """A time given in seconds."""
    number = real(low, high)

    def convert(value: str) -> float:
        try:
            return number(value)
        except ValueError as error:
            raise ValueError(f"{error} (seconds)") from None

    return convert


def choice(*words: str) -> Callable[[str], str]:
    """One of some words."""

    def convert(value: str) -> str:
        if value not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return value

    return convert


def switch(value: str) -> bool:
    """``on`` or ``off``."""
    return choice("on", "off")(value) == "on"


def identifier(bits: int) -> Callable[[str], int]:
    """An identifier, hexadecimal with ``0x`` (or ``$``, as it is printed) or decimal; 0 means a random one."""

    def convert(value: str) -> int:
        digits, base = (value[1:], 16) if value.startswith("$") else (value, 0)
        try:
            number = int(digits, base)
        except ValueError:
            raise ValueError("not an identifier: 0x and hexadecimal digits, or a decimal number") from None
        if not 0 <= number < 1 << bits:
            raise ValueError(f"identifiers have {bits} bits")
        return number

    return convert


@dataclass(frozen=True, slots=True)
class Address:
    """Numeric addresses of one endpoint, its port (0: none given) and UDP port (None: 9899)."""

    addresses: tuple[str, ...]
    port: int
    udp_port: int | None = None
    tcp: bool = False


def _port(value: str, name: str) -> int:
    if not value.isascii() or not value.isdigit() or int(value) > 65535:
        raise ValueError(f"{value!r} is no {name}")
    return int(value)


def _split(value: str) -> tuple[str, int | None, int | None]:
    """The host, port and UDP port of one address as it was written."""
    if not value:
        raise ValueError("an address is empty")
    if len(value) > MAX_ADDRESS:
        raise ValueError(f"an address has at most {MAX_ADDRESS} characters")
    if value.startswith("["):
        host, bracket, rest = value[1:].partition("]")
        if not bracket or (rest and rest[0] not in ":!"):
            raise ValueError("an IPv6 address with port is written [address]:port")
        port = rest[1:] if rest else None
    elif "!" in value:
        host, _, port = value.rpartition("!")
    elif value.count(":") == 1:
        host, _, port = value.partition(":")
    else:
        host, port = value, None
    if not host:
        raise ValueError("an address has no host")
    if port is None:
        return host, None, None
    number, slash, udp = port.partition("/")
    return host, _port(number, "port"), _port(udp, "UDP port") if slash else None


def resolve(host: str) -> tuple[str, ...]:
    """The numeric addresses of a host name. ValueError if it has none."""
    try:
        return (str(ip_address(host)),)
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        raise ValueError(f"cannot resolve {host}: {error}") from None
    addresses = [str(entry[4][0]) for entry in found]
    # A single-host set-up must not depend on whether IPv6 is switched on: 127.0.0.1 before ::1.
    return tuple(sorted(dict.fromkeys(addresses), key=lambda a: ":" in a))


def address(default_port: int = 0, need_port: bool = False) -> Callable[[str], Address]:
    """One endpoint: an address, or several with commas, which all have the port of the first."""

    def convert(value: str) -> Address:
        found: list[str] = []
        port: int | None = None
        udp: int | None = None
        for place, part in enumerate(value.split(",")):
            host, part_port, part_udp = _split(part)
            if place == 0:
                port, udp = part_port, part_udp
            found += [a for a in resolve(host) if a not in found]
        if need_port and not port:
            raise ValueError("a port is needed: address:port")
        return Address(tuple(found), default_port if port is None else port, udp)

    return convert


def address_or(default_port: int, *words: str) -> Callable[[str], Address | str]:
    """An address, or one of some words such as ``auto`` and ``off``."""
    one = address(default_port)

    def convert(value: str) -> Address | str:
        return value if value in words else one(value)

    return convert


# The policies of the command line and what follows their names, in order.
POLICIES: dict[str, tuple[str, ...]] = {
    "RoundRobin": (),
    "WeightedRoundRobin": ("weight",),
    "Random": (),
    "WeightedRandom": ("weight",),
    "WeightedRandomDPF": ("weight", "weight_dpf"),
    "Priority": ("priority",),
    "LeastUsed": (),
    "LeastUsedDPF": ("load_dpf",),
    "LeastUsedDegradation": ("load_degradation",),
    "LeastUsedDegradationDPF": ("load_degradation", "load_dpf"),
    "PriorityLeastUsed": ("load_degradation",),
    "PriorityLeastUsedDPF": ("load_degradation", "load_dpf"),
    "PriorityLeastUsedDegradation": ("load_degradation",),
    "PriorityLeastUsedDegradationDPF": ("load_degradation", "load_dpf"),
    "RandomizedLeastUsed": (),
    "RandomizedLeastUsedDegradation": ("load_degradation",),
    "RandomizedPriorityLeastUsed": (),
    "RandomizedPriorityLeastUsedDegradation": ("load_degradation",),
}
_WHOLE = ("weight", "priority")


def policy(value: str) -> Policy:
    """A policy with its parameters: ``Priority:7``, ``LeastUsedDegradationDPF:0.1:0.5``."""
    name, *numbers = value.split(":")
    fields = POLICIES.get(name)
    if fields is None:
        raise ValueError(f"unknown policy; there are {', '.join(POLICIES)}")
    if len(numbers) != len(fields):
        pattern = ":".join([name, *(f.upper().replace("_", "-") for f in fields)])
        raise ValueError(f"it is written -policy={pattern}")
    words: dict[str, int] = {}
    for field, number in zip(fields, numbers):
        try:
            if field in _WHOLE:
                words[field] = integer(0, FULL)(number)
            else:
                words[field] = round(real(0.0, 1.0)(number) * FULL)
        except ValueError as error:
            raise ValueError(f"{field.replace('_', ' ')} {number!r}: {error}") from None
    if "weight" in words and words["weight"] == 0:
        raise ValueError("a weight of 0 would never be selected; it must be at least 1")
    return Policy(policies.TYPES[name], **words)


def tls_files(value: str) -> Tls:
    """The PEM files of TLS: authority, own certificate, its key; read at once."""
    from rserpool.security.contexts import parse  # it needs `cryptography`, which takes its time to import

    return parse(value)


def registrar(default_port: int) -> Callable[[str], Address]:
    """A registrar for `-registrar=`: an endpoint, or with ``tcp:`` in front one that is reached by TCP."""
    by_sctp, by_tcp = address(default_port, need_port=True), address(default_port)

    def convert(value: str) -> Address:
        rest = value.removeprefix("tcp:")
        if rest == value:
            return by_sctp(value)
        found = by_tcp(rest)
        return Address(found.addresses, found.port or default_port, tcp=True)

    return convert
