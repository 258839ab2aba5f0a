"""The experiment: how fast are jobs handled, by policy, under load? Writes CSV, JSON and plots.

    python docs/experiments/calcapp/experiment.py                 all of it, in virtual time, a few minutes
    python docs/experiments/calcapp/experiment.py -processes      real programs on loopback, ten minutes

What is measured and what comes out is told in docs/experiments/calcapp.md; the simulation is in `simulation`, the
real programs are in `processes`, the plots in `plots`.
"""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))

from rserpool_apps.options import Group, Option, Program, command_line, fail  # noqa: E402
from rserpool_apps.values import integer, text  # noqa: E402
from simulation import Scenario, run  # noqa: E402

SERVERS = 10
SIMPLE = ("LeastUsed", "RoundRobin", "Random")
# Factors of Student's t for 95% confidence, by the number of runs; more than 10 count as 10.
STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}

PROGRAM = Program(
    "experiment.py",
    "Measures the handling speed of jobs in a CalcApp pool by policy, load and more.",
    (
        Group(
            "Experiment",
            (
                Option("output", "write the results here", text, str(HERE / "results"), "DIRECTORY"),
                Option("seeds", "runs of each point, with seeds from 1 on", integer(1, 1000), "10", "N"),
                Option("duration", "measured seconds of virtual time of a run", integer(10, 10**7), "2000", "S"),
                Option("workers", "processes that simulate", integer(1, 1024), "2", "N"),
                Option("processes", "measure real programs on loopback instead, with a simulation of the same"),
                Option("noplots", "no plots, for hosts without matplotlib"),
            ),
        ),
    ),
)


@dataclass(frozen=True)
class Sweep:
    """One diagram: what its x axis is, and what is simulated at each place of each curve."""

    name: str
    title: str
    label: str
    places: tuple[float, ...]
    curves: tuple[str, ...]
    logarithmic: bool = False

    def scenario(self, curve: str, place: float, seed: int, duration: float) -> Scenario:
        """What a point of the diagram is."""
        return SCENARIOS[self.name](curve, place, seed, duration)


def _alike(policy: str) -> dict[str, tuple[str, ...] | tuple[float, ...]]:
    return {"policies": (policy,) * SERVERS, "capacities": (1.0,) * SERVERS}


def _by_load(policy: str, load: float, seed: int, duration: float) -> Scenario:
    return Scenario(**_alike(policy), users=10 * SERVERS, load=load, duration=duration, seed=seed)


def _by_ratio(policy: str, ratio: float, seed: int, duration: float) -> Scenario:
    return Scenario(**_alike(policy), users=round(ratio * SERVERS), load=0.6, duration=duration, seed=seed)


DELAY = 0.02  # seconds


def _by_size(policy: str, size: float, seed: int, duration: float) -> Scenario:
    # As many jobs as for jobs of ten seconds.
    scale = size / 10
    return Scenario(**_alike(policy), users=10 * SERVERS, load=0.6, size=size, delay=DELAY,
                    duration=duration * scale, warmup=500 * scale, seed=seed)  # fmt: skip


FAST = 3  # of the ten servers


def _by_difference(curve: str, factor: float, seed: int, duration: float) -> Scenario:
    slow = SERVERS / (FAST * factor + SERVERS - FAST)
    capacities = (slow * factor,) * FAST + (slow,) * (SERVERS - FAST)
    policies = {
        # Small weights: a server's turns come one after another, as many as its weight is.
        "WeightedRoundRobin": lambda c: (
            f"WeightedRoundRobin:{round(2 * c / slow)}" if factor > 1 else "WeightedRoundRobin:1"
        ),
        # What one more job adds to the load.
        "PriorityLeastUsed": lambda c: f"PriorityLeastUsed:{1 / max(1, round(100 * c)):.6f}",
    }
    words = tuple(policies.get(curve, lambda c: curve)(c) for c in capacities)
    return Scenario(words, capacities, users=10 * SERVERS, load=0.6, duration=duration, seed=seed)


SCENARIOS = {"load": _by_load, "ratio": _by_ratio, "size": _by_size, "difference": _by_difference}
SWEEPS = (
    Sweep("load", "Handling speed under load", "Load of the pool",
          (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9), SIMPLE),
    Sweep("ratio", "Few or many users, load 0.6", "Users per server", (1, 2, 3, 5, 10, 20, 30), SIMPLE,
          logarithmic=True),
    Sweep("size", f"Small or large jobs, load 0.6, {1000 * DELAY:g} ms for each message",
          "Seconds that a server alone needs for a job", (0.1, 0.3, 1, 3, 10, 30),
          ("LeastUsed", "LeastUsedDegradation:0.01", "RoundRobin", "Random"), logarithmic=True),
    Sweep("difference", f"{FAST} of {SERVERS} servers are faster, load 0.6",
          "Capacity of the fast servers by that of the slow ones", (1, 1.5, 2.5, 4.5, 7.5),
          ("PriorityLeastUsed", "LeastUsed", "WeightedRoundRobin", "RoundRobin")),
)  # fmt: skip


@dataclass(frozen=True)
class Point:
    """A point of a curve: means over the runs, and half the width of the speed's 95% confidence interval."""

    sweep: str
    policy: str
    x: float
    runs: int
    jobs: int
    speed: float
    confidence: float
    utilization: float
    queuing: float  # shares of the handling time
    startup: float
    rejected: int


def measure(task: tuple[Sweep, str, float, int, float]) -> Point:
    """Simulate one point with all its seeds."""
    sweep, curve, place, seeds, duration = task
    runs = [run(sweep.scenario(curve, place, seed, duration)) for seed in range(1, seeds + 1)]
    speeds = [one.handling_speed for one in runs]
    mean = math.fsum(speeds) / seeds
    half = 0.0
    if seeds > 1:
        deviation = math.sqrt(math.fsum((s - mean) ** 2 for s in speeds) / (seeds - 1))
        half = STUDENT[min(seeds, 10)] * deviation / math.sqrt(seeds)
    handling = math.fsum(r.queuing + r.startup + r.processing for r in runs) or 1.0
    return Point(
        sweep.name, curve, place, seeds, sum(r.jobs for r in runs), round(mean, 5), round(half, 5),
        round(math.fsum(r.utilization for r in runs) / seeds, 5),
        round(math.fsum(r.queuing for r in runs) / handling, 5),
        round(math.fsum(r.startup for r in runs) / handling, 5), sum(r.rejected for r in runs),
    )  # fmt: skip


def tasks(sweeps: Sequence[Sweep], seeds: int, duration: float) -> Iterator[tuple[Sweep, str, float, int, float]]:
    """All points that there are to measure."""
    for sweep in sweeps:
        for curve in sweep.curves:
            for place in sweep.places:
                yield sweep, curve, place, seeds, duration


def simulate(sweeps: Sequence[Sweep], seeds: int, duration: float, workers: int = 1) -> list[Point]:
    """Measure all points, in several processes if ``workers`` is more than 1."""
    everything = list(tasks(sweeps, seeds, duration))
    if workers == 1:
        return [measure(task) for task in everything]
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(measure, everything))


def write(folder: Path, name: str, rows: Sequence[dict[str, object]]) -> None:
    """Write rows as CSV and JSON. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f"{name}.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    (folder / f"{name}.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def main(words: Sequence[str]) -> int:
    """Run it with these command line words; return the exit status."""
    values = command_line(PROGRAM, words)
    if isinstance(values, int):
        return values
    folder = Path(values.output)
    if not values.noplots:
        try:
            import plots
        except ImportError as error:
            advice = "Install it (pip install 'pyrserpool[plots]'), or leave them out with -noplots."
            return fail(PROGRAM, f"no plots without matplotlib: {error}", advice)
    if values.processes:
        import processes

        measured = processes.compare()
        write(folder, "processes", [asdict(one) for one in measured])
        if not values.noplots:
            plots.processes(measured, folder)
    else:
        points = simulate(SWEEPS, values.seeds, values.duration, values.workers)
        write(folder, "simulation", [asdict(point) for point in points])
        if not values.noplots:
            for sweep in SWEEPS:
                plots.sweep(sweep, [p for p in points if p.sweep == sweep.name], folder)
    print(f"Results are in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
