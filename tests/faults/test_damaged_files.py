"""Databases that were cut off, overwritten or hit by a flipped bit: found or harmless, never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults.damage import damage_and_open

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize(
    "count", [pytest.param(50, id="few"), pytest.param(2_000, id="many", marks=[pytest.mark.slow])]
)
def test_a_damaged_database_is_found_or_harmless(count: int, tmp_path: Path) -> None:
    outcomes = damage_and_open(tmp_path, count)
    assert sum(outcomes.values()) == count
    assert outcomes["found"] > count // 4
    assert outcomes["harmless"] > 0
