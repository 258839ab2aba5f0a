"""The handbook's walk-through and the demo on a host with nothing but loopback, without root and kernel SCTP.

Where the tests run as root, they drop it: the programs are those of the user nobody, who has no capability.
Elsewhere a user namespace gives the network namespace.
"""

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from .helpers import ROOT

NOBODY = 65534
LOOPBACK = 'ip link set lo up && exec "$@"'
DROP = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs", "--inh-caps=-all",
        "--bounding-set=-all"]  # fmt: skip
NEEDED = {Path(sys.base_prefix), Path(sys.prefix), ROOT}


def opened(hold: Path) -> list[str]:
    """Shell commands that show nobody what the programs need, by mounts that nobody else sees.

    A folder that nobody may not enter, as root's home, is covered by an empty one with just that in it.
    """
    shut = {next((str(p) for p in reversed(path.parents) if not p.stat().st_mode & 1), "") for path in NEEDED} - {
        ""
    }
    inside = [str(path) for path in NEEDED if any(path.is_relative_to(s) for s in shut)]
    lines = []
    for number, path in enumerate(inside):
        lines.append(f"mkdir -p {hold}/{number} && mount --bind {shlex.quote(path)} {hold}/{number}")
    lines += [f"mount -t tmpfs -o mode=755 tmpfs {shlex.quote(path)}" for path in shut]
    for number, path in enumerate(inside):
        lines.append(f"mkdir -p {shlex.quote(path)} && mount --bind {hold}/{number} {shlex.quote(path)}")
    return lines


@pytest.fixture
def alone():
    """Runs a command without privileges, alone with loopback; in the folder of that user's files."""
    with tempfile.TemporaryDirectory(dir="/tmp") as home, contextlib.ExitStack() as stack:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "RSERPOOL"))}
        environment |= {"HOME": home, "TMPDIR": home, "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
        if os.geteuid() == 0 and shutil.which("setpriv"):
            hold = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp")))
            os.chown(home, NOBODY, NOBODY)
            script = " && ".join([*opened(hold), f'set -- {shlex.join(DROP)} "$@"', LOOPBACK])
            before = ["unshare", "-nm", "sh", "-c", script, "sh"]
        else:
            before = ["unshare", "-rn", "sh", "-c", LOOPBACK, "sh"]
        if not shutil.which("unshare") or subprocess.run([*before, "true"], check=False).returncode:
            pytest.skip("network namespaces cannot be had here")

        def run(*command, seconds=300):
            return subprocess.run(
                [*before, *command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=seconds,
                check=False,
            )  # fmt: skip

        run.home = Path(home)
        yield run


def test_the_walk_through_of_the_handbook(alone):
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-p",
        "no:rerunfailures",
    ]
    done = alone(*command, str(ROOT / "tests" / "interop" / "handbook.py"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_demo_needs_no_privileges(alone):
    if os.geteuid() == 0:
        said = alone("sh", "-c", "id -u; grep CapEff /proc/self/status; test -w .; echo $?").stdout.split()
        assert said == [str(NOBODY), "CapEff:", "0" * 16, "1"]
    done = alone(sys.executable, "-m", "rserpool_apps", "rspdemo", seconds=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The image of 480 x 240 points is complete" in done.stdout
    assert [p.read_bytes()[:4] for p in alone.home.glob("rspdemo-*.png")] == [b"\x89PNG"]
