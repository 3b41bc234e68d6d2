from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest

from unipelt_search.errors import StorageError
from unipelt_search.records.results import GateName, GateValues
from unipelt_search.storage.gate_blobs import gate_values_row, read_gate_values

MATRIX = np.random.default_rng(0).random((3, 5))
KEPT = GateValues(
    gates=(
        GateName(stack="encoder", layer=0, gate="adapter"),
        GateName(stack="encoder", layer=11, gate="lora_value"),
        GateName(stack="decoder", layer=12, gate="prefix"),
    ),
    rows=(0, 3, 5, 8, 1999),
    values=MATRIX.astype("<f2").tobytes(),
)


def test_gates_come_back_as_they_were() -> None:
    assert read_gate_values(gate_values_row("run", KEPT)) == KEPT


def test_the_same_gates_are_the_same_bytes() -> None:
    assert gate_values_row("a", KEPT).sha256 == gate_values_row("b", KEPT).sha256


def test_the_content_is_an_ordinary_file_of_numpy() -> None:
    with np.load(BytesIO(gate_values_row("run", KEPT).content), allow_pickle=False) as arrays:
        assert arrays["values"].dtype == np.float16
        assert arrays["values"] == pytest.approx(MATRIX, abs=2**-11)
        assert arrays["gate"].tolist() == ["adapter", "lora_value", "prefix"]
        assert (arrays["layer"].tolist(), arrays["row"].tolist()) == ([0, 11, 12], [0, 3, 5, 8, 1999])
        assert arrays["stack"].tolist() == ["encoder", "encoder", "decoder"]


def test_a_run_without_rows_or_gates_keeps_nothing() -> None:
    empty = GateValues(gates=(), rows=(), values=b"")
    assert read_gate_values(gate_values_row("run", empty)) == empty


def test_a_changed_byte_is_found() -> None:
    row = gate_values_row("run", KEPT)
    row.content = row.content[:40] + bytes([row.content[40] ^ 1]) + row.content[41:]
    with pytest.raises(StorageError, match="those of run run are damaged"):
        read_gate_values(row)
