"""Pool users by TCP: they may resolve handles and report elements (RFC 5352 section 2)."""

from __future__ import annotations

import time
from collections.abc import Callable

from rserpool.asap.tcp import TcpConnections
from rserpool.registrar.actions import ASAP
from rserpool.registrar.core import Registrar
from rserpool.wire import asap

ALLOWED = frozenset((asap.HANDLE_RESOLUTION, asap.ENDPOINT_UNREACHABLE))


class TcpUsers:
    """``turn`` is called after something has come in, to carry out what the core wants."""

    def __init__(self, registrar: Registrar, turn: Callable[[], None], idle: float) -> None:
        self._registrar = registrar
        self._turn = turn
        self._connections = TcpConnections(self._up, self._message, self._lost, idle=idle)

    async def listen(self, address: str | None, port: int) -> None:
        """Accept connections. Raises OSError."""
        await self._connections.listen(address, port)

    @property
    def port(self) -> int:
        """The TCP port."""
        return self._connections.port

    def _up(self, number: int) -> None:
        address, port = self._connections.peer(number)
        self._registrar.association_up(ASAP, number, (address,), port, time.monotonic())

    def _message(self, number: int, data: bytes) -> None:
        if data[0] not in ALLOWED:
            # A pool element must be found where its association is, which TCP does not show.
            self._registrar.state.drop("message that is not for TCP")
            self.abort(number)
            return
        self._registrar.receive_asap(number, data, time.monotonic())
        self._turn()

    def _lost(self, number: int) -> None:
        self._registrar.association_lost(ASAP, number, time.monotonic())
        self._turn()

    def send(self, number: int, data: bytes) -> None:
        """Send an answer; who does not read them is disconnected."""
        try:
            if not self._connections.send_nowait(data, number):
                self.abort(number)
        except OSError:
            self._registrar.state.drop("answer to a lost association")

    def abort(self, number: int) -> None:
        """End a connection at once."""
        self._connections.end(number, abort=True)
        self._registrar.association_lost(ASAP, number, time.monotonic())

    async def close(self) -> None:
        """End all."""
        await self._connections.close()
