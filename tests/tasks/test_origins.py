from __future__ import annotations

from unipelt_search.records.row_origins import RowSource
from unipelt_search.tasks.origins import row_origins
from unipelt_search.tasks.table import Location


def test_every_source_is_named_once() -> None:
    locations = (
        Location("b.csv", 7),
        Location("a.parquet", 1, "row"),
        Location("b.csv", 3),
        Location("b.csv", 3, "row"),
    )
    (origins,) = row_origins({"select": locations, "test": ()})
    assert origins.split == "select"
    expected = (("b.csv", "line"), ("a.parquet", "row"), ("b.csv", "row"))
    assert origins.sources == tuple(RowSource(name=name, unit=unit) for name, unit in expected)
    assert (origins.source_of, origins.numbers) == ((0, 1, 0, 2), (7, 1, 3, 3))
    assert [origins.format(row) for row in range(4)] == list(map(str, locations))
