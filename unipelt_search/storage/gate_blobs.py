"""A run's gates, value by value, as one `.npz` file in a column, and back."""

from __future__ import annotations

from io import BytesIO

import numpy as np

from unipelt_search.records.results import GateName, GateValues
from unipelt_search.storage.stored_content import content_columns, read_content
from unipelt_search.storage.tables import GateValuesRow

_HALF = np.dtype("<f2")


def gate_values_row(run_id: str, kept: GateValues) -> GateValuesRow:
    """Pack a run's gates into the row that stores them.

    Args:
        run_id: The run.
        kept: Its gates.

    Returns:
        The row, with the content's hash.
    """
    values = np.frombuffer(kept.values, dtype=_HALF)
    arrays = {
        "values": values.reshape(len(kept.gates), len(kept.rows)),
        "stack": np.array([name.stack for name in kept.gates], dtype=np.str_),
        "layer": np.array([name.layer for name in kept.gates], dtype=np.int32),
        "gate": np.array([name.gate for name in kept.gates], dtype=np.str_),
        "row": np.array(kept.rows, dtype=np.int32),
    }
    file = BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return GateValuesRow(run_id=run_id, **content_columns(file))


def read_gate_values(row: GateValuesRow) -> GateValues:
    """Unpack what `gate_values_row` packed.

    Args:
        row: The row.

    Returns:
        The gates.

    Raises:
        StorageError: The content is not what was stored.
    """
    file = read_content(row, "gates", f"run {row.run_id}")
    with np.load(file, allow_pickle=False) as arrays:
        columns = [arrays[name].tolist() for name in ("stack", "layer", "gate")]
        rows = arrays["row"].tolist()
        values = arrays["values"].astype(_HALF).tobytes()
    names = [GateName(stack=stack, layer=layer, gate=gate) for stack, layer, gate in zip(*columns, strict=True)]
    return GateValues(gates=tuple(names), rows=tuple(rows), values=values)
