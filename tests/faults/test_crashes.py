"""Studies whose driver is killed, again and again; `make acceptance` does the same a thousand times."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from faults.crash import kill_again_and_again

ROOT = Path(__file__).parents[2]
KILLS = 50
pytestmark = pytest.mark.timeout(300)


def test_drivers_killed_at_random_moments_lose_nothing_and_do_nothing_twice(tmp_path: Path) -> None:
    kills, seed = 0, 0
    while kills < KILLS:
        kills += kill_again_and_again(tmp_path, seed, limit=KILLS - kills).kills
        seed += 1


def test_the_simulation_is_a_program_that_loads_no_heavy_library(tmp_path: Path) -> None:
    code = (
        "import sys, faults.simulated_study as it\n"
        "sys.exit(bool({'torch', 'pandas', 'ray', 'transformers'} & set(sys.modules)))"
    )
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
