"""A network namespace for each test worker, so that workers do not share UDP ports, hubs and multicast groups.

Linux only, and root only: a user namespace would do without root, but cannot be entered by a process with threads,
which a worker of pytest-xdist is.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

CLONE_NEWNET = 0x40000000  # <linux/sched.h>
PROBE = "from tests.apart import enter; enter()"


def enter() -> None:
    """Move the calling thread, and all that it starts, into a network that is only loopback. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, capture_output=True)


def possible() -> bool:
    """Tell whether `enter` would work; tried in a process of its own."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return False
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return not subprocess.run([sys.executable, "-c", PROBE], cwd=root, capture_output=True, check=False).returncode
