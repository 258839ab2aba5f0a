"""The examples of the documentation that need no other program run as they are printed there."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_engine_driven_by_anyio(backend):
    command = [sys.executable, "-W", "error", str(EXAMPLES / "anyio_engine.py"), backend]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == (f"1000 messages echoed on {backend}\n", "")
