"""Vector and scalar files of the CalcApp programs, in RSPLIB's form (rows for each job, OMNeT++-style scalars)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO


class VectorFile:
    """Rows with numbers before them, below a header. Raises OSError if the file cannot be written."""

    def __init__(self, name: str, header: str) -> None:
        self._file: IO[str] = open(name, "w", encoding="utf-8", buffering=1)  # noqa: SIM115
        self._rows = 0
        self._file.write(header + "\n")

    def row(self, text: str) -> None:
        """Write a row."""
        self._rows += 1
        self._file.write(f"{self._rows:06d} {text}\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def write_scalars(name: str, object_name: str, scalars: Sequence[tuple[str, float | int]]) -> None:
    """Write a scalar file; whole numbers as such, others with six decimals. Raises OSError."""
    width = max((len(key) for key, _ in scalars), default=0) + 2
    with open(name, "w", encoding="utf-8") as file:
        file.write('run 1 "scenario"\n')
        for key, value in scalars:
            number = str(value) if isinstance(value, int) else f"{value:.6f}"
            file.write(f'scalar "{object_name}" {quoted(key):<{width}} {number}\n')


def quoted(text: str) -> str:
    """A text in double quotes."""
    return f'"{text}"'
