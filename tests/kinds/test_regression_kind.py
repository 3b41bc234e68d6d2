from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from unipelt_search.errors import DataError, DivergedError
from unipelt_search.kinds.label_kind import Target
from unipelt_search.kinds.regression_kind import KIND

NUMBERS = Target("regression", (), mean=10.0, sd=2.0)


def test_a_cell_without_a_number_is_refused() -> None:
    with pytest.raises(DataError, match="finite number with a decimal point .*got '2,5' at line 2"):
        KIND.check(["1", "2,5"], lambda position: f"line {position + 1}")


def test_only_fractions_make_labels_numbers() -> None:
    assert KIND.recognises(["1", "2.5"])
    assert not KIND.recognises(["1", "2.0"])
    assert not KIND.recognises(["1.5", "b"])


def test_numbers_are_standardised_by_the_training_rows() -> None:
    target = KIND.fit((), ["1", "2.5", "4"], balanced=False)
    assert (target.outputs, target.mean, target.sd) == (1, 2.5, pytest.approx(np.std([1, 2.5, 4])))
    assert KIND.fit((), ["3", "3"], balanced=False).sd == 1.0


def test_predictions_are_in_the_users_units() -> None:
    logits = np.array([[0.5], [-1.0]], dtype=np.float32)
    assert KIND.predict(NUMBERS, logits).tolist() == [11.0, 8.0]
    assert [(found.label, found.probabilities) for found in KIND.predictions(NUMBERS, logits)] == [
        (11.0, None),
        (8.0, None),
    ]
    assert KIND.output_scale(NUMBERS) == (2.0, 10.0)
    assert "the one output · 2.0 + 10.0" in KIND.meaning(NUMBERS)
    assert KIND.refit(NUMBERS, logits, np.array([1.0, 2.0])) is NUMBERS


def test_the_majority_is_the_mean_and_has_no_outcomes() -> None:
    assert KIND.majority(NUMBERS, np.array([])) == 10.0
    assert list(KIND.outcomes(NUMBERS, np.array([0.5]), np.array([0.4]))) == []


def test_strata_are_tenths() -> None:
    tenths = Counter(KIND.strata([str(number) for number in range(100)], None))
    assert sorted(tenths.values()) == [10] * 10


def test_a_prediction_that_is_not_finite_is_refused() -> None:
    KIND.check_predicted(np.array([1.0]))
    with pytest.raises(DivergedError, match="must be finite"):
        KIND.check_predicted(np.array([1.0, np.inf]))
