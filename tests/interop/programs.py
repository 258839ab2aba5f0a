"""Programs under test, whose output is read as it comes: wait for a line, end them, look at what they said."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import pytest

from .helpers import ROOT, process


def ours(program: str, *options: str) -> list[str]:
    """Return the command line of one of our programs."""
    return [sys.executable, "-m", "rserpool_apps", program, *options]


class Running:
    """A running program and what it has printed."""

    def __init__(self, popen: subprocess.Popen[str]) -> None:
        self.popen = popen
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.popen.stdout is not None
        # Closed at the end of the test, while something still holds the other end; or a terminal is gone.
        with suppress(ValueError, OSError):
            for line in self.popen.stdout:
                with self._news:
                    self.lines.append(line.rstrip("\n"))
                    self._news.notify_all()
        with self._news:
            self._news.notify_all()

    @property
    def output(self) -> str:
        """All that was printed."""
        return "\n".join(self.lines)

    @property
    def shown(self) -> str:
        """The same for messages: long lines are cut, of many only the last are there."""
        return "\n".join(line[:300] for line in self.lines[-200:])

    def matches(self, pattern: str) -> list[re.Match[str]]:
        """The matches of a pattern in what was printed."""
        return [m for line in list(self.lines) if (m := re.search(pattern, line))]

    def expect(self, pattern: str, seconds: float = 15, count: int = 1) -> re.Match[str]:
        """Wait until ``count`` lines match, and return the last of these matches; the test fails otherwise."""
        deadline = time.monotonic() + seconds
        with self._news:
            while len(found := self.matches(pattern)) < count:
                left = deadline - time.monotonic()
                if left <= 0 or not self._reader.is_alive():
                    break
                self._news.wait(min(left, 0.5))
        if len(found) < count:
            pytest.fail(
                f"{self.popen.args}: {len(found)} lines, not {count}, match {pattern!r} within {seconds} s; "
                f"status {self.popen.poll()}, printed:\n{self.shown}",
                pytrace=False,
            )
        return found[count - 1]

    def finish(self, seconds: float) -> None:
        """Wait until all that the program has printed, which has ended, is read."""
        self._reader.join(seconds)

    def send_signal(self, number: int) -> None:
        """Send a signal to the program and what it started."""
        os.killpg(self.popen.pid, number)

    def end(self, number: int = signal.SIGINT, seconds: float = 4) -> int:
        """Send a signal, wait for the end, return the exit status; the test fails if it takes longer."""
        self.send_signal(number)
        try:
            status = self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            pytest.fail(
                f"{self.popen.args} still runs {seconds} s after signal {number}:\n{self.shown}", pytrace=False
            )
        self.finish(5)
        return status


@contextmanager
def running(command: Sequence[str], **options: object) -> Iterator[Running]:
    """Run a program while the block lasts."""
    environment = {"PYTHONUNBUFFERED": "1", "RSERPOOL_TRANSPORT": "", **dict(options.pop("env", None) or {})}
    options.setdefault("cwd", ROOT)
    with process(command, env=environment, errors="replace", **options) as popen:
        yield Running(popen)
