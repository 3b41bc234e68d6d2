"""How many runs fit on a machine or a cluster at a time, and what each of them gets: arithmetic on what is given."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from unipelt_search.errors import MachineError
from unipelt_search.specs.study import MachineSpec

_ROUNDING = 1e-9
"""1 / (1 / 93) is a little below 93 in binary; without this, a GPU in 93 parts would hold 92 runs."""


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
    slowdown: float = 1.0
    """How many times longer a run takes than alone, where more cores are asked for than there are."""

    @property
    def threads(self) -> int:
        """Threads of a worker on a CPU."""
        return max(1, int(self.cpus))


def fit_workers(
    machine: MachineSpec,
    *,
    cores: float,
    gpus: float,
    where: str = "this machine",
) -> Capacity:
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
    gpus_per_run = _gpus_per_run(machine, gpus, where)
    # The number is checked even where the device is a CPU: who asks for GPUs that are not there has made a mistake.
    wanted_gpus = max(gpus_per_run, machine.gpus_per_trial or 0.0)
    if machine.cpus_per_trial > cores:
        raise MachineError(
            f"--cpus-per-trial must fit on {where}; got {machine.cpus_per_trial:g}, there are {cores:g} cores. "
            "Ask for fewer."
        )
    if wanted_gpus > gpus:
        raise MachineError(
            f"--gpus-per-trial must fit on {where}; got {wanted_gpus:g}, there are {gpus:g} GPUs. Ask for fewer."
        )
    on_gpu = gpus_per_run > 0
    fitting = math.floor(cores / machine.cpus_per_trial)
    if on_gpu:
        fitting = min(fitting, _runs_on_gpus(gpus, gpus_per_run))
    workers = machine.concurrency or fitting
    # Cores of this machine may be shared by more runs than there are cores; GPUs and what Ray grants may not.
    if on_gpu or machine.address is not None:
        workers = min(workers, fitting)
    device: Literal["cpu", "cuda"] = "cuda" if on_gpu else "cpu"
    workers = max(workers, 1)
    slowdown = max(1.0, workers * machine.cpus_per_trial / cores)
    return Capacity(device, workers, machine.cpus_per_trial, gpus_per_run, slowdown)


def _gpus_per_run(machine: MachineSpec, gpus: float, where: str) -> float:
    """Return the GPUs of a run; 0 is a run on a CPU."""
    asked = machine.gpus_per_trial
    if machine.device == "cuda" and (gpus == 0 or asked == 0):
        got = f"no GPU on {where}" if gpus == 0 else "--gpus-per-trial 0"
        raise MachineError(f"--device cuda needs a GPU for each run; got {got}. Use --device cpu, or auto.")
    found = machine.device == "auto" and gpus > 0
    if machine.device != "cuda" and not found:
        return 0.0
    return 1.0 if asked is None else asked


def _runs_on_gpus(gpus: float, gpus_per_run: float) -> int:
    if gpus_per_run > 1:
        return math.floor(gpus / gpus_per_run)
    # A fraction of a GPU cannot be put together from two of them.
    runs_per_gpu = math.floor(1 / gpus_per_run + _ROUNDING)
    return math.floor(gpus * runs_per_gpu)


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
    cores = resources.get("CPU", 0.0)
    gpus = resources.get("GPU", 0.0)
    return fit_workers(machine, cores=cores, gpus=gpus, where="the cluster")
