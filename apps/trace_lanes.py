"""rsptrace's picture in the terminal: a lane for each component, an arrow for each message; and plain lines.

A line's parts have styles of rich; without colours they are plain text. Names for lanes are short (PE1), a legend
says who they are. Nothing here reads packets.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from .trace_names import ELEMENT, MONITOR, REGISTRAR, UNKNOWN, USER, Component, real
from .trace_story import Event

ORDER = (REGISTRAR, ELEMENT, USER, MONITOR, UNKNOWN)  # of lanes, from the left
PITCH, WIDEST = 5, 9  # characters from lane to lane: at least, at most
TEXT = 26  # characters that the words beside the lanes need at least
LINES = 3  # of words for a message, unless all are wanted
AGAIN = 60  # messages after which the lanes' names come again

STYLES = {
    "ASAP": "cyan",
    "ENRP": "green",
    "CSP": "bright_black",
    "SCTP": "bright_black",
    "TLS": "bright_black",
    "loss": "red",
    "error": "bold red",
    "mark": "bold magenta",
    "time": "bright_black",
    "legend": "bold",
    "": "",
}
SERVICE_STYLE = "yellow"

Part = tuple[str, str]  # text, style
Line = list[Part]


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters of a picture."""

    lane: str
    dash: str
    cross: str
    from_left: str
    from_right: str
    right: str
    left: str
    everybody: str
    itself: str


DRAWN = Glyphs("│", "─", "┼", "├", "┤", "►", "◄", "●))", "◆")
ASCII = Glyphs("|", "-", "+", "|", "|", ">", "<", "*))", "*")


def style_of(event: Event) -> str:
    """The style of an event."""
    for group in ("error", "loss"):
        if group in event.groups:
            return STYLES[group]
    return STYLES.get(event.protocol, SERVICE_STYLE)


def title_of(event: Event) -> str:
    """A message's name with its protocol's."""
    title, protocol = event.explanation.title, event.protocol
    return title if title.startswith(f"{protocol}_") or protocol == title else f"{protocol} {title}"


def text_of(event: Event) -> str:
    """What a message says, with the number of fragments that it came in."""
    more = f" ({event.fragments} fragments)" if event.fragments > 1 else ""
    return event.explanation.text + more


def clean(text: str) -> str:
    """Text from the network without what terminals and files take for commands."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


class Cast:
    """The short names of components: a letter pair for the role, and a number."""

    def __init__(self) -> None:
        self._codes: dict[Component, str] = {}
        self._numbers: Counter[str] = Counter()
        self._told: dict[Component, tuple[str, int | None, int]] = {}

    def code(self, component: Component) -> str:
        """The short name; a new one if the role has turned out to be another one."""
        component = real(component)
        code = self._codes.get(component)
        if code is None or not code.startswith(component.role):
            self._numbers[component.role] += 1
            code = self._codes[component] = f"{component.role}{self._numbers[component.role]}"
        return code

    def news(self, *components: Component | None) -> list[str]:
        """Lines for the legend: those of them whose name is new or known better than before."""
        lines = []
        for component in components:
            if component is None:
                continue
            here = real(component)
            known = self.code(here), here.identifier, len(here.pools)
            if self._told.get(here) != known:
                self._told[here] = known
                lines.append(f"{known[0]:<4} {here.detail}")
        return lines


def present(events: Iterable[Event]) -> list[Component]:
    """All who take part in events, in the order of lanes."""
    found: dict[Component, None] = {}
    for event in events:
        for end in (event.sender, event.receiver):
            if end is not None:
                found[real(end)] = None
    return sorted(found, key=lambda c: ORDER.index(c.role))


def clock(event: Event, begin: float, of_day: bool) -> str:
    """A time: seconds since the beginning, or the time of day."""
    if of_day:
        try:
            return datetime.fromtimestamp(event.time).strftime("%H:%M:%S.%f")[:12]
        except (ValueError, OverflowError, OSError):
            return "no such time"
    return f"{event.time - begin:9.4f}"


def _details(event: Event, verbose: bool) -> Iterator[Part]:
    """The lines under a message, if all is wanted."""
    if verbose:
        yield event.explanation.section, "bright_black"
        for name, value in event.explanation.fields:
            yield clean(f"  {name}: {value}"), "bright_black"


class Plain:
    """One line for each message, as it is wanted by grep and by people who do not see pictures."""

    def __init__(self, cast: Cast, verbose: bool = False, of_day: bool = False) -> None:
        self._cast = cast
        self._verbose = verbose
        self._of_day = of_day

    def begin(self, components: Iterable[Component]) -> Iterator[Line]:
        """The legend of those who are known from the beginning."""
        for line in self._cast.news(*components):
            yield [(clean(f"# {line}"), STYLES["legend"])]

    def event(self, event: Event, begin: float) -> Iterator[Line]:
        """An event's lines."""
        yield from self.begin(c for c in (event.sender, event.receiver) if c is not None)
        receiver = "all" if event.receiver is None else self._cast.code(event.receiver)
        yield [
            (f"{clock(event, begin, self._of_day)} ", STYLES["time"]),
            (f"{self._cast.code(event.sender)} > {receiver} ", ""),
            (title_of(event), style_of(event)),
            (clean(f": {text_of(event)}"), ""),
            (clean(f" [{event.mark}]") if event.mark else "", STYLES["mark"]),
        ]
        for text, style in _details(event, self._verbose):
            yield [(f"{'':10}{text}", style)]


class Lanes:
    """Lanes and arrows in ``width`` columns."""

    def __init__(
        self, cast: Cast, width: int, glyphs: Glyphs = DRAWN, verbose: bool = False, of_day: bool = False
    ) -> None:
        self._cast = cast
        self._width = width
        self._glyphs = glyphs
        self._verbose = verbose
        self._of_day = of_day
        self._margin = 13 if of_day else 10
        self._lanes: list[Component] = []
        self._rows = 0

    @property
    def capacity(self) -> int:
        """How many lanes there is place for."""
        return (self._width - self._margin - TEXT) // PITCH

    @property
    def _pitch(self) -> int:
        count = max(len(self._lanes), 1)
        return max(PITCH, min(WIDEST, (self._width - self._margin - 44) // count))

    def begin(self, components: Iterable[Component]) -> Iterator[Line]:
        """Legend and head for those who are known from the beginning."""
        self._lanes += components
        yield from self._legend(*self._lanes)
        yield from self._head()

    def _legend(self, *components: Component | None) -> Iterator[Line]:
        for line in self._cast.news(*components):
            yield [(line if len(line) <= self._width else line[: self._width - 1] + "…", STYLES["legend"])]

    def _head(self) -> Iterator[Line]:
        if self._lanes:
            names = "".join(f"{self._cast.code(c):<{self._pitch}}" for c in self._lanes)
            yield [(" " * self._margin + names.rstrip(), STYLES["legend"])]

    def _place(self, component: Component) -> int:
        """The lane of a component; a new one if it has none."""
        here = real(component)
        for number, lane in enumerate(self._lanes):
            if real(lane) is here:
                return number
        self._lanes.append(here)
        return len(self._lanes) - 1

    def event(self, event: Event, begin: float) -> Iterator[Line]:
        """An event's lines."""
        before = len(self._lanes)
        source = self._place(event.sender)
        target = None if event.receiver is None else self._place(event.receiver)
        news = list(self._legend(event.sender, event.receiver))
        yield from news
        self._rows += 1
        if news or len(self._lanes) != before or self._rows % AGAIN == 0:
            yield from self._head()
        style = style_of(event)
        width = max(self._width - self._margin - self._pitch * len(self._lanes), TEXT)
        words = textwrap.wrap(f"{title_of(event)}: {text_of(event)}", width) or [""]
        if not self._verbose and len(words) > LINES:
            words[LINES - 1 :] = [words[LINES - 1][: width - 1] + "…"]
        lines: list[Part] = [(word, style if number == 0 else "") for number, word in enumerate(words)]
        if event.mark:
            lines += [(word, STYLES["mark"]) for word in textwrap.wrap(f"* {event.mark}", width)]
        for text, details in _details(event, self._verbose):
            lines += [(word, details) for word in textwrap.wrap(text, width, subsequent_indent="    ")]
        time = f"{clock(event, begin, self._of_day)} "
        empty = self._row(None, None)
        for number, (text, of_text) in enumerate(lines):
            row = self._row(source, target) if number == 0 else empty
            yield [(time if number == 0 else " " * self._margin, STYLES["time"]),
                   (row, style if number == 0 else STYLES["time"]), (text, of_text)]  # fmt: skip

    def _row(self, source: int | None, target: int | None) -> str:
        """The lanes, with an arrow from one to another; ``target`` None: to everybody."""
        g, pitch = self._glyphs, self._pitch
        row = [" "] * (pitch * len(self._lanes))
        for number in range(len(self._lanes)):
            row[number * pitch] = g.lane
        if source is None:
            return "".join(row)
        start = source * pitch
        if target is None:
            row[start : start + len(g.everybody)] = g.everybody
        elif target == source:
            row[start] = g.itself
        else:
            end = target * pitch
            low, high = min(start, end), max(start, end)
            for place in range(low + 1, high):
                row[place] = g.cross if row[place] == g.lane else g.dash
            row[start] = g.from_left if end > start else g.from_right
            if end > start:
                row[end - 1] = g.right
            else:
                row[end + 1] = g.left
        return "".join(row)
