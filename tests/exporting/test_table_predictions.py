from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from unipelt_search.errors import RequestError
from unipelt_search.exporting.table_predictions import (
    check_text_columns,
    kept_columns,
    output_columns,
    predict_tables,
    predicted_frame,
)
from unipelt_search.exporting.table_source import ROWS_AT_ONCE, Reason, Survey, survey_tables, unusable_text
from unipelt_search.kinds.label_kind import Prediction
from unipelt_search.tasks.table import Location, Table


class LengthModel:
    """Predicts the number of characters of a row's texts."""

    def predict_rows(self, rows: Sequence[tuple[str, ...]]) -> tuple[list[Prediction | None], list[Reason | None]]:
        reasons = [unusable_text(row) for row in rows]
        lengths = [float(sum(map(len, row))) for row in rows]
        predictions = [
            Prediction(length, None) if reason is None else None
            for length, reason in zip(lengths, reasons, strict=True)
        ]
        return predictions, reasons


def table_of(begin: int = 1, **cells: Sequence[object]) -> Table:
    rows = len(next(iter(cells.values()))) if cells else 0
    lines = tuple(Location("a.csv", number) for number in range(begin, begin + rows))
    return Table("a.csv", tuple(cells), cells, lines)


def kept_of(names: list[str], *ids: str) -> tuple[str, ...]:
    survey = Survey("a.csv", 1, tuple(names), ())
    return kept_columns(survey, lambda wanted: iter([table_of(**{name: ["x"] for name in names})]), ids)


def test_all_columns_are_kept_or_those_that_are_named() -> None:
    assert kept_of(["label", "id", "x.1", "x"]) == ("label", "id", "x.1", "x")
    assert kept_of(["label", "id", "x", "x"], "id", "label", "id") == ("id", "label")


@pytest.mark.parametrize(
    ("ids", "message"),
    [(["idd"], "--id must name a column of a.csv; got 'idd'.*Did you mean 'id'"), ([], "'x' stands there 2 times")],
)
def test_columns_that_cannot_be_kept(ids: list[str], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        kept_of(["id", "x", "x"], *ids)


def test_columns_of_the_prediction_give_way() -> None:
    columns = output_columns(["id", "label", "predicted label", "reason", "t"], ("a",))
    assert columns.names == (
        "id", "label", "predicted label", "reason", "t",
        "predicted label (2)", "probability of a", "predicted reason",
    )  # fmt: skip
    assert columns.renamed(nested=False) == {"label": "predicted label (2)", "reason": "predicted reason"}
    assert columns.renamed(nested=True) == columns.renamed(nested=False)
    nested = output_columns(["probabilities", "probability of a"], ("a",))
    assert nested.renamed(nested=True) == {"probabilities": "predicted probabilities"}
    assert nested.renamed(nested=False) == {"probability of a": "predicted probability of a"}
    assert output_columns([], ()).names == ("label", "reason")


def test_as_many_text_columns_as_in_training() -> None:
    assert check_text_columns((), ("a", "b")) == ("a", "b")
    assert check_text_columns(["c"], ("a",)) == ("c",)
    with pytest.raises(RequestError, match="--text must name 1 columns for this model; got 2"):
        check_text_columns(["c", "d"], ("a",))


def test_rows_without_a_text_have_a_reason_and_keep_their_order() -> None:
    tables = [table_of(t=["abc", None], id=[1, 2]), table_of(3, t=["a"], other=["x"])]
    first, second = predict_tables(LengthModel(), iter(tables), ["t"], ["id", "other"])
    assert [None if found is None else found.label for found in first.predictions] == [3.0, None]
    assert first.reasons == (None, "empty")
    assert first.cells == {"id": [1, 2], "other": [None, None]}
    assert second.cells == {"id": [None], "other": ["x"]}
    assert second.locations == (Location("a.csv", 3),)


def test_pieces_become_data_frames() -> None:
    columns = output_columns(["label"], ("a",))
    piece = next(predict_tables(LengthModel(), iter([table_of(t=["abc", ""], label=[7, "b"])]), ["t"], ["label"]))
    frame = predicted_frame(piece, columns, 5)
    assert list(frame.index) == [5, 6]
    assert frame["label"].tolist() == [7, "b"]
    assert frame["predicted label"].tolist() == [3.0, None]
    assert frame["probability of a"].dtype == np.float64
    assert frame["reason"].tolist() == [None, "empty"]


def peak_of(rows: int) -> int:
    """Predict rows of which every tenth is empty, look at each, and return the most memory that was used, in bytes."""

    def pieces() -> Iterator[Table]:
        for begin in range(0, rows, ROWS_AT_ONCE):
            numbers = range(begin, min(begin + ROWS_AT_ONCE, rows))
            texts = ["" if number % 10 == 3 else "w" * (1 + number % 7) for number in numbers]
            yield table_of(begin, t=texts, id=[f"id {number}" for number in numbers])

    tracemalloc.start()
    try:
        row = 0
        survey = survey_tables(pieces(), ["t"])
        for piece in predict_tables(LengthModel(), pieces(), ["t"], ["id"]):
            for index, prediction in enumerate(piece.predictions):
                assert piece.cells["id"][index] == f"id {row}"
                assert (prediction is None) == (row % 10 == 3)
                assert prediction is None or prediction.label == 1 + row % 7
                row += 1
        assert row == survey.rows == rows
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_rows() -> None:
    assert peak_of(20_000) < 1.2 * peak_of(4_000)
