"""What this machine has, and how many runs fit on it at a time."""

from __future__ import annotations

import os

import torch

from unipelt_search.search.capacity import Capacity, fit_workers
from unipelt_search.specs.study import MachineSpec


def usable_cores() -> int:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def local_capacity(machine: MachineSpec) -> Capacity:
    """Divide what this machine has by what a run needs.

    Args:
        machine: What was asked for.

    Returns:
        The capacity of this machine alone.

    Raises:
        MachineError: One run needs more than there is.
    """
    return fit_workers(machine, cores=usable_cores(), gpus=torch.cuda.device_count(), where="this machine")
