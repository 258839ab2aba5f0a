"""Programs at the stages of their lives, to be ended there by signals.

A scene is a generator: it starts programs and yields when they are at their stages, then ends them one after the
other. So all scenes can begin at the same time, and what is measured is not the start of others.
"""

from __future__ import annotations

import fcntl
import io
import itertools
import os
import random
import re
import signal
import struct
import subprocess
import tarfile
import termios
import threading
import time
import zlib
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import pytest

from .helpers import ROOT, free_udp_ports, wait_until
from .pictures import TRANSPORT
from .programs import Running, ours, running

STARTS, ENDS = 6, 3  # scenes at a time
QUICK = (
    "-mentordiscoverytimeout=200",
    "-serverannouncecycle=200",
    "-enrpannounce=off",
    "-endpointkeepalivetimeoutinterval=60000",
)  # nobody is to be removed because the machine is busy
LIMIT, GRACE = 2.0, 1.6  # seconds until a program has ended, and is ended by force
INT, TERM = signal.SIGINT, signal.SIGTERM
PLANS = ((INT,), (TERM,), (INT, INT), (TERM, INT))  # the second signal while the program is already ending
GOLDEN = ROOT / "tests" / "golden"
PLAIN = (
    "cspmonitor",
    "scriptingcontrol",
    "rspdemo",
    "rsptrace",
    "execalarm",
    "exectime",
    "make-test-cache",
    "createsummary",
)  # have no -transport
NAMELESS = (*PLAIN, "hsdump", "rspregistrar")  # and no -poolhandle
BAD = re.compile("Traceback|Exception ignored|was never|Task was destroyed|[A-Z][a-z]+Error:")


@dataclass
class Terminal:
    """The pseudo-terminal of a program."""

    master: int
    before: list[object]


@dataclass
class World:
    """A registrar, one that is silent, and the programs that the scenes start."""

    folder: Path
    offset: int = 0  # which of the plans each end has; four of them are all
    stack: ExitStack = field(default_factory=ExitStack)
    times: dict[str, float] = field(default_factory=dict)
    _terminals: dict[Running, Terminal] = field(default_factory=dict)
    _numbers: itertools.count = field(default_factory=itertools.count)

    def __enter__(self) -> World:
        first = random.randint(20000, 29000)
        self.nobody = ("-asapannounce=239.0.0.50:" + str(first + 1),)
        self.pool = ("-asapannounce=239.0.0.50:" + str(first),)
        self.registrar = self.start("rspregistrar", *self.pool, *QUICK, "-loglevel=4")
        self.silent = self.stack.enter_context(running([*ours("")[:1], "-m", "tests.interop.silent"]))
        self.registrar.expect("ready!", 60)
        self.mute = ("-asapannounce=off", f"-registrar=127.0.0.1:{self.silent.expect('port ([0-9]+)', 60)[1]}")
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()
        for terminal in self._terminals.values():
            os.close(terminal.master)

    def name(self, what: str) -> str:
        """A pool handle of a scene's own."""
        return f"{what}-{next(self._numbers)}"

    def start(self, program: str, *options: str, terminal: bool = False, **more: object) -> Running:
        """Start a program, with ``terminal`` at one."""
        transport = () if program in PLAIN else (TRANSPORT,)
        command = ours(program, *transport, *options)
        if not terminal:
            return self.stack.enter_context(running(command, **more))
        master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
        before = termios.tcgetattr(slave)
        environment = {**os.environ, "TERM": "xterm-256color", "RSERPOOL_TRANSPORT": "", "COLORTERM": "truecolor"}
        popen = subprocess.Popen(
            ["setsid", "--ctty", *command], stdin=slave, stdout=slave, stderr=slave, cwd=ROOT, env=environment
        )
        os.close(slave)
        popen.stdout = _stream(master)
        self.stack.callback(_kill, popen)
        one = Running(popen)
        self._terminals[one] = Terminal(master, before)
        return one

    def end(self, one: Running, what: str, status: int = 0, seen: str = "", within: float = LIMIT) -> None:
        """Send signals and look at how the program ends; ``seen``: what the registrar says then."""
        plan = PLANS[(zlib.crc32(what.encode()) + self.offset) % len(PLANS)]
        terminal = self._terminals.get(one)
        assert one.popen.poll() is None, f"{what}: it has ended by itself\n{one.shown}"
        began = time.monotonic()
        for number in plan:
            if one.popen.poll() is not None:
                break  # the second one comes too late
            if terminal is not None and number == INT:
                os.write(terminal.master, b"\x03")
            else:
                with suppress(ProcessLookupError):
                    os.killpg(one.popen.pid, number)
        words = f"{what} after {', '.join(n.name for n in plan)}"
        try:
            got = one.popen.wait(3 * LIMIT)
        except subprocess.TimeoutExpired:
            pytest.fail(f"{words} still runs:\n{one.shown}")
        took = time.monotonic() - began
        one.finish(5)
        self.times[words] = took
        assert took < within, f"{words}: {took:.2f} s\n{one.shown}"
        assert got == status or (status < 0 and -got in plan), f"{words}: status {got}\n{one.shown}"
        assert not BAD.search(one.output), f"{words}:\n{one.shown}"
        # Late, but orderly, it ends on a busy machine only; nothing is said where the end is forced.
        assert took < GRACE or "Terminated!" in one.output, f"{words}: {took:.2f} s, cut short\n{one.shown}"
        if terminal is not None:
            assert termios.tcgetattr(terminal.master) == terminal.before, words
            text = one.output
            for on, off in (("\x1b[?25h", "\x1b[?25l"), ("\x1b[?1049l", "\x1b[?1049h")):
                assert text.rfind(on) >= text.rfind(off), f"{words}: {text[-2000:]!r}"
        if seen:
            self.registrar.expect(seen, 5)

    def deregistered(self, handle: str) -> str:
        """What the registrar says of an element that left."""
        return rf"Removed {handle}/\$[0-9a-f]{{8}}: deregistered"

    def server(self, service: str, handle: str, *options: str, **more: object) -> Running:
        """Start a server and wait until it is registered."""
        one = self.start(
            "rspserver", f"-{service}", f"-poolhandle={handle}", *self.pool, *TRIALS, *options, **more
        )
        one.expect(r"Identifier\s+= ", 60)
        return one


def _stream(master: int) -> IO[str]:
    """What comes from a terminal, with an end: the terminal's own end is an error, which loses the last words."""
    reader, writer = os.pipe()

    def copy() -> None:
        with open(writer, "wb", buffering=0) as target, suppress(OSError):
            while data := os.read(master, 65536):
                target.write(data)

    threading.Thread(target=copy, daemon=True).start()
    return open(reader, errors="replace", newline="\n")


def _kill(popen: subprocess.Popen[str]) -> None:
    if popen.poll() is None:
        os.killpg(popen.pid, signal.SIGKILL)
        popen.wait()
    if popen.stdout is not None:
        popen.stdout.close()


Scene = Generator[None, None, None]


def alone(program: str, stage: str, where: str, ready: str, *options: str, terminal: bool = False, **more: object):
    """A program that reaches its stage by itself. ``where``: nobody, mute or pool; ``ready``: its line, or that of
    the silent registrar."""

    def scene(world: World) -> Scene:
        handle = world.name(program)
        named = () if program in NAMELESS else (f"-poolhandle={handle}",)
        place = getattr(world, where) if where else ()
        if program == "hsdump":
            place = (place[1].partition("=")[2],)
        chosen = [x.replace("PORT", str(*free_udp_ports(1))) for x in options]
        one = world.start(program, *place, *named, *chosen, terminal=terminal, **more)
        if where == "mute":
            found = world.silent.expect(ready.replace("HANDLE", handle) + r" of (\d+)", 60)
        else:
            one.expect(ready, 60)
        yield
        seen = world.deregistered(handle) if program == "rspserver" and where == "pool" else ""
        words = " ".join([program, *(x for x in options if "=" not in x), stage])
        world.end(one, words, seen=seen)
        if where == "mute":
            world.silent.expect(rf"gone {found[1]}$", 5)

    return scene


def together(service: str, program: str, busy: str, out: str, *options: str, terminal: bool = False, serving=()):
    """A server and its user, each ended once before the other. ``busy``: the user's line in a session; ``out``: in
    a failover."""

    def scenes(server_first: bool) -> Callable[[World], Scene]:
        def scene(world: World) -> Scene:
            handle = world.name(service)
            mine = world.folder / handle
            mine.mkdir()
            place = [x.replace("FOLDER", str(mine)) for x in options]
            server = world.server(service, handle, *(x.replace("FOLDER", str(mine)) for x in serving))
            more = {"terminal": True} if terminal else {"stdin": subprocess.PIPE}
            if service == "scripting":
                (mine / "work.tar").write_bytes(package())
            user = world.start(program, f"-poolhandle={handle}", *world.pool, *place, **more)
            server.expect("SESSION_ADD", 60)
            user.expect(busy, 60)
            yield
            seen = world.deregistered(handle)
            if server_first:
                world.end(server, f"rspserver -{service} in a session", seen=seen)
                user.expect(out, 10)
                world.end(user, f"{program} failing over")
            else:
                world.end(user, f"{program} in a session")
                server.expect("SESSION_REMOVE", 10)
                world.end(server, f"rspserver -{service} after a session", seen=seen)
            if service == "scripting":
                assert [x.name for x in mine.iterdir()] == ["work.tar"]

        return scene

    return scenes(True), scenes(False)


def package(command: str = "sleep 77") -> bytes:
    """A work package; by default one that takes long."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        content = f"#!/bin/sh\n{command}\n".encode()
        member = tarfile.TarInfo("ssrun")
        member.size, member.mode = len(content), 0o755
        archive.addfile(member, io.BytesIO(content))
    return data.getvalue()


def uploading(world: World) -> Scene:
    """A scripting client whose server has stopped to take its file; its progress bar is on the terminal."""
    handle = world.name("upload")
    server = world.server("scripting", handle)
    big = world.folder / "big"
    with big.open("wb") as file:
        file.truncate(200_000_000)
    files = (f"-input={big}", f"-output={world.folder}/out")
    client = world.start("scriptingclient", f"-poolhandle={handle}", *files, *world.pool, terminal=True)
    client.expect("is ready!", 60)
    server.send_signal(signal.SIGSTOP)
    wait_until(lambda: "upload" in client.output, 30)
    yield
    world.end(client, "scriptingclient uploading", within=QUICKLY)
    assert not list(world.folder.glob("out*"))
    server.send_signal(signal.SIGCONT)
    server.expect("SESSION_REMOVE", 5)  # it was told
    world.end(server, "rspserver -scripting after an upload")


def downloading(world: World) -> Scene:
    """A scripting client whose server stops in the middle of the results."""
    handle = world.name("download")
    server = world.server("scripting", handle)
    work, out = world.folder / "download.tar", world.folder / "results"
    work.write_bytes(package("head -c 900000000 /dev/zero > $1"))
    files = (f"-input={work}", f"-output={out}")
    client = world.start("scriptingclient", f"-poolhandle={handle}", *files, *world.pool, terminal=True)
    draft = out.with_name("results.part")
    wait_until(lambda: draft.exists() and draft.stat().st_size > 0, 60)
    server.send_signal(signal.SIGSTOP)
    yield
    world.end(client, "scriptingclient downloading", within=QUICKLY)
    assert not draft.exists()
    assert not out.exists()
    server.send_signal(signal.SIGCONT)
    server.expect("SESSION_REMOVE", 5)
    world.end(server, "rspserver -scripting after a download", seen=world.deregistered(handle))


def controlling(world: World) -> Scene:
    """scriptingcontrol, which runs a package by itself."""
    directory = world.folder / "control"
    directory.mkdir()
    (directory / "input.data").write_bytes(package())
    one = world.start("scriptingcontrol", "run", str(directory), "input.data", "output.data", "status.txt")
    one.expect("Skipping verification", 60)
    wait_until((directory / "ssrun").exists, 20)
    yield
    world.end(one, "scriptingcontrol running a package", status=-INT)


def example(world: World) -> Scene:
    """The example while its package is on its way."""
    handle = world.name("example")
    server = world.server("scripting", handle)
    directory = world.folder / "example"
    directory.mkdir()
    words = ours("scriptingserviceexample", "5", TRANSPORT, *world.pool, f"-poolhandle={handle}")
    one = world.stack.enter_context(running(words, cwd=directory, env={"PYTHONPATH": str(ROOT)}))
    one.expect("is processing", 60)
    server.send_signal(signal.SIGSTOP)  # so that it goes on
    yield
    world.end(one, "scriptingserviceexample distributing", status=1, within=QUICKLY)
    assert list(directory.iterdir()) == []
    server.send_signal(signal.SIGCONT)
    server.expect("SESSION_REMOVE", 5)
    world.end(server, "rspserver -scripting after the example")  # its client may have reported it meanwhile


def testing(world: World) -> Scene:
    """testregistrator with two elements."""
    handle = world.name("test")
    one = world.start("testregistrator", f"-poolhandle={handle}", "-poolelements=2", *world.pool)
    world.registrar.expect(f"Registered {handle}-0001", 60, count=2)
    yield
    world.end(one, "testregistrator registered", seen=world.deregistered(f"{handle}-0001"))


def alarming(world: World) -> Scene:
    """execalarm, whose command is in a session of its own."""
    nap = f"{random.randint(10**6, 10**7)}.25"
    one = world.start("execalarm", "600", f"echo begun; sleep {nap}")
    one.expect("begun", 60)
    yield
    world.end(one, "execalarm waiting", status=130)
    _no_process(nap)


def timing(world: World) -> Scene:
    """exectime, one of whose commands ends by nothing but SIGKILL."""
    nap = f"{random.randint(10**6, 10**7)}.25"
    one = world.start("exectime", f"trap '' TERM INT; echo begun; sleep {nap}; true", "one", "two")
    one.expect("begun", 60, count=2)
    yield
    world.end(one, "exectime waiting", status=130)
    _no_process(nap)


def _no_process(argument: str) -> None:
    """No process has such an argument."""
    assert not [p for p in Path("/proc").glob("[0-9]*/cmdline") if argument.encode() in _content(p)]


def filling(world: World) -> Scene:
    """make-test-cache within a file."""
    directory = world.folder / "filled"
    one = world.start("make-test-cache", f"-directory={directory}", f"-size={1 << 38}")
    one.expect("Creating entry 1", 60)
    draft = directory / "input.part"
    wait_until(lambda: draft.exists() and draft.stat().st_size > 0, 20)
    one.send_signal(signal.SIGSTOP)  # not to fill the disk
    yield
    one.send_signal(signal.SIGCONT)
    world.end(one, "make-test-cache filling", status=130)
    assert list(directory.iterdir()) == []


def summarising(world: World) -> Scene:
    """createsummary, one of whose files is not yet there."""
    pipe = world.folder / "pipe"
    os.mkfifo(pipe)
    one = world.start("createsummary", str(pipe))
    writer = os.open(pipe, os.O_WRONLY)  # waits for the reader
    yield
    world.end(one, "createsummary reading", status=-INT)
    os.close(writer)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def registering_registrar(world: World) -> Scene:
    """A registrar that has an element."""
    group = f"-asapannounce=239.0.0.50:{random.randint(10000, 19999)}"
    one = world.start("rspregistrar", group, *QUICK)
    server = world.start("rspserver", "-echo", group)
    server.expect(r"Identifier\s+= ", 60)
    yield
    world.end(one, "rspregistrar with an element")
    world.end(server, "rspserver -echo without its registrar")


def deserted_registrar(world: World) -> Scene:
    """A registrar whose element is silent: it waits for the element's part of the end, but not until it is cut."""
    group = f"-asapannounce=239.0.0.50:{random.randint(10000, 19999)}"
    one = world.start("rspregistrar", group, *QUICK)
    server = world.start("rspserver", "-echo", group, "-loglevel=6")
    server.expect(r"Identifier\s+= ", 60)
    server.send_signal(signal.SIGSTOP)
    yield
    world.end(one, "rspregistrar with an element that is silent")
    server.send_signal(signal.SIGCONT)
    server.expect("Connection refused", 5)  # it looks for one again
    world.end(server, "rspserver -echo that its registrar has left")


def loading_window(world: World) -> Scene:
    """fractalpooluser while Qt is loaded."""
    one = world.start("fractalpooluser", *WINDOW, *world.nobody, env=OFFSCREEN)
    maps = Path(f"/proc/{one.popen.pid}/maps")
    wait_until(lambda: b"libQt6Widgets" in _content(maps), 60)
    one.send_signal(signal.SIGSTOP)
    yield
    one.send_signal(signal.SIGCONT)
    world.end(one, "fractalpooluser window starting", status=-INT)


def drawing_window(world: World) -> Scene:
    """fractalpooluser in the middle of an image, for whose next parts its servers are too slow."""
    handle = world.name("fractal")
    server = world.server("fractal", handle)
    size = ("-width=4000", "-height=3000", "-threads=2")
    image = world.folder / "half.png"
    one = world.start(
        "fractalpooluser", *WINDOW, f"-png={image}", f"-poolhandle={handle}", *size, *world.pool, env=OFFSCREEN
    )
    server.expect("SESSION_ADD", 60, count=2)
    yield
    world.end(one, "fractalpooluser window drawing")
    assert not list(world.folder.glob("half*"))
    server.expect("SESSION_REMOVE", 5, count=2)
    world.end(server, "rspserver -fractal after a window", seen=world.deregistered(handle))


def finished_window(world: World) -> Scene:
    """fractalpooluser whose image is complete."""
    handle = world.name("fractal")
    server = world.server("fractal", handle)
    size = ("-width=100", "-height=80", "-interimagetime=600")
    prefix = f"-imagestorageprefix={world.folder}/window-"
    one = world.start(
        "fractalpooluser", *WINDOW, prefix, f"-poolhandle={handle}", *size, *world.pool, env=OFFSCREEN
    )
    image = world.folder / "window-000001.png"
    wait_until(image.exists, 60)
    yield
    world.end(one, "fractalpooluser window with its image")
    assert image.read_bytes()[-8:-4] == b"IEND"
    assert [p.name for p in world.folder.glob("window-*")] == [image.name]
    world.end(server, "rspserver -fractal after an image", seen=world.deregistered(handle))


def windows() -> Sequence[Callable[[World], Scene]]:
    """fractalpooluser with its window; none where there is no Qt."""
    if find_spec("PySide6") is None:
        return ()
    name = "fractalpooluser"
    return (
        loading_window,
        drawing_window,
        finished_window,
        alone(name, "window before a registrar is found", "nobody", "Transport", *WINDOW, env=OFFSCREEN),
        alone(name, "window resolving", "mute", "HandleResolution HANDLE", *WINDOW, *PATIENT, env=OFFSCREEN),
        alone(name, "window without a server", "pool", "is not known", *WINDOW, "-loglevel=5", env=OFFSCREEN),
    )


WINDOW = ("-display=window",)
OFFSCREEN = {"QT_QPA_PLATFORM": "offscreen"}
QUICKLY = 1.0  # seconds: nobody is waited for
TRIALS = ("-registrarrequestmaxtrials=5",)  # many programs begin at a time
PATIENT = ("-registrarconnecttimeout=600000", "-registrarresponsetimeout=600000")
FRACTAL = ("-threads=2", "-configdir=FOLDER", "-width=2000")
JOBS = ("-jobinterval=0.2", "-jobsize=100000000", "-vector=FOLDER/pu.vec", "-scalar=FOLDER/pu.sca",
        "-keepalivetransmissioninterval=1000", "-keepalivetimeoutinterval=60000")  # fmt: skip
WORK = ("-input=FOLDER/work.tar", "-output=FOLDER/out", "-retrydelay=5000")

SCENES: Sequence[Callable[[World], Scene]] = (
    *together("pingpong", "pingpongclient", "Ack #2", "FAILOVER", "-interval=50"),
    *together("echo", "rspterminal", "RSerPool Terminal", "FAILOVER", terminal=True),
    *together("calcapp", "calcappclient", "(?i)accepted", "(?i)failover|keep-alive", *JOBS,
              serving=("-capvector=FOLDER/pe.vec", "-capscalar=FOLDER/pe.sca")),
    *together("scripting", "scriptingclient", "is processing", "FAILOVER", *WORK),
    uploading,
    downloading,
    controlling,
    example,
    registering_registrar,
    deserted_registrar,
    testing,
    alarming,
    timing,
    filling,
    summarising,
    alone("hrestest", "resolving", "pool", r"\d", "-statsinterval=100", "-pause=10"),
    alone("attacker", "registering", "pool", "successful", "-interval=0.5"),
    alone("rsptrace", "following", "", "ASAP_REGISTRATION", str(GOLDEN / "01-asap-basic.pcap"), "-follow"),
    alone("rspserver", "before a registrar is found", "nobody", "Weight DPF", "-echo", *PATIENT),
    alone("rspserver", "before a registrar is found", "nobody", "Max Memory", "-scripting", *PATIENT),
    alone("pingpongclient", "before a registrar is found", "nobody", "Transport"),
    alone("rspterminal", "before a registrar is found", "nobody", "Transport", terminal=True),
    alone("calcappclient", "before a registrar is found", "nobody", "Runtime",
          "-vector=/dev/null", "-scalar=/dev/null"),
    alone("fractalpooluser", "before a registrar is found", "nobody", r"failovers: 0", terminal=True),
    *windows(),
    alone("scriptingclient", "before a registrar is found", "nobody", "Connecting", "-input=/dev/null",
          "-output=/dev/null"),
    alone("rspserver", "registering", "mute", "Registration HANDLE", "-echo", *PATIENT),
    alone("pingpongclient", "resolving", "mute", "HandleResolution HANDLE", *PATIENT),
    alone("hsdump", "waiting for the answer", "mute", "Presence ", "-timeout=600000"),
    alone("rspserver", "registered", "pool", r"Identifier\s+= ", "-discard"),
    alone("rspserver", "registered", "pool", r"Identifier\s+= ", "-daytime"),
    alone("pingpongclient", "without a server", "pool", "no pool element"),
    alone("rspregistrar", "looking for a mentor", "nobody", "Server ID"),
    alone("cspmonitor", "with nobody", "", "Component Status", "-localaddress=127.0.0.1:PORT", "-plain"),
    alone("cspmonitor", "at a terminal", "", "Nobody reports", "-localaddress=127.0.0.1:PORT", terminal=True),
    # The last ones to begin and the first to end, since they never rest.
    alone("rspdemo", "playing", "", "in use|replies", "-scenario=pingpong", terminal=True),
    together("chargen", "rspterminal", "from PE", "FAILOVER")[0],
    together("fractal", "fractalpooluser", "Image 1: ", "failover", *FRACTAL, "-plain")[0],
    together("fractal", "fractalpooluser", r"failovers: 0", "failover", *FRACTAL, terminal=True)[1],
)  # fmt: skip


def play(folder: Path, offset: int) -> dict[str, float]:
    """Bring all programs to their stages, then end them; return how long each end took, in seconds."""
    with World(folder, offset) as world:
        scenes = [make(world) for make in SCENES]
        failures: list[str] = []

        def step(scene: Scene) -> None:
            try:
                next(scene, None)
            except (AssertionError, pytest.fail.Exception, OSError) as failure:
                failures.append(str(failure))

        for count, order in (STARTS, scenes), (ENDS, scenes[::-1]):
            with ThreadPoolExecutor(count) as threads:
                list(threads.map(step, order))
        assert not failures, "\n\n".join(failures)
        world.end(world.registrar, "rspregistrar that was busy")
        return world.times
