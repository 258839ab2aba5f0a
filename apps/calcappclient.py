"""calcappclient: a pool user of the CalcApp service that generates jobs and measures how they are handled.

Jobs come at random intervals with random sizes (both exponentially distributed), wait in a queue, and are worked
off one at a time, each in a session of its own. Its dialogue with the server is in `calcapp_job`.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections import deque
from collections.abc import Sequence

from rserpool.services import calcapp
from rserpool.session import Library

from .calcapp_job import Counters, Job, Timers, work_off
from .common import SHARED, perform
from .library import settings_of
from .logs import Output
from .options import Group, Option, Program, Values
from .runtime import in_time
from .scalars import VectorFile, write_scalars
from .values import milliseconds, pool_handle, real, seconds, text

PROGRAM = Program(
    "calcappclient",
    "Generates jobs for the servers of a CalcApp pool and measures how long they wait, start, and compute.",
    (
        Group(
            "CalcApp",
            (
                Option("poolhandle", "the pool", pool_handle, calcapp.POOL, "NAME"),
                Option("jobinterval", "mean time between jobs", seconds(0.000001), "15", "S"),
                Option("jobsize", "mean size of a job, in calculations", real(1, 1e18), "5000000", "N"),
                Option("runtime", "end after this time", seconds(), "86400", "S"),
                Option("keepalivetransmissioninterval", "time between keep-alives to the server",
                       milliseconds(100), "5000", "MS"),
                Option("keepalivetimeoutinterval", "time to answer one, or a request", milliseconds(100),
                       "5000", "MS"),
                Option("object", "name in the statistics files", text, "scenario.calcapppooluser[0]", "NAME"),
                Option("vector", "statistics: a row for each job", text, "CalcAppPU.vec", "FILE"),
                Option("scalar", "statistics: totals at the end", text, "CalcAppPU.sca", "FILE"),
                Option("quiet", "no lines for jobs"),
                Option("daemonpidfile", "run in the background; write the process number to this file", text,
                       metavar="FILE"),
            ),
        ),
        *SHARED,
    ),
    examples=(("calcappclient -jobinterval=2 -jobsize=1000000 -runtime=60", "A minute of short jobs."),),
)  # fmt: skip

HEADER = (
    "ObjectName PID JobID JobSize JobInterval   QueueLength QueuingDelay StartupDelay ProcessingTime HandlingTime "
    "HandlingSpeed   QueuingTimeStamp StartupTimeStamp AcceptTimeStamp CompleteTimeStamp"
)


class Workload:
    """The jobs of a run, and what is known of them in the end."""

    def __init__(self, values: Values, out: Output) -> None:
        self.values = values
        self.out = out
        self.queue: deque[Job] = deque()
        self.arrived = asyncio.Event()
        self.counters = Counters()
        self.queued: list[Job] = []
        self.started: list[Job] = []
        self.completed: list[Job] = []
        self._vector = VectorFile(values.vector, HEADER)

    async def generate(self) -> None:
        """Let jobs arrive."""
        while True:
            await asyncio.sleep(random.expovariate(1 / self.values.jobinterval))
            size = max(1, round(random.expovariate(1 / self.values.jobsize)))
            job = Job(len(self.queued) + 1, size, time.time(), len(self.queue))
            self.queued.append(job)
            self.queue.append(job)
            self.arrived.set()

    async def work(self, library: Library) -> None:
        """Work the jobs off."""
        values = self.values
        timers = Timers(values.keepalivetransmissioninterval, values.keepalivetimeoutinterval)
        while True:
            while not self.queue:
                self.arrived.clear()
                await self.arrived.wait()
            job = self.queue.popleft()
            job.started = time.time()
            self.started.append(job)
            await work_off(job, library, values, timers, self.counters, self.out)
            self._complete(job)

    def _complete(self, job: Job) -> None:
        self.completed.append(job)
        values = self.values
        self._vector.row(
            f"{values.object} {os.getpid()} {job.number} {job.size} {values.jobinterval:.6f}   {job.ahead} "
            f"{job.queuing:.6f} {job.startup:.6f} {job.processing:.6f} {job.handling:.6f} "
            f"{job.size / job.handling:.6f}   {job.queued:.6f} {job.started:.6f} {job.accepted:.6f} "
            f"{job.completed:.6f}"
        )
        if values.quiet:
            return
        say = self.out.line
        say(f"Job #{job.number} completed:")
        say(f"   Queue Length   = {job.ahead}")
        say(f"   JobSize        = {job.size:g}")
        say(f"   JobInterval    = {values.jobinterval:g} [s]")
        say(f"   StartupDelay   = {job.startup:g} [s]")
        say(f"   QueuingDelay   = {job.queuing:g} [s]")
        say(f"   ProcessingTime = {job.processing:g} [s] => ProcessingSpeed = {job.size / job.processing:g} "
            "[Calculations/s]")  # fmt: skip
        say(f"   HandlingTime   = {job.handling:g} [s] => HandlingSpeed   = {job.size / job.handling:g} "
            "[Calculations/s]")  # fmt: skip

    def close(self) -> None:
        """Write the totals."""
        self._vector.close()
        done, counters = self.completed, self.counters
        size = sum(j.size for j in done)
        processing, handling = sum(j.processing for j in done), sum(j.handling for j in done)
        totals: list[tuple[str, float | int]] = [
            ("Total Queuing Time", float(sum(j.queuing for j in done))),
            ("Total Startup Time", float(sum(j.startup for j in done))),
            ("Total Processing Time", float(processing)),
            ("Total Handling Time", float(handling)),
            ("Average Processing Speed", round(size / processing) if processing else 0),
            ("Average Handling Speed", round(size / handling) if handling else 0),
            ("Total Jobs Queued", len(self.queued)),
            ("Total Jobs Started", len(self.started)),
            ("Total Jobs Completed", len(done)),
            ("Total Job Size Queued", sum(j.size for j in self.queued)),
            ("Total Job Size Started", sum(j.size for j in self.started)),
            ("Total Job Size Completed", size),
            ("Total CalcAppRequests", counters.requests),
            ("Total CalcAppAccepts", counters.accepts),
            ("Total CalcAppRejects", counters.rejects),
            ("Total CalcAppCompletes", counters.completes),
            ("Total CalcAppKeepAlives", counters.keepalives),
            ("Total CalcAppKeepAliveAcks", counters.keepalive_acks),
        ]
        write_scalars(self.values.scalar, self.values.object, [(f"CalcAppPU {n}", v) for n, v in totals])


def start_text(values: Values, transport: str) -> list[str]:
    """The text at the start, in RSPLIB's form."""
    title = "CalcApp Client - Version 1.0"
    rows = [
        ("Object", values.object),
        ("Vector File", values.vector),
        ("Scalar File", values.scalar),
        ("Pool Handle", values.poolhandle),
        ("Transport", transport),
        ("Job Interval", f"{values.jobinterval:g} [s]"),
        ("Job Size", f"{values.jobsize:g} [Calculations]"),
        ("Keep-Alive Transm. Int.", f"{values.keepalivetransmissioninterval:g} [s]"),
        ("Keep-Alive Timeout Int.", f"{values.keepalivetimeoutinterval:g} [s]"),
        ("Runtime", f"{values.runtime:g} [s]"),
    ]
    return [title, "=" * len(title), "", *(f"{name:<24}= {value}" for name, value in rows), ""]


async def work(values: Values, out: Output, transport: str) -> int:
    """Have jobs processed until the time is over."""
    for line in start_text(values, transport):
        out.line(line)
    load = Workload(values, out)
    try:
        async with Library(settings_of(values)) as library:
            generator = asyncio.create_task(load.generate())
            try:
                return await in_time(load.work(library), values.runtime)
            finally:
                generator.cancel()
                await asyncio.gather(generator, return_exceptions=True)
    finally:
        load.close()


def main(words: Sequence[str]) -> int:
    """Run the program with these command line words; return its exit status."""
    return perform(PROGRAM, words, work)


def run() -> int:
    """The installed program."""
    return main(sys.argv[1:])
