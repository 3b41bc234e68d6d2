from __future__ import annotations

import numpy as np
import pytest

from unipelt_search.kinds.dominance import groups_of, sums_above, sums_above_in_both


@pytest.mark.parametrize("different", [1, 2, 5, 1000])
def test_sums_are_those_of_a_plain_comparison(different: int) -> None:
    random = np.random.default_rng(different)
    for rows in (1, 2, 17, 60):
        x, y = random.integers(0, different, (2, rows))
        values = random.normal(size=rows)
        others = 1.0 - np.eye(rows)
        above_x = others * np.heaviside(x - x[:, None], 0.5)
        above_y = others * np.heaviside(y - y[:, None], 0.5)
        groups = groups_of(x), groups_of(y)
        np.testing.assert_allclose(sums_above(groups[0], values), above_x @ values, atol=1e-12)
        squared = sums_above(groups[0], values, tie=0.25)
        np.testing.assert_allclose(squared, above_x**2 @ values, atol=1e-12)
        both = sums_above_in_both(*groups, values)
        np.testing.assert_allclose(both, (above_x * above_y) @ values, atol=1e-12)


def test_groups_are_numbered_from_the_smallest() -> None:
    assert groups_of(np.array([2.5, -1.0, 2.5, 0.0])).tolist() == [2, 0, 2, 1]
