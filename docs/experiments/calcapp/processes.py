"""The same experiment with the real programs: a registrar, servers and users on loopback, in real time.

Everything is small, so that it takes minutes: four servers, twelve users, jobs of a second.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from simulation import Scenario, run

SERVERS, USERS = 4, 12
SIZE = 1.0  # seconds, mean
CAPACITY = 1_000_000  # calculations per second
WARMUP, DURATION = 5.0, 60.0  # seconds
RUNS = 400  # of the simulation, for the mean and the bounds
LOADS = (0.3, 0.6)
POLICIES = ("LeastUsed", "RoundRobin", "Random")
DELAY = 0.001  # seconds for a message between two programs, in the simulation
START = 60.0  # seconds for a program to get ready


@dataclass(frozen=True)
class Measured:
    """A pool of real programs, and what the simulation says of it."""

    policy: str
    load: float
    jobs: int
    speed: float
    simulated: float  # mean of many runs
    low: float  # between these two lie 95% of runs of the same length
    high: float


@contextmanager
def program(log: Path, *words: str):
    """Run a program while the block lasts; its output goes to a file."""
    with open(log, "w", encoding="utf-8") as file:
        command = [sys.executable, "-m", "rserpool_apps", *words]
        running = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT)
        try:
            yield running
        finally:
            running.send_signal(signal.SIGINT)
            try:
                running.wait(10)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()


def said(log: Path, pattern: str) -> re.Match[str]:
    """Wait until a program has said something. RuntimeError with what it said instead."""
    deadline = time.monotonic() + START
    while not (found := re.search(pattern, log.read_text(encoding="utf-8"))):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{log.name} does not say {pattern!r}:\n{log.read_text(encoding='utf-8')}")
        time.sleep(0.05)
    return found


def rows(file: Path, since: float) -> list[tuple[float, float]]:
    """Size and handling time of the jobs in a user's vector file that were completed after ``since``."""
    found = []
    for line in file.read_text(encoding="utf-8").splitlines()[1:]:
        words = line.split()
        if float(words[-1]) >= since:
            found.append((float(words[4]), float(words[10])))
    return found


def measure(policy: str, load: float, duration: float = DURATION, warmup: float = WARMUP) -> tuple[int, float]:
    """Run a pool; return the number of jobs and the handling speed as a share of a server's capacity."""
    interval = USERS * SIZE / (load * SERVERS)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        os.environ.setdefault("RSERPOOL_INTERFACES", "loopback")  # nothing of it is heard in the network
        alone = ("-asapannounce=off", "-enrpannounce=off")
        stack.enter_context(program(folder / "registrar", "rspregistrar", "-asap=127.0.0.1", *alone))
        port = said(folder / "registrar", r"ASAP Address:\s+\{.*\} (\d+)/SCTP")[1]
        where = (f"-registrar=127.0.0.1:{port}", "-asapannounce=off")
        for number in range(SERVERS):
            log = folder / f"server{number}"
            files = (f"-capvector={log}.vec", f"-capscalar={log}.sca")
            service = ("-calcapp", f"-capcapacity={CAPACITY}", "-capmaxjobs=100", f"-policy={policy}")
            stack.enter_context(program(log, "rspserver", *service, *files, *where))
        for number in range(SERVERS):
            said(folder / f"server{number}", r"Identifier\s+= ")
        for number in range(USERS):
            log = folder / f"user{number}"
            files = (f"-vector={log}.vec", f"-scalar={log}.sca")
            jobs = (f"-jobinterval={interval:g}", f"-jobsize={SIZE * CAPACITY:g}")
            stack.enter_context(program(log, "calcappclient", *jobs, *files, *where))
        for number in range(USERS):
            said(folder / f"user{number}", r"Runtime ")
        begun = time.time() + warmup
        time.sleep(warmup + duration)
        done = [row for number in range(USERS) for row in rows(folder / f"user{number}.vec", begun)]
    return len(done), sum(size for size, _ in done) / (sum(handling for _, handling in done) * CAPACITY)


def simulate(policy: str, load: float) -> tuple[float, float, float]:
    """The mean handling speed of such a pool in virtual time, and the bounds of 95% of runs."""
    runs = sorted(
        run(Scenario((policy,) * SERVERS, (1.0,) * SERVERS, USERS, load, SIZE, DELAY, DURATION, WARMUP,
                     seed=seed)).handling_speed
        for seed in range(1, RUNS + 1)
    )  # fmt: skip
    outside = RUNS // 40
    return sum(runs) / RUNS, runs[outside], runs[-1 - outside]


def compare() -> list[Measured]:
    """Measure everything, and simulate it, too."""
    found = []
    for policy in POLICIES:
        for load in LOADS:
            jobs, speed = measure(policy, load)
            simulated = (round(x, 4) for x in simulate(policy, load))
            found.append(Measured(policy, load, jobs, round(speed, 4), *simulated))
            print(found[-1], flush=True)
    return found
