"""createsummary: reads scalar files of many runs and components, and says what their numbers are on average.

Scalar files are written by calcappclient, by `rspserver -calcapp` and by `rspregistrar -scalar=`. Summaries of
several settings can be put together in one CSV file: each adds its rows, marked by columns of its own (-values).
"""

from __future__ import annotations

import csv
import fnmatch
import io
import math
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .options import Argument, Group, Option, Program, Values, command_line, fail
from .values import text

SCALAR = re.compile(r'scalar\s+(?:"([^"]*)"|(\S+))\s+(?:"([^"]*)"|(\S+))\s+(\S+)\s*$')
COLUMNS = ("scalar", "count", "mean", "deviation", "minimum", "maximum", "total")


def variables(value: str) -> dict[str, str]:
    """Names and values: ``policy=LeastUsed,load=0.6``."""
    found = {}
    for part in value.split(","):
        name, equals, content = part.partition("=")
        if not equals or not name or name in COLUMNS:
            raise ValueError(
                "it is written NAME=VALUE[,NAME=VALUE...], with other names than the summary's columns"
            )
        found[name] = content
    return found


PROGRAM = Program(
    "createsummary",
    "Summarises scalar files: count, mean, standard deviation, minimum, maximum and total of each scalar.",
    (
        Group(
            "Summary",
            (
                Option("object", "only scalars of objects of this pattern", text, "*", "PATTERN"),
                Option("scalar", "only scalars of this pattern", text, "*", "PATTERN"),
                Option("csv", "as CSV, not as a table"),
                Option("output", "write to this file", text, metavar="FILE", shown="standard output"),
                Option("append", "add the rows to a CSV file that was written with the same names in -values"),
                Option("values", "columns before the others, which say of what setting this is", variables,
                       metavar="NAME=VALUE,..."),
            ),
        ),
    ),
    (Argument("file", "scalar files", Path, repeat=True),),
    (
        ("createsummary -scalar='*Handling Speed' pu*.sca", "The handling speed of all users."),
        ("createsummary -values=policy=LeastUsed -csv -append -output=all.csv pu*.sca", "Collects runs."),
    ),
)  # fmt: skip


class BadFile(Exception):
    """A file that is no scalar file; the text says where it is not."""


@dataclass
class Scalar:
    """The values that one scalar had."""

    name: str
    values: list[float] = field(default_factory=list)

    def row(self) -> tuple[str, int, float, float, float, float, float]:
        """The columns of its row."""
        count, total = len(self.values), math.fsum(self.values)
        mean = total / count
        squares = math.fsum((value - mean) ** 2 for value in self.values)
        deviation = math.sqrt(squares / (count - 1)) if count > 1 else 0.0
        return self.name, count, mean, deviation, min(self.values), max(self.values), total


def read(path: Path) -> Iterable[tuple[str, str, float]]:
    """The objects, scalars and values of a file. Raises BadFile, OSError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise BadFile(f"{path} is no scalar file: {error}") from None
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.split()[0] in ("run", "attr", "version"):
            continue
        found = SCALAR.match(line)
        try:
            if found is None:
                raise ValueError
            yield found[1] or found[2] or "", found[3] or found[4] or "", float(found[5])
        except ValueError:
            raise BadFile(f"{path}, line {number} is no scalar: {line[:60]}") from None


def summarise(files: Iterable[Path], objects: str, scalars: str) -> list[Scalar]:
    """The scalars of all files, in the order of their first appearance. Raises BadFile, OSError."""
    found: dict[str, Scalar] = {}
    for path in files:
        for owner, name, value in read(path):
            if fnmatch.fnmatchcase(owner, objects) and fnmatch.fnmatchcase(name, scalars):
                found.setdefault(name, Scalar(name)).values.append(value)
    return list(found.values())


def number_text(value: float) -> str:
    """A number as in scalar files: whole ones as such, others with six decimals."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else f"{value:.6f}"


def as_csv(scalars: Sequence[Scalar], own: dict[str, str], header: bool) -> str:
    """The summary as CSV."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    if header:
        writer.writerow([*own, *COLUMNS])
    for scalar in scalars:
        name, *numbers = scalar.row()
        writer.writerow([*own.values(), name, *map(number_text, numbers)])
    return file.getvalue()


def as_table(scalars: Sequence[Scalar], own: dict[str, str]) -> str:
    """The summary to be read."""
    rows = [[name, *map(number_text, numbers)] for name, *numbers in (s.row() for s in scalars)]
    widths = [max(len(row[i]) for row in [list(COLUMNS), *rows]) for i in range(len(COLUMNS))]
    lines = [f"{name} = {value}" for name, value in own.items()]
    for row in [list(COLUMNS), *rows]:
        cells = (f"{c:<{w}}" if i == 0 else f"{c:>{w}}" for i, (c, w) in enumerate(zip(row, widths)))
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines) + "\n"


def write(scalars: Sequence[Scalar], values: Values) -> None:
    """Write the summary to where it belongs. Raises OSError, BadFile for a file with other columns."""
    own = values.values or {}
    target = Path(values.output) if values.output else None
    adding = values.append and target is not None and target.exists() and target.stat().st_size > 0
    if adding and target is not None:
        with target.open(encoding="utf-8") as file:
            there = file.readline().rstrip("\n")
        if there != as_csv([], own, True).rstrip("\n"):
            raise BadFile(f"{target} has other columns: {there}")
    summary = as_csv(scalars, own, not adding) if values.csv or values.append else as_table(scalars, own)
    if target is None:
        print(summary, end="", flush=True)
    else:
        with target.open("a" if values.append else "w", encoding="utf-8") as file:
            file.write(summary)


def main(words: Sequence[str]) -> int:
    """Run the program with these command line words; return its exit status."""
    values = command_line(PROGRAM, words)
    if isinstance(values, int):
        return values
    if values.append and not values.output:
        return fail(PROGRAM, "-append needs a file to append to: -output=FILE")
    try:
        scalars = summarise(values.file, values.object, values.scalar)
        if not scalars:
            return fail(PROGRAM, "no file has such a scalar")
        write(scalars, values)
    except BadFile as error:
        return fail(PROGRAM, str(error))
    except OSError as error:
        return fail(PROGRAM, f"{error.filename}: {error.strerror}")
    return 0


def run() -> int:
    """The installed program."""
    return main(sys.argv[1:])
