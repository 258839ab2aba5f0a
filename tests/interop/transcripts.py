"""What our programs print in the scenarios in which RSPLIB's programs were recorded, line by line beside theirs.

``python -m tests.interop.transcripts`` records ours next to theirs (tests/golden/transcripts, ``*.ours.txt``).
Lines are compared by their shape: times, identifiers and numbers are blotted out, logs left out.
"""

from __future__ import annotations

import io
import random
import re
import signal
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from .pictures import TRANSPORT
from .programs import Running, ours, running

GOLDEN = Path(__file__).parents[1] / "golden" / "transcripts"
STAMP = r"\d\d-\w{3}-\d{4} \d\d:\d\d:\d\d\.\d{4}: "
LOGGED = re.compile(rf"{STAMP}P\d+\.")  # where a log line comes from; what it says is in the next line
IDENTIFIER = r"Identifier\s+= "
FAIL = b"#!/bin/sh\nexit 1\n"

# Lines of the originals that ours lack, by transcript, and why.
_ONE_EVENT = ("T NOTIFICATION: RSERPOOL_SHUTDOWN_EVENT for session #",)  # ours is one event
LACKING = {
    "01-asap-basic/pe-echo": _ONE_EVENT,
    "02-services/pe-discard": _ONE_EVENT,
    "06-pingpong-failover/pe1": (  # ours has tasks, and tells the session
        "T New thread for RSerPool socket #.",
        "T Failure Tester on RSerPool socket # -> Disconnecting after # replies!",
        "T Thread for RSerPool socket # has been stopped.",
    ),
    "07-fractal/fractalpooluser": (  # other places
        "Config Directory     = /usr/share/fgpconfig",
        "Image Storage Prefix = /tmp/img/img",
    ),
    "08-calcapp/pe1": ("Vector File Name        = OUT", "Scalar File Name        = OUT", *_ONE_EVENT),
    "08-calcapp/calcappclient": ("Vector File             = OUT", "Scalar File             = OUT"),
    "09-scripting/example-env-1": (  # the words of the shell's tools; and our environment file is there already
        '+ Changing to directory "./ssTEMP-#" ...',
        "#+# records in",
        "#+# records out",
        "# bytes (# kB, # KiB) copied, # s, # kB/s",
        '+ Creating environment file "env.data" ...',
        "# bytes (# kB, # KiB) copied, # s, # MB/s",
    ),
    "09-scripting/fail": (  # there, two lines are one, and what should be the last trial is not
        "Trying to download the results file for debugging ...T Notification: RSERPOOL_FAILOVER for session #, "
        "state=RSERPOOL_FAILOVER_NECESSARY, cookie=no",
        "T FAILOVER ...",
    ),
}


def shapes(text: str) -> list[str]:
    """The shapes of a transcript's lines, each once, in the order of their first coming."""
    return list(dict.fromkeys(_shapes(text.splitlines())))


def _shapes(lines: list[str]) -> Iterator[str]:
    logged = False
    for raw in lines:
        line = re.sub(r"\x1b\[[0-9;]*m", "", raw)
        if logged:
            logged = False
            continue
        logged = bool(LOGGED.match(line))
        # Commands, notes of the recording, and the middle of log entries with several lines.
        if logged or re.match(r"\$ |# |     \S", line):
            continue
        line = re.sub(STAMP, "T ", line.strip())
        line = re.sub(r"\$[0-9a-f]{8}", "$ID", line)
        line = re.sub(
            r"@\w+\]|Server \w+ (is|needs|has)", lambda m: "@H]" if m[0][0] == "@" else f"Server H {m[1]}", line
        )
        line = re.sub(r"\w+day, \d+-\w+-\d{4} [\d:.]+", "DATE", line)
        line = re.sub(r"\w{3} \w{3} +\d+ [\d:]+ \w+ \d{4}", "DATE", line)
        line = re.sub(r"[0-9a-f]{40}", "SHA1", line)
        line = re.sub(r"(?<![\w.])[-+]?\d+(\.\d+)?(e[-+]\d+)?", "#", line)
        line = re.sub(r"(?<=-)\d+|(?<=#)\d+", "#", line)
        if line:
            yield line


class Scene:
    """Programs of one scenario, with a registrar of their own."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.stack = stack
        self.folder = folder
        self.said: dict[str, Running] = {}
        self.common = (TRANSPORT, f"-asapannounce=239.0.0.50:{random.randint(20000, 29999)}")
        registrar = self.start("", "rspregistrar", "-mentordiscoverytimeout=200", "-serverannouncecycle=200",
                               "-enrpannounce=off")  # fmt: skip
        registrar.expect("Server ID:", 30)

    def start(self, name: str, program: str, *options: str, say: str = "", **more: object) -> Running:
        """Start a program; ``name``: that of its transcript."""
        command = ours(program, *options, *self.common)
        if say:
            command = ["sh", "-c", f'({say}) | "$@"', "sh", *command]
        one = self.stack.enter_context(running(command, cwd=self.folder, env={"TMPDIR": "/tmp"}, **more))
        if name:
            self.said[name] = one
        return one

    def server(self, name: str, *options: str) -> Running:
        """Start a server."""
        one = self.start(name, "rspserver", *options)
        one.expect(IDENTIFIER, 30)
        return one


def simple(scene: Scene) -> None:
    """01 and 02: echo, discard, daytime."""
    say = "for i in 1 2 3; do echo Hello $i; done; sleep 30"
    scene.server("01-asap-basic/pe-echo", "-echo")
    scene.server("02-services/pe-discard", "-discard")
    scene.server("02-services/pe-daytime", "-daytime")
    terminal = scene.start("01-asap-basic/rspterminal", "rspterminal", say=say)
    discarded = scene.start("02-services/rspterminal-discard", "rspterminal", "-poolhandle=DiscardPool", say=say)
    daytime = scene.start(
        "02-services/rspterminal-daytime", "rspterminal", "-poolhandle=DaytimePool", say="sleep 30"
    )
    terminal.expect("Hello 3", 30)
    daytime.expect("from PE", 30, count=2)
    scene.said["02-services/pe-discard"].expect("Discard", 30)
    for one in terminal, discarded, daytime:
        one.end(signal.SIGINT)
    scene.said["02-services/pe-discard"].expect("REMOVE", 10)


def ping_pong(scene: Scene) -> None:
    """06: servers that fail after five replies."""
    servers = [scene.server(name, "-pingpong", "-pppfailureafter=5") for name in ("06-pingpong-failover/pe1", "")]
    client = scene.start("06-pingpong-failover/pingpongclient", "pingpongclient", "-interval=50")
    client.expect(r"Ack #12", 30)
    servers[0].expect("Failure Tester", 10)
    client.end(signal.SIGINT)


def fractal(scene: Scene) -> None:
    """07: two sessions."""
    options = ("-fgpfailureafter=40", "-fgpcookiemaxpackets=10", "-fgpcookiemaxtime=500")
    scene.server("07-fractal/pe1", "-fractal", *options)
    wanted = ("-width=160", "-height=120", "-threads=2", "-interimagetime=1", "-recvtimeout=4000")
    scene.start("07-fractal/fractalpooluser", "fractalpooluser", *wanted, "-plain", "-images=1").popen.wait(60)


def calcapp(scene: Scene) -> None:
    """08: a few jobs."""
    server = ("-capcookiemaxtime=1", "-capcookiemaxcalculations=1000000", "-capmaxjobs=2")
    scene.server("08-calcapp/pe1", "-calcapp", *server, "-capvector=pe.vec", "-capscalar=pe.sca")
    client = scene.start("08-calcapp/calcappclient", "calcappclient", "-jobinterval=0.2", "-jobsize=30000",
                         "-vector=pu.vec", "-scalar=pu.sca")  # fmt: skip
    client.expect("completed", 30, count=2)
    client.end(signal.SIGINT)


def scripting(scene: Scene) -> None:
    """09: a package with environment, one that fails."""
    scene.server("09-scripting/pe1", "-scripting", "-ssmaxthreads=1")
    (scene.folder / "env.data").write_bytes(bytes(50_000))
    words = ("2001", "env.data", "-retrydelay=200")
    scene.start("09-scripting/example-env-1", "scriptingserviceexample", *words).popen.wait(60)
    with tarfile.open(scene.folder / "fail.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("ssrun")
        member.size, member.mode = len(FAIL), 0o755
        archive.addfile(member, io.BytesIO(FAIL))
    failing = ("-input=fail.tar.gz", "-output=fail-out", "-maxretry=1", "-retrydelay=500")
    scene.start("09-scripting/fail", "scriptingclient", *failing).popen.wait(60)


def _played(scenario: Callable[[Scene], None]) -> dict[str, str]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        scene = Scene(stack, folder)
        scenario(scene)
        for one in scene.said.values():
            if one.popen.poll() is None:
                one.end(signal.SIGINT)
            one.finish(5)
        return {name: one.output + "\n" for name, one in scene.said.items()}


def play() -> dict[str, str]:
    """Play all scenarios; return what each program printed."""
    with ThreadPoolExecutor(3) as threads:
        found = threads.map(_played, (simple, ping_pong, fractal, calcapp, scripting))
        return {name: text for said in found for name, text in said.items()}


def lacking(name: str, text: str) -> list[str]:
    """The shapes of the original's lines that ``text`` lacks."""
    mine = set(shapes(text))
    theirs = shapes((GOLDEN / f"{name}.txt").read_text(errors="replace"))
    return [shape for shape in theirs if shape not in mine]


if __name__ == "__main__":
    for name, text in play().items():
        (GOLDEN / f"{name}.ours.txt").write_text(text)
        print(name, *lacking(name, text), sep="\n    ")
