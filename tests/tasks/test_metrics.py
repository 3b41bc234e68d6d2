from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from unipelt_search.errors import DataError
from unipelt_search.kinds.label_kind import Target
from unipelt_search.records.notice import Notice
from unipelt_search.tasks.metrics import choose_metric, metrics_for, score_all

THREE = Target("classification", ("a", "b", "c"))
TWO = Target("classification", ("no", "yes"), positive=1)
NUMBERS = Target("regression", ())
SETS = Target("multi_label", ("a", "b", "c"))


def test_scores_are_the_textbook_ones() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2])
    predicted = np.array([0, 0, 1, 1, 1, 0])
    scores = score_all(THREE, labels, predicted)
    assert tuple(scores) == metrics_for(THREE)
    assert scores["accuracy"] == pytest.approx(4 / 6)
    # F1 per class: 2·2/(3+3), 2·2/(3+2), 0
    assert scores["macro_f1"] == pytest.approx((4 / 6 + 4 / 5 + 0) / 3)
    # Gorodkin's R_K: (c·s − Σ p·t) / sqrt(...)
    assert scores["matthews"] == pytest.approx((4 * 6 - (9 + 6 + 0)) / np.sqrt((36 - 18) * (36 - 14)))


def test_macro_f1_leaves_out_classes_that_do_not_occur() -> None:
    assert score_all(THREE, np.array([0, 1]), np.array([0, 1]))["macro_f1"] == 1.0


@pytest.mark.parametrize(("labels", "predicted"), [([0, 0], [0, 0]), ([0, 1], [1, 1]), ([1, 1], [0, 1]), ([0], [1])])
def test_matthews_is_zero_where_undefined(labels: list[int], predicted: list[int]) -> None:
    scores = score_all(TWO, np.array(labels), np.array(predicted))
    assert scores["matthews"] == 0.0
    assert all(isinstance(value, float) and np.isfinite(value) for value in scores.values())


@pytest.mark.parametrize("positive", [0, 1])
def test_f1_is_that_of_the_positive_class(positive: int) -> None:
    random = np.random.default_rng(0)
    labels, predicted = random.integers(0, 2, 50), random.integers(0, 2, 50)
    target = Target("classification", ("no", "yes"), positive=positive)
    assert score_all(target, labels, predicted)["f1"] == sk.f1_score(labels, predicted, pos_label=positive)
    assert "f1" not in score_all(THREE, labels, predicted)


def test_correlations_are_scipys_and_r2_is_scikit_learns() -> None:
    random = np.random.default_rng(0)
    for _ in range(5):
        labels = random.integers(0, 6, 40) / 2  # with ties, as similarity scores have
        predicted = labels + random.normal(size=40)
        scores = score_all(NUMBERS, labels, predicted)
        assert tuple(scores) == metrics_for(NUMBERS)
        assert scores["spearman"] == pytest.approx(stats.spearmanr(labels, predicted).statistic, abs=1e-12)
        assert scores["pearson"] == pytest.approx(stats.pearsonr(labels, predicted).statistic, abs=1e-12)
        assert scores["r2"] == sk.r2_score(labels, predicted)


@pytest.mark.parametrize(
    ("labels", "predicted"), [([1, 2], [3, 3]), ([2, 2], [1, 2]), ([1], [1]), ([0.1] * 3, [0.3] * 3)]
)
def test_constant_numbers_have_no_correlation(labels: list[float], predicted: list[float]) -> None:
    scores = score_all(NUMBERS, np.array(labels), np.array(predicted))
    assert (scores["spearman"], scores["pearson"]) == (0.0, 0.0)
    assert np.isfinite(scores["r2"])
    assert scores["r2"] == 0.0 or len(set(labels)) > 1


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=1, max_size=8))
@example([(0.0, 0.0), (2.9778291104755345e-151, 2824.0)])
def test_scores_of_numbers_are_always_finite(pairs: list[tuple[float, float]]) -> None:
    labels, predicted = (np.array(side) for side in zip(*pairs, strict=True))
    assert all(np.isfinite(value) for value in score_all(NUMBERS, labels, predicted).values())


def test_sets_of_labels_are_scored_as_scikit_learn_does() -> None:
    random = np.random.default_rng(0)
    labels, predicted = random.integers(0, 2, (30, 3)), random.integers(0, 2, (30, 3))
    scores = score_all(SETS, labels, predicted)
    assert tuple(scores) == metrics_for(SETS)
    assert scores["micro_f1"] == sk.f1_score(labels, predicted, average="micro")
    assert scores["macro_f1"] == sk.f1_score(labels, predicted, average="macro")
    assert scores["subset_accuracy"] == (labels == predicted).all(1).mean()
    nothing = np.zeros((4, 3), dtype=np.int64)
    assert score_all(SETS, nothing, nothing) == {"micro_f1": 0.0, "macro_f1": 0.0, "subset_accuracy": 1.0}


@pytest.mark.parametrize(
    ("name", "target", "metric"),
    [
        ("cola", TWO, "matthews"), ("MRPC", TWO, "f1"), ("nyu-mll/glue:qqp", TWO, "f1"), ("stsb", NUMBERS, "spearman"),
        ("owner/CoLA", TWO, "matthews"), ("sst2", TWO, "accuracy"), ("mrpc", THREE, "accuracy"),
        ("cola", NUMBERS, "spearman"), ("reviews", SETS, "micro_f1"), ("owner/glue:mnli", THREE, "accuracy"),
    ],
)  # fmt: skip
def test_auto_is_what_glue_uses_or_the_kinds_default(name: str, target: Target, metric: str) -> None:
    assert choose_metric("auto", name, target)[0] == metric


def test_what_was_chosen_is_said() -> None:
    _, said = choose_metric("auto", "mrpc", TWO)
    assert said == (
        Notice(code="glue_metric", values={"metric": "f1", "dataset": "mrpc"}),
        Notice(code="positive_label", values={"label": "yes"}),
    )
    assert choose_metric("accuracy", "mrpc", TWO) == ("accuracy", ())
    assert choose_metric("auto", "sst2", TWO) == ("accuracy", ())


def test_a_metric_that_does_not_fit_is_refused_with_those_that_do() -> None:
    with pytest.raises(DataError, match="accuracy does not fit regression. Choose one of spearman, pearson, r2"):
        choose_metric("accuracy", "x", NUMBERS)
    with pytest.raises(DataError, match="Choose one of micro_f1, macro_f1, subset_accuracy"):
        choose_metric("matthews", "x", SETS)
    with pytest.raises(DataError, match="f1 needs exactly 2 labels.* has classification with 3 labels"):
        choose_metric("f1", "x", THREE)
