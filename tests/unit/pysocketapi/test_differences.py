"""The differences that the contract suite allows are used by its cases, and shown on the page about sockets."""

import re
from pathlib import Path

from tests.contract.differences import DIFFERENCES

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "reference" / "sockets.md").read_text()
CASES = "".join(path.read_text() for path in sorted((ROOT / "tests" / "contract").glob("test_*.py")))


def test_every_difference_is_one_of_a_case():
    assert [name for name in DIFFERENCES if f'"{name}"' not in CASES] == []


def test_the_page_shows_all_of_them():
    rows = re.findall(r"^\| ([a-z-]+) \| (userland|kernel) \| (.*) \|$", PAGE, re.M)
    assert rows == [(name, who, why) for name, missing in DIFFERENCES.items() for who, why in missing.items()]


def test_the_suite_has_no_skips_of_its_own():
    """Cases are left out by the table only; the one exception is the case that starts the suite in the guest."""
    words = re.findall(r"pytest\.(?:mark\.)?(skip\w*|xfail|importorskip)", CASES)
    assert words == ["skipif"]
