from __future__ import annotations

import csv
import io
import json
import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from unipelt_search.cli.prediction_table import (
    CsvForm,
    JsonForm,
    cell_text,
    is_formula,
    json_value,
    label_text,
    prediction_lines,
    text_form,
)
from unipelt_search.exporting.table_predictions import OutputColumns, PredictedRows, output_columns
from unipelt_search.kinds.label_kind import Prediction
from unipelt_search.tasks.table import Location, WrittenNumber

LABELS = ("=cmd|' /C calc'!A0", 'with "quotes", commas', "-1")
THIRD = 1 / 3


def columns_of(*names: str, labels: tuple[str, ...] = LABELS) -> OutputColumns:
    return output_columns(names, labels)


def piece(begin: int, cells: dict[str, list[Any]], *predictions: Prediction | None) -> PredictedRows:
    """Return rows from a line on; one without a prediction is empty."""
    reasons = tuple("empty" if prediction is None else None for prediction in predictions)
    lines = tuple(Location("a.csv", begin + number) for number in range(len(predictions)))
    return PredictedRows(cells, predictions, reasons, lines)


def of_label(label: str) -> Prediction:
    return Prediction(label, dict(zip(LABELS, (THIRD, 1e-9, 2 * THIRD), strict=True)))


@pytest.mark.parametrize(
    "cell", ["=1+1", "+cmd", "-x", "@sum", "\tx", "\rx", "\nx", "-1+cmd|' /C calc'!A0", "--1", "＝1"]
)
def test_a_formula_is_seen(cell: str) -> None:
    assert is_formula(cell)


@pytest.mark.parametrize("cell", ["-1", "+2.5", "-1e-5", "-.5", "plain", "a=b", "", "1.5"])
def test_numbers_and_words_are_no_formula(cell: str) -> None:
    assert not is_formula(cell)


@pytest.mark.parametrize(("safe", "mark"), [(False, ""), (True, "'")])
def test_csv_is_exact_or_safe(safe: bool, mark: str) -> None:
    form = CsvForm(columns_of("=id", "text"), ",", safe=safe)
    text = form.begin()
    text += form.rows(piece(2, {"=id": [1], "text": ["+"]}, of_label(LABELS[0])))
    text += form.rows(piece(3, {"=id": [2], "text": [None]}, None))
    text += form.end()
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    assert header == [f"{mark}=id", "text", "label", *(f"probability of {label}" for label in LABELS), "reason"]
    numbers = [repr(THIRD), "1e-09", repr(2 * THIRD)]
    assert rows == [["1", f"{mark}+", mark + LABELS[0], *numbers, ""], ["2", "", "", "", "", "", "empty"]]
    assert form.formulas == 3
    assert form.first_formula == "column '=id' at the first line"


def test_the_first_formula_is_located_over_all_pieces() -> None:
    form = CsvForm(columns_of("text"), ",", safe=False)
    form.begin()
    form.rows(piece(2, {"text": ["plain"]}, of_label("-1")))
    assert (form.formulas, form.first_formula) == (0, "")
    form.rows(piece(3, {"text": ["plain", "@x"]}, of_label("-1"), of_label("-1")))
    assert (form.formulas, form.first_formula) == (1, "column 'text' at line 4 of a.csv")


@pytest.mark.parametrize("text", ['a,"b', "two\nlines", "\r", "a\tb", " x ", "", "'", "\\", "u\u2028v"])
@pytest.mark.parametrize(("form", "delimiter"), [("csv", ","), ("tsv", "\t")])
def test_delimited_text_is_read_back_as_it_was(form: Any, delimiter: str, text: str) -> None:
    writer = text_form(form, columns_of("text", labels=()), safe=False)
    written = writer.begin() + writer.rows(piece(2, {"text": [text]}, Prediction(1234567.875, None))) + writer.end()
    rows = list(csv.reader(io.StringIO(written, newline=""), delimiter=delimiter, strict=True))
    assert rows == [["text", "label", "reason"], [text, "1234567.875", ""]]


@pytest.mark.parametrize("lines", [False, True])
def test_json_keeps_what_cells_are(lines: bool) -> None:
    form = JsonForm(columns_of("n", "text"), lines=lines)
    text = form.begin()
    text += form.rows(piece(2, {"n": [1], "text": ["é"]}, of_label("-1")))
    text += form.rows(piece(3, {"n": [None], "text": [[True, 0.5]]}, None))
    text += form.end()
    read = [json.loads(line) for line in text.splitlines()] if lines else json.loads(text)
    assert read == [
        {"n": 1, "text": "é", "label": "-1", "probabilities": of_label("-1").probabilities, "reason": None},
        {"n": None, "text": [True, 0.5], "label": None, "probabilities": None, "reason": "empty"},
    ]
    assert text.endswith("\n")


def test_json_gives_way_to_columns_of_the_same_name() -> None:
    form = JsonForm(columns_of("label", "probabilities"), lines=True)
    (entry,) = form.rows(
        piece(2, {"label": ["truth"], "probabilities": [0]}, Prediction(("a", "b"), None))
    ).splitlines()
    assert json.loads(entry) == {
        "label": "truth", "probabilities": 0, "predicted label": ["a", "b"], "predicted probabilities": None,
        "reason": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("cell", "value", "text"),
    [
        (None, None, ""),
        ("NA", "NA", "NA"),
        (True, True, "true"),
        (7, 7, "7"),
        (0.1 + 0.2, 0.1 + 0.2, "0.30000000000000004"),
        (math.nan, None, ""),
        (WrittenNumber("1.50"), 1.5, "1.50"),
        (WrittenNumber("-7"), -7, "-7"),
        ([WrittenNumber("7"), "7"], [7, "7"], '[7, "7"]'),
        (-math.inf, "-inf", "-inf"),
        (np.float32(0.5), 0.5, "0.5"),
        (np.int64(3), 3, "3"),
        (np.array([1, 2]), [1, 2], "[1, 2]"),
        (Decimal("12.50"), "12.50", "12.50"),
        (date(2026, 1, 2), "2026-01-02", "2026-01-02"),
        (datetime(2026, 1, 2, 3, tzinfo=UTC), "2026-01-02T03:00:00+00:00", "2026-01-02T03:00:00+00:00"),
        (timedelta(days=1), "1 day, 0:00:00", "1 day, 0:00:00"),
        (b"\x00\xff", "AP8=", "AP8="),
        ({"a": [None, "é"], 2: ("x",)}, {"a": [None, "é"], "2": ["x"]}, '{"a": [null, "é"], "2": ["x"]}'),
    ],
)
def test_cells(cell: object, value: object, text: str) -> None:
    assert json_value(cell) == value
    assert cell_text(cell) == text


def test_a_single_prediction_is_said() -> None:
    assert prediction_lines(of_label("-1")).splitlines() == [
        "-1",
        f"probability of -1: {2 * THIRD!r}",
        f"probability of {LABELS[0]}: {THIRD!r}",
        f"probability of {LABELS[1]}: 1e-09",
    ]
    assert prediction_lines(Prediction(1 / 3, None)) == repr(THIRD)
    assert prediction_lines(Prediction((), {"a": 0.25})) == "no label\nprobability of a: 0.25"


def test_labels_as_cells() -> None:
    assert [label_text(label) for label in ("a", ("a", "b"), (), 1)] == ["a", "a|b", "", "1.0"]
