from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from unipelt_search.errors import DataError
from unipelt_search.records.finding import FindingsError
from unipelt_search.records.notice import Notice
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.build import build_task
from unipelt_search.tasks.rows import RawData, Rows

SPEC = TaskSpec(data="x", text=("t",), label="l")


def rows(*labels: str, texts: int = 1) -> Rows:
    return Rows(tuple((f"{n} {label}",) * texts for n, label in enumerate(labels)), labels)


def test_labels_have_numbers_and_texts_stay_with_them() -> None:
    task = build_task(RawData("mine", {"train": rows(*["10", "9"] * 10)}, (Notice(code="read"),)), SPEC, 1)
    assert task.labels == ("9", "10")
    for split in (task.train, task.tune, task.select, task.test):
        assert [text.split()[1] for (text,) in split.texts] == [task.labels[label] for label in split.labels]
    assert (task.name, task.kind, task.metric) == ("mine", "classification", "accuracy")
    assert task.notices[0] == Notice(code="read")
    assert "test_split_off" in {notice.code for notice in task.notices}


def test_pairs_and_other_metrics_are_kept() -> None:
    spec = TaskSpec(data="x", text=("t", "u"), label="l", metric="matthews")
    task = build_task(RawData("mine", {"train": rows(*["a", "b"] * 10, texts=2)}), spec, 1)
    assert (task.kind, task.metric) == ("pair_classification", "matthews")


def test_a_class_that_drawing_loses_keeps_its_place_and_is_named() -> None:
    raw = RawData("x", {"train": rows(*"abcd" * 6), "validation": rows(*"abcd"), "test": rows(*"abcd")})
    task = build_task(raw, SPEC.model_copy(update={"train_size": 3, "allow_overlap": True}), 1)
    assert task.labels == ("a", "b", "c", "d")
    assert len(set(task.train.labels)) == 3
    (lost,) = [notice.values for notice in task.notices if notice.code == "labels_without_rows"]
    assert (lost["labels_count"], lost["of"], lost["rows"]) == (1, 4, 3)


def test_one_class_is_refused_before_anything_is_carved() -> None:
    with pytest.raises(DataError, match="at least 2 labels"):
        build_task(RawData("x", {"train": rows("a", "a")}), SPEC, 1)


def numbers(count: int) -> Rows:
    return Rows(tuple((f"text {n}",) for n in range(count)), tuple(str(n / 2) for n in range(count)))


def test_numbers_are_standardised_by_the_rows_that_are_trained_on() -> None:
    task = build_task(RawData("x", {"train": numbers(200)}), SPEC.model_copy(update={"train_size": 40}), 1)
    assert (task.kind, task.metric, task.labels) == ("regression", "spearman", ())
    own = [label for label in task.train.labels if isinstance(label, float)]
    assert len(own) == 40
    assert (task.target.mean, task.target.sd) == (pytest.approx(np.mean(own)), pytest.approx(np.std(own)))
    assert [text for (text,) in task.test.texts] == [f"text {round(2 * float(x))}" for x in task.test.labels]  # type: ignore[arg-type]
    for split in (task.train, task.tune, task.select, task.test):
        counts, _ = np.histogram(np.array(split.labels, dtype=float), np.linspace(0, 100, 6))
        assert counts.min() >= len(split) // 5 - 2  # every fifth of the numbers is there
    whole = build_task(
        RawData("x", {"train": rows(*["1", "2", "3"] * 9)}), SPEC.model_copy(update={"kind": "regression"}), 1
    )
    assert whole.kind == "regression"


def test_sets_of_labels_have_rows_without_any_and_lose_no_rare_label() -> None:
    labels = ["joy|calm", "joy", "", "anger", "calm|joy", "fear"] * 10 + ["rage|joy"] + ["a|b|c", "b|a", "c"] * 2
    raw = RawData("x", {"train": rows(*labels), "validation": rows("joy", ""), "test": rows("fear|joy")})
    task = build_task(raw, SPEC.model_copy(update={"train_size": 20, "kind": "multi_label"}), 1)
    assert task.labels == ("a", "anger", "b", "c", "calm", "fear", "joy", "rage")
    assert (task.kind, task.metric) == ("multi_label", "micro_f1")
    assert {place for places in task.train.labels for place in places} == set(range(8))  # type: ignore[union-attr]
    assert task.test.labels == ((5, 6),)
    assert build_task(raw, SPEC, 1).kind == "multi_label"


def test_weights_are_those_of_the_drawn_rows_and_numbers_have_none() -> None:
    raw = RawData("x", {"train": rows(*["a"] * 80, *["b"] * 20), "validation": rows(*"abab"), "test": rows("a", "b")})
    plain = SPEC.model_copy(update={"allow_overlap": True, "train_size": 10})
    spec = plain.model_copy(update={"class_weights": "balanced"})
    assert build_task(raw, spec, 1).target.weights == pytest.approx([10 / 16, 10 / 4])
    assert build_task(raw, plain, 1).target.weights == ()
    with pytest.raises(DataError, match="task.class_weights must be none for regression.* got 'balanced'"):
        build_task(RawData("x", {"train": numbers(50)}), spec, 1)


def test_a_test_split_that_is_not_used_decides_nothing() -> None:
    raw = RawData("x", {"train": rows(*"ab" * 20), "validation": rows("a", "b"), "test": rows("0.5", "c")})
    task = build_task(raw, SPEC.model_copy(update={"test": "validation", "allow_overlap": True}), 1)
    assert (task.labels, task.test.labels, len(task.train)) == (("a", "b"), (0, 1), 32)
    assert task.notices[0].code == "validation_is_test"


def test_overlap_is_refused_unless_it_is_allowed() -> None:
    raw = RawData("x", {"train": rows(*"ab" * 20), "validation": rows(*"ab" * 10), "test": rows("a", "b")})
    with pytest.raises(DataError, match=r"At most 10% of the validation rows .* got 20 of 20"):
        build_task(raw, SPEC, 1)
    task = build_task(raw, SPEC.model_copy(update={"allow_overlap": True}), 1)
    values = {"split": "validation", "count": 20, "rows": 20}
    assert Notice(code="overlap", severity="warning", values=values) in task.notices


def test_a_metric_that_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError, match="pearson does not fit classification with 2 labels"):
        build_task(RawData("x", {"train": rows(*"ab" * 20)}), SPEC.model_copy(update={"metric": "pearson"}), 1)


def test_every_confirm_run_may_have_training_rows_of_its_own() -> None:
    raw = RawData("x", {"train": numbers(1100), "validation": numbers(40), "test": numbers(20)})
    spec = SPEC.model_copy(update={"allow_overlap": True, "train_size": 20, "redraw": True})
    plain, task = (
        build_task(raw, spec.model_copy(update={"redraw": again}), 1, repeats=3 * again) for again in (False, True)
    )
    assert plain.resamples == ()
    assert (task.train, task.tune, task.select, task.test) == (plain.train, plain.tune, plain.select, plain.test)
    drawn = [task.train, *(draw.train for draw in task.resamples)]
    assert [len(part) for part in drawn] == [20] * 4
    assert len({part.texts for part in drawn}) == 4
    for draw in task.resamples:
        labels = task.target.to_array(draw.train.labels)
        assert (draw.target.mean, draw.target.sd) == pytest.approx((labels.mean(), labels.std()))
    assert Notice(code="resampled_training_rows", values={"rows": 20, "of": 600}) in task.notices
    assert build_task(raw, spec, 1, repeats=5).resamples[:3] == task.resamples  # more seeds later change none


@pytest.mark.parametrize("size", [None, 200])
def test_there_must_be_other_rows_to_draw(size: int | None) -> None:
    raw = RawData("x", {"train": numbers(200), "validation": numbers(40), "test": numbers(20)})
    spec = SPEC.model_copy(update={"allow_overlap": True, "train_size": size, "redraw": True})
    with pytest.raises(DataError, match="task.redraw needs a --train-size below the number of training rows, 200"):
        build_task(raw, spec, 1, repeats=3)


def test_with_little_data_confirm_runs_have_folds_and_targets_of_their_own() -> None:
    raw = RawData("x", {"train": numbers(100)})
    halved, task = (build_task(raw, SPEC, 1, repeats=repeats) for repeats in (0, 2))
    assert (halved.folds, len(task.folds)) == ((), 10)
    assert (len(task.train), len(task.tune), len(task.select), len(task.test)) == (60, 20, 80, 20)
    assert task.select.texts == task.train.texts + task.tune.texts
    for fold in task.folds:
        own = np.array(task.select.labels, dtype=float)[list(fold.rows.train)]
        assert (fold.target.mean, fold.target.sd) == (pytest.approx(own.mean()), pytest.approx(own.std()))
    summary = task.summary()
    assert (summary.folds, halved.summary().folds) == (5, 0)
    assert summary.rows == {"train": 60, "validation": 20, "test": 20, "tune": 20, "select": 80}
    assert set(summary.majority["select"]) == {"spearman", "pearson", "r2", "mae", "rmse"}
    assert build_task(raw, SPEC, 1, repeats=3).fingerprint == task.fingerprint != halved.fingerprint
    (few,) = [notice.values for notice in task.notices if notice.code == "few_validation_rows_folds"]
    assert (few["rows"], few["fewer_than"], few["folds"], few["select"]) == (20, 200, 5, 80)
    assert (few["fewest_trained"], few["most_trained"]) == (57, 57)


def test_weights_are_those_of_a_folds_training_rows() -> None:
    raw = RawData("x", {"train": rows(*["a"] * 40, *["b"] * 20)})
    task = build_task(raw, SPEC.model_copy(update={"class_weights": "balanced"}), 1, repeats=1)
    for fold in task.folds:
        counts = np.bincount([task.select.labels[row] for row in fold.rows.train])
        assert fold.target.weights == pytest.approx(counts.sum() / (2 * counts))


def weighed(labels: str, start: float) -> Rows:
    texts = tuple((f"row {start + number}",) for number in range(len(labels)))
    return Rows(texts, tuple(labels), weights=tuple(start + number for number in range(len(labels))))


def test_weights_stay_with_their_rows_and_count_in_class_weights() -> None:
    train, validation = weighed("ab" * 40, 1.0), weighed("ab" * 10, 500.0)
    raw = RawData("x", {"train": train, "validation": validation, "test": weighed("ab" * 10, 900.0)})
    spec = SPEC.model_copy(update={"weight": "w", "class_weights": "balanced"})
    by_text = dict(zip(train.texts, train.weights, strict=True))
    task = build_task(raw, spec.model_copy(update={"train_size": 20, "redraw": True}), 1, repeats=2)
    for target, split in [(task.target, task.train), *((one.target, one.train) for one in task.resamples)]:
        assert split.weights == tuple(by_text[text] for text in split.texts)
        sums = np.bincount(split.labels, weights=split.weights)  # type: ignore[arg-type]
        assert target.weights == pytest.approx(sums.sum() / (2 * sums))
    folded = build_task(raw, spec.model_copy(update={"folds": "always"}), 1, repeats=1)
    assert len(folded.folds) == 5
    assert sorted(folded.select.weights) == sorted(train.weights + validation.weights)
    changed = {"train": replace(train, weights=train.weights[::-1])}
    assert build_task(replace(raw, splits={**raw.splits, **changed}), spec, 1).fingerprint != task.fingerprint
    plain = replace(train, weights=())
    assert build_task(replace(raw, splits={**raw.splits, "train": plain}), SPEC, 1).train.weights == ()


def test_everything_that_was_found_is_raised_together_and_oddities_stay() -> None:
    good = RawData("x", {"train": rows(*"ab" * 40, "a", "A")})
    task = build_task(good, SPEC, 1)
    assert {finding.code for finding in task.findings} == {"possible_typos"}
    bad = RawData("x", {**good.splits, "test": rows("a", "b", "c")})
    with pytest.raises(FindingsError) as caught:
        build_task(bad, SPEC.model_copy(update={"allow_overlap": True}), 1)
    assert {finding.code for finding in caught.value.findings} >= {"unknown_label", "overlap", "possible_typos"}
