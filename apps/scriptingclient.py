"""scriptingclient: has a work package processed by a server of a scripting pool and fetches the results.

What it says to servers is in `rserpool.services.scripting_client`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

from rserpool.services import scripting
from rserpool.services.scripting_cache import sha1_of
from rserpool.services.scripting_client import Client, Files, Settings
from rserpool.session import Library, Session

from .common import SHARED, launch, parse_command_line
from .library import no_element, no_registrar, settings_of
from .logs import Output
from .options import Group, Option, Program, Values, fail
from .values import integer, milliseconds, pool_handle, text

PROGRAM = Program(
    "scriptingclient",
    "Has a work package (a tar archive with a program ssrun) processed by a server of a scripting pool, and "
    "fetches the results; where a server fails, by another one.",
    (
        Group(
            "Work",
            (
                Option("input", "the work package", text, metavar="FILE", shown="needed"),
                Option("output", "where the results go", text, metavar="FILE", shown="needed"),
                Option("environment", "a file that servers keep for several packages", str, "", "FILE",
                       shown="none"),
                Option("poolhandle", "the pool", pool_handle, scripting.POOL, "NAME"),
                Option("runid", "stands in each line of the output", text, metavar="TEXT"),
                Option("maxretry", "so many servers may try where the program fails", integer(1, 2**31), "3", "N"),
                Option("retrydelay", "pause before another server is tried", milliseconds(100), "10000", "MS"),
                Option("transmittimeout", "time for each message", milliseconds(1), "59500", "MS"),
                Option("keepaliveinterval", "time between keep-alives", milliseconds(1), "10000", "MS"),
                Option("keepalivetimeout", "time for their answers", milliseconds(1), "10000", "MS"),
                Option("quiet", "no output but errors"),
            ),
        ),
        *SHARED,
    ),
    examples=(
        ("scriptingclient -input=work.tar.gz -output=results.tar.gz", "One package."),
    ),
)  # fmt: skip

PATIENCE = 3.0  # seconds without a server until that is told


class Bars:
    """Progress bars for transfers, on a terminal only."""

    def __init__(self, console: Console) -> None:
        columns = (
            TextColumn("{task.description:>8}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
        )
        self._progress = Progress(*columns, console=console, transient=True) if console.is_terminal else None
        self._tasks: dict[str, TaskID] = {}

    def show(self, what: str, done: int, total: int) -> None:
        """Show how far a transfer is; ``total`` 0: nobody knows."""
        if self._progress is None:
            return
        if what not in self._tasks:
            self._progress.start()
            self._tasks[what] = self._progress.add_task(what, total=total or None)
        self._progress.update(self._tasks[what], completed=done, total=total or None)
        if done == total:
            self.clear()

    def clear(self) -> None:
        """Take them away."""
        if self._progress is not None:
            self._progress.stop()
            for task in self._tasks.values():
                self._progress.remove_task(task)
            self._tasks.clear()


def start_text(values: Values) -> list[str]:
    """The program's parameters, in RSPLIB's words. OSError for the files."""
    environment = "(none)"
    if values.environment:
        path = Path(values.environment)
        environment = f"{path} ({sha1_of(path).hex()}, {path.stat().st_size >> 10} KiB)"
    rows = (
        ("Pool Handle", values.poolhandle),
        ("Environment Name", environment),
        ("Input Name", values.input),
        ("Output Name", values.output),
        ("", None),
        ("Max Retry", values.maxretry),
        ("Retry Delay", f"{values.retrydelay * 1000:.0f} [ms]"),
        ("Transmit Timeout", f"{values.transmittimeout * 1000:.0f} [ms]"),
        ("Keep-Alive Interval", f"{values.keepaliveinterval * 1000:.0f} [ms]"),
        ("Keep-Alive Timeout", f"{values.keepalivetimeout * 1000:.0f} [ms]"),
    )
    return [f"{name:<19} = {value}" if name else "" for name, value in rows]


async def process(values: Values, out: Output, bars: Bars) -> int:
    """Have the package processed; return the exit status."""
    files = Files(
        Path(values.input), Path(values.output), Path(values.environment) if values.environment else None
    )
    settings = Settings(
        values.maxretry,
        values.retrydelay,
        values.transmittimeout,
        values.keepaliveinterval,
        values.keepalivetimeout,
    )

    def say(words: str) -> None:
        bars.clear()
        if values.quiet:
            return
        server = f"@{client.server}" if client.server else ""
        out.stamped((f"[{values.runid}{server}] " if values.runid else "") + words)

    client = Client(files, settings, say, bars.show)
    try:
        async with Library(settings_of(values)) as library:
            say(f"Connecting to pool {values.poolhandle} ...")
            async with Session(library, values.poolhandle) as session:

                async def complain() -> None:
                    while True:
                        await asyncio.sleep(PATIENCE)
                        if not session.connected and not client.server:
                            missing = library.registrar is None
                            say(no_registrar(values) if missing else no_element(values.poolhandle))
                            await asyncio.sleep(3 * PATIENCE)

                complainer = asyncio.create_task(complain())
                try:
                    status = await client.run(session)
                except asyncio.CancelledError:
                    # Half a package is of no use to the server, which may take long to take it.
                    session.abort(b"interrupted")
                    raise
                finally:
                    complainer.cancel()
                    await asyncio.gather(complainer, return_exceptions=True)
    finally:
        bars.clear()
    return 0 if status == 0 else 1


def main(words: Sequence[str]) -> int:
    """Run the program with these command line words; return its exit status."""
    values = parse_command_line(PROGRAM, words)
    if isinstance(values, int):
        return values
    if values.input is None or values.output is None:
        return fail(PROGRAM, "-input=FILE and -output=FILE are needed")
    try:
        open(values.input, "rb").close()
        text_lines = start_text(values)
    except OSError as error:
        return fail(PROGRAM, f"{error.filename}: {error.strerror}")
    out = Output()

    async def work(transport: str) -> int:
        if not values.quiet:
            out.title("Scripting Pool User - Version 2.0")
            for line in [*text_lines, f"{'Transport':<19} = {transport}", ""]:
                out.line(line)
        return await process(values, out, Bars(Console()))

    return launch(PROGRAM, values, work)


def run() -> int:
    """The installed program."""
    return main(sys.argv[1:])
