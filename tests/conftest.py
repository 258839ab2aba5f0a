"""For all tests: announces stay on loopback; how tests of real processes share the machine with the others.

Under ``pytest -n 2 --dist loadgroup`` the interop tests run in one worker, one after another, since they share the
host's ports and multicast groups, while the other worker does the rest. They begin first, as they mostly wait.
What waits for real processes is tried again if the machine was too busy for its deadlines.
"""

import os
from pathlib import Path

import pytest

os.environ["RSERPOOL_INTERFACES"] = "loopback"

HERE = Path(__file__).parent
INTEROP = HERE / "interop"
PROCESSES = (INTEROP, HERE / "contract" / "test_in_guest.py", HERE / "contract" / "test_processes.py")
TRIES_MORE = 2


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if INTEROP in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("host"))
        if any(place == item.path or place in item.path.parents for place in PROCESSES):
            item.add_marker(pytest.mark.flaky(reruns=TRIES_MORE))
    items.sort(key=lambda item: INTEROP not in item.path.parents)
