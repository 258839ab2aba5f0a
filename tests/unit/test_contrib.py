"""The files for systemd and containers are in order."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from rserpool_apps.start import PROGRAMS

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "contrib" / "systemd" / "rspregistrar.service"


def test_systemd_finds_nothing_wrong():
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is missing")
    command = ["systemd-analyze", "verify", "--man=no", str(UNIT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    # It complains of other units of this host, too.
    ours = [line for line in done.stderr.splitlines() if UNIT.name in line and "not executable" not in line]
    assert ours == []


def test_the_unit_starts_a_program_of_ours_with_options_that_it_has():
    from rserpool_apps import rspregistrar
    from rserpool_apps.options import parse

    words = re.search(r"^ExecStart=/usr/bin/env (.*)$", UNIT.read_text(), re.MULTILINE)[1].split()
    assert words[0] == "rspregistrar"
    parse(rspregistrar.PROGRAM, words[1:])


def test_the_container_runs_a_program_of_ours_and_gets_no_rubbish():
    lines = (ROOT / "contrib" / "container" / "Containerfile").read_text().splitlines()
    assert re.search(r'CMD \["(.*?)"', "\n".join(lines))[1] in PROGRAMS
    assert any(line.startswith("FROM ") and "python:3.1" in line for line in lines)
    assert any(line.startswith("USER ") and "root" not in line and line != "USER 0" for line in lines)
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {".git", ".venv", "build"} <= set(ignored)
