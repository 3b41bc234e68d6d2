from __future__ import annotations

import datetime as dt
from decimal import Decimal
from uuid import UUID

import pandas as pd
import pytest

from unipelt_search.tasks.plain_values import plain_value


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (dt.date(2026, 1, 31), "2026-01-31"),
        (dt.datetime(2026, 1, 31, 9, 30), "2026-01-31 09:30:00"),
        (dt.datetime(2026, 1, 31, 9, 30, tzinfo=dt.UTC), "2026-01-31 09:30:00+00:00"),
        (pd.Timestamp("2026-01-31"), "2026-01-31 00:00:00"),
        (dt.time(9, 30), "09:30:00"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ("schön".encode(), "schön"),
        (b"\xff", b"\xff"),
        ([dt.date(2026, 1, 31), None, 1], ["2026-01-31", None, 1]),
        (Decimal("0.50"), Decimal("0.50")),
        ("x", "x"),
    ],
)
def test_what_has_one_usual_way_of_writing_is_text(value: object, read: object) -> None:
    assert plain_value(value) == read
