from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tiny import tiny_backbone, tiny_run, tiny_task, tiny_trial
from unipelt_search.errors import DivergedError
from unipelt_search.pelt.pack import Pack
from unipelt_search.records.results import RunResult
from unipelt_search.training import pack_training
from unipelt_search.training.checkpoint import load_run
from unipelt_search.training.evaluate import predict
from unipelt_search.training.train import train, train_events


@pytest.mark.parametrize(
    ("metric", "scores"),
    [("accuracy", [0.3, 0.9, 0.5, 0.4, 0.7, 0.2, 0.1]), ("log_loss", [1.3, 0.9, 1.5, 1.4, 1.7, 0.2, 0.1])],
)
def test_patience_ends_a_run_and_the_best_weights_are_kept(
    metric: str, scores: list[float], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    values = iter(scores)
    kept = []
    snapshot = Pack.snapshot
    monkeypatch.setattr(pack_training, "score_logits", lambda *args: next(values))
    monkeypatch.setattr(Pack, "snapshot", lambda self, slot: kept.append(snapshot(self, slot)) or kept[-1])
    trial = tiny_trial("lora", steps=50, evaluations=10, patience=3)
    task = replace(tiny_task(), metric=metric)
    *_, result = train_events(tiny_run(trial), tiny_backbone(), task, checkpoint=tmp_path / "run")
    assert isinstance(result, RunResult)
    assert (result.tune, result.best_step, result.steps, len(kept)) == (0.9, 10, 25, 2)
    tensors, description = load_run(tmp_path / "run")
    assert description["run"]["trial"]["method"] == "lora"
    assert any(torch.equal(tensors["lora.1.value.up"], tensor) for tensor in kept[-1])


def test_a_loss_that_is_no_number_fails_that_run_alone() -> None:
    wild = tiny_trial("fine_tuning", learning_rate=1.0, steps=40).model_copy()
    task = tiny_task()
    broken = tiny_backbone()
    with torch.no_grad():
        broken.base.embeddings.LayerNorm.weight.fill_(float("inf"))
    with pytest.raises(DivergedError, match="finite number; got nan at step 0"):
        list(train_events(tiny_run(wild), broken, task))
    runs = [tiny_run(tiny_trial("lora")), tiny_run(tiny_trial("head"), 1)]
    results = train(runs, tiny_backbone(), task)
    assert all(isinstance(result, RunResult) for result in results)


def test_numbers_that_are_not_finite_fail_that_run_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [tiny_run(tiny_trial("lora")), tiny_run(tiny_trial("head"), 1)]
    task = tiny_task(kind="regression")

    def poisoned(*args: object, **settings: object) -> np.ndarray:
        logits = predict(*args, **settings)  # type: ignore[arg-type]
        logits[0, 3] = np.inf
        return logits

    monkeypatch.setattr(pack_training, "predict", poisoned)
    first, second = train(runs, tiny_backbone(classes=1), task)
    assert isinstance(first, DivergedError)
    assert isinstance(second, RunResult)
    assert len(second.evaluations) == 2


def test_one_diverging_slot_leaves_its_neighbour_as_it_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [tiny_run(tiny_trial("lora")), tiny_run(tiny_trial("adapter"), 1)]
    backbone, task = tiny_backbone(), tiny_task()
    (unpackable,) = train([runs[1]], backbone, task)
    restore = Pack.__init__

    def poisoned(self: Pack, *args: object) -> None:
        restore(self, *args)  # type: ignore[arg-type]
        with torch.no_grad():
            self.parts["lora/0/query"].down[0, 0, 0] = float("nan")

    monkeypatch.setattr(Pack, "__init__", poisoned)
    first, second = train(runs, backbone, task)
    assert isinstance(first, DivergedError)
    assert isinstance(second, RunResult)
    assert isinstance(unpackable, RunResult)
    for a, b in zip(unpackable.evaluations, second.evaluations, strict=True):
        assert a.train_loss == pytest.approx(b.train_loss, abs=1e-5)


@pytest.mark.parametrize("method", ["lora", "unipelt_apl", "fine_tuning"])
def test_a_run_in_micro_batches_equals_the_run_in_whole_batches(method: str) -> None:
    trial = tiny_trial(method, steps=12, batch_size=8, evaluations=3, dropout=0.2, learning_rate=1e-3)
    *_, whole = train_events(tiny_run(trial, confirm=True), tiny_backbone(), tiny_task())
    *_, parts = train_events(tiny_run(trial, confirm=True), tiny_backbone(), tiny_task(), micro_batch=4)
    assert isinstance(whole, RunResult)
    assert isinstance(parts, RunResult)
    for one, other in zip(whole.evaluations, parts.evaluations, strict=True):
        assert other.train_loss == pytest.approx(one.train_loss, abs=1e-4)
        assert other.value == one.value
    assert whole.select is not None
    assert whole.test is not None
    # Probabilities differ by rounding, and with them the losses.
    assert parts.select == pytest.approx(whole.select, abs=1e-5)
    assert parts.test == pytest.approx(whole.test, abs=1e-5)
    assert parts.costs.examples_trained == whole.costs.examples_trained
