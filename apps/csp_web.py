"""The monitor's page: one document and a stream of server-sent events, to this host only.

``/`` is the page (csp_page.html), ``/events`` the components as JSON four times a second, ``/components`` once.
A small HTTP/1.1 server of its own: no request has a body, every answer closes its connection.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files

from .components import Monitor, as_json

HOST = "127.0.0.1"
PERIOD = 0.25  # seconds between events
MAX_REQUEST = 8192
NAMES = ("localhost", "127.0.0.1")  # a page elsewhere must not read ours by way of a host name of its own


@dataclass(slots=True)
class Page:
    """The running server."""

    server: asyncio.Server
    url: str
    clients: set[asyncio.Task[None]]

    async def close(self) -> None:
        """End it and its connections."""
        self.server.close()
        for task in list(self.clients):
            task.cancel()
        await asyncio.gather(*self.clients, return_exceptions=True)


def page_bytes() -> bytes:
    """The document."""
    return (files(__package__) / "csp_page.html").read_bytes()


async def serve_page(monitor: Monitor, port: int) -> Page:
    """Serve the page at a port of this host (0: any). Raises OSError."""
    clients: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(_serve(monitor, reader, writer))
        clients.add(task)
        task.add_done_callback(clients.discard)

    server = await asyncio.start_server(connected, HOST, port, limit=MAX_REQUEST)
    return Page(server, f"http://{HOST}:{server.sockets[0].getsockname()[1]}/", clients)


async def _serve(monitor: Monitor, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        async with asyncio.timeout(10):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *fields = head.split("\r\n")
        method, target, *_ = [*line.split(" "), "", ""]
        host = next((f.partition(":")[2].strip() for f in fields if f.lower().startswith("host:")), "")
        if method != "GET":
            await _answer(writer, "405 Method Not Allowed", "text/plain", b"Only GET.\n")
        elif host.rpartition(":")[0] not in NAMES:
            await _answer(writer, "403 Forbidden", "text/plain", b"Only for this host.\n")
        elif target == "/":
            await _answer(writer, "200 OK", "text/html; charset=utf-8", page_bytes())
        elif target == "/components":
            await _answer(writer, "200 OK", "application/json", _state(monitor))
        elif target == "/events":
            await _events(monitor, writer)
        else:
            await _answer(writer, "404 Not Found", "text/plain", b"There is only /.\n")
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass  # the browser has gone, or it is none
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def _state(monitor: Monitor) -> bytes:
    now = time.monotonic()
    monitor.forget_silent(now)
    return json.dumps(as_json(monitor.selected(now), now), separators=(",", ":")).encode()


async def _answer(writer: asyncio.StreamWriter, status: str, kind: str, body: bytes) -> None:
    policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'"
    writer.write(
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nCache-Control: no-store\r\n"
        f"Content-Security-Policy: {policy}\r\nConnection: close\r\n\r\n".encode()
        + body
    )
    await writer.drain()


async def _events(monitor: Monitor, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n\r\n")
    while True:
        writer.write(b"data: " + _state(monitor) + b"\n\n")
        await writer.drain()
        await asyncio.sleep(PERIOD)
