"""Runs this whole suite once more on the kernel backend, inside the lab's guest."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.interop import helpers

from .support import BACKEND

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@pytest.mark.lab
@pytest.mark.skipif(BACKEND == "kernel", reason="this is the run in the guest")
def test_the_same_suite_on_kernel_sctp():
    helpers.lab_or_skip()
    extensions = {f"SCTP_{name}": "1" for name in ("RECONF", "AUTH", "ADDIP", "ADDIP_NOAUTH")}
    environment = {**os.environ, **extensions, "CONTRACT_BACKEND": "kernel"}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no", "-x", str(HERE)]
    lab = ROOT / "tests" / "interop" / "lab" / "uml-run"
    run = subprocess.run(
        [str(lab), "--timeout", "400", "--", *command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=480,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    passed = re.search(r"(\d+) passed", run.stdout)
    assert passed and int(passed[1]) >= 400, run.stdout[-2000:]
