from __future__ import annotations

from dataclasses import replace

import pytest

from tiny import tiny_run, tiny_trial
from unipelt_search.kinds.label_kind import Direction, Target
from unipelt_search.records.results import EvaluationRow
from unipelt_search.training.slot import Slot

TARGET = Target("classification", ("a", "b"))


@pytest.mark.parametrize(
    ("step", "waiting", "done"), [(4, 0, False), (4, 1, False), (4, 2, True), (8, 0, True), (8, 2, True)]
)
def test_a_run_ends_after_its_steps_or_when_its_patience_does(step: int, waiting: int, done: bool) -> None:
    run = tiny_run(tiny_trial("head", steps=8, evaluations=4, patience=2))
    slot = Slot(run, iter(()), frozenset(), TARGET, TARGET.metrics()[0], step=step, waiting=waiting)
    assert slot.is_done() == done


@pytest.mark.parametrize(("direction", "best"), [("maximize", 0.8), ("minimize", 0.6)])
def test_the_best_evaluation_is_the_one_that_the_metric_prefers(direction: Direction, best: float) -> None:
    metric = replace(TARGET.metrics()[0], direction=direction)
    slot = Slot(tiny_run(tiny_trial("head")), iter(()), frozenset(), TARGET, metric)
    for step, value in enumerate([0.7, 0.8, 0.6, 0.7]):
        row = EvaluationRow(step=step, epoch=0.0, train_loss=None, value=value, seconds=0.0)
        slot.note_evaluation(row, TARGET)
    assert slot.best is not None
    assert slot.best.value == best
    assert len(slot.evaluations) - 1 - slot.best.step == slot.waiting
