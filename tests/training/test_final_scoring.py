from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_record import made_trial

from tiny import tiny_backbone, tiny_run, tiny_task, tiny_trial
from unipelt_search.kinds.label_kind import Target
from unipelt_search.pelt.pack import Pack, without_training_only
from unipelt_search.records.results import RunResult
from unipelt_search.reporting.pooled_gates import KeptGates, RunRow, pool_rows
from unipelt_search.tasks.metrics import score_all
from unipelt_search.training import final_scoring
from unipelt_search.training.checkpoint import load_run
from unipelt_search.training.evaluate import every_row, predict
from unipelt_search.training.recorder import GateRecorder, has_label
from unipelt_search.training.train import train, train_events
from unipelt_search.verdict.row_scores import probabilities_of


def test_a_checkpoint_says_what_its_outputs_mean(tmp_path: Path) -> None:
    task = tiny_task(kind="regression")
    run = tiny_run(tiny_trial("head", steps=2))
    list(train_events(run, tiny_backbone(classes=1), task, checkpoint=tmp_path / "run"))
    _, description = load_run(tmp_path / "run")
    assert Target(**{**description["target"], "labels": tuple(description["target"]["labels"]), "weights": ()}) == (
        task.target
    )


def test_a_run_of_the_search_is_scored_on_tune_rows_only() -> None:
    (result,) = train([tiny_run(tiny_trial("lora"))], tiny_backbone(), tiny_task())
    assert isinstance(result, RunResult)
    assert result.select is None
    assert result.test is None
    assert result.outcomes == ()
    assert result.costs.predict_ms_per_example is None


def test_a_confirmed_run_keeps_its_answer_to_every_row() -> None:
    for kind in ("classification", "regression", "multi_label"):
        task = tiny_task(kind=kind)
        backbone = tiny_backbone(classes=task.target.outputs)
        (result,) = train([tiny_run(tiny_trial("head"), confirm=True)], backbone, task)
        assert isinstance(result, RunResult)
        assert [predictions.split for predictions in result.predictions] == ["select", "test"]
        scored = ((task.select, result.select), (task.test, result.test))
        for predictions, (encoded, scores) in zip(result.predictions, scored, strict=True):
            labels, predicted = (task.target.to_array(part) for part in (predictions.labels, predictions.predicted))
            assert (labels == encoded.labels).all()
            kept = probabilities_of(predictions)
            assert (kept is None) == (kind == "regression")
            assert score_all(task.target, labels, predicted, kept) == scores
        assert RunResult.model_validate_json(result.model_dump_json()).predictions == result.predictions
    (searched,) = train([tiny_run(tiny_trial("head"))], tiny_backbone(), tiny_task())
    assert isinstance(searched, RunResult)
    assert searched.predictions == ()


@pytest.mark.parametrize(
    ("family", "kind"), [("bert", "classification"), ("bert", "multi_label"), ("t5", "regression")]
)
def test_pooled_gates_are_those_of_a_pass_that_keeps_every_value(family: str, kind: str, tmp_path: Path) -> None:
    """Quantiles of two trained models over their examples, against both models run once more."""
    task = tiny_task(other=40, kind=kind)
    backbone = tiny_backbone(family, classes=task.target.outputs)
    trial = tiny_trial("unipelt_apl", learning_rate=3e-2)
    results, passes, kept_rows = [], [], set()
    for seed in (1, 2):
        run = tiny_run(trial, seed, confirm=True)
        *_, result = train_events(run, backbone, task, checkpoint=tmp_path / str(seed))
        assert isinstance(result, RunResult)
        assert result.gate_values is not None
        assert RunResult.model_validate_json(result.model_dump_json()) == result
        tensors, _ = load_run(tmp_path / str(seed))
        with Pack(backbone, [without_training_only(run)]) as pack:
            pack.load_slot_state_dict(0, tensors)
            recorder = GateRecorder(1, len(task.select), contributions=False)
            predict(pack.eval(), task.select, task.pad_token_id, every_row(task.select), recorder=recorder)
            stacks = [layer.stack for layer in pack.layers]
        results.append(result)
        passes.append(recorder.gates(0))
        kept_rows.add(result.gate_values.rows)
        assert [(name.stack, name.layer, name.gate) for name in result.gate_values.gates] == [
            (stacks[layer], layer, gate) for layer, gate in passes[-1]
        ]
    assert kept_rows == {tuple(range(40))}
    kept = KeptGates(results, task.target.labels)
    for rows in zip(*([row for row in result.gates if row.split == "select"] for result in results), strict=True):
        first = rows[0]
        pooled = pool_rows(made_trial(0, "unipelt_apl", 0.8), [RunRow(i, row) for i, row in enumerate(rows)], kept)
        has = np.ones(40, dtype=bool)
        if first.label is not None:
            has = has_label(task.select.labels, task.target.labels.index(first.label))
        values = [gates[first.layer, first.gate][has] for gates in passes]
        for row, of_run in zip(rows, values, strict=True):
            assert (row.n, row.mean, row.q05, row.q95) == pytest.approx(
                (has.sum(), of_run.mean(), *np.quantile(of_run, [0.05, 0.95])), abs=1e-7
            )
        together = np.concatenate(values)
        found = (pooled.q05, pooled.q25, pooled.q50, pooled.q75, pooled.q95)
        assert found == pytest.approx(tuple(np.quantile(together, [0.05, 0.25, 0.5, 0.75, 0.95])), abs=2**-11)
        assert (pooled.mean, pooled.sd) == pytest.approx((together.mean(), together.std(ddof=1)), abs=1e-7)
        assert (pooled.histogram is None) == (first.label is not None)


def test_a_run_keeps_the_gates_of_the_same_rows_whatever_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    assert final_scoring.GATE_VALUE_ROWS == 2_000
    monkeypatch.setattr(final_scoring, "GATE_VALUE_ROWS", 20)
    runs = [tiny_run(tiny_trial("unipelt_ap", steps=1, evaluations=1), seed, confirm=True) for seed in (1, 2)]
    first, second = train(runs, tiny_backbone(), tiny_task(other=31))
    assert isinstance(first, RunResult)
    assert isinstance(second, RunResult)
    assert first.gate_values is not None
    assert second.gate_values is not None
    assert first.gate_values.rows == second.gate_values.rows
    assert len(first.gate_values.rows) == 20
    assert (first.gate_values.rows[0], first.gate_values.rows[-1]) == (0, 30)
    assert {row.n for row in first.gates if row.split == "select" and row.label is None} == {31}


def test_runs_without_gates_or_confirmation_keep_none() -> None:
    task, backbone = tiny_task(), tiny_backbone()
    pruned = tiny_trial("unipelt_ap").model_copy(update={"without": (("adapter", 0),)})
    runs = [
        tiny_run(tiny_trial("lora"), confirm=True), tiny_run(tiny_trial("unipelt_ap")), tiny_run(pruned, confirm=True),
    ]  # fmt: skip
    single, searched, without = train(runs, backbone, task)
    assert isinstance(single, RunResult)
    assert isinstance(searched, RunResult)
    assert isinstance(without, RunResult)
    assert (single.gate_values, searched.gate_values) == (None, None)
    assert without.gate_values is not None
    assert [(name.layer, name.gate) for name in without.gate_values.gates] == [
        (0, "prefix"), (1, "adapter"), (1, "prefix"),
    ]  # fmt: skip
