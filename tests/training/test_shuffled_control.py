from __future__ import annotations

import numpy as np

from tiny import tiny_backbone, tiny_run, tiny_task, tiny_trial
from unipelt_search.records.results import EvaluationRow, RunResult
from unipelt_search.training.shuffled_control import shuffled
from unipelt_search.training.train import train, train_events


def test_only_the_labels_of_train_and_tune_rows_change_places() -> None:
    task = tiny_task(train=60, other=40)
    mixed = shuffled(task, 3)
    for name in ("train", "tune"):
        before, after = getattr(task, name), getattr(mixed, name)
        assert before.input_ids is after.input_ids
        assert sorted(before.labels) == sorted(after.labels)
        assert (before.labels != after.labels).any()
    assert (mixed.select, mixed.test) == (task.select, task.test)
    assert (shuffled(task, 3).train.labels == mixed.train.labels).all()
    assert (shuffled(task, 4).train.labels != mixed.train.labels).any()


def test_gates_stand_beside_what_they_are_after_training_on_shuffled_labels() -> None:
    task, backbone = tiny_task(train=48), tiny_backbone()
    trial = tiny_trial("unipelt_al", steps=20, batch_size=8, evaluations=2, learning_rate=2e-2)
    *rows, result = train_events(tiny_run(trial, confirm=True, gate_null=True), backbone, task)
    *_, plain = train_events(tiny_run(trial, confirm=True), backbone, task)
    (null,) = train([tiny_run(trial, confirm=True)], backbone, shuffled(task, tiny_run(trial).seeds.order))
    assert isinstance(result, RunResult)
    assert isinstance(plain, RunResult)
    assert isinstance(null, RunResult)
    assert all(isinstance(row, EvaluationRow) for row in rows)
    assert len(rows) == len(plain.evaluations)
    assert (result.tune, result.select, result.predictions) == (plain.tune, plain.select, plain.predictions)
    select = [row for row in result.gates if row.split == "select"]
    expected = [row.mean for row in null.gates if row.split == "select"]
    assert np.allclose([row.null_mean for row in select if row.null_mean is not None], expected)
    assert len(expected) == len(select)
    assert any(abs(row.mean - (row.null_mean or 0)) > 1e-4 for row in select)
    assert all(row.null_mean is None for row in result.gates if row.split == "tune")
    assert all(row.null_mean is None for row in plain.gates)
