"""execalarm: runs a command that is ended when it takes too long."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence

from .commands import begin, end
from .options import Argument, Program, command_line
from .start import interruptible
from .values import seconds

PROGRAM = Program(
    "execalarm",
    "Runs a shell command and ends it, with all that it has started, when it takes too long.",
    (),
    (
        Argument("seconds", "the time that it has", seconds(0.001)),
        Argument("command", "the command, for the shell", str),
    ),
    (('execalarm 10 "scriptingclient -input=a -output=b"', "Ten seconds are enough."),),
)


def main(words: Sequence[str]) -> int:
    """Run the program with these command line words; return its exit status."""
    values = command_line(PROGRAM, words)
    if isinstance(values, int):
        return values
    interruptible(signal.SIGINT, signal.SIGTERM)
    running = begin(values.command)
    try:
        status = running.wait(values.seconds)
    except subprocess.TimeoutExpired:
        print("Timeout!", flush=True)
        end(running)
        return 1
    except KeyboardInterrupt:
        end(running)
        return 130
    if status:
        print("ERR", flush=True)
        return 1
    return 0


def run() -> int:
    """The installed program."""
    return main(sys.argv[1:])
