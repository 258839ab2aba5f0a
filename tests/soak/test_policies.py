"""A million selections of each random policy against its distribution."""

import pytest

from tests.unit.handlespace.test_policies import RANDOM_CASES, chi_square, limit, space_of


@pytest.mark.parametrize("values, expected", RANDOM_CASES, ids=lambda v: "")
def test_a_million_selections(values, expected):
    space = space_of(*values, seed=11)
    assert chi_square(space, expected, 1_000_000) < limit(len(expected) - 1)
