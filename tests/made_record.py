"""A study's record with chosen scores, for tests of what is computed from records."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from statistics import fmean
from typing import Any, Literal
from zlib import crc32

import numpy as np
from editions import EDITION_1
from made_results import make_costs, make_gate_row, make_run_result

from unipelt_search.kinds.label_kind import find_kind
from unipelt_search.methods.basis import Basis
from unipelt_search.methods.catalogue import find_method
from unipelt_search.records.history import (
    RunRecord,
    RunState,
    StudyRecord,
    StudyState,
    TaskSummary,
    TrialRecord,
    TrialState,
)
from unipelt_search.records.results import (
    AblationRow,
    EvaluationRow,
    GateRow,
    OutcomeRow,
    Predictions,
    RunResult,
)
from unipelt_search.records.row_origins import RowOrigins, RowSource
from unipelt_search.search.space import published
from unipelt_search.specs.seeds import SEARCH_SEED_INDEX
from unipelt_search.specs.study import BackboneSpec, SpaceSpec, StudySpec, TaskSpec
from unipelt_search.specs.trial import TrialSpec
from unipelt_search.tasks.metrics import score_by
from unipelt_search.verdict.row_scores import probabilities_of

STORED = {"head": 2310, "bitfit": 28_038, "lora": 76_038, "adapter": 226_086, "prefix": 48_390, "unipelt_apl": 355_134}
LABELS = ("human", "location", "numeric")
GATES = ("adapter", "lora_query", "lora_value", "prefix")


def scores(value: float) -> dict[str, float]:
    """The same score in every metric."""
    names = ("accuracy", "macro_f1", "matthews", "micro_f1", "f1", "r2", "pearson", "spearman")
    return dict.fromkeys(names, value)


def gate_row(layer: int, gate: str, mean: float, **changes: Any) -> GateRow:
    """A gate row whose quantiles lie around its mean."""
    fields: dict[str, Any] = {
        "epoch": 3.0, "layer": layer, "gate": gate, "split": "select", "mean": mean, "sd": 0.05,
        "q05": mean - 0.08, "q25": mean - 0.03, "q50": mean, "q75": mean + 0.03, "q95": mean + 0.08,
        "share_active": float(mean > 0.5), "contribution": mean / 2,
    }  # fmt: skip
    return make_gate_row(**{**fields, **changes})


def gates_of(layers: int, labels: Sequence[str], shift: float) -> tuple[GateRow, ...]:
    """All gate rows of a confirmed run of UniPELT."""
    rows = []
    for epoch in (0.0, 1.5, 3.0):
        split: Literal["tune"] = "tune"
        rows += [
            gate_row(layer, gate, 0.5 + epoch * 0.02 * layer, epoch=epoch, split=split, contribution=None)
            for layer in range(layers)
            for gate in GATES
        ]
    for number, label in enumerate((None, *labels)):
        rows += [
            gate_row(
                layer,
                gate,
                min(0.3 + 0.1 * layer + 0.05 * GATES.index(gate) + 0.01 * number + shift, 0.95),
                label=label,
            )
            for layer in range(layers)
            for gate in GATES
        ]
    return tuple(rows)


def outcomes_of(labels: Sequence[str], value: float) -> tuple[OutcomeRow, ...]:
    """Ten to thirty rows of every label; the later a label, the more of its rows go to the two labels after it."""
    rows = []
    for split in ("select", "test"):
        for number, label in enumerate(labels):
            n = 10 + 20 * (number % 3 == 0)
            share = max(value, 0.0) * (1 - 0.3 * number / len(labels))
            wrong = n - round(share * n)
            predictions = {number: n - wrong, (number + 1) % len(labels): wrong - wrong // 3}
            predictions[(number + 2) % len(labels)] = predictions.get((number + 2) % len(labels), 0) + wrong // 3
            rows += [
                OutcomeRow(split=split, label=label, predicted=labels[answer], n=count)
                for answer, count in sorted(predictions.items())
                if count
            ]
    return tuple(rows)


def answers_of(labels: Sequence[str], value: float, salt: str) -> tuple[Predictions, ...]:
    """As many right answers as the score says, mostly to the same rows; numbers where there are no labels."""
    random = np.random.default_rng(crc32(f"{salt}{value}".encode()))
    made = []
    for split, rows, score in (("select", 200, value), ("test", 500, value + 0.02)):
        difficulty = np.random.default_rng(rows).random(rows) + 0.1 * random.random(rows)
        if not labels:
            true = np.random.default_rng(rows).normal(size=rows)
            wrong = random.normal(size=rows)
            wrong *= np.sqrt((1 - score) * np.square(true - true.mean()).sum() / np.square(wrong).sum())
            made.append(Predictions(split=split, labels=tuple(true.tolist()), predicted=tuple((true + wrong).tolist())))
            continue
        classes = np.arange(rows) % len(labels)
        right = difficulty.argsort().argsort() < round(score * rows)
        predicted = np.where(right, classes, (classes + 1) % len(labels))
        made.append(Predictions(split=split, labels=tuple(classes.tolist()), predicted=tuple(predicted.tolist())))
    return tuple(made)


def made_result(
    method: str, value: float, *, confirm: bool, first: bool = False, labels: Sequence[str] = LABELS
) -> RunResult:
    """A run's result with one score for everything; the test score lies 0.02 higher."""
    submodules = find_method(method).submodules
    ablation = tuple(
        AblationRow(submodule=name, layer=layer, value=value - 0.1, drop=0.1)
        for layer in (None, 0, 1)
        for name in submodules
    )
    return make_run_result(
        value,
        select=scores(value) if confirm else None,
        test=scores(value + 0.02) if confirm else None,
        best_step=20,
        steps=30,
        evaluations=tuple(
            EvaluationRow(step=10 * i, epoch=i * 1.0, train_loss=1.0 / i, value=value, seconds=i * 2.0)
            for i in (1, 2, 3)
        ),
        gates=gates_of(6, labels, value / 100) if find_method(method).gated else (),
        ablation=ablation if first else (),
        outcomes=outcomes_of(labels, value) if confirm else (),
        predictions=answers_of(labels, value, method) if confirm else (),
        costs=make_costs(
            STORED.get(method, 22_000_000),
            head_parameters=2310,
            train_seconds=20.0,
            predict_ms_per_example=4.0 if confirm else None,
            peak_memory_mb=700.0,
            examples_trained=480,
        ),
    )


def made_trial(
    number: int, method: str, tune: float, confirmed: Mapping[int, float] | None = None,
    labels: Sequence[str] = LABELS, variant: str | None = None, basis: Basis = EDITION_1,
) -> TrialRecord:  # fmt: skip
    """A complete trial with its search run and a confirm run per seed index."""
    spec: TrialSpec = published(method, SpaceSpec(), 100, basis)[0]

    def run(index: int, value: float) -> RunRecord:
        confirm = index != SEARCH_SEED_INDEX
        return RunRecord(
            id=f"{number}-{index}", trial=number, phase="confirm" if confirm else "screen", seed_index=index,
            state=RunState.COMPLETE, attempt=1,
            result=made_result(method, value, confirm=confirm, first=index == 1, labels=labels),
        )  # fmt: skip

    runs = [run(SEARCH_SEED_INDEX, tune), *(run(index, value) for index, value in (confirmed or {}).items())]
    return TrialRecord(
        number=number, method=method, variant=variant, spec=spec, phase="confirm" if confirmed else "screen",
        value=tune, state=TrialState.COMPLETE, origin="published", runs=tuple(runs),
    )  # fmt: skip


def made_record(*trials: TrialRecord, **changes: Any) -> StudyRecord:
    """A complete study with these trials."""
    fields: dict[str, Any] = {
        "id": "0" * 32,
        "spec": StudySpec(
            name="questions",
            task=TaskSpec(data="questions", text=("sentence",), label="label"),
            backbone=BackboneSpec(model="minilm"),
        ),
        "task": TaskSummary(
            name="questions",
            kind="classification",
            labels=LABELS,
            rows={"train": 100, "validation": 400, "test": 500, "tune": 200, "select": 200},
            metric="accuracy",
            direction="maximize",
            hidden_size=384,
            fingerprint="0123456789abcdef",
            majority={"select": scores(0.25), "test": scores(0.2)},
            majority_answer=0,
            notices=("The validation split was halved.",),
        ),
        "state": StudyState.COMPLETE,
        "phase": "confirm",
        "created": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "software": {"unipelt-search": "0.1.0", "torch": "2.13.0"},
        "command": "unipelt-search run --data questions",
        "wall_seconds": 300.0,
        "trials": trials,
        "dropped": (),
        "notices": ("The validation split was halved.", "A second notice."),
    }
    return StudyRecord(**{**fields, **changes})


def with_labels(record: StudyRecord, labels: Sequence[str], **changes: Any) -> StudyRecord:
    """The record of a task with these labels."""
    task = record.task.model_copy(update={"labels": tuple(labels), **changes})
    return record.model_copy(update={"task": task})


def whole_record(labels: Sequence[str] = LABELS) -> StudyRecord:
    """Seven methods: lora best, adapter and unipelt_apl tie with it, prefix was not confirmed."""
    record = made_record(
        made_trial(0, "head", 0.66, {1: 0.65, 2: 0.66, 3: 0.67}, labels),
        made_trial(1, "bitfit", 0.80, {1: 0.80, 2: 0.81, 3: 0.805}, labels),
        made_trial(2, "lora", 0.86, {1: 0.87, 2: 0.88, 3: 0.89}, labels),
        made_trial(3, "adapter", 0.87, {1: 0.88, 2: 0.86, 3: 0.89}, labels),
        made_trial(4, "prefix", 0.75, None, labels),
        made_trial(5, "unipelt_apl", 0.85, {1: 0.86, 2: 0.89, 3: 0.87}, labels),
        made_trial(6, "fine_tuning", 0.84, {1: 0.82, 2: 0.83, 3: 0.84}, labels),
    )
    return with_labels(record, labels)


def with_predictions(
    record: StudyRecord, change: Callable[[tuple[Predictions, ...]], tuple[Predictions, ...]]
) -> StudyRecord:
    """The study with changed predictions of every finished run."""
    trials = []
    for trial in record.trials:
        runs = []
        for run in trial.runs:
            if run.result is not None:
                changes = {"predictions": change(run.result.predictions)}
                run = run.model_copy(update={"result": run.result.model_copy(update=changes)})
            runs.append(run)
        trials.append(trial.model_copy(update={"runs": tuple(runs)}))
    return record.model_copy(update={"trials": tuple(trials)})


def without_answers(record: StudyRecord) -> StudyRecord:
    """As an older version stored it."""
    return with_predictions(record, lambda predictions: ())


def few_rows(record: StudyRecord) -> StudyRecord:
    """Two rows of every split, which have no spread to speak of."""

    def first_two(predictions: tuple[Predictions, ...]) -> tuple[Predictions, ...]:
        return tuple(
            part.model_copy(update={"labels": part.labels[:2], "predicted": part.predicted[:2]}) for part in predictions
        )

    return with_predictions(record, first_two)


def folded(record: StudyRecord, folds: int = 5) -> StudyRecord:
    """The same scores, decided by folds: every confirm run becomes a repeat, whose runs share out its answers."""

    def runs_of(run: RunRecord) -> list[RunRecord]:
        if run.result is None or run.phase != "confirm":
            return [run]
        select, test = run.result.predictions
        fold_of = np.random.default_rng(run.seed_index).permutation(len(select.labels)) % folds
        made = []
        for fold in range(folds):
            rows = tuple(np.flatnonzero(fold_of == fold).tolist())
            labels, predicted = (tuple(part[n] for n in rows) for part in (select.labels, select.predicted))
            own = Predictions(split="select", labels=labels, predicted=predicted, rows=rows)
            shares = probabilities_of(select)
            if shares is not None:
                own = own.model_copy(update={"probabilities": shares[list(rows)].tobytes()})
            right = fmean(a == b for a, b in zip(labels, predicted, strict=True))
            changes: dict[str, Any] = {"select": scores(right), "predictions": (own, test)}
            if fold:
                changes["ablation"] = ()
            made.append(
                run.model_copy(
                    update={
                        "id": f"{run.id}-{fold + 1}",
                        "fold": fold + 1,
                        "result": run.result.model_copy(update=changes),
                    }
                )
            )
        return made

    trials = tuple(
        trial.model_copy(update={"runs": tuple(made for run in trial.runs for made in runs_of(run))})
        for trial in record.trials
    )
    rows = {"train": 100, "validation": 100, "test": 500, "tune": 100, "select": 200}
    task = record.task.model_copy(update={"rows": rows, "folds": folds})
    return record.model_copy(update={"trials": trials, "task": task})


def with_latency(record: StudyRecord, milliseconds: Mapping[str, float], other: float = 4.0) -> StudyRecord:
    """The record whose runs took these times per example, by method."""
    trials = []
    for trial in record.trials:
        time, runs = milliseconds.get(trial.method, other), []
        for run in trial.runs:
            assert run.result is not None
            costs = run.result.costs.model_copy(update={"predict_ms_per_example": time})
            runs.append(run.model_copy(update={"result": run.result.model_copy(update={"costs": costs})}))
        trials.append(trial.model_copy(update={"runs": tuple(runs)}))
    return record.model_copy(update={"trials": tuple(trials)})


def with_probabilities(record: StudyRecord, *, sure: float = 0.8) -> StudyRecord:
    """The study whose runs have kept probabilities, so sure of what they predicted, and origins of all rows."""
    outputs = len(record.task.labels)

    def kept(predictions: tuple[Predictions, ...]) -> tuple[Predictions, ...]:
        found = []
        for number, part in enumerate(predictions):
            random = np.random.default_rng(len(part.labels) + number)
            shares = np.full((len(part.labels), outputs), (1 - sure) / max(outputs - 1, 1))
            for row, label in enumerate(part.predicted):
                shares[row, label] = sure  # a set of labels is a list of columns
            # Moved towards equal shares, so that not all are equally sure, and every prediction stays.
            mixed = 0.5 * random.random((len(shares), 1))
            shares = ((1 - mixed) * shares + mixed * 0.5 * np.ones(outputs) / max(outputs / 2, 1)).astype("<f4")
            found.append(part.model_copy(update={"probabilities": shares.tobytes()}))
        return tuple(found)

    origins = []
    for split in ("select", "test"):
        rows = record.task.rows[split]
        sources = (RowSource(name=f"{split}.csv", unit="line"), RowSource(name="more.parquet", unit="row"))
        source_of = tuple(row % 2 for row in range(rows))
        origins.append(RowOrigins(split=split, sources=sources, source_of=source_of, numbers=tuple(range(2, rows + 2))))
    return with_predictions(record, kept).model_copy(update={"origins": tuple(origins), "edition": 3})


def by_brier(record: StudyRecord) -> StudyRecord:
    """The same predictions, each with a probability of 0.8, compared by their Brier scores: lower is better."""
    classes = len(record.task.labels)
    target = find_kind("classification").of_labels(record.task.labels)

    def with_shares(predictions: Predictions) -> tuple[Predictions, float]:
        hot = np.eye(classes)[list(predictions.predicted)]
        shares = np.where(hot == 1, 0.8, 0.2 / (classes - 1)).astype("<f4")
        labels = np.asarray(predictions.labels)
        value = score_by(target, "brier", labels, hot.argmax(1), shares)
        return predictions.model_copy(update={"probabilities": shares.tobytes()}), value

    def changed(run: RunRecord) -> RunRecord:
        if run.result is None:
            return run
        changes: dict[str, Any] = {"tune": 1 - run.result.tune}
        found = [with_shares(predictions) for predictions in run.result.predictions]
        if found:
            changes["predictions"] = tuple(predictions for predictions, _ in found)
            changes |= {predictions.split: {"brier": value} for predictions, value in found}
        return run.model_copy(update={"result": run.result.model_copy(update=changes)})

    trials = []
    for trial in record.trials:
        value = None if trial.value is None else 1 - trial.value
        runs = tuple(changed(run) for run in trial.runs)
        trials.append(trial.model_copy(update={"value": value, "runs": runs}))
    majority = {split: {"brier": 0.66} for split in ("select", "test")}
    task = record.task.model_copy(
        update={
            "metric": "brier",
            "direction": "minimize",
            "majority": majority,
            "majority_probabilities": (1 / classes,) * classes,
        }
    )
    return record.model_copy(update={"trials": tuple(trials), "task": task})
