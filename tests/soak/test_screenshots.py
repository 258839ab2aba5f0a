"""The pictures of the documentation can be made, and are pictures of something."""

import importlib.util
import shutil
import subprocess
import sys

from tests.interop.browser import chromium_or_skip
from tests.interop.helpers import ROOT, lacking

NAMES = {"cspmonitor", "fractalpooluser", "fractalpooluser-window", "rspdemo", "web-page"}
LARGEST = 300 * 1024  # bytes


def test_all_pictures_are_made(tmp_path):
    chromium_or_skip()
    if importlib.util.find_spec("PySide6") is None or not shutil.which("Xvfb"):
        lacking("PySide6 (extra gui) or Xvfb is missing")
    command = [sys.executable, "-m", "tests.screenshots", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {p.stem for p in tmp_path.glob("*.png")} == NAMES
    for picture in tmp_path.glob("*.png"):
        assert 8 * 1024 < picture.stat().st_size < LARGEST
    assert {p.stem for p in (ROOT / "docs" / "images").glob("*.png")} == NAMES
