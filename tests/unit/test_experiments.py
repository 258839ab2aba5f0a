"""The CalcApp experiment: its curves have the known shape and agree with theory; they are written and drawn."""

import csv
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "experiments" / "calcapp"
sys.path.insert(0, str(FOLDER))

import experiment  # noqa: E402
from simulation import Scenario, run  # noqa: E402


def speed(policy, load, seeds=(1, 2, 3), **words):
    base = Scenario((policy,) * 10, (1.0,) * 10, 100, load, duration=600.0, warmup=200.0)
    results = [run(replace(base, seed=seed, **words)) for seed in seeds]
    return sum(r.handling_speed for r in results) / len(results)


def test_least_used_is_faster_than_round_robin_than_random_and_all_fall_with_load():
    found = {policy: [speed(policy, load) for load in (0.3, 0.6, 0.8)] for policy in experiment.SIMPLE}
    for light, middle, heavy in found.values():
        assert light > middle + 0.05 > heavy + 0.1
    for load in range(3):
        used, turns, chance = (found[policy][load] for policy in ("LeastUsed", "RoundRobin", "Random"))
        assert 1 >= used > turns + 0.03 > chance + 0.1


def test_chance_over_many_users_is_processor_sharing():
    """A queueing system M/M/1 with processor sharing takes size / (capacity * (1 - load)) for a job."""
    for load in (0.3, 0.6):
        assert speed("Random", load, seeds=range(1, 9), users=600) == pytest.approx(1 - load, abs=0.06)


def test_news_that_come_late_cost_the_small_jobs_most():
    small, large = (speed("LeastUsed", 0.6, size=size, delay=0.02, duration=60 * size, warmup=20 * size)
                    for size in (0.1, 10.0))  # fmt: skip
    assert small < 0.6 * large


def test_a_run_is_the_same_again_and_another_with_another_seed():
    scenario = Scenario(("Random",) * 3, (1.0,) * 3, 9, 0.5, delay=0.1, duration=300.0, warmup=50.0)
    assert run(scenario) == run(scenario) != run(replace(scenario, seed=2))


def test_what_is_done_is_what_came_and_users_wait_when_servers_are_full():
    result = run(Scenario(("LeastUsed",) * 2, (0.5, 1.5), 40, 0.5, duration=3000.0))
    assert result.utilization == pytest.approx(0.5, abs=0.05)
    assert result.rejected == 0 < result.jobs
    crowded = run(Scenario(("RoundRobin",) * 2, (1.0,) * 2, 40, 0.7, duration=1000.0, max_jobs=2))
    assert crowded.rejected > 0
    assert crowded.startup > 0


@pytest.fixture
def tiny(monkeypatch):
    first = replace(experiment.SWEEPS[0], places=(0.2, 0.6))
    monkeypatch.setattr(experiment, "SWEEPS", (first,))
    return first


def table(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def test_results_are_written(tiny, tmp_path, capsys):
    words = [f"-output={tmp_path}/r", "-seeds=2", "-duration=50", "-workers=1", "-noplots"]
    assert experiment.main(words) == 0
    assert str(tmp_path) in capsys.readouterr().out
    rows = table(tmp_path / "r" / "simulation.csv")
    assert [(r["policy"], r["x"]) for r in rows] == [(p, x) for p in tiny.curves for x in ("0.2", "0.6")]
    points = experiment.simulate([tiny], 2, 50)
    assert json.loads((tmp_path / "r" / "simulation.json").read_text()) == [asdict(p) for p in points]


def test_every_point_of_every_diagram_can_be_simulated():
    for sweep in experiment.SWEEPS:
        for curve in sweep.curves:
            for place in sweep.places:
                scenario = sweep.scenario(curve, place, 1, 10.0)
                assert len(scenario.policies) == len(scenario.capacities)
                assert sum(scenario.capacities) == pytest.approx(experiment.SERVERS)
                short = replace(scenario, warmup=0.0, duration=2 * scenario.size)
                assert run(short).utilization >= 0


def test_plots(tiny, tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is missing (pip install -e '.[plots]')")
    assert experiment.main([f"-output={tmp_path}", "-seeds=2", "-duration=50", "-workers=1"]) == 0
    once = (tmp_path / "load.svg").read_bytes()
    assert b"LeastUsed" in once and (tmp_path / "load.png").stat().st_size > 5000
    assert experiment.main([f"-output={tmp_path}", "-seeds=2", "-duration=50", "-workers=1"]) == 0
    assert (tmp_path / "load.svg").read_bytes() == once


def test_the_results_in_the_documentation_are_complete():
    rows = table(FOLDER / "results" / "simulation.csv")
    wanted = [(s.name, c, float(x)) for s in experiment.SWEEPS for c in s.curves for x in s.places]
    assert [(r["sweep"], r["policy"], float(r["x"])) for r in rows] == wanted
    for sweep in experiment.SWEEPS:
        assert (FOLDER / "results" / f"{sweep.name}.svg").exists()
