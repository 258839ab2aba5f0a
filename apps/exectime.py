"""exectime: runs a command once for each further parameter, all at the same time, and says how long each took."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .commands import begin, end
from .options import Argument, Program, command_line
from .start import interruptible

LOOK = 0.002  # seconds between two looks at what has ended

PROGRAM = Program(
    "exectime",
    "Runs a shell command once for each parameter, which is appended to it, all of them at the same time. Prints "
    "the parameters of those that succeeded, the quickest first; all else goes to standard error.",
    (),
    (
        Argument("command", "the command, for the shell", str),
        Argument("parameter", "what is appended to it, for the shell", str, repeat=True),
    ),
    (('exectime "ping -c 3" host1 host2', "Which of the two is nearer?"),),
)


@dataclass(frozen=True)
class Outcome:
    """How a command ended: its exit status, and the seconds that it took."""

    number: int
    command: str
    parameter: str
    status: int
    seconds: float

    @property
    def rank(self) -> tuple[bool, float, int]:
        """Its place among the others: those that failed come last."""
        return self.status != 0, 0.0 if self.status else self.seconds, self.number

    @property
    def line(self) -> str:
        """A line about it."""
        how = f"Result {self.status}" if self.status else f"{round(self.seconds * 1000):6d}ms"
        return f"   - {how} - Thread {self.number:2d}: {self.command}"


def outcomes(command: str, parameters: Sequence[str], running: list[subprocess.Popen[bytes]]) -> Iterator[Outcome]:
    """Start the commands, which are put into ``running``, and tell how each ends, as they end."""
    begun: list[float] = []
    for parameter in parameters:
        begun.append(time.monotonic())
        running.append(begin(f"{command} {parameter}", sys.stderr))
    left = dict(enumerate(running))
    while left:
        # Neither threads nor a wait without end: a signal that comes just before it would not be noticed.
        time.sleep(LOOK)
        for place, one in list(left.items()):
            if (status := one.poll()) is not None:
                del left[place]
                parameter = parameters[place]
                took = time.monotonic() - begun[place]
                yield Outcome(place + 1, f"{command} {parameter}", parameter, status, took)


def main(words: Sequence[str]) -> int:
    """Run the program with these command line words; return its exit status."""
    values = command_line(PROGRAM, words)
    if isinstance(values, int):
        return values

    def tell(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    tell("Starting ...")
    for number, parameter in enumerate(values.parameter, 1):
        tell(f"   - Thread {number}: {values.command} {parameter}")
    tell("\nWaiting for the threads to finish ...")
    interruptible(signal.SIGINT, signal.SIGTERM)
    running: list[subprocess.Popen[bytes]] = []
    try:
        ended = sorted(outcomes(values.command, values.parameter, running), key=lambda one: one.rank)
    except KeyboardInterrupt:
        end(*running)
        return 130
    tell("\nResults:")
    for one in ended:
        if not one.status:
            print(one.parameter, flush=True)
        tell(one.line)
    tell("\nDone!")
    return 1 if any(one.status for one in ended) else 0


def run() -> int:
    """The installed program."""
    return main(sys.argv[1:])
