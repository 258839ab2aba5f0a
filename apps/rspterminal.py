"""rspterminal: sends what is typed to a server of a pool and shows what comes back, line by line.

For Echo, Discard, Daytime and CharGen. At the end of the input it stays until the answers have ceased.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Sequence

from rserpool.session import Data, Failover, Library, Session

from .common import SHARED, perform
from .library import no_element, no_registrar, settings_of
from .logs import Output
from .options import Group, Option, Program, Values
from .poolusers import BLUE, FailoverKeeper
from .values import milliseconds, pool_handle

PROGRAM = Program(
    "rspterminal",
    "Sends each line of its input to a server of a pool and shows what comes back; goes on with another server "
    "when it fails.",
    (
        Group(
            "Terminal",
            (
                Option("poolhandle", "the pool", pool_handle, "EchoPool", "NAME"),
                Option("linger", "at the end of the input, end after so long without an answer", milliseconds(),
                       "1000", "MS"),
            ),
        ),
        *SHARED,
    ),
    examples=(
        ("rspterminal", "Talks to an Echo server (rspserver -echo)."),
        ("rspterminal -poolhandle=DaytimePool </dev/null", "Shows the time of a Daytime server."),
    ),
)  # fmt: skip

UNSENT = 10.0  # seconds that the rest of the input waits for a server
PACE = 1.0  # seconds between failovers: Daytime ends each session, and is not to be asked without pause


def printable(data: bytes) -> str:
    """A message as text: no control characters, those at the end left out."""
    text = data.decode("utf-8", "replace").rstrip("".join(map(chr, range(32))))
    return "".join(c if c.isprintable() else "." for c in text)


def read_lines(fd: int, eof: asyncio.Event) -> asyncio.Queue[bytes | None]:
    """Begin to read a descriptor; the queue gets each line and then None; the end sets ``eof``."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[bytes | None] = asyncio.Queue()

    def put(item: bytes | None) -> None:
        try:
            loop.call_soon_threadsafe(queue.put_nowait, item)
        except RuntimeError:
            pass  # the program has ended meanwhile

    def read() -> None:
        # A thread, since event loops cannot wait for files; the process does not wait for it.
        rest = b""
        while True:
            try:
                data = os.read(fd, 65536)
            except OSError:
                data = b""
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                put(line + b"\n")
            if not data:
                if rest:
                    put(rest)
                put(None)
                try:
                    loop.call_soon_threadsafe(eof.set)
                except RuntimeError:
                    pass
                return

    threading.Thread(target=read, daemon=True).start()
    return queue


async def converse(session: Session, library: Library, values: Values, out: Output) -> int:
    """Send the input and show the answers, until both have ceased."""
    loop = asyncio.get_running_loop()
    keeper = FailoverKeeper(session, library, values, out, lambda n: f"FAILOVER #{n} ...", PACE)
    eof = asyncio.Event()  # nothing more to read
    ended = asyncio.Event()  # and all of it sent
    ready = asyncio.Event()  # connected
    lines = read_lines(0, eof)
    heard = False
    last = loop.time()
    if session.connected:
        ready.set()

    async def receive() -> None:
        nonlocal heard, last
        while (event := await session.recv()) is not None:
            if isinstance(event, Data):
                out.line(f"from PE ${event.identifier:08x}> {printable(event.data)}", BLUE)
                heard, last = True, loop.time()
            elif isinstance(event, Failover):
                if event.necessary:
                    ready.clear()
                await keeper.handle(event)
                if event.complete:
                    last = loop.time()
                    ready.set()

    async def send() -> None:
        nonlocal last
        while (line := await lines.get()) is not None:
            while True:
                await ready.wait()
                try:
                    await session.send(line)
                    break
                except OSError:
                    ready.clear()
            last = loop.time()
        ended.set()

    receiver, sender = asyncio.create_task(receive()), asyncio.create_task(send())
    try:
        while not receiver.done():
            await asyncio.wait([receiver], timeout=0.05)
            if ended.is_set() and ready.is_set() and loop.time() - last >= values.linger:
                return 0
            if not ready.is_set() and keeper.out_for >= UNSENT and eof.is_set():
                missing = library.registrar is None
                out.line(no_registrar(values) if missing else no_element(values.poolhandle))
                return 0 if heard else 1
        await receiver
        return 0
    finally:
        for task in (receiver, sender):
            task.cancel()
        await asyncio.gather(receiver, sender, return_exceptions=True)


async def work(values: Values, out: Output, transport: str) -> int:
    """Talk to the pool."""
    out.title("RSerPool Terminal - Version 1.0")
    out.line(f"Pool Handle = {values.poolhandle}")
    out.line(f"Transport   = {transport}")
    out.line()
    async with Library(settings_of(values)) as library:
        async with Session(library, values.poolhandle) as session:
            return await converse(session, library, values, out)


def main(words: Sequence[str]) -> int:
    """Run the program with these command line words; return its exit status."""
    return perform(PROGRAM, words, work)


def run() -> int:
    """The installed program."""
    return main(sys.argv[1:])
