"""The scripting service, pool user's side: a work package goes to a server, results come back (RSPLIB's service).

There are no cookies: at another server all begins again. Keep-alives are sent only once the server works, since
RSPLIB's servers take them as an error before. Formats are in `scripting`.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from rserpool.services import scripting
from rserpool.services.scripting_cache import sha1_of
from rserpool.session import Data, Failover, Session
from rserpool.wire.types import DecodeError

JITTER = 0.125  # of the pause before a failover
UPLOAD, DOWNLOAD = "upload", "download"


@dataclass(slots=True)
class Settings:
    """Times in seconds. ``max_trials``: so many servers may return another exit status than 0."""

    max_trials: int = 3
    retry_delay: float = 10.0
    transmit_timeout: float = 59.5
    keep_alive_interval: float = 10.0
    keep_alive_timeout: float = 10.0


@dataclass(slots=True)
class Files:
    """What goes to the server, and where the results go."""

    input: Path
    output: Path
    environment: Path | None = None


class _Leave(Exception):
    """The server is to be left; the text says why. ``unreachable``: it is reported."""

    def __init__(self, text: str, unreachable: bool = False) -> None:
        super().__init__(text)
        self.unreachable = unreachable


class Client:
    """One work package.

    ``say`` gets sentences; ``progress(what, bytes so far, bytes in all or 0)`` what was transferred.
    """

    def __init__(
        self,
        files: Files,
        settings: Settings,
        say: Callable[[str], None],
        progress: Callable[[str, int, int], None] = lambda *_: None,
    ) -> None:
        self.files = files
        self.settings = settings
        self.server = ""  # its name
        self.trials = 0  # results with an exit status other than 0, or none at all after the program's end
        self.failovers = 0
        self._say = say
        self._progress = progress
        self._digest = sha1_of(files.environment) if files.environment is not None else None

    @property
    def draft(self) -> Path:
        """Where the results are until they are complete."""
        return self.files.output.with_name(self.files.output.name + ".part")

    async def run(self, session: Session) -> int:
        """Process the package over a session; return the exit status of its program. OSError for our own files.

        1 if the program was well but no server has results of it.
        """
        try:
            while True:
                try:
                    if session.connected or await self._reconnect(session):
                        return await self._once(session)
                except _Leave as leave:
                    self._say(str(leave))
                    await self._leave(session, leave.unreachable)
        finally:
            self.draft.unlink(missing_ok=True)

    async def _reconnect(self, session: Session) -> bool:
        """Look for a server at the beginning, when there is none yet."""
        event = await session.recv()
        return isinstance(event, Failover) and await session.force_failover()

    async def _leave(self, session: Session, unreachable: bool) -> None:
        self.draft.unlink(missing_ok=True)
        self.failovers += 1
        self._say("FAILOVER ...")
        await asyncio.sleep(self.settings.retry_delay * random.uniform(1 - JITTER, 1 + JITTER))
        self.server = ""
        await session.force_failover(unreachable)

    async def _receive(self, session: Session, timeout: float, why: str) -> scripting.Message:
        """Return the next message. _Leave if there is none in time, or the server has gone."""
        end = time.monotonic() + timeout
        while True:
            try:
                async with asyncio.timeout(end - time.monotonic()):
                    event = await session.recv()
            except TimeoutError:
                raise _Leave(f"{self._name(session)} does not {why}", unreachable=True) from None
            if event is None:
                raise BrokenPipeError("the session is closed")
            if isinstance(event, Failover):
                if event.complete:
                    continue
                raise _Leave(f"{self._name(session)} has gone")
            if isinstance(event, Data):
                try:
                    return scripting.decode(event.data)
                except DecodeError as error:
                    raise _Leave(f"Bad message from {self._name(session)}: {error}") from None

    def _name(self, session: Session) -> str:
        return f"Server {self.server or f'${session.identifier:08x}'}"

    async def _send(self, session: Session, message: scripting.Message) -> None:
        try:
            async with asyncio.timeout(self.settings.transmit_timeout):
                await session.send(scripting.encode(message), ppid=scripting.PPID)
        except TimeoutError:
            raise _Leave(f"{self._name(session)} takes no data", unreachable=True) from None
        except OSError as error:
            raise _Leave(f"{self._name(session)} has gone ({error.strerror or error})") from None

    async def _once(self, session: Session) -> int:
        """Try it with the server at hand. _Leave."""
        settings = self.settings
        patience = settings.keep_alive_interval + settings.keep_alive_timeout
        message = await self._receive(session, patience, "say that it is ready")
        if isinstance(message, scripting.NotReady):
            self.server = message.info
            raise _Leave(f"{self._name(session)} is not ready (reason {message.reason})")
        if not isinstance(message, scripting.Ready):
            raise _Leave(f"Server ${session.identifier:08x} begins with {type(message).__name__}")
        self.server = message.info
        self._say(f"{self._name(session)} is ready!")
        await self._give(session)
        return await self._await_results(session)

    async def _give(self, session: Session) -> None:
        """Upload the package, and the environment where the server lacks it. _Leave."""
        if self._digest is not None:
            await self._send(session, scripting.Environment(self._digest))
        await self._upload(session, self.files.input)
        if self._digest is None or self.files.environment is None:
            return
        message = await self._receive(session, self.settings.transmit_timeout, "answer")
        if not isinstance(message, scripting.Environment):
            raise _Leave(f"{self._name(session)} answers with {type(message).__name__}")
        if message.upload_needed:
            self._say(f"{self._name(session)} needs environment")
            await self._upload(session, self.files.environment)
        else:
            self._say(f"{self._name(session)} has cached environment")

    async def _upload(self, session: Session, path: Path) -> None:
        with path.open("rb") as file:
            size = path.stat().st_size
            self._say(f"Uploading {size} bytes ...")
            done = 0
            while block := file.read(scripting.MAX_DATA):
                await self._send(session, scripting.Upload(block))
                done += len(block)
                self._progress(UPLOAD, done, size)
        await self._send(session, scripting.Upload())
        self._say("Upload complete.")

    async def _await_results(self, session: Session) -> int:
        """Wait until the server accepts, works, has done it; take what it sends. _Leave."""
        settings = self.settings
        message = await self._receive(session, settings.transmit_timeout, "accept the package")
        if not isinstance(message, scripting.Status) or message.status != 0:
            raise _Leave(f"{self._name(session)} refuses the package")
        self._say(f"{self._name(session)} is processing ...")
        clock = time.monotonic
        due, waiting = clock() + settings.keep_alive_interval, False
        status: int | None = None
        output: IO[bytes] | None = None
        done = 0
        try:
            while True:
                if clock() >= due:
                    if waiting:
                        raise _Leave(f"{self._name(session)} does not answer", unreachable=True)
                    if status is None:
                        await self._send(session, scripting.KeepAlive())
                    due, waiting = clock() + settings.keep_alive_timeout, True
                try:
                    message = await self._receive(session, due - clock(), "answer")
                except _Leave as leave:
                    if leave.unreachable:
                        continue  # time for a keep-alive, or too late for its answer
                    raise
                if isinstance(message, scripting.KeepAlive):
                    await self._send(session, scripting.KeepAliveAck())
                elif isinstance(message, scripting.KeepAliveAck):
                    due, waiting = clock() + settings.keep_alive_interval, False
                elif isinstance(message, scripting.Status) and status is None:
                    status = message.status
                    self._result(session, status)
                    output = self.draft.open("wb")
                    due, waiting = clock() + settings.transmit_timeout, True
                elif isinstance(message, scripting.Download) and output is not None and status is not None:
                    if not message.data:
                        output.close()
                        self.draft.replace(self.files.output)
                        self._say("Download completed!")
                        return status
                    output.write(message.data)
                    done += len(message.data)
                    due = clock() + settings.transmit_timeout
                    self._progress(DOWNLOAD, done, 0)
                else:
                    raise _Leave(f"{self._name(session)} sends {type(message).__name__} out of turn")
        except _Leave as leave:
            # The program has ended but left nothing, and would do so at any server.
            if output is None or done or status is None:
                raise
            self.trials += status == 0  # another status was counted already
            if self.trials < settings.max_trials:
                raise
            self._say(str(leave))
            self._say("No results. Maximum number of trials reached -> check your input!")
            return status or 1
        finally:
            if output is not None:
                output.close()

    def _result(self, session: Session, status: int) -> None:
        """Note the exit status. _Leave where another server shall try."""
        if status == 0:
            self._say("Downloading ...")
            return
        self.trials += 1
        self._say(f"Got exit status {status} from remote side!")
        if self.trials < self.settings.max_trials:
            raise _Leave(f"Trying another server ({self.trials} of {self.settings.max_trials} trials made)")
        self._say("Maximum number of trials reached -> check your input and the results!")
        self._say("Trying to download the results file for debugging ...")
