"""A registrar under load: registrations and handle resolutions per second, memory per pool element.

    python -m tests.bench.registrar [--transport userland|kernel] [--elements N]... [--seconds S] [--original]
                                    [--lab] [--address A] [--window W] [--json FILE]

One registrar process, one client process with one association; the client keeps ``window`` requests under way.
``--original`` measures RSPLIB's rspregistrar beside ours (in the lab's guest, over kernel SCTP; it refuses
loopback, so ``--address`` is another address of the host). ``--lab`` does that in a guest afterwards,
with the same load, and prints ours by the original's. Compare within a run only.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from pysocketapi.aio import Message, SctpEndpoint, Transport, open_endpoint
from rserpool.wire import asap
from rserpool.wire.types import SCTP, Policy, PoolElement
from rserpool.wire.types import Transport as Where

PORT = 3863
SIZES = (10, 1000, 100_000)
GUEST_ADDRESS = "10.255.255.1"  # the original refuses loopback
GUEST_PATIENCE = 1500  # seconds
ROOT = Path(__file__).parents[2]
HANDLE = b"BenchPool"


@dataclass
class Result:
    """What was measured."""

    who: str
    elements: int
    registrations: float = 0.0  # per second
    reregistrations: float = 0.0
    resolutions: float = 0.0
    bytes_per_element: float | None = None
    notes: list[str] = field(default_factory=list)


class Client:
    """Sends requests over one association and counts the responses."""

    def __init__(self, endpoint: SctpEndpoint, association: int, window: int) -> None:
        self.endpoint, self.association, self.window = endpoint, association, window
        self.errors = 0

    async def run(self, requests, until: float | None = None) -> float:
        """Send all requests, or for a time; responses per second."""
        endpoint, association = self.endpoint, self.association
        ack = asap.EndpointKeepAliveAck
        under_way = done = 0
        more = iter(requests)
        begun = time.monotonic()
        ended = False
        while True:
            while not ended and under_way < self.window:
                request = next(more, None)
                if request is None or (until is not None and time.monotonic() - begun > until):
                    ended = True
                    break
                await endpoint.send(request, association, ppid=asap.PPID)
                under_way += 1
            if not under_way:
                return done / (time.monotonic() - begun)
            item = await endpoint.recv()
            if not isinstance(item, Message):
                continue
            kind = item.data[0]
            if kind == asap.ENDPOINT_KEEP_ALIVE:
                message = asap.decode(item.data)
                await endpoint.send(
                    asap.encode(ack(message.handle, message.identifier)), association, ppid=asap.PPID
                )
                continue
            if kind == asap.REGISTRATION_RESPONSE and item.data[1]:
                self.errors += 1
            under_way -= 1
            done += 1


def resident(process: int) -> int:
    """The resident memory of a process in bytes."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def registrar(original: bool, transport: str, address: str, udp_port: int) -> subprocess.Popen[str]:
    """Start a registrar that nobody finds by multicast; keep-alives do not disturb."""
    options = [
        f"-asap={address}:{PORT}",
        f"-enrp={address}:9901",
        "-asapannounce=off",
        "-enrpannounce=off",
        "-endpointkeepalivetransmissioninterval=300000",
        "-loglevel=1",
    ]
    if original:
        line = ["stdbuf", "-oL", "rspregistrar", *options]
    else:
        code = "import sys; from rserpool_apps.rspregistrar import main; sys.exit(main(sys.argv[1:]))"
        line = [sys.executable, "-c", code, f"--transport={transport}", *options]
        if transport == "userland":
            line.append(f"--udp-port={udp_port}")
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    for said in process.stdout:
        if said.startswith("ENRP Address"):
            return process
    raise RuntimeError(f"the registrar did not start: {line}")


async def measure(
    who: str, process: int, transport: str, address: str, udp_port: int, elements: int, seconds: float, window: int
) -> Result:
    """Measure a running registrar with so many elements in one pool."""
    result = Result(who, elements)
    chosen = Transport(kind=transport, udp_port=0 if transport == "userland" else None)
    endpoint = await open_endpoint(address, 0, transport=chosen)
    remote = udp_port if transport == "userland" else None
    association = await endpoint.connect(address, PORT, remote_udp_port=remote, timeout=10)
    client = Client(endpoint, association, window)
    where = Where(SCTP, 5000, (address,), True)

    def registrations(first: int, last: int):
        for i in range(first, last):
            yield asap.encode(asap.Registration(HANDLE, PoolElement(i, 0, 3_600_000, where, Policy(1))))

    before = resident(process)
    result.registrations = await client.run(registrations(1, elements + 1))
    if elements >= 10_000:
        result.bytes_per_element = (resident(process) - before) / elements
    again = (request for _ in itertools.count() for request in registrations(1, elements + 1))
    result.reregistrations = await client.run(again, seconds)
    request = asap.encode(asap.HandleResolution(HANDLE, 1))
    result.resolutions = await client.run(iter(lambda: request, None), seconds)
    if client.errors:
        result.notes.append(f"{client.errors} registrations were refused")
    await endpoint.close()
    return result


def in_guest(elements: Sequence[int], seconds: float, window: int) -> list[Result]:
    """Measure ours and the original in a guest of the lab; nothing, and why, where there is none."""
    missing = [program for program in ("linux.uml", "rspregistrar") if shutil.which(program) is None]
    if missing:
        print(f"not measured: {', '.join(missing)} missing (tests/interop/lab/install-lab)")
        return []
    with tempfile.TemporaryDirectory(prefix="registrar-bench-") as directory:
        found = Path(directory) / "results.json"
        sizes = [word for size in elements for word in ("--elements", str(size))]
        line = [sys.executable, "-m", "tests.bench.registrar", "--transport=kernel", "--original", *sizes]
        line += [f"--address={GUEST_ADDRESS}", f"--seconds={seconds}", f"--window={window}", f"--json={found}"]
        lab = ROOT / "tests" / "interop" / "lab" / "uml-run"
        guest = ["bash", str(lab), "--timeout", str(GUEST_PATIENCE), "--mem", "1024M", "--rw", directory, "--"]
        done = subprocess.run([*guest, *line], cwd=ROOT, check=False)
        if done.returncode or not found.exists():
            print(f"not measured: the guest ended with {done.returncode}")
            return []
        return [Result(**values) for values in json.loads(found.read_text())]


def verdicts(results: list[Result]) -> list[str]:
    """Ours by the original's, and the largest pool by the smallest."""
    lines = []
    originals = {r.elements: r for r in results if r.who == "original"}
    for who in dict.fromkeys(r.who for r in results if r.who != "original"):
        mine = {r.elements: r for r in results if r.who == who}
        few, many = min(mine), max(mine)
        if few != many:
            ratio = mine[many].resolutions / mine[few].resolutions
            lines.append(f"{who}: resolutions with {many} elements are {ratio:.2f} of those with {few}")
        for size in sorted(mine.keys() & originals.keys()) if "kernel" in who else ():
            ratios = [
                f"{what} {getattr(mine[size], what) / getattr(originals[size], what):.2f}"
                for what in ("registrations", "reregistrations", "resolutions")
            ]
            lines.append(f"{who} by original, {size} elements: {', '.join(ratios)}")
    return lines


def main() -> int:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--transport", default="userland", choices=("kernel", "userland"))
    parser.add_argument("--elements", type=int, action="append")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--window", type=int, default=64)
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--udp-port", type=int, default=29899)
    parser.add_argument("--original", action="store_true")
    parser.add_argument("--lab", action="store_true", help="then ours and the original in the lab's guest")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    results: list[Result] = []
    for elements in chosen.elements or SIZES:
        for original in (False, True) if chosen.original else (False,):
            who = "original" if original else f"ours, {chosen.transport}"
            process = registrar(original, chosen.transport, chosen.address, chosen.udp_port)
            try:
                work = measure(
                    who,
                    process.pid,
                    chosen.transport,
                    chosen.address,
                    chosen.udp_port,
                    elements,
                    chosen.seconds,
                    chosen.window,
                )
                results.append(uvloop.run(work))
            finally:
                process.kill()
                process.wait()
            r = results[-1]
            size = f"{r.bytes_per_element:.0f}" if r.bytes_per_element is not None else "-"
            print(
                f"{r.who:16} {r.elements:7} elements: registrations {r.registrations:7.0f}/s, re-registrations "
                f"{r.reregistrations:7.0f}/s, resolutions {r.resolutions:7.0f}/s, {size} B/element "
                f"{' '.join(r.notes)}",
                flush=True,
            )
    for line in verdicts(results):
        print(line, flush=True)
    if chosen.lab:
        print("in the lab's guest, over kernel SCTP:", flush=True)
        results += in_guest(chosen.elements or SIZES, chosen.seconds, chosen.window)  # which prints what it finds
    if chosen.json:
        chosen.json.write_text(json.dumps([vars(r) for r in results], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
