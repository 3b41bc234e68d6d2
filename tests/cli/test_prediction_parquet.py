from __future__ import annotations

import io
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unipelt_search.cli.prediction_parquet import ColumnTypes, ParquetPredictions
from unipelt_search.exporting.table_predictions import PredictedRows, output_columns
from unipelt_search.kinds.label_kind import Prediction, Target
from unipelt_search.tasks.table import Location, WrittenNumber


def written(target: Target, *pieces: tuple[list[Any], list[Prediction | None]]) -> pa.Table:
    """Write pieces of one column, and read the file back."""
    types = ColumnTypes()
    for cells, _ in pieces:
        types.add({"cell": cells})
    file = io.BytesIO()
    output = ParquetPredictions(file, output_columns(["cell"], target.labels), types, target)
    for cells, predictions in pieces:
        reasons = tuple("empty" if prediction is None else None for prediction in predictions)
        lines = tuple(Location("a", number) for number, _ in enumerate(cells))
        output.write(PredictedRows({"cell": cells}, tuple(predictions), reasons, lines))
    output.close()
    return pq.read_table(pa.BufferReader(file.getvalue()))


@pytest.mark.parametrize(
    ("pieces", "kind", "read"),
    [
        ([["a"], [None]], pa.string(), ["a", None]),
        ([[None], [1]], pa.int64(), [None, 1]),
        ([[1], [1.5]], pa.float64(), [1.0, 1.5]),
        ([[Decimal("1.50")], [Decimal("1123.5")]], pa.decimal128(6, 2), [Decimal("1.50"), Decimal("1123.50")]),
        ([[WrittenNumber("7")], [WrittenNumber("1.5")]], pa.float64(), [7.0, 1.5]),
        ([[[WrittenNumber("7")]], [None]], pa.list_(pa.int64()), [[7], None]),
        ([[{"a": WrittenNumber("7")}], [{}]], pa.struct({"a": pa.int64()}), [{"a": 7}, {"a": None}]),
        ([["a"], [WrittenNumber("1.50")]], pa.string(), ["a", "1.50"]),
        ([[1], ["007"]], pa.string(), ["1", "007"]),
        ([["007"], [1]], pa.string(), ["007", "1"]),
        ([[1, "a"]], pa.string(), ["1", "a"]),
        ([[2**70], [1]], pa.string(), [str(2**70), "1"]),
        ([["\ud800"]], pa.string(), ["\\ud800"]),
        ([[None], [None]], pa.string(), [None, None]),
        ([[np.array([1, 2])], [None]], pa.list_(pa.int64()), [[1, 2], None]),
        ([[[1]], ["a"]], pa.string(), ["[1]", "a"]),
    ],
)
def test_a_column_keeps_its_type_or_becomes_text(pieces: list[list[Any]], kind: Any, read: list[Any]) -> None:
    number = [Prediction(0.5, None)]
    table = written(Target("regression", ()), *[(cells, number * len(cells)) for cells in pieces])
    assert table.schema.field("cell").type == kind
    assert table.column("cell").to_pylist() == read


@pytest.mark.parametrize(
    ("target", "prediction", "kind"),
    [
        (Target("regression", ()), Prediction(1 / 3, None), pa.float64()),
        (Target("classification", ("a", "b")), Prediction("b", {"a": 1 / 3, "b": 2 / 3}), pa.string()),
        (Target("multi_label", ("a", "b")), Prediction(("a", "b"), {"a": 0.6, "b": 0.7}), pa.list_(pa.string())),
    ],
)
def test_predictions_are_exact_and_may_be_missing(target: Target, prediction: Prediction, kind: Any) -> None:
    table = written(target, (["x"], [None]), (["y"], [prediction]))
    assert table.schema.field("label").type == kind
    label = list(prediction.label) if isinstance(prediction.label, tuple) else prediction.label
    assert table.column("label").to_pylist() == [None, label]
    for name in target.labels:
        assert prediction.probabilities is not None
        assert table.column(f"probability of {name}").to_pylist() == [None, prediction.probabilities[name]]
    assert table.column("reason").to_pylist() == ["empty", None]
