"""The settings of the terminal that a program writes to: ^C must not discard what restores its screen.

A ^C key makes a signal, and the terminal then discards what was written but not yet shown. A second one, while a
program ends, can so discard the sequences that leave the other screen and show the cursor.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

if sys.platform != "win32":
    import termios

SHOWN = 0.03  # seconds after which what was written has been read by whoever shows it


def keep_output() -> Callable[[], None] | None:
    """Have keys that make signals discard no output from now on; return what undoes it, after a moment's wait.

    None where there is nothing to do: no terminal, one that belongs to other programs now, or set so already. May
    be called in a signal handler.
    """
    if sys.platform == "win32":
        return None
    fd = next((fd for fd in (1, 2) if os.isatty(fd)), None)
    try:
        # A program in the background would be stopped by changing its terminal.
        if fd is None or os.tcgetpgrp(fd) != os.getpgrp() or termios.tcgetattr(fd)[3] & termios.NOFLSH:
            return None
        _keep(fd, True)
    except (OSError, termios.error):
        return None

    def undo() -> None:
        time.sleep(SHOWN)
        try:
            _keep(fd, False)
        except termios.error:
            pass  # the terminal is gone

    return undo


def _keep(fd: int, on: bool) -> None:
    settings = termios.tcgetattr(fd)
    settings[3] = settings[3] | termios.NOFLSH if on else settings[3] & ~termios.NOFLSH
    termios.tcsetattr(fd, termios.TCSANOW, settings)


def restore(fd: int, before: list[Any], when: int) -> None:
    """Give a terminal its settings (``termios.tcgetattr``) back, but for what `keep_output` has set.

    ``when`` is one of termios.TCSA...
    """
    settings = [*before]
    settings[3] = before[3] | termios.tcgetattr(fd)[3] & termios.NOFLSH
    termios.tcsetattr(fd, when, settings)
