from __future__ import annotations

from io import BytesIO

import pytest

from unipelt_search.errors import StorageError
from unipelt_search.storage.stored_content import content_columns, read_content
from unipelt_search.storage.tables import GateValuesRow


def test_a_file_comes_back_as_it_was() -> None:
    row = GateValuesRow(run_id="run", **content_columns(BytesIO(b"\x00file")))
    assert read_content(row, "gates", "run run").read() == b"\x00file"


def test_content_that_is_not_what_its_hash_says_is_refused_with_its_owner() -> None:
    row = GateValuesRow(run_id="run", **content_columns(BytesIO(b"file")))
    row.content = b"fill"
    with pytest.raises(StorageError, match="Stored gates .* those of run run are damaged"):
        read_content(row, "gates", "run run")
