"""scriptingcontrol: what the scripting server calls to check, run and clear away work packages.

Arguments are those of RSPLIB's script of this name, so that either may call the other. What it does is in
`rserpool.services.scripting_work`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from rserpool.services import scripting_work

from .options import Argument, Group, Option, Program, command_line, fail
from .values import choice, integer

UNPACKED = 1 << 30  # bytes
SANDBOX = (scripting_work.AUTO, scripting_work.ON, scripting_work.OFF)

PROGRAM = Program(
    "scriptingcontrol",
    "Checks, runs and clears away the work packages of a scripting server, in the session's directory. "
    "check-environment DIR ENVIRONMENT [KEYRING] [TRUSTDB]; run DIR INPUT OUTPUT STATUS [ENVIRONMENT] [KEYRING] "
    "[TRUSTDB]; cleanup DIR PID [keeptempdirs].",
    (
        Group(
            "Limits",
            (
                Option("maxsize", "largest size of a package when unpacked", integer(1, 2**60), str(UNPACKED),
                       "BYTES"),
                Option("sandbox", "packages write into their directory only (Landlock): where that is possible, "
                       "always, never", choice(*SANDBOX), SANDBOX[0], "|".join(SANDBOX)),
            ),
        ),
    ),
    (
        Argument("action", "check-environment, run or cleanup", str),
        Argument("directory", "the session's directory", Path),
        *(Argument(f"argument{n}", "as the action needs it", str, required=False) for n in range(1, 7)),
    ),
    examples=(("scriptingcontrol run DIR input.data output.data status.txt", "Runs a work package."),),
)  # fmt: skip


def main(words: Sequence[str]) -> int:
    """Run the program with these command line words; return its exit status."""
    values = command_line(PROGRAM, words)
    if isinstance(values, int):
        return values
    found = [getattr(values, f"argument{n}") for n in range(1, 7)]
    count = sum(a is not None for a in found)
    one, two, three, four, five, six = ("" if a is None else a for a in found)
    directory: Path = values.directory
    if values.action == "check-environment" and count >= 1:
        return scripting_work.check_environment(directory, one, two, three)
    if values.action == "run" and count >= 3:
        return scripting_work.run(directory, one, two, four, five, six, values.maxsize, values.sandbox)
    if values.action == "cleanup" and count >= 1 and one.isdigit():
        return scripting_work.cleanup(directory, int(one), two == "keeptempdirs")
    return fail(PROGRAM, f"{values.action} lacks arguments or is no action", PROGRAM.summary)


def run() -> int:
    """The installed program."""
    return main(sys.argv[1:])
