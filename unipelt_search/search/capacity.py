"""How many runs fit on a machine or a cluster at a time, and what each of them gets."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from unipelt_search.errors import MachineError
from unipelt_search.specs.study import MachineSpec


@dataclass(frozen=True)
class Capacity:
    """What the workers of a study get."""

    device: Literal["cpu", "cuda"]
    workers: int
    """Runs at a time."""
    cpus: float
    """Cores of a run."""
    gpus: float
    """GPUs of a run; 0 on a CPU."""

    @property
    def threads(self) -> int:
        """Threads of a worker on a CPU."""
        return max(1, int(self.cpus))


def usable_cores() -> int:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def fit_workers(machine: MachineSpec, *, cores: float, gpus: float, where: str = "this machine") -> Capacity:
    """Divide what there is by what a run needs.

    Args:
        machine: What was asked for.
        cores: Cores that there are.
        gpus: GPUs that there are.
        where: `this machine` or `the cluster`, for the messages.

    Returns:
        The capacity; on a CPU of this machine an explicit number of workers is taken as it is.

    Raises:
        MachineError: One run needs more than there is.
    """
    asked_gpus = machine.gpus_per_trial
    on_gpu = machine.device == "cuda" or (machine.device == "auto" and gpus > 0 and asked_gpus != 0)
    if machine.device == "cuda" and (gpus == 0 or asked_gpus == 0):
        got = f"no GPU on {where}" if gpus == 0 else "--gpus-per-trial 0"
        raise MachineError(f"--device cuda needs a GPU for each run; got {got}. Use --device cpu, or auto.")
    gpus_per_run = 0.0 if not on_gpu else 1.0 if asked_gpus is None else asked_gpus
    wanted_gpus = max(gpus_per_run, asked_gpus or 0.0)
    if machine.cpus_per_trial > cores:
        raise MachineError(
            f"--cpus-per-trial must fit on {where}; got {machine.cpus_per_trial:g}, there are {cores:g} cores. "
            "Ask for fewer."
        )
    if wanted_gpus > gpus:
        raise MachineError(
            f"--gpus-per-trial must fit on {where}; got {wanted_gpus:g}, there are {gpus:g} GPUs. Ask for fewer."
        )
    fitting = math.floor(cores / machine.cpus_per_trial)
    if on_gpu:
        # A fraction of a GPU cannot be put together from two of them.
        on_gpus = gpus * math.floor(1 / gpus_per_run + 1e-9) if gpus_per_run <= 1 else gpus / gpus_per_run
        fitting = min(fitting, math.floor(on_gpus))
    workers = machine.concurrency or fitting
    if on_gpu or machine.address is not None:
        workers = min(workers, fitting)
    return Capacity("cuda" if on_gpu else "cpu", max(workers, 1), machine.cpus_per_trial, gpus_per_run)


def fit_cluster(machine: MachineSpec, resources: Mapping[str, float]) -> Capacity:
    """Divide what a cluster has by what a run needs, as `fit_workers` does.

    Args:
        machine: What was asked for.
        resources: What there is, by Ray's names.

    Returns:
        The capacity.

    Raises:
        MachineError: One run needs more than there is.
    """
    cores, gpus = resources.get("CPU", 0.0), resources.get("GPU", 0.0)
    return fit_workers(machine, cores=cores, gpus=gpus, where="the cluster")
