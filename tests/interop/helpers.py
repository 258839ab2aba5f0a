"""What the interop tests share: which peers this host has, guests of the lab, processes, waiting.

A peer that is missing skips its tests, saying why; with RSERPOOL_REQUIRE_LAB=1 it fails them. Tests say what they
need by the markers ``lab``, ``usrsctp`` and ``tshark`` (conftest.py) or by calling the ``..._or_skip`` functions.
"""

from __future__ import annotations

import functools
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LAB = HERE / "lab"
SBIN = ":/usr/local/sbin:/usr/sbin:/sbin"
USRSCTP_HEADER = Path("/usr/include/usrsctp.h")


def lacking(reason: str) -> NoReturn:
    """Skip this test for ``reason``; fail it where the lab is required (RSERPOOL_REQUIRE_LAB=1)."""
    if os.environ.get("RSERPOOL_REQUIRE_LAB") == "1":
        pytest.fail(f"RSERPOOL_REQUIRE_LAB=1, but {reason}", pytrace=False)
    pytest.skip(reason)


def _which(program: str) -> str | None:
    return shutil.which(program, path=os.environ.get("PATH", "") + SBIN)


def lab_or_skip(root: bool = True) -> None:
    """Demand what uml-run needs; with ``root`` what uml-net needs, too."""
    if not sys.platform.startswith("linux"):
        lacking("the lab runs on Linux only")
    programs = ["linux.uml", "rspregistrar", "rspserver", "rspterminal", "sysctl", "ip"]
    missing = [p for p in programs + (["tcpdump"] if root else []) if not _which(p)]
    if missing:
        lacking(f"the lab lacks {', '.join(missing)} (tests/interop/lab/install-lab)")
    if root and os.geteuid() != 0:
        lacking("the lab's network needs root")
    if root and not os.path.exists("/dev/net/tun"):
        lacking("the lab's network needs /dev/net/tun")


def tshark_or_skip() -> str:
    """Return tshark's path."""
    return _which("tshark") or lacking("tshark is missing (tests/interop/lab/install-lab --all)")


def usrsctp_or_skip() -> str:
    """Return the C compiler's path, once it and libusrsctp-dev are known to be there."""
    compiler = _which("cc") or _which("gcc") or lacking("there is no C compiler (install-lab --all)")
    if not USRSCTP_HEADER.exists():
        lacking("libusrsctp-dev is missing (tests/interop/lab/install-lab --all)")
    return compiler


@functools.cache
def compile_c(source: Path, *options: str, target: Path) -> Path:
    """Compile one C file to ``target``; the test fails with the compiler's words if it cannot."""
    command = [usrsctp_or_skip(), "-O2", "-Wall", "-Wextra", "-o", str(target), str(source), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"{' '.join(command)}\n{done.stderr}", pytrace=False)
    return target


def run_in_guest(
    command: Sequence[str],
    *,
    timeout: float = 120,
    writable: Sequence[Path] = (),
    env: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run ``command`` in a guest with kernel SCTP (lab/uml-run); env: SCTP_UDP_PORT etc., see lab/README.md."""
    options = [x for path in writable for x in ("--rw", str(path))]
    line = ["bash", str(LAB / "uml-run"), "--timeout", str(int(timeout)), *options, "--", *command]
    return _run(line, timeout, env)


def run_with_guest(
    command: Sequence[str],
    guest: str,
    *,
    timeout: float = 120,
    writable: Sequence[Path] = (),
    pcap: Path | None = None,
    env: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run ``command`` here, joined by a wire to a guest that runs the shell command ``guest`` (lab/uml-net)."""
    options = [x for path in writable for x in ("--rw", str(path))]
    if pcap is not None:
        options += ["--pcap", str(pcap)]
    line = [
        "bash",
        str(LAB / "uml-net"),
        "--timeout",
        str(int(timeout)),
        *options,
        "--guest",
        guest,
        "--",
        *command,
    ]
    return _run(line, timeout, env)


def _run(line: list[str], timeout: float, env: dict[str, str] | None) -> subprocess.CompletedProcess[str]:
    # A guest and its wire reach nobody, so announces may go by all their interfaces.
    apart = {"PATH": os.environ.get("PATH", "") + SBIN, "RSERPOOL_INTERFACES": ""}
    environment = {**os.environ, **apart, **(env or {})}
    process = subprocess.Popen(
        line,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=environment,
        cwd=ROOT,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=timeout + 90)
    except BaseException:
        process.terminate()  # the scripts remove guest and namespace on SIGTERM
        with suppress(subprocess.TimeoutExpired):
            process.wait(15)
        raise
    return subprocess.CompletedProcess(line, process.returncode, out, err)


def free_udp_ports(count: int) -> list[int]:
    """Return UDP ports of loopback that were free a moment ago, for programs that cannot choose one themselves."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(count)]
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]


def wait_until(condition: Callable[[], object], seconds: float, what: str = "the condition") -> None:
    """Poll until ``condition()`` holds; fail the test if it does not within ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not come true within {seconds} s")
        time.sleep(0.02)


@contextmanager
def process(
    command: Sequence[str], *, env: dict[str, str] | None = None, **options: object
) -> Iterator[subprocess.Popen[str]]:
    """Run a program while the block lasts; it is ended, with what it started, at the block's end."""
    running = subprocess.Popen(  # type: ignore[call-overload]
        list(command),
        stdin=options.pop("stdin", subprocess.DEVNULL),
        stdout=options.pop("stdout", subprocess.PIPE),
        stderr=options.pop("stderr", subprocess.STDOUT),
        text=True,
        start_new_session=True,
        env={**os.environ, **(env or {})},
        **options,
    )
    try:
        yield running
    finally:
        end_group(running)
        for stream in running.stdin, running.stdout, running.stderr:
            if stream is not None:
                stream.close()


def end_group(running: subprocess.Popen[Any]) -> None:
    """End a process that began a session, with all that it started: asked first, then by force."""
    for number in signal.SIGTERM, signal.SIGKILL:
        if running.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(running.pid, number)
            with suppress(subprocess.TimeoutExpired):
                running.wait(5)


def finish(running: subprocess.Popen[str], seconds: float) -> str:
    """Wait for a program's good end and return its output; fail the test with the output otherwise."""
    try:
        output, _ = running.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)
        output, _ = running.communicate()
        pytest.fail(f"{running.args} did not end within {seconds} s; it printed:\n{output}")
    if running.returncode:
        pytest.fail(f"{running.args} ended with {running.returncode}; it printed:\n{output}")
    return output or ""


@contextmanager
def relay(server: int, loss: float = 0.05, seed: int = 1) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run the lossy relay in front of UDP port ``server``; yields (process, the relay's UDP port)."""
    command = [
        sys.executable,
        "-m",
        "tests.interop.relay",
        f"--server={server}",
        f"--loss={loss}",
        f"--seed={seed}",
    ]
    with process(command, cwd=ROOT) as running:
        assert running.stdout is not None
        yield running, int(running.stdout.readline().split()[1])


def relay_counts(running: subprocess.Popen[str]) -> tuple[int, int]:
    """End the relay; return (packets forwarded, packets dropped)."""
    running.terminate()
    words = finish(running, 10).split()
    return int(words[1]), int(words[3])


def _words(mode: str, options: dict[str, object]) -> list[str]:
    return [*mode.split(), *(f"{name.replace('_', '-')}={value}" for name, value in options.items())]


def usrsctp_command(peer: str, mode: str, udp: int, remote_udp: int, **options: object) -> list[str]:
    """Return the command line of usrsctp/peer.c; ``mode`` as "listen echo"."""
    return [peer, *_words(mode, {"udp": udp, "remote-udp": remote_udp, **options})]


def stack_command(mode: str, **options: object) -> list[str]:
    """Return the command line of the same peer made of our stack (stackpeer.py)."""
    return [sys.executable, "-m", "tests.interop.stackpeer", *_words(mode, options)]


class Wire:
    """A guest with kernel SCTP on a wire to a network namespace of this host; both run commands for a test."""

    host, host6 = "198.51.100.1", "2001:db8::1"
    guest, guest6 = "198.51.100.2", "2001:db8::2"

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    def here(self, command: Sequence[str]) -> list[str]:
        """Return the command line that runs ``command`` on this host, in the namespace."""
        return ["ip", "netns", "exec", self.namespace, *command]

    def there(self, command: Sequence[str], **environment: str) -> list[str]:
        """Return the command line that runs ``command`` in the guest and behaves like it."""
        variables = [f"{name}={value}" for name, value in environment.items()]
        return self.here(
            [sys.executable, "-m", "tests.interop.agent", "call", self.guest, *variables, "--", *command]
        )

    def kernel(self, mode: str, **options: object) -> list[str]:
        """Return the command line of the kernel's peer (kernelpeer.py) in the guest; ``mode`` as "listen echo"."""
        return self.there([sys.executable, "-m", "tests.interop.kernelpeer", *_words(mode, options)])

    def sysctl(self, **values: object) -> None:
        """Set net.sctp sysctls of the guest."""
        words = [f"net.sctp.{name}={value}" for name, value in values.items()]
        subprocess.run(self.there(["sysctl", "-q", "-w", *words]), check=True, cwd=ROOT)


@contextmanager
def wire_to_guest(*, pcap: Path | None = None, seconds: int = 600, **environment: str) -> Iterator[Wire]:
    """Boot a guest on a wire (lab/uml-net) while the block lasts; environment: SCTP_UDP_PORT etc."""
    agent = f"exec {shlex.quote(sys.executable)} -m tests.interop.agent serve {Wire.guest}"
    options = ["--timeout", str(seconds), *(["--pcap", str(pcap)] if pcap else []), "--guest", agent]
    command = [
        "bash",
        str(LAB / "uml-net"),
        *options,
        "--",
        "sh",
        "-c",
        'echo "wire $LAB_NETNS"; exec sleep infinity',
    ]
    environment["PATH"] = os.environ.get("PATH", "") + SBIN
    with process(command, env=environment, cwd=ROOT) as running:
        assert running.stdout is not None
        said = []
        for line in running.stdout:
            said.append(line)
            if line.startswith("wire "):
                break
        else:
            pytest.fail("the lab's guest did not come up:\n" + "".join(said))
        wire = Wire(said[-1].split()[1])
        subprocess.run(wire.there(["true"]), check=True, cwd=ROOT)
        try:
            yield wire
        finally:
            running.terminate()  # uml-net removes guest and namespace
            with suppress(subprocess.TimeoutExpired):
                running.communicate(timeout=30)
