"""Training in the test's own process, one run after another, in place of Ray."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from unipelt_search.backbones.backbone import load_backbone
from unipelt_search.execution import ray_executor, ray_session
from unipelt_search.execution.driver import FINISHED
from unipelt_search.records.results import RunResult
from unipelt_search.search.capacity import Capacity
from unipelt_search.specs.study import MachineSpec
from unipelt_search.training.checkpoint import RunCheckpoints
from unipelt_search.training.train import train_events


def train_in_process(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace Ray until the test ends; returns the labels of the runs, as they begin."""
    begun: list[str] = []

    @contextmanager
    def open_ray(machine: MachineSpec) -> Iterator[Capacity]:
        yield Capacity("cpu", 1, 1.0, 0.0)

    def execute(driver: Any, capacity: Capacity, task: Any, backbone: Any, tune_rows: int) -> bool:
        loaded = load_backbone(backbone, task.target.outputs, "cpu")
        while (assignment := driver.next_run()) is not FINISHED:
            begun.append(assignment.label)
            who, folder = (assignment.run_id, assignment.attempt), assignment.progress
            kept = RunCheckpoints(folder, *who) if folder else None
            for event in train_events(
                assignment.run, loaded, task, checkpoint=assignment.checkpoint, tune_rows=tune_rows, progress=kept
            ):
                if isinstance(event, RunResult):
                    driver.on_result(*who, event)
                else:
                    driver.on_evaluation(*who, event, checkpoint=str(kept.newest) if kept else None)
        return True

    monkeypatch.setattr(ray_session, "open_ray", open_ray)
    monkeypatch.setattr(ray_executor, "execute", execute)
    return begun
