"""A part of the matrix in the lab's guest; all of it: ``python -m tests.interop.matrix``."""

import sys

import pytest

from .helpers import ROOT, run_in_guest

# One of each kind, our registrar against the original programs.
PART = (
    "use:P-O-O",
    "silent:P-O",
    "late:O-P-O",
    "late:P-O-O",
    "audit:O-P",
    "audit:P-O",
    "dumped:P-O",
    "takeover:O-P-O",
)


@pytest.mark.lab(root=False)
def test_our_registrar_among_the_originals():
    chosen = [word for name in PART for word in ("--only", name)]
    line = [sys.executable, "-m", "tests.interop.matrix", *chosen]
    done = run_in_guest(["sh", "-c", f"cd {ROOT} && exec {' '.join(line)}"], timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(PART)} mixtures, 0 failures" in done.stdout


@pytest.mark.lab(root=False)
def test_our_registrar_selects_in_the_order_of_the_original():
    line = f"cd {ROOT} && exec {sys.executable} -m tests.interop.sequences"
    done = run_in_guest(["sh", "-c", line], timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", 0 differ" in done.stdout
