"""The worker in this process: what it says of a run, and what stays from run to run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny
from unipelt_search.errors import DivergedError, MachineError
from unipelt_search.execution import worker
from unipelt_search.execution.run_messages import Evaluated, Failed, Finished, RunAssignment, RunEvent
from unipelt_search.execution.worker import Worker, WorkerSetup, is_out_of_memory, one_line
from unipelt_search.specs.study import BackboneSpec
from unipelt_search.training.objective import Objective


@pytest.fixture
def loads() -> list[str]:
    """The backbones that were loaded."""
    return []


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, loads: list[str]) -> Callable[[], Worker]:
    def load(spec: BackboneSpec, classes: int, device: str) -> Any:
        loads.append(spec.model)
        return tiny.tiny_backbone(classes=classes)

    monkeypatch.setattr(worker, "load_backbone", load)
    return lambda: Worker(WorkerSetup(tiny.tiny_task(), BackboneSpec(model="tiny"), "cpu", 500))


def asked(method: str, attempt: int = 1, progress: Path | None = None) -> RunAssignment:
    run = tiny.tiny_run(tiny.tiny_trial(method))
    return RunAssignment(run_id="r", attempt=attempt, run=run, label=method, checkpoint=None, progress=progress)


def drain(made: Worker, assignment: RunAssignment) -> list[RunEvent]:
    return list(made.events(assignment))


def result_of(events: list[RunEvent]) -> Any:
    assert isinstance(events[-1], Finished)
    return events[-1].result


def hooks(made: Worker) -> int:
    return sum(len(module._forward_hooks) for module in made._backbone.model.modules())


def test_evaluations_come_first_and_the_result_has_them_all(make: Callable[[], Worker]) -> None:
    events = drain(make(), asked("lora", attempt=3))
    assert {event.key for event in events} == {("r", 3)}
    rows = [event.row for event in events[:-1] if isinstance(event, Evaluated)]
    assert rows
    assert tuple(rows) == result_of(events).evaluations


def test_the_backbone_stays_loaded_and_runs_do_not_touch_each_other(
    make: Callable[[], Worker], loads: list[str]
) -> None:
    made = make()
    first = result_of(drain(made, asked("lora")))
    drain(made, asked("fine_tuning"))
    again = result_of(drain(made, asked("lora")))
    assert loads == ["tiny"]
    assert (again.tune, again.best_step) == (first.tune, first.best_step)
    assert [row.train_loss for row in again.evaluations] == [row.train_loss for row in first.evaluations]


def test_a_run_that_is_given_up_lets_go_of_the_backbone(make: Callable[[], Worker]) -> None:
    made = make()
    events: Iterator[RunEvent] | None = made.events(asked("unipelt_apl"))
    assert events is not None
    next(events)
    assert hooks(made) > 0
    events = None
    assert hooks(made) == 0
    assert result_of(drain(made, asked("head")))


def test_a_run_that_raises_has_failed_and_the_next_one_trains(
    make: Callable[[], Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge(*given: Any, **named: Any) -> Iterator[Any]:
        raise DivergedError("The loss is no finite number\nafter 3 steps.")
        yield

    made = make()
    with monkeypatch.context() as patch:
        patch.setattr(worker, "train_events", diverge)
        assert drain(made, asked("lora")) == [
            Failed(run_id="r", attempt=1, message="The loss is no finite number after 3 steps.", out_of_memory=False)
        ]
    assert result_of(drain(made, asked("lora")))


def test_a_run_goes_on_in_another_worker_and_says_where_its_state_is(
    make: Callable[[], Worker], tmp_path: Path
) -> None:
    undisturbed = drain(make(), asked("lora"))
    assert isinstance(undisturbed[0], Evaluated)
    assert undisturbed[0].checkpoint is None
    begun = make().events(asked("lora", progress=tmp_path))
    first = next(begun)
    assert isinstance(first, Evaluated)
    assert (first.checkpoint, first.problem) == (str(tmp_path / "0001-000000003"), None)
    del begun
    events = drain(make(), asked("lora", attempt=2, progress=tmp_path))
    assert [event.kind for event in events] == ["evaluated", "finished"]
    assert isinstance(events[0], Evaluated)
    assert events[0].checkpoint == str(tmp_path / "0002-000000006")
    went_on, whole = result_of(events), result_of(undisturbed)
    assert (went_on.tune, went_on.gates, went_on.steps) == (whole.tune, whole.gates, whole.steps)


def test_a_state_that_cannot_be_kept_is_told_with_the_evaluation(make: Callable[[], Worker], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    events = drain(make(), asked("lora", progress=tmp_path / "file" / "r"))
    evaluations = [event for event in events if isinstance(event, Evaluated)]
    assert evaluations
    for event in evaluations:
        assert event.checkpoint is None
        assert event.problem is not None and event.problem.code == "checkpoint_not_written"
    assert result_of(events)


@pytest.mark.parametrize(
    ("error", "want"),
    [
        (MemoryError(), True),
        (torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("The size of tensor a (3) must match"), False),
        (DivergedError("the loss must be finite"), False),
    ],
)
def test_out_of_memory_is_told_from_other_faults(error: Exception, want: bool) -> None:
    assert is_out_of_memory(error) == want


def test_torchs_own_message_for_out_of_memory_is_known() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


def test_a_run_out_of_memory_says_so_and_lets_go_of_what_it_had(
    make: Callable[[], Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make()
    events = made.events(asked("lora"))
    next(events)
    monkeypatch.setattr(Objective, "__call__", lambda *given: torch.empty(2**60, dtype=torch.uint8))
    last = next(events)
    assert isinstance(last, Failed)
    assert last.out_of_memory
    assert hooks(made) == 0


def test_a_worker_without_the_drivers_plug_ins_trains_nothing(loads: list[str]) -> None:
    setup = WorkerSetup(tiny.tiny_task(), BackboneSpec(model="tiny"), "cpu", 500, {"no-such-package": "1.0"})
    with pytest.raises(MachineError, match="no-such-package"):
        Worker(setup)
    assert loads == []


def test_foreign_errors_keep_their_type_and_stay_short() -> None:
    assert one_line(ValueError("a\n  b")) == "ValueError: a b"
    assert len(one_line(RuntimeError("x" * 10_000))) < 600
