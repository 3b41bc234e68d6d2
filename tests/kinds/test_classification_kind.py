from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from unipelt_search.kinds.classification_kind import KIND, positive_label
from unipelt_search.kinds.label_kind import Target

CLASSES = Target("classification", ("a", "b", "c"))


def test_the_largest_output_is_predicted_and_nothing_is_fitted_later() -> None:
    logits = np.array([[0.1, 0.3, -1.0], [2.0, -0.1, 0.1]], dtype=np.float32)
    assert KIND.predict(CLASSES, logits).tolist() == [1, 0]
    assert KIND.refit(CLASSES, logits, np.array([0, 1])) is CLASSES
    assert CLASSES.outputs == 3


def test_predictions_have_torchs_softmax() -> None:
    logits = np.array([[0.1, 0.3, -1.0], [-200.0, -100.0, -100.5]], dtype=np.float32)
    predictions = KIND.predictions(CLASSES, logits)
    assert [prediction.label for prediction in predictions] == ["b", "b"]
    for prediction, row in zip(predictions, torch.tensor(logits).softmax(-1), strict=True):
        assert prediction.probabilities is not None
        assert list(prediction.probabilities) == ["a", "b", "c"]
        assert list(prediction.probabilities.values()) == pytest.approx(row.tolist(), abs=1e-6)


def test_the_majority_is_the_first_of_the_most_frequent_classes() -> None:
    assert KIND.majority(CLASSES, np.array([1, 2, 2, 1])) == 1


def test_balanced_weights_are_scikit_learns() -> None:
    train = ["a"] * 6 + ["c"] * 3 + ["b"]
    target = KIND.fit(("a", "b", "c"), train, balanced=True)
    expected = compute_class_weight("balanced", classes=np.array(["a", "b", "c"]), y=np.array(train))
    assert target.weights == pytest.approx(expected)
    assert np.mean([target.weights[position] for position in target.encode(train)]) == pytest.approx(1.0)
    lost = KIND.fit(("a", "b", "lost"), ["a", "a", "b"], balanced=True)
    assert lost.weights == pytest.approx([0.75, 1.5, 1.0])
    assert KIND.fit(("a", "b"), train, balanced=False) == KIND.of_labels(("a", "b"))
    weights = np.linspace(0.2, 3, len(train))
    weighed = KIND.fit(("a", "b", "c"), train, balanced=True, weights=weights.tolist())
    expected = compute_class_weight(
        "balanced", classes=np.array(["a", "b", "c"]), y=np.array(train), sample_weight=weights
    )
    assert weighed.weights == pytest.approx(expected)


@pytest.mark.parametrize(
    ("labels", "positive"),
    [
        (("equivalent", "not_equivalent"), "equivalent"), (("duplicate", "not_duplicate"), "duplicate"),
        (("0", "1"), "1"), (("negative", "positive"), "positive"), (("ham", "spam"), "spam"), (("no", "yes"), "yes"),
        (("acceptable", "unacceptable"), "acceptable"), (("act", "fact"), "fact"), (("event", "No event"), "event"),
    ],
)  # fmt: skip
def test_the_positive_class_is_the_last_or_what_the_last_negates(labels: tuple[str, str], positive: str) -> None:
    position = positive_label(labels)
    assert position is not None
    assert labels[position] == positive
    assert positive_label((*labels, "third")) is None


def test_outcomes_are_the_cells_of_the_confusion_matrix() -> None:
    found = list(KIND.outcomes(CLASSES, np.array([1, 0, 1, 1]), np.array([0, 0, 0, 1])))
    assert found == [("a", "a", 1), ("b", "a", 2), ("b", "b", 1)]


def test_a_label_that_is_no_position_is_refused() -> None:
    with pytest.raises(TypeError, match="a class must be a position; got 0.5"):
        KIND.decode(CLASSES, 0.5)


def test_it_is_described() -> None:
    assert KIND.describe(CLASSES.labels) == "classification with 3 labels"
    assert KIND.meaning(CLASSES) == "0. `a`\n1. `b`\n2. `c`"
    assert (KIND.rule(CLASSES), KIND.output_scale(CLASSES)) == (None, None)
