from __future__ import annotations

from unipelt_search.kinds.label_kind import find_kind
from unipelt_search.tasks.oddities import find_oddities, find_typos, location_of
from unipelt_search.tasks.rows import RawData, Rows
from unipelt_search.tasks.table import Location


def rows(*pairs: tuple[str, str]) -> Rows:
    return Rows(tuple((text,) for text, _ in pairs), tuple(label for _, label in pairs))


def test_repeated_texts_and_texts_in_two_splits_are_found_where_they_stand() -> None:
    train = rows(("a", "x"), ("b", "x"), ("a ", "x"), ("b", "y"), ("c", "x"))
    raw = RawData("d", {"train": train, "test": rows(("c", "x"), ("d", "y"))})
    find_oddities(raw, "text")
    assert [(one.code, one.severity, one.source, one.numbers) for one in raw.findings.found] == [
        ("texts_with_two_labels", "warning", "train", (2, 4)),
        ("overlap", "warning", "test", (1,)),
        ("repeated_row", "info", "train", (3,)),
    ]


def test_each_row_with_a_label_that_looks_like_another_one_is_found() -> None:
    raw = RawData("d", {"train": rows(("a", "x|yes"), ("b", "Yes"), ("c", "x|Yes"))})
    find_typos(raw, find_kind("multi_label"), {"Yes": "yes"}, "label")
    (found,) = raw.findings.found
    assert (found.code, found.numbers, found.column) == ("possible_typos", (2, 3), "label")
    assert "--merge-labels" in found.fix


def test_a_row_stands_where_it_was_read_or_in_its_split() -> None:
    location = Location("a.csv", 7)
    assert location_of("train", Rows((("a",),), ("x",), (location,)), 0) == location
    assert location_of("train", Rows((("a",),), ("x",)), 0) == Location("train", 1, "row")
