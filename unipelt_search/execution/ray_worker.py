"""The worker as Ray Tune knows it: a process that Tune steps from event to event and hands the next run to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import torch
from ray import tune

from unipelt_search.execution.run_messages import Evaluated, RunEvent, decode_assignment, encode_event
from unipelt_search.execution.worker import Worker, WorkerSetup


class RunWorker(tune.Trainable):  # type: ignore[misc]  # ray's classes are untyped
    """Trains the run in its configuration; one step goes on to the run's next event."""

    def setup(
        self,
        config: dict[str, Any],
        *,
        shared: WorkerSetup,
        threads: int,
    ) -> None:
        """Set the process up and load once what every run shares.

        Args:
            config: The first run, as `encode_assignment` makes it.
            shared: What every run shares.
            threads: Threads of this process on a CPU.
        """
        if shared.device == "cpu":
            torch.set_num_threads(threads)
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # without it cuBLAS is not deterministic
        torch.use_deterministic_algorithms(True, warn_only=True)
        self._worker = Worker(shared)
        self._config = config
        self._events: Iterator[RunEvent] | None = None

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next run.

        Args:
            new_config: The run, as in `setup`.

        Returns:
            True: the process stays warm.
        """
        self._events = None  # dropped and so closed: a run that was not finished is given up
        self._config = new_config
        return True

    def step(self) -> dict[str, Any]:
        """Train up to the run's next event.

        Returns:
            The event, as `encode_event` makes it, and `done`, which Tune looks at, after the last one.
        """
        if self._events is None:
            self._events = self._worker.events(decode_assignment(self._config))
        event = next(self._events)
        return {**encode_event(event), "done": not isinstance(event, Evaluated)}

    def cleanup(self) -> None:
        """Give up a run that was not finished."""
        self._events = None
