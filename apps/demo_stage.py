"""The running programs of rspdemo: starting, stopping, killing and starting them again.

What their lines tell is in `demo_story`; who does what when in `demo_script`.
"""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from .demo_image import ImageUser
from .demo_place import Place
from .demo_story import ALIVE, IN_USE, READY, Story
from .scenario import DRAWN_HERE, Member, Scenario
from .scenario import IN_USE as WORDS_IN_USE

WAIT = 3.0  # seconds that programs have to end by themselves
KEYS = "123456789abcdefghijklmnopqrstuvwxyz"  # one for each member


class DemoError(Exception):
    """The demo cannot go on; the text says why."""


class Stage:
    """The programs of a scenario. ``reports``: options by which they report to a monitor.

    ``packets``: a folder where each start of a program writes its packets into a file of its own.
    """

    def __init__(
        self,
        scenario: Scenario,
        story: Story,
        place: Place,
        reports: tuple[str, ...],
        png: str | None,
        packets: Path | None = None,
    ) -> None:
        self.scenario = scenario
        self.story = story
        self.members = {m.name: m for m in scenario.members}
        self.keys = dict(zip(KEYS, self.members))
        drawn = next((m.name for m in scenario.members if m.program == DRAWN_HERE), None)
        self.image = None if drawn is None else ImageUser(drawn, png)
        self.end = asyncio.Event()  # its user wants no more
        self._place = place
        self._reports = reports
        self._packets = packets
        self._starts: Counter[str] = Counter()
        self._begin = time.monotonic()
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}  # one for each program that runs
        self._turns: dict[str, asyncio.Lock] = {name: asyncio.Lock() for name in self.members}
        # The users' in their status reports; registrars and servers tell theirs.
        self.identifiers = {m.name: random.randrange(1, 1 << 56) for m in scenario.members if m.role == "user"}
        for member in scenario.members:
            story.expect(member.name, member.role, member.pool)

    def now(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._begin

    def runs(self, name: str) -> bool:
        """Whether a program runs."""
        return name in self._tasks and not self._tasks[name].done()

    def observe(self) -> None:
        """Take into the story what no program tells."""
        if self.image is not None:
            self.image.observe(self.story, self.now())

    def chosen(self, target: str) -> list[str]:
        """The names that a step's target means. DemoError if there is none."""
        group = target.removesuffix(WORDS_IN_USE)
        names = [m.name for m in self.scenario.named(group)]
        if group == target:
            return names
        self.observe()
        found = [n for n in names if self.story.actors[n].state == IN_USE]
        if not found and self.image is not None:
            found = [n for n in names if self.runs(n) and self.story.actors[n].identifier == self.image.registrar]
        found = found or [n for n in names if self.story.actors[n].role == "registrar" and self.runs(n)]
        if not found:
            raise DemoError(f"no {group} is in use")
        return found[:1]

    def _command(self, member: Member) -> tuple[str, ...]:
        registrars = [m.name for m in self.scenario.members if m.role == "registrar"]
        place = self._place.others
        if member.role == "registrar":
            place = self._place.registrars[registrars.index(member.name)]
        own = (
            (f"-cspidentifier={self.identifiers[member.name]}",) if member.role == "user" and self._reports else ()
        )
        return (*place, *self._reports, *own, *self._capture(member.name), *member.options)

    def _capture(self, name: str) -> tuple[str, ...]:
        if self._packets is None:
            return ()
        self._starts[name] += 1
        again = f"-{self._starts[name]}" if self._starts[name] > 1 else ""
        return (f"-pcap={self._packets / name.replace(' ', '-')}{again}.pcapng",)

    async def start(self, name: str) -> None:
        """Start a program, if it does not run."""
        async with self._turns[name]:
            if not self.runs(name):
                await self._enter(self.members[name])

    async def _enter(self, member: Member) -> None:
        options = self._command(member)
        if member.program == DRAWN_HERE:
            self.story.add(member.name, member.role, 0, self.now())
            self._tasks[member.name] = asyncio.create_task(self._draw(member, options))
            return
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "rserpool_apps", member.program, *options,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        self._processes[member.name] = process
        self.story.add(member.name, member.role, process.pid, self.now())
        self._tasks[member.name] = asyncio.create_task(self._read(member.name, process))

    async def _read(self, name: str, process: asyncio.subprocess.Process) -> None:
        if process.stdout is not None:
            async for line in process.stdout:
                self.story.line(self.now(), name, line.decode(errors="replace").rstrip("\n"))
        self.story.ended(self.now(), name, await process.wait())

    async def _draw(self, member: Member, options: tuple[str, ...]) -> None:
        image = self.image
        if image is None:
            return
        status = 0
        try:
            await image.run(options, self.story, self.now)
        except (OSError, ValueError) as error:
            self.story.actors[member.name].last = str(error)
            status = 1
        finally:
            self.observe()
            self.story.ended(self.now(), member.name, status)

    async def kill(self, name: str) -> None:
        """Kill a program as a crash would."""
        async with self._turns[name]:
            if self.runs(name):
                self._kill(name)
                await asyncio.wait((self._tasks[name],))

    def _kill(self, name: str) -> None:
        if self.image is not None and name == self.image.name:
            self.story.killed(self.now(), name)
            self._tasks[name].cancel()
            return
        with suppress(ProcessLookupError):
            self._processes[name].kill()
        if self.image is not None:
            self.image.killed(name, self.story.actors[name].identifier, self.now())
        self.story.killed(self.now(), name)

    async def stop(self, names: Iterable[str], wait: float = WAIT) -> None:
        """End programs by SIGINT, as Ctrl-C would; those that do not go within ``wait`` seconds are killed."""
        leaving = [n for n in names if self.runs(n)]
        for name in leaving:
            self.story.actors[name].leaving = True
            if self.image is not None and name == self.image.name:
                self._tasks[name].cancel()
            else:
                with suppress(ProcessLookupError):
                    self._processes[name].send_signal(signal.SIGINT)
        tasks = [self._tasks[n] for n in leaving]
        if tasks:
            await asyncio.wait(tasks, timeout=wait)
        for name in leaving:
            if self.runs(name):
                self._kill(name)
        if tasks:
            await asyncio.wait(tasks)

    async def act(self, action: str, names: Iterable[str]) -> None:
        """Carry out an action: start, stop, kill, restart."""
        names = list(names)
        if action == "start":
            await asyncio.gather(*(self.start(n) for n in names))
        elif action == "stop":
            await self.stop(names)
        elif action == "kill":
            await asyncio.gather(*(self.kill(n) for n in names))
        elif action == "restart":
            await self.stop(names)
            await asyncio.gather(*(self.start(n) for n in names))

    async def until(self, condition: Callable[[], object], what: str, within: float, limit: float) -> None:
        """Wait for something in the story. DemoError if it does not come in time, or a program ends before."""
        end = min(self.now() + within, limit)
        while True:
            self.observe()
            if condition():
                return
            if self.story.failure:
                raise DemoError(self.story.failure)
            if self.now() >= end:
                last = "; ".join(f"{a.name}: {a.last}" for a in self.story.actors.values() if a.last)
                raise DemoError(f"{what} did not come after {self.now():.0f} s ({last})")
            await asyncio.sleep(0.02)

    def ready(self) -> bool:
        """Whether all registrars and servers that were started are there."""
        alive = [a for a in self.story.actors.values() if a.role != "user" and a.state in ALIVE]
        return all(a.state in (READY, IN_USE) for a in alive)
