"""Sending component status reports to a monitor, at once and then at an interval (RSPLIB's CSP).

The format is in `wire.csp`; what a component has to say comes from a function that the caller gives.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from ipaddress import ip_address

from rserpool.multicast import all_interfaces, host_addresses
from rserpool.scopes import GLOBAL, SITE_LOCAL, scope
from rserpool.wire import csp

log = logging.getLogger("rserpool.csp")


class Reporter:
    """Reports on a component while it lives; ``server`` is (address, port), ``interval`` in seconds.

    ``describe`` returns the report; None: there is nothing to say yet. Must be made in a running event loop.
    """

    def __init__(
        self, server: tuple[str, int], interval: float, describe: Callable[[], csp.Report | None]
    ) -> None:
        self._server = server
        self._interval = interval
        self._describe = describe
        self._last: csp.Report | None = None
        version = ip_address(server[0]).version
        self._socket = socket.socket(socket.AF_INET6 if version == 6 else socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.Handle | None = self._loop.call_soon(self._tick)

    def _tick(self) -> None:
        self.report()
        self._timer = self._loop.call_later(self._interval, self._tick)

    def report(self) -> None:
        """Send a report now, without waiting for the interval."""
        report = self._describe()
        if report is not None and csp.identifier_of(report.sender):
            self._last = report
            self._send(report)

    def _send(self, report: csp.Report) -> None:
        try:
            self._socket.sendto(csp.encode(report), self._server)
        except OSError as error:
            log.debug("Cannot send a status report to %s:%d: %s", *self._server, error)

    def close(self) -> None:
        """Send the final report, by which monitors forget the component."""
        if self._timer is None:
            return
        self._timer.cancel()
        self._timer = None
        last = self._describe() or self._last
        if last is not None:
            self._send(csp.Report(last.sender, last.uptime, last.interval, workload=0.0, final=True))
        self._socket.close()


def location(port: int | None = None, addresses: Sequence[str] | None = None) -> str:
    """Return where a component runs: node name and addresses, global ones or else site-local ones."""
    found = list(host_addresses(all_interfaces()) if addresses is None else addresses)
    shown = [a for a in found if scope(a) == GLOBAL] or [a for a in found if scope(a) == SITE_LOCAL]
    if not shown:
        return f"{socket.gethostname()}: (local only)"
    if port:
        first = shown[0]
        shown[0] = f"[{first}]:{port}" if ":" in first else f"{first}:{port}"
    return f"{socket.gethostname()}: {', '.join(shown)}"
