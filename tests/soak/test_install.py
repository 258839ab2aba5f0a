"""Each installed program by its script: help and version, away from the source tree."""

from rserpool_apps.start import PROGRAMS

from tests.interop.test_install import installed as installed
from tests.interop.test_install import run
from tests.interop.test_install import wheel as wheel


def test_every_script_runs(installed, tmp_path):
    for name in PROGRAMS:
        assert run(installed / name, "--help", cwd=tmp_path).startswith(f"Usage: {name}")
        assert run(installed / name, "-version", cwd=tmp_path) == f"{name} (pyrserpool 0.1.0)\n"
