"""rspdemo: plays a scenario of registrars, servers and users as real processes, some of which are killed.

Needs no root and no network but loopback. What takes part and what happens is in a scenario file (`scenario`);
the programs are run by `demo_stage`, the script by `demo_script`, and all is shown by `demo_view`, and to browsers
by `demo_web`.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from rich.console import Console

from . import demo_image, demo_story, logs
from .demo_keys import Keyboard, keys_pressed
from .demo_place import choose_place
from .demo_script import play
from .demo_stage import WAIT, DemoError, Stage
from .demo_view import Scene, view_of
from .demo_web import Watched
from .options import Argument, Group, Option, Program, Values, command_line, fail
from .runtime import run as run_loop
from .scenario import Scenario, ScenarioError, load, source, supplied
from .values import integer, text

PROGRAM = Program(
    "rspdemo",
    "Plays a scenario: starts registrars, servers and users, kills some of them, and shows how the sessions "
    "go on. Ends by itself if the scenario has a script.",
    (
        Group(
            "Scenario",
            (
                Option("scenario", f"one of those that come with the program ({', '.join(supplied())}), or a file",
                       text, "fractal", "NAME|FILE"),
                Option("print", "print the scenario's file, as a start for one of your own, and end"),
                Option("png", "where the image goes that a scenario draws", text, metavar="FILE",
                       shown="rspdemo-UID.png among the temporary files"),
                Option("pcap", "each program writes its packets into this new or empty folder, for rsptrace", text,
                       metavar="DIR"),
                Option("private", "a UDP port for each program instead of the shared 9899"),
                Option("no-multicast", "name registrars by their addresses instead of finding them by multicast"),
            ),
        ),
        Group(
            "Display",
            (
                Option("plain", "plain lines instead of a picture"),
                Option("interactive", "take keys that start, stop and kill components, and go on after the script "
                       "until q or Ctrl-C; so does a scenario without a script"),
                Option("web", "a page for browsers at this port of this host (0: any), with buttons that start, "
                       "stop and kill components; as -interactive", integer(0, 65535), metavar="PORT"),
            ),
        ),
    ),
    (Argument("file", "the scenario, as -scenario=", text, required=False),),
    examples=(
        ("rspdemo", "Four servers draw an image; one is killed, then a registrar."),
        ("rspdemo pingpong -web=8080", "A session that counts, at http://localhost:8080/."),
        ("rspdemo pingpong -pcap=packets && rsptrace packets -hide=monitoring,pingpong",
         "What the programs told each other."),
        ("rspdemo -print pingpong > my.toml && rspdemo my.toml -interactive", "A scenario of your own."),
    ),
)  # fmt: skip

FRAME = 0.1  # seconds between pictures, at least
PAUSE = 5  # times as long as a picture took
HASTE = 0.7  # seconds for programs to end after a signal: we have 1.6 s; registrars wait longer for dead servers


@asynccontextmanager
async def drawing(stage: Stage, draw: Callable[[float], None]) -> AsyncIterator[None]:
    """Draw regularly while the block lasts."""

    async def keep() -> None:
        while True:
            stage.observe()
            began = time.monotonic()
            draw(stage.now())
            # A large terminal must not take the processor from the programs that are shown.
            await asyncio.sleep(max(FRAME, PAUSE * (time.monotonic() - began)))

    task = asyncio.create_task(keep())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def verdict(stage: Stage, problem: str) -> tuple[bool, list[str]]:
    """Whether the scenario showed what it is to show, and what happened, in a few sentences."""
    story, image = stage.story, stage.image
    good, lines = demo_story.succeeded(story), demo_story.summary(story)
    if image is not None:
        good = good and demo_image.succeeded(image, story)
        lines += demo_image.summary(image, story)
    lines += [f"{name} was killed; nobody waited for it." for name in story.killed_registrars if good]
    if problem:
        lines.append(f"The demo stopped: {problem}")
    return good and not problem, lines or ["Nothing yet."]


async def go_on(stage: Stage, keys: bool) -> None:
    """Play the script; then, if a person has a say in it, go on until there is enough."""
    playing = asyncio.create_task(play(stage))
    ending = asyncio.create_task(stage.end.wait())
    try:
        await asyncio.wait((playing, ending), return_when=asyncio.FIRST_COMPLETED)
        if playing.done():
            playing.result()
            if keys:
                await ending
    finally:
        for task in playing, ending:
            task.cancel()
        await asyncio.gather(playing, ending, return_exceptions=True)


async def show(scenario: Scenario, values: Values) -> int:
    """Play a scenario and show it; return the exit status."""
    console = Console(force_terminal=False if values.plain else None, highlight=False)
    registrars = sum(m.role == "registrar" for m in scenario.members)
    place = await choose_place(values, registrars)
    interactive = values.interactive or values.web is not None or not scenario.steps
    async with Watched(values.web) as watched:
        packets = None if values.pcap is None else Path(values.pcap)
        stage = Stage(scenario, demo_story.Story(), place, watched.reports, values.png, packets)
        watched.begin(stage)
        for words in filter(None, (place.words, watched.words)):
            console.print(words, soft_wrap=True)
        scene = Scene(stage.story, scenario.title, stage.image)
        view = view_of(console, scene)
        acting: set[asyncio.Task[None]] = set()

        def act(action: str, name: str) -> None:
            task = asyncio.ensure_future(stage.act(action, [name]))
            acting.add(task)
            task.add_done_callback(acting.discard)

        keyboard = Keyboard(stage.keys, act, stage.end.set)

        def update(now: float) -> None:
            scene.foot = keyboard.words if listening else watched.words
            view.update(now)

        problem, wait = "", HASTE
        with keys_pressed(keyboard.press, interactive and console.is_terminal) as listening:
            view.start()
            try:
                async with drawing(stage, update):
                    await go_on(stage, interactive)
                wait = WAIT
            except DemoError as error:
                problem, wait = str(error), WAIT
            finally:
                lasted = stage.now()
                good, lines = verdict(stage, problem)
                view.finish(lasted, lines, good)  # before the programs end: the picture shows them at work
                await stage.stop(list(stage.members), wait)
    return 0 if good else 1


def main(words: Sequence[str]) -> int:
    """Run the program with these command line words; return its exit status."""
    values = command_line(PROGRAM, words)
    if isinstance(values, int):
        return values
    os.environ.pop("RSERPOOL_TRANSPORT", None)
    logs.begin(0, None, None, False)  # else warnings of the user within this process go into the picture
    name = values.file or values.scenario
    try:
        found = source(name)
        if values.print:
            print(found, end="")
            return 0
        scenario = load(found)
    except ScenarioError as error:
        return fail(PROGRAM, f"{name}: {error}" if name not in str(error) else str(error))
    try:
        if values.pcap is not None:
            folder = Path(values.pcap)
            folder.mkdir(parents=True, exist_ok=True)
            if any(folder.iterdir()):
                return fail(PROGRAM, f"{folder} is not empty", "What other runs wrote there would be mixed up.")
        return run_loop(lambda: show(scenario, values), quiet=True)
    except OSError as error:
        return fail(PROGRAM, str(error))


def run() -> int:
    """The installed program."""
    return main(sys.argv[1:])
