"""The demo's second scenario: four servers draw a fractal image; one is killed, then a registrar; it completes.

The user is the demo itself, so that its image can be shown. How programs are started and killed is in `rspdemo`.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.text import Text

from pysocketapi.transport import set_default_transport
from rserpool.services.fractal_client import Timeouts
from rserpool.session import Library

from . import fractal_files
from .common import SHARED, transport_of
from .demo_story import KILLED, READY, Event, Story
from .demo_view import SIGNS, event_line, server_colour
from .fractal_job import Job, Marks
from .fractal_view import HalfBlocks
from .library import settings_of
from .options import Program, Values, parse

if TYPE_CHECKING:
    from .rspdemo import Stage

POOL = "DemoFractalPool"
SAMPLE = "07-double-spiral.fsf"
SIZE = (640, 320)
SESSIONS = 4
KILL_SERVER, KILL_REGISTRAR = 0.25, 0.55  # of the image
TIMEOUTS = Timeouts(1.0, 1.0)
EVENTS = 4  # lines of the log
LINES = 22  # of the whole picture, so that it fits into 24 with the prompt


@dataclass(slots=True)
class Drawn:
    """The image of the demo, and what happened to it."""

    job: Job | None = None
    killed_server: str = ""
    killed_registrar: str = ""
    failover: float | None = None  # seconds from the kill until all parts were being drawn again
    saved: str = ""
    told: int = field(default=0)  # lines of the job's log that are in the story


async def play(stage: Stage, values: Values, drawn: Drawn) -> None:
    """The plot."""
    story = stage.story
    for name, options in (("registrar A", stage.place.registrar), ("registrar B", stage.place.second)):
        await stage.enter(name, "registrar", "rspregistrar", *options, "-mentordiscoverytimeout=300",
                          "-serverannouncecycle=250", "-endpointkeepalivetransmissioninterval=1000",
                          "-endpointkeepalivetimeoutinterval=1000", "-profile=fast-lab")  # fmt: skip
    registrars = [a for a in story.actors.values() if a.role == "registrar"]
    await stage.until(lambda: all(a.state == READY for a in registrars), "the registrars' start", 8)
    for letter in "ABCD":
        await stage.enter(f"server {letter}", "server", "rspserver", *stage.place.others, "-fractal",
                          f"-poolhandle={POOL}", "-fgpcookiemaxpackets=2", "-fgpcookiemaxtime=200",
                          "-fgpdatamaxtime=200")  # fmt: skip
    await stage.until(lambda: all(a.state == READY for a in story.servers()), "the servers' registration", 12)
    shared = parse(Program("rspdemo", "", SHARED), stage.place.others)
    set_default_transport(transport_of(shared))
    parameter, _ = fractal_files.read(fractal_files.SAMPLES / SAMPLE)
    async with Library(settings_of(shared)) as library:
        job = Job(0, SAMPLE, replace(parameter, width=SIZE[0], height=SIZE[1]), SESSIONS, Marks(), TIMEOUTS)
        drawn.job = job
        story.tell(stage.now(), "user", f"draws {SIZE[0]} x {SIZE[1]} points over {SESSIONS} sessions")
        drawing = asyncio.create_task(job.run(library, POOL))
        try:
            await _accidents(stage, library, job, drawn, drawing)
        finally:
            drawing.cancel()
            await asyncio.gather(drawing, return_exceptions=True)
    # Each user has a name of their own: temporary files of others cannot be replaced.
    own = f"rspdemo-{os.getuid() if hasattr(os, 'getuid') else 'user'}.png"
    target = Path(values.png) if values.png else Path(tempfile.gettempdir()) / own
    job.picture.save(target)
    drawn.saved = str(target)


async def _accidents(stage: Stage, library: Library, job: Job, drawn: Drawn, drawing: asyncio.Task[None]) -> None:
    story = stage.story

    async def reached(share: float) -> None:
        await _until(stage, lambda: job.done >= share or drawing.done(), f"{100 * share:.0f} % of the image")

    await reached(KILL_SERVER)
    busy = {d.elements[-1] for d in job.drawings if d.missing and d.elements}
    victim = next((a for a in story.servers() if a.identifier in busy), None)
    if victim is not None:
        drawn.killed_server = victim.name
        stage.kill(victim.name)
        hit = [d for d in job.drawings if d.missing and d.elements and d.elements[-1] == victim.identifier]
        began = stage.now()
        await _until(stage, lambda: all(not d.missing or d.elements[-1] != victim.identifier for d in hit),
                     "the failover")  # fmt: skip
        drawn.failover = stage.now() - began
        others = {a.identifier: a.name for a in story.servers()}
        names = sorted({others.get(d.elements[-1], "?") for d in hit})
        tell_job(story, drawn, stage.now())
        story.tell(stage.now(), "user", f"goes on at {', '.join(names)} after {drawn.failover:.2f} s", "failover")
    await reached(KILL_REGISTRAR)
    link = library.registrar
    known = {a.identifier: a for a in story.actors.values() if a.role == "registrar"}
    registrar = known.get(link.identifier if link is not None else 0) or next(iter(known.values()))
    drawn.killed_registrar = registrar.name
    stage.kill(registrar.name)
    await _until(stage, drawing.done, "the end of the image")
    await drawing


async def _until(stage: Stage, condition: Callable[[], object], what: str) -> None:
    """Wait for something that only the image shows, which tells nobody."""

    async def tick() -> None:
        while not condition():
            await asyncio.sleep(0.02)

    await stage.within(tick(), what)


def tell_job(story: Story, drawn: Drawn, now: float) -> None:
    """Take what the job says into the story."""
    if drawn.job is not None:
        for line in drawn.job.log[drawn.told :]:
            story.tell(now, "user", line.partition(" s  ")[2] or line, "failover")
        drawn.told = len(drawn.job.log)


def summary(story: Story, drawn: Drawn) -> list[str]:
    """What happened, in a few sentences."""
    job, lines = drawn.job, []
    if drawn.killed_server:
        went_on = "did not go on" if drawn.failover is None else f"went on elsewhere after {drawn.failover:.2f} s"
        lines.append(f"{drawn.killed_server} was killed while it drew; its part {went_on}.")
    if drawn.killed_registrar:
        lines.append(f"{drawn.killed_registrar} was killed; nobody waited for it.")
    if job is not None:
        state = (
            f"is complete after {job.seconds:.1f} s" if job.ended else f"is not complete: {100 * job.done:.0f} %"
        )
        lines.append(f"The image of {job.parameter.width} x {job.parameter.height} points {state}, "
                     f"{job.failovers} failover{'' if job.failovers == 1 else 's'}.")  # fmt: skip
    if drawn.saved:
        lines.append(f"It is in {drawn.saved}.")
    return lines


def succeeded(drawn: Drawn) -> bool:
    """Whether the demo showed what it is to show."""
    job = drawn.job
    return bool(
        job
        and job.ended
        and not any(d.missing for d in job.drawings)
        and drawn.failover is not None
        and drawn.saved
    )


def picture(story: Story, drawn: Drawn, now: float, console: Console) -> RenderableType:
    """The picture at a time: who is there, the image, what happened."""
    width = console.width
    head = Text("Reliable Server Pooling", "bold", no_wrap=True)
    for role in ("registrar", "server"):
        head.append(f"   {role}s", "default")
        for actor in (a for a in story.actors.values() if a.role == role):
            alive = "white" if role == "registrar" else server_colour(story, actor.name)
            head.append(f" {SIGNS[actor.state]}{actor.name[-1]}", "bold red" if actor.state == KILLED else alive)
    head.append(f"   {now:.1f} s", "dim")
    head.truncate(width - 1)
    parts: list[RenderableType] = [head]
    if drawn.job is not None:
        job = drawn.job
        parts.append(HalfBlocks(job.picture, width, LINES - EVENTS - 2))
        full = round(30 * job.done)
        bar = Text("━" * full, "green").append("━" * (30 - full), "bright_black")
        parts.append(
            bar.append(
                f" {100 * job.done:3.0f} %   {job.failovers} failover{'' if job.failovers == 1 else 's'}",
                "default",
            )
        )
    shown: list[Event] = story.events[-EVENTS:]
    parts += [event_line(story, e, width) for e in shown]
    return Group(*parts)
