"""A program in a terminal of a given size: a pseudo-terminal, whose screen an emulator (pyte) draws."""

from __future__ import annotations

import fcntl
import os
import pty
import queue
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import pyte
import pytest

from .helpers import ROOT, end_group

OTHER, USUAL = b"\x1b[?1049h", b"\x1b[?1049l"  # switch to the other screen, and back
LATE = 150_000  # bytes
HIDE, SHOW = b"\x1b[?25l", b"\x1b[?25h"  # the cursor
HOME = b"\x1b[H"  # a new picture begins
COLOURS = {38: {2: 4, 5: 2}, 48: {2: 4, 5: 2}}  # how many numbers follow: 38;2;R;G;B


class Screen(pyte.Screen):
    """A screen that counts how often it scrolled. Dim characters, which the emulator does not know, blink."""

    def __init__(self, columns: int, rows: int) -> None:
        super().__init__(columns, rows)
        self.scrolled = 0

    def index(self) -> None:
        """The cursor goes down."""
        if self.cursor.y == self.lines - 1:
            self.scrolled += 1
        super().index()

    def select_graphic_rendition(self, *numbers: int, **more: bool) -> None:
        """Colours and the like."""
        changed: list[int] = []
        place = 0
        while place < len(numbers):
            number = numbers[place]
            length = 1 + COLOURS.get(number, {}).get(numbers[place + 1] if place + 1 < len(numbers) else 0, 0)
            changed += {2: [5], 22: [22, 25]}.get(number, numbers[place : place + length])
            place += length
        super().select_graphic_rendition(*changed, **more)

    def copy(self) -> Screen:
        """A screen that shows the same and changes no more."""
        other = Screen(self.columns, self.lines)
        for row in range(self.lines):
            other.buffer[row].update(self.buffer[row])
        return other

    @property
    def text(self) -> str:
        """What is to be seen."""
        return "\n".join(line.rstrip() for line in self.display).rstrip()


class Terminal:
    """A program's terminal. ``other`` is the screen that full-screen programs take, ``usual`` the one before.

    ``late``: nothing is drawn until the program has ended, and then the end of what it wrote; for programs that
    write more than the emulator can draw.
    """

    def __init__(
        self, popen: subprocess.Popen[bytes], master: int, slave: int, columns: int, rows: int, late: bool
    ) -> None:
        self.popen = popen
        self._late = late
        self.written = b""
        self.other, self.usual = Screen(columns, rows), Screen(columns, rows)
        self._streams = {True: pyte.ByteStream(self.other), False: pyte.ByteStream(self.usual)}
        self._on_other = False
        self._master, self._slave = master, slave
        self._before = termios.tcgetattr(slave)
        self._lock = threading.Lock()
        self._stills: queue.Queue[Screen] = queue.Queue()
        self._wanted = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        rest = b""
        while data := self._some():
            with self._lock:
                self.written += data
                if self._late:
                    continue
                rest += data
                while (place := rest.find(b"\n")) >= 0 or len(rest) > 8192:
                    cut = place + 1 if place >= 0 else len(rest)
                    self._feed(rest[:cut])
                    rest = rest[cut:]
                if b"\x1b" not in rest[-16:]:
                    self._feed(rest)
                    rest = b""
        self._feed(rest)

    def _some(self) -> bytes:
        try:
            return os.read(self._master, 65536)
        except OSError:
            return b""

    def still(self, seconds: float = 20) -> Screen:
        """Wait for the end of a picture of a program that always begins at the top, and return it."""
        with self._lock:
            self._wanted = True
        return self._stills.get(timeout=seconds)

    def _feed(self, data: bytes) -> None:
        """Feed the screen that is shown; the emulator itself knows one screen only."""
        while data:
            switch = USUAL if self._on_other else OTHER
            place = min((n for mark in (HOME, switch) if (n := data.find(mark)) >= 0), default=len(data))
            self._streams[self._on_other].feed(data[:place])
            data = data[place:]
            if data and self._wanted:
                self._wanted = False
                self._stills.put(self.now.copy())
            if data.startswith(switch):
                self._on_other = not self._on_other
                data = data[len(switch) :]
            elif data:
                self._streams[self._on_other].feed(HOME)
                data = data[len(HOME) :]

    @property
    def now(self) -> Screen:
        """The screen that is shown."""
        return self.other if self._on_other else self.usual

    def press(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    def shows(self, words: str, seconds: float = 20) -> None:
        """Wait until words are to be seen on the screen that is shown."""
        end = time.monotonic() + seconds
        while True:
            with self._lock:
                seen = self.now.text
            if words in seen:
                return
            if time.monotonic() > end:
                pytest.fail(f"{words!r} is not to be seen after {seconds} s, but:\n{seen}", pytrace=False)
            time.sleep(0.02)

    def end(self, seconds: float) -> int:
        """Wait for the program's end; return its exit status."""
        try:
            status = self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still runs after {seconds} s:\n{self.other.text}\n{self.usual.text}", pytrace=False)
        self.restored = termios.tcgetattr(self._slave) == self._before
        os.close(self._slave)
        self._slave = -1
        self._reader.join(10)
        if self._late:
            self._draw_end()
        return status

    def _draw_end(self) -> None:
        """Draw the end of what was written to the one screen and to the other."""
        before, switched, rest = self.written.partition(OTHER)
        live, back, after = rest.partition(USUAL)
        if switched:
            home = live.find(b"\x1b[H", max(0, len(live) - LATE))
            self._streams[True].feed(live[max(0, home) :])
        else:
            before = before[-LATE:].partition(b"\n")[2]
        self._streams[False].feed(before + after)

    def close(self) -> None:
        """Close both ends."""
        for end in self._slave, self._master:
            if end >= 0:
                with suppress(OSError):
                    os.close(end)


@contextmanager
def terminal(
    command: Sequence[str], columns: int, rows: int, late: bool = False, **environment: str
) -> Iterator[Terminal]:
    """Run a program in a terminal while the block lasts."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    usual = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "RSERPOOL_TRANSPORT": ""}
    without = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR")}
    popen = subprocess.Popen(
        list(command), stdin=slave, stdout=slave, stderr=slave, cwd=ROOT, env={**without, **usual, **environment},
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    one = Terminal(popen, master, slave, columns, rows, late)
    try:
        yield one
    finally:
        end_group(popen)
        one.close()
