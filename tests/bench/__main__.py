"""Runs the benchmark: all contenders interleaved, medians with ranges, ratios, a table and JSON.

    python -m tests.bench [--quick] [--rounds N] [--seconds S] [--only WORD]... [--out FILE]

Contenders: ours through the driver ("stack") and through the blocking sockets ("socket"); beside them, where they
are to be had, libusrsctp (C), aiortc (Python) and the floor (see floor.py). Each run has a network namespace of
its own whose loopback has the MTU named, where namespaces can be made (root, or user namespaces). Interleaved,
because machines drift: compare within a run only. "ratio": ours through the driver by usrsctp, median of rounds.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SIZES = (64, 1024, 16384, 65536)
LARGE_MTU = 65535
USRSCTP_LARGE_MTU = 9000  # above that it delivers nothing over UDP; by itself it stays at 1500 on loopback


@dataclass(frozen=True)
class Case:
    """One question to every contender; ``key`` is the figure that answers it."""

    name: str
    test: str
    key: str
    unit: str
    size: int = 64
    mtu: int = 1500
    cores: str = "split"


CASES = (
    *(Case(f"bulk {s} B, MTU {m}", "bulk", "rx_MB_s", "MB/s", s, m) for m in (1500, LARGE_MTU) for s in SIZES),
    Case("round trips 64 B, one core", "pingpong", "trips_s", "1/s", cores="same"),
    Case("round trips 64 B, two cores", "pingpong", "trips_s", "1/s"),
    Case("set-ups with ABORT, one core", "setup", "setups_s", "1/s", cores="same"),
    Case("memory per idle association", "memory", "rx_bytes_per_association", "B", cores="same"),
)

Command = Callable[[Case, float], "list[str] | None"]


def python(module: str, tests: tuple[str, ...]) -> Command:
    """Return the maker of the command line of a contender written in Python."""

    def command(case: Case, seconds: float) -> list[str] | None:
        if case.test not in tests:
            return None
        line = [sys.executable, "-m", f"tests.bench.{module}", case.test, f"--size={case.size}"]
        return [*line, f"--seconds={seconds}", f"--cores={case.cores}", f"--mtu={case.mtu}"]

    return command


def usrsctp(program: str) -> Command:
    """Return the maker of usrsctp's command line."""

    def command(case: Case, seconds: float) -> list[str]:
        mtu = USRSCTP_LARGE_MTU if case.mtu > 1500 else 0
        return [program, case.test, str(case.size), str(seconds), str(mtu), "1000", case.cores]

    return command


def contenders(folder: str) -> tuple[dict[str, Command], list[str]]:
    """Return the contenders that this host has, and a sentence for each that is missing."""
    everything = ("bulk", "pingpong", "setup", "memory")
    found, missing = {"stack": python("stack", everything)}, []
    if importlib.util.find_spec("tests.bench.sockets"):
        found["socket"] = python("sockets", everything)
    compiler = shutil.which("cc")
    if compiler and Path("/usr/include/usrsctp.h").exists():
        program = str(Path(folder) / "usrsctp")
        line = [compiler, "-O2", "-o", program, str(HERE / "usrsctp.c"), "-lusrsctp", "-lpthread"]
        subprocess.run(line, check=True)
        found["usrsctp"] = usrsctp(program)
    else:
        missing.append("usrsctp: no C compiler or no libusrsctp-dev")
    if importlib.util.find_spec("aiortc"):
        found["aiortc"] = python("aiortc_peer", ("bulk", "pingpong"))
    else:
        missing.append("aiortc: not installed (pip install aiortc)")
    if importlib.util.find_spec("google_crc32c"):
        found["floor"] = python("floor", ("bulk", "pingpong"))
    else:
        missing.append("floor: google-crc32c is not installed")
    return found, missing


def namespace() -> list[str] | None:
    """Return the command prefix that gives a run its own network namespace; None where that is not allowed."""
    unshare = shutil.which("unshare")
    options = ["-n"] if os.geteuid() == 0 else ["-r", "-n"]
    if not unshare:
        return None
    probe = subprocess.run([unshare, *options, "ip", "link", "set", "lo", "up"], capture_output=True, check=False)
    return None if probe.returncode else [unshare, *options]


def run(line: list[str], mtu: int, prefix: list[str] | None) -> dict[str, float]:
    """Run one contender once; {"failed": ...} with its last words if it fails."""
    if prefix is not None:
        line = [*prefix, "sh", "-c", f"ip link set lo mtu {mtu} up && exec {shlex.join(line)}"]
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=120, cwd=ROOT, check=False)
        result: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
        return result
    except (IndexError, ValueError):
        return {"failed": done.stderr.strip().splitlines()[-1:]}  # type: ignore[dict-item]
    except subprocess.TimeoutExpired:
        return {"failed": "timeout"}  # type: ignore[dict-item]


def number(x: float) -> str:
    """Return three digits of a figure, thousands in k."""
    return f"{x / 1000:.4g}k" if x >= 10000 else f"{x:.3g}" if x < 1000 else f"{x:.0f}"


def summary(case: Case, rounds: list[dict[str, dict[str, float]]]) -> dict[str, object]:
    """Return the figures of one case: per contender median, lowest, highest; ratios round by round."""
    figures: dict[str, object] = {}
    for name in rounds[0]:
        values = [r[name][case.key] for r in rounds if case.key in r[name]]
        if not values:
            figures[name] = {"failed": [r[name].get("failed") for r in rounds]}
            continue
        figure = {"median": statistics.median(values), "lowest": min(values), "highest": max(values)}
        if case.test == "bulk":
            figure["messages_s"] = statistics.median(r[name]["rx_msg_s"] for r in rounds if case.key in r[name])
        figures[name] = figure
    both = [r for r in rounds if all(case.key in r.get(n, {}) for n in ("stack", "usrsctp"))]
    if both:
        figures["ratio"] = statistics.median(r["stack"][case.key] / r["usrsctp"][case.key] for r in both)
    return figures


def row(case: Case, figures: dict[str, object], names: list[str]) -> str:
    """Return the table's line of one case."""
    cells = [f"{case.name:<30}", f"{case.unit:>5}"]
    for name in names:
        figure = figures.get(name)
        if not isinstance(figure, dict):
            cells.append(f"{'-':>24}")
        elif "failed" in figure:
            cells.append(f"{'failed':>24}")
        else:
            text = f"{number(figure['median'])} [{number(figure['lowest'])}..{number(figure['highest'])}]"
            cells.append(f"{text:>24}")
    ratio = figures.get("ratio")
    cells.append(f"{ratio:>6.2f}" if isinstance(ratio, float) else f"{'-':>6}")
    return " ".join(cells)


def measure(cases: list[Case], chosen: dict[str, Command], rounds: int, seconds: float) -> list[dict[str, object]]:
    """Run the cases, contenders interleaved, and print a line or two for each."""
    prefix = namespace()
    if prefix is None:
        print("no network namespaces here: the MTU is that of this host's loopback, whatever the table says")
    names = list(chosen)
    print(f"{'':<36}", *(f"{name:>24}" for name in names), " ratio", flush=True)
    results: list[dict[str, object]] = []
    for case in cases:
        taken: list[dict[str, dict[str, float]]] = []
        for _ in range(rounds):
            lines = {name: line for name in names if (line := chosen[name](case, seconds)) is not None}
            taken.append({name: run(line, case.mtu, prefix) for name, line in lines.items()})
        figures = summary(case, taken)
        print(row(case, figures, names), flush=True)
        if case.test == "bulk":
            print(messages_row(figures, names), flush=True)
        for name, figure in figures.items():
            if isinstance(figure, dict) and "failed" in figure:
                print(f"    {name} failed: {figure['failed'][0]}", flush=True)
        results.append({"case": case.name, "unit": case.unit, "figures": figures, "rounds": taken})
    return results


def messages_row(figures: dict[str, object], names: list[str]) -> str:
    """Return the second line of a bulk case: messages per second."""
    cells = [f"{'':<30} {'msg/s':>5}"]
    for name in names:
        figure = figures.get(name)
        rate = figure.get("messages_s") if isinstance(figure, dict) else None
        cells.append(f"{'-' if rate is None else number(rate):>24}")
    return " ".join(cells)


def main() -> int:
    """Run all and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of one run")
    parser.add_argument("--only", action="append", default=[], help="cases or contenders whose name has this word")
    parser.add_argument("--out", default=str(ROOT / "bench-results.json"))
    o = parser.parse_args()
    rounds, seconds = (1, 0.7) if o.quick else (o.rounds, o.seconds)
    with tempfile.TemporaryDirectory() as folder:
        found, missing = contenders(folder)
        chosen = {n: c for n, c in found.items() if n in o.only} or found
        words = [w for w in o.only if w not in found]
        cases = [c for c in CASES if not words or any(w in c.name for w in words)]
        for sentence in missing:
            print("not here -", sentence)
        print(f"{rounds} round(s) of {seconds} s each: median [lowest..highest]")
        results = measure(cases, chosen, rounds, seconds)
    document = {
        "at": time.strftime("%FT%TZ", time.gmtime()),
        "python": platform.python_version(),
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "seconds": seconds,
        "results": results,
    }
    Path(o.out).write_text(json.dumps(document, indent=1) + "\n")
    print(f"\nwritten to {o.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
