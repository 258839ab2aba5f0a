"""The monitor's page: one document and a stream of server-sent events, to this host only.

``/`` is the page (csp_page.html), ``/events`` what it shows as JSON, at once and then four times a second and
whenever a component has just fallen silent, ``/components`` the components once. Where there is something to
control, ``POST /act`` does it, if the request comes from the page itself: to this host, of our origin, and with
the token that the page was given. A small HTTP/1.1 server of its own: every answer closes its connection.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass, field
from hmac import compare_digest
from importlib.resources import files
from typing import Any, Protocol

from .components import Monitor, as_json

HOST = "127.0.0.1"
PERIOD = 0.25  # seconds between events
LOOK = 0.05  # seconds between looks for components that fall silent
MAX_REQUEST = 8192
MAX_BODY = 1024
NAMES = ("localhost", "127.0.0.1")  # a page elsewhere must not read ours by way of a host name of its own
TOKEN = b"@TOKEN@"  # stands in the document for the token
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "connect-src 'self'; frame-ancestors 'none'; form-action 'none'; base-uri 'none'"
)


class Controls(Protocol):
    """What the page may control."""

    def state(self) -> dict[str, Any] | None:
        """What there is to control, as JSON."""

    def act(self, action: str, name: str) -> str:
        """Do something; "" or what is wrong."""


class Refused(Exception):
    """A request that is not answered with what it asks for; status line and words."""


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


@dataclass(slots=True)
class _Site:
    """What requests are answered from."""

    monitor: Monitor
    controls: Controls | None
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    def event(self) -> bytes:
        now = time.monotonic()
        self.monitor.forget_silent(now)
        controls = None if self.controls is None else self.controls.state()
        shown = {"components": as_json(self.monitor.selected(now), now, self.monitor), "scenario": controls}
        return json.dumps(shown, separators=(",", ":")).encode()

    def silent(self) -> int:
        """How many components are silent."""
        now = time.monotonic()
        return sum(c.fading(now) for c in self.monitor.components.values())


def page_bytes(token: str = "") -> bytes:
    """The document. ``token``: that of its requests."""
    return (files(__package__) / "csp_page.html").read_bytes().replace(TOKEN, token.encode())


async def serve_page(monitor: Monitor, port: int, controls: Controls | None = None) -> Page:
    """Serve the page at a port of this host (0: any). Raises OSError."""
    clients: set[asyncio.Task[None]] = set()
    site = _Site(monitor, controls)

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(_serve(site, reader, writer))
        clients.add(task)
        task.add_done_callback(clients.discard)

    server = await asyncio.start_server(connected, HOST, port, limit=MAX_REQUEST)
    return Page(server, f"http://{HOST}:{server.sockets[0].getsockname()[1]}/", clients)


async def _serve(site: _Site, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        async with asyncio.timeout(10):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            method, target, fields = _request(head)
            body = await reader.readexactly(_length(fields)) if method == "POST" else b""
        if target == "/events" and method == "GET":
            await _events(site, writer)
        else:
            await _answer(writer, "200 OK", *_content(site, method, target, fields, body))
    except Refused as refused:
        await _answer(writer, refused.args[0], "text/plain", refused.args[1].encode() + b"\n")
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass  # the browser has gone, or it is none
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def _request(head: str) -> tuple[str, str, dict[str, str]]:
    """Method, target and fields (names in small letters) of a request for this host."""
    line, *rest = head.split("\r\n")
    method, target, *_ = [*line.split(" "), "", ""]
    fields = {name.strip().lower(): value.strip() for name, _, value in (f.partition(":") for f in rest)}
    if method not in ("GET", "POST"):
        raise Refused("405 Method Not Allowed", "Only GET and POST.")
    if fields.get("host", "").rpartition(":")[0] not in NAMES:
        raise Refused("403 Forbidden", "Only for this host.")
    return method, target, fields


def _length(fields: dict[str, str]) -> int:
    text = fields.get("content-length", "")
    if not text.isascii() or not text.isdigit() or len(text) > 6 or int(text) > MAX_BODY:
        raise Refused("413 Content Too Large", f"A body of at most {MAX_BODY} bytes, please, and its length.")
    return int(text)


def _content(site: _Site, method: str, target: str, fields: dict[str, str], body: bytes) -> tuple[str, bytes]:
    """Type and text of the answer."""
    if target == "/act":
        if method != "POST":
            raise Refused("405 Method Not Allowed", "Only POST.")
        return "text/plain", _act(site, fields, body)
    if method != "GET":
        raise Refused("405 Method Not Allowed", "Only GET.")
    if target == "/":
        return "text/html; charset=utf-8", page_bytes(site.token)
    if target == "/components":
        return "application/json", json.dumps(json.loads(site.event())["components"]).encode()
    raise Refused("404 Not Found", "There is only /.")


def _act(site: _Site, fields: dict[str, str], body: bytes) -> bytes:
    if fields.get("origin") != f"http://{fields['host']}":
        raise Refused("403 Forbidden", "Only from this page.")
    if not compare_digest(fields.get("x-token", "").encode("latin-1"), site.token.encode()):
        raise Refused("403 Forbidden", "The page is that of an earlier run; load it again.")
    try:
        wish = json.loads(body)
        action, name = wish["action"], wish["name"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise Refused("400 Bad Request", "No action and name.") from None
    problem = (
        "There is nothing to control." if site.controls is None else site.controls.act(str(action), str(name))
    )
    if problem:
        raise Refused("409 Conflict", problem)
    return b"done\n"


async def _answer(writer: asyncio.StreamWriter, status: str, kind: str, body: bytes) -> None:
    writer.write(
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nCache-Control: no-store\r\n"
        f"Content-Security-Policy: {POLICY}\r\nX-Content-Type-Options: nosniff\r\n"
        "Connection: close\r\n\r\n".encode()
        + body
    )
    with suppress(OSError):
        await writer.drain()


async def _events(site: _Site, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n\r\n")
    while True:
        writer.write(b"data: " + site.event() + b"\n\n")
        await writer.drain()
        silent, end = site.silent(), time.monotonic() + PERIOD
        while time.monotonic() < end and site.silent() <= silent:
            await asyncio.sleep(LOOK)
