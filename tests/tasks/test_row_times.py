from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest
from raw_rows import table_of

from unipelt_search.errors import DataError
from unipelt_search.records.finding import FindingsError
from unipelt_search.tasks.findings import Findings
from unipelt_search.tasks.row_times import read_times


def read(*cells: object, others: Sequence[object] = ()) -> list[float]:
    """Read times of train, and of test where there are others."""
    tables = {"train": table_of({"when": cells}, "train.csv")}
    if others:
        tables["test"] = table_of({"when": others}, "test.csv")
    findings = Findings()
    found = read_times({name: findings.of(name, table) for name, table in tables.items()}, "when")
    findings.raise_errors()
    return [*found["train"], *found.get("test", ())]


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
    ("cells", "code", "value"),
    [
        (("1", "soon", "2"), "bad_time", "soon"),
        (("1", None, "2"), "no_time", None),
        (("1", float("nan"), "2"), "no_time", None),
        (("1", "inf", "2"), "bad_time", "inf"),
        (("1", pd.NaT, "2"), "no_time", None),
        (("2024-01-31", "3", "2024-02-01"), "bad_time", "3"),
        (("31.01.2024", "02/01/2024", "01.02.2024"), "bad_time", "02/01/2024"),
        (("2024-01-31T12:00", "2024-01-31T12:00Z", "2024-02-01"), "bad_time", "2024-01-31T12:00Z"),
    ],
)
def test_a_time_of_no_form_or_another_one_is_found_with_its_line(
    cells: tuple[object, ...], code: str, value: str | None
) -> None:
    with pytest.raises(FindingsError) as caught:
        read(*cells)
    (finding,) = caught.value.findings
    assert (finding.source, finding.numbers, finding.column) == ("train.csv", (2,), "when")
    assert value is None or value in str(caught.value)
    findings = Findings(drop=True)
    table = findings.of("train", table_of({"when": cells}, "train.csv"))
    times = read_times({"train": table}, "when")["train"]
    assert (table.good_rows(), np.isnan(times).tolist()) == ([0, 2], [False, True, False])
    assert findings.dropped("train", 3).values["reasons"] == (code,)  # type: ignore[union-attr]


def test_a_column_of_no_times_and_days_like_months_are_refused() -> None:
    with pytest.raises(DataError, match="no cell of column 'when' is one, and the first is 'soon'"):
        read("soon", "later")
    with pytest.raises(DataError, match="'03/04/2024' in column 'when' may begin with the day or with the month"):
        read("03/04/2024", "05/06/2024")


def test_times_of_two_forms_that_are_as_frequent_are_refused() -> None:
    with pytest.raises(DataError, match="as many are written like '2024-01-31T12:00' as like '2024-01-31T12:00Z'"):
        read("2024-01-31T12:00", "2024-01-31T12:00Z")


def test_one_row_can_decide_between_day_and_month_for_all_splits() -> None:
    train, test = read("03/04/2024", others=["25/03/2024"])
    assert test < train
