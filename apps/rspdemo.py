"""rspdemo: a registrar, servers and a user as real processes; the server in use is killed, the session goes on.

Needs no root and no network but loopback. Starts and kills the programs and decides what comes next; the story
that their lines tell is in `demo_story`, its picture in `demo_view`.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from rich.console import Console, RenderableType

from pysocketapi.aio import open_endpoint
from pysocketapi.transport import Transport

from . import demo_fractal
from .demo_story import IN_USE, READY, Story, succeeded, summary
from .demo_view import picture, view_of
from .options import Group, Option, Program, Values, command_line, fail
from .runtime import run as run_loop
from .values import choice, integer, milliseconds, text

PROGRAM = Program(
    "rspdemo",
    "Starts registrars, servers and a user, kills a server that is in use, and shows how the user's session goes "
    "on at another one. Ends by itself.",
    (
        Group(
            "Demo",
            (
                Option("scenario", "fractal: an image, of which a server and a registrar are killed; pingpong: a "
                       "session with a counter", choice("fractal", "pingpong"), "fractal", "fractal|pingpong"),
                Option("png", "where the image of the scenario fractal goes", text, metavar="FILE",
                       shown="rspdemo-UID.png among the temporary files"),
                Option("servers", "how many servers", integer(2, 5), "3", "N"),
                Option("kills", "how many of them are killed", integer(1, 4), "1", "N"),
                Option("interval", "time between the user's messages", milliseconds(20, 5000), "150", "MS"),
                Option("private", "a UDP port for each program instead of the shared 9899"),
                Option("no-multicast", "name the registrar by its address instead of finding it by multicast"),
                Option("plain", "plain lines instead of a picture"),
            ),
        ),
    ),
    examples=(("rspdemo", "The whole story, in about ten seconds."),
        ("rspdemo -scenario=pingpong -kills=2", "A session that counts, over three servers."),),
)  # fmt: skip

LIMIT = 28.0  # seconds that the demo may take at most
CALM = 10  # replies before the first kill, between kills, and at the end
FRAME = 0.1  # seconds between pictures
POOL = "DemoPool"
LETTERS = "ABCDE"
SILENT = ("-asapannounce=off", "-enrpannounce=off")
WAIT = 3.0  # seconds that programs have to end by themselves


class DemoError(Exception):
    """The demo cannot go on; the text says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """How the programs find each other: their common options; ``words`` say what is unusual about it."""

    registrar: tuple[str, ...]
    second: tuple[str, ...]  # registrar
    others: tuple[str, ...]
    words: str = ""


def free_udp_ports(count: int) -> list[int]:
    """UDP ports of loopback that are free now."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def multicast_passes(group: str, port: int) -> bool:
    """Whether a datagram to a multicast group comes back by loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((group, port))
            membership = socket.inet_aton(group) + socket.inet_aton("127.0.0.1")
            probe.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
            probe.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
            probe.settimeout(0.5)
            probe.sendto(b"rspdemo", (group, port))
            return probe.recv(64) == b"rspdemo"
        except OSError:
            return False


async def shared_port_works() -> str:
    """ "" if this host's programs can share UDP port 9899; else a sentence saying why not."""
    try:
        async with asyncio.timeout(5):
            endpoint = await open_endpoint((), 0, transport=Transport("userland"), listen=False)
            await endpoint.close()
    except OSError as error:
        return f"UDP port 9899 cannot be used ({error.strerror or error}): each program gets a port of its own."
    return ""


async def choose_place(values: Values) -> Place:
    """Find out what this host allows; fall back to private ports and fixed addresses, with a word about it."""
    words = "" if values.private else await shared_port_works()
    common: tuple[str, ...] = ("-transport=userland",)
    if values.private or words:
        udp = free_udp_ports(2)
        places = [f"127.0.0.1:{3863 + i}/{port}" for i, port in enumerate(udp)]
        registrars: list[tuple[str, ...]] = [
            (*common, *SILENT, f"-udp-port={port}", f"-asap=127.0.0.1:{3863 + i}", f"-enrp=127.0.0.1:{9901 + i}",
             f"-peer=127.0.0.1:{9902 - i}/{udp[1 - i]}")
            for i, port in enumerate(udp)
        ]  # fmt: skip
        others = (*common, "-udp-port=0", "-asapannounce=off", *(f"-registrar={p}" for p in places))
        return Place(registrars[0], registrars[1], others, words or "Each program has a UDP port of its own.")
    group, port = "239.0.0.50", random.randint(20000, 29999)
    if not values.no_multicast and multicast_passes(group, port):
        # A group port of its own: nobody else's pools are touched.
        announce = f"-asapannounce={group}:{port}"
        registrar = (*common, announce, f"-enrpannounce=239.0.0.51:{port + 1}")
        return Place(registrar, registrar, (*common, announce))
    fixed: list[tuple[str, ...]] = [
        (*common, *SILENT, f"-asap=127.0.0.1:{port + 2 * i}", f"-enrp=127.0.0.1:{port + 2 * i + 1}",
         f"-peer=127.0.0.1:{port + 2 * (1 - i) + 1}")
        for i in range(2)
    ]  # fmt: skip
    known = (f"-registrar=127.0.0.1:{port}", f"-registrar=127.0.0.1:{port + 2}")
    return Place(
        fixed[0], fixed[1], (*common, "-asapannounce=off", *known), "No multicast here: registrars are named."
    )


class Stage:
    """The running programs."""

    def __init__(self, story: Story, place: Place) -> None:
        self.story = story
        self.place = place
        self._begin = time.monotonic()
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._readers: list[asyncio.Task[None]] = []
        self.changed = asyncio.Event()

    def now(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._begin

    async def enter(self, name: str, role: str, program: str, *options: str) -> None:
        """Start a program."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "rserpool_apps", program, *options,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        self._processes[name] = process
        self.story.add(name, role, process.pid, self.now())
        self._readers.append(asyncio.create_task(self._read(name, process)))

    async def _read(self, name: str, process: asyncio.subprocess.Process) -> None:
        if process.stdout is not None:
            async for line in process.stdout:
                self.story.line(self.now(), name, line.decode(errors="replace").rstrip("\n"))
                self.changed.set()
        self.story.ended(self.now(), name, await process.wait())
        self.changed.set()

    def kill(self, name: str) -> None:
        """Kill a program as a crash would."""
        self._processes[name].kill()
        self.story.killed(self.now(), name)
        self.changed.set()

    async def until(self, condition: Callable[[], object], what: str, seconds: float) -> None:
        """Wait for something in the story. DemoError if it does not come in time, or a program ends before."""
        limit = min(self.now() + seconds, LIMIT)
        while not condition():
            dead = [e for e in self.story.events if e.kind == "error" and "ended with status" in e.text]
            if dead:
                raise DemoError(f"{dead[0].actor} {dead[0].text}")
            self.changed.clear()
            try:
                async with asyncio.timeout(limit - self.now()):
                    await self.changed.wait()
            except TimeoutError:
                last = "; ".join(f"{a.name}: {a.last}" for a in self.story.actors.values() if a.last)
                raise DemoError(f"{what} did not happen within {seconds:g} s ({last})") from None

    async def within(self, work: Coroutine[Any, Any, None], what: str) -> None:
        """Wait for something that takes as long as the demo has. DemoError if it does not come."""
        try:
            async with asyncio.timeout(LIMIT - self.now()):
                await work
        except TimeoutError:
            raise DemoError(f"{what} did not come within {LIMIT:g} s") from None

    async def leave(self, *names: str) -> None:
        """End programs by SIGINT, as Ctrl-C would; those that do not go are killed."""
        leaving = [self._processes[n] for n in names if n in self._processes]
        for process in leaving:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)
        try:
            async with asyncio.timeout(WAIT):
                await asyncio.gather(*(p.wait() for p in leaving))
        except TimeoutError:
            pass
        for process in leaving:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def clear(self) -> None:
        """End all that still runs."""
        await self.leave(*self._processes)
        await asyncio.gather(*self._readers, return_exceptions=True)


async def play_ping_pong(stage: Stage, values: Values) -> None:
    """A session with a counter, whose server is killed."""
    story = stage.story

    async def replies(more: int) -> None:
        enough = story.last_reply + more
        await stage.until(lambda: story.last_reply >= enough, f"reply {enough}", 10)

    await stage.enter(
        "registrar", "registrar", "rspregistrar", *stage.place.registrar,
        "-mentordiscoverytimeout=200", "-serverannouncecycle=250",
        "-endpointkeepalivetransmissioninterval=1000", "-endpointkeepalivetimeoutinterval=1000",
    )  # fmt: skip
    await stage.until(lambda: story.actors["registrar"].state == READY, "the registrar's start", 8)
    for letter in LETTERS[: values.servers]:
        await stage.enter(
            f"server {letter}", "server", "rspserver", *stage.place.others, "-pingpong", f"-poolhandle={POOL}"
        )
    await stage.until(lambda: all(a.state == READY for a in story.servers()), "the servers' registration", 12)
    await stage.enter(
        "user",
        "user",
        "pingpongclient",
        *stage.place.others,
        f"-poolhandle={POOL}",
        f"-interval={values.interval * 1000:g}",
        "-replytimeout=1000",
    )
    for _ in range(min(values.kills, values.servers - 1)):
        await replies(CALM)
        stage.kill(next(a.name for a in story.servers() if a.state == IN_USE))
        await stage.until(lambda: story.switches[-1].seconds is not None, "the failover", 12)
    await replies(CALM)
    await stage.until(lambda: story.lost == 0, "the answer to the last message", 2)
    await stage.leave("user")


@asynccontextmanager
async def drawing(stage: Stage, draw: Callable[[float], None]) -> AsyncIterator[None]:
    """Draw regularly while the block lasts."""

    async def keep() -> None:
        while True:
            draw(stage.now())
            await asyncio.sleep(FRAME)

    task = asyncio.create_task(keep())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def show(values: Values) -> int:
    """Play the demo and show it; return the exit status."""
    console = Console(force_terminal=False if values.plain else None, highlight=False)
    place = await choose_place(values)
    if place.words:
        console.print(place.words)
    story = Story()
    stage = Stage(story, place)
    drawn = demo_fractal.Drawn()
    fractal = values.scenario == "fractal"

    def draw(now: float) -> RenderableType:
        return demo_fractal.picture(story, drawn, now, console) if fractal else picture(story, now, console.width)

    def update(now: float) -> None:
        demo_fractal.tell_job(story, drawn, now)
        view.update(now)

    view = view_of(console, story, draw)
    problem = ""
    view.start()
    try:
        async with drawing(stage, update):
            if fractal:
                await demo_fractal.play(stage, values, drawn)
            else:
                await play_ping_pong(stage, values)
    except DemoError as error:
        problem = str(error)
    finally:
        lasted = stage.now()
        good = not problem and (demo_fractal.succeeded(drawn) if fractal else succeeded(story))
        lines = demo_fractal.summary(story, drawn) if fractal else summary(story) if story.sent else []
        if problem:
            lines.append(f"The demo stopped: {problem}")
        view.finish(lasted, lines, good)  # before the programs end: the picture shows them at work
        await stage.clear()
    return 0 if good else 1


def main(words: Sequence[str]) -> int:
    """Run the program with these command line words; return its exit status."""
    values = command_line(PROGRAM, words)
    if isinstance(values, int):
        return values
    os.environ.pop("RSERPOOL_TRANSPORT", None)
    try:
        return run_loop(lambda: show(values), quiet=True)
    except OSError as error:
        return fail(PROGRAM, str(error))


def run() -> int:
    """The installed program."""
    return main(sys.argv[1:])
