from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from unipelt_search.errors import DataError, DivergedError
from unipelt_search.kinds.label_kind import Target, find_kind
from unipelt_search.records.notice import Notice
from unipelt_search.tasks.metrics import choose_metric, metrics_for, score_all, score_logits

THREE = Target("classification", ("a", "b", "c"))
TWO = Target("classification", ("no", "yes"), positive=1)
NUMBERS = Target("regression", ())
SETS = Target("multi_label", ("a", "b", "c"))


def test_scores_are_the_textbook_ones() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2])
    predicted = np.array([0, 0, 1, 1, 1, 0])
    scores = score_all(THREE, labels, predicted)
    assert tuple(scores) == ("accuracy", "macro_f1", "matthews", "balanced_accuracy", "weighted_f1")
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
    assert tuple(scores) == ("micro_f1", "macro_f1", "subset_accuracy", "weighted_f1")
    assert scores["micro_f1"] == sk.f1_score(labels, predicted, average="micro")
    assert scores["macro_f1"] == sk.f1_score(labels, predicted, average="macro")
    assert scores["subset_accuracy"] == (labels == predicted).all(1).mean()
    nothing = np.zeros((4, 3), dtype=np.int64)
    undefined = {"micro_f1": 0.0, "macro_f1": 0.0, "subset_accuracy": 1.0, "weighted_f1": 0.0}
    assert score_all(SETS, nothing, nothing) == undefined


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
        Notice(code="positive_label", values={"label": "yes", "metric": "F1"}),
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
    with pytest.raises(DataError, match="quadratic_kappa needs labels that are all integers"):
        choose_metric("quadratic_kappa", "x", THREE)
    with pytest.raises(DataError, match="top_3_accuracy needs more than 3 labels"):
        choose_metric("top_3_accuracy", "x", THREE)


def soft(random: np.random.Generator, rows: int, classes: int) -> np.ndarray:
    """Logits with ties among them."""
    return np.round(2 * random.normal(size=(rows, classes)), 1)


# Probabilities in single precision sum to 1 in single precision only.
@pytest.mark.filterwarnings("ignore:The y_prob values do not sum to one")
@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("weighted", [False, True])
def test_scores_of_stored_probabilities_are_scikit_learns(classes: int, weighted: bool) -> None:
    random = np.random.default_rng(classes)
    labels = np.append(np.arange(classes), random.integers(0, classes, 60))
    logits = soft(random, len(labels), classes)
    target = find_kind("classification").of_labels(tuple(map(str, range(classes))))
    weights = random.exponential(size=len(labels)) if weighted else None
    stored = target.probabilities(logits)
    assert stored is not None
    given = stored.astype(np.float64)
    predicted = target.predict(logits)
    found = score_all(target, labels, predicted, stored, weights)
    assert set(found) == set(metrics_for(target))
    known = {"sample_weight": weights}
    # One class against the rest, class by class.
    alone = (labels, given[:, 1]) if classes == 2 else (np.eye(classes)[labels], given)
    expected = {
        "accuracy": sk.accuracy_score(labels, predicted, **known),
        "macro_f1": sk.f1_score(labels, predicted, average="macro", **known),
        "weighted_f1": sk.f1_score(labels, predicted, average="weighted", **known),
        "matthews": sk.matthews_corrcoef(labels, predicted, **known),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, predicted, **known),
        "quadratic_kappa": sk.cohen_kappa_score(labels, predicted, weights="quadratic", **known),
        "roc_auc": sk.roc_auc_score(*alone, **known),
        "average_precision": sk.average_precision_score(*alone, **known),
        "log_loss": sk.log_loss(labels, given, **known),
        "brier": sk.brier_score_loss(labels, given[:, 1] if classes == 2 else given, **known),
    }
    if classes == 2:
        expected["f1"] = sk.f1_score(labels, predicted, **known)
    if classes == 7:
        for first in (3, 5):
            expected[f"top_{first}_accuracy"] = sk.top_k_accuracy_score(labels, given, k=first, **known)
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_scores_of_stored_probabilities_of_sets_and_of_numbers_are_scikit_learns(weighted: bool) -> None:
    random = np.random.default_rng(4)
    labels = random.integers(0, 2, (50, 3))
    logits = soft(random, 50, 3)
    weights = random.exponential(size=50) if weighted else None
    known = {"sample_weight": weights}
    stored = SETS.probabilities(logits)
    assert stored is not None
    given = stored.astype(np.float64)
    predicted = SETS.predict(logits)
    found = score_all(SETS, labels, predicted, stored, weights)
    losses = [sk.log_loss(labels[:, column], given[:, column], **known) for column in range(3)]
    briers = [sk.brier_score_loss(labels[:, column], given[:, column], **known) for column in range(3)]
    exact = np.array([(row == other).all() for row, other in zip(labels, predicted, strict=True)])
    expected = {
        "micro_f1": sk.f1_score(labels, predicted, average="micro", **known),
        "macro_f1": sk.f1_score(labels, predicted, average="macro", **known),
        "weighted_f1": sk.f1_score(labels, predicted, average="weighted", **known),
        "subset_accuracy": np.average(exact, weights=weights),
        "roc_auc": sk.roc_auc_score(labels, given, **known),
        "average_precision": sk.average_precision_score(labels, given, **known),
        "log_loss": np.mean(losses),
        "brier": np.mean(briers),
    }
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-12)
    truth = random.normal(size=50)
    number = truth + random.normal(size=50)
    errors = score_all(NUMBERS, truth, number, None, weights)
    assert errors["mae"] == pytest.approx(sk.mean_absolute_error(truth, number, **known), rel=1e-12)
    assert errors["rmse"] == pytest.approx(sk.root_mean_squared_error(truth, number, **known), rel=1e-12)
    assert errors["r2"] == pytest.approx(sk.r2_score(truth, number, **known), rel=1e-12)


@pytest.mark.parametrize(("target", "rows"), [(TWO, [0]), (TWO, [1, 1, 1]), (THREE, [2, 2]), (SETS, [[0, 1, 0]] * 2)])
def test_rows_that_are_all_alike_have_finite_scores(target: Target, rows: list[object]) -> None:
    labels = np.array(rows)
    logits = np.random.default_rng(0).normal(size=(len(labels), target.outputs))
    scores = score_all(target, labels, target.predict(logits), target.probabilities(logits))
    assert set(scores) == {metric.name for metric in target.metrics()}
    assert all(np.isfinite(value) for value in scores.values())
    assert scores["roc_auc"] == 0.5


def test_the_positive_label_is_whose_area_and_precision_it_is() -> None:
    random = np.random.default_rng(0)
    labels, logits = random.integers(0, 2, 40), soft(random, 40, 2)
    for positive in (0, 1):
        target = replace(TWO, positive=positive)
        stored = target.probabilities(logits)
        assert stored is not None
        scores = score_all(target, labels, target.predict(logits), stored)
        own = labels == positive
        assert scores["average_precision"] == pytest.approx(sk.average_precision_score(own, stored[:, positive]))
        assert scores["roc_auc"] == pytest.approx(sk.roc_auc_score(own, stored[:, positive]))


def test_outputs_that_are_no_numbers_end_a_run_whose_metric_needs_probabilities() -> None:
    logits = np.array([[0.0, np.nan], [1.0, 0.0]])
    assert score_logits(TWO, "accuracy", np.array([0, 1]), logits) <= 1.0
    with pytest.raises(DivergedError):
        score_logits(TWO, "roc_auc", np.array([0, 1]), logits)
