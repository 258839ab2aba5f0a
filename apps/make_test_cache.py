"""make-test-cache: fills a directory with random environment files, as the scripting service's cache has them.

For tests of `rspserver -scripting -sscachedirectory=...`: what does a server do with a full cache?
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from rserpool.services.scripting_cache import SUFFIX, sha1_of

from .options import Group, Option, Program, command_line, fail
from .start import interruptible
from .values import integer, text

BLOCK = 1 << 20  # bytes

PROGRAM = Program(
    "make-test-cache",
    "Fills a directory with random environment files for the scripting service's cache.",
    (
        Group(
            "Cache",
            (
                Option("directory", "where they go to", text, "TESTCACHE", "DIRECTORY"),
                Option("entries", "how many", integer(1, 1_000_000), "8", "N"),
                Option("size", "bytes of each", integer(1, 1 << 40), "10000000", "BYTES"),
                Option("quiet", "no lines"),
            ),
        ),
    ),
    examples=(
        ("make-test-cache -entries=20 -size=1000000", "Makes TESTCACHE with 20 files of a megabyte."),
        ("rspserver -scripting -sscachedirectory=TESTCACHE", "Uses it."),
    ),
)  # fmt: skip


def make_entry(directory: Path, size: int) -> Path:
    """Make one file, named by its SHA-1. OSError."""
    draft = directory / "input.part"
    try:
        with draft.open("wb") as file:
            for begin in range(0, size, BLOCK):
                file.write(os.urandom(min(BLOCK, size - begin)))
        target = directory / f"{sha1_of(draft).hex()}{SUFFIX}"
        return draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def main(words: Sequence[str]) -> int:
    """Run the program with these command line words; return its exit status."""
    values = command_line(PROGRAM, words)
    if isinstance(values, int):
        return values
    directory = Path(values.directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for number in range(1, values.entries + 1):
            if not values.quiet:
                print(f"Creating entry {number} of {values.entries} ...", flush=True)
            make_entry(directory, values.size)
    except OSError as error:
        return fail(PROGRAM, f"{error.filename or directory}: {error.strerror}")
    except KeyboardInterrupt:
        return 130
    return 0


def run() -> int:
    """The installed program."""
    interruptible(signal.SIGINT, signal.SIGTERM)  # no file is left half made
    return main(sys.argv[1:])
