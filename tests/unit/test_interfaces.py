"""RSERPOOL_INTERFACES keeps announces where they may go."""

import pytest

from rserpool import multicast


def test_loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(multicast.VARIABLE, "loopback")
    found = multicast.interfaces()
    assert found
    assert all(interface.loopback for interface in found)


def test_unknown_name_means_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(multicast.VARIABLE, "no-such-interface")
    assert multicast.interfaces() == []


def test_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(multicast.VARIABLE)
    for interface in multicast.interfaces():
        monkeypatch.setenv(multicast.VARIABLE, f"x, {interface.name}")
        assert [i.name for i in multicast.interfaces()] == [interface.name]
