"""Where one run of a pack stands while it trains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from unipelt_search.errors import DivergedError
from unipelt_search.kinds.label_kind import Target
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

    def is_done(self) -> bool:
        """Tell whether the run ends behind the evaluation that it has just had."""
        training = self.run.trial.training
        return self.step >= training.steps or self.waiting >= training.patience
