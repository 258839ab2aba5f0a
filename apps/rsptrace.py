"""rsptrace: reads captures of SCTP and RSerPool, or listens, and draws the message sequence, explained.

How packets are read is in `trace_input`, what they mean in `trace_story`, the pictures in `trace_lanes` and
`trace_pictures`.
"""

from __future__ import annotations

import math
import os
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from pysctplib.trace.frames import ENCAPSULATION, Datagram

from . import trace_pictures, trace_summary
from .options import Argument, Group, Option, Program, Values, command_line, fail
from .runtime import run as run_loop
from .start import interruptible
from .trace_input import InputError, Once, Source, follow, listen, names_of, open_interface, open_sources, read
from .trace_lanes import ASCII, DRAWN, Cast, Lanes, Line, Plain, clean, present
from .trace_story import GROUPS, Choice, Event, Story, choice
from .values import identifier, integer, pool_handle, seconds, text


def groups(value: str) -> list[str]:
    """Groups of messages, with commas."""
    words = value.split(",")
    for word in words:
        if word not in GROUPS:
            raise ValueError(f"{word!r} is none of {', '.join(GROUPS)}")
    return words


PROGRAM = Program(
    "rsptrace",
    "Reads captures of packets (pcap, pcapng), or listens, and draws who tells what to whom: ASAP, ENRP, status "
    "reports, the services, and what SCTP does below them. Every message is explained.",
    (
        Group(
            "Input",
            (
                Option("follow", "go on reading as the files grow, and draw at once; Ctrl-C ends it"),
                Option("interface", "listen to this interface (needs root)", text, metavar="NAME"),
                Option("udp-port", "a UDP port with SCTP in it, besides 9899; others are found by checksums",
                       integer(1, 65535), metavar="PORT", repeat=True),
            ),
            "Several files, e.g. of several programs' -pcap, are put together; what two have counts once.",
        ),
        Group(
            "Choice",
            (
                Option("only", "only messages of these groups", groups, metavar="GROUP,...",
                       shown="all but sack and heartbeat"),
                Option("hide", "no messages of these groups", groups, metavar="GROUP,..."),
                Option("pool", "only what concerns this pool", pool_handle, metavar="NAME"),
                Option("from", "only from so many seconds after the first packet on", seconds(), "0", "SECONDS"),
                Option("to", "only up to so many seconds after the first packet", seconds(), metavar="SECONDS"),
                Option("element", "only what concerns this pool element", identifier(32), metavar="ID"),
            ),
            "Groups: " + "; ".join(f"{name}: {meaning}" for name, meaning in GROUPS.items()) + ".",
        ),
        Group(
            "Output",
            (
                Option("plain", "a line for each message instead of lanes and arrows"),
                Option("verbose", "all fields of the messages, and where the RFCs tell of them"),
                Option("clock", "times of day, not seconds since the first packet"),
                Option("summary", "what was counted, how long answers took, failovers, takeovers"),
                Option("json", "a JSON object for each message, one a line"),
                Option("svg", "a picture into this file", text, metavar="FILE"),
                Option("mermaid", "a sequence diagram for Mermaid into this file, - for standard output", text,
                       metavar="FILE"),
            ),
            "Without -summary, -json, -svg and -mermaid the sequence is drawn in the terminal.",
        ),
    ),
    (Argument("files", "captures, folders with captures, or - for standard input", text, required=False,
              repeat=True),),
    (
        ("rsptrace session.pcapng -hide=monitoring", "What happened, without what only says that all is well."),
        ("rsptrace -summary *.pcapng", "Counts, times, failovers and takeovers."),
        ("rsptrace -follow server.pcapng", "Follow a program that was started with -pcap=server.pcapng."),
        ("tcpdump -i any -U -w - | rsptrace -follow -", "Listen by tcpdump."),
        ("rsptrace capture.pcap -element=0x1a2b3c4d -verbose", "All about one element, with every field."),
    ),
)  # fmt: skip


class Output:
    """Prints lines as they come, with colours on a terminal."""

    def __init__(self, values: Values, cast: Cast) -> None:
        columns = shutil.get_terminal_size((80, 24)).columns
        encoding = (sys.stdout.encoding or "ascii").lower()
        glyphs = DRAWN if encoding.startswith("utf") else ASCII
        self._colours: Callable[[Line], None] | None = _coloured() if sys.stdout.isatty() else None
        self.lanes = Lanes(cast, columns, glyphs, values.verbose, values.clock)
        self.plain = Plain(cast, values.verbose, values.clock)
        self._view: Lanes | Plain = self.plain if values.plain else self.lanes

    def begin(self, events: Sequence[Event]) -> None:
        """Say who takes part; plain lines are chosen if there is no place for so many lanes."""
        components = present(events)
        if self._view is self.lanes and len(components) > self.lanes.capacity:
            self._view = self.plain
            note = f"# {len(components)} lanes do not fit: plain lines (wider terminal, -pool, -element, -svg)"
            self._print([(note, "")])
        self._lines(self._view.begin(components))

    def event(self, event: Event, begin: float) -> None:
        """Draw an event."""
        self._lines(self._view.event(event, begin))

    def _lines(self, lines: Iterable[Line]) -> None:
        for line in lines:
            self._print(line)

    def _print(self, line: Line) -> None:
        if self._colours is None:
            print("".join(clean(part) for part, _ in line).rstrip())
        else:
            self._colours(line)


def _coloured() -> Callable[[Line], None]:
    """What prints a line with colours; rich takes its time to be imported and is not always needed."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    return lambda line: console.print(Text.assemble(*((clean(part), style) for part, style in line)))


def warn(words: str) -> None:
    """Say on standard error what is wrong with the input."""
    print(f"{PROGRAM.name}: {words}", file=sys.stderr)


def told(sources: Sequence[Source]) -> int:
    """Say what is wrong with the files; return the exit status."""
    bad = [s for s in sources if s.problem]
    for source in bad:
        warn(f"{source.name}: {source.problem}")
    return 1 if bad else 0


def not_read(sources: Sequence[Source], once: Once) -> Counter[str]:
    """What the capture has beside what was understood."""
    return sum((s.reader.counts for s in sources), Counter()) + once.counts


def chosen(values: Values) -> Choice:
    """The choice that the options make."""
    handle = None if values.pool is None else values.pool.encode()
    only, hide = choice(values.only or (), values.hide or ())
    last = math.inf if values.to is None else values.to
    return Choice(only, hide, handle, values.element, getattr(values, "from"), last)


def drawn(values: Values) -> bool:
    """Whether the sequence is drawn in the terminal."""
    return not (values.summary or values.json or values.svg or values.mermaid)


def write(values: Values, story: Story, events: Sequence[Event], cast: Cast, unread: Counter[str]) -> None:
    """Write the files and print what is printed at the end. OSError if a file cannot be written."""
    begin = story.begin or 0.0
    if values.svg:
        title = f"Message sequence, {len(events)} messages"
        Path(values.svg).write_text(trace_pictures.svg(events, cast, begin, title), encoding="utf-8")
    if values.mermaid:
        diagram = trace_pictures.mermaid(events, cast)
        if values.mermaid == "-":
            print(diagram, end="")
        else:
            Path(values.mermaid).write_text(diagram, encoding="utf-8")
        if len(diagram) > trace_pictures.MERMAID_LIMIT:
            warn(f"the diagram has {len(diagram)} characters; Mermaid draws {trace_pictures.MERMAID_LIMIT} unless "
                 "its maxTextSize is set; -only, -hide, -pool and -element make it smaller")  # fmt: skip
    if values.summary:
        for line in trace_summary.lines(story, cast, unread):
            print(clean(line))


def offline(values: Values) -> int:
    """Read all, then draw."""
    story, cast, wanted = Story(), Cast(), chosen(values)
    with open_sources(names_of(values.files), follow=False) as sources:
        once = Once({ENCAPSULATION, *values.udp_port}, len(sources))
        events = [event for packet in read(sources, once) for event in story.packet(packet)]
    begin = story.begin or 0.0
    events = [event for event in events if wanted.takes(event, begin)]
    for component in present(events):
        cast.code(component)
    if drawn(values):
        output = Output(values, cast)
        output.begin(events)
        for event in events:
            output.event(event, begin)
    if values.json:
        for event in events:
            print(trace_pictures.json_line(event, cast, begin))
    write(values, story, events, cast, not_read(sources, once))
    status = told(sources)
    if not events and not status and not values.summary:
        seen = ", ".join(f"{count} {what}" for what, count in not_read(sources, once).items())
        warn(f"nothing to be shown among {story.packets} packets" + (f"; not looked into: {seen}" if seen else ""))
    return status


async def live(values: Values) -> int:
    """Draw as packets come, until a signal or the end of the input."""
    with ExitStack() as inputs:
        sources: list[Source] = []
        if values.interface:
            heard = inputs.enter_context(open_interface(values.interface))
            once = Once({ENCAPSULATION, *values.udp_port})
            packets: AsyncIterator[Datagram] = listen(heard, once, time.time)
        else:
            sources = inputs.enter_context(open_sources(names_of(values.files), follow=True))
            once = Once({ENCAPSULATION, *values.udp_port}, len(sources))
            packets = follow(sources, once)
        await _draw_live(values, packets, sources, once)
    return told(sources)


async def _draw_live(
    values: Values, packets: AsyncIterator[Datagram], sources: Sequence[Source], once: Once
) -> None:
    story, cast, wanted = Story(), Cast(), chosen(values)
    output, keep = Output(values, cast), bool(values.svg or values.mermaid)
    events: list[Event] = []
    try:
        async for packet in packets:
            for event in _live_events(story, packet, wanted):
                if drawn(values):
                    output.event(event, story.begin or 0.0)
                elif values.json:
                    print(trace_pictures.json_line(event, cast, story.begin or 0.0))
                if keep:
                    events.append(event)
            sys.stdout.flush()
    finally:
        if values.summary or keep:
            write(values, story, events, cast, not_read(sources, once))
        sys.stdout.flush()


def _live_events(story: Story, packet: Datagram, wanted: Choice) -> Iterator[Event]:
    return (event for event in story.packet(packet) if wanted.takes(event, story.begin or 0.0))


def _quiet_stdout() -> None:
    # Else the interpreter complains when it flushes at its end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(words: Sequence[str]) -> int:
    """Run the program with these command line words; return its exit status."""
    values = command_line(PROGRAM, words)
    if isinstance(values, int):
        return values
    if bool(values.interface) == bool(values.files):
        return fail(PROGRAM, "give captures to be read, or -interface=NAME to listen; not both",
                    f"Try {PROGRAM.name} --help.")  # fmt: skip
    try:
        if values.interface or values.follow:
            return run_loop(lambda: live(values), quiet=True)
        interruptible(signal.SIGINT, signal.SIGTERM)
        status = offline(values)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:
        _quiet_stdout()
        return 1
    except InputError as error:
        return fail(PROGRAM, str(error))
    except OSError as error:
        return fail(PROGRAM, f"{error.filename}: {error.strerror}" if error.filename else str(error))


def run() -> int:
    """The installed program."""
    return main(sys.argv[1:])
