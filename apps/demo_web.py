"""rspdemo in a browser: the monitor's page, fed by the scenario's programs, with buttons for its components."""

from __future__ import annotations

import asyncio
from typing import Any

from rserpool.wire import csp

from .components import Monitor, name_of
from .csp_reports import open_socket, receive
from .csp_web import Page, serve_page
from .demo_stage import Stage
from .demo_story import ALIVE

INTERVAL = 250  # milliseconds between status reports
EVENTS = 40  # events that the page is told
GROUPS = {"registrar": csp.REGISTRAR, "server": csp.POOL_ELEMENT, "user": csp.POOL_USER}
ACTIONS = ("start", "stop", "kill", "restart")


class Watched:
    """``async with Watched(port) as watched``: the page, while the block lasts; None: no page."""

    def __init__(self, port: int | None) -> None:
        self._port = port
        self._page: Page | None = None
        self._receiver: asyncio.DatagramTransport | None = None
        self._stage: Stage | None = None
        self._acting: set[asyncio.Task[None]] = set()
        self.reports: tuple[str, ...] = ()  # options by which programs report to the page
        self.words = ""

    async def __aenter__(self) -> Watched:
        if self._port is not None:
            monitor = Monitor()
            listener = open_socket([("127.0.0.1", 0)])
            self.reports = (f"-cspserver=127.0.0.1:{listener.getsockname()[1]}", f"-cspinterval={INTERVAL}")
            self._receiver = await receive(monitor, listener)
            self._page = await serve_page(monitor, self._port, self)
            self.words = f"Watch it at {self._page.url}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._receiver is not None:
            self._receiver.close()
        if self._page is not None:
            await self._page.close()

    def begin(self, stage: Stage) -> None:
        """The stage that is watched."""
        self._stage = stage

    def state(self) -> dict[str, Any] | None:
        """The scenario as the page shows it."""
        if self._stage is None:
            return None
        story = self._stage.story
        members = [
            {"name": a.name, "role": a.role, "state": a.state, "pool": a.pool, "alive": a.state in ALIVE,
             "id": name_of(csp.component(GROUPS[a.role], number)) if number else None}
            for a in story.actors.values()
            for number in (a.identifier or self._stage.identifiers.get(a.name, 0),)
        ]  # fmt: skip
        told = [e for e in story.events if e.kind != "reply"][-EVENTS:]
        events = [{"time": round(e.time, 2), "actor": e.actor, "text": e.text, "kind": e.kind} for e in told]
        return {"title": self._stage.scenario.title, "members": members, "events": events}

    def act(self, action: str, name: str) -> str:
        """Carry out what a button asks for; "" or what is wrong with it."""
        if self._stage is None or name not in self._stage.members or action not in ACTIONS:
            return "There is no such component or action."
        task = asyncio.ensure_future(self._stage.act(action, [name]))
        self._acting.add(task)
        task.add_done_callback(self._acting.discard)
        return ""
