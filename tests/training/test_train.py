from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from tiny import PARTS, tiny_backbone, tiny_run, tiny_task, tiny_trial
from unipelt_search.errors import DivergedError
from unipelt_search.records.results import EvaluationRow, RunResult
from unipelt_search.tasks.encode import EncodedResample
from unipelt_search.tasks.fold_rows import FoldRows
from unipelt_search.tasks.metrics import metrics_for, score_all
from unipelt_search.tasks.task import Fold
from unipelt_search.training.train import train, train_events
from unipelt_search.verdict.row_scores import probabilities_of


@pytest.mark.parametrize("method", PARTS)
def test_every_method_learns_a_task_that_can_be_learned(method: str) -> None:
    rate = {"fine_tuning": 3e-3, "prefix": 5e-2}.get(method, 2e-2)
    trial = tiny_trial(method, steps=60, batch_size=8, evaluations=3, learning_rate=rate, dropout=0.0)
    backbone = tiny_backbone(pooling="mean")
    (result,) = train([tiny_run(trial, confirm=True)], backbone, tiny_task(train=48))
    assert isinstance(result, RunResult)
    losses = [row.train_loss for row in result.evaluations]
    assert losses[-1] is not None
    assert losses[0] is not None
    assert losses[-1] < losses[0]
    assert result.tune > 0.5
    assert result.select is not None
    assert result.test is not None


@pytest.mark.parametrize(
    ("kind", "balanced"),
    [("classification", False), ("classification", True), ("regression", False), ("multi_label", False),
     ("multi_label", True)],
)  # fmt: skip
def test_every_kind_of_label_is_learned_and_beats_the_majority(kind: str, balanced: bool) -> None:
    task = pickle.loads(pickle.dumps(tiny_task(train=48, other=24, kind=kind, balanced=balanced)))
    backbone = tiny_backbone(classes=task.target.outputs, pooling="mean")
    trial = tiny_trial("unipelt_al", steps=60, batch_size=8, evaluations=4, learning_rate=2e-2, dropout=0.0)
    (result,) = train([tiny_run(trial, confirm=True, ablation=True)], backbone, task)
    assert isinstance(result, RunResult)
    losses = [row.train_loss for row in result.evaluations if row.train_loss is not None]
    assert losses[-1] < 0.7 * losses[0]
    answer = np.broadcast_to(task.target.majority(task.train.labels), task.select.labels.shape)
    majority = score_all(task.target, task.select.labels, answer)
    assert result.select is not None
    assert tuple(result.select) == metrics_for(task.target)
    assert result.select[task.metric] > majority[task.metric] + 0.2
    labels = {row.label for row in result.gates if row.split == "select"} - {None}
    held = task.select.labels.max(0) > 0 if kind == "multi_label" else [True] * len(task.labels)
    assert labels == {name for name, has in zip(task.labels, held, strict=True) if has}
    assert {row.submodule for row in result.ablation} == {"adapter", "lora"}
    counted = sum(row.n for row in result.outcomes if row.split == "select" and row.label is not None)
    assert counted == {"classification": 24, "regression": 0, "multi_label": task.select.labels.sum()}[kind]


def test_events_come_as_they_happen_and_the_result_last() -> None:
    trial = tiny_trial("unipelt_apl", steps=7, evaluations=3, patience=9)
    events = list(train_events(tiny_run(trial, confirm=True, ablation=True), tiny_backbone(), tiny_task()))
    *rows, result = events
    assert all(isinstance(row, EvaluationRow) for row in rows)
    assert [row.step for row in rows] == [2, 5, 7]
    assert isinstance(result, RunResult)
    assert list(result.evaluations) == rows
    assert result.tune == max(row.value for row in rows)
    assert result.costs.examples_trained == 28
    splits = {(row.split, row.epoch == 0, row.label is None) for row in result.gates}
    assert splits == {("tune", True, True), ("tune", False, True), ("select", False, True), ("select", False, False)}
    final = [row for row in result.gates if row.split == "select" and row.label is None]
    assert len(final) == 2 * 4
    assert all(row.contribution is not None and row.n == 12 for row in final)
    assert {row.submodule for row in result.ablation} == {"adapter", "prefix", "lora"}
    for split, scores in (("select", result.select), ("test", result.test)):
        outcomes = [row for row in result.outcomes if row.split == split]
        assert sum(row.n for row in outcomes) == 12
        assert scores is not None
        assert sum(row.n for row in outcomes if row.label == row.predicted) / 12 == pytest.approx(scores["accuracy"])


def test_a_run_trains_on_the_rows_of_its_draw() -> None:
    first, second = tiny_task(), tiny_task(train=16)
    task = replace(first, resamples=(EncodedResample(second.target, second.train),))
    backbone = tiny_backbone()
    trial = tiny_trial("lora", steps=8, batch_size=4, evaluations=2)
    runs = [tiny_run(trial, draw=draw) for draw in (0, 1, 0)]
    of_all = train(runs, backbone, task)
    unpackable = [*train([runs[0]], backbone, first), *train([runs[0]], backbone, replace(first, train=second.train))]
    found, expected = (
        [result.evaluations[-1].train_loss for result in results if isinstance(result, RunResult)]
        for results in (of_all, [unpackable[0], unpackable[1], unpackable[0]])
    )
    assert found == pytest.approx(expected, rel=1e-5)
    assert found[0] != found[1]
    *_, result = train_events(runs[1], backbone, task)
    assert isinstance(result, RunResult)
    assert result.evaluations[-1].train_loss == pytest.approx(expected[1], rel=1e-5)


def test_a_run_of_a_fold_never_sees_the_labels_that_it_is_scored_on() -> None:
    task = tiny_task(train=20, other=20)
    both = task.train.followed_by(task.tune)
    rows = FoldRows(train=tuple(range(0, 24)), tune=tuple(range(24, 32)), select=(39, 32, 35))
    target = replace(task.target, weights=(1.0, 2.0, 1.0))
    task = replace(task, select=both, folds=(Fold(target, rows),))
    poisoned = replace(both, labels=both.labels.copy())
    poisoned.labels[list(rows.select)] = (both.labels[list(rows.select)] + 1) % 3
    run = tiny_run(tiny_trial("unipelt_al"), confirm=True, ablation=True, draw=1)
    found = [train([run], tiny_backbone(), each)[0] for each in (task, replace(task, select=poisoned))]
    ours, other = (result for result in found if isinstance(result, RunResult))
    predictions, test = ours.predictions
    assert (predictions.rows, predictions.labels) == (rows.select, tuple(both.labels[list(rows.select)].tolist()))
    assert test.rows is None
    assert other.predictions[0].predicted == predictions.predicted
    assert other.predictions[0].labels != predictions.labels
    assert [row.value for row in other.evaluations] == [row.value for row in ours.evaluations]
    assert {row.n for row in ours.gates if row.split == "select" and row.label is None} == {3}
    assert {row.n for row in ours.gates if row.split == "tune"} == {8}
    assert ours.costs.examples_trained == 24
    labels, predicted = (task.target.to_array(part) for part in (predictions.labels, predictions.predicted))
    assert ours.select == score_all(target, labels, predicted, probabilities_of(predictions))


@pytest.mark.parametrize("kind", ["classification", "regression", "multi_label"])
def test_weighted_runs_of_a_pack_learn_what_each_learns_alone(kind: str) -> None:
    task = tiny_task(train=20, kind=kind, balanced=kind != "regression")
    weights = np.random.default_rng(3).uniform(0.1, 5, 20)
    task = replace(task, train=replace(task.train, weights=weights))
    backbone = tiny_backbone(classes=task.target.outputs)
    runs = [tiny_run(tiny_trial(method, batch_size=8), seed) for seed, method in enumerate(("lora", "adapter"))]
    scaled = replace(task, train=replace(task.train, weights=weights * 1000))

    def losses(results: list[RunResult | DivergedError]) -> list[float | None]:
        return [result.evaluations[-1].train_loss for result in results if isinstance(result, RunResult)]

    together = losses(train(runs, backbone, task))
    alone = [losses(train([run], backbone, task))[0] for run in runs]
    assert together == pytest.approx(alone, rel=1e-4)
    # Only how weights compare with each other matters, over the rows that the run is trained on.
    assert losses(train(runs, backbone, scaled)) == pytest.approx(together, rel=1e-5)
    plain = losses(train(runs, backbone, replace(task, train=replace(task.train, weights=None))))
    assert plain != pytest.approx(together, rel=1e-4)
