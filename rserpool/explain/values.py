"""The values of messages as text for people: identifiers, pools, elements, transports, policies, fields.

Identifiers are written like RSPLIB's programs do it: ``$`` and eight hexadecimal digits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from pysctplib.trace.explain import Explanation, Fields
from rserpool.wire import causes, policies
from rserpool.wire.types import (
    DCCP,
    INFINITE_LIFE,
    OPAQUE,
    SCTP,
    TCP,
    UDP,
    UDP_LITE,
    Policy,
    PoolElement,
    ServerInformation,
    Transport,
)

PROTOCOLS = {SCTP: "SCTP", TCP: "TCP", UDP: "UDP", DCCP: "DCCP", UDP_LITE: "UDP-Lite"}
FULL = 0xFFFFFFFF
SHOWN = 24  # bytes of data that are shown


def identifier(number: int) -> str:
    """An identifier."""
    return f"${number:08x}"


def pool(handle: bytes) -> str:
    """A pool handle in quotation marks."""
    return f'"{text_of(handle)}"'


def text_of(data: bytes) -> str:
    """Bytes as text; what cannot be printed is shown as ``\\xnn``."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = ""
    if text and text.isprintable():
        return text
    return "".join(chr(b) if 32 <= b < 127 else f"\\x{b:02x}" for b in data)


def octets(data: bytes) -> str:
    """How many bytes, and how they begin."""
    shown = text_of(data[:SHOWN])
    return f"{len(data)} bytes" + (f": {shown}{'...' if len(data) > SHOWN else ''}" if data else "")


def host_port(host: str, port: int) -> str:
    """An address with its port."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def transport(value: Transport) -> str:
    """Where something is reached."""
    if value.protocol == OPAQUE:
        return f"opaque transport {octets(value.opaque)}"
    name = PROTOCOLS.get(value.protocol, f"protocol {value.protocol}")
    where = ", ".join(host_port(address, value.port) for address in value.addresses)
    return f"{name} {where or f'port {value.port}'}" + (" with control channel" if value.control_channel else "")


def policy(value: Policy) -> str:
    """A policy and its numbers; fractions in per cent."""
    name, words = policies.LAYOUTS.get(value.type, (f"policy 0x{value.type:08x}", ()))
    shown = []
    for word in words:
        number = getattr(value, word)
        plain = word in ("weight", "priority", "distance")
        shown.append(f"{word.replace('_', ' ')} {number if plain else f'{100 * number / FULL:.0f}%'}")
    return name + (f" ({', '.join(shown)})" if shown else "")


def life(milliseconds: int) -> str:
    """A registration life."""
    return "without end" if milliseconds == INFINITE_LIFE else f"{milliseconds / 1000:g} s"


def error(code: int | None) -> str:
    """An error cause."""
    return "none" if code is None else f"{causes.text(code)} (0x{code:04x})"


def element(value: PoolElement) -> str:
    """A pool element with all that is known of it."""
    home = f", home {identifier(value.home)}" if value.home else ""
    return (
        f"{identifier(value.identifier)}{home}, life {life(value.life)}, {policy(value.policy)}, "
        f"{transport(value.user_transport)}"
        + (f", ASAP {transport(value.asap_transport)}" if value.asap_transport else "")
        + (f", UDP port {value.udp_port}" if value.udp_port else "")
    )


def server(value: ServerInformation) -> str:
    """A registrar and where it is reached."""
    return f"{identifier(value.identifier)}, {transport(value.transport)}" + (
        f", UDP port {value.udp_port}" if value.udp_port else ""
    )


def counted(number: int, noun: str) -> str:
    """A number of things."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def several(items: Sequence[Any], one: Callable[[Any], str], most: int = 3) -> str:
    """The first of some items, and how many more there are."""
    shown = ", ".join(map(one, items[:most]))
    return shown + (f" and {len(items) - most} more" if len(items) > most else "")


_BY_NAME: dict[str, Callable[[Any], str]] = {
    "handle": pool,
    "life": life,
    "error": error,
    **dict.fromkeys(("identifier", "registrar", "sender", "target"), identifier),
    "receiver": lambda number: identifier(number) if number else "all",
    "checksum": lambda number: f"0x{number:04x}",
}
_BY_TYPE: dict[type, Callable[[Any], str]] = {
    PoolElement: element,
    ServerInformation: server,
    Transport: transport,
    Policy: policy,
    bytes: octets,
    bool: lambda flag: "yes" if flag else "no",
}


def _value(name: str, value: Any) -> str:
    if value is None:
        return "none"
    teller = _BY_NAME.get(name) or _BY_TYPE.get(type(value))
    return teller(value) if teller else str(value)


def fields_of(message: Any) -> Fields:
    """The fields of a message of `rserpool.wire` or a service, by name, as text; lists give a field an item."""
    found: list[tuple[str, str]] = []
    if not is_dataclass(message):
        return ()
    for field in fields(message):
        name, value = field.name, getattr(message, field.name)
        shown = name.replace("_", " ")
        if isinstance(value, (list, tuple)):
            found.append((shown, str(len(value)) if value else "none"))
            for item in value[:16]:
                if isinstance(item, tuple) and len(item) == 2:  # an entry of a handle table
                    found.append(("  in " + pool(item[0]), element(item[1])))
                elif not isinstance(item, int):
                    found.append((f"  {shown.rstrip('s')}", _value("", item)))
        else:
            found.append((shown, _value(name, value)))
    return tuple(found)


Tellers = dict[type, tuple[str, str, str, Callable[[Any], str]]]  # name, section, procedure, words


def told(protocol: str, rfc: int, tellers: Tellers, message: Any) -> Explanation:
    """A message in words, by its protocol's table."""
    name, section, procedure, words = tellers[type(message)]
    more = f", procedure: section {procedure}" if procedure else ""
    return Explanation(
        f"{protocol}_{name}", words(message), f"RFC {rfc} section {section}{more}", fields_of(message)
    )
