"""`make demo` in terminals of two sizes (without one: test_walkthrough), and a scenario that is played by hand."""

import re
import subprocess

import pytest
from rserpool_apps.scenario import source

from .helpers import ROOT
from .programs import ours
from .screens import HIDE, OTHER, SHOW, USUAL, terminal


def test_make_demo_plays_the_default_scenario():
    command = ["make", "-n", "--no-print-directory", "demo"]  # this may run below another make
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1].endswith("/rspdemo")


def check_end(shown):
    """The terminal is as it was before, and all that is left in it fits into it."""
    assert shown.restored
    assert shown.written.count(OTHER) == shown.written.count(USUAL) == 1
    assert shown.written.rindex(SHOW) > shown.written.rindex(HIDE)
    assert "Traceback" not in shown.usual.text
    assert shown.usual.scrolled == 0


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (200, 60)])
def test_the_demo_in_a_terminal(columns, rows, tmp_path):
    image = tmp_path / "image.png"
    (tmp_path / "fractal.toml").write_text(source("fractal").replace("limit = 28", "limit = 90"))  # a busy machine
    command = ours("rspdemo", str(tmp_path / "fractal.toml"), f"-png={image}")
    with terminal(command, columns, rows, late=True) as shown:
        assert shown.end(110) == 0, shown.usual.text
    check_end(shown)
    # The live picture: as large as the terminal, overwritten in place.
    live = shown.written.partition(OTHER)[2].partition(USUAL)[0]
    assert shown.other.scrolled == 0
    assert b"\x1b[2K" not in live, "lines are erased before they are written: that flickers"
    assert live.count(b"\x1b[2J") <= 1
    assert live.count(b"\x1b[H") > 10, "it is live"
    picture = [line for line in shown.other.display if "▀▀▀▀" in line]
    assert len(picture) >= min(rows - 8, columns // 4 - 2)
    # What is left: the picture once more, and what happened.
    lines = shown.usual.text.splitlines()
    assert len(lines) < rows, "the prompt needs a line, too"
    text = "\n".join(lines)
    assert re.search(r"registrars (●A ✖B|✖A ●B)   servers .*✖.*   user ○", lines[0]), text
    assert re.search(r"server \w was killed while it drew; its part went on elsewhere after \d+\.\d\d s\.", text)
    assert "The image of 480 x 240 points is complete" in text
    assert image.read_bytes().startswith(b"\x89PNG")


SCENARIO = """
title = "By hand"
[components.registrar]
options = ["-mentordiscoverytimeout=200", "-serverannouncecycle=200"]
[components.server]
options = ["-echo"]
"""


@pytest.mark.parametrize("end", ["q", "\x03"], ids=["q", "Ctrl-C"])
def test_a_scenario_without_a_script_is_played_by_keys(end, tmp_path):
    (tmp_path / "hand.toml").write_text(SCENARIO)
    with terminal(ours("rspdemo", str(tmp_path / "hand.toml")), 80, 24) as shown:
        shown.shows("● ready", 30)
        shown.shows("s start  x stop  k kill  r restart  q end")
        shown.press("k")
        shown.shows("kill which? 1 registrar  2 server")
        shown.press("2")
        shown.shows("✖ killed")
        shown.press("s2")
        shown.shows("● ready", 30)
        shown.press("x2")
        shown.shows("○ ended", 10)
        shown.press(end)
        assert shown.end(6) == 0
    check_end(shown)
    assert shown.other.scrolled == 0
