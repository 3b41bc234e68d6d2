"""Predictions for every row as a Parquet file in a column, and back."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from unipelt_search.kinds.label_kind import Label
from unipelt_search.records.results import Predictions
from unipelt_search.storage.stored_content import content_columns, read_content
from unipelt_search.storage.tables import PredictionRow

_COLUMNS = ("label", "predicted")
_ROW = "row"
"""Only where folds decide."""
_WEIGHT = "weight"
"""Only where rows count by their weights in the metrics."""
_PROBABILITY = "probability"
"""A list per row; only where they were kept."""
_WEIGHT = "weight"
"""Only where rows count by it."""
_SINGLE = np.dtype("<f4")
# Nearly every probability occurs once, so a dictionary only adds to the file; its bytes are smaller sorted by position.
_ENCODING: dict[str, Any] = {
    "compression": "zstd",
    "use_dictionary": [*_COLUMNS, *(f"{name}.list.element" for name in _COLUMNS), _ROW, _WEIGHT],
    "use_byte_stream_split": [f"{_PROBABILITY}.list.element"],
}


def prediction_row(run_id: str, predictions: Predictions) -> PredictionRow:
    """Pack a run's predictions into the row that stores them.

    Args:
        run_id: The run.
        predictions: What it predicted on one split.

    Returns:
        The row, with the content's hash.
    """
    return PredictionRow(run_id=run_id, split=predictions.split, **content_columns(_packed(predictions)))


def read_predictions(row: PredictionRow) -> Predictions:
    """Unpack what `prediction_row` packed.

    Args:
        row: The row.

    Returns:
        The predictions.

    Raises:
        StorageError: The content is not what was stored.
    """
    file = read_content(row, "predictions", f"run {row.run_id} on {row.split}")
    table = parquet.read_table(file)
    fields: dict[str, Any] = {"split": row.split}
    fields["labels"], fields["predicted"] = (table.column(name).to_pylist() for name in _COLUMNS)
    for field, name in (("rows", _ROW), ("weights", _WEIGHT)):
        if name in table.column_names:
            fields[field] = table.column(name).to_pylist()
    if _PROBABILITY in table.column_names:
        fields["probabilities"] = _bytes_of(table.column(_PROBABILITY))
    if _WEIGHT in table.column_names:
        fields["weights"] = table.column(_WEIGHT).to_pylist()
    return Predictions.model_validate(fields)


def remove_probabilities(row: PredictionRow) -> bool:
    """Take the probabilities out of stored predictions; everything else stays.

    Args:
        row: The row, which is changed.

    Returns:
        Whether it had any.

    Raises:
        StorageError: The content is not what was stored.
    """
    predictions = read_predictions(row)
    if predictions.probabilities is None:
        return False
    file = _packed(predictions.model_copy(update={"probabilities": None}))
    for name, value in content_columns(file).items():
        setattr(row, name, value)
    return True


def _packed(predictions: Predictions) -> BytesIO:
    columns = {
        name: _column(values)
        for name, values in zip(_COLUMNS, (predictions.labels, predictions.predicted), strict=True)
    }
    if predictions.rows is not None:
        columns[_ROW] = _column(predictions.rows)
    if predictions.weights is not None:
        columns[_WEIGHT] = pa.array(predictions.weights, pa.float64())
    if predictions.probabilities is not None:
        columns[_PROBABILITY] = _lists(predictions.probabilities, len(predictions.labels))
    if predictions.weights is not None:
        columns[_WEIGHT] = pa.array(predictions.weights, pa.float64())
    file = BytesIO()
    parquet.write_table(pa.table(columns), file, **_ENCODING)
    return file


def _column(values: Sequence[Label]) -> pa.Array:
    kind = next((type(value) for value in values), int)
    types = {int: pa.int32(), float: pa.float64(), tuple: pa.list_(pa.int32())}
    return pa.array(values, types[kind])


def _lists(probabilities: bytes, rows: int) -> pa.Array:
    flat = np.frombuffer(probabilities, dtype=_SINGLE)
    # Without a row there is nothing to divide, and no list to hold anything.
    outputs = flat.size // max(rows, 1)
    return pa.FixedSizeListArray.from_arrays(pa.array(flat, pa.float32()), max(outputs, 1))


def _bytes_of(column: pa.ChunkedArray) -> bytes:
    flat = column.combine_chunks().flatten()
    return np.asarray(flat).astype(_SINGLE).tobytes()
