"""fractalpooluser: draws fractal images over sessions with the servers of a pool, whatever becomes of these.

Shows them in a window or in the terminal and saves them as PNG. What a session does is in
`rserpool.services.fractal_client`, what an image is in `fractal_job`.
"""

from __future__ import annotations

import asyncio
import math
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from rserpool.services import fractal
from rserpool.services.fractal_client import Timeouts
from rserpool.session import Library

from . import fractal_files
from .common import SHARED, launch, parse_command_line
from .fractal_job import Job, Marks
from .fractal_view import View, Wishes, view_of
from .library import no_element, no_registrar, settings_of
from .logs import Output
from .options import Group, Option, Program, Values, fail
from .values import choice, identifier, integer, milliseconds, pool_handle, seconds, text

PATIENCE = 2.0  # seconds without a server until that is told

PROGRAM = Program(
    "fractalpooluser",
    "Draws fractal images: each is split into parts, each part comes over a session of its own from a server "
    "of the pool; when it fails, another one goes on.",
    (
        Group(
            "Images",
            (
                Option("poolhandle", "the pool", pool_handle, fractal.POOL, "NAME"),
                Option("configdir", "a folder with parameter files (*.fsf, *.fgp): for each image one of them at "
                       "random", text, metavar="DIR", shown="our samples"),
                Option("file", "draw the image of this parameter file", text, metavar="FILE"),
                Option("seed", "makes the random sequence of images a certain one", integer(0, 2**63),
                       metavar="N", shown="none"),
                Option("width", "width of an image", integer(64, 8192), "400", "POINTS"),
                Option("height", "height of an image", integer(64, 4096), "250", "POINTS"),
                Option("threads", "sessions at a time", integer(1, 512), "1", "N"),
                Option("images", "end after so many images", integer(1, 2**31), metavar="N",
                       shown="never; 1 with -png"),
                Option("interimagetime", "pause between images", seconds(0), "5", "S"),
                Option("sendtimeout", "leave a server that takes no message for so long", milliseconds(10),
                       "5000", "MS"),
                Option("recvtimeout", "leave a server that sends no message for so long", milliseconds(10),
                       "5000", "MS"),
                Option("identifier", "identifier in status reports", identifier(56), metavar="ID",
                       shown="random"),
            ),
        ),
        Group(
            "Picture",
            (
                Option("caption", "the title", text, "Fractal Pool User", "TEXT"),
                Option("colormarks", "failovers change the colours (default)", dest="colormarks", value=True),
                Option("nocolormarks", "they do not", dest="nocolormarks", value=True),
                Option("sessions", "each session has colours of its own (default)", dest="sessions", value=True),
                Option("nosessions", "all have the same", dest="nosessions", value=True),
                Option("png", "save the image to this file", text, metavar="FILE"),
                Option("imagestorageprefix", "save all images to PREFIX and a number", text, metavar="PREFIX"),
                Option("display", "show images in a window (extra gui), in the terminal, or as plain lines; auto: "
                       "what there is", choice("auto", "window", "terminal", "plain"), "auto",
                       "auto|window|terminal|plain"),
                Option("plain", "the same as -display=plain"),
            ),
        ),
        *SHARED,
    ),
    examples=(
        ("fractalpooluser -threads=4", "Images in the terminal, each by four sessions."),
        ("fractalpooluser -threads=9 -width=1000 -height=700 -png=picture.png", "One image, saved."),
    ),
)  # fmt: skip


class Images:
    """Which image is next: that of one file, or one of a folder at random."""

    def __init__(self, files: list[Path], seed: int | None) -> None:
        self._files = files
        self._random = random.Random(seed)
        self._last: Path | None = None

    def next(self) -> tuple[str, fractal.Parameter, str]:
        """Return name, parameters and a warning or ""; the default image where no file can be used."""
        candidates = [f for f in self._files if f != self._last] or self._files
        warnings = []
        while candidates:
            path = self._random.choice(candidates)
            try:
                found, warning = fractal_files.read(path)
            except (OSError, ValueError) as error:
                warnings.append(str(error))
                candidates.remove(path)
                self._files = [f for f in self._files if f != path]
                continue
            self._last = path
            return path.name, found, "\n".join([*warnings, warning]).strip()
        return "whole set", fractal_files.DEFAULT, "\n".join(warnings)


def files_of(values: Values) -> list[Path]:
    """The parameter files to choose from. OSError, ValueError if what the options name cannot be used."""
    if values.file is not None:
        fractal_files.read(Path(values.file))
        return [Path(values.file)]
    if values.configdir is not None:
        return fractal_files.listing(Path(values.configdir))
    return fractal_files.listing(fractal_files.SAMPLES)


async def show(job: Job, view: View, wishes: Wishes, library: Library, values: Values) -> None:
    """Show a job until its image is not wanted any more."""
    while not wishes.any:
        words = ""
        if job.waiting == len(job.drawings) and job.seconds > PATIENCE:
            words = no_registrar(values) if library.registrar is None else no_element(values.poolhandle)
        view.update(job, words)
        library.set_status(job.status)
        await asyncio.sleep(view.frame)


async def one_image(job: Job, view: View, wishes: Wishes, library: Library, values: Values) -> bool:
    """Draw an image and show it meanwhile; False if it was not wanted any more."""
    shower = asyncio.create_task(show(job, view, wishes, library, values))
    drawer = asyncio.create_task(job.run(library, values.poolhandle))
    try:
        await asyncio.wait((shower, drawer), return_when=asyncio.FIRST_COMPLETED)
        if not drawer.done():
            return False
        drawer.result()
    finally:
        for task in (shower, drawer):
            task.cancel()
        await asyncio.gather(shower, drawer, return_exceptions=True)
    library.set_status(job.status)
    view.finish(job)
    return True


async def pause(job: Job, words: str, view: View, wishes: Wishes, seconds: float) -> None:
    """Wait for the next image."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and not wishes.any:
        view.update(job, ", ".join(filter(None, (words, f"next image in {math.ceil(left)} s"))))
        await asyncio.sleep(min(view.frame, left))


def save(job: Job, values: Values) -> str:
    """Save an image as the options ask for; return words about it. OSError."""
    names = []
    if values.png is not None:
        names.append(values.png)
    if values.imagestorageprefix is not None:
        names.append(f"{values.imagestorageprefix}{job.number + 1:06d}.png")
    for name in names:
        job.picture.save(Path(name))
    return f"saved to {', '.join(names)}" if names else ""


async def draw(values: Values, images: Images, view: View, wishes: Wishes) -> int:
    """Draw image after image."""
    count = values.images or (1 if values.png is not None else None)
    timeouts = Timeouts(values.sendtimeout, values.recvtimeout)
    async with Library(settings_of(values, values.identifier or 0)) as library:
        number = 0
        while number != count:
            if not wishes.again:
                name, place, warning = images.next()
            wishes.again = wishes.next = False
            parameter = replace(place, width=wishes.size[0], height=wishes.size[1])
            job = Job(number, name, parameter, wishes.sessions, wishes.marks, timeouts)
            job.log += warning.splitlines()
            if await one_image(job, view, wishes, library, values):
                words = await asyncio.to_thread(save, job, values)  # large ones take seconds
                number += 1
                if number == count:
                    view.update(job, words)
                else:
                    await pause(job, words, view, wishes, values.interimagetime)
            if wishes.quit:
                break
    return 0


def view_for(values: Values, wishes: Wishes) -> View:
    """The view that the options ask for. ValueError if there is none such."""
    kind = "plain" if values.plain else values.display
    if kind == "window" or (kind == "auto" and values.png is None):
        try:
            from .fractal_window import WindowView, display
        except ImportError:
            if kind == "window":
                raise ValueError("a window needs PySide6: pip install 'pyrserpool[gui]'") from None
        else:
            if display():
                return WindowView(values.caption, wishes)
            if kind == "window":
                raise ValueError("there is no display for a window ($DISPLAY, $WAYLAND_DISPLAY)")
    force = {"plain": False, "terminal": True}.get(kind)
    return view_of(Console(force_terminal=force, highlight=False), values.caption)


def start_text(values: Values, transport: str) -> list[str]:
    """The program's parameters, in RSPLIB's words."""
    rows = (
        ("Pool Handle", values.poolhandle),
        ("Width", values.width),
        ("Height", values.height),
        ("Config Directory", values.configdir or "(our samples)"),
        ("Send Timeout", f"{values.sendtimeout * 1000:.0f} [ms]"),
        ("Receive Timeout", f"{values.recvtimeout * 1000:.0f} [ms]"),
        ("Inter Image Time", f"{values.interimagetime:g} [s]"),
        ("Image Storage Prefix", values.imagestorageprefix or ""),
        ("Show Color Marks", "off" if values.nocolormarks else "on"),
        ("Show Sessions", "off" if values.nosessions else "on"),
        ("Threads", values.threads),
        ("Transport", transport),
    )
    return [f"{name:<20} = {value}" for name, value in rows]


def main(words: Sequence[str]) -> int:
    """Run the program with these command line words; return its exit status."""
    values = parse_command_line(PROGRAM, words)
    if isinstance(values, int):
        return values
    size = (values.width, values.height)
    wishes = Wishes(size, values.threads, Marks(not values.nocolormarks, not values.nosessions))
    try:
        images = Images(files_of(values), values.seed)
        for name in filter(None, (values.png, values.imagestorageprefix)):
            if not Path(name).parent.is_dir():  # better now than when the image is complete
                raise ValueError(f"there is no folder {Path(name).parent} to save images in")
        view = view_for(values, wishes)
    except (OSError, ValueError) as error:
        return fail(PROGRAM, str(error))
    out = Output()

    async def work(transport: str) -> int:
        out.title("Fractal Pool User - Version 2.0")
        for line in start_text(values, transport):
            out.line(line)
        out.line()
        view.start()
        try:
            return await draw(values, images, view, wishes)
        finally:
            view.stop()

    return launch(PROGRAM, values, work)


def run() -> int:
    """The installed program."""
    return main(sys.argv[1:])
