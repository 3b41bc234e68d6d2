"""Predictions as a Parquet file: a column of the input keeps its type where all its cells have one in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from unipelt_search.cli.prediction_table import cell_text, with_numbers

if TYPE_CHECKING:
    from unipelt_search.exporting.table_predictions import OutputColumns, PredictedRows
    from unipelt_search.kinds.label_kind import Prediction, Target

_NO_TYPE = (pa.ArrowException, UnicodeEncodeError, OverflowError)


class ColumnTypes:
    """The Arrow type of each column, found piece by piece; text where its cells have no type in common."""

    def __init__(self) -> None:
        """Begin without a column."""
        self._types: dict[str, Any] = {}

    def add(self, cells: Mapping[str, Sequence[object]]) -> None:
        """Take some rows into account.

        Args:
            cells: ``(n,)`` of each column.
        """
        for name, column in cells.items():
            known = self._types.get(name, pa.null())
            if known != pa.string():
                self._types[name] = _common(known, [with_numbers(cell) for cell in column])

    def of(self, name: str) -> Any:
        """Return the type of a column; text where none of its cells has been seen."""
        found = self._types.get(name, pa.null())
        return pa.string() if pa.types.is_null(found) else found


class ParquetPredictions:
    """An open Parquet file of predictions."""

    def __init__(self, file: BinaryIO, columns: OutputColumns, types: ColumnTypes, target: Target) -> None:
        """Begin the file.

        Args:
            file: Where to.
            columns: The columns.
            types: The types of those that are kept.
            target: What the model predicts.
        """
        self._columns = columns
        fields = [(name, types.of(name)) for name in columns.kept]
        fields.append((columns.label, _label_type(target)))
        fields += [(name, pa.float64()) for name in columns.probabilities.values()]
        fields.append((columns.reason, pa.string()))
        self._schema = pa.schema(fields)
        self._writer = pq.ParquetWriter(file, self._schema)

    def write(self, rows: PredictedRows) -> None:
        """Write some rows after those before.

        Args:
            rows: The rows.
        """
        cells: dict[str, Iterable[object]] = dict(rows.cells)
        labels = []
        for prediction in rows.predictions:
            labels.append(None if prediction is None else prediction.label)
        cells[self._columns.label] = labels
        for label, name in self._columns.probabilities.items():
            cells[name] = [_share(prediction, label) for prediction in rows.predictions]
        cells[self._columns.reason] = rows.reasons
        arrays = [_array(list(cells[field.name]), field.type) for field in self._schema]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))

    def close(self) -> None:
        """Write the end of the file."""
        self._writer.close()


def _common(known: Any, column: Sequence[object]) -> Any:
    """Return a type for cells of a known type and these cells; text where there is none."""
    try:
        kinds = (known, pa.array(column).type)
        schemas = [pa.schema([("cells", kind)]) for kind in kinds]
        return pa.unify_schemas(schemas, promote_options="permissive").field("cells").type
    except _NO_TYPE:
        return pa.string()


def _array(cells: Sequence[object], kind: Any) -> Any:
    if not pa.types.is_string(kind):
        return pa.array([with_numbers(cell) for cell in cells], type=kind)
    texts = []
    for cell in cells:
        # Half of a surrogate pair, which JSON can hold, is no UTF-8: it is written as its escape.
        text = cell_text(cell).encode("utf-8", "backslashreplace").decode("utf-8")
        texts.append(None if cell is None else text)
    return pa.array(texts, type=kind)


def _label_type(target: Target) -> Any:
    kind = target.label_kind
    if not kind.has_labels:
        return pa.float64()
    return pa.string() if kind.separator is None else pa.list_(pa.string())


def _share(prediction: Prediction | None, label: str) -> float | None:
    if prediction is None or prediction.probabilities is None:
        return None
    return prediction.probabilities[label]
