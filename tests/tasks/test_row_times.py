from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

import pandas as pd
import pytest
from raw_rows import table_of

from unipelt_search.errors import DataError
from unipelt_search.tasks.row_times import read_times


def read(*cells: object, others: Sequence[object] = ()) -> list[float]:
    """Read times of train, and of test where there are others."""
    tables = {"train": table_of({"when": cells}, "train.csv")}
    if others:
        tables["test"] = table_of({"when": others}, "test.csv")
    found = read_times(tables, "when")
    return [time for times in found.values() for time in times]


@pytest.mark.parametrize(
    "cells",
    [
        ("1", "2.5", "1e3"),
        (1999, 2000.5, 2001),
        ("20240131", "20240201", "20241231"),
        ("2024-01-31", "2024-02-01", "2024-12-01"),
        ("2024-01-31 12:00", "2024-02-01", "2024-02-01T00:00:01"),
        ("2024-01-31T12:00:00Z", "2024-01-31T12:00:00-01:00", "2024-02-01T00:00:00+00:00"),
        ("31.01.2024", "01.02.2024", "01.12.2024"),
        ("31/01/2024 09:30", "01/02/2024 08:00", "01/12/2024 08:00"),
        ("01/31/2024", "02/01/2024", "12/01/2024"),
        ("2024/01/31", "2024/02/01", "2024/12/01"),
        ("2024-01", "2024-02", "2024-12"),
        (date(2024, 1, 31), date(2024, 2, 1), date(2024, 12, 1)),
        (datetime(2024, 1, 31, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC), datetime(2024, 12, 1, tzinfo=UTC)),
        tuple(map(pd.Timestamp, ("2024-01-31", "2024-02-01 00:00:00.5", "2024-12-01"))),
    ],
)
def test_later_times_are_larger_numbers(cells: tuple[object, ...]) -> None:
    read_in_order = read(*cells)
    assert read_in_order == sorted(read_in_order)
    assert len(set(read_in_order)) == 3
    assert read(*cells[::-1], others=cells) == [*read_in_order[::-1], *read_in_order]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (("1", "soon"), r"numbers or dates; got 'soon' in column 'when' at row 2 of train\.csv"),
        (("1", None), r"got an empty cell in column 'when' at row 2 of train\.csv"),
        (("1", float("nan")), "got an empty cell"),
        (("1", "inf"), "got 'inf'"),
        (("1", pd.NaT), "got an empty cell"),
        (("2024-01-31", "3"), r"all have one form; got '2024-01-31', then '3' in column 'when' at row 2"),
        (("31.01.2024", "02/01/2024"), r"got '31\.01\.2024', then '02/01/2024'"),
        (("2024-01-31T12:00", "2024-01-31T12:00Z"), "all have one form"),
        (("03/04/2024", "05/06/2024"), "'03/04/2024' in column 'when' may begin with the day or with the month"),
    ],
)
def test_what_is_no_time_is_refused_with_its_place(cells: tuple[object, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(*cells)


def test_one_row_can_decide_between_day_and_month_for_all_splits() -> None:
    train, test = read("03/04/2024", others=["25/03/2024"])
    assert test < train
    with pytest.raises(DataError, match=r"got '03/04/2024', then '2024-04-03' in column 'when' at row 1 of test\.csv"):
        read("03/04/2024", others=["2024-04-03"])
