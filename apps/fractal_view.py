"""How fractalpooluser shows its image without a window: live in the terminal as half-blocks, or as plain lines.

One character is two points, one above the other; the terminal needs 24 bit colours for all of them to be seen.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from rich.color import Color
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from .fractal_job import Job, Marks
from .fractal_picture import PALETTE, Picture

FOOT = 4  # lines below the picture
FRAME = 0.1  # seconds between pictures
PLAIN_INTERVAL = 1.0  # seconds between lines on progress


@dataclass(slots=True)
class Wishes:
    """How images are to be drawn, and what the user of a window wants next."""

    size: tuple[int, int]
    sessions: int
    marks: Marks
    again: bool = False  # draw the image again, as the size or number of sessions are new
    next: bool = False
    quit: bool = False

    @property
    def any(self) -> bool:
        """Whether the image at hand is not wanted any more."""
        return self.again or self.next or self.quit


class View(Protocol):
    """What shows images; ``frame``: seconds from one `update` to the next."""

    frame: float

    def start(self) -> None:
        """Begin."""

    def update(self, job: Job | None, words: str) -> None:
        """Show a job; ``words`` tell what the program does meanwhile."""

    def finish(self, job: Job) -> None:
        """Show a job that is done."""

    def stop(self) -> None:
        """End; the terminal is as before."""


@lru_cache(maxsize=8192)
def _style(above: int, below: int) -> Style:
    return Style(color=Color.from_rgb(*PALETTE[above]), bgcolor=Color.from_rgb(*PALETTE[below]))


def fitting(picture: Picture, columns: int, rows: int) -> tuple[int, int]:
    """The largest size in characters, at most ``columns`` x ``rows``, with the picture's shape."""
    scale = min(columns / picture.width, 2 * rows / picture.height)
    return max(1, min(columns, int(picture.width * scale))), max(1, min(rows, int(picture.height * scale / 2)))


class HalfBlocks:
    """A picture as lines of half-blocks."""

    def __init__(self, picture: Picture, columns: int, rows: int) -> None:
        self.columns, self.rows = fitting(picture, columns, rows)
        self._samples = picture.samples(self.columns, 2 * self.rows)
        self._indent = (columns - self.columns) // 2

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for above, below in zip(self._samples[::2], self._samples[1::2]):
            yield Segment(" " * self._indent)
            yield from self._line(above, below)
            yield Segment.line()

    def _line(self, above: bytes, below: bytes) -> Iterator[Segment]:
        pairs = list(zip(above, below))
        start = 0
        for place in range(1, len(pairs) + 1):
            if place == len(pairs) or pairs[place] != pairs[start]:
                yield Segment("▀" * (place - start), _style(*pairs[start]))
                start = place


class Screen:
    """A job in the size of the terminal: picture, servers, the latest failures."""

    def __init__(self, job: Job, words: str, caption: str) -> None:
        self._job = job
        self._words = words
        self._caption = caption

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        job, width = self._job, options.max_width
        rows = max(1, (options.height or console.height) - FOOT - 1)
        yield HalfBlocks(job.picture, width, rows)
        for text in (self._bar(width), self._servers(), *self._failures()):
            text.truncate(width - 1, overflow="ellipsis")
            yield text

    def _bar(self, width: int) -> Text:
        job = self._job
        room = 16
        full = round(room * job.done)
        text = Text(f"{self._caption}  ", "bold", no_wrap=True)
        text.append("━" * full, "green").append("━" * (room - full), "bright_black")
        text.append(f" {100 * job.done:3.0f} %  {job.seconds:5.1f} s  ", "default")
        text.append(
            f"failovers: {job.failovers}", "bold yellow" if job.failovers and job.ended is None else "default"
        )
        if job.waiting and job.ended is None:
            text.append(f"  {job.waiting} sessions look for a server", "bold red")
        elif self._words:
            text.append(f"  {self._words}", "dim")
        return text

    def _servers(self) -> Text:
        job = self._job
        now = {d.elements[-1] for d in job.drawings if d.elements and d.missing and not d.waiting}
        total = sum(job.served.values())
        text = Text(no_wrap=True).append(f"{job.name}  ", "dim")  # a style of Text() is for all parts
        for identifier, points in sorted(job.served.items()):
            active = identifier in now
            text.append("● " if active else "○ ", "green" if active else "bright_black")
            text.append(f"${identifier:08x} {100 * points / total:.0f} %  ", "default" if active else "dim")
        return text

    def _failures(self) -> list[Text]:
        lines = [Text(line, "yellow", no_wrap=True) for line in self._job.log[-(FOOT - 2) :]]
        return lines + [Text()] * (FOOT - 2 - len(lines))


class TerminalView:
    """The image, redrawn in place."""

    frame = FRAME

    def __init__(self, console: Console, caption: str) -> None:
        self._console = console
        self._caption = caption
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._last: Job | None = None

    def start(self) -> None:
        """Begin to draw."""
        self._live.start()

    def update(self, job: Job | None, words: str) -> None:
        """Draw the image as it is now."""
        shown = Text(words) if job is None else Screen(job, words, self._caption)
        self._live.update(shown, refresh=True)

    def finish(self, job: Job) -> None:
        """Nothing more than the last picture."""
        self.update(job, "")
        self._last = job

    def stop(self) -> None:
        """Leave the last complete image on the screen."""
        self._live.stop()
        if self._last is not None:
            self._console.print(Screen(self._last, "", self._caption))


_NO_DIGITS = str.maketrans("", "", "0123456789")


class PlainView:
    """Lines, for logs and pipes."""

    frame = FRAME

    def __init__(self, console: Console) -> None:
        self._file = console.file
        self._job: Job | None = None
        self._told = 0
        self._words = ""
        self._next = 0.0

    def start(self) -> None:
        """Nothing to begin."""

    def _line(self, text: str) -> None:
        print(text, file=self._file, flush=True)

    def update(self, job: Job | None, words: str) -> None:
        """Tell what is new."""
        key = words.translate(_NO_DIGITS)  # a countdown is told once
        if key != self._words:
            self._words = key
            if words:
                self._line(words)
        if job is None:
            return
        if job is not self._job:
            self._job, self._told, self._next = job, 0, 0.0
            p = job.parameter
            self._line(
                f"Image {job.number + 1}: {job.name}, {p.width} x {p.height}, sessions: {len(job.drawings)}"
            )
        for line in job.log[self._told :]:
            self._line(line)
        self._told = len(job.log)
        now = time.monotonic()
        if job.ended is None and now >= self._next:
            self._next = now + PLAIN_INTERVAL
            self._line(f"{job.seconds:6.2f} s  {job.status}" + (f", {job.waiting} waiting" if job.waiting else ""))

    def finish(self, job: Job) -> None:
        """Tell how it was."""
        self.update(job, "")
        total = sum(job.served.values())
        shares = ", ".join(f"${i:08x} {100 * n / total:.0f} %" for i, n in sorted(job.served.items()))
        self._line(f"{job.seconds:6.2f} s  {job.status}; {shares}")

    def stop(self) -> None:
        """Nothing to restore."""


def view_of(console: Console, caption: str) -> View:
    """The view that suits where the output goes."""
    return TerminalView(console, caption) if console.is_terminal else PlainView(console)
