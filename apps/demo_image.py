"""The demo's user that draws an image: a fractalpooluser within this process, so that its image can be shown.

What it draws and how is in the options of that program; where the image is shown in `demo_view`.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from pysocketapi.transport import set_default_transport
from rserpool.services import fractal
from rserpool.services.fractal_client import Drawing, Timeouts
from rserpool.session import Library

from . import fractal_files, fractalpooluser
from .common import transport_of
from .demo_story import IN_USE, READY, Story
from .fractal_job import Job, Marks
from .library import settings_of
from .options import parse


@dataclass(slots=True)
class Move:
    """A server that was killed while it drew: how long until all its parts were being drawn again, or None."""

    server: str
    identifier: int
    began: float
    hit: list[Drawing]
    seconds: float | None = None


@dataclass(slots=True)
class ImageUser:
    """The user ``name``, its image, and what happened to it. ``png``: where it goes, whatever its options say."""

    name: str
    png: str | None = None
    job: Job | None = None
    library: Library | None = None
    moves: list[Move] = field(default_factory=list)
    saved: str = ""
    told: int = 0  # lines of the job's log that are in the story

    async def run(self, options: tuple[str, ...], story: Story, now: Callable[[], float]) -> None:
        """Draw one image and save it. OSError, ValueError if that cannot be."""
        values = parse(fractalpooluser.PROGRAM, options)
        set_default_transport(transport_of(values))
        name, parameter = self._place(values.file, values.seed)
        async with Library(settings_of(values)) as library:
            marks = Marks(not values.nocolormarks, not values.nosessions)
            timeouts = Timeouts(values.sendtimeout, values.recvtimeout)
            size = replace(parameter, width=values.width, height=values.height)
            self.job, self.library, self.told = Job(0, name, size, values.threads, marks, timeouts), library, 0
            sessions = f"{values.threads} session{'' if values.threads == 1 else 's'}"
            story.actors[self.name].state = READY
            story.tell(now(), self.name, f"draws {values.width} x {values.height} points over {sessions}")
            try:
                await self.job.run(library, values.poolhandle)
            finally:
                self.library = None
        # Each user has a name of their own: temporary files of others cannot be replaced.
        own = f"rspdemo-{os.getuid() if hasattr(os, 'getuid') else 'user'}.png"
        target = self.png or values.png or Path(tempfile.gettempdir()) / own
        self.job.picture.save(Path(target))
        self.saved = str(target)

    def _place(self, file: str | None, seed: int | None) -> tuple[str, fractal.Parameter]:
        """Name and parameters of the image: those of a file, perhaps one of the samples, or of any sample."""
        samples = fractal_files.listing(fractal_files.SAMPLES)
        chosen = [p for p in samples if p.name == file] or ([Path(file)] if file else samples)
        name, parameter, _ = fractalpooluser.Images(chosen, seed).next()
        return name, parameter

    def observe(self, story: Story, now: float) -> None:
        """Take into the story what the image shows: which servers are in use, failovers."""
        job = self.job
        if job is None:
            return
        busy = {d.elements[-1] for d in job.drawings if d.missing and d.elements and not d.waiting}
        for actor in story.servers():
            if actor.state in (READY, IN_USE):
                actor.state = IN_USE if actor.identifier in busy and self.library is not None else READY
        for line in job.log[self.told :]:
            story.tell(now, self.name, line.partition(" s  ")[2] or line, "failover")
        self.told = len(job.log)
        for move in self.moves:
            if move.seconds is None and not any(_still_at(d, move.identifier) for d in move.hit):
                move.seconds = now - move.began
                names = {a.identifier: a.name for a in story.servers()}
                others = sorted({names.get(d.elements[-1], "?") for d in move.hit} - {move.server})
                where = f"goes on at {', '.join(others)}" if others else "goes on"
                story.tell(now, self.name, f"{where} after {move.seconds:.2f} s", "failover")

    def killed(self, server: str, identifier: int, now: float) -> None:
        """A server has been killed."""
        if self.job is not None and self.library is not None:
            hit = [d for d in self.job.drawings if _still_at(d, identifier)]
            if hit:
                self.moves.append(Move(server, identifier, now, hit))

    @property
    def registrar(self) -> int:
        """The identifier of the registrar in use; 0 if there is none."""
        link = self.library.registrar if self.library is not None else None
        return link.identifier if link is not None else 0


def _still_at(drawing: Drawing, identifier: int) -> bool:
    return bool(drawing.missing and drawing.elements and drawing.elements[-1] == identifier)


def summary(user: ImageUser, story: Story) -> list[str]:
    """What happened to the image, in a few sentences."""
    job, lines = user.job, []
    for move in user.moves:
        went_on = "did not go on" if move.seconds is None else f"went on elsewhere after {move.seconds:.2f} s"
        lines.append(f"{move.server} was killed while it drew; its part {went_on}.")
    if job is None:
        return [*lines, "No image was drawn."] if user.name in story.actors else lines
    state = f"is complete after {job.seconds:.1f} s" if job.ended else f"is not complete: {100 * job.done:.0f} %"
    lines.append(f"The image of {job.parameter.width} x {job.parameter.height} points {state}, "
                 f"{job.failovers} failover{'' if job.failovers == 1 else 's'}.")  # fmt: skip
    if user.saved:
        lines.append(f"It is in {user.saved}.")
    return lines


def succeeded(user: ImageUser, story: Story) -> bool:
    """Whether all went on, and the image of a user that was to complete it is complete and saved."""
    if any(m.seconds is None for m in user.moves):
        return False
    return not story.actors[user.name].completed or bool(user.saved)
