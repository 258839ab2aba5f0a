"""How the demo's story is shown: a live picture as large as the terminal (rich), or plain lines.

The picture is on the terminal's other screen, where it is overwritten line by line; its last state and the summary
stay on the usual one, and fit into it. Nothing but presentation is in here.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from rich.align import Align
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from .demo_image import ImageUser
from .demo_story import ENDED, IN_USE, KILLED, OFF, READY, STARTING, Actor, Event, Story
from .fractal_view import HalfBlocks
from .runtime import full_screen

COLOURS = ("cyan", "magenta", "yellow", "green", "blue")
KINDS = {"note": "white", "start": "dim", "kill": "bold red", "failover": "bold yellow", "error": "bold red"}
SIGNS = {OFF: "·", STARTING: "…", READY: "●", IN_USE: "◆", KILLED: "✖", ENDED: "○"}
EVENTS = 7  # lines of the log, at most
IMAGE_EVENTS = 4  # beside an image
BOX = 16  # columns of a server's box, at least
BOXES = 14  # lines of a picture with boxes, without events


@dataclass(slots=True)
class Scene:
    """What is to be seen: the story, its title, the user's image if there is one, words at the bottom."""

    story: Story
    title: str
    image: ImageUser | None = None
    foot: str = ""


def server_colour(story: Story, name: str) -> str:
    """The colour of a server, the same all the time."""
    names = [a.name for a in story.servers()]
    return COLOURS[names.index(name) % len(COLOURS)] if name in names else "white"


def picture(scene: Scene, now: float, width: int, height: int) -> RenderableType:
    """The picture at a time, in at most so many columns and lines."""
    story, image = scene.story, scene.image
    room = height - (1 if scene.foot else 0)
    if image is not None and image.job is not None:
        parts = _with_image(scene, image, now, width, room)
    elif room >= BOXES and 0 < len(story.servers()) <= width // BOX:
        parts = _with_boxes(scene, now, width)
        parts += _events(scene, width, min(EVENTS, room - BOXES + 2))
    else:
        parts = [_head(scene, now, width)]
        parts += [_row(story, a, width) for a in list(story.actors.values())[: room - 1]]
        parts += _events(scene, width, min(EVENTS, room - len(parts)))
    if scene.foot:
        parts.append(_cut(Text(scene.foot, "reverse"), width))
    return Group(*parts)


def _cut(text: Text, width: int) -> Text:
    text.truncate(width - 1, overflow="ellipsis")
    text.no_wrap = True
    return text


def _events(scene: Scene, width: int, count: int) -> list[RenderableType]:
    told = [e for e in scene.story.events if e.kind != "reply"]
    return [event_line(scene.story, e, width) for e in told[-count:]] if count > 0 else []


def _style(story: Story, actor: Actor) -> str:
    usual = server_colour(story, actor.name)
    return {KILLED: "bold red", ENDED: "dim", STARTING: "dim", OFF: "dim"}.get(actor.state, usual)


def _head(scene: Scene, now: float, width: int) -> Text:
    """Who is there, in one line."""
    story = scene.story
    head = Text().append(f"{now:5.1f} s  ", "dim")  # a style of Text() is for all parts
    for role in ("registrar", "server", "user"):
        actors = story.of_role(role)
        if actors:
            head.append(f"{role}s" if len(actors) > 1 else role, "default")
            for actor in actors:
                letter = actor.name[-1] if len(actors) > 1 else ""
                head.append(f" {SIGNS[actor.state]}{letter}", _style(story, actor))
            head.append("   ")
    head.append(scene.title, "bold")
    return _cut(head, width)


def _with_image(scene: Scene, image: ImageUser, now: float, width: int, height: int) -> list[RenderableType]:
    job = image.job
    if job is None:
        return []
    parts: list[RenderableType] = [_head(scene, now, width)]
    events = max(0, min(IMAGE_EVENTS, height - 6))
    parts.append(HalfBlocks(job.picture, width - 1, max(1, height - events - 2)))
    full = round(30 * job.done)
    bar = Text("━" * full, "green").append("━" * (30 - full), "bright_black")
    bar.append(
        f" {100 * job.done:3.0f} %   {job.failovers} failover{'' if job.failovers == 1 else 's'}", "default"
    )
    return [*parts, _cut(bar, width), *_events(scene, width, events)]


def _with_boxes(scene: Scene, now: float, width: int) -> list[RenderableType]:
    story = scene.story
    head = Table.grid(expand=True)
    head.add_column()
    head.add_column(justify="right")
    head.add_row(Text(scene.title, "bold", no_wrap=True), Text(f"{now:4.1f} s", "dim"))
    parts: list[RenderableType] = [head, Text()]
    line = Text(no_wrap=True)
    for registrar in story.of_role("registrar"):
        line.append(f"{registrar.name} ", "bold red" if registrar.state == KILLED else "bold")
        known = registrar.identifier and registrar.state != KILLED
        line.append(f"${registrar.identifier:08x}   " if known else f"{registrar.state}   ", "white")
    alive = sum(a.state in (READY, IN_USE) for a in story.servers())
    line.append(f"{alive} server{'' if alive == 1 else 's'} in the pool", "dim")
    parts.append(Align.center(_cut(line, width)))
    boxes = Table.grid(expand=True, padding=(0, 1))
    for _ in story.servers():
        boxes.add_column(ratio=1)
    boxes.add_row(*(_box(story, a) for a in story.servers()))
    boxes.add_row(*(_arrow(story, a) for a in story.servers()))
    return [*parts, boxes, _user(story, width), Text()]


def _box(story: Story, actor: Actor) -> Panel:
    style = {KILLED: "red"}.get(actor.state, _style(story, actor))
    text = Text(f"${actor.identifier:08x}" if actor.identifier else "        …", "white", justify="center")
    text.append(f"\n{SIGNS[actor.state]} {actor.state}", f"bold {style}" if actor.state == IN_USE else style)
    text.append(f"\n{actor.replies} replies" if actor.replies else "\n", "dim")
    return Panel(text, title=Text(actor.name, f"bold {style}"), border_style=style)


def _arrow(story: Story, actor: Actor) -> Text:
    here = actor.name == story.current and actor.state == IN_USE
    return Text("▲\n║" if here else " \n ", server_colour(story, actor.name), justify="center")


def _user(story: Story, width: int) -> RenderableType:
    text = Text("user ", "bold", no_wrap=True)
    if not story.replies:
        talking = any(a.state in (READY, IN_USE) for a in story.of_role("user"))
        text.append("not talking yet" if not talking else "", "dim")
        return text
    text.append(f"{story.sent} messages, reply {story.last_reply} ", "white")
    room = max(10, width - len(text.plain) - 4)
    for name in story.replies[-room:]:
        text.append("■", server_colour(story, name))
    return text


def _row(story: Story, actor: Actor, width: int) -> Text:
    text = Text(f"{SIGNS[actor.state]} {actor.name:<14} ", _style(story, actor))
    text.append(f"{f'${actor.identifier:08x}' if actor.identifier else '':<10} {actor.state:<12}", "default")
    text.append(f"{actor.replies} replies  " if actor.replies else "", "dim")
    text.append(actor.pool, "dim")
    return _cut(text, width)


def event_line(story: Story, event: Event, width: int) -> Text:
    """An event of the log."""
    text = Text().append(f"{event.time:5.1f}  ", "dim")  # a style of Text() is for all parts
    text.append(f"{event.actor:<12}", server_colour(story, event.actor) if event.actor in
                {a.name for a in story.servers()} else "bold")  # fmt: skip
    text.append(event.text, KINDS.get(event.kind, "white"))
    return _cut(text, width)


class TerminalView:
    """The picture, on the terminal's other screen."""

    def __init__(self, console: Console, scene: Scene) -> None:
        self._console = console
        self._scene = scene
        self._live = Live(console=console, auto_refresh=False, screen=True, vertical_overflow="crop")
        self._other_screen = ExitStack()

    def start(self) -> None:
        """Begin to draw."""
        self._other_screen.enter_context(full_screen())
        self._live.start()

    def update(self, now: float) -> None:
        """Draw the picture of this moment."""
        size = self._console.size
        self._live.update(picture(self._scene, now, size.width, size.height), refresh=True)

    def finish(self, now: float, lines: list[str], good: bool) -> None:
        """Leave the last picture on the usual screen, with the summary below it."""
        self._live.stop()
        self._other_screen.close()
        style = "green" if good else "red"
        box = Panel(Text("\n".join(lines)), title="What happened", border_style=style, title_align="left")
        width, height = self._console.size
        below = len(self._console.render_lines(box)) + 1  # and the prompt
        self._scene.foot = ""
        if height - below > 0:
            self._console.print(picture(self._scene, now, width, height - below))
        self._console.print(box)


class PlainView:
    """A line for each event, for logs and pipes."""

    def __init__(self, console: Console, scene: Scene) -> None:
        self._console = console
        self._story = scene.story
        self._told = 0

    def start(self) -> None:
        """Nothing to begin."""

    def update(self, now: float) -> None:
        """Tell what is new."""
        for event in self._story.events[self._told :]:
            print(f"{event.time:6.2f} s  {event.actor:<12}{event.text}", file=self._console.file, flush=True)
        self._told = len(self._story.events)

    def finish(self, now: float, lines: list[str], good: bool) -> None:
        """Tell the summary."""
        self.update(now)
        print("\nWhat happened\n  " + "\n  ".join(lines), file=self._console.file, flush=True)


View = TerminalView | PlainView


def view_of(console: Console, scene: Scene) -> View:
    """The view that suits where the output goes."""
    return TerminalView(console, scene) if console.is_terminal else PlainView(console, scene)
