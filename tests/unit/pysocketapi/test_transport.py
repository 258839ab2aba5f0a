"""Which transport is taken, and what is said about it."""

import pytest

from pysocketapi import Transport, default_transport, resolve_transport, set_default_transport, transport


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.delenv(transport.VARIABLE, raising=False)
    monkeypatch.setattr(transport, "_default", Transport())
    monkeypatch.setattr(transport, "_kernel", None)


@pytest.mark.parametrize(("wrong", "kind"), [("", "kernel"), ("it has no SCTP", "userland")])
def test_auto_takes_the_kernel_where_there_is_one(monkeypatch, wrong, kind):
    monkeypatch.setattr(transport, "probe_kernel", lambda: wrong)
    assert resolve_transport()[0] == kind
    assert wrong in resolve_transport()[1]


def test_the_kernel_is_asked_once(monkeypatch):
    calls = []
    monkeypatch.setattr(transport, "probe_kernel", lambda: calls.append(1) or "no")
    resolve_transport()
    resolve_transport()
    assert calls == [1]


@pytest.mark.parametrize("kind", ["kernel", "userland"])
def test_the_environment_decides_for_auto(monkeypatch, kind):
    monkeypatch.setattr(transport, "probe_kernel", lambda: "")
    monkeypatch.setenv(transport.VARIABLE, kind)
    found, why = resolve_transport()
    assert found == kind and transport.VARIABLE in why


@pytest.mark.parametrize("kind", ["kernel", "userland"])
def test_a_program_decides_before_the_environment(monkeypatch, kind):
    monkeypatch.setenv(transport.VARIABLE, "userland" if kind == "kernel" else "kernel")
    assert resolve_transport(Transport(kind))[0] == kind
    assert resolve_transport(kind)[0] == kind


def test_a_bad_environment_is_an_error(monkeypatch):
    monkeypatch.setenv(transport.VARIABLE, "smoke signals")
    with pytest.raises(ValueError, match=transport.VARIABLE):
        resolve_transport()


def test_a_udp_port_means_userland(monkeypatch):
    monkeypatch.setattr(transport, "probe_kernel", lambda: "")
    assert resolve_transport(Transport(udp_port=0))[0] == "userland"
    assert "5555" in resolve_transport(Transport(udp_port=5555))[1]


def test_a_packet_trace_means_userland(monkeypatch):
    monkeypatch.setattr(transport, "probe_kernel", lambda: "")
    assert resolve_transport(Transport(pcap="x.pcapng"))[0] == "userland"


def test_the_default_can_be_set():
    set_default_transport("userland")
    assert default_transport().kind == "userland"
    assert resolve_transport()[0] == "userland"
    with pytest.raises(ValueError):
        set_default_transport("semaphore")
    with pytest.raises(TypeError):
        set_default_transport(7)  # type: ignore[arg-type]


def test_kernels_other_than_linux_are_left_alone(monkeypatch):
    monkeypatch.setattr(transport.sys, "platform", "darwin")
    assert "Linux and FreeBSD" in transport.probe_kernel()
    monkeypatch.setattr(transport.sys, "platform", "freebsd14")
    assert "asked for" in transport.probe_kernel()
    assert resolve_transport()[0] == "userland"
