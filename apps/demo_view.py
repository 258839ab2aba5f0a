"""How the demo's story is shown: a live picture in a terminal (rich), or plain lines.

Fits into 80 columns and 24 lines. Nothing but presentation is in here.
"""

from __future__ import annotations

from collections.abc import Callable

from rich.align import Align
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from .demo_story import ENDED, IN_USE, KILLED, READY, STARTING, Actor, Event, Story

COLOURS = ("cyan", "magenta", "yellow", "green", "blue")
KINDS = {"note": "white", "start": "dim", "kill": "bold red", "failover": "bold yellow", "error": "bold red"}
SIGNS = {STARTING: "…", READY: "●", IN_USE: "◆", KILLED: "✖", ENDED: "○"}
EVENTS = 7  # lines of the log


def server_colour(story: Story, name: str) -> str:
    """The colour of a server, the same all the time."""
    names = [a.name for a in story.servers()]
    return COLOURS[names.index(name) % len(COLOURS)] if name in names else "white"


def picture(story: Story, now: float, width: int) -> RenderableType:
    """The picture at a time."""
    head = Table.grid(expand=True)
    head.add_column()
    head.add_column(justify="right")
    head.add_row(Text("Reliable Server Pooling", "bold"), Text(f"{now:4.1f} s", "dim"))
    parts: list[RenderableType] = [head, Text()]
    registrar = next((a for a in story.actors.values() if a.role == "registrar"), None)
    if registrar is not None:
        alive = sum(a.state in (READY, IN_USE) for a in story.servers())
        line = Text("registrar ", "bold")
        line.append(f"${registrar.identifier:08x}" if registrar.identifier else "starting …", "white")
        line.append(f"   {alive} server{'' if alive == 1 else 's'} in the pool", "dim")
        parts.append(Align.center(line))
    boxes = Table.grid(expand=True, padding=(0, 1))
    for _ in story.servers():
        boxes.add_column(ratio=1)
    if story.servers():
        boxes.add_row(*(_box(story, a) for a in story.servers()))
        boxes.add_row(*(_arrow(story, a) for a in story.servers()))
        parts.append(boxes)
    parts.append(_user(story, width))
    parts.append(Text())
    shown = [e for e in story.events if e.kind != "reply"][-EVENTS:]
    parts += [event_line(story, e, width) for e in shown]
    return Group(*parts)


def _box(story: Story, actor: Actor) -> Panel:
    colour = server_colour(story, actor.name)
    style = {KILLED: "red", ENDED: "dim", STARTING: "dim"}.get(actor.state, colour)
    text = Text(f"${actor.identifier:08x}" if actor.identifier else "        …", "white", justify="center")
    text.append(f"\n{SIGNS[actor.state]} {actor.state}", f"bold {style}" if actor.state == IN_USE else style)
    text.append(f"\n{actor.replies} replies" if actor.replies else "\n", "dim")
    return Panel(text, title=Text(actor.name, f"bold {style}"), border_style=style)


def _arrow(story: Story, actor: Actor) -> Text:
    here = actor.name == story.current and actor.state == IN_USE
    return Text("▲\n║" if here else " \n ", server_colour(story, actor.name), justify="center")


def _user(story: Story, width: int) -> RenderableType:
    text = Text("user ", "bold")
    if not story.replies:
        text.append("not talking yet" if "user" in story.actors else "", "dim")
        return text
    text.append(f"{story.sent} messages, reply {story.last_reply} ", "white")
    room = max(10, width - len(text.plain) - 4)
    for name in story.replies[-room:]:
        text.append("■", server_colour(story, name))
    return text


def event_line(story: Story, event: Event, width: int) -> Text:
    """An event of the log."""
    style = KINDS.get(event.kind, "white")
    text = Text(f"{event.time:5.1f}  ", "dim")
    text.append(f"{event.actor:<12}", server_colour(story, event.actor) if event.actor in
                {a.name for a in story.servers()} else "bold")  # fmt: skip
    text.append(event.text, style)
    text.truncate(width - 1, overflow="ellipsis")
    return text


class TerminalView:
    """The picture, redrawn in place."""

    def __init__(self, console: Console, draw: Callable[[float], RenderableType]) -> None:
        self._console = console
        self._draw = draw
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def start(self) -> None:
        """Begin to draw."""
        self._live.start()

    def update(self, now: float) -> None:
        """Draw the picture of this moment."""
        self._live.update(self._draw(now), refresh=True)

    def finish(self, now: float, lines: list[str], good: bool) -> None:
        """Leave the last picture on the screen, with the summary below it."""
        self._live.stop()
        self._console.print(self._draw(now))
        style = "green" if good else "red"
        self._console.print(
            Panel(Text("\n".join(lines)), title="What happened", border_style=style, title_align="left")
        )


class PlainView:
    """A line for each event, for logs and pipes."""

    def __init__(self, console: Console, story: Story) -> None:
        self._console = console
        self._story = story
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


def view_of(console: Console, story: Story, draw: Callable[[float], RenderableType]) -> TerminalView | PlainView:
    """The view that suits where the output goes; ``draw`` makes the picture of a moment."""
    return TerminalView(console, draw) if console.is_terminal else PlainView(console, story)
