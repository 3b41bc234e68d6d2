from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from made_record import LABELS, folded, gate_row, made_record, made_trial, with_labels

from unipelt_search.records.history import RunRecord, RunState, StudyRecord
from unipelt_search.records.report import ReportedGate
from unipelt_search.records.results import GateName, GateRow, GateValues, Predictions, RunResult
from unipelt_search.reporting.pooled_gates import KeptGates, RunRow, pool_gates, pool_rows

NOTHING = KeptGates((), ())
NAMES = tuple(GateName(stack="encoder", layer=layer, gate=gate) for layer in (0, 1) for gate in ("adapter", "prefix"))
EXACT = 2**-11
"""Half precision of numbers below 1."""


def pooled(rows: Sequence[GateRow]) -> ReportedGate:
    return pool_rows(made_trial(4, "unipelt_apl", 0.8), [RunRow(i + 1, row) for i, row in enumerate(rows)], NOTHING)


def test_pooled_mean_and_sd_are_those_of_all_examples_together() -> None:
    random = np.random.default_rng(0)
    samples = [random.normal(mean, 0.1, size) for mean, size in ((0.4, 30), (0.6, 50), (0.55, 7))]
    rows = [gate_row(0, "adapter", float(s.mean()), sd=float(s.std(ddof=1)), n=len(s)) for s in samples]
    found = pooled(rows)
    together = np.concatenate(samples)
    assert (found.n, found.runs, found.trial) == (87, 3, 4)
    assert (found.mean, found.sd) == pytest.approx((together.mean(), together.std(ddof=1)))


def test_final_rows_of_runs_that_stopped_at_different_epochs_are_pooled() -> None:
    found = pooled([gate_row(0, "adapter", 0.4, n=100, epoch=2.0), gate_row(0, "adapter", 0.6, n=300, epoch=6.0)])
    assert (found.epoch, found.mean, found.n) == pytest.approx((5.0, 0.55, 400))


def test_a_contribution_needs_every_run() -> None:
    known, unknown = gate_row(0, "prefix", 0.5, contribution=0.2), gate_row(0, "prefix", 0.5, contribution=None)
    assert pooled([known, known]).contribution == pytest.approx(0.2)
    assert pooled([known, unknown]).contribution is None
    assert pooled([gate_row(0, "prefix", 0.5, n=1, sd=0.0)]).sd == 0


def test_one_run_is_shown_as_it_was_measured() -> None:
    row = gate_row(0, "prefix", 0.123456789, split="tune")
    found = pooled([row])
    shown = (found.mean, found.q05, found.q50, found.q95)
    assert shown == pytest.approx((row.mean, row.q05, row.q50, row.q95), abs=1e-9)
    assert (found.between_sd, found.agrees, found.per_run, found.histogram) == (None, None, None, None)


def test_runs_without_their_gates_stand_side_by_side_and_have_no_common_quantiles() -> None:
    """Averages of quantiles say of two runs at 0.42–0.48 and 0.53–0.59 what is true of neither."""
    closed, opened = gate_row(1, "prefix", 0.45, sd=0.02, n=500), gate_row(1, "prefix", 0.56, sd=0.02, n=500)
    found = pooled([closed, opened])
    assert [found.q05, found.q25, found.q50, found.q75, found.q95] == [None] * 5
    assert (found.mean, found.share_active) == pytest.approx((0.505, 0.5))
    assert (found.agrees, found.between_sd) == (False, pytest.approx(0.11 / 2**0.5))
    assert found.per_run is not None
    assert (found.per_run.run, found.per_run.q50, found.per_run.share_active) == ((1, 2), (0.45, 0.56), (0.0, 1.0))
    early = pooled(
        [gate_row(1, "prefix", 0.5, split="tune", sd=0.1), gate_row(1, "prefix", 0.52, split="tune", sd=0.1)]
    )
    assert (early.q50, early.agrees) == (None, True)
    assert early.per_run is not None
    assert (early.per_run.mean, early.per_run.q05) == ((0.5, 0.52), None)


def test_a_control_is_held_against_the_run_that_had_it() -> None:
    rows = [gate_row(0, "prefix", 0.4, null_mean=0.38), gate_row(0, "prefix", 0.7)]
    found = pooled(rows)
    assert found.null_mean == pytest.approx(0.38)
    assert found.per_run is not None
    assert found.per_run.null_mean == (0.38, None)
    assert pooled(rows[1:]).null_mean is None
    twice = [gate_row(0, "prefix", 0.4, null_mean=0.4, n=100), gate_row(0, "prefix", 0.4, null_mean=0.8, n=300)]
    assert pooled(twice).null_mean == pytest.approx(0.7)


# ---------------------------------------------------------------- against a pass over every value of every run


def statistics(values: np.ndarray) -> dict[str, Any]:
    q05, q25, q50, q75, q95 = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95]).tolist()
    return {
        "n": len(values), "mean": float(values.mean()), "sd": float(values.std(ddof=1)),
        "q05": q05, "q25": q25, "q50": q50, "q75": q75, "q95": q95,
        "share_active": float((values > 0.5).mean()), "contribution": None, "initial_mean": 0.5,
    }  # fmt: skip


def measured(matrix: np.ndarray, true: Sequence[Any], labels: Sequence[str], kept: np.ndarray | None) -> RunResult:
    """The result of a run whose gates on its select rows are a matrix, gates × rows."""
    gates = []
    for name, values in zip(NAMES, matrix, strict=True):
        fields = {**name.model_dump(), "epoch": 3.0, "split": "select", "label": None}
        gates.append(GateRow(**fields, **statistics(values)))
        for position, label in enumerate(labels):
            has = np.array([position in one if isinstance(one, tuple) else one == position for one in true])
            gates.append(GateRow(**{**fields, "label": label}, **statistics(values[has])))
    values = None
    if kept is not None:
        values = GateValues(gates=NAMES, rows=tuple(kept.tolist()), values=matrix[:, kept].astype("<f2").tobytes())
    (trial,) = made_record(made_trial(0, "unipelt_ap", 0.8, {1: 0.8})).trials
    result = trial.runs[1].result
    assert result is not None
    predictions = (Predictions(split="select", labels=tuple(true), predicted=tuple(true)),)
    return result.model_copy(update={"gates": tuple(gates), "gate_values": values, "predictions": predictions})


def study_of(results: Sequence[RunResult], labels: Sequence[str], **changes: Any) -> StudyRecord:
    trial = made_trial(0, "unipelt_ap", 0.8)
    runs = [
        RunRecord(
            id=f"0-{number}", trial=0, phase="confirm", seed_index=number, state=RunState.COMPLETE, attempt=1,
            result=result,
        )
        for number, result in enumerate(results, start=1)
    ]  # fmt: skip
    trial = trial.model_copy(update={"phase": "confirm", "runs": (*trial.runs, *runs)})
    return with_labels(made_record(trial), labels, **changes)


def made_gates(rows: int, runs: int) -> list[np.ndarray]:
    random = np.random.default_rng(rows)
    centres = np.linspace(0.3, 0.7, runs)
    return [np.clip(random.normal(centre, 0.06, (len(NAMES), rows)), 0.001, 0.999) for centre in centres]


def true_labels(kind: str, rows: int) -> list[Any]:
    if kind == "classification":
        return [number % 3 for number in range(rows)]
    if kind == "multi_label":
        return [tuple(sorted({number % 3, number % 2})) if number % 5 else () for number in range(rows)]
    return [number / 7 for number in range(rows)]


def labels_of(kind: str) -> tuple[str, ...]:
    return () if kind == "regression" else LABELS


@pytest.mark.parametrize("kind", ["classification", "multi_label", "regression"])
def test_quantiles_of_several_runs_are_those_of_all_their_values(kind: str) -> None:
    true, labels, matrices = true_labels(kind, 150), labels_of(kind), made_gates(150, 3)
    results = [measured(matrix, true, labels, np.arange(150)) for matrix in matrices]
    rows = [row for row in pool_gates(study_of(results, labels, kind=kind)) if row.split == "select"]
    assert len(rows) == len(NAMES) * (1 + len(labels))
    for row in rows:
        number = NAMES.index(GateName(stack=row.stack, layer=row.layer, gate=row.gate))
        position = None if row.label is None else labels.index(row.label)
        has = [position is None or position == one or (isinstance(one, tuple) and position in one) for one in true]
        together = np.concatenate([matrix[number, np.array(has)] for matrix in matrices])
        wanted = statistics(together)
        assert row.model_dump(include=set(wanted)) == pytest.approx(wanted, abs=EXACT)
        assert (row.mean, row.sd, row.share_active) == pytest.approx(
            (wanted["mean"], wanted["sd"], wanted["share_active"]), abs=1e-8
        )
        assert row.between_sd == pytest.approx(np.std([m[number, np.array(has)].mean() for m in matrices], ddof=1))
        assert row.agrees is False
        assert row.per_run is not None
        if row.label is None:
            assert row.histogram is not None
            borders = np.abs(together * 64 - np.round(together * 64)) < 64 * EXACT
            counts, _ = np.histogram(together, bins=64, range=(0, 1))
            assert np.abs(counts - row.histogram).sum() <= 2 * borders.sum()
            assert sum(row.histogram) == row.n
        else:
            assert row.histogram is None


def test_an_average_of_quantiles_would_fail_that_test() -> None:
    matrices = made_gates(150, 3)
    together = np.concatenate([matrix[0] for matrix in matrices])
    averaged = np.mean([np.quantile(matrix[0], [0.05, 0.95]) for matrix in matrices], axis=0)
    assert np.ptp(np.quantile(together, [0.05, 0.95])) > 2 * np.ptp(averaged)


def test_the_runs_of_all_folds_are_pooled_though_each_has_rows_of_its_own() -> None:
    true = true_labels("classification", 90)
    parts = np.split(np.random.default_rng(0).permutation(90), 5)
    matrices = made_gates(18, 5)
    results = [
        measured(matrix, [true[row] for row in part], LABELS, np.arange(18))
        for matrix, part in zip(matrices, parts, strict=True)
    ]
    record = study_of(results, LABELS)
    runs = [record.trials[0].runs[0]]
    runs += [run.model_copy(update={"seed_index": 1, "fold": i + 1}) for i, run in enumerate(record.trials[0].runs[1:])]
    trial = record.trials[0].model_copy(update={"runs": tuple(runs)})
    task = folded(made_record()).task
    (row, *_) = pool_gates(record.model_copy(update={"trials": (trial,), "task": task}))
    together = np.concatenate([matrix[0] for matrix in matrices])
    assert (row.runs, row.n, row.q95) == (5, 90, pytest.approx(np.quantile(together, 0.95), abs=EXACT))
    assert row.per_run is not None
    assert row.per_run.run == (1, 2, 3, 4, 5)


def test_one_run_that_kept_none_of_its_gates_leaves_the_quantiles_open() -> None:
    true, matrices = true_labels("classification", 60), made_gates(60, 2)
    results = [
        measured(matrix, true, LABELS, kept) for matrix, kept in zip(matrices, (np.arange(60), None), strict=True)
    ]
    for row in pool_gates(study_of(results, LABELS)):
        assert (row.q05, row.q50, row.histogram) == (None, None, None)
        assert row.per_run is not None


def test_labels_of_which_too_few_rows_were_kept_have_no_quantiles() -> None:
    true, matrices = [number % 3 if number < 30 else 0 for number in range(400)], made_gates(400, 2)
    results = [measured(matrix, true, LABELS, np.arange(0, 400, 2)) for matrix in matrices]
    rows = {row.label: row for row in pool_gates(study_of(results, LABELS)) if row.layer == 0 and row.gate == "adapter"}
    assert rows[None].q50 is not None
    assert rows[None].n == 800
    assert [rows[label].q50 is None for label in LABELS] == [False, True, True]
    together = np.concatenate([matrix[0, ::2] for matrix in matrices])
    assert rows[None].q05 == pytest.approx(np.quantile(together, 0.05), abs=EXACT)


def test_labels_are_not_pooled_without_predictions() -> None:
    true, matrices = true_labels("classification", 60), made_gates(60, 2)
    results = [
        measured(matrix, true, LABELS, np.arange(60)).model_copy(update={"predictions": ()}) for matrix in matrices
    ]
    for row in pool_gates(study_of(results, LABELS)):
        assert (row.q50 is None) == (row.label is not None)


def test_of_many_runs_the_outermost_stand_for_a_label_and_all_for_the_whole() -> None:
    means = (0.5, 0.3, 0.4, 0.6, 0.7, 0.55)
    whole = pooled([gate_row(0, "prefix", mean) for mean in means])
    label = pooled([gate_row(0, "prefix", mean, label="human") for mean in means])
    assert whole.per_run is not None
    assert label.per_run is not None
    assert whole.per_run.mean == means
    assert (label.per_run.run, label.per_run.mean, label.per_run.q05) == ((2, 5), (0.3, 0.7), None)
