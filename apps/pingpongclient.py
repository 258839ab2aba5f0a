"""pingpongclient: a pool user of the Ping Pong service, whose state travels by cookies from server to server.

Messages that a failed server left unanswered are sent again to the next one, under their old numbers.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence

from rserpool.services import pingpong
from rserpool.session import Data, Failover, Library, Session
from rserpool.wire.types import DecodeError

from .common import SHARED, perform
from .library import settings_of
from .logs import Output
from .options import Group, Option, Program, Values
from .poolusers import BLUE, FailoverKeeper
from .values import integer, milliseconds, pool_handle

PROGRAM = Program(
    "pingpongclient",
    "Sends numbered messages to a server of a Ping Pong pool and shows its answers; goes on with another server "
    "when it fails, where the first one stopped.",
    (
        Group(
            "Ping Pong",
            (
                Option("poolhandle", "the pool", pool_handle, "PingPongPool", "NAME"),
                Option("interval", "time between messages", milliseconds(1), "500", "MS"),
                Option(
                    "replytimeout",
                    "a server that does not answer for so long is left",
                    milliseconds(10),
                    "5000",
                    "MS",
                ),
                Option("count", "end after so many answers", integer(1, 2**63), metavar="N", shown="never"),
            ),
        ),
        *SHARED,
    ),
    examples=(
        ("pingpongclient", "Uses the pool PingPongPool of the registrars in this network."),
        (
            "pingpongclient -interval=100 -registrar=127.0.0.1:3863",
            "Ten messages a second, a registrar by address.",
        ),
    ),
)


class Conversation:
    """The messages of one session: which are sent, which answered."""

    def __init__(self, out: Output) -> None:
        self.out = out
        self.sent = 0
        self.answered = 0
        self.gaps = 0
        self.waiting: dict[int, bytes] = {}  # number -> the message, not yet answered
        self.heard = time.monotonic()  # of an answer, or when the oldest waiting message was sent
        self._last_reply = 0

    def next_message(self) -> tuple[int, bytes]:
        """Make the next message."""
        if not self.waiting:
            self.heard = time.monotonic()
        self.sent += 1
        number = self.sent
        text = f"Message {number} at {time.time():.6f}".encode()
        self.waiting[number] = pingpong.encode(pingpong.Ping(number, text))
        return number, self.waiting[number]

    def answer(self, pong: pingpong.Pong, identifier: int) -> None:
        """Take an answer and show it."""
        self.waiting.pop(pong.number, None)
        self.answered += 1
        self.heard = time.monotonic()
        self.out.stamped(f"Ack #{pong.number} from PE ${identifier:08x} (reply #{pong.reply})", BLUE)
        gap = pong.reply - self._last_reply - 1
        if gap and self._last_reply:
            self.gaps += 1
            self.out.stamped(f"*** Detected gap of {gap}! ***")
        self._last_reply = pong.reply


async def converse(session: Session, library: Library, values: Values, out: Output) -> int:
    """Send and receive until the number of answers is reached."""
    talk = Conversation(out)
    keeper = FailoverKeeper(session, library, values, out, lambda _: "FAILOVER...")
    ready = asyncio.Event()
    if session.connected:
        ready.set()

    async def transmit(number: int, message: bytes, words: str) -> None:
        try:
            await session.send(message, ppid=pingpong.PPID)
            out.line(f"Message #{number} {words}")
        except OSError:
            ready.clear()  # the failover is on its way to the receiver

    async def send_regularly() -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            await ready.wait()
            number, message = talk.next_message()
            await transmit(number, message, "sent")
            due = max(due + values.interval, loop.time())
            await asyncio.sleep(due - loop.time())

    sender = asyncio.create_task(send_regularly())
    try:
        while values.count is None or talk.answered < values.count:
            try:
                async with asyncio.timeout(talk.heard + values.replytimeout - time.monotonic()):
                    event = await session.recv()
            except TimeoutError:
                if talk.waiting and session.connected:
                    out.stamped(f"PE ${session.identifier:08x} did not answer for {values.replytimeout:g}s")
                    ready.clear()
                    await session.force_failover(unreachable=True)
                talk.heard = time.monotonic()
                continue
            if event is None:
                break
            if isinstance(event, Failover):
                if event.necessary:
                    ready.clear()
                await keeper.handle(event)
                if event.complete:
                    for number, message in list(talk.waiting.items()):
                        await transmit(number, message, "sent again")
                    talk.heard = time.monotonic()
                    ready.set()
            elif isinstance(event, Data):
                try:
                    pong = pingpong.decode(event.data)
                except DecodeError as error:
                    out.stamped(f"Bad message from PE ${event.identifier:08x}: {error}")
                    continue
                if isinstance(pong, pingpong.Pong):
                    talk.answer(pong, event.identifier)
    finally:
        sender.cancel()
        await asyncio.gather(sender, return_exceptions=True)
        out.line()
        out.line(
            f"{talk.sent} messages sent, {talk.answered} answered, {len(talk.waiting)} waiting, "
            f"{session.failovers} failovers, {talk.gaps} gaps"
        )
    return 0


async def work(values: Values, out: Output, transport: str) -> int:
    """Talk to the pool."""
    out.title("Ping Pong Pool User - Version 1.0")
    out.line(f"Pool Handle   = {values.poolhandle}")
    out.line(f"Ping Interval = {values.interval * 1000:.0f}ms")
    out.line(f"Transport     = {transport}")
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
