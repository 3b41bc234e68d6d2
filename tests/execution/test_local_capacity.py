from __future__ import annotations

import pytest

from unipelt_search.errors import MachineError
from unipelt_search.execution.local_capacity import local_capacity, usable_cores
from unipelt_search.specs.study import MachineSpec


def test_as_many_runs_fit_as_there_are_cores() -> None:
    cores = usable_cores()
    assert cores >= 1
    assert local_capacity(MachineSpec(device="cpu")).workers == cores


def test_a_run_that_needs_more_than_this_machine_has_is_refused() -> None:
    with pytest.raises(MachineError, match="this machine"):
        local_capacity(MachineSpec(device="cpu", cpus_per_trial=usable_cores() + 1))
