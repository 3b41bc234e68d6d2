from __future__ import annotations

import numpy as np
import pytest
from made_record import made_record, made_result, made_trial

from unipelt_search.kinds.label_kind import Target, find_kind
from unipelt_search.records.history import RunRecord, RunState, StudyRecord
from unipelt_search.records.results import Predictions
from unipelt_search.verdict.candidates import find_candidates
from unipelt_search.verdict.predicted_rows import predicted_rows, prediction_codes

CLASSES = find_kind("classification").of_labels(("a", "b"))
SETS = find_kind("multi_label").of_labels(("a", "b", "c"))


def predictions(split: str, labels: tuple, predicted: tuple, **more: object) -> Predictions:
    return Predictions.model_validate({"split": split, "labels": labels, "predicted": predicted, **more})


def study(runs: dict[tuple[int, int], tuple[Predictions, ...]], folds: int = 0) -> StudyRecord:
    """A study of one method whose confirm runs, by seed index and fold, predicted this."""
    trial = made_trial(0, "lora", 0.5)
    made = [trial.runs[0]]
    for (seed_index, fold), kept in runs.items():
        result = made_result("lora", 0.5, confirm=True).model_copy(update={"predictions": kept})
        run = RunRecord(
            id=f"{seed_index}/{fold}", trial=0, phase="confirm", seed_index=seed_index, fold=fold,
            state=RunState.COMPLETE, result=result,
        )  # fmt: skip
        made.append(run)
    record = made_record(trial.model_copy(update={"runs": tuple(made)}))
    task = record.task.model_copy(update={"labels": ("a", "b"), "folds": folds})
    return record.model_copy(update={"task": task})


def rows_of(record: StudyRecord, split: str, target: Target = CLASSES) -> tuple:
    (candidate,) = find_candidates(record)
    return predicted_rows(candidate, split, target)  # type: ignore[arg-type]


def shares(*of_first: float) -> bytes:
    return np.array([(1 - share, share) for share in of_first], dtype="<f4").tobytes()


def test_without_folds_every_run_is_one() -> None:
    part = predictions("select", (0, 1, 1), (0, 0, 1), probabilities=shares(0.1, 0.2, 0.9))
    found = rows_of(study({(1, 0): (part,), (2, 0): (part,), (3, 0): ()}), "select")
    assert [run.key for run in found] == [(1, 0), (2, 0)]
    assert found[0].wrong.tolist() == [False, True, False]
    assert found[0].probabilities[:, 1] == pytest.approx([0.1, 0.2, 0.9])


def test_the_folds_of_a_seed_are_put_together_in_the_order_of_the_rows() -> None:
    runs = {}
    for seed_index in (1, 2):
        first = predictions("select", (1, 0), (1, 1), rows=(3, 0), probabilities=shares(0.3, 0.0))
        second = predictions("select", (1, 1), (0, 1), rows=(2, 1), probabilities=shares(0.2, 0.1))
        test = predictions("test", (0,), (1,))
        runs[seed_index, 1] = (first, test)
        runs[seed_index, 2] = (second, test)
    record = study(runs, folds=2)
    found = rows_of(record, "select")
    assert [run.key for run in found] == [(1, 0), (2, 0)]
    assert (found[1].labels.tolist(), found[1].predicted.tolist()) == ([0, 1, 1, 1], [1, 1, 0, 1])
    assert found[1].probabilities[:, 1] == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert [run.key for run in rows_of(record, "test")] == [(1, 0), (1, 1), (2, 0), (2, 1)]


def test_a_seed_of_which_a_fold_kept_nothing_has_no_select_rows() -> None:
    first = predictions("select", (1, 0), (1, 1), rows=(3, 0), probabilities=shares(0.3, 0.0))
    second = predictions("select", (1, 1), (0, 1), rows=(2, 1))
    record = study({(1, 1): (first,), (1, 2): (), (2, 1): (first,), (2, 2): (second,)}, folds=2)
    (found,) = rows_of(record, "select")
    assert found.key == (2, 0)
    # Probabilities of some of the rows are none of all rows.
    assert found.probabilities is None


def test_a_set_is_wrong_as_a_whole() -> None:
    part = predictions("test", ((0, 2), (), (1,)), ((0, 2), (1,), ()))
    record = study({(1, 0): (part,), (2, 0): (part,)})
    task = record.task.model_copy(update={"kind": "multi_label", "labels": ("a", "b", "c"), "metric": "micro_f1"})
    found = rows_of(record.model_copy(update={"task": task}), "test", SETS)
    assert found[0].wrong.tolist() == [False, True, True]
    assert found[0].labels.shape == (3, 3)


def test_equal_predictions_have_equal_numbers() -> None:
    assert prediction_codes(np.array([3, 0, 3])).tolist() == [1, 0, 1]
    sets = np.zeros((4, 11), dtype=np.int64)
    sets[1, 10] = sets[3, 10] = sets[2, 0] = 1
    codes = prediction_codes(sets).tolist()
    assert codes[1] == codes[3]
    assert len(set(codes)) == 3
