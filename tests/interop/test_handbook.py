"""The handbook's walk-through, on a host with nothing but loopback, without root, without SCTP in the kernel."""

import os
import shutil
import subprocess
import sys

import pytest

from .helpers import ROOT

NAMESPACE = ["unshare", "-rn", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]


def test_the_walk_through_of_the_handbook():
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist",
               str(ROOT / "tests" / "interop" / "handbook.py")]  # fmt: skip
    if (
        not shutil.which("unshare")
        or subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("network namespaces cannot be had here")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    done = subprocess.run(
        [*NAMESPACE, *command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
