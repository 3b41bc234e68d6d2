from __future__ import annotations

import pytest

from unipelt_search.errors import DataError
from unipelt_search.tasks.label_column import ColumnReading, LabelRequest
from unipelt_search.tasks.single_labels import FEWEST_ROWS, read_single_labels


def column(**asked: object) -> ColumnReading:
    return ColumnReading("label", LabelRequest(("label",), **asked))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["1.5", "n/a", "2.5", "none"], "regression"),
        (["1", "2", "n/a"], "classification"),
        (["1.5", "a", "b", "c"], "classification"),
        (["3,5", "2,5", "n/a", "1,5"] * 5, "regression"),
        (["1,2", "1,2,3", "3", "2"], "multi_label"),
    ],
)
def test_exceptions_among_numbers_are_told_from_names(texts: list[str], kind: str) -> None:
    assert read_single_labels(column(), texts).kind.name == kind


def test_a_plain_number_stays_as_it_is_written() -> None:
    assert read_single_labels(column(), ["1.50", " 2.0 ", "1e3"]).labels == ["1.50", " 2.0 ", "1e3"]


@pytest.mark.parametrize(("rows", "refused"), [(FEWEST_ROWS - 1, False), (FEWEST_ROWS, True)])
def test_labels_of_their_own_are_refused_from_a_number_of_rows_on(rows: int, refused: bool) -> None:
    texts = [f"name {'x' * number}" for number in range(rows)]
    if refused:
        with pytest.raises(DataError, match="'name ' at row 0"):
            read_single_labels(column(), texts)
    else:
        assert read_single_labels(column(), texts).kind.name == "classification"


def test_half_of_the_rows_may_have_a_label_of_their_own() -> None:
    texts = ["a"] * 10 + [f"b {'x' * number}" for number in range(10)]
    assert read_single_labels(column(), texts).labels == texts


@pytest.mark.parametrize("texts", [["$5", "$10", "$5"], ["3.5 kg", "4 kg"], ["EUR 3", "EUR 4"], ["5 €", "7,50 €"]])
def test_units_are_refused_unless_they_are_names(texts: list[str]) -> None:
    with pytest.raises(DataError, match="without a unit"):
        read_single_labels(column(), texts)
    assert read_single_labels(column(kind="classification"), texts).labels == texts


@pytest.mark.parametrize("texts", [["5 stars", "1 star"], ["v1.5", "v2.0"], ["label 1", "label 2"], ["Q1", "Q2"]])
def test_names_with_a_number_are_names(texts: list[str]) -> None:
    assert read_single_labels(column(), texts).labels == texts
