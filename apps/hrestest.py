"""hrestest: asks a registrar for the pool elements of a pool, again and again, and counts the answers.

A tool for tests and measurements of registrars, with RSPLIB's options and statistics file.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Sequence
from typing import IO

from rserpool.errors import NoRegistrar, RSerPoolError
from rserpool.session import Library

from .common import SHARED, perform
from .library import no_registrar, settings_of
from .logs import Output
from .options import Group, Option, Program, Values
from .values import integer, milliseconds, pool_handle, real, text

MAX_ITEMS = 128

PROGRAM = Program(
    "hrestest",
    "Resolves a pool handle again and again, for tests and measurements of registrars: how many answers come, and "
    "which pool elements they name.",
    (
        Group(
            "Handle resolution",
            (
                Option("poolhandle", "the pool", pool_handle, "EchoPool", "NAME"),
                Option("items", "pool elements that are asked for; 0 means 1", integer(0, MAX_ITEMS), "0", "N"),
                Option("pause", "time between two resolutions", milliseconds(), "0", "MS"),
                Option("maxruns", "end after so many resolutions", integer(0, 2**63), "0", "N", shown="0: never"),
                Option("reportunreachableprobability", "probability of reporting an element as unreachable",
                       real(0, 1), "0", "0..1"),
                Option("printresults", "show the elements that were selected"),
                Option("statsfile", "write the statistics to this file", text, metavar="FILE",
                       shown="standard output"),
                Option("statsinterval", "time between two lines of statistics", milliseconds(10, 3_600_000),
                       "1000", "MS"),
                Option("quiet", "no text but statistics and results"),
            ),
        ),
        *SHARED,
    ),
    examples=(
        ("hrestest -poolhandle=EchoPool -maxruns=10 -printresults", "Whom do the next ten pool users get?"),
        ("hrestest -registrar=127.0.0.1:3863 -statsfile=rate.txt", "As many resolutions as a registrar answers."),
    ),
)  # fmt: skip


class Statistics:
    """The counts, and their file; ``wall`` and ``steady`` are clocks in seconds."""

    def __init__(self, file: IO[str], interval: float) -> None:
        self.runs = 0
        self.items = 0
        self.failures = 0
        self._file = file
        self._interval = interval
        self._began = time.monotonic()
        self._written = float("-inf")
        self._line = 0
        print("AbsTime RelTime Success Failure", file=file, flush=True)

    @property
    def lasted(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    def count(self, items: int) -> None:
        """Count a resolution with so many items, 0 for a failure; write a line if one is due."""
        self.runs += 1
        self.items += items
        self.failures += not items
        if self.lasted - self._written >= self._interval:
            self._written = self.lasted
            self._line += 1
            print(f"{self._line:06d}   {time.time():.6f} {self.lasted:.6f}   {self.items} {self.failures}",
                  file=self._file, flush=True)  # fmt: skip


async def resolve_on(library: Library, values: Values, statistics: Statistics, out: Output) -> None:
    """Resolve until the number of runs is reached."""
    warned = ""
    while not values.maxruns or statistics.runs < values.maxruns:
        elements = []
        try:
            elements = await library.resolve(values.poolhandle, max(1, values.items))
        except RSerPoolError as error:
            if str(error) != warned:
                warned = str(error)
                words = no_registrar(values) if isinstance(error, NoRegistrar) else warned
                print(f"hrestest: {words}", file=sys.stderr, flush=True)
        statistics.count(len(elements))
        if elements and values.printresults:
            out.line(f"#{statistics.runs}: Selected {len(elements)} items")
        for element in elements:
            if values.printresults:
                out.line(f"   ID ${element.identifier:08x}")
        for element in elements:
            if random.random() < values.reportunreachableprobability:
                await library.report_unreachable(values.poolhandle, element.identifier)
                if values.printresults:
                    out.line(f"   => Endpoint Unreachable for ID ${element.identifier:08x}")
        await asyncio.sleep(values.pause)


def start_text(values: Values, transport: str) -> list[str]:
    """The text at the start, in RSPLIB's form."""
    title = "RSerPool Handle Resolution Tester - Version 1.0"
    rows = [
        ("Pool Handle", values.poolhandle),
        ("Items", str(values.items)),
        ("Pause", f"{values.pause * 1000:.0f}ms"),
        ("Max Runs", str(values.maxruns)),
        ("Report Unreachable Probability", f"{100 * values.reportunreachableprobability:.2f}%"),
        ("Statistics Interval", f"{values.statsinterval * 1000:.0f}ms"),
        ("Transport", transport),
    ]
    return [title, "=" * len(title), "", *(f"{name:<31}= {value}" for name, value in rows), ""]


async def work(values: Values, out: Output, transport: str) -> int:
    """Resolve, and tell how fast that was."""
    if not values.quiet:
        for line in start_text(values, transport):
            out.line(line)
    file = open(values.statsfile, "w", encoding="utf-8") if values.statsfile else sys.stdout  # noqa: SIM115
    try:
        async with Library(settings_of(values)) as library:
            statistics = Statistics(file, values.statsinterval)
            try:
                await resolve_on(library, values, statistics, out)
            finally:
                if not values.quiet:
                    rate = statistics.runs / max(statistics.lasted, 1e-6)
                    out.line(f"\n{statistics.runs} resolutions, {statistics.items} items, "
                             f"{statistics.failures} failures, {rate:.1f} resolutions/s")  # fmt: skip
    finally:
        if file is not sys.stdout:
            file.close()
    return 1 if statistics.runs and statistics.failures == statistics.runs else 0


def main(words: Sequence[str]) -> int:
    """Run the program with these command line words; return its exit status."""
    return perform(PROGRAM, words, work)


def run() -> int:
    """The installed program."""
    return main(sys.argv[1:])
