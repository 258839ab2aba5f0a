"""The examples of the documentation that need no other program run as they are printed there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = DOCS / "examples"
OUTPUT = re.compile(r"^```text\n(.*?)^```\n", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_engine_driven_by_anyio(backend):
    command = [sys.executable, "-W", "error", str(EXAMPLES / "anyio_engine.py"), backend]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == (f"1000 messages echoed on {backend}\n", "")


def test_the_tutorial_prints_what_it_says(capsys):
    """Indented blocks are one program, text blocks its output."""
    text = (DOCS / "tutorial-engine.md").read_text()
    lines = OUTPUT.sub("", text).splitlines()
    program = "\n".join(line[4:] if line.startswith("    ") else "" for line in lines)
    exec(compile(program, "tutorial-engine.md", "exec"), {})
    assert capsys.readouterr().out == "".join(OUTPUT.findall(text))
