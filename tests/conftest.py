"""For all tests: announces stay on loopback; workers have networks of their own; another try for real processes.

The interop tests use the host's ports and multicast groups. So they run one after another, unless each worker
can have a network of its own (apart.py): ``-n auto`` decides. They mostly wait, so there may be more workers than
cores. A machine that is too busy for their deadlines gets two more tries.
"""

import os
import signal
from pathlib import Path

import pytest

from . import apart

os.environ["RSERPOOL_INTERFACES"] = "loopback"
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background: programs would inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)

HERE = Path(__file__).parent
PROCESSES = (HERE / "interop", HERE / "contract" / "test_in_guest.py", HERE / "contract" / "test_processes.py")
TRIES_MORE = 2
WORKERS = 3


@pytest.hookimpl(optionalhook=True)  # unknown where pytest-xdist is switched off
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    return WORKERS if apart.possible() else 0


def pytest_sessionstart(session: pytest.Session) -> None:
    # Not earlier: the plug-ins of a worker first connect to their servers in the main process, by loopback.
    if hasattr(session.config, "workerinput") and apart.possible():
        apart.enter()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if any(place == item.path or place in item.path.parents for place in PROCESSES):
            item.add_marker(pytest.mark.flaky(reruns=TRIES_MORE))
