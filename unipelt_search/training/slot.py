"""Where one run of a pack stands while it trains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from unipelt_search.errors import DivergedError
from unipelt_search.kinds.label_kind import Metric, Target
from unipelt_search.records.results import EvaluationRow, GateRow
from unipelt_search.specs.trial import RunSpec
from unipelt_search.training.recorder import GateKey


@dataclass
class Slot:
    """One run's progress."""

    run: RunSpec
    batches: Iterator[np.ndarray]
    evaluate_at: frozenset[int]
    target: Target
    """With the threshold of the best evaluation, where rows have several labels."""
    metric: Metric
    """What evaluations measure."""
    step: int = 0
    examples: int = 0
    losses: list[float] = field(default_factory=list)
    evaluations: list[EvaluationRow] = field(default_factory=list)
    gates: list[GateRow] = field(default_factory=list)
    initial_tune: dict[GateKey, np.ndarray] = field(default_factory=dict)
    initial_select: dict[GateKey, np.ndarray] = field(default_factory=dict)
    best: EvaluationRow | None = None
    best_weights: list[Tensor] = field(default_factory=list)
    waiting: int = 0
    """Evaluations since the best one."""
    active: bool = True
    diverged: DivergedError | None = None

    @property
    def gated(self) -> bool:
        """Whether the run's method has gates."""
        return self.run.trial.gate is not None

    def is_due(self) -> bool:
        """Tell whether the run is evaluated after the step that it has just taken."""
        return self.active and self.step in self.evaluate_at

    def note_evaluation(self, row: EvaluationRow, target: Target) -> None:
        """Take an evaluation that was just made.

        Args:
            row: What was measured; becomes the best one where its value is better than every earlier one.
            target: What was predicted, with the threshold that fits this evaluation.
        """
        self.losses.clear()
        self.evaluations.append(row)
        if self.best is None or self.metric.is_better(row.value, self.best.value):
            self.best = row
            self.target = target
            self.waiting = 0
        else:
            self.waiting += 1

    def is_done(self) -> bool:
        """Tell whether the run ends after the evaluation that it has just had."""
        training = self.run.trial.training
        return self.step >= training.steps or self.waiting >= training.patience
