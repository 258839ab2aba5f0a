"""attacker: one misbehaving component, to try how a registrar of one's own bears it.

Registrations of ever new pool elements that serve nobody, or handle resolutions and false reports of unreachable
elements, at a given rate: what the registrar's -maxhrrate, -maxeurate and -maxbadpereports are for (RFC 5352
section 6). It speaks to the one registrar that the options name or that it hears, as any pool user does; a
registrar of another host is left alone unless -remote says that this is wanted.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from rserpool.asap.client import as_handle
from rserpool.errors import NoRegistrar, RSerPoolError
from rserpool.scopes import usable
from rserpool.session import Library, PoolElement
from rserpool.wire.types import MAX_ADDRESSES, SCTP, Policy, Transport
from rserpool.wire.types import PoolElement as Record

from .common import SHARED, perform
from .library import no_registrar, settings_of
from .logs import Output
from .options import Group, Option, Program, Values, fail
from .testregistrator import send_away
from .values import FULL, choice, identifier, integer, policy, pool_handle, real, seconds

LIFE = 72_000_000  # milliseconds, of registrations
FASTEST = 0.0001  # seconds between two requests
OUTSTANDING = 1000  # requests without answer, with -dontwait
TYPES = ("registration", "handleresolution")

PROGRAM = Program(
    "attacker",
    "Behaves badly towards a registrar of yours, at a rate that you choose, to show how it bears that: "
    "registrations of pool elements that do not serve, or handle resolutions with false reports.",
    (
        Group(
            "Attack",
            (
                Option("type", "what is sent", choice(*TYPES), TYPES[0], "|".join(TYPES)),
                Option("interval", "time between two requests", seconds(FASTEST, 86_400), "1", "S"),
                Option("count", "end after so many requests", integer(1, 2**63), metavar="N", shown="never"),
                Option("poolhandle", "the pool", pool_handle, "EchoPool", "NAME"),
                Option("port", "SCTP port that is registered", integer(0, 65535), "0", "PORT", shown="any"),
                Option("identifier", "identifier of the pool element", identifier(32), "0", "ID",
                       shown="a new one each time"),
                Option("policy", "its policy, as for rspserver", policy, "RoundRobin", "POLICY"),
                Option("loaddegoverride", "load degradation instead of that of -policy", real(0, 1),
                       metavar="0..1"),
                Option("dontwait", "do not wait for the answer to a registration"),
                Option("reportunreachableprobability", "probability of reporting an element that was found as "
                       "unreachable", real(0, 1), "0", "0..1"),
                Option("remote", "the registrar may be of another host; it is yours"),
            ),
            "For experiments with registrars that you run yourself.",
        ),
        *SHARED,
    ),
    examples=(
        ("attacker -type=handleresolution -interval=0.001 -reportunreachableprobability=1",
         "Reports all elements of the pool EchoPool as dead; rspregistrar -maxhrrate=10 -maxeurate=1 bears it."),
    ),
)  # fmt: skip


class Remote(Exception):
    """The registrar is of another host."""


async def aim(library: Library, values: Values) -> None:
    """Wait for a registrar. Raises Remote, NoRegistrar."""
    link = await library.wait_registrar(library.settings.connect_timeout * library.settings.connect_trials)
    if not link.local and not values.remote:
        raise Remote(f"the registrar ${link.identifier:08x} at {link.addresses[0]} is of another host")


def policy_of(values: Values) -> Policy:
    """The policy, perhaps with another load degradation."""
    chosen: Policy = values.policy
    if values.loaddegoverride is None:
        return chosen
    return replace(chosen, load_degradation=round(values.loaddegoverride * FULL))


async def register(library: Library, place: PoolElement, values: Values, out: Output) -> None:
    """Register an element of a new identifier, or the same again."""
    own = values.identifier or random.randrange(1, 1 << 32)
    handle, chosen = as_handle(values.poolhandle), policy_of(values)

    def record(local: bool) -> Record:
        home = library.registrar.identifier if library.registrar is not None else 0
        addresses = usable(place.addresses, local)[:MAX_ADDRESSES]
        transport = Transport(SCTP, place.port, addresses, True)
        return Record(own, home, LIFE, transport, chosen, udp_port=library.asap.udp_port)

    library.asap.add_element(handle, own, lambda: None)  # keep-alives are answered
    try:
        await library.asap.register(handle, record)
        out.stamped(f"(Re-)Registration successful, ID is ${own:08x}")
    except RSerPoolError as error:
        library.asap.remove_element(handle, own)
        out.stamped(f"(Re-)Registration failed: {error}")


async def resolve(library: Library, values: Values, out: Output) -> None:
    """Resolve the pool handle, and slander what comes."""
    try:
        elements = await library.resolve(values.poolhandle, 1)
    except RSerPoolError as error:
        out.stamped(f"Selected 0 items: {error}")
        return
    out.stamped(f"Selected {len(elements)} items")
    for element in elements:
        if random.random() < values.reportunreachableprobability:
            await library.report_unreachable(values.poolhandle, element.identifier)
            out.line(f"   => Endpoint Unreachable for ID ${element.identifier:08x}")


async def attack(once: Callable[[], Awaitable[None]], values: Values, wait: bool) -> None:
    """Do it at the given rate, as often as was asked for."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    running: set[asyncio.Future[None]] = set()
    done = 0
    while values.count is None or done < values.count:
        done += 1
        task = asyncio.ensure_future(once())
        running.add(task)
        task.add_done_callback(running.discard)
        if wait:
            await task
        elif len(running) >= OUTSTANDING:
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        due = max(due + values.interval, loop.time())
        if done != values.count:
            await asyncio.sleep(due - loop.time())
    await asyncio.gather(*running)


def start_text(values: Values, transport: str) -> list[str]:
    """The text at the start, in RSPLIB's form."""
    title = "RSerPool Attack Tester - Version 1.0"
    rows = [
        ("Attack Type", values.type),
        ("Attack Interval", f"{values.interval * 1e6:.0f}us"),
        ("Pool Handle", values.poolhandle),
        ("Port", str(values.port)),
        ("Identifier", f"${values.identifier:08x}"),
        ("Load Degradation", f"${policy_of(values).load_degradation:08x}"),
        ("Do not wait for result", "yes" if values.dontwait else "no"),
        ("Report Unreachable Pr.", f"{100 * values.reportunreachableprobability:.2f}%"),
        ("Transport", transport),
    ]
    return [title, "=" * len(title), "", *(f"{name:<23}= {value}" for name, value in rows), ""]


async def work(values: Values, out: Output, transport: str) -> int:
    """Find the registrar and attack it."""
    for line in start_text(values, transport):
        out.line(line)
    async with Library(settings_of(values)) as library:
        try:
            await aim(library, values)
        except NoRegistrar:
            return fail(PROGRAM, no_registrar(values))
        except Remote as error:
            return fail(PROGRAM, f"{error}; if it is yours, say so: -remote")
        if values.type == "handleresolution":
            await attack(lambda: resolve(library, values, out), values, wait=True)
            return 0
        place = PoolElement(library, values.poolhandle, port=values.port)
        await place.listen()
        sending_away = asyncio.create_task(send_away(place))
        try:
            await attack(lambda: register(library, place, values, out), values, wait=not values.dontwait)
        finally:
            sending_away.cancel()
    return 0


def main(words: Sequence[str]) -> int:
    """Run the program with these command line words; return its exit status."""
    return perform(PROGRAM, words, work)


def run() -> int:
    """The installed program."""
    return main(sys.argv[1:])
