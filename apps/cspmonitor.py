"""cspmonitor: shows which registrars, pool elements and pool users are alive, by their status reports.

A live table in a terminal, RSPLIB's lines elsewhere, JSON for programs. What is known of the components is in
`components`, the page for browsers in `csp_web`.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from collections.abc import Sequence

from rich.console import Console, RenderableType
from rich.console import Group as Lines
from rich.live import Live
from rich.table import Table
from rich.text import Text

from rserpool.wire import csp

from . import logs
from .common import LOGGING, parse_command_line
from .components import (
    LETTERS,
    SORTS,
    Component,
    Monitor,
    as_json,
    association_lines,
    cut,
    head_of,
    letters_of,
    line_of,
    name_of,
    protocol_name,
    uptime_text,
)
from .csp_reports import open_socket, receive
from .csp_web import serve_page
from .options import Group, Option, Program, Values, fail
from .runtime import full_screen
from .runtime import run as run_loop
from .values import address, choice, integer, milliseconds, text

PORT = csp.PORT
COLOURS = {csp.REGISTRAR: "red", csp.POOL_ELEMENT: "blue", csp.POOL_USER: "green"}
BUSY = 0.9  # a workload from here on is shown inverse
LIMITS = {csp.REGISTRAR: "maxpr", csp.POOL_ELEMENT: "maxpe", csp.POOL_USER: "maxpu"}

PROGRAM = Program(
    "cspmonitor",
    "Shows the registrars, pool elements and pool users that report their status to it (CSP_SERVER, CSP_INTERVAL, "
    "or the options -cspserver and -cspinterval of all programs).",
    (
        Group(
            "Monitor",
            (
                Option("localaddress", "listen here", address(PORT), metavar="ADDRESS[:PORT]",
                       shown=f"all addresses, port {PORT}"),
                Option("updateinterval", "time between updates", milliseconds(100), "1000", "MS"),
                Option("purgeinterval", "forget components after so long without a report", milliseconds(1000),
                       "30000", "MS"),
                Option("compact", "one line for each component", dest="form", value="compact"),
                Option("full", "and one for each association", dest="form", value="full"),
                Option("sort", "the order", choice(*SORTS), "group", "|".join(SORTS)),
                Option("filter", "only components with these words", text, metavar="WORDS"),
                Option("maxpr", "registrars to show", integer(0, 10_000), "6", "N"),
                Option("maxpe", "pool elements to show", integer(0, 10_000), "42", "N"),
                Option("maxpu", "pool users to show", integer(0, 10_000), "24", "N"),
                Option("maxlocationsize", "characters of a location", integer(4, 127), "72", "N"),
            ),
        ),
        Group(
            "Output",
            (
                Option("once", "listen for one update interval, show what is there, and end"),
                Option("json", "JSON, one document for each update"),
                Option("plain", "lines, also at a terminal"),
                Option("web", "a page for browsers, live, at this port of this host", integer(0, 65535),
                       metavar="PORT"),
            ),
        ),
        LOGGING,
    ),
    examples=(
        ("cspmonitor", "A live table of the programs that have CSP_SERVER=127.0.0.1 and CSP_INTERVAL=333."),
        ("cspmonitor -once -json", "What is there now, for programs."),
    ),
)  # fmt: skip


def counts(monitor: Monitor) -> str:
    """How many there are of each kind."""
    numbers = dict.fromkeys(LETTERS, 0)
    for component in monitor.components.values():
        if component.group in numbers:
            numbers[component.group] += 1
    return ", ".join(f"{n} {LETTERS[g]}{'' if n == 1 else 's'}" for g, n in numbers.items())


def limited(components: list[Component], values: Values) -> tuple[list[Component], list[str]]:
    """The components to show, and words about those that are hidden."""
    shown: list[Component] = []
    left = {group: getattr(values, option) for group, option in LIMITS.items()}
    hidden = dict.fromkeys(LIMITS, 0)
    for component in components:
        group = component.group
        if left.get(group, 1) > 0:
            shown.append(component)
            left[group] = left.get(group, 1) - 1
        else:
            hidden[group] += 1
    return shown, [f"({n} further {LETTERS[g]}s have been hidden)" for g, n in hidden.items() if n]


def plain_lines(monitor: Monitor, values: Values, now: float) -> list[str]:
    """The state in RSPLIB's form."""
    shown, hidden = limited(monitor.selected(now, values.sort, values.filter or ""), values)
    width = max((len(head_of(c, values.maxlocationsize)) for c in shown), default=0)
    lines = [f"{logs.stamp()}Current Component Status -- {counts(monitor)}"]
    for component in shown:
        lines.append(line_of(component, now, width, values.maxlocationsize))
        if values.form == "full":
            lines += association_lines(component, now)
    return [*lines, *hidden]


def table(monitor: Monitor, values: Values, now: float) -> RenderableType:
    """The state as a table for terminals."""
    shown, hidden = limited(monitor.selected(now, values.sort, values.filter or ""), values)
    grid = Table(box=None, expand=True, padding=(0, 1), header_style="bold")
    for title, options in (
        ("", {"width": 2}), ("Identifier", {"no_wrap": True}), ("Location", {"ratio": 2, "no_wrap": True}),
        ("Uptime", {"justify": "right", "no_wrap": True}), ("Heard", {"justify": "right", "no_wrap": True}),
        ("Assocs", {"justify": "right"}), ("Load", {"justify": "right", "no_wrap": True}),
        ("Status", {"ratio": 3, "no_wrap": True}),
    ):  # fmt: skip
        grid.add_column(title, **options)
    for component in shown:
        report = component.report
        fading = component.fading(now)
        style = "dim" if fading else COLOURS.get(component.group, "white")
        load = Text("" if report.workload is None else f"{100 * report.workload:.0f}%")
        if report.workload is not None and report.workload >= BUSY:
            load.stylize("reverse")
        heard = f"{component.age(now):.1f}s"
        grid.add_row(
            Text(letters_of(report.sender), f"bold {style}"), Text(component.name, f"bold {style}"),
            cut(report.location, values.maxlocationsize), uptime_text(report.uptime / 1e6 + component.age(now)),
            Text(f"✖ {heard}" if fading else heard, "bold red" if fading else ""), str(len(report.associations)),
            load, Text(report.status), style=style,
        )  # fmt: skip
        if values.form == "full":
            for a in report.associations:
                target = f"→ {letters_of(a.receiver)} {name_of(a.receiver)}"
                lasted = "" if a.duration is None else uptime_text(a.duration / 1e6 + component.age(now))
                grid.add_row("", "", target, lasted, "", "", "", protocol_name(a), style="dim")
    head = Text.assemble((logs.stamp()[:-6].rstrip("."), "dim"), ("  Component status  ", "bold"), counts(monitor))
    foot = (
        hidden
        if monitor.components
        else ["Nobody reports yet. Give the programs -cspserver=ADDRESS -cspinterval=333."]
    )
    return Lines(head, Text(), grid, *(Text(line, "dim") for line in foot))


def places(values: Values) -> list[tuple[str, int]]:
    """Where to listen for reports: the first that can be had."""
    given = values.localaddress
    return [(given.addresses[0], given.port or PORT)] if given else [("::", PORT), ("0.0.0.0", PORT)]


async def watch(values: Values, listener: socket.socket) -> int:
    """Receive and show until cancelled, or once."""
    monitor = Monitor(values.purgeinterval)
    receiver = await receive(monitor, listener)
    console = Console(highlight=False)
    page = None
    try:
        if values.web is not None:
            page = await serve_page(monitor, values.web)
            console.print(f"Component status at {page.url}")
        if values.once or values.json or values.plain or not console.is_terminal:
            await _write(monitor, values)
        else:
            with full_screen(), Live(console=console, screen=True, auto_refresh=False) as live:
                while True:
                    now = time.monotonic()
                    monitor.forget_silent(now)
                    live.update(table(monitor, values, now), refresh=True)
                    await asyncio.sleep(min(values.updateinterval, 1.0))
    finally:
        receiver.close()
        if page is not None:
            await page.close()
    return 0


async def _write(monitor: Monitor, values: Values) -> None:
    if not values.json:
        logs.Output().title("Component Status Monitor - Version 1.0")
    while True:
        await asyncio.sleep(values.updateinterval)
        now = time.monotonic()
        monitor.forget_silent(now)
        if values.json:
            components = as_json(monitor.selected(now, values.sort, values.filter or ""), now, monitor)
            print(json.dumps({"time": time.time(), "components": components}), flush=True)
        else:
            print("\n".join(plain_lines(monitor, values, now)) + "\n", flush=True)
        if values.once:
            return


def main(words: Sequence[str]) -> int:
    """Run the program with these command line words; return its exit status."""
    values = parse_command_line(PROGRAM, words)
    if isinstance(values, int):
        return values
    try:
        listener = open_socket(places(values))
    except OSError as error:
        return fail(PROGRAM, f"cannot listen for reports: {error.strerror or error}",
                    "Another cspmonitor may run; -localaddress=ADDRESS:PORT chooses another place.")  # fmt: skip
    quiet = values.json or values.once or (sys.stdout.isatty() and not values.plain)
    try:
        return run_loop(lambda: watch(values, listener), quiet=quiet)
    except OSError as error:
        return fail(PROGRAM, f"cannot serve the page: {error.strerror or error}")


def run() -> int:
    """The installed program."""
    return main(sys.argv[1:])
