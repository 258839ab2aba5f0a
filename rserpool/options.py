"""The library's options on a command line, as every RSPLIB program takes them, in one table.

Also policies as text, addresses as text. Programs' own options are their own affair.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from rserpool.settings import ANNOUNCE_GROUP, CSP_MIN_INTERVAL, CSP_PORT, Settings, StaticRegistrar
from rserpool.wire import asap, policies
from rserpool.wire.types import Policy


@dataclass(frozen=True, slots=True)
class Option:
    """One option: ``-name=METAVAR``. ``take`` puts a value into Settings or raises ValueError."""

    name: str
    metavar: str
    help: str
    default: str
    take: Callable[[Settings, str], None]


# Values as text


def number(text: str, low: int = 0, high: int = 0xFFFFFFFF) -> int:
    """Return a number written decimal or as 0x... ValueError unless it is in low..high."""
    try:
        value = int(text, 16) if text[:2].lower() == "0x" else int(text, 10)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None
    if not low <= value <= high:
        raise ValueError(f"{text} is not in {low}..{high}")
    return value


def _host_and_port(text: str, port: int) -> tuple[str, int]:
    """Split ``host``, ``host:port``, ``[host]:port``; ``!`` may stand for the colon."""
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or (rest and rest[0] not in ":!"):
            raise ValueError(f"{text!r} is not an address")
        rest = rest[1:]
    elif text.count(":") > 1:
        host, _, rest = text.partition("!")  # an IPv6 address without brackets
    else:
        host, _, rest = text.replace("!", ":").partition(":")
    if not host:
        raise ValueError(f"{text!r} has no host")
    return host, number(rest, 0, 65535) if rest else port


def resolve(host: str) -> str:
    """Return a host's address in canonical form. ValueError if there is none."""
    try:
        return str(ip_address(host))
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise ValueError(f"there is no address of {host!r}: {error}") from None
    return str(ip_address(str(found[0][4][0]).partition("%")[0]))


def address(text: str, port: int = 0) -> tuple[str, int]:
    """Return address and port of ``host:port``; ``port`` where none is written. ValueError."""
    host, found = _host_and_port(text, port)
    return resolve(host), found


def addresses(text: str, port: int = 0) -> tuple[tuple[str, ...], int, int | None]:
    """Return addresses, port and UDP port of ``host:port[/udpport],...``; all take the first one's ports."""
    hosts: list[str] = []
    ports: list[int] = []
    udp_ports: list[int | None] = []
    for part in text.split(","):
        plain, slash, udp = part.partition("/")
        host, found = address(plain, port)
        hosts.append(host)
        ports.append(found)
        udp_ports.append(number(udp, 1, 65535) if slash else None)
    return tuple(dict.fromkeys(hosts)), ports[0], udp_ports[0]


def fraction(text: str) -> int:
    """Return 0..0xffffffff for a fraction written as 0.0..1.0. ValueError."""
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a fraction") from None
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{text} is not in 0.0..1.0")
    return round(value * 0xFFFFFFFF)


_GIVEN: dict[str, tuple[str, ...]] = {  # what is written behind a policy's name, and how
    "WeightedRoundRobin": ("weight",),
    "WeightedRandom": ("weight",),
    "Priority": ("priority",),
    "WeightedRandomDPF": ("weight", "weight_dpf"),
    "LeastUsedDegradation": ("load_degradation",),
    "PriorityLeastUsed": ("load_degradation",),
    "RandomizedPriorityLeastUsed": ("load_degradation",),
    "RandomizedLeastUsedDegradation": ("load_degradation",),
    "PriorityLeastUsedDegradation": ("load_degradation",),
    "RandomizedPriorityLeastUsedDegradation": ("load_degradation",),
    "LeastUsedDPF": ("load_dpf",),
    "LeastUsedDegradationDPF": ("load_degradation", "load_dpf"),
    "PriorityLeastUsedDPF": ("load_degradation", "load_dpf"),
    "PriorityLeastUsedDegradationDPF": ("load_degradation", "load_dpf"),
}
_WHOLE = ("weight", "priority")


def parse_policy(text: str) -> Policy:
    """Return the policy of ``Name`` or ``Name:value[:value]``: weights and priorities whole, the rest 0.0..1.0."""
    name, *values = text.split(":")
    kind = policies.TYPES.get(name)
    if kind is None:
        raise ValueError(f"there is no policy {name!r}; there are {', '.join(sorted(policies.TYPES))}")
    words = _GIVEN.get(name, ())
    if len(values) != len(words):
        form = ":".join((name, *(word.upper() for word in words)))
        raise ValueError(f"policy {name} is written {form}, not {text!r}")
    found = {w: number(v) if w in _WHOLE else fraction(v) for w, v in zip(words, values)}
    return Policy(kind, **found)


def policy_text(policy: Policy) -> str:
    """Return a policy as `parse_policy` reads it."""
    name = policies.NAMES.get(policy.type)
    if name is None:
        return f"policy 0x{policy.type:08x}"
    values = ((word, getattr(policy, word)) for word in _GIVEN.get(name, ()))
    return ":".join((name, *(str(v) if w in _WHOLE else f"{v / 0xFFFFFFFF:g}" for w, v in values)))


# Options


def _registrar(settings: Settings, text: str) -> None:
    rest = text.removeprefix("tcp:")
    tcp = rest != text
    hosts, port, udp_port = addresses(rest, asap.PORT if tcp else 0)
    if not port:
        raise ValueError(f"registrar {text!r} needs a port, as in {text.partition(',')[0]}:{asap.PORT}")
    settings.registrars.insert(0, StaticRegistrar(hosts, port, udp_port, tcp))


def _announce(settings: Settings, text: str) -> None:
    if text in ("off", "none"):
        settings.announce = None
    elif text == "auto":
        settings.announce = ANNOUNCE_GROUP
    else:
        group = address(text, asap.PORT)
        if not ip_address(group[0]).is_multicast:
            raise ValueError(f"{group[0]} is not a multicast address")
        settings.announce = group


def _csp_server(settings: Settings, text: str) -> None:
    settings.csp_server = address(text, CSP_PORT)


def _csp_interval(settings: Settings, text: str) -> None:
    value = number(text) / 1000.0
    settings.csp_interval = max(value, CSP_MIN_INTERVAL) if value else 0.0


def _csp_identifier(settings: Settings, text: str) -> None:
    settings.csp_identifier = number(text, 0, (1 << 56) - 1)


def _tls(settings: Settings, text: str) -> None:
    from rserpool.security.contexts import parse  # it needs `cryptography`, which takes its time to import

    settings.tls = parse(text)


def _milliseconds(name: str) -> Callable[[Settings, str], None]:
    def take(settings: Settings, text: str) -> None:
        setattr(settings, name, number(text, 1) / 1000.0)

    return take


def _count(name: str) -> Callable[[Settings, str], None]:
    def take(settings: Settings, text: str) -> None:
        setattr(settings, name, number(text, 1, 1000))

    return take


OPTIONS: tuple[Option, ...] = (
    Option(
        "registrar",
        "[tcp:]HOST:PORT[,...]",
        "a registrar, with all its addresses; may be repeated; tcp: for pool users without SCTP",
        "none",
        _registrar,
    ),
    Option("asapannounce", "auto|off|GROUP[:PORT]", "listen to announces of registrars", "auto", _announce),
    Option(
        "registrarannouncetimeout",
        "MS",
        "how long an announce is believed",
        "5000",
        _milliseconds("announce_timeout"),
    ),
    Option("registrarconnecttimeout", "MS", "time to reach a registrar", "7500", _milliseconds("connect_timeout")),
    Option("registrarconnectmaxtrials", "N", "rounds of looking for a registrar", "1", _count("connect_trials")),
    Option("registrarrequesttimeout", "MS", "time to send a request", "3000", _milliseconds("request_timeout")),
    Option("registrarresponsetimeout", "MS", "time for an answer", "3000", _milliseconds("response_timeout")),
    Option("registrarrequestmaxtrials", "N", "how often a request is sent", "1", _count("request_trials")),
    Option("tls", "CA[,CERT,KEY]", "speak TLS with registrars: PEM files", "off", _tls),
    Option("cspserver", "HOST[:PORT]", "monitor that gets status reports", "$CSP_SERVER", _csp_server),
    Option("cspinterval", "MS", "interval of status reports, at least 250", "$CSP_INTERVAL", _csp_interval),
    Option("cspidentifier", "ID", "identifier in status reports", "random", _csp_identifier),
)
_BY_NAME = {option.name: option for option in OPTIONS}


def take(settings: Settings, argument: str) -> bool:
    """Take one argument, ``-name=value`` or ``--name=value``, into the settings; False if it is not the library's.

    ``--csp-server`` is ``-cspserver`` as well. Raises ValueError with a text for people.
    """
    name, equals, value = argument.partition("=")
    if not name.startswith("-"):
        return False
    option = _BY_NAME.get(name.lstrip("-").replace("-", ""))
    if option is None:
        return False
    if not equals or not value:
        raise ValueError(f"-{option.name} needs a value: -{option.name}={option.metavar}")
    try:
        option.take(settings, value)
    except ValueError as error:
        raise ValueError(f"-{option.name}: {error}") from None
    return True


def from_environment(settings: Settings, environment: Mapping[str, str] = os.environ) -> None:
    """Take CSP_SERVER and CSP_INTERVAL into the settings. Raises ValueError with a text for people."""
    for variable, taker in (("CSP_SERVER", _csp_server), ("CSP_INTERVAL", _csp_interval)):
        value = environment.get(variable)
        if value:
            try:
                taker(settings, value)
            except ValueError as error:
                raise ValueError(f"{variable}: {error}") from None
