"""For all tests: announces stay on loopback; what waits for real processes may be tried again.

The interop tests run one after another (``make test`` does so), since they share the host's ports and multicast
groups. A machine that is too busy for their deadlines gets two more tries.
"""

import os
import signal
from pathlib import Path

import pytest

os.environ["RSERPOOL_INTERFACES"] = "loopback"
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background: programs would inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)

HERE = Path(__file__).parent
PROCESSES = (HERE / "interop", HERE / "contract" / "test_in_guest.py", HERE / "contract" / "test_processes.py")
TRIES_MORE = 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if any(place == item.path or place in item.path.parents for place in PROCESSES):
            item.add_marker(pytest.mark.flaky(reruns=TRIES_MORE))
