"""How a run is trained, whatever its method: its settings, and what is searched of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from unipelt_search.frozen import Frozen
from unipelt_search.methods.hyperparameter import Hyperparameter, choice, declared, fixed, real

LearningRate = Annotated[float, Field(gt=0, le=1)]
Schedule = Literal["linear", "cosine", "constant"]
UnitInterval = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
ClipNorm = Annotated[float, Field(gt=0)]
BatchSize = Annotated[int, Field(ge=1, le=4096)]
Steps = Annotated[int, Field(ge=1)]
Evaluations = Annotated[int, Field(ge=1, le=1000)]
Patience = Annotated[int, Field(ge=1)]


class TrainingSpec(Frozen):
    """How a run is trained."""

    learning_rate: LearningRate
    """AdamW's highest learning rate."""
    schedule: Schedule = "linear"
    """What follows the warm-up."""
    warmup_share: UnitInterval = 0.1
    """Share of the steps in which the learning rate rises linearly from 0."""
    weight_decay: UnitInterval = 0.01
    """AdamW's decoupled weight decay; never on biases, layer norms, gates and IA3's scales."""
    clip_norm: ClipNorm = 1.0
    """Highest Euclidean norm of a run's gradient."""
    batch_size: BatchSize = 16
    """Rows per optimizer step."""
    steps: Steps
    """Optimizer steps at most."""
    evaluations: Evaluations = 10
    """Evaluations on the tune rows, spread evenly over the steps."""
    patience: Patience = 5
    """A run ends after this many evaluations in a row without a better tune score."""
    dropout: Share = 0.1
    """Share of hidden features that are dropped at the backbone's dropout sites while training."""


TRAINING_HYPERPARAMETERS = declared(
    TrainingSpec,
    Hyperparameter(name="training.learning_rate", kind="rate"),
    choice("training.schedule", "linear", "cosine", "constant"),
    real("training.warmup_share", 0.0, 0.2, 0.05),
    choice("training.weight_decay", 0.0, 0.01, 0.1),
    real("training.dropout", 0.0, 0.3, 0.1),
    fixed("training.clip_norm"),
    Hyperparameter(name="training.batch_size", kind="study"),
    Hyperparameter(name="training.steps", kind="study"),
    Hyperparameter(name="training.evaluations", kind="study"),
    Hyperparameter(name="training.patience", kind="study"),
)
