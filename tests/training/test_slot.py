from __future__ import annotations

import pytest

from tiny import tiny_run, tiny_trial
from unipelt_search.kinds.label_kind import Target
from unipelt_search.training.slot import Slot


@pytest.mark.parametrize(
    ("step", "waiting", "done"), [(4, 0, False), (4, 1, False), (4, 2, True), (8, 0, True), (8, 2, True)]
)
def test_a_run_ends_after_its_steps_or_when_its_patience_does(step: int, waiting: int, done: bool) -> None:
    run = tiny_run(tiny_trial("head", steps=8, evaluations=4, patience=2))
    slot = Slot(run, iter(()), frozenset(), Target("classification", ("a", "b")), step=step, waiting=waiting)
    assert slot.is_done() == done
