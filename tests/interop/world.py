"""Programs that are to be ended by signals: how they are started and ended, and what is looked at then."""

from __future__ import annotations

import fcntl
import itertools
import os
import random
import re
import signal
import struct
import subprocess
import termios
import threading
import time
import zlib
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pytest

from .helpers import ROOT
from .pictures import TRANSPORT
from .programs import Running, ours, running

QUICK = (
    "-mentordiscoverytimeout=200",
    "-serverannouncecycle=200",
    "-enrpannounce=off",
    "-endpointkeepalivetimeoutinterval=60000",
)  # nobody is to be removed because the machine is busy
LIMIT, GRACE = 2.0, 1.6  # seconds until a program has ended, and is ended by force
INT, TERM = signal.SIGINT, signal.SIGTERM
PLANS = ((INT,), (TERM,), (INT, INT), (TERM, INT))  # the second signal while the program is already ending
PLAIN = (
    "cspmonitor",
    "scriptingcontrol",
    "rspdemo",
    "rsptrace",
    "execalarm",
    "exectime",
    "make-test-cache",
    "createsummary",
)  # have no -transport
TRIALS = ("-registrarrequestmaxtrials=5",)  # many programs begin at a time
BAD = re.compile("Traceback|Exception ignored|was never|Task was destroyed|[A-Z][a-z]+Error:")


class Late(Exception):
    """An end that was as it should be, but took too long: because of the program, or of a busy machine."""


@dataclass
class Terminal:
    """The pseudo-terminal of a program."""

    master: int
    before: list[object]


@dataclass
class World:
    """A registrar, one that is silent, and the programs that the scenes start."""

    folder: Path
    offset: int = 0  # which of the plans each end has; four of them are all
    stack: ExitStack = field(default_factory=ExitStack)
    times: dict[str, float] = field(default_factory=dict)
    _programs: list[Running] = field(default_factory=list)
    _terminals: dict[Running, Terminal] = field(default_factory=dict)
    _numbers: itertools.count = field(default_factory=itertools.count)

    def __enter__(self) -> World:
        first = random.randint(20000, 29000)
        self.nobody = ("-asapannounce=239.0.0.50:" + str(first + 1),)
        self.pool = ("-asapannounce=239.0.0.50:" + str(first),)
        self.registrar = self.start("rspregistrar", *self.pool, *QUICK, "-loglevel=4")
        self.silent = self.stack.enter_context(running([*ours("")[:1], "-m", "tests.interop.silent"]))
        self.registrar.expect("ready!", 60)
        self.mute = ("-asapannounce=off", f"-registrar=127.0.0.1:{self.silent.expect('port ([0-9]+)', 60)[1]}")
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()
        for terminal in self._terminals.values():
            os.close(terminal.master)

    def name(self, what: str) -> str:
        """A pool handle of a scene's own."""
        return f"{what}-{next(self._numbers)}"

    def directory(self, what: str) -> Path:
        """An empty directory of a scene's own."""
        made = self.folder / self.name(what)
        made.mkdir()
        return made

    def start(self, program: str, *options: str, terminal: bool = False, **more: object) -> Running:
        """Start a program, with ``terminal`` at one."""
        transport = () if program in PLAIN else (TRANSPORT,)
        command = ours(program, *transport, *options)
        if not terminal:
            return self.run(command, **more)
        master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
        before = termios.tcgetattr(slave)
        environment = {**os.environ, "TERM": "xterm-256color", "RSERPOOL_TRANSPORT": "", "COLORTERM": "truecolor"}
        popen = subprocess.Popen(
            ["setsid", "--ctty", *command], stdin=slave, stdout=slave, stderr=slave, cwd=ROOT, env=environment
        )
        os.close(slave)
        popen.stdout = _stream(master)
        self.stack.callback(_kill, popen)
        one = Running(popen)
        self._terminals[one] = Terminal(master, before)
        return self._begun(one)

    def run(self, command: Sequence[str], **more: object) -> Running:
        """Start any command, at no terminal."""
        return self._begun(self.stack.enter_context(running(command, **more)))

    def _begun(self, one: Running) -> Running:
        self._programs.append(one)
        return one

    def clear(self) -> None:
        """End what scenes that failed have left."""
        for one in self._programs:
            if one is not self.registrar and one.popen.poll() is None:
                one.send_signal(signal.SIGTERM)
                one.send_signal(signal.SIGCONT)
                with suppress(subprocess.TimeoutExpired):
                    one.popen.wait(3 * LIMIT)

    def end(self, one: Running, what: str, status: int = 0, seen: str = "", within: float = LIMIT) -> None:
        """Send signals and look at how the program ends; ``seen``: what the registrar says then."""
        plan = PLANS[(zlib.crc32(what.encode()) + self.offset) % len(PLANS)]
        terminal = self._terminals.get(one)
        assert one.popen.poll() is None, f"{what}: it has ended by itself\n{one.shown}"
        began = time.monotonic()
        for number in plan:
            if one.popen.poll() is not None:
                break  # the second one comes too late
            if terminal is not None and number == INT:
                os.write(terminal.master, b"\x03")
            else:
                with suppress(ProcessLookupError):
                    os.killpg(one.popen.pid, number)
        words = f"{what} after {', '.join(n.name for n in plan)}"
        try:
            got = one.popen.wait(3 * LIMIT)
        except subprocess.TimeoutExpired:
            pytest.fail(f"{words} still runs:\n{one.shown}")
        took = time.monotonic() - began
        one.finish(5)
        self.times[words] = took
        assert got == status or (status < 0 and -got in plan), f"{words}: status {got}\n{one.shown}"
        assert not BAD.search(one.output), f"{words}:\n{one.shown}"
        if terminal is not None:
            assert termios.tcgetattr(terminal.master) == terminal.before, words
            text = one.output
            for on, off in (("\x1b[?25h", "\x1b[?25l"), ("\x1b[?1049l", "\x1b[?1049h")):
                assert text.rfind(on) >= text.rfind(off), f"{words}: {text[-2000:]!r}"
        if seen:
            self.registrar.expect(seen, 5)
        # Nothing is said where the end is forced. Orderly, but after that time, it comes on a busy machine only.
        if took >= within or (took >= GRACE and "Terminated!" not in one.output):
            raise Late(f"{words}: {took:.2f} s\n{one.shown}")

    def deregistered(self, handle: str) -> str:
        """What the registrar says of an element that left."""
        return rf"Removed {handle}/\$[0-9a-f]{{8}}: deregistered"

    def server(self, service: str, handle: str, *options: str, **more: object) -> Running:
        """Start a server and wait until it is registered."""
        one = self.start(
            "rspserver", f"-{service}", f"-poolhandle={handle}", *self.pool, *TRIALS, *options, **more
        )
        one.expect(r"Identifier\s+= ", 60)
        return one


def _stream(master: int) -> IO[str]:
    """What comes from a terminal, with an end: the terminal's own end is an error, which loses the last words."""
    reader, writer = os.pipe()

    def copy() -> None:
        with open(writer, "wb", buffering=0) as target, suppress(OSError):
            while data := os.read(master, 65536):
                target.write(data)

    threading.Thread(target=copy, daemon=True).start()
    return open(reader, errors="replace", newline="\n")


def _kill(popen: subprocess.Popen[str]) -> None:
    if popen.poll() is None:
        os.killpg(popen.pid, signal.SIGKILL)
        popen.wait()
    if popen.stdout is not None:
        popen.stdout.close()
