"""When raw IP can be had, and what is said where it cannot. Traffic over it: tests/interop/test_kernel.py."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

import pytest

from pysctplib.carrier import raw


def test_refused_where_the_kernel_speaks_sctp(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(raw, "KERNEL_SCTP", str(tmp_path))
    with pytest.raises(OSError, match="kernel speaks SCTP") as caught:
        raw.open_raw_sockets()
    assert caught.value.errno == errno.EADDRINUSE


def test_refused_without_the_right_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> socket.socket:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(raw, "KERNEL_SCTP", "/nowhere")
    monkeypatch.setattr(raw.socket, "socket", denied)
    with pytest.raises(PermissionError, match="CAP_NET_RAW"):
        raw.open_raw_sockets()
