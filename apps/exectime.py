"""exectime: runs a command once for each further parameter, all at the same time, and says how long each took."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from .options import Argument, Program, command_line
from .start import interruptible

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


def execute(number: int, command: str, parameter: str) -> Outcome:
    """Run a command by the shell; its output goes to standard error."""
    line = f"{command} {parameter}"
    begun = time.monotonic()
    done = subprocess.run(line, shell=True, stdout=sys.stderr.fileno(), check=False)
    return Outcome(number, line, parameter, done.returncode, time.monotonic() - begun)


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
    interruptible(signal.SIGINT)
    with ThreadPoolExecutor(len(values.parameter)) as pool:
        jobs = [pool.submit(execute, n, values.command, p) for n, p in enumerate(values.parameter, 1)]
        try:
            outcomes = sorted((job.result() for job in jobs), key=lambda outcome: outcome.rank)
        except KeyboardInterrupt:
            return 130  # the commands have got the signal, too
    tell("\nResults:")
    for outcome in outcomes:
        if not outcome.status:
            print(outcome.parameter, flush=True)
        tell(outcome.line)
    tell("\nDone!")
    return 1 if any(outcome.status for outcome in outcomes) else 0


def run() -> int:
    """The installed program."""
    return main(sys.argv[1:])
