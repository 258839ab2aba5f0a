"""The backend under test is named by CONTRACT_BACKEND: userland (default) or kernel."""

import pytest

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
