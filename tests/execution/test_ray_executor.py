"""What the executor does around Ray; the whole of it runs in tests/test_api.py."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
from ray import cloudpickle
from ray.exceptions import ActorUnavailableError, OutOfMemoryError, RayTaskError
from ray.tune.search import Searcher

from unipelt_search.errors import MachineError, StorageError
from unipelt_search.execution import ray_executor as executor
from unipelt_search.execution.assignment import Assignment
from unipelt_search.execution.driver import FINISHED
from unipelt_search.records.notice import Notice
from unipelt_search.records.results import EvaluationRow
from unipelt_search.search.capacity import Capacity
from unipelt_search.search.space import published
from unipelt_search.specs.seeds import run_seeds
from unipelt_search.specs.study import BackboneSpec, SpaceSpec
from unipelt_search.specs.trial import RunSpec

CONFIG = {"run_id": "r1", "attempt": 2}


class FakeDriver:
    def __init__(self, *predictions) -> None:
        self.predictions, self.heard = list(predictions), []
        self.given_back: list[int] = []
        self.overdue: list[Assignment] = []

    def next_run(self):
        on_message = self.predictions.pop(0)
        if isinstance(on_message, Exception):
            raise on_message
        return on_message

    def reschedule(self, workers: int, why: Notice) -> None:
        assert (why.code, why.values) == ("fewer_workers", {"workers": workers})
        self.given_back.append(workers)

    def fail_overdue(self) -> list[Assignment]:
        return self.overdue

    def on_evaluation(self, *given, **named) -> None:
        self.heard.append(("evaluation", *given, named))

    def on_result(self, *given) -> None:
        self.heard.append(("result", *given))

    def on_error(self, *given, memory: bool, machine: bool = False) -> None:
        self.heard.append(("error", *given, "machine" if machine else memory))

    def stop_waiting(self) -> None:
        self.heard.append(("stop waiting",))


@pytest.fixture
def assignment(tmp_path: Path) -> Assignment:
    run = RunSpec(trial=published("lora", SpaceSpec(), 100)[0], seeds=run_seeds(0, 0))
    return Assignment(
        run_id="r1", attempt=2, run=run, label="trial 0 lora (screen)", checkpoint=tmp_path / "weights",
        progress=tmp_path / "running" / "r1", micro_batch=8,
    )  # fmt: skip


def test_assignments_become_configurations(assignment, tmp_path: Path) -> None:
    adapter = executor._TuneAdapter(FakeDriver(assignment, None, FINISHED))
    searcher = executor._Assigner(adapter)
    config = searcher.suggest("t1")
    assert (config["run_id"], config["attempt"]) == ("r1", 2)
    assert RunSpec.model_validate_json(config["run"]) == assignment.run
    assert Path(config["checkpoint"]).is_absolute()
    assert (config["progress"], config["micro_batch"]) == (str(tmp_path / "running" / "r1"), 8)
    assert searcher.suggest("t2") is None
    assert searcher.suggest("t3") == Searcher.FINISHED


def failed(error: Exception, folder: Path) -> SimpleNamespace:
    """Return a trial of Tune's whose worker ended with an error."""
    (folder / "error.pkl").write_bytes(cloudpickle.dumps(error))
    return SimpleNamespace(config=CONFIG, pickled_error_file=str(folder / "error.pkl"))


def test_a_machine_that_is_lost_is_no_failure_but_not_for_ever(tmp_path: Path) -> None:
    driver = FakeDriver()
    listener = executor._Listener(executor._TuneAdapter(driver))
    trial = failed(ActorUnavailableError("Socket closed", None), tmp_path)
    for _ in range(4):
        listener.on_trial_error(0, [], trial)
    assert driver.heard[:3] == [("error", "r1", 2, "The machine that trained this run was lost.", "machine")] * 3
    assert driver.heard[3][4] is True, "from now on it is taken for a worker that wants too much memory"


def test_answers_reach_the_driver(result, tmp_path: Path) -> None:
    driver = FakeDriver()
    listener = executor._Listener(executor._TuneAdapter(driver))
    trial = SimpleNamespace(config=CONFIG, pickled_error_file=None)
    row = EvaluationRow(step=1, epoch=0.1, train_loss=None, value=0.5, seconds=1.0)
    done = result(0.5)
    kept = {"checkpoint": "/kept/1", "problem": None}
    listener.on_trial_result(0, [], trial, {"kind": "evaluation", "record": row.model_dump_json(), **kept})
    listener.on_trial_result(0, [], trial, {"kind": "result", "record": done.model_dump_json()})
    listener.on_trial_result(0, [], trial, {"kind": "error", "message": "no memory", "memory": True})
    listener.on_trial_error(0, [], trial)
    assert driver.heard[:3] == [
        ("evaluation", "r1", 2, row, kept), ("result", "r1", 2, done), ("error", "r1", 2, "no memory", True),
    ]  # fmt: skip
    assert driver.heard[3][3].startswith("The worker process ended while it trained this run")
    assert driver.heard[3][4], "a worker that was killed is taken for want of memory"
    fault = RayTaskError("step", "", ValueError("a fault of ours"))
    listener.on_trial_error(0, [], failed(fault, tmp_path))
    assert driver.heard[4] == ("error", "r1", 2, "ValueError: a fault of ours", False)


def test_only_the_worker_of_an_overdue_run_is_ended(assignment, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []
    monkeypatch.setattr(executor.ray, "kill", ended.append)
    driver = FakeDriver()
    trials = [
        SimpleNamespace(config={"run_id": run, "attempt": attempt}, temporary_state=SimpleNamespace(ray_actor=actor))
        for run, attempt, actor in (("r1", 1, "old"), ("r1", 2, "hangs"), ("r2", 2, "works"), ("r1", 2, None))
    ]
    listener = executor._Listener(executor._TuneAdapter(driver))
    listener.on_step_begin(0, trials)
    assert ended == []
    driver.overdue = [assignment]
    listener.on_step_begin(1, trials)
    assert ended == ["hangs"]


def test_a_worker_that_ends_with_the_study_has_not_failed() -> None:
    driver = FakeDriver()
    adapter = executor._TuneAdapter(driver)
    adapter.interrupted = True
    executor._Listener(adapter).on_trial_error(0, [], SimpleNamespace(config=CONFIG, pickled_error_file=None))
    assert driver.heard == []


def test_an_error_of_the_driver_is_kept_and_ends_the_search() -> None:
    adapter = executor._TuneAdapter(FakeDriver(StorageError("the disk is full")))
    searcher, listener = executor._Assigner(adapter), executor._Listener(adapter)
    listener.on_step_begin(0, [])
    assert searcher.suggest("t1") == Searcher.FINISHED
    assert str(adapter.error) == "the disk is full"
    with pytest.raises(executor._StopTune):
        listener.on_step_begin(1, [])


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_or_sigterm_leaves_at_the_next_step_and_a_second_one_at_once(first: signal.Signals) -> None:
    adapter = executor._TuneAdapter(FakeDriver())
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with executor._handle_signals(adapter):
        os.kill(os.getpid(), first)
        assert adapter.interrupted
        assert adapter._driver.heard == [("stop waiting",)], "nor for a database that is away"
        assert adapter.assign() == Searcher.FINISHED, "Tune asks on and on while nothing runs"
        with pytest.raises(executor._StopTune):
            executor._Listener(adapter).on_step_begin(0, [])
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def without_memory(*given: object) -> None:
    raise RuntimeError("Caught unexpected exception") from OutOfMemoryError("2 workers were killed")


def test_runs_lost_for_want_of_memory_are_done_again_by_fewer_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    driver, seen = FakeDriver(), []

    def fit(adapter, worker, capacity) -> None:
        seen.append(capacity.workers)
        if len(seen) < 3:
            without_memory()

    monkeypatch.setattr(executor, "_fit", fit)
    capacity = Capacity("cpu", 4, 1.0, 0.0)
    assert executor.execute(driver, capacity, None, BackboneSpec(model="minilm"), 10)
    assert (seen, driver.given_back) == ([4, 2, 1], [2, 1])


def test_a_machine_without_memory_for_one_run_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "_fit", without_memory)
    with pytest.raises(MachineError, match="memory for one run at a time; the machine ran out of it 4 times"):
        executor.execute(FakeDriver(), Capacity("cpu", 2, 1.0, 0.0), None, BackboneSpec(model="minilm"), 10)


def test_another_fault_of_tune_is_not_taken_for_want_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def fit(*given: object) -> None:
        raise RuntimeError("something else")

    monkeypatch.setattr(executor, "_fit", fit)
    driver = FakeDriver()
    with pytest.raises(RuntimeError, match="something else"):
        executor.execute(driver, Capacity("cpu", 2, 1.0, 0.0), None, BackboneSpec(model="minilm"), 10)
    assert driver.given_back == []
