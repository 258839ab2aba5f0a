"""How the installed programs start: signals are quiet from the first moment on, then the program is loaded.

Loading takes its time, and there is nothing to end well before `runtime.run`; so until then signals just end the
process, instead of a traceback out of some module. This module must therefore import next to nothing.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial
from importlib import import_module

PROGRAMS = (
    "rspregistrar",
    "rspserver",
    "rspterminal",
    "pingpongclient",
    "cspmonitor",
    "hsdump",
    "calcappclient",
    "fractalpooluser",
    "scriptingclient",
    "scriptingcontrol",
    "scriptingserviceexample",
    "rspcerts",
    "rspdemo",
    "rsptrace",
    "hrestest",
    "testregistrator",
    "attacker",
    "createsummary",
    "make-test-cache",
    "gettimestamp",
    "exectime",
    "execalarm",
)


def module_of(program: str) -> str:
    """The name of a program's module."""
    return f"{__package__}.{program.replace('-', '_')}"


def start(name: str) -> int:
    """Load and run a program with the words of the command line; return its exit status."""
    for number in signal.SIGINT, signal.SIGTERM:
        signal.signal(number, signal.SIG_DFL)
    status: int = import_module(module_of(name)).run()
    return status


def interruptible(*numbers: int) -> None:
    """Let the next signal raise KeyboardInterrupt: for programs with something to end well, but no event loop."""

    def interrupt(*_: object) -> None:
        for number in numbers:
            signal.signal(number, lambda *_: None)
        raise KeyboardInterrupt

    for number in numbers:
        signal.signal(number, interrupt)


def __getattr__(name: str) -> Callable[[], int]:
    """What the entry points in pyproject.toml name: a function for each program."""
    if name.replace("_", "-") in PROGRAMS:
        return partial(start, name)
    raise AttributeError(name)
