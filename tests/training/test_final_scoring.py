from __future__ import annotations

from pathlib import Path

from tiny import tiny_backbone, tiny_run, tiny_task, tiny_trial
from unipelt_search.kinds.label_kind import Target
from unipelt_search.records.results import RunResult
from unipelt_search.tasks.metrics import score_all
from unipelt_search.training.checkpoint import load_run
from unipelt_search.training.train import train, train_events


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
            assert score_all(task.target, labels, predicted) == scores
        assert RunResult.model_validate_json(result.model_dump_json()).predictions == result.predictions
    (searched,) = train([tiny_run(tiny_trial("head"))], tiny_backbone(), tiny_task())
    assert isinstance(searched, RunResult)
    assert searched.predictions == ()
