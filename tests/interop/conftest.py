"""Skips (or, with RSERPOOL_REQUIRE_LAB=1, fails) interop tests whose peers are missing; see helpers.py."""

import pytest

from . import helpers


def pytest_runtest_setup(item: pytest.Item) -> None:
    marker = item.get_closest_marker("lab")
    if marker is not None:
        helpers.lab_or_skip(**marker.kwargs)
    if item.get_closest_marker("usrsctp") is not None:
        helpers.usrsctp_or_skip()
    if item.get_closest_marker("tshark") is not None:
        helpers.tshark_or_skip()


@pytest.fixture(scope="session")
def usrsctp_peer(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path of the peer program made of libusrsctp."""
    target = tmp_path_factory.mktemp("usrsctp") / "peer"
    return str(helpers.compile_c(helpers.HERE / "usrsctp" / "peer.c", "-lusrsctp", "-lpthread", target=target))
