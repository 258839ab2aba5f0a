"""Programs at the stages of their lives, to be ended there by signals.

A scene is a generator: it starts programs and yields when they are at their stages, then ends them one after the
other. So all scenes can begin at the same time, and what is measured is not the start of others.
"""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import tarfile
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import pytest

from .helpers import ROOT, free_udp_ports, wait_until
from .pictures import TRANSPORT
from .programs import ours
from .world import INT, PLAIN, QUICK, Late, World

STARTS, ENDS = 6, 3  # scenes at a time
GOLDEN = ROOT / "tests" / "golden"
NAMELESS = (*PLAIN, "hsdump", "rspregistrar")  # have no -poolhandle

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
        request = ready.replace("HANDLE", handle) + r" of (\d+)"
        # A program without a handle that is played again has left some.
        earlier = len(world.silent.matches(request))
        one = world.start(program, *place, *named, *chosen, terminal=terminal, **more)
        if where == "mute":
            found = world.silent.expect(request, 60, earlier + 1)
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
            mine = world.directory(service)
            handle = mine.name
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
    mine = world.directory("upload")
    handle = mine.name
    server = world.server("scripting", handle)
    big = mine / "big"
    with big.open("wb") as file:
        file.truncate(200_000_000)
    files = (f"-input={big}", f"-output={mine}/out")
    client = world.start("scriptingclient", f"-poolhandle={handle}", *files, *world.pool, terminal=True)
    client.expect("is ready!", 60)
    server.send_signal(signal.SIGSTOP)
    wait_until(lambda: "upload" in client.output, 30)
    yield
    world.end(client, "scriptingclient uploading", within=QUICKLY)
    assert [x.name for x in mine.iterdir()] == ["big"]
    server.send_signal(signal.SIGCONT)
    server.expect("SESSION_REMOVE", 5)  # it was told
    world.end(server, "rspserver -scripting after an upload")


def downloading(world: World) -> Scene:
    """A scripting client whose server stops in the middle of the results."""
    mine = world.directory("download")
    handle = mine.name
    server = world.server("scripting", handle)
    work, out = mine / "work.tar", mine / "results"
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
    directory = world.directory("control")
    (directory / "input.data").write_bytes(package())
    one = world.start("scriptingcontrol", "run", str(directory), "input.data", "output.data", "status.txt")
    one.expect("Skipping verification", 60)
    wait_until((directory / "ssrun").exists, 20)
    yield
    world.end(one, "scriptingcontrol running a package", status=-INT)


def example(world: World) -> Scene:
    """The example while its package is on its way."""
    directory = world.directory("example")
    handle = directory.name
    server = world.server("scripting", handle)
    words = ours("scriptingserviceexample", "5", TRANSPORT, *world.pool, f"-poolhandle={handle}")
    one = world.run(words, cwd=directory, env={"PYTHONPATH": str(ROOT)})
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
    directory = world.directory("filled")
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
    pipe = world.directory("summary") / "pipe"
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
    mine = world.directory("fractal")
    handle = mine.name
    server = world.server("fractal", handle)
    size = ("-width=4000", "-height=3000", "-threads=2")
    image = mine / "half.png"
    one = world.start(
        "fractalpooluser", *WINDOW, f"-png={image}", f"-poolhandle={handle}", *size, *world.pool, env=OFFSCREEN
    )
    server.expect("SESSION_ADD", 60, count=2)
    yield
    world.end(one, "fractalpooluser window drawing")
    assert list(mine.iterdir()) == []
    server.expect("SESSION_REMOVE", 5, count=2)
    world.end(server, "rspserver -fractal after a window", seen=world.deregistered(handle))


def finished_window(world: World) -> Scene:
    """fractalpooluser whose image is complete."""
    mine = world.directory("fractal")
    handle = mine.name
    server = world.server("fractal", handle)
    size = ("-width=100", "-height=80", "-interimagetime=600")
    prefix = f"-imagestorageprefix={mine}/window-"
    one = world.start(
        "fractalpooluser", *WINDOW, prefix, f"-poolhandle={handle}", *size, *world.pool, env=OFFSCREEN
    )
    image = mine / "window-000001.png"
    wait_until(image.exists, 60)
    yield
    world.end(one, "fractalpooluser window with its image")
    assert image.read_bytes()[-8:-4] == b"IEND"
    assert [p.name for p in mine.iterdir()] == [image.name]
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
    """Bring all programs to their stages, then end them; return how long each end took, in seconds.

    All at a time keep the machine busy. So a scene that was too slow is played again when nothing else runs.
    """
    with World(folder, offset) as world:
        scenes = [(make, make(world)) for make in SCENES]
        failures: list[str] = []
        late: list[Callable[[World], Scene]] = []

        def step(one: tuple[Callable[[World], Scene], Scene]) -> None:
            make, scene = one
            try:
                next(scene, None)
            except (Late, pytest.fail.Exception):
                late.append(make)
            except (AssertionError, OSError) as failure:
                failures.append(str(failure))

        for count, order in (STARTS, scenes), (ENDS, scenes[::-1]):
            with ThreadPoolExecutor(count) as threads:
                list(threads.map(step, order))
        assert not failures, "\n\n".join(failures)
        world.clear()
        for make in late:
            for _ in make(world):
                pass
        world.end(world.registrar, "rspregistrar that was busy")
        return world.times
