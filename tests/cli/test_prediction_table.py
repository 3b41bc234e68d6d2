from __future__ import annotations

import csv
import io
import json

import pytest

from unipelt_search.cli.prediction_table import inert_cell, predictions_csv, predictions_json
from unipelt_search.kinds.label_kind import Prediction

LABELS = ("=cmd|' /C calc'!A0", 'with "quotes", commas', "-1")
PREDICTIONS = [
    Prediction(LABELS[0], dict(zip(LABELS, (0.5, 0.25, 0.25), strict=True))),
    Prediction("-1", dict(zip(LABELS, (0.0, 1e-9, 1.0), strict=True))),
]


@pytest.mark.parametrize("cell", ["=1+1", "+cmd", "-x", "@sum", "\tx", "\rx", "-1+cmd|' /C calc'!A0", "--1"])
def test_a_formula_is_made_inert(cell: str) -> None:
    assert inert_cell(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["-1", "+2.5", "-1e-5", "-.5", "plain", "a=b", "", "1.5"])
def test_numbers_and_words_stay(cell: str) -> None:
    assert inert_cell(cell) == cell


def test_csv_has_one_line_per_row_and_no_formula() -> None:
    header, *rows = csv.reader(io.StringIO(predictions_csv(PREDICTIONS, LABELS)))
    assert header == ["label", *(f"probability of {label}" for label in LABELS)]
    assert rows == [["'" + LABELS[0], "0.500000", "0.250000", "0.250000"], ["-1", "0.000000", "0.000000", "1.000000"]]


def test_json_is_the_predictions_as_they_are() -> None:
    assert json.loads(predictions_json(PREDICTIONS)) == [
        {"label": p.label, "probabilities": p.probabilities} for p in PREDICTIONS
    ]
