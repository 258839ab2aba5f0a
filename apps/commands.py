"""Shell commands that programs run: each in a session of its own, which ends with all that it has started."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import IO

GRACE = 1.2  # seconds from SIGTERM to SIGKILL
LAST = 0.3  # seconds for what the shell has started, once it has gone itself
LOOK = 0.02  # seconds between two looks whether a process group is still there


def begin(line: str, output: IO[str] | None = None) -> subprocess.Popen[bytes]:
    """Start a shell command; its output goes to ``output``, None: to where the program's own goes."""
    return subprocess.Popen(line, shell=True, stdout=output, start_new_session=True)


def end(*running: subprocess.Popen[bytes]) -> None:
    """End commands and what they have started, by SIGTERM, and after `GRACE` seconds by SIGKILL."""
    for one in running:
        _signal(one, signal.SIGTERM)
    until = time.monotonic() + GRACE
    while (left := [one for one in running if _signal(one, 0)]) and time.monotonic() < until:
        if all(one.returncode is not None for one in left):
            # The shells have gone. What they have started may be about to; or has, and process 1 must notice it.
            time.sleep(LAST)
            break
        time.sleep(LOOK)
    for one in running:
        _signal(one, signal.SIGKILL)
        one.wait()


def _signal(one: subprocess.Popen[bytes], number: int) -> bool:
    """Send a signal to a command's processes, 0: none; return whether there are any."""
    one.poll()  # else it is there until somebody asks for its exit status
    try:
        os.killpg(one.pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
