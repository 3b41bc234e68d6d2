from __future__ import annotations

import pytest
from pydantic import ValidationError

from unipelt_search.records.row_origins import RowOrigins, RowSource

SOURCES = (RowSource(name="a.csv", unit="line"), RowSource(name="train", unit="row"))


def test_a_row_says_where_it_stands() -> None:
    origins = RowOrigins(split="select", sources=SOURCES, source_of=(1, 0), numbers=(3, 7))
    assert [origins.format(0), origins.format(1)] == ["row 3 of train", "line 7 of a.csv"]


def test_a_row_without_a_number_is_refused() -> None:
    with pytest.raises(ValidationError, match="got 2 and 1"):
        RowOrigins(split="select", sources=SOURCES, source_of=(1, 0), numbers=(3,))
