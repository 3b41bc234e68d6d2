from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score
from sklearn.utils.class_weight import compute_class_weight

from unipelt_search.kinds.label_kind import Target
from unipelt_search.kinds.multi_label_kind import KIND, names_of

SETS = Target("multi_label", ("a", "b", "c"))


def test_cells_are_read_as_sets() -> None:
    assert names_of(" b |a|| b") == ("a", "b")
    assert names_of("|") == ()
    assert KIND.canonical("b| a|b") == "a|b"
    assert KIND.recognises(["a", "a|b"])
    assert not KIND.recognises(["a|", "|", "a|a", ""])


def test_every_label_above_the_threshold_is_predicted_with_torchs_sigmoid() -> None:
    logits = np.array([[0.1, 0.3, -1.0], [-200.0, -100.0, -100.5]], dtype=np.float32)
    assert KIND.predict(SETS, logits).tolist() == [[1, 1, 0], [0, 0, 0]]
    predictions = KIND.predictions(SETS, logits)
    assert [prediction.label for prediction in predictions] == [("a", "b"), ()]
    for prediction, row in zip(predictions, torch.tensor(logits).sigmoid(), strict=True):
        assert prediction.probabilities is not None
        assert list(prediction.probabilities) == ["a", "b", "c"]
        assert list(prediction.probabilities.values()) == pytest.approx(row.tolist(), abs=1e-6)


def test_the_majority_is_what_more_than_half_have_or_the_most_frequent() -> None:
    assert KIND.majority(SETS, np.array([[1, 1, 0], [1, 0, 0], [0, 1, 1], [1, 1, 0]])).tolist() == [1, 1, 0]
    assert KIND.majority(SETS, np.array([[1, 0, 0], [0, 0, 1], [0, 1, 1], [0, 1, 0]])).tolist() == [0, 1, 0]


def test_balanced_labels_weigh_as_much_present_as_absent() -> None:
    train = ["a|b", "a", "", "a"]
    target = KIND.fit(("a", "b", "lost"), train, balanced=True)
    assert target.weights == pytest.approx([1 / 3, 3.0, 1.0])
    assert KIND.fit(("a", "b"), train, balanced=False).weights == ()
    weighed = KIND.fit(("a", "b"), train, balanced=True, weights=(2.0, 1.0, 4.0, 1.0))
    assert weighed.weights == pytest.approx([4 / 4, 6 / 2])
    for position, name in enumerate("ab"):
        present = np.array([name in label for label in train])
        absent, own = compute_class_weight("balanced", classes=np.array([False, True]), y=present)
        assert target.weights[position] == pytest.approx(own / absent)


def test_strata_are_frequent_sets_or_the_rarest_label() -> None:
    sets = ["a|b"] * 6 + ["a|c", "", "d|b"]
    assert KIND.strata(sets, None) == ["a|b"] * 6 + ["c", "", "d"]
    assert KIND.strata(sets, 3) == ["a"] * 6 + ["c", "", "d"]


@pytest.mark.parametrize("seed", range(5))
def test_the_threshold_is_the_one_of_all_with_the_best_micro_f1(seed: int) -> None:
    random = np.random.default_rng(seed)
    logits = random.normal(-2, 1, (30, 3)).astype(np.float32).round(1)  # rounded, so that some are equal
    labels = (random.random((30, 3)) < 0.3).astype(np.int64)
    fitted = KIND.refit(SETS, logits, labels)

    def f1(threshold: float) -> float:
        return float(f1_score(labels, logits > threshold, average="micro", zero_division=0))

    assert f1(fitted.threshold) == pytest.approx(max(f1(value - 0.01) for value in logits.ravel()))
    assert (fitted.predict(logits) == (logits > fitted.threshold)).all()


def test_labels_that_do_not_occur_leave_the_threshold() -> None:
    logits = np.zeros((3, 3), dtype=np.float32)
    assert KIND.refit(SETS, logits, np.zeros((3, 3), dtype=np.int64)) is SETS


def test_outcomes_are_hits_misses_and_false_alarms() -> None:
    labels = np.array([[1, 0, 0], [1, 0, 0], [0, 0, 0]])
    predicted = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0]])
    assert list(KIND.outcomes(SETS, labels, predicted)) == [("a", "a", 1), ("a", None, 1), (None, "b", 2)]


def test_it_is_described() -> None:
    assert (
        KIND.rule(Target("multi_label", ("a",), threshold=-0.25))
        == "a label is predicted where its logit is above -0.25"
    )
    assert KIND.output_scale(SETS) is None
    with pytest.raises(TypeError, match="a set of labels must be positions; got 1"):
        KIND.decode(SETS, 1)
