"""The matrix: every role by the original RSPLIB program or ours, in all sensible mixtures.

    python -m tests.interop.matrix [--transport kernel|userland] [--only WORD]... [--list]

Runs inside the lab's guest, where the originals find the SCTP that they need; elsewhere it starts itself there.
Prints one line for each mixture and a table in the end; the status is the number of failures. Everything waits
for conditions, with deadlines. O stands for the original, P for ours (Python).
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

ORIGINAL, OURS = "O", "P"
# Short timers, the same for both: a takeover then takes seconds.
TIMERS = [
    "-serverannouncecycle=500",
    "-mentordiscoverytimeout=2000",
    "-peerheartbeatcycle=1000",
    "-peermaxtimelastheard=2500",
    "-peermaxtimenoresponse=1500",
    "-takeoverexpiryinterval=3000",
    "-endpointkeepalivetransmissioninterval=1500",
    "-endpointkeepalivetimeoutinterval=1500",
]
PATIENCE = 40.0  # seconds that anything may take
MATRIX_TIME = 3600  # seconds that all of it may take
Transport = "kernel"


class Failure(Exception):
    """What was expected did not happen."""


class Program:
    """A running program, with everything that it has said."""

    def __init__(self, name: str, command: list[str], stdin: bool = False) -> None:
        self.name = name
        self.lines: list[str] = []
        self.changed = threading.Condition()
        self.ended = False
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            bufsize=1,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self.changed:
                self.lines.append(re.sub(r"\x1b\[[0-9;]*m", "", line.rstrip("\n")))
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def expect(self, pattern: str, timeout: float = PATIENCE, start: int = 0) -> re.Match[str]:
        """Wait for a line, from number ``start`` on."""
        deadline = time.monotonic() + timeout
        with self.changed:
            while True:
                for line in self.lines[start:]:
                    found = re.search(pattern, line)
                    if found:
                        return found
                start = len(self.lines)
                if self.ended or not self.changed.wait(deadline - time.monotonic()):
                    tail = "\n      ".join(self.lines[-12:])
                    raise Failure(f"{self.name} never said {pattern!r}:\n      {tail}")

    def say(self, line: str) -> None:
        """Type a line."""
        assert self.process.stdin is not None
        with suppress(OSError):
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()

    def kill(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def end(self, number: int = signal.SIGINT) -> int:
        """End it; its status."""
        if self.process.poll() is None:
            self.kill(signal.SIGCONT)
            self.kill(number)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()


WITHOUT_TRANSPORT = ("cspmonitor",)


def ours(program: str, *options: str) -> list[str]:
    """The command line of one of our programs."""
    code = f"import sys; from rserpool_apps.{program} import main; sys.exit(main(sys.argv[1:]))"
    transport = [] if program in WITHOUT_TRANSPORT else [f"--transport={Transport}"]
    return [sys.executable, "-c", code, *transport, *options]


def original(program: str, *options: str) -> list[str]:
    """The command line of an original program; its output shall not wait in a buffer."""
    return ["stdbuf", "-oL", program, *options]


def command(who: str, program: str, *options: str) -> list[str]:
    """The command line of a program by the original's or our hand."""
    return original(program, *options) if who == ORIGINAL else ours(program, *options)


@dataclass
class Registrar:
    """A running registrar and where it is."""

    program: Program
    identifier: int
    port: int


class Stage:
    """The programs of one mixture; all are ended with it."""

    def __init__(self) -> None:
        self.programs: list[Program] = []

    def start(self, name: str, line: list[str], stdin: bool = False) -> Program:
        program = Program(name, line, stdin)
        self.programs.append(program)
        return program

    def registrar(self, who: str, identifier: int, *more: str) -> Registrar:
        """A registrar that is ready to be used."""
        options = [f"-identifier=0x{identifier:08x}", "-loglevel=4", "-logcolor=off", *TIMERS, *more]
        program = self.start(f"registrar {who} {identifier:x}", command(who, "rspregistrar", *options))
        port = int(program.expect(r"^ENRP Address: *\{.*\} (\d+)/SCTP").group(1))
        return Registrar(program, identifier, port)

    def ready(self, *registrars: Registrar) -> None:
        """Wait until they announce themselves."""
        for registrar in registrars:
            registrar.program.expect(r"The registrar is ready")

    def element(self, who: str, identifier: int, *more: str) -> Program:
        """A pool element, registered."""
        options = ["-echo", f"-identifier=0x{identifier:08x}", "-loglevel=4", "-logcolor=off", *more]
        program = self.start(f"element {who} {identifier:x}", command(who, "rspserver", *options))
        program.expect(rf"Identifier *= \${identifier:08x}")
        return program

    def user(self, who: str) -> Program:
        """A terminal at the echo pool."""
        return self.start(f"user {who}", command(who, "rspterminal", "-poolhandle=EchoPool"), stdin=True)

    def close(self) -> None:
        """End everything at once."""
        for program in reversed(self.programs):
            program.end(signal.SIGKILL)


def dump(registrar: Registrar, who: str = ORIGINAL) -> dict[int, int]:
    """What a registrar holds: element -> home. Whoever asks is a peer of it for a while."""
    done = subprocess.run(
        command(who, "hsdump", f"127.0.0.1:{registrar.port}"),
        capture_output=True,
        text=True,
        errors="replace",
        timeout=PATIENCE,
        check=False,
    )
    found = re.findall(r"^ *- \$([0-9a-f]{8}) -> \"\w+\" / \$([0-9a-f]{8})", done.stdout, re.M)
    if done.returncode or "Ownership" not in done.stdout:
        if registrar.program.process.poll() is not None:
            said = "\n      ".join(registrar.program.lines[-20:])
            raise Failure(f"{registrar.program.name} has ended:\n      {said}")
        raise Failure(f"hsdump {who} ended with {done.returncode}: {done.stdout[-300:]}{done.stderr[-300:]}")
    return {int(element, 16): int(home, 16) for home, element in found}


def holds(registrar: Registrar, expected: dict[int, int], timeout: float = PATIENCE) -> None:
    """Wait until a registrar holds exactly these elements with these homes."""
    deadline = time.monotonic() + timeout
    held: object = None
    while held != expected:
        if held is not None:
            if time.monotonic() > deadline:
                raise Failure(f"{registrar.program.name} holds {held}, not {expected}")
            time.sleep(0.5)
        try:
            held = dump(registrar)
        except Failure as failure:
            # The original hsdump gives up when an update comes between request and response.
            held = str(failure)


# The tests. Each takes a stage and who plays which role.


def use(stage: Stage, registrar: str, element: str, user: str) -> None:
    """Register, resolve and talk, deregister."""
    home = stage.registrar(registrar, 0xA)
    stage.ready(home)
    server = stage.element(element, 0x11)
    holds(home, {0x11: 0xA})
    terminal = stage.user(user)
    deadline = time.monotonic() + PATIENCE
    while not any("Hello" in line for line in terminal.lines):
        terminal.say("Hello")
        if time.monotonic() > deadline:
            raise Failure("no echo: " + " | ".join(terminal.lines[-8:]))
        time.sleep(0.5)
    terminal.expect(r"\$00000011> Hello")
    if server.end() != 0:
        raise Failure(f"element ended with {server.process.returncode}")
    holds(home, {})


def silent(stage: Stage, registrar: str, element: str) -> None:
    """An element that stops answering keep-alives is removed, and comes back when it goes on."""
    home = stage.registrar(registrar, 0xA)
    stage.ready(home)
    server = stage.element(element, 0x11, "-rereginterval=10000")
    holds(home, {0x11: 0xA})
    server.kill(signal.SIGSTOP)
    holds(home, {})
    server.kill(signal.SIGCONT)
    holds(home, {0x11: 0xA})


def late(stage: Stage, first: str, second: str, element: str) -> None:
    """A registrar that comes late gets everything, and what changes afterwards."""
    one = stage.registrar(first, 0xA)
    stage.ready(one)
    stage.element(element, 0x11)
    stage.element(ORIGINAL, 0x22, "-policy=WeightedRoundRobin:3", "-poolhandle=Another")
    holds(one, {0x11: 0xA, 0x22: 0xA})
    two = stage.registrar(second, 0xB)
    stage.ready(two)
    holds(two, {0x11: 0xA, 0x22: 0xA})
    three = stage.element(element, 0x33)
    start = dump(two)
    homes = {0x11: 0xA, 0x22: 0xA, 0x33: start.get(0x33, 0)}
    if homes[0x33] not in (0xA, 0xB):
        raise Failure(f"element 33 has no home: {start}")
    holds(one, homes)
    three.end()
    for registrar in (one, two):
        holds(registrar, {0x11: 0xA, 0x22: 0xA})


def audit(stage: Stage, first: str, second: str) -> None:
    """What a registrar has lost comes back by the checksum audit: a forged update makes it lose an element."""
    one = stage.registrar(first, 0xA)
    stage.ready(one)
    stage.element(ORIGINAL, 0x11, "-rereginterval=300000")
    two = stage.registrar(second, 0xB)
    stage.ready(two)
    holds(two, {0x11: 0xA})
    mark = len(two.program.lines)
    forge_removal(two, 0xA, 0x11)
    # Whether it was lost is seen in the checksum: the next presence leads to a synchronisation.
    two.program.expect(r"ynchronization with peer \$0000000a|Checksum of peer \$0000000a differs", start=mark)
    holds(two, {0x11: 0xA})
    holds(one, {0x11: 0xA})


def forge_removal(registrar: Registrar, home: int, element: int) -> None:
    """Tell a registrar, in the name of another, that an element is gone."""
    code = (
        "import asyncio\n"
        "from pysocketapi.aio import open_endpoint\n"
        "from rserpool.wire import enrp\n"
        "from rserpool.wire.types import *\n"
        "async def main():\n"
        f"    async with await open_endpoint('127.0.0.1', 0, transport='{Transport}') as e:\n"
        "        t = Transport(SCTP, 1, ('10.1.1.1',))\n"
        f"        r = PoolElement({element}, {home}, 60000, t, Policy(1), t)\n"
        f"        m = enrp.HandleUpdate({home}, 0, 1, b'EchoPool', r)\n"
        f"        await e.send(enrp.encode(m), ('127.0.0.1', {registrar.port}), ppid=12)\n"
        "        await asyncio.sleep(0.3)\n"
        "asyncio.run(main())\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=PATIENCE)


def takeover(stage: Stage, home: str, others: str, element: str) -> None:
    """The home registrar is killed: its elements get a new home, which the elements follow."""
    first = stage.registrar(home, 0xA)
    stage.ready(first)
    servers = [stage.element(element, i, "-rereginterval=300000") for i in (0x11, 0x22)]
    survivors = [stage.registrar(who, 0xB + at) for at, who in enumerate(others)]
    stage.ready(*survivors)
    # No hsdump here: it would be a peer that has to acknowledge.
    time.sleep(4)
    first.program.kill(signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE
    time.sleep(5)  # noticing the death takes 4 s
    while True:
        time.sleep(5)  # a dump is forgotten as a peer after 4 s; see above
        held = [dump(survivor) for survivor in survivors]
        homes = {frozenset(h.items()) for h in held}
        if len(homes) == 1 and held[0].keys() == {0x11, 0x22} and 0xA not in held[0].values():
            break
        if time.monotonic() > deadline:
            said = ["\n      ".join([s.program.name, *s.program.lines[-25:]]) for s in survivors]
            raise Failure(f"after the takeover: {held}\n    " + "\n    ".join(said))
    for server in servers:
        if server.process.poll() is not None:
            raise Failure(f"{server.name} has ended")
    terminal = stage.user(ORIGINAL)
    deadline = time.monotonic() + PATIENCE
    while not any("> Hello" in line for line in terminal.lines):
        terminal.say("Hello")
        if time.monotonic() > deadline:
            raise Failure("no echo after the takeover: " + " | ".join(terminal.lines[-8:]))
        time.sleep(0.5)


def dumped(stage: Stage, registrar: str, tool: str) -> None:
    """hsdump shows what is there, and leaves the registrar as it was."""
    home = stage.registrar(registrar, 0xA)
    stage.ready(home)
    stage.element(ORIGINAL, 0x11)
    if dump(home, tool) != {0x11: 0xA}:
        raise Failure("hsdump shows something else")
    holds(home, {0x11: 0xA})


def monitored(stage: Stage, registrar: str, element: str, monitor: str) -> None:
    """cspmonitor shows registrar and element."""
    os.environ["CSP_SERVER"], os.environ["CSP_INTERVAL"] = "127.0.0.1:2960", "500"
    try:
        watch = stage.start("monitor", command(monitor, "cspmonitor", *(["-compact"] * (monitor == ORIGINAL))))
        home = stage.registrar(registrar, 0xA)
        stage.ready(home)
        stage.element(element, 0x11)
        watch.expect(r"1\[1\] PEs in 1 Pool")
        watch.expect(r"00000011")
    finally:
        del os.environ["CSP_SERVER"], os.environ["CSP_INTERVAL"]


BOTH = (ORIGINAL, OURS)


@dataclass(frozen=True)
class Case:
    """One mixture."""

    test: Callable[..., None]
    roles: tuple[str, ...]

    @property
    def name(self) -> str:
        """For the table and --only."""
        return f"{self.test.__name__}:{'-'.join(self.roles)}"


def cases() -> Iterator[Case]:
    """All mixtures with at least one of ours."""
    for registrar in BOTH:
        for element in BOTH:
            for user in BOTH:
                yield Case(use, (registrar, element, user))
            yield Case(silent, (registrar, element))
            for second in BOTH:
                yield Case(late, (registrar, second, element))
        for other in BOTH:
            yield Case(audit, (registrar, other))
            yield Case(dumped, (registrar, other))
            for monitor in BOTH:
                yield Case(monitored, (registrar, other, monitor))
    # The original does not complete a takeover alone, and two of them that notice the death at the same time
    # wait for each other in vain (also without any of ours): so one survivor is ours.
    for element in BOTH:
        for home in BOTH:
            for others in ("P", "PP", "PO", "OP"):
                yield Case(takeover, (home, others, element))


@contextmanager
def stage() -> Iterator[Stage]:
    """A stage that is cleared in the end."""
    made = Stage()
    try:
        yield made
    finally:
        made.close()


def run(case: Case) -> str:
    """Run one mixture: "" or what went wrong."""
    try:
        with stage() as made:
            case.test(made, *case.roles)
    except (Failure, subprocess.SubprocessError, OSError) as error:
        return str(error)
    return ""


def kernel_speaks_sctp() -> bool:
    """Tell whether the originals could work here."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP).close()
    except OSError:
        return False
    return True


def main() -> int:
    """Run what was asked for; the number of failures."""
    global Transport
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--transport", default="kernel", choices=("kernel", "userland"))
    parser.add_argument("--only", action="append", default=[], help="mixtures whose name begins so")
    parser.add_argument("--list", action="store_true")
    chosen = parser.parse_args()
    Transport = chosen.transport
    wanted = [
        c
        for c in cases()
        if OURS in "".join(c.roles) and (not chosen.only or any(c.name.startswith(o) for o in chosen.only))
    ]
    if chosen.list:
        print("\n".join(c.name for c in wanted))
        return 0
    if not kernel_speaks_sctp():
        guest = os.path.join(os.path.dirname(__file__), "lab", "uml-run")
        again = [sys.executable, "-m", "tests.interop.matrix", *sys.argv[1:]]
        return subprocess.call(["bash", guest, "--timeout", str(MATRIX_TIME), "--", *again])
    if shutil.which("rspregistrar", path="/usr/bin:/usr/sbin:/bin") is None:
        print("the original programs are missing (install-lab)")
        return 1
    os.environ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
    table: list[tuple[str, str, float]] = []
    for case in wanted:
        begun = time.monotonic()
        wrong = run(case)
        table.append((case.name, wrong, time.monotonic() - begun))
        print(f"{'FAIL' if wrong else 'ok  '} {case.name:28} {table[-1][2]:5.1f} s {wrong}", flush=True)
    failures = sum(bool(wrong) for _, wrong, _ in table)
    print(f"\n{len(table)} mixtures, {failures} failures\n")
    print("| mixture (registrars - element - user or tool) | result |\n|---|---|")
    for name, wrong, _ in table:
        print(f"| {name} | {'**failed**' if wrong else 'passed'} |")
    return min(failures, 100)


if __name__ == "__main__":
    sys.exit(main())
