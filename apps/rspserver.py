"""rspserver: one pool element with one service, with RSPLIB's options and output.

The services are in `servers`; registration and sessions in `rserpool.session`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from rserpool.errors import NoRegistrar, RSerPoolError
from rserpool.session import Library, PeerSession, PoolElement
from rserpool.wire.policies import NAMES
from rserpool.wire.types import Policy

from .common import SHARED, perform
from .library import no_registrar, settings_of
from .logs import Output
from .options import Group, Option, Program, Values, fail
from .runtime import in_cycles
from .servers import Service, option_groups, service_of
from .values import FULL, address, identifier, milliseconds, policy, pool_handle, seconds, text

PROGRAM = Program(
    "rspserver",
    "A pool element: registers a service at a registrar and serves the pool users that come.",
    (
        *option_groups(),
        Group(
            "Pool element",
            (
                Option("poolhandle", "the pool", pool_handle, metavar="NAME", shown="the service's"),
                Option("identifier", "the pool element's identifier", identifier(32), metavar="ID",
                       shown="random"),
                Option("policy", "how pool users are spread over the pool: a name, its parameters behind colons "
                       "(Priority:7, LeastUsedDegradation:0.1)", policy, "RoundRobin", "POLICY"),
                Option("local", "serve at these addresses", address(), metavar="ADDRESS[:PORT]", shown="all"),
                Option("rereginterval", "time between re-registrations", milliseconds(10), "30000", "MS"),
                Option("runtime", "end after this time", milliseconds(), metavar="MS", shown="never"),
                Option("quiet", "no start-up text, no lines for messages"),
                Option("daemonpidfile", "run in the background; write the process number to this file; wait for a "
                       "registrar as long as it takes", text, metavar="FILE"),
                Option("uptime", "failure test: run for a random time with this mean", seconds(0.001),
                       metavar="S"),
                Option("downtime", "failure test: pause for a random time with this mean", seconds(0.001),
                       metavar="S"),
            ),
        ),
        *SHARED,
    ),
    examples=(
        ("rspserver -echo", "An Echo server; rspterminal talks to it."),
        ("rspserver -pingpong -policy=Priority:7 -pppfailureafter=20", "A Ping Pong server that likes to fail."),
    ),
)  # fmt: skip


def _percent(fraction: int) -> str:
    return f"{100 * fraction / FULL:.3f}%"


def start_text(service: Service, values: Values, transport: str) -> list[str]:
    """The text at the start, in RSPLIB's form."""
    chosen: Policy = values.policy
    local = "all" if values.local is None else ", ".join(values.local.addresses)
    rows = [
        ("Pool Handle", values.poolhandle or service.pool),
        ("Reregistration Interval", f"{values.rereginterval:.3f}s"),
        ("Local Addresses", f"{{ {local} }}" + (f" port {values.local.port}" if values.local and values.local.port
                                                else "")),
        ("Runtime Limit", "off" if values.runtime is None else f"{values.runtime:.3f}s"),
        ("Transport", transport),
    ]  # fmt: skip
    if service.limit:
        rows.append(("Max Threads", str(getattr(values, service.limit))))
    settings = [
        ("Policy Type", NAMES[chosen.type]),
        ("Load Degradation", _percent(chosen.load_degradation)),
        ("Load DPF", _percent(chosen.load_dpf)),
        ("Weight", str(chosen.weight or chosen.priority)),
        ("Weight DPF", _percent(chosen.weight_dpf)),
    ]
    lines = [service.title, "=" * len(service.title), "", "General Parameters:"]
    lines += [f"   {name:<24}= {value}" for name, value in rows]
    lines += ["   Policy Settings", *(f"      {name:<21}= {value}" for name, value in settings)]
    own = service.parameters(values)
    if own:
        lines.append(f"{service.title.partition(' Server')[0]} Parameters:")
        lines += [f"   {name:<24}= {value}" for name, value in own]
    return lines


@asynccontextmanager
async def begin(
    service: Service, values: Values, out: Output, element: PoolElement
) -> AsyncIterator[Callable[[PeerSession], Awaitable[None]]]:
    """The service while it runs; yields what serves a session."""
    if service.begin is not None:
        async with service.begin(values, out, element) as together:
            yield together
    else:
        yield lambda session: service.serve(session, values, out)


async def serve_one(
    serve_session: Callable[[PeerSession], Awaitable[None]], session: PeerSession, values: Values, out: Output
) -> None:
    """Serve one session to its end, whatever happens."""
    note = f"NOTIFICATION: RSERPOOL_SESSION_CHANGE for session {session.id}, state=RSERPOOL_SESSION_"
    if not values.quiet:
        out.stamped(note + "ADD")
    try:
        async with session:
            await serve_session(session)
    except OSError:
        pass  # the pool user has gone in the middle of an answer
    finally:
        if not values.quiet:
            out.stamped(note + "REMOVE")


async def reject(service: Service, session: PeerSession, values: Values, out: Output) -> None:
    """Send a pool user away."""
    try:
        if service.refuse is not None:
            await service.refuse(session, values, out)
    except OSError:
        pass
    session.close()


async def serve(service: Service, values: Values, out: Output) -> int:
    """Register and serve until cancelled."""
    limit = getattr(values, service.limit) if service.limit else None
    tasks: set[asyncio.Task[None]] = set()
    settings = settings_of(values, values.identifier or 0)
    settings.csp_element = True
    pool = values.poolhandle or service.pool
    async with Library(settings) as library:
        element = PoolElement(
            library,
            pool,
            policy=values.policy,
            identifier=values.identifier or 0,
            addresses=values.local.addresses if values.local else (),
            port=values.local.port if values.local else 0,
            interval=values.rereginterval,
            daemon=values.daemonpidfile is not None,
        )
        async with element:
            if not values.quiet:
                out.line("Registration:")
                out.line(f"   Identifier              = ${element.identifier:08x}")
                out.line()

            def busy() -> None:
                library.set_status(f"{len(tasks)} Session{'' if len(tasks) == 1 else 's'} in pool {pool}")
                if limit is not None:
                    element.set_load(min(1.0, len(tasks) / limit))

            def finished(task: asyncio.Task[None]) -> None:
                tasks.discard(task)
                busy()

            busy()
            try:
                async with begin(service, values, out, element) as serve_session:
                    async for session in element:
                        if limit is not None and len(tasks) >= limit:
                            out.stamped("Rejected new session, since server is fully loaded")
                            await reject(service, session, values, out)
                            continue
                        task = asyncio.create_task(serve_one(serve_session, session, values, out))
                        tasks.add(task)
                        busy()
                        task.add_done_callback(finished)
            finally:
                for task in list(tasks):
                    task.remove_done_callback(finished)
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
    return 0


async def serve_for(service: Service, values: Values, out: Output) -> int:
    """Serve; with -runtime only for that long."""
    if values.runtime is None:
        return await serve(service, values, out)
    try:
        async with asyncio.timeout(values.runtime):
            return await serve(service, values, out)
    except TimeoutError:
        if not values.quiet:
            out.line("\nAuto-stop reached!")
        return 0


async def work(values: Values, out: Output, transport: str) -> int:
    """Serve, over and over where times are given for that."""
    service = service_of(values)
    with service.prepared(values):
        if not values.quiet:
            out.line(f"Starting service {service.starting}...")
            for line in start_text(service, values, transport):
                out.line(line)
        try:
            return await in_cycles(lambda: serve_for(service, values, out), values.uptime, values.downtime)
        except NoRegistrar:
            return fail(PROGRAM, no_registrar(values))
        except RSerPoolError as error:
            return fail(PROGRAM, f"registration failed: {error}")


def main(words: Sequence[str]) -> int:
    """Run the program with these command line words; return its exit status."""
    return perform(PROGRAM, words, work)


def run() -> int:
    """The installed program."""
    return main(sys.argv[1:])
