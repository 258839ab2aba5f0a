"""Logging as RSPLIB's programs do it: levels 0 to 9, time stamps, colours; and output with such time stamps.

Maps the levels to those of the standard `logging` module, which the libraries use.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import IO

ACTION = 15  # rserpool's level between INFO and DEBUG
_LEVELS = {0: 100, 1: logging.ERROR, 2: logging.WARNING, 3: logging.INFO, 4: ACTION}
_COLOURS = ((logging.ERROR, "\x1b[31;1m"), (logging.WARNING, "\x1b[33m"), (logging.INFO, "\x1b[34m"))
RESET = "\x1b[0m"
_WITH_PLACE = 6  # from this log level on, each line says where it comes from


def stamp(now: float | None = None) -> str:
    """Return a time (seconds since 1970; None: now) as RSPLIB writes it: ``23-Nov-2026 09:45:30.7342: ``."""
    ticks = int((time.time() if now is None else now) * 10_000)
    seconds, part = divmod(ticks, 10_000)
    return time.strftime("%d-%b-%Y %H:%M:%S", time.localtime(seconds)) + f".{part:04d}: "


class _Formatter(logging.Formatter):
    def __init__(self, colour: bool, place: bool) -> None:
        super().__init__()
        self._colour = colour
        self._place = place

    def format(self, record: logging.LogRecord) -> str:
        when = stamp(record.created)
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        if self._place:
            text = f"P{record.process} {record.name} {record.filename}:{record.lineno} {record.funcName}(): {text}"
        line = when + text
        if self._colour:
            for level, colour in _COLOURS:
                if record.levelno >= level:
                    return f"{colour}{line}{RESET}"
        return line


def begin(level: int, new_file: str | None, append_to: str | None, colour: bool | None) -> None:
    """Begin to log at RSPLIB's ``level``. ``colour`` None: where it goes to a terminal. OSError for the files."""
    if new_file or append_to:
        name, mode = (new_file, "w") if new_file else (append_to, "a")
        stream: IO[str] = open(str(name), mode, encoding="utf-8", buffering=1)  # noqa: SIM115 - open until the end
    else:
        stream = sys.stderr
    handler = logging.StreamHandler(stream)
    coloured = stream.isatty() if colour is None else colour
    handler.setFormatter(_Formatter(coloured, level >= _WITH_PLACE))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(_LEVELS.get(level, logging.DEBUG))
    logging.getLogger("asyncio").setLevel(logging.ERROR if level < 9 else logging.DEBUG)


class Output:
    """Standard output with colours only on a terminal (or as NO_COLOR and CLICOLOR_FORCE say)."""

    def __init__(self, stream: IO[str] | None = None, colour: bool | None = None) -> None:
        self.stream = stream or sys.stdout
        self.colour = self.stream.isatty() if colour is None else colour

    def line(self, text: str = "", code: str = "") -> None:
        """Write a line at once, in the colour of the ANSI ``code`` (``34``)."""
        if code and self.colour:
            text = f"\x1b[{code}m{text}{RESET}"
        try:
            print(text, file=self.stream, flush=True)
        except BrokenPipeError:
            raise SystemExit(0) from None

    def stamped(self, text: str, code: str = "") -> None:
        """Write a line with a time stamp."""
        self.line(stamp() + text, code)

    def title(self, text: str) -> None:
        """Write a program's title, underlined."""
        self.line(text)
        self.line("=" * len(text))
        self.line()
