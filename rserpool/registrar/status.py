"""A registrar's status for people and programs: JSON, Prometheus text, and a small read-only HTTP server for both.

    GET /         what there is
    GET /status   JSON: pools, pool elements, peers, counters, takeovers
    GET /metrics  Prometheus text format 0.0.4

Nothing can be changed by it. It is off unless an address is configured, and answers only requests that name this
host (`Host: localhost` or an address), so that no web page can read it through a browser.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from rserpool.registrar.state import State

REQUEST_LIMIT = 8192  # bytes
REQUEST_TIMEOUT = 5.0  # seconds
MAX_CLIENTS = 16
MAX_ELEMENTS = 10_000  # in one answer

_REASONS = {
    200: "OK",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}

COUNTERS = (
    ("registrations", "Registrations and re-registrations granted"),
    ("reregistrations", "Re-registrations granted"),
    ("refused", "Registrations refused"),
    ("deregistrations", "Deregistrations"),
    ("handle_resolutions", "Handle resolutions"),
    ("failure_reports", "Reports of unreachable pool elements"),
    ("synchronizations", "Synchronisations after a checksum that differed"),
    ("handle_updates", "Handle updates sent"),
    ("endpoint_keepalives", "Endpoint keep-alives sent"),
    ("takeovers", "Takeovers of other registrars completed"),
    ("takeovers_aborted", "Takeovers given up"),
)


def text_of(handle: bytes) -> str:
    """A pool handle as text, a different one for each: two series of the same labels would spoil all metrics."""
    return handle.replace(b"\\", b"\\\\").decode("ascii", "backslashreplace")


def as_json(state: State, now: float) -> dict[str, Any]:
    """The status; at most `MAX_ELEMENTS` pool elements are listed. ``now`` is on the registrar's clock.

    Configured peers that were never heard have the identifier 00000000, and null as ``heard_s``.
    """
    space = state.handlespace
    left = MAX_ELEMENTS
    pools = []
    for pool in sorted(space.pools.values(), key=lambda pool: pool.key):
        elements = []
        for identifier in pool.identifiers.islice(0, left):
            element = pool.elements[identifier]
            record = element.record
            expires = space.expires(element)
            elements.append(
                {
                    "identifier": f"{identifier:08x}",
                    "home": f"{element.home:08x}",
                    "local": element.local,
                    "load": round(record.policy.load / 0xFFFFFFFF, 6),
                    "expires_s": None if expires is None else round(expires - now, 3),
                    "reports": element.reports,
                    "selections": element.selections,
                    "port": record.user_transport.port,
                    "addresses": list(record.user_transport.addresses),
                }
            )
        left -= len(elements)
        pools.append(
            {"handle": text_of(pool.handle), "policy": pool.kind.name, "size": len(pool), "elements": elements}
        )
    peers = [
        {
            "identifier": f"{peer.identifier:08x}",
            "addresses": list(peer.addresses),
            "port": peer.port,
            "static": peer.static is not None,
            "heard_s": round(now - peer.heard, 3) if peer.heard else None,
            "owns": space.count(peer.identifier),
            "checksum": f"{space.checksum(peer.identifier):04x}",
            "takeover": peer.takeover is not None,
        }
        for peer in state.all_peers()
    ]
    return {
        "identifier": f"{state.identifier:08x}",
        "starting": state.starting,
        "pool_elements": space.size,
        "owned": space.count(state.identifier),
        "checksum": f"{space.checksum(state.identifier):04x}",
        "pools": pools,
        "peers": peers,
        "counters": {name: getattr(state.statistics, name) for name, _ in COUNTERS},
        "dropped": dict(state.statistics.dropped),
    }


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def as_metrics(state: State) -> str:
    """The status in Prometheus' text format; the number of lines grows with pools and peers, not elements."""
    space = state.handlespace
    lines = []

    def metric(name: str, kind: str, about: str, values: list[tuple[str, float]]) -> None:
        lines.append(f"# HELP rserpool_{name} {about}")
        lines.append(f"# TYPE rserpool_{name} {kind}")
        lines.extend(f"rserpool_{name}{labels} {value}" for labels, value in values)

    metric("pools", "gauge", "Pools", [("", len(space.pools))])
    homes = [(f'{{home="{home:08x}"}}', float(space.count(home))) for home in sorted(space.homes())]
    metric("pool_elements", "gauge", "Pool elements by home registrar", homes)
    sizes = [
        (f'{{pool="{_escaped(text_of(p.handle))}",policy="{p.kind.name}"}}', float(len(p)))
        for p in sorted(space.pools.values(), key=lambda p: p.key)
    ]
    metric("pool_size", "gauge", "Pool elements by pool", sizes)
    metric("peers", "gauge", "Other registrars", [("", len(state.peers))])
    metric("starting", "gauge", "1 while a mentor is looked for", [("", int(state.starting))])
    for name, about in COUNTERS:
        metric(f"{name}_total", "counter", about, [("", getattr(state.statistics, name))])
    dropped = sorted(state.statistics.dropped.items())
    metric(
        "dropped_total",
        "counter",
        "Messages ignored, by reason",
        [(f'{{reason="{_escaped(reason)}"}}', float(count)) for reason, count in dropped],
    )
    return "\n".join(lines) + "\n"


class StatusServer:
    """The HTTP server; made by `serve_status`."""

    def __init__(self, state: State, clock: Callable[[], float]) -> None:
        self._state = state
        self._clock = clock
        self._clients = 0
        self.server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The TCP port."""
        if self.server is None:
            return 0
        return int(self.server.sockets[0].getsockname()[1])

    async def client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and close."""
        self._clients += 1
        writer.transport.set_write_buffer_limits(0)  # so that `drain` waits until all is sent
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                if self._clients > MAX_CLIENTS:
                    self._answer(writer, 503, "text/plain", "busy\n")
                else:
                    try:
                        head = await reader.readuntil(b"\r\n\r\n")
                        self._request(writer, head.decode("latin-1"))
                    except asyncio.LimitOverrunError:
                        self._answer(writer, 431, "text/plain", "the request is too long\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # who does not ask gets no answer
        except TimeoutError:
            # Closing would keep an answer that is not read, perhaps for ever.
            writer.transport.abort()
        finally:
            self._clients -= 1
            writer.close()

    def _request(self, writer: asyncio.StreamWriter, head: str) -> None:
        request, *headers = head.split("\r\n")
        method, _, rest = request.partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        host = next((h.partition(":")[2].strip() for h in headers if h.lower().startswith("host:")), "")
        if not _names_this_host(host):
            status, kind, body = 403, "text/plain", "by address or localhost only\n"
        elif method not in ("GET", "HEAD"):
            status, kind, body = 405, "text/plain", "read-only\n"
        elif path == "/status":
            text = json.dumps(as_json(self._state, self._clock()), indent=1) + "\n"
            status, kind, body = 200, "application/json", text
        elif path == "/metrics":
            status, kind, body = 200, "text/plain; version=0.0.4", as_metrics(self._state)
        elif path == "/":
            status, kind, body = 200, "text/plain", "/status: JSON\n/metrics: Prometheus\n"
        else:
            status, kind, body = 404, "text/plain", "there are /status and /metrics\n"
        self._answer(writer, status, kind, body, method == "HEAD")

    @staticmethod
    def _answer(writer: asyncio.StreamWriter, status: int, kind: str, text: str, head: bool = False) -> None:
        body = text.encode()
        allow = "Allow: GET, HEAD\r\n" if status == 405 else ""  # RFC 9110 section 15.5.6
        start = (
            f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(body)}\r\n{allow}"
            "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
        )
        writer.write(start.encode() + (b"" if head else body))

    async def close(self) -> None:
        """Stop."""
        if self.server is not None:
            self.server.close()


def _names_this_host(host: str) -> bool:
    name = host.rpartition(":")[0] if host.count(":") == 1 or "]:" in host else host
    name = name.strip("[]")
    if name.lower() == "localhost":
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


async def serve_status(state: State, address: str, port: int, clock: Callable[[], float]) -> StatusServer:
    """Serve the status of a registrar; ``clock`` gives its time. Raises OSError."""
    made = StatusServer(state, clock)
    made.server = await asyncio.start_server(made.client, address, port, limit=REQUEST_LIMIT)
    return made
