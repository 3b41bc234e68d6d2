from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score
from sklearn.utils.class_weight import compute_class_weight

from unipelt_search.tasks.target import (
    Target,
    has_sets,
    make_target,
    names_of,
    number_of,
    positive_label,
    predictions_of,
)

CLASSES = Target("classification", ("a", "b", "c"))
NUMBERS = Target("regression", (), mean=10.0, sd=2.0)
SETS = Target("multi_label", ("a", "b", "c"))


@pytest.mark.parametrize(
    ("target", "decode", "encode", "to_array"),
    [
        (CLASSES, ("c", "a"), (2, 0), [2, 0]),
        (NUMBERS, ("1.5", "-2.0"), (1.5, -2.0), [1.5, -2.0]),
        (SETS, ("a|c", "", "b"), ((0, 2), (), (1,)), [[1, 0, 1], [0, 0, 0], [0, 1, 0]]),
    ],
)
def test_labels_become_numbers_and_words_again(
    target: Target, decode: tuple[str, ...], encode: tuple[object, ...], to_array: list[object]
) -> None:
    assert target.encode(decode) == encode
    assert tuple(target.decode(number) for number in target.encode(decode)) == decode
    assert target.to_array(target.encode(decode)).tolist() == to_array
    assert pickle.loads(pickle.dumps(target)) == target


def test_logits_become_predictions() -> None:
    logits = np.array([[0.1, 0.3, -1.0], [2.0, -0.1, 0.1]], dtype=np.float32)
    assert CLASSES.predict(logits).tolist() == [1, 0]
    assert SETS.predict(logits).tolist() == [[1, 1, 0], [1, 0, 1]]
    assert NUMBERS.predict(np.array([[0.5], [-1.0]], dtype=np.float32)).tolist() == [11.0, 8.0]


def test_answers_are_in_the_users_terms_with_torchs_probabilities() -> None:
    logits = np.array([[0.1, 0.3, -1.0], [-200.0, -100.0, -100.5]], dtype=np.float32)
    classes, sets = predictions_of(CLASSES, logits), predictions_of(SETS, logits)
    assert [answer.label for answer in classes] == ["b", "b"]
    assert [answer.label for answer in sets] == [("a", "b"), ()]
    for predictions, probabilities in (
        (classes, torch.tensor(logits).softmax(-1)),
        (sets, torch.tensor(logits).sigmoid()),
    ):
        for answer, row in zip(predictions, probabilities, strict=True):
            assert answer.probabilities is not None
            assert list(answer.probabilities) == ["a", "b", "c"]
            assert list(answer.probabilities.values()) == pytest.approx(row.tolist(), abs=1e-6)
    (number,) = predictions_of(NUMBERS, np.array([[0.5]], dtype=np.float32))
    assert (number.label, number.probabilities) == (11.0, None)


def test_the_majority_needs_no_text() -> None:
    assert CLASSES.majority(np.array([1, 2, 2, 1])) == 1
    assert NUMBERS.majority(np.array([])) == 10.0
    assert SETS.majority(np.array([[1, 1, 0], [1, 0, 0], [0, 1, 1], [1, 1, 0]])).tolist() == [1, 1, 0]
    assert SETS.majority(np.array([[1, 0, 0], [0, 0, 1], [0, 1, 1], [0, 1, 0]])).tolist() == [0, 1, 0]


def test_numbers_are_standardised_by_the_training_rows() -> None:
    target = make_target("regression", (), ["1", "2.5", "4"], balanced=False)
    assert (target.outputs, target.mean, target.sd) == (1, 2.5, pytest.approx(np.std([1, 2.5, 4])))
    assert make_target("regression", (), ["3", "3"], balanced=False).sd == 1.0


def test_balanced_weights_are_scikit_learns() -> None:
    train = ["a"] * 6 + ["c"] * 3 + ["b"]
    target = make_target("classification", ("a", "b", "c"), train, balanced=True)
    expected = compute_class_weight("balanced", classes=np.array(["a", "b", "c"]), y=np.array(train))
    assert target.weights == pytest.approx(expected)
    assert np.mean([target.weights[index] for index in target.encode(train)]) == pytest.approx(1.0)
    lost = make_target("classification", ("a", "b", "lost"), ["a", "a", "b"], balanced=True)
    assert lost.weights == pytest.approx([0.75, 1.5, 1.0])
    assert make_target("classification", ("a", "b"), train, balanced=False).weights == ()


def test_balanced_labels_of_sets_weigh_as_much_present_as_absent() -> None:
    target = make_target("multi_label", ("a", "b", "lost"), ["a|b", "a", "", "a"], balanced=True)
    assert target.weights == pytest.approx([1 / 3, 3.0, 1.0])
    for index, name in enumerate("ab"):
        present = np.array([name in label for label in ["a|b", "a", "", "a"]])
        absent, own = compute_class_weight("balanced", classes=np.array([False, True]), y=present)
        assert target.weights[index] == pytest.approx(own / absent)


@pytest.mark.parametrize(
    ("labels", "positive"),
    [
        (("equivalent", "not_equivalent"), "equivalent"), (("duplicate", "not_duplicate"), "duplicate"),
        (("0", "1"), "1"), (("negative", "positive"), "positive"), (("ham", "spam"), "spam"), (("no", "yes"), "yes"),
        (("acceptable", "unacceptable"), "acceptable"), (("act", "fact"), "fact"), (("event", "No event"), "event"),
    ],
)  # fmt: skip
def test_the_positive_class_is_the_last_or_what_the_last_negates(labels: tuple[str, str], positive: str) -> None:
    index = positive_label(labels)
    assert index is not None
    assert labels[index] == positive
    assert positive_label((*labels, "third")) is None


def test_cells_are_read_as_sets_and_numbers() -> None:
    assert names_of(" b |a|| b") == ("a", "b")
    assert names_of("|") == ()
    assert has_sets(["a", "a|b"])
    assert not has_sets(["a|", "|", "a|a", ""])
    found = [number_of(text) for text in ("1", " -2.5e1 ", ".5", "5.", "1e999", "nan", "1_0", "", "1,5", "٣")]
    assert found == [1.0, -25.0, 0.5, 5.0, None, None, None, None, None, None]


@pytest.mark.parametrize("seed", range(5))
def test_the_threshold_is_the_one_of_all_with_the_best_micro_f1(seed: int) -> None:
    random = np.random.default_rng(seed)
    logits = random.normal(-2, 1, (30, 3)).astype(np.float32).round(1)  # rounded, so that some are equal
    labels = (random.random((30, 3)) < 0.3).astype(np.int64)
    fitted = SETS.fitted(logits, labels)

    def f1(threshold: float) -> float:
        return float(f1_score(labels, logits > threshold, average="micro", zero_division=0))

    assert f1(fitted.threshold) == pytest.approx(max(f1(value - 0.01) for value in logits.ravel()))
    assert (fitted.predict(logits) == (logits > fitted.threshold)).all()


def test_only_sets_of_labels_that_occur_have_a_threshold_to_choose() -> None:
    logits = np.zeros((3, 3), dtype=np.float32)
    assert SETS.fitted(logits, np.zeros((3, 3), dtype=np.int64)) is SETS
    assert CLASSES.fitted(logits, np.array([0, 1, 1])) is CLASSES
