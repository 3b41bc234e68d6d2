from __future__ import annotations

import pytest

from unipelt_search.records.results import GateName, GateValues


def test_gate_values_are_two_bytes_per_gate_and_row() -> None:
    name = GateName(stack="encoder", layer=0, gate="prefix")
    kept = GateValues(gates=(name,), rows=(0, 1), values=b"\xff\x38\x00\x34")
    assert GateValues.model_validate_json(kept.model_dump_json()) == kept, "bytes travel as text"
    with pytest.raises(ValueError, match="must have 4 bytes, two per gate and row; got 3"):
        GateValues(gates=(name,), rows=(0, 1), values=b"123")
