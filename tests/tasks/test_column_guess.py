from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from unipelt_search.errors import DataError
from unipelt_search.tasks.column_guess import MAX_ROWS, MAX_SAMPLE, find_columns

PROSE = [f"the {word} number {number} was late" for number, word in enumerate(["lamp", "chair", "kettle"] * 20)]
NUMBERS = list(range(60))
TWO = ["yes", "no"] * 30


@pytest.mark.parametrize(
    ("columns", "text", "label"),
    [
        ({"id": NUMBERS, "review": PROSE, "stars": [number % 5 for number in NUMBERS]}, ("review",), ("stars",)),
        ({"spam": TWO, "sms": PROSE}, ("sms",), ("spam",)),
        ({"title": ["short one"] * 59 + ["x"], "notes": PROSE, "kind": TWO}, ("notes",), ("kind",)),
        ({"premise": PROSE, "hypothesis": PROSE[::-1], "label": TWO}, ("premise", "hypothesis"), ("label",)),
        ({"label": NUMBERS, "label_text": TWO, "text": PROSE}, ("text",), ("label_text",)),
        ({"text": PROSE, "price": [0, 1] * 30, "taste": [1, 0] * 30, "n": NUMBERS}, ("text",), ("price", "taste")),
        ({"text": PROSE, "labels": [["a", "b"], []] * 30}, ("text",), ("labels",)),
        ({"text": PROSE, "score": [number / 7 for number in NUMBERS]}, ("text",), ("score",)),
        ({"text": PROSE, "id": NUMBERS}, ("text",), ()),
        ({"a": NUMBERS, "b": [1] * 60}, (), ()),
    ],
)  # fmt: skip
def test_texts_and_label_are_guessed(
    columns: dict[str, list[Any]], text: tuple[str, ...], label: tuple[str, ...]
) -> None:
    found = find_columns("mine", pd.DataFrame(columns))
    assert (found.text, found.label) == (text, label)


def test_columns_are_described_by_their_first_training_rows(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text("text,label\n" + f"{'word ' * 40},a\n" + ",b\n" * (MAX_ROWS + 10), encoding="utf-8")
    found = find_columns(str(path))
    text, label = found.columns
    assert (found.rows, text.filled, text.distinct, label.distinct) == (MAX_ROWS, 1, 1, 2)
    assert len(text.sample) == MAX_SAMPLE
    assert find_columns(str(tmp_path)).columns == found.columns


def test_data_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(DataError, match="is not there"):
        find_columns("./nowhere.csv")


@pytest.mark.parametrize("content", ["", "text,label\n", "\n\n"])
def test_a_file_without_rows_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match="it is empty"):
        find_columns(str(path))


@pytest.mark.parametrize("frames", [[], {}, pd.DataFrame(), {"train": pd.DataFrame()}, {"a": []}])
def test_tables_without_rows_are_refused(frames: Any) -> None:
    with pytest.raises(DataError, match="it is empty"):
        find_columns("mine", frames)


def test_columns_inside_of_objects_are_listed_and_objects_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows = [f'{{"meta": {{"body": "{text}", "label": "{label}"}}}}' for text, label in zip(PROSE, TWO, strict=True)]
    path.write_text("\n".join(rows), encoding="utf-8")
    found = find_columns(str(path))
    assert (found.text, found.label) == (("meta.body",), ("meta.label",))
