"""How the programs of rspdemo find each other on this host: options, made of what turns out to be possible."""

from __future__ import annotations

import asyncio
import random
import socket
from contextlib import ExitStack
from dataclasses import dataclass

from pysocketapi.aio import open_endpoint
from pysocketapi.transport import Transport

from .options import Values

SILENT = ("-asapannounce=off", "-enrpannounce=off")
COMMON = ("-transport=userland",)


@dataclass(frozen=True, slots=True)
class Place:
    """Options of each registrar, and those of all others; ``words`` say what is unusual about the place."""

    registrars: tuple[tuple[str, ...], ...]
    others: tuple[str, ...]
    words: str = ""


def free_udp_ports(count: int) -> list[int]:
    """UDP ports of loopback that are free now."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def multicast_passes(group: str, port: int) -> bool:
    """Whether a datagram to a multicast group comes back by loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((group, port))
            membership = socket.inet_aton(group) + socket.inet_aton("127.0.0.1")
            probe.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
            probe.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
            probe.settimeout(0.5)
            probe.sendto(b"rspdemo", (group, port))
            return probe.recv(64) == b"rspdemo"
        except OSError:
            return False


async def shared_port_works() -> str:
    """ "" if this host's programs can share UDP port 9899; else a sentence saying why not."""
    try:
        async with asyncio.timeout(5):
            endpoint = await open_endpoint((), 0, transport=Transport("userland"), listen=False)
            await endpoint.close()
    except OSError as error:
        return f"UDP port 9899 cannot be used ({error.strerror or error}): each program gets a port of its own."
    return ""


def named(ports: list[tuple[int, int]], udp: list[int]) -> tuple[tuple[str, ...], ...]:
    """Options of registrars at these (ASAP, ENRP) ports that know each other; ``udp``: their UDP ports, if any."""
    behind = [f"/{port}" for port in udp] or [""] * len(ports)
    own: list[tuple[str, ...]] = [(f"-udp-port={port}",) for port in udp]
    own = own or [()] * len(ports)
    return tuple(
        (*COMMON, *SILENT, *own[i], f"-asap=127.0.0.1:{asap}", f"-enrp=127.0.0.1:{enrp}",
         *(f"-peer=127.0.0.1:{other}{behind[j]}" for j, (_, other) in enumerate(ports) if j != i))
        for i, (asap, enrp) in enumerate(ports)
    )  # fmt: skip


async def choose_place(values: Values, registrars: int) -> Place:
    """Find out what this host allows; fall back to private ports and fixed addresses, with a word about it."""
    words = "" if values.private else await shared_port_works()
    if not registrars:
        return Place((), (*COMMON, "-asapannounce=off"), words)
    if values.private or words:
        udp = free_udp_ports(registrars)
        ports = [(3863 + i, 9901 + i) for i in range(registrars)]
        known = tuple(f"-registrar=127.0.0.1:{3863 + i}/{port}" for i, port in enumerate(udp))
        others = (*COMMON, "-udp-port=0", "-asapannounce=off", *known)
        return Place(named(ports, udp), others, words or "Each program has a UDP port of its own.")
    group, port = "239.0.0.50", random.randint(20000, 29999)
    if not values.no_multicast and multicast_passes(group, port):
        # A group port of its own: nobody else's pools are touched.
        announce = f"-asapannounce={group}:{port}"
        registrar = (*COMMON, announce, f"-enrpannounce=239.0.0.51:{port + 1}")
        return Place((registrar,) * registrars, (*COMMON, announce))
    ports = [(port + 2 * i, port + 2 * i + 1) for i in range(registrars)]
    others = (*COMMON, "-asapannounce=off", *(f"-registrar=127.0.0.1:{asap}" for asap, _ in ports))
    return Place(named(ports, []), others, "No multicast here: registrars are named.")
