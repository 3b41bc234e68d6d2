"""The Ray of a study: started on this machine for it alone, or that of a cluster which it joins."""

from __future__ import annotations

import logging
import math
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from itertools import chain

import psutil
import ray
import torch
from ray._private import ray_constants, worker

from unipelt_search.errors import MachineError, UnipeltError
from unipelt_search.execution.interrupts import handled
from unipelt_search.execution.local_capacity import local_capacity, usable_cores
from unipelt_search.execution.worker import one_line
from unipelt_search.search.capacity import Capacity, fit_cluster
from unipelt_search.specs.study import MachineSpec

_STARTS = 3
"""Ray's own start-up times out now and then on a loaded machine."""
_SILENCE = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}


@contextmanager
def open_ray(machine: MachineSpec) -> Iterator[Capacity]:
    """Start Ray on this machine, or join a cluster, and leave it again.

    A Ray session that this process has already is used as it is.

    Args:
        machine: Where the study is to run.

    Yields:
        How many runs fit at a time, and what each gets.

    Raises:
        MachineError: A run does not fit, or the cluster cannot be joined.
        UnipeltError: Ray cannot be started on this machine.
    """
    with _silence(), _terminate_as_interrupt():
        if ray.is_initialized():
            yield fit_cluster(machine, ray.cluster_resources())
            return
        try:
            if machine.address is None:
                capacity = local_capacity(machine)
                _start_local(capacity)
            else:
                _join(machine.address)
                capacity = fit_cluster(machine, ray.cluster_resources())
            yield capacity
        finally:
            _shut_down()


def _start_local(capacity: Capacity) -> None:
    for attempt in range(1, _STARTS + 1):
        try:
            with _apart():
                ray.init(
                    address="local",
                    num_cpus=max(usable_cores(), math.ceil(capacity.workers * capacity.cpus)),
                    num_gpus=torch.cuda.device_count() if capacity.device == "cuda" else 0,
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.CRITICAL,
                )
            return
        except Exception as error:  # Ray raises bare exceptions when its processes come up too slowly
            _shut_down()
            if attempt == _STARTS:
                raise UnipeltError(
                    f"Ray must start on this machine; it did not in {_STARTS} attempts: {one_line(error)} "
                    "Free some memory, or wait until the machine is less busy."
                ) from error


@contextmanager
def _apart() -> Iterator[None]:
    """Let Ray listen on the loopback alone, as it does where it knows no clusters, and leave SIGTERM to this process.

    No public setting does either. Who ends a job sends SIGTERM to each of its processes; this one could not end in
    order if Ray's were gone, and Ray itself would end it after a minute.
    """
    before, ray_constants.ENABLE_RAY_CLUSTER = ray_constants.ENABLE_RAY_CLUSTER, False
    unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
        ray_constants.ENABLE_RAY_CLUSTER = before


def _shut_down() -> None:
    """End the Ray that was started here, with all that it has started; none of that hears SIGTERM."""
    node = worker._global_node
    processes = [] if node is None else chain.from_iterable(node.all_processes.values())
    started = [one.process for one in processes]
    below = []
    for process in started:
        with suppress(psutil.NoSuchProcess):
            below += psutil.Process(process.pid).children(recursive=True)
        process.terminate = process.kill  # Ray would wait a second for each
    ray.shutdown()
    for child in below:
        with suppress(psutil.NoSuchProcess):
            child.kill()


def _join(address: str) -> None:
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise MachineError(
            f"--address must be a Ray cluster that runs; got {address!r}: {one_line(error)} Check the address and "
            "its token, or leave --address out to use this machine alone."
        ) from error


@contextmanager
def _silence() -> Iterator[None]:
    """Keep Ray off the user's terminal."""
    before = {name: os.environ.get(name) for name in _SILENCE}
    os.environ.update(_SILENCE)
    logger = logging.getLogger("ray")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        # Ray tells of dead workers on stdout, whatever it is asked; stdout is for results.
        with warnings.catch_warnings(), redirect_stdout(sys.stderr):
            warnings.filterwarnings("ignore", module=r"ray(\.|$)")
            yield
    finally:
        logger.setLevel(level)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _terminate_as_interrupt() -> Iterator[None]:
    """Let SIGTERM, which schedulers send before they take a machine away, do what Ctrl-C does; Ray would exit."""
    with handled({signal.SIGTERM: signal.default_int_handler}):
        yield
