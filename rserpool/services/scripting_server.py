"""The scripting service, pool element's side: work packages come, are run, results go back (RSPLIB's service).

One session is one package: upload, working, download. No cookies: after a failover all begins again. Packages are
checked and run by the program `Settings.control`, in a directory and a process group of their own; formats are in
`scripting`.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from rserpool.services import scripting, scripting_work
from rserpool.services.scripting_cache import Cache, sha1_of
from rserpool.session import Data, PeerSession
from rserpool.wire.types import DecodeError

INPUT, ENVIRONMENT, OUTPUT, STATUS = "input.data", "environment.data", "output.data", "status.txt"
WATCH = 0.25  # seconds between looks at a session's directory


@dataclass(slots=True)
class Settings:
    """What RSPLIB's -ss... options set, and limits of ours; times in seconds, sizes in bytes, 0: no limit."""

    control: tuple[str, ...]
    transmit_timeout: float = 30.0
    keep_alive_interval: float = 15.0
    keep_alive_timeout: float = 10.0
    keyring: str = ""
    trust_db: str = ""
    keep_directories: bool = False
    verbose: bool = False
    max_time: float = 3600.0
    max_disk: int = 1 << 30
    max_memory: int = 0
    show_output: bool = True  # the scripts' output goes to that of the server


class _Stop(Exception):
    """The session is to be aborted; the text says why."""


class _Gone(Exception):
    """The pool user is not there any more."""


class _Job:
    """One session. Every OSError that its methods raise is one of files or programs."""

    def __init__(self, session: PeerSession, settings: Settings, cache: Cache, say: Callable[[str], None]) -> None:
        self.session = session
        self.settings = settings
        self.cache = cache
        self.directory = Path(tempfile.mkdtemp(prefix="rspSS-Session-"))
        self.process: asyncio.subprocess.Process | None = None
        self.environment = ""  # name of the environment file; "" without one
        self._say = say

    def say(self, text: str) -> None:
        """A line for people."""
        self._say(f"S{self.session.id:04d}: {text}")

    async def send(self, message: scripting.Message) -> None:
        """Send a message in time. _Stop, _Gone."""
        try:
            async with asyncio.timeout(self.settings.transmit_timeout):
                await self.session.send(scripting.encode(message), ppid=scripting.PPID)
        except TimeoutError:
            raise _Stop("transmission timeout") from None
        except OSError:
            raise _Gone from None

    async def receive(self, timeout: float | None) -> scripting.Message | None:
        """Return the next message, None after the end. _Stop for what is none, and after ``timeout``."""
        try:
            async with asyncio.timeout(timeout):
                event = await self.session.recv()
        except TimeoutError:
            raise _Stop("nothing was received in time") from None
        if event is None:
            return None
        if not isinstance(event, Data):
            raise _Stop("a cookie; this service has none")
        try:
            return scripting.decode(event.data)
        except DecodeError as error:
            raise _Stop(str(error)) from None

    # Upload

    async def upload(self) -> bool:
        """Take the work package, and an environment where one is told of; False if the pool user has gone."""
        needed = None
        began = time.monotonic()
        message = await self.receive(self.settings.transmit_timeout)
        if isinstance(message, scripting.Environment):
            self.environment = ENVIRONMENT
            self.say(f"User requests environment {message.hash.hex()}")
            cached = await asyncio.to_thread(self.cache.fetch, message.hash, self.directory / ENVIRONMENT)
            needed = None if cached else message.hash
            await self.send(scripting.Environment(message.hash, upload_needed=not cached))
            message = await self.receive(self.settings.transmit_timeout)
        self.say(f'Starting upload of work package into directory "{self.directory}" ...')
        if not await self._file(INPUT, message, began):
            return False
        if needed is not None:
            self.say(f'Starting upload of environment into directory "{self.directory}" ...')
            began = time.monotonic()
            message = await self.receive(self.settings.transmit_timeout)
            if not await self._file(ENVIRONMENT, message, began):
                return False
            await self._take_environment()
        return True

    async def _file(self, name: str, message: scripting.Message | None, began: float) -> bool:
        size = 0
        path = self.directory / name
        with path.open("wb") as file:
            while message is not None:
                if not isinstance(message, scripting.Upload):
                    raise _Stop(f"{type(message).__name__} in the middle of an upload")
                if not message.data:
                    self.say(f"Upload completed ({path}: {_rate(size, time.monotonic() - began)})")
                    return True
                size += len(message.data)
                if self.settings.max_disk and size > self.settings.max_disk:
                    raise _Stop(f"the upload has more than {self.settings.max_disk} bytes")
                file.write(message.data)
                self._dot(file)
                message = await self.receive(self.settings.transmit_timeout)
        return False

    def _dot(self, file: IO[bytes]) -> None:
        if self.settings.verbose:
            sys.stderr.write(".")
            sys.stderr.flush()

    async def _take_environment(self) -> None:
        """Check what was uploaded; keep it for others under the hash that it really has. _Stop."""
        path = self.directory / ENVIRONMENT
        digest = await asyncio.to_thread(sha1_of, path)
        self.say(f"Got environment {digest.hex()}")
        process = await self._spawn("check-environment", ENVIRONMENT)
        if await process.wait() != 0:
            raise _Stop("the environment was refused")
        try:
            stored = await asyncio.to_thread(self.cache.store, path, digest)
        except OSError as error:
            self.say(f"Cannot cache environment {digest.hex()}: {_why(error)}")
            return
        if stored:
            self.say(
                f"Caching environment {digest.hex()} => {self.cache.size >> 10} KiB in {len(self.cache)} entries"
            )

    async def _spawn(self, action: str, *arguments: str) -> asyncio.subprocess.Process:
        settings = self.settings
        out = None if settings.show_output else subprocess.DEVNULL
        self.process = await asyncio.create_subprocess_exec(
            *settings.control, action, str(self.directory), *arguments, settings.keyring, settings.trust_db,
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
        return self.process

    # Working

    async def work(self) -> int | None:
        """Run the package; return its exit status, None if the pool user has gone. _Stop."""
        await self.send(scripting.Status(0))
        self.say(f'Starting work in directory "{self.directory}" ...')
        process = await self._spawn("run", INPUT, OUTPUT, STATUS, self.environment)
        _limit(process.pid, self.settings)
        end = asyncio.create_task(process.wait())
        talk = asyncio.create_task(self._talk())
        watch = asyncio.create_task(self._watch())
        tasks: tuple[asyncio.Task[int], asyncio.Task[None], asyncio.Task[str]] = (end, talk, watch)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if end.done():
                return 0 if end.result() == 0 else 1
            if talk.done():
                talk.result()
                return None
            self.say(f"Stopping the work: {watch.result()}")
            await self._kill()
            return 1
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _talk(self) -> None:
        """Keep-alives of both sides; returns when the pool user has gone. _Stop if it does not answer."""
        settings = self.settings
        clock = time.monotonic
        due, waiting = clock(), False  # the first at once
        while True:
            if not waiting and clock() >= due:
                await self.send(scripting.KeepAlive())
                due, waiting = clock() + settings.keep_alive_timeout, True
            try:
                async with asyncio.timeout(max(0.0, due - clock())):
                    message = await self.receive(None)
            except TimeoutError:
                if waiting:
                    raise _Stop("no answer to a keep-alive") from None
                continue
            if message is None:
                return
            if isinstance(message, scripting.KeepAlive):
                await self.send(scripting.KeepAliveAck(0))
            elif isinstance(message, scripting.KeepAliveAck):
                if waiting:
                    due, waiting = clock() + settings.keep_alive_interval, False
            else:
                raise _Stop(f"{type(message).__name__} while working")

    async def _watch(self) -> str:
        """Return which limit was reached, if one is."""
        settings = self.settings
        began = time.monotonic()
        while True:
            await asyncio.sleep(WATCH)
            if settings.max_time and time.monotonic() - began > settings.max_time:
                return f"it takes more than {settings.max_time:g} s"
            if settings.max_disk:
                size = await asyncio.to_thread(scripting_work.used, self.directory)
                if size > settings.max_disk:
                    return f"its directory has more than {settings.max_disk} bytes"

    async def _kill(self) -> None:
        if self.process is not None:
            await asyncio.to_thread(scripting_work.kill, self.directory, self.process.pid)
            await self.process.wait()

    # Download

    async def download(self, status: int) -> None:
        """Send the results. _Stop if there are none of a package that was well."""
        await self.send(scripting.Status(status))
        began = time.monotonic()
        try:
            file = (self.directory / OUTPUT).open("rb")
        except OSError:
            if status == 0:
                raise _Stop("the package has left no output") from None
            await self.send(scripting.Download())
            return
        size = 0
        with file:
            while block := file.read(scripting.MAX_DATA):
                await self.send(scripting.Download(block))
                size += len(block)
                self._dot(file)
        await self.send(scripting.Download())
        self.say(f"Download completed ({_rate(size, time.monotonic() - began)})")

    def clear(self) -> None:
        """End all processes and remove the directory."""
        running = self.process is not None and self.process.returncode is None
        leader = self.process.pid if self.process is not None and running else 0
        scripting_work.cleanup(self.directory, leader, self.settings.keep_directories)


def _rate(size: int, seconds: float) -> str:
    return f"{(size + 1023) >> 10} KiB in {seconds:.1f} s; {size / 1024 / max(seconds, 1e-6):.1f} KiB/s"


def _limit(process: int, settings: Settings) -> None:
    """Set the limits of a process and of all that it will start (Linux)."""
    import resource

    prlimit = getattr(resource, "prlimit", None)
    if prlimit is None:
        return
    limits = [(resource.RLIMIT_CORE, 0)]
    if settings.max_disk:
        limits.append((resource.RLIMIT_FSIZE, settings.max_disk))
    if settings.max_memory:
        limits.append((resource.RLIMIT_AS, settings.max_memory))
    for kind, value in limits:
        try:
            prlimit(process, kind, (value, value))
        except (ProcessLookupError, PermissionError, ValueError):
            continue


async def serve(session: PeerSession, settings: Settings, cache: Cache, say: Callable[[str], None]) -> None:
    """Serve one session to its end. ``say`` gets lines for people. OSError if a user that is refused has gone."""
    try:
        job = _Job(session, settings, cache, say)
    except OSError as error:
        say(f"S{session.id:04d}: Sending the user away: {_why(error)}")
        await refuse(session, scripting.OUT_OF_RESOURCES)
        return
    try:
        await _serve(job)
    except _Gone:
        job.say("The user has gone")
    except (_Stop, OSError) as stop:
        job.say(f"Aborting session: {_why(stop) if isinstance(stop, OSError) else stop}")
        session.abort(b"session failed")
    finally:
        # Before the association ends: the pool user must not come back before its processes have gone. In a
        # thread, for there may be much to remove.
        await asyncio.to_thread(job.clear)


async def _serve(job: _Job) -> None:
    """Upload, working, download. _Stop, _Gone, OSError."""
    await job.send(scripting.Ready(socket.gethostname()))
    if not await job.upload():
        raise _Gone
    began = time.monotonic()
    status = await job.work()
    if status is None:
        raise _Gone
    words = "completed" if status == 0 else "failed"
    job.say(f"Processing {words} ({time.monotonic() - began:.1f} s) => starting download of results")
    await job.download(status)


def _why(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror or str(error)


async def refuse(session: PeerSession, reason: int = scripting.FULLY_LOADED) -> None:
    """Tell a pool user that there is no room. OSError."""
    message = scripting.NotReady(reason, socket.gethostname())
    await session.send(scripting.encode(message), ppid=scripting.PPID)


def open_cache(directory: str, max_size: int, max_entries: int) -> tuple[Cache, bool]:
    """Return the cache and whether its directory is a temporary one. OSError."""
    if directory:
        return Cache(Path(directory), max_size, max_entries), False
    return Cache(Path(tempfile.mkdtemp(prefix="rspSS-EnvironmentCache-")), max_size, max_entries), True


def close_cache(cache: Cache, temporary: bool) -> None:
    """Remove a temporary cache."""
    if temporary:
        shutil.rmtree(cache.directory, ignore_errors=True)
