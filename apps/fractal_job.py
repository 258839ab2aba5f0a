"""One image of fractalpooluser: its parts drawn over parallel sessions, and what a view wants to know of them."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass

from rserpool.services import fractal
from rserpool.services.fractal_client import Drawing, Timeouts
from rserpool.session import Library, Session

from .fractal_picture import FAILOVER_MARK, RUN_MARK, SESSION_MARK, Part, Picture, split


@dataclass(slots=True)
class Marks:
    """What changes the colours of points to come: failovers, sessions."""

    failovers: bool = True
    sessions: bool = True


class Job:
    """One image. ``number`` counts the images from 0; ``name`` is that of its parameters."""

    def __init__(
        self, number: int, name: str, p: fractal.Parameter, sessions: int, marks: Marks, timeouts: Timeouts
    ) -> None:
        parts = split(p, sessions)
        self.number = number
        self.name = name
        self.parameter = p
        self.picture = Picture(p.width, p.height, parts)
        self.began = time.monotonic()
        self.ended: float | None = None
        self.log: list[str] = []  # sentences about failures
        self.served: Counter[int] = Counter()  # points by pool element
        self.marks = marks
        self._sessions = {}
        for part in parts:
            self._sessions[part.number] = self._drawing(part, timeouts)

    def _drawing(self, part: Part, timeouts: Timeouts) -> Drawing:
        def take(offset: int, points: tuple[int, ...]) -> None:
            used = self._sessions[part.number].elements
            mark = RUN_MARK * self.number if self.marks.failovers else 0
            mark += FAILOVER_MARK * len(used) if self.marks.failovers else 0
            mark += SESSION_MARK * part.number if self.marks.sessions else 0
            self.picture.put(part, offset, points, mark)
            self.served[used[-1]] += len(points)

        def say(text: str) -> None:
            self.log.append(f"{self.seconds:6.2f} s  session {part.number + 1}: {text}")

        return Drawing(part.parameter, take, say, timeouts)

    @property
    def drawings(self) -> list[Drawing]:
        """One for each session."""
        return list(self._sessions.values())

    @property
    def done(self) -> float:
        """How much of the image has come, 0..1."""
        return 1 - sum(d.missing for d in self.drawings) / (self.parameter.width * self.parameter.height)

    @property
    def seconds(self) -> float:
        """How long it has taken."""
        return (self.ended or time.monotonic()) - self.began

    @property
    def failovers(self) -> int:
        """How many there were, of all sessions."""
        return sum(d.failovers for d in self.drawings)

    @property
    def waiting(self) -> int:
        """How many sessions have no server."""
        return sum(1 for d in self.drawings if d.missing and (d.waiting or not d.elements))

    @property
    def status(self) -> str:
        """One sentence on how it goes."""
        if self.ended is not None:
            return f"Image {self.number + 1} completed in {self.seconds:.2f} s, failovers: {self.failovers}"
        only = self.drawings[0]
        if len(self._sessions) == 1 and only.packets and only.elements:
            return f"Processed packet #{only.packets} of PE ${only.elements[-1]:08x}"
        return f"Image {self.number + 1}: {100 * self.done:.0f} %, failovers: {self.failovers}"

    async def run(self, library: Library, pool: str) -> None:
        """Draw the image."""

        async def draw(drawing: Drawing) -> None:
            async with Session(library, pool) as session:
                await drawing.run(session)

        async with asyncio.TaskGroup() as group:
            for drawing in self.drawings:
                group.create_task(draw(drawing))
        self.ended = time.monotonic()
