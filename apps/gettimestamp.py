"""gettimestamp: prints the time in microseconds since 1970, for scripts of measurements."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from .options import Group, Option, Program, command_line
from .values import integer

LONGEST = 10**12  # milliseconds

PROGRAM = Program(
    "gettimestamp",
    "Prints the time in microseconds since 1970.",
    (
        Group(
            "Time",
            (
                Option("offset", "add this time", integer(-LONGEST, LONGEST), "0", "MS"),
                Option("text", "as a text: date and local time"),
            ),
        ),
    ),
    examples=(("gettimestamp -offset=5000 -text", "The time in five seconds."),),
)


def stamp(now: int, offset: int, text: bool) -> str:
    """What is printed at the time ``now``; both in microseconds."""
    when = now + offset
    if not text:
        return str(when)
    seconds, part = divmod(when, 1_000_000)
    return time.strftime("%d-%b-%Y %H:%M:%S", time.localtime(seconds)) + f".{part:06d}, offset is {offset}us"


def main(words: Sequence[str]) -> int:
    """Run the program with these command line words; return its exit status."""
    values = command_line(PROGRAM, words)
    if isinstance(values, int):
        return values
    print(stamp(time.time_ns() // 1000, values.offset * 1000, values.text))
    return 0


def run() -> int:
    """The installed program."""
    return main(sys.argv[1:])
