"""What one run measured: scores, curves, gate statistics, ablation and costs."""

from __future__ import annotations

from typing import Generic, Literal, Self, TypeVar

from pydantic import ConfigDict, Field, model_validator

from unipelt_search.frozen import Frozen
from unipelt_search.kinds.label_kind import Label

ABLATION_ROWS = 500
"""Select rows that an ablation scores at most; training scores them, and a forecast counts them."""
GATE_VALUE_ROWS = 2_000
"""Select rows of a confirmed run whose gates are kept one by one, at most."""
_FLOAT16_BYTES = 2
Quantile = TypeVar("Quantile", float, float | None)
"""None where several runs have no common quantiles."""


def _is_none(value: object) -> bool:
    return value is None


class EvaluationRow(Frozen):
    """One evaluation on the tune rows while a run trains."""

    step: int
    """Optimizer steps done."""
    epoch: float
    """Training rows seen, divided by the number of training rows; 0 before the first step."""
    train_loss: float | None
    """Mean loss of the steps since the evaluation before; None at epoch 0."""
    value: float
    """The task's metric on the tune rows."""
    seconds: float
    """Wall-clock seconds since the run began."""


class GateName(Frozen):
    """One gate of a model."""

    stack: Literal["encoder", "decoder"]
    layer: int
    """Counted from 0, the layer nearest to the input."""
    gate: str
    """`adapter`, `prefix`, `lora_query` or `lora_value`."""


class GateFigures(Frozen, Generic[Quantile]):
    """What is known of one gate over examples, one run's or several runs' together.

    Kept states of runs have these fields in this order.
    """

    epoch: float
    stack: Literal["encoder", "decoder"]
    layer: int
    """Counted from 0, the layer nearest to the input."""
    gate: str
    """`adapter`, `prefix`, `lora_query` or `lora_value`."""
    split: Literal["tune", "select"]
    """The rows: `tune` while training, `select` at the end of a confirmed run."""
    label: str | None
    """Only the examples with this true label; None is all of them."""
    n: int
    """Examples."""
    mean: float
    sd: float
    q05: Quantile
    q25: Quantile
    q50: Quantile
    q75: Quantile
    q95: Quantile
    share_active: float
    """Share of the examples whose gate is above 0.5."""
    contribution: float | None
    """Mean over real tokens of ‖with − without‖ / ‖with‖ at the place where the submodule acts."""
    initial_mean: float
    """The mean of the same gate on the same split before the first step."""
    null_mean: float | None = None
    """The mean of the same gate after the same training with shuffled labels, which have nothing to teach; None where
    that was not asked for."""


class GateRow(GateFigures[float]):
    """Statistics of one gate of one run over examples, as they were at one evaluation."""


class GateValues(Frozen):
    """A confirmed run's gates on select rows, one by one, from which those of several runs are pooled."""

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    gates: tuple[GateName, ...]
    """In the order of layers and names."""
    rows: tuple[int, ...]
    """Which of the run's select rows, counted from 0 in their order: all, or `GATE_VALUE_ROWS` evenly spread ones. With
    folds the select rows are those of the run's fold."""
    values: bytes
    """Little-endian float16, gates × rows."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        wanted = _FLOAT16_BYTES * len(self.gates) * len(self.rows)
        if len(self.values) != wanted:
            raise ValueError(f"gate values must have {wanted} bytes, two per gate and row; got {len(self.values)}")
        return self


class AblationRow(Frozen):
    """The metric on select rows with one submodule removed."""

    submodule: str
    layer: int | None
    """Removed in this layer only; None is in all layers."""
    value: float
    drop: float
    """What the removal costs: the full model's score on the same rows, minus `value`; the other way round where lower
    values are better."""
    error: float | None = None
    """Standard error of the drop over the rows; None for single layers and for few rows."""


class OutcomeRow(Frozen):
    """How many rows have this true label and were given this prediction; only what occurs has a row.

    One label per row: a cell of the confusion matrix. Any number of labels per row: a label's hits have it on both
    sides, its misses have `predicted` None, its false alarms have `label` None; the other rows are true negatives.
    """

    split: Literal["select", "test"]
    label: str | None
    """The true label; None is: this row does not have the label that was predicted."""
    predicted: str | None
    """The predicted label; None is: the true label was not predicted."""
    n: int
    """Rows, never 0."""


class Predictions(Frozen):
    """What a confirmed run predicted for every row of a split, and what is true, both in the order of the split."""

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    split: Literal["select", "test"]
    labels: tuple[Label, ...]
    """What is true."""
    predicted: tuple[Label, ...]
    """What the run predicted."""
    rows: tuple[int, ...] | None = None
    """With folds, which of the rows of train and then validation these are; None is the whole split."""
    probabilities: bytes | None = Field(default=None, exclude_if=_is_none)
    """Little-endian float32, rows × outputs: of every class or label; None where predictions are numbers, where they
    were not kept, and in studies of older versions."""
    weights: tuple[float, ...] | None = Field(default=None, exclude_if=_is_none)
    """What each row counts in the metrics; None where all count the same."""


class Costs(Frozen):
    """What a run cost."""

    trained_parameters: int
    """Numbers that the optimizer changed, head and training-only parts included."""
    stored_parameters: int
    """Numbers that must be kept to use the model, head included."""
    head_parameters: int
    """Those of the head alone."""
    train_seconds: float
    """Wall-clock seconds of training steps, evaluation left out."""
    predict_ms_per_example: float | None
    """Milliseconds to score one select row in batches; None for runs that were not confirmed."""
    peak_memory_mb: float
    """Peak memory: of the GPU on a GPU, else resident memory of the worker process."""
    examples_trained: int
    """Rows that passed through training steps, repeats counted."""
    padding_share: float
    """Share of the token positions in training batches that were padding."""


class RunResult(Frozen):
    """Everything that one finished run measured."""

    tune: float
    """The metric on the tune rows at the best evaluation, whose weights were kept."""
    select: dict[str, float] | None
    """Every metric of the task on the select rows; None where the run was not confirmed."""
    test: dict[str, float] | None
    """Every metric on the test rows; None where the run was not confirmed."""
    best_step: int
    steps: int
    """Optimizer steps done; fewer than asked after early stopping."""
    evaluations: tuple[EvaluationRow, ...]
    gates: tuple[GateRow, ...]
    gate_values: GateValues | None = None
    """Of a confirmed run with gates; None for all others, and in studies of older versions."""
    ablation: tuple[AblationRow, ...]
    outcomes: tuple[OutcomeRow, ...] = ()
    """Of a confirmed run's task with labels, on select and test rows; empty for all others."""
    prunable: tuple[tuple[str, int], ...] | None = None
    """(submodule, layer) pairs that the trained model can do without on tune rows; None where nobody looked."""
    predictions: tuple[Predictions, ...] = ()
    """Of a confirmed run, on select and test rows; empty for all others, and in studies of older versions."""
    costs: Costs
    checkpoint: str | None = None
    """Folder with the run's weights (safetensors); None where none were written."""
