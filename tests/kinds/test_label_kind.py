from __future__ import annotations

import pickle

import numpy as np
import pytest

from unipelt_search.kinds import label_kind
from unipelt_search.kinds.label_kind import (
    Metric,
    Target,
    check_asked_kind,
    check_asked_metric,
    check_kind,
    find_kind,
    find_metric,
    label_kinds,
    metric_names,
    recognise,
    task_title,
)

TARGETS = (
    Target("classification", ("a", "b", "c")),
    Target("regression", (), mean=10.0, sd=2.0),
    Target("multi_label", ("a", "b", "c")),
)


def test_the_folder_is_the_list_of_kinds() -> None:
    assert tuple(label_kinds()) == ("classification", "regression", "multi_label")
    assert [kind.name for kind in label_kinds().values()] == list(label_kinds())


@pytest.mark.parametrize(
    ("target", "texts", "encoded", "array"),
    [
        (TARGETS[0], ("c", "a"), (2, 0), [2, 0]),
        (TARGETS[1], ("1.5", "-2.0"), (1.5, -2.0), [1.5, -2.0]),
        (TARGETS[2], ("a|c", "", "b"), ((0, 2), (), (1,)), [[1, 0, 1], [0, 0, 0], [0, 1, 0]]),
    ],
)
def test_labels_become_numbers_and_words_again(
    target: Target, texts: tuple[str, ...], encoded: tuple[object, ...], array: list[object]
) -> None:
    assert target.encode(texts) == encoded
    assert tuple(target.decode(label) for label in target.encode(texts)) == texts
    assert target.to_array(target.encode(texts)).tolist() == array
    assert target.from_array(target.to_array(target.encode(texts))) == encoded
    assert pickle.loads(pickle.dumps(target)) == target


def test_a_target_has_the_metrics_that_fit_it() -> None:
    three = TARGETS[0]
    two = Target("classification", ("no", "yes"), positive=1)
    any_labels = ["accuracy", "macro_f1", "matthews", "balanced_accuracy", "weighted_f1"]
    of_probabilities = ["roc_auc", "average_precision", "log_loss", "brier"]
    assert [metric.name for metric in three.metrics()] == any_labels + of_probabilities
    assert {metric.name for metric in two.metrics()} == {*any_labels, *of_probabilities, "f1"}
    with pytest.raises(ValueError, match="must be one of accuracy, macro_f1, .*; got 'f1'"):
        three.metric("f1")


@pytest.mark.parametrize(
    ("labels", "more"),
    [
        (("1", "2", "5"), {"quadratic_kappa"}),
        (("1", "2", "x"), set()),
        (tuple("abcd"), {"top_3_accuracy"}),
        (tuple("abcdef"), {"top_3_accuracy", "top_5_accuracy"}),
    ],
)
def test_some_metrics_need_certain_labels(labels: tuple[str, ...], more: set[str]) -> None:
    optional = {"quadratic_kappa", "top_3_accuracy", "top_5_accuracy"}
    names = {metric.name for metric in Target("classification", labels).metrics()}
    assert names & optional == more


def test_the_brier_score_of_two_classes_ends_at_1() -> None:
    ends = [Target("classification", labels).metric("brier").high for labels in (("a", "b"), ("a", "b", "c"))]
    assert ends == [1.0, 2.0]


def test_constant_probabilities_are_the_shares_of_the_training_rows() -> None:
    classes, numbers, sets = TARGETS
    shares = classes.majority_probabilities(np.array([0, 0, 2, 0]))
    assert shares is not None
    assert (shares.dtype, shares.tolist()) == (np.float32, [0.75, 0.0, 0.25])
    assert numbers.majority_probabilities(np.array([1.0, 2.0])) is None
    of_sets = sets.majority_probabilities(np.array([[1, 0, 0], [1, 1, 0]]))
    assert of_sets is not None
    assert of_sets.tolist() == [1.0, 0.5, 0.0]


def test_a_pair_of_texts_has_the_kind_of_its_labels() -> None:
    assert find_kind("pair_multi_label") is find_kind("multi_label")
    assert (task_title("pair_multi_label"), task_title("regression")) == ("pair multi-label", "regression")
    with pytest.raises(ValueError, match="must be 'classification', 'regression' or 'multi_label'"):
        find_kind("pair_stars")


@pytest.mark.parametrize(
    ("texts", "name"),
    [
        (["a", "b", "1.5"], "classification"), (["1", "2.0"], "classification"), ([], "classification"),
        (["1", "2.5"], "regression"), (["a|b", "a"], "multi_label"), (["1.5|2", "2"], "multi_label"),
    ],
)  # fmt: skip
def test_the_kind_is_seen_in_the_labels(texts: list[str], name: str) -> None:
    assert recognise(texts).name == name


def test_words_of_a_study_are_checked() -> None:
    assert [check_asked_kind(name) for name in ("auto", *label_kinds())] == ["auto", *label_kinds()]
    assert [check_asked_metric(name) for name in ("auto", *metric_names())] == ["auto", *metric_names()]
    assert check_kind("regression") == "regression"
    with pytest.raises(ValueError, match="must be 'auto', 'classification', 'regression' or 'multi_label'"):
        check_asked_kind("class")
    with pytest.raises(ValueError, match="must be 'auto', 'accuracy', "):
        check_asked_metric("acuracy")
    with pytest.raises(ValueError, match="must be 'classification'"):
        check_kind("auto")


def test_kinds_that_share_a_metric_agree_on_what_is_asked_by_name_alone() -> None:
    for kind in label_kinds().values():
        for metric in kind.metrics:
            known = find_metric(metric.name)
            assert (known.title, known.direction, known.low) == (metric.title, metric.direction, metric.low)
            assert metric.row_variance(0.7) > 0
    with pytest.raises(ValueError, match="must be 'accuracy'"):
        find_metric("bleu")


def test_better_is_higher_or_lower_as_the_metric_says() -> None:
    accuracy = find_metric("accuracy")
    error = Metric("error", accuracy.score, accuracy.leave_one_out, direction="minimize")
    assert accuracy.is_better(0.9, 0.8)
    assert error.is_better(0.1, 0.2)
    assert not accuracy.is_better(0.9, 0.9)
    assert not error.is_better(0.2, 0.2)


@pytest.mark.parametrize(("name", "number"), [("classification", 9), ("other", 1)])
def test_a_kind_must_have_its_modules_name_and_a_number_of_its_own(
    monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    kind = find_kind("regression")
    label_kinds.cache_clear()
    monkeypatch.setattr(type(kind), "name" if number == 9 else "number", name if number == 9 else number)
    try:
        with pytest.raises(RuntimeError, match="must"):
            label_kind.label_kinds()
    finally:
        monkeypatch.undo()
        label_kinds.cache_clear()
