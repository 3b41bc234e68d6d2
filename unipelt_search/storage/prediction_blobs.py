"""Predictions for every row as a Parquet file in a column, and back."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from io import BytesIO

import pyarrow as pa
from pyarrow import parquet

from unipelt_search.errors import StorageError
from unipelt_search.kinds.label_kind import Label
from unipelt_search.records.results import Predictions
from unipelt_search.storage.tables import PredictionRow

_COLUMNS = ("label", "predicted")
_ROW = "row"
"""Only where folds decide."""


def prediction_row(run_id: str, predictions: Predictions) -> PredictionRow:
    """Pack a run's predictions into the row that stores them.

    Args:
        run_id: The run.
        predictions: What it predicted on one split.

    Returns:
        The row, with the content's hash.
    """
    columns = {
        name: _column(values)
        for name, values in zip(_COLUMNS, (predictions.labels, predictions.predicted), strict=True)
    }
    if predictions.rows is not None:
        columns[_ROW] = _column(predictions.rows)
    file = BytesIO()
    parquet.write_table(pa.table(columns), file, compression="zstd")
    content = file.getvalue()
    digest = sha256(content).hexdigest()
    return PredictionRow(run_id=run_id, split=predictions.split, content=content, sha256=digest)


def read_predictions(row: PredictionRow) -> Predictions:
    """Unpack what `prediction_row` packed.

    Args:
        row: The row.

    Returns:
        The predictions.

    Raises:
        StorageError: The content is not what was stored.
    """
    if sha256(row.content).hexdigest() != row.sha256:
        raise StorageError(
            f"Stored predictions must be as they were written; those of run {row.run_id} on {row.split} are damaged. "
            "Restore the database from a copy."
        )
    table = parquet.read_table(BytesIO(row.content))
    labels, predicted = (table.column(name).to_pylist() for name in _COLUMNS)
    rows = table.column(_ROW).to_pylist() if _ROW in table.column_names else None
    return Predictions.model_validate({"split": row.split, "labels": labels, "predicted": predicted, "rows": rows})


def _column(values: Sequence[Label]) -> pa.Array:
    kind = next((type(value) for value in values), int)
    types = {int: pa.int32(), float: pa.float64(), tuple: pa.list_(pa.int32())}
    return pa.array(values, types[kind])
