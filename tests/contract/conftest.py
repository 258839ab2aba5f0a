"""The backend under test is named by CONTRACT_BACKEND: userland (default) or kernel."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from .aio_support import LOOPS
from .differences import DIFFERENCES
from .support import BACKEND, FAMILIES, Maker


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "feature(name): see differences.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for marker in item.iter_markers("feature"):
            reason = DIFFERENCES[marker.args[0]].get(BACKEND)
            if reason is not None:
                item.add_marker(pytest.mark.skip(reason=f"{BACKEND}: {reason}"))


@pytest.fixture(params=FAMILIES, ids=lambda family: family.name)
def make(request: pytest.FixtureRequest):
    maker = Maker(request.param)
    yield maker
    maker.close()


@pytest.fixture
def make4():
    maker = Maker(FAMILIES[0])
    yield maker
    maker.close()


@pytest.fixture(params=list(LOOPS))
def run(request):
    """Run a coroutine on a loop of its own, within 30 seconds."""

    def runner(coroutine: Coroutine[Any, Any, Any]) -> Any:
        async def bounded():
            async with asyncio.timeout(30):
                return await coroutine

        with asyncio.Runner(loop_factory=LOOPS[request.param]) as it:
            return it.run(bounded())

    return runner
