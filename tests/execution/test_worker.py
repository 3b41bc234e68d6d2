"""The worker without Ray: its methods are called as Tune calls them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from ray import cloudpickle
from ray.exceptions import ActorUnavailableError, RayActorError

import tiny
from unipelt_search.errors import DivergedError
from unipelt_search.execution import worker
from unipelt_search.execution.worker import RunWorker, error_of, is_lost_machine, is_out_of_memory, one_line
from unipelt_search.records.results import EvaluationRow, RunResult
from unipelt_search.specs.study import BackboneSpec
from unipelt_search.training import train


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator:
    loads: list[str] = []

    def load(spec: BackboneSpec, classes: int, device: str):
        loads.append(spec.model)
        return tiny.tiny_backbone(classes=classes)

    monkeypatch.setattr(worker, "load_backbone", load)
    monkeypatch.setattr(worker.torch, "use_deterministic_algorithms", lambda *given, **named: None)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")

    def build(method: str, **training) -> RunWorker:
        made = RunWorker.__new__(RunWorker)
        made.setup(
            config(method, **training), task=tiny.tiny_task(), backbone=BackboneSpec(model="tiny"), device="cpu",
            threads=1, tune_rows=500,
        )  # fmt: skip
        made.loads = loads
        return made

    return build


def config(method: str, attempt: int = 1, progress: Path | None = None, **training) -> dict:
    run = tiny.tiny_run(tiny.tiny_trial(method, **training))
    return {
        "run_id": "r", "attempt": attempt, "run": run.model_dump_json(), "checkpoint": None,
        "progress": str(progress) if progress else None, "micro_batch": None,
    }  # fmt: skip


def drain(made: RunWorker) -> list[dict]:
    predictions = [made.step()]
    while not predictions[-1].get("done"):
        predictions.append(made.step())
    return predictions


def test_every_event_is_a_record_and_the_last_one_is_the_result(make) -> None:
    predictions = drain(make("lora"))
    assert [answer["kind"] for answer in predictions[:-1]] == ["evaluation"] * (len(predictions) - 1)
    rows = [EvaluationRow.model_validate_json(answer["record"]) for answer in predictions[:-1]]
    result = RunResult.model_validate_json(predictions[-1]["record"])
    assert predictions[-1]["kind"] == "result"
    assert rows == list(result.evaluations)


def test_the_backbone_stays_warm_and_runs_do_not_touch_each_other(make) -> None:
    made = make("lora")
    first = RunResult.model_validate_json(drain(made)[-1]["record"])
    assert made.reset_config(config("fine_tuning"))
    drain(made)
    assert made.reset_config(config("lora"))
    again = RunResult.model_validate_json(drain(made)[-1]["record"])
    assert made.loads == ["tiny"]
    assert (again.tune, again.best_step) == (first.tune, first.best_step)
    assert [row.train_loss for row in again.evaluations] == [row.train_loss for row in first.evaluations]


def test_a_run_that_is_left_half_way_lets_go_of_the_backbone(make) -> None:
    made = make("unipelt_apl")
    made.step()
    hooks = sum(len(module._forward_hooks) for module in made._backbone.model.modules())
    assert hooks > 0
    made.reset_config(config("head"))
    assert sum(len(module._forward_hooks) for module in made._backbone.model.modules()) == 0
    assert drain(made)[-1]["kind"] == "result"


def test_a_failing_run_is_an_answer_and_the_next_one_trains(make, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverge(*given, **named):
        raise DivergedError("The loss is no finite number\nafter 3 steps.")
        yield

    made = make("lora")
    with monkeypatch.context() as patch:
        patch.setattr(worker, "train_events", diverge)
        assert made.step() == {
            "kind": "error", "message": "The loss is no finite number after 3 steps.", "memory": False, "done": True,
        }  # fmt: skip
    made.reset_config(config("lora"))
    assert drain(made)[-1]["kind"] == "result"


def test_a_run_goes_on_in_another_worker_and_says_where_its_state_is(make, tmp_path: Path) -> None:
    undisturbed = drain(make("lora"))
    first = make("lora")
    first.reset_config(config("lora", progress=tmp_path))
    answer = first.step()
    assert (answer["checkpoint"], answer["problem"]) == (str(tmp_path / "0001-000000003"), None)
    assert undisturbed[0]["checkpoint"] is None
    first.cleanup()
    second = make("head")
    second.reset_config(config("lora", attempt=2, progress=tmp_path))
    predictions = drain(second)
    assert [a["kind"] for a in predictions] == ["evaluation", "result"]
    assert predictions[0]["checkpoint"] == str(tmp_path / "0002-000000006")
    went_on, whole = (RunResult.model_validate_json(a[-1]["record"]) for a in (predictions, undisturbed))
    assert (went_on.tune, went_on.gates, went_on.steps) == (whole.tune, whole.gates, whole.steps)


def test_a_state_that_cannot_be_kept_is_told_with_the_evaluation(make, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    made = make("lora")
    made.reset_config(config("lora", progress=tmp_path / "file" / "r"))
    predictions = drain(made)
    assert all(a["checkpoint"] is None and "checkpoint_not_written" in a["problem"] for a in predictions[:-1])
    assert predictions[-1]["kind"] == "result"


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
def test_want_of_memory_is_told_from_other_faults(error: Exception, want: bool) -> None:
    assert is_out_of_memory(error) == want


def test_torchs_own_words_for_want_of_memory_are_known() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


def test_a_run_without_memory_says_so_and_lets_go_of_what_it_had(make, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make("lora")
    made.step()
    monkeypatch.setattr(train.Objective, "__call__", lambda *given: torch.empty(2**60, dtype=torch.uint8))
    answer = made.step()
    assert (answer["kind"], answer["memory"], answer["done"]) == ("error", True, True)
    assert sum(len(module._forward_hooks) for module in made._backbone.model.modules()) == 0


def test_foreign_errors_keep_their_type_and_stay_short() -> None:
    assert one_line(ValueError("a\n  b")) == "ValueError: a b"
    assert len(one_line(RuntimeError("x" * 10_000))) < 600


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (ActorUnavailableError("Socket closed", None), True),
        (RayActorError(None, "The actor died because its node has died. Node Id: ab", preempted=False), True),
        (RayActorError(None, "drained", preempted=True), True),
        (RayActorError(None, "The actor is dead because its worker process has died.", preempted=False), False),
        (ValueError("its node has died"), False),
        (None, False),
    ],
)
def test_a_machine_that_is_gone_is_told_from_a_worker_that_is(error: Exception | None, lost: bool) -> None:
    assert is_lost_machine(error) is lost


def test_why_a_worker_ended_is_read_where_tune_has_written_it(tmp_path: Path) -> None:
    (tmp_path / "error.pkl").write_bytes(cloudpickle.dumps(RayActorError(None, "gone")))
    assert isinstance(error_of(SimpleNamespace(pickled_error_file=str(tmp_path / "error.pkl"))), RayActorError)
    assert error_of(SimpleNamespace(pickled_error_file=None)) is None
