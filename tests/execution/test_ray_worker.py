"""The worker without Ray: its methods are called as Tune calls them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import tiny
from unipelt_search.execution import ray_worker, worker
from unipelt_search.execution.ray_worker import RunWorker
from unipelt_search.execution.run_messages import Evaluated, Finished, RunAssignment, decode_event, encode_assignment
from unipelt_search.execution.worker import WorkerSetup
from unipelt_search.specs.study import BackboneSpec


def config(method: str) -> dict[str, str]:
    run = tiny.tiny_run(tiny.tiny_trial(method))
    return encode_assignment(RunAssignment(run_id=method, attempt=1, run=run, label=method, checkpoint=None))


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], RunWorker]:
    monkeypatch.setattr(worker, "load_backbone", lambda spec, classes, device: tiny.tiny_backbone(classes=classes))
    monkeypatch.setattr(ray_worker.torch, "use_deterministic_algorithms", lambda *given, **named: None)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")

    def build(method: str) -> RunWorker:
        made = RunWorker.__new__(RunWorker)
        shared = WorkerSetup(tiny.tiny_task(), BackboneSpec(model="tiny"), "cpu", 500)
        made.setup(config(method), shared=shared, threads=1)
        return made

    return build


def steps(made: RunWorker) -> list[dict[str, Any]]:
    done = [made.step()]
    while not done[-1]["done"]:
        done.append(made.step())
    return done


def test_every_step_is_an_event_and_the_last_one_is_done(make: Callable[[str], RunWorker]) -> None:
    events = [decode_event(result) for result in steps(make("lora"))]
    assert [type(event) for event in events] == [Evaluated] * (len(events) - 1) + [Finished]
    assert {event.key for event in events} == {("lora", 1)}


def test_a_run_that_was_not_finished_makes_way_for_the_next_one(make: Callable[[str], RunWorker]) -> None:
    made = make("unipelt_apl")
    made.step()
    assert made.reset_config(config("head"))
    assert sum(len(module._forward_hooks) for module in made._worker._backbone.model.modules()) == 0
    assert decode_event(steps(made)[-1]).key == ("head", 1)
    made.reset_config(config("lora"))
    made.step()
    made.cleanup()
    assert sum(len(module._forward_hooks) for module in made._worker._backbone.model.modules()) == 0
