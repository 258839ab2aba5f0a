"""testregistrator: registers many pool elements in one or several pools, to try what registrars do with them.

All have one endpoint in common, which sends away whoever comes: they are there to be registered, kept alive and
found, not to serve.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Sequence

from rserpool.errors import NoRegistrar, RSerPoolError
from rserpool.session import Library, PoolElement
from rserpool.wire import policies
from rserpool.wire.types import SCTP, Policy, Transport

from .common import SHARED, perform
from .library import no_registrar, settings_of
from .logs import Output
from .options import Group, Option, Program, Values, fail
from .values import FULL, POLICIES, integer, milliseconds, policy, text

MAX_ELEMENTS = 50_000
INTERVAL = 60.0  # seconds between re-registrations
HANDLE_LENGTH = 32 - len("-0001")

# RSPLIB's short names for this program's -policy; the long ones are the policies' names in lower case.
SHORT = {
    "rr": "RoundRobin",
    "wrr": "WeightedRoundRobin",
    "lu": "LeastUsed",
    "lud": "LeastUsedDegradation",
    "plu": "PriorityLeastUsed",
    "plud": "PriorityLeastUsedDegradation",
    "rlu": "RandomizedLeastUsed",
    "rlud": "RandomizedLeastUsedDegradation",
    "rplu": "RandomizedPriorityLeastUsed",
    "rplud": "RandomizedPriorityLeastUsedDegradation",
    "rand": "Random",
    "wrand": "WeightedRandom",
}
NAMES = {**SHORT, **{name.lower(): name for name in POLICIES}}


def named_policy(value: str) -> str | Policy:
    """A policy's short or long name, whose parameters are in other options; or one as of rspserver."""
    if value in NAMES:
        return NAMES[value]
    try:
        return policy(value)
    except ValueError as error:
        raise ValueError(f"{error}; in short {', '.join(SHORT)}") from None


def prefix(value: str) -> str:
    """A pool handle that leaves room for the number of a pool."""
    if not 1 <= len(value.encode()) <= HANDLE_LENGTH:
        raise ValueError(f"must have 1 to {HANDLE_LENGTH} bytes, since a number is appended")
    return text(value)


PROGRAM = Program(
    "testregistrator",
    "Registers many pool elements, for tests and measurements of registrars. The elements do not serve.",
    (
        Group(
            "Registrations",
            (
                Option("poolhandle", "what the pools' handles begin with; the first is NAME-0001", prefix,
                       "TestPool", "NAME"),
                Option("pools", "pools, to which the elements are dealt out", integer(1, 9999), "1", "N"),
                Option("poolelements", "pool elements in all", integer(1, MAX_ELEMENTS), "10", "N"),
                Option("pause", "time between two registrations", milliseconds(), "0", "MS"),
                Option("policy", "rr, wrr, rand, wrand, lu, lud, rlu, rlud, plu, plud, rplu, rplud, or the long "
                       "name, or one as for rspserver (Priority:7)", named_policy, "rr", "POLICY"),
                Option("load", "load of the elements", integer(0, FULL), "0", "0..4294967295"),
                Option("loaddeg", "load degradation of the elements", integer(0, FULL), "0", "0..4294967295"),
                Option("weight", "weight of the elements", integer(1, FULL), "1", "N"),
                Option("fastbreak", "Ctrl-C ends the program at once, as if it had crashed"),
                Option("noderegistration", "end the association to the registrar without deregistering"),
                Option("quiet", "no lines for registrations"),
            ),
        ),
        *SHARED,
    ),
    examples=(
        ("testregistrator -poolelements=1000 -pools=10", "Ten pools of a hundred elements each."),
        ("testregistrator -policy=wrr -weight=3 -fastbreak", "Elements that Ctrl-C leaves in their pool."),
    ),
)  # fmt: skip


def policy_of(values: Values) -> Policy:
    """The policy with the parameters that it has."""
    chosen: str | Policy = values.policy
    if isinstance(chosen, Policy):
        return chosen
    given = {"weight": values.weight, "load_degradation": values.loaddeg}
    parameters = {field: given[field] for field in POLICIES[chosen] if field in given}
    kind = policies.TYPES[chosen]
    if "load" in policies.LAYOUTS[kind][1]:
        parameters["load"] = values.load
    return Policy(kind, **parameters)


def die_at_once(loop: asyncio.AbstractEventLoop) -> None:
    """Let signals end the process as they do where nobody handles them."""
    for number in signal.SIGINT, signal.SIGTERM:
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)


async def send_away(place: PoolElement) -> None:
    """Close whatever session comes."""
    async for session in place:
        session.close()


async def register_all(library: Library, place: PoolElement, values: Values, say: Callable[[str], None]) -> None:
    """Register one element after the other. Raises RSerPoolError."""
    service = Transport(SCTP, place.port, place.addresses, True)
    chosen = policy_of(values)
    for number in range(values.poolelements):
        handle = f"{values.poolhandle}-{1 + number % values.pools:04d}"
        say(f"Registering PE #{number + 1} in pool {handle}...")
        await PoolElement(library, handle, policy=chosen, interval=INTERVAL, service=service).start()
        await asyncio.sleep(values.pause)


def start_text(values: Values, transport: str) -> list[str]:
    """The text at the start, in RSPLIB's form."""
    title = "Test-Registrator - Version 1.0"
    rows = [
        ("No Deregistration", "on" if values.noderegistration else "off"),
        ("Fast Break", "on" if values.fastbreak else "off"),
        ("Pools", str(values.pools)),
        ("Pool Elements", str(values.poolelements)),
        ("Pause between registrations", f"{values.pause * 1000:.0f}ms"),
        ("Transport", transport),
    ]
    return [title, "=" * len(title), "", *(f"{name:<28}= {value}" for name, value in rows), ""]


async def work(values: Values, out: Output, transport: str) -> int:
    """Register, and stay registered until the end."""

    def say(line: str) -> None:
        if not values.quiet:
            out.line(line)

    for line in start_text(values, transport):
        say(line)
    loop = asyncio.get_running_loop()
    if values.fastbreak:
        die_at_once(loop)
    async with Library(settings_of(values)) as library:
        place = PoolElement(library, values.poolhandle)
        await place.listen()
        sending_away = asyncio.create_task(send_away(place))
        begun = loop.time()
        try:
            await register_all(library, place, values, say)
            lasted = loop.time() - begun
            out.line(f"{values.poolelements} pool elements are registered, after {lasted:.3f} s "
                     f"({values.poolelements / lasted:.0f}/s)")  # fmt: skip
            await asyncio.Event().wait()
        except NoRegistrar:
            return fail(PROGRAM, no_registrar(values))
        except RSerPoolError as error:
            return fail(PROGRAM, f"registration failed: {error}")
        finally:
            sending_away.cancel()
            if values.noderegistration:
                library.elements.clear()
    return 0


def main(words: Sequence[str]) -> int:
    """Run the program with these command line words; return its exit status."""
    return perform(PROGRAM, words, work)


def run() -> int:
    """The installed program."""
    return main(sys.argv[1:])
