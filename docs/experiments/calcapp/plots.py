"""The diagrams of the experiment, by matplotlib (``pip install 'pyrserpool[plots]'``)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
# The same figures give the same file.
matplotlib.rcParams["svg.hashsalt"] = "calcapp"
matplotlib.rcParams["svg.fonttype"] = "none"

from matplotlib import pyplot  # noqa: E402

MARKERS = "osD^v"


def _finish(figure, folder: Path, name: str) -> None:
    figure.tight_layout()
    for kind in ("svg", "png"):
        metadata = {"Date": None} if kind == "svg" else {"Software": None}
        figure.savefig(folder / f"{name}.{kind}", metadata=metadata, dpi=110)
    pyplot.close(figure)


def _axes(title: str, label: str):
    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    axes.set_title(title)
    axes.set_xlabel(label)
    axes.set_ylabel("Handling speed / capacity of a server")
    axes.set_ylim(0, 1.05)
    axes.grid(alpha=0.3)
    return figure, axes


def sweep(diagram, points: Sequence, folder: Path) -> None:
    """One curve for each policy, with 95% confidence intervals."""
    figure, axes = _axes(diagram.title, diagram.label)
    for marker, curve in zip(MARKERS, diagram.curves):
        found = [p for p in points if p.policy == curve]
        axes.errorbar([p.x for p in found], [p.speed for p in found], [p.confidence for p in found],
                      marker=marker, capsize=3, label=curve)  # fmt: skip
    if diagram.logarithmic:
        axes.set_xscale("log")
        axes.set_xticks(diagram.places, [f"{x:g}" for x in diagram.places])
        axes.minorticks_off()
    axes.set_ylim(0, max(1.05, *(p.speed + p.confidence + 0.02 for p in points)))
    axes.legend()
    _finish(figure, folder, diagram.name)


def processes(measured: Sequence, folder: Path) -> None:
    """Real programs (points) beside the simulation of the same (lines, with the bounds of 95% of runs)."""
    figure, axes = _axes("Real programs and the simulation of the same pool", "Load of the pool")
    for number, (marker, policy) in enumerate(zip(MARKERS, dict.fromkeys(m.policy for m in measured))):
        found = [m for m in measured if m.policy == policy]
        places = [m.load + 0.01 * number for m in found]  # beside each other
        spread = [[m.simulated - m.low for m in found], [m.high - m.simulated for m in found]]
        axes.errorbar(places, [m.simulated for m in found], spread, color=f"C{number}", capsize=3, label=policy)
        axes.plot(places, [m.speed for m in found], marker, color=f"C{number}")
    axes.legend()
    _finish(figure, folder, "processes")
