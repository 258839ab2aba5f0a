"""Every packet that a stack sends or receives, into a pcapng file (see ``pysctplib.trace.pcapng``).

What the carrier does not know of a packet, the own address where the system chooses it, is filled in here. A
file that the process already writes gets a further section, so that several stacks may share it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from time import time

from ..trace.pcapng import Writer

PathKey = tuple[str, int, str]

_written: set[tuple[int, str]] = set()  # process, file


class Capture:
    """The capture of one stack. A disk that is full ends it; the stack goes on."""

    def __init__(self, name: str, udp_port: int, source_of: Callable[[str, int], str]) -> None:
        """Open the file; OSError if that fails. ``source_of(remote, port)``: the own address of packets."""
        key = (os.getpid(), os.path.abspath(name))
        self._writer: Writer | None = Writer(name, append=key in _written)
        _written.add(key)
        self._udp_port = udp_port
        self._source_of = source_of
        self._sources: dict[str, str] = {}

    def received(self, data: bytes, path: PathKey) -> None:
        """Note a packet that came in by a path."""
        self._add(path, data, outgoing=False)

    def sent(self, datagrams: list[tuple[bytes, PathKey]]) -> None:
        """Note packets that go out, and write what was noted so far."""
        for data, path in datagrams:
            self._add(path, data, outgoing=True)
        self.flush()

    def flush(self) -> None:
        """Write what was noted."""
        if self._writer is not None:
            try:
                self._writer.flush()
            except OSError:
                self.close()

    def close(self) -> None:
        """End the capture."""
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.close()
            self._writer = None

    def _add(self, path: PathKey, data: bytes, outgoing: bool) -> None:
        if self._writer is None:
            return
        remote, port, local = path
        if not local:
            if len(self._sources) > 1024:
                self._sources.clear()
            if remote not in self._sources:
                self._sources[remote] = self._source_of(remote, port)
            local = self._sources[remote] or ("::" if ":" in remote else "0.0.0.0")
        here, there = (local, self._udp_port if port else 0), (remote, port)
        with contextlib.suppress(ValueError):  # a packet that no IP packet could hold
            self._writer.add(time(), *((here, there) if outgoing else (there, here)), data)
